"""How well a model does the final task: classification."""
