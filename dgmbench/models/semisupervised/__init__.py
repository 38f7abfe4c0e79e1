"""Models that learn from labels: classifiers, on few labelled examples or on all."""
