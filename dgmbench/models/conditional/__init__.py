"""Generators of x given a condition: a class here; an image to translate will be another."""
