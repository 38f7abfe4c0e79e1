"""Generative adversarial networks: the game, its objectives, the networks that play it."""
