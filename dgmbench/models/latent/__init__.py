"""Models with latent variables and an inference network: VAE, IWAE, sigmoid belief nets."""
