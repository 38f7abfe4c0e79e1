"""Statements of the lecture and of papers, judged by numbers: supported, contradicted or undecided.

`lecture` has the lecture's claims, which the modules by subject state (`autoencoders`, `vae`, `gan`,
`pixelrnn`, `evaluation`) and which become a `card` of the report each. `claim` has the verdicts, `evidence`
what a run left, `comparison`, `families` and `inverted` what is compared, `judging` how verdicts come of it.

`orders` has published orders of two models, `inversions` where the Parzen score contradicts likelihoods,
`metric_trust` which scores fail a control.
"""
