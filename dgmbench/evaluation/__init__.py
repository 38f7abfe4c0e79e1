"""What is measured of a run: `suite` runs every `Measure` that applies and stores the results.

Measures lie in likelihood/, quality/, copies/, spaces/, task/ and pictures/, feature spaces in features/;
score/ measures samples from anywhere. None of them knows a model family.
"""
