"""What the latent space or the features of a model carry."""
