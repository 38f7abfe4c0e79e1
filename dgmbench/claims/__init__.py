"""Statements of the lecture and of papers, judged by numbers: supported, contradicted or undecided.

`claim` has the verdicts, `orders` published orders of two models, `inversions` where the Parzen score
contradicts likelihoods, `metric_trust` which scores fail a control.
"""
