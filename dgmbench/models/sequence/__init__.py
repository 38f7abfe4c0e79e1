"""Models of token sequences, each a product of conditional distributions from left to right."""
