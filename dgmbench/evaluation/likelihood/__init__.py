"""Log-likelihoods of held-out images: exact, bounds, annealed, and Parzen windows."""
