"""What is measured: pure functions of data, samples and log weights; none of them knows a model family.

| file | measures |
|---|---|
| likelihood.py | exact log-likelihood, ELBO, importance-sampled log-likelihood |
| parzen.py | Parzen window log-likelihood of samples (a heuristic) |
| frechet.py | Fréchet distance between two sets of features |
| neighbours.py | distance of samples to their nearest training images |
| probe.py | a linear classifier on learned features, few labels |
| classifier.py | the small network whose features the domain FID uses |
| statistics.py | means and intervals over seeds |

Nothing is imported here, so that the report can use `statistics` without loading torch.
"""
