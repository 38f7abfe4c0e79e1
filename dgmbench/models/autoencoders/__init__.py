"""Auto-encoders, and the ways to draw images from them."""
