"""The training loop, its checkpoints and the runs it leaves behind."""
