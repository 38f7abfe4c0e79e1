"""Headline means, the committed baseline, and the check for regressions."""
