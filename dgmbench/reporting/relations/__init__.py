"""How the metrics of a view relate: rank correlations over models, and over seeds within models."""
