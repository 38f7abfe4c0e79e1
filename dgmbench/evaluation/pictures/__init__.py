"""Arrays that the report draws: decoded latents, completions, a generator over its training."""
