"""The answer of a report: a small table of families, and a sentence on each, computed from the numbers."""
