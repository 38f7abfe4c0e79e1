"""Log-likelihoods of test data: exact values, bounds, the Parzen heuristic, and what says how far to trust
them.
"""

from __future__ import annotations

from collections.abc import Iterable

from dgmbench.metrics.allowance import Allowance, Size
from dgmbench.metrics.catalogue import declared
from dgmbench.metrics.metric import Metric, Topic

LIKELIHOOD = Topic.LIKELIHOOD
NATS_AND_BITS = ("nats", "bits_per_dim")
# Over training seeds. Likelihoods in bits/dim lie farther from zero.
OF_SEEDS, IN_BITS = Allowance(Size(0.01)), Allowance(Size(0.0085))

EXACT = Metric(
    "log_likelihood", "log-likelihood", NATS_AND_BITS, "higher", LIKELIHOOD,
    "mean log-likelihood of a test image or sentence; each model's tightest figure (exact, else annealed or "
    "importance-sampled with most draws, else ELBO; of two alike, the one over more images)",
    likelihood=True, tightness=2, over_test_images=True, allowed=OF_SEEDS, allowed_bits=IN_BITS,
)  # fmt: skip
PER_TOKEN = Metric(
    "nats_per_token", "nats per token", "nats", "lower", LIKELIHOOD,
    "mean negative log-likelihood of a token of the test sentences",
    likelihood=True, over_test_images=True, allowed=OF_SEEDS,
)  # fmt: skip
PERPLEXITY = Metric(
    "perplexity", "perplexity", "1", "lower", LIKELIHOOD,
    "exp of the nats per token: the number of equally likely tokens that would be as hard to predict",
    likelihood=True, over_test_images=True, allowed=Allowance(Size(0.05)),
)  # fmt: skip
AIS = Metric(
    "log_likelihood_ais", "AIS", NATS_AND_BITS, "higher", LIKELIHOOD,
    "annealed importance sampling, a lower bound in expectation; for a generator without observation model "
    "it is of the generator plus Gaussian noise, variance chosen on validation images",
    likelihood=True, tightness=1, over_test_images=True,
    allowed=Allowance(Size(0.06)), allowed_bits=Allowance(Size(0.02)),
)  # fmt: skip
BDMC_GAP = Metric(
    "bdmc_gap", "BDMC gap", "nats", "lower", LIKELIHOOD,
    "upper minus lower bound on images simulated from the model (bidirectional Monte Carlo): a bound of "
    "annealing's error on them",
    allowed=Allowance(Size(0.3, 0.15)),
)  # fmt: skip
AIS_GAIN = Metric(
    "ais_gain", "AIS − IS", "nats", "none", LIKELIHOOD,
    "AIS minus the importance-sampled bound with most draws, on the same images: how much the latter misses",
    over_test_images=True,
)  # fmt: skip
AIS_ERROR = Metric(
    "ais_error", "AIS − exact", "nats", "none", LIKELIHOOD,
    "AIS minus the exact value, on the same images: the error of annealing",
    over_test_images=True,
)  # fmt: skip
AIS_ACCEPTANCE = Metric(
    "ais_acceptance", "AIS acceptance", "1", "none", LIKELIHOOD,
    "share of the Hamiltonian moves that annealing accepted",
    hidden=True,
)  # fmt: skip
IS = Metric(
    "log_likelihood_is_{draws}", "IS-{draws}", NATS_AND_BITS, "higher", LIKELIHOOD,
    "importance-sampled with {draws} draws, a lower bound in expectation",
    likelihood=True, tightness=1, over_test_images=True, largest_first=True,
    allowed=OF_SEEDS, allowed_bits=IN_BITS,
)  # fmt: skip
ESS = Metric(
    "ess_is_{draws}", "ESS of IS-{draws}", "1", "none", LIKELIHOOD,
    "effective sample size of the importance weights, mean over images: near 1 a single draw carries the "
    "estimate, and the bound is likely loose",
    largest_first=True,
)  # fmt: skip
ELBO = Metric(
    "elbo", "ELBO", NATS_AND_BITS, "higher", LIKELIHOOD,
    "evidence lower bound, the VAE's own objective",
    likelihood=True, tightness=0, over_test_images=True, allowed=OF_SEEDS, allowed_bits=IN_BITS,
)  # fmt: skip
PARZEN = Metric(
    "log_likelihood_parzen", "Parzen", NATS_AND_BITS, "higher", LIKELIHOOD,
    "kernel density around generated images; says little about quality",
    likelihood=True, over_test_images=True, allowed=Allowance(Size(absolute=2.0)), allowed_bits=IN_BITS,
)  # fmt: skip
PARZEN_FRESH = Metric(
    "log_likelihood_parzen_{samples}", "Parzen ({samples:short})", NATS_AND_BITS, "higher", LIKELIHOOD,
    "Parzen score from {samples:,} fresh samples",
    likelihood=True, over_test_images=True, allowed=Allowance(Size(absolute=2.0)), allowed_bits=IN_BITS,
)  # fmt: skip
BANDWIDTH = Metric(
    "parzen_bandwidth", "Parzen bandwidth", "1", "none", LIKELIHOOD,
    "kernel width chosen on validation images, in [0,1] pixel units",
    hidden=True,
)  # fmt: skip
BANDWIDTH_FRESH = Metric(
    "parzen_bandwidth_{samples}", "Parzen bandwidth ({samples:short})", "1", "none", LIKELIHOOD,
    "kernel width for {samples:,} fresh samples, chosen on validation images",
    hidden=True,
)  # fmt: skip
OBSERVATION_VARIANCE = Metric(
    "observation_variance", "observation variance", "1", "none", LIKELIHOOD,
    "variance of the Gaussian noise added to a generator to give it a density, chosen on validation images "
    "(a grid, refined around its best), in [0,1] pixel units",
    hidden=True,
)  # fmt: skip

METRICS = (
    EXACT, PER_TOKEN, PERPLEXITY, AIS, BDMC_GAP, AIS_GAIN, AIS_ERROR, AIS_ACCEPTANCE, IS, ESS, ELBO, PARZEN,
    PARZEN_FRESH, BANDWIDTH, BANDWIDTH_FRESH, OBSERVATION_VARIANCE,
)  # fmt: skip


def importance_draws(metric: Metric) -> int | None:
    """K of an importance-sampled bound, else None."""
    return metric.parameters["draws"] if metric.family == IS.name else None


def with_most_draws(names: Iterable[str]) -> list[str]:
    """Without importance sampling of fewer draws than the most: in expectation that is the looser bound."""
    draws = {name: importance_draws(declared(name)) for name in names}
    most = max((k for k in draws.values() if k), default=None)
    return [name for name, k in draws.items() if k in (None, most)]


def is_parzen(metric: Metric) -> bool:
    """Whether a metric is a Parzen score: of the saved samples, or of fresh ones."""
    return PARZEN.name in (metric.name, metric.family) or metric.family == PARZEN_FRESH.name
