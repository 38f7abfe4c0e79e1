"""Recording finished runs in MLflow, from result files, whatever came from DVC's cache."""
