"""Experiments that show a metric working or failing where the truth is known."""
