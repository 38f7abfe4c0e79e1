"""Controls of adversarial training: theory, a ring of modes, instability over seeds."""
