"""The committed baseline, and the check for regressions."""
