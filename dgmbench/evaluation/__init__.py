"""What is measured of a run: `suite` asks every `Measure` that applies and remembers the answers.

Measures lie in likelihood/, quality/, copies/, spaces/, task/ and pictures/, what they see with in features/;
score/ measures samples from anywhere. None of them knows a model family.
"""
