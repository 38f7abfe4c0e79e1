"""What is measured: pure functions of data, samples and log weights; none of them knows a model family.

| file | measures |
|---|---|
| likelihood.py | exact log-likelihood, ELBO, importance-sampled log-likelihood |
| parzen.py | Parzen window log-likelihood of samples (a heuristic) |
| frechet.py, fid_bias.py | Fréchet distance between two sets of features; what of it n is to blame for |
| kernel_distance.py, prdc.py | kernel distance (KID); precision, recall, density, coverage |
| class_shares.py | how samples are spread over classes |
| sharpness.py, edges.py | blur: spectral energy, and how wide edges are |
| diversity.py | how different samples are from each other |
| neighbours.py, copying.py | distance of samples to their nearest training images; AuthPct and C_T |
| probe.py | a linear classifier on learned features, few labels |
| classifier.py | the small network whose features the domain FID uses |
"""
