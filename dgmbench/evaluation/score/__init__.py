"""Scores of anybody's samples: what is read, what it is compared with, what is printed."""
