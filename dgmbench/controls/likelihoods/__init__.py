"""Controls of likelihoods: where Parzen windows and log-likelihood mislead."""
