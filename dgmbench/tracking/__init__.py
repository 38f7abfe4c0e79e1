"""Recording finished runs in MLflow, from result files, so that DVC's cache and a fresh store make no odds."""
