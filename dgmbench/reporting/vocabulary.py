"""How metrics are named, ordered, directed and explained: one place for tables, figures and the check."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal

import pandas as pd

Direction = Literal["higher", "lower", "one", "none"]

KIND_MARKS = {"exact": "=", "lower_bound": "≥", "estimate": "~", "heuristic": "*"}
KIND_WORDS = {
    "exact": "exact: computed without approximation on the test images",
    "lower_bound": "lower bound of the log-likelihood: the model is at least this good "
    "(shown as ≤ in bits/dim, where lower is better)",
    "estimate": "estimate: right on average, with sampling error (of a density of dequantised images, over "
    "draws of the noise)",
    "heuristic": "heuristic: may order models wrongly, never compare it with the other kinds",
}
UNIT_WORDS = {
    "nats": "nats",
    "bits_per_dim": "bits/dim",
    "percent": "%",
    "seconds": "s",
    "images_per_second": "images/s",
    "1": "",
}
_LABELS = {
    "high_frequency_ratio": "sharpness",
    "high_frequency_ratio_mean": "sharpness of means",
    "log_likelihood": "log-likelihood",
    "elbo": "ELBO",
    "log_likelihood_ais": "AIS",
    "bdmc_gap": "BDMC gap",
    "ais_gain": "AIS − IS",
    "ais_error": "AIS − exact",
    "ais_acceptance": "AIS acceptance",
    "gradient_variance": "gradient variance",
    "gradient_relative_variance": "gradient variance over its square",
    "gradient_squared_bias": "squared bias of the gradient",
    "observation_variance": "observation variance",
    "log_likelihood_parzen": "Parzen",
    "fid_domain": "FID (domain)",
    "fid_inception": "FID (Inception)",
    "fid_domain_infinity": "FID∞ (domain)",
    "fid_inception_infinity": "FID∞ (Inception)",
    "kid_domain": "KID (domain)",
    "kid_inception": "KID (Inception)",
    "precision_inception": "precision (Inception)",
    "recall_inception": "recall (Inception)",
    "density_inception": "density (Inception)",
    "coverage_inception": "coverage (Inception)",
    "class_coverage": "classes drawn",
    "discriminator_saturated": "D saturated",
    "effective_classes": "effective classes",
    "pairwise_distance_ratio": "diversity",
    "class_histogram_distance": "class histogram",
    "edge_sharpness_ratio": "edges",
    "edge_sharpness_ratio_mean": "edges of means",
    "nn_distance_ratio": "NN distance ratio",
    "nn_distance_ratio_shifts": "NN distance ratio (±1 pixel)",
    "nn_distance_ratio_domain": "NN distance ratio (domain)",
    "sampling_rate": "sampling",
    "training_seconds": "training",
    "parzen_bandwidth": "Parzen bandwidth",
    "test_accuracy": "test accuracy",
    "auth_pct": "authentic",
    "auth_pct_domain": "authentic (domain)",
    "auth_pct_heldout": "authentic held-out images",
    "auth_pct_heldout_domain": "authentic held-out images (domain)",
    "c_t": "C_T",
    "c_t_domain": "C_T (domain)",
}
_EXPLANATIONS = {
    "log_likelihood": "mean log-likelihood of a test image; each model's tightest figure (exact, else "
    "annealed or importance-sampled with most draws, else ELBO; of two alike, the one over more images)",
    "elbo": "evidence lower bound, the VAE's own objective",
    "log_likelihood_ais": "annealed importance sampling, a lower bound in expectation; for a generator "
    "without observation model it is of the generator plus Gaussian noise, variance chosen on validation "
    "images",
    "bdmc_gap": "upper minus lower bound on images simulated from the model (bidirectional Monte Carlo): "
    "what annealing can be wrong by there",
    "ais_gain": "AIS minus the importance-sampled bound with most draws, on the same images: how much the "
    "latter misses",
    "ais_error": "AIS minus the exact value, on the same images: what annealing is wrong by",
    "ais_acceptance": "share of the Hamiltonian moves that annealing accepted",
    "gradient_variance": "of one estimate of the gradient of the objective, summed over parameters, at fixed "
    "parameters and images",
    "gradient_relative_variance": "the same over the squared length of the mean gradient",
    "gradient_squared_bias": "squared length of the mean's distance from the exact gradient",
    "observation_variance": "variance of the Gaussian noise added to a generator to give it a density, "
    "chosen on validation images (a grid, refined around its best), in [0,1] pixel units",
    "log_likelihood_parzen": "kernel density around generated images; says little about quality",
    "fid_domain": "Fréchet distance in the features of a classifier trained on this data set; "
    "not comparable with Inception FIDs or across data sets",
    "fid_inception": "Fréchet distance in Inception features (pytorch-fid's network), gray images repeated "
    "over three channels",
    "fid_domain_infinity": "FID (domain) extrapolated to infinite n, by a line in 1/n (Chong & Forsyth "
    "2020): without the bias of finite n; its error can make it negative",
    "fid_inception_infinity": "FID (Inception) extrapolated to infinite n, by a line in 1/n",
    "kid_domain": "squared maximum mean discrepancy with the cubic kernel (Binkowski et al. 2018) in the "
    "domain classifier's features; without bias, so that it may be below 0",
    "kid_inception": "the same in Inception features",
    "precision": "share of samples inside a ball around a test image, as large as the distance to its k-th "
    "nearest test image, in the domain classifier's features (Kynkäänniemi et al. 2019): like data?",
    "recall": "share of test images inside such a ball around a sample: is data covered?",
    "density": "number of test images' balls that a sample lies in, over k (Naeem et al. 2020); data has 1",
    "coverage": "share of test images whose ball holds a sample; outlying samples cannot raise it",
    "class_coverage": "share of the data's classes that samples hold at least a tenth as often as test "
    "images do, told by the domain classifier; below 1 classes are dropped",
    "discriminator_saturated": "share of training epochs over which the discriminator was right about more "
    "than 99 % of images, real and drawn; under a saturating loss it then tells the generator nothing",
    "effective_classes": "exp of the entropy of the samples' class shares, told by the domain classifier; as "
    "many as there are classes if all are drawn alike",
    "pairwise_distance_ratio": "mean pixel distance between two samples over that between two test images; "
    "near 0 all samples are alike",
    "class_histogram_distance": "share of samples that would have to be of other classes for the classes to "
    "be as frequent as among test images, both as the domain classifier sees them (total variation)",
    "edge_sharpness_ratio": "mean slope of edges (one over their width in pixels) over that of test images; "
    "below 1 edges are blurred (or drowned in strong noise), above 1 steeper than in data",
    "edge_sharpness_ratio_mean": "the same of mean images, without observation noise",
    "nn_distance_ratio": "mean distance of generated images to their nearest training image over that of "
    "held-out images; far below 1 hints at copying",
    "nn_distance_ratio_shifts": "the same with every shift by up to one pixel searched, where images "
    "overlap; finds copies that were moved",
    "nn_distance_ratio_domain": "the same distances in the features of the domain classifier",
    "auth_pct": "share of generated images that are farther from their nearest training image than that is "
    "from the next (AuthPct), averaged over ties; far below that of held-out images hints at copying, "
    "above it at poor samples",
    "auth_pct_domain": "the same in the features of the domain classifier",
    "c_t": "Mann-Whitney Z of distances to training images, generated against held-out, averaged over cells; "
    "far below 0 hints at copying, far above at poor samples; grows with the number of images",
    "c_t_domain": "the same in the features of the domain classifier",
    "sampling_rate": "images generated per second on the device named with the runs",
    "training_seconds": "wall-clock time of training one seed",
    "parameters": "trainable parameters",
    "parzen_bandwidth": "kernel width chosen on validation images, in [0,1] pixel units",
    "high_frequency_ratio": "energy of samples above half the Nyquist frequency over that of test images; "
    "below 1 is blur, above 1 is noise",
    "high_frequency_ratio_mean": "the same of mean images, without the observation noise that hides blur",
    "active_units": "latents whose posterior mean varies over test images by more than 0.01 (variance)",
}
_ORDER = (
    "log_likelihood", "log_likelihood_ais", "bdmc_gap", "ais_gain", "ais_error", "log_likelihood_is",
    "ess_is", "elbo", "log_likelihood_parzen", "parzen_bandwidth", "fid_", "kid_", "precision", "recall",
    "density", "coverage",
    "class_coverage", "class_histogram_distance", "nn_distance_ratio", "auth_pct", "c_t",
    "pairwise_distance_ratio", "effective_classes", "discriminator_saturated",
    "high_frequency_ratio", "high_frequency_ratio_mean",
    "edge_sharpness_ratio", "edge_sharpness_ratio_mean", "active_units", "probe_accuracy", "svm_accuracy",
    "ssl_error", "test_accuracy", "sampling_rate", "training_seconds", "parameters",
)  # fmt: skip
_HIGHER = ("log_likelihood", "elbo", "precision", "recall", "coverage",
           "class_coverage", "effective_classes", "probe_accuracy", "svm_accuracy", "test_accuracy",
           "sampling_rate")  # fmt: skip
_LOWER = ("fid_", "kid_", "class_histogram_distance", "ssl_error", "training_seconds", "bdmc_gap")
_HIDDEN = ("diverged", "collapsed", "parzen_bandwidth", "observation_variance", "ais_acceptance",
           "auth_pct_heldout", "n_generated_", "n_real_")  # fmt: skip
_COUNTS = ("parameters", "class_coverage")
# Scores whose standard error in results.csv is over test images. Of the others, test images play no part
# (costs, the classes of samples) or their part is not known.
_OVER_TEST_IMAGES = ("log_likelihood", "elbo", "ais_gain", "ais_error", "fid_", "kid_", "precision", "recall",
                     "density", "coverage", "class_histogram_distance", "pairwise_distance_ratio",
                     "high_frequency_ratio", "edge_sharpness_ratio", "nn_distance_ratio", "c_t",
                     "probe_accuracy", "svm_accuracy", "ssl_error", "test_accuracy")  # fmt: skip
# Ends the name of what training images score in the place of generated ones.
FLOOR = "_floor"
_ONE = (
    "nn_distance_ratio",
    "density",
    "high_frequency_ratio",
    "edge_sharpness_ratio",
    "pairwise_distance_ratio",
)
# The tables of a comparison: what the names of their metrics begin with, or, in Inception's, end with.
QUALITY, INCEPTION, FURTHER = "Sample quality", "Sample quality in Inception features", "Further"
MEMORISATION = "Memorisation"
_TOPICS = {
    "Likelihood": ("log_likelihood", "elbo", "bdmc_gap", "ais_", "ess_is"),
    QUALITY: ("fid_", "kid_", "precision", "recall", "density", "coverage", "class_histogram"),
    "Blur, diversity and collapse": (
        "pairwise_distance_ratio",
        "class_coverage",
        "effective_classes",
        "discriminator_saturated",
        "high_frequency_ratio",
        "edge_sharpness_ratio",
    ),
    MEMORISATION: ("nn_distance_ratio", "auth_pct", "c_t"),
    "Representation": ("active_units", "probe_accuracy", "svm_accuracy", "ssl_error", "test_accuracy"),
    "Cost": ("sampling_rate", "training_seconds", "parameters"),
}
_INCEPTION = re.compile(r"(fid|kid|precision|recall|density|coverage)_inception")
_IS = re.compile(r"log_likelihood_is_(\d+)$")
_ESS = re.compile(r"ess_is_(\d+)$")
_PARZEN = re.compile(r"(log_likelihood_parzen|parzen_bandwidth)_(\d+)$")
_COUNTED = re.compile(r"(probe_accuracy|svm_accuracy|ssl_error)_(\d+)$")


def is_likelihood(metric: str) -> bool:
    """Whether a metric is a log-likelihood of some kind (the Parzen heuristic included)."""
    return metric == "elbo" or metric == "log_likelihood" or metric.startswith("log_likelihood_")


def importance_draws(metric: str) -> int | None:
    """K of `log_likelihood_is_<K>`, else None."""
    match = _IS.match(metric)
    return int(match[1]) if match else None


def parzen_samples(metric: str) -> int | None:
    """m of `log_likelihood_parzen_<m>` and `parzen_bandwidth_<m>`, else None."""
    match = _PARZEN.match(metric)
    return int(match[2]) if match else None


def is_hidden(metric: str) -> bool:
    """Whether a metric is left to results.csv and the footnotes: what was chosen, not what was measured."""
    return metric.startswith(_HIDDEN) or metric.endswith(FLOOR)


def is_count(metric: str) -> bool:
    """Whether a metric counts things, so that no spread over seeds says by how much it may change."""
    return metric in _COUNTS


def is_over_test_images(metric: str) -> bool:
    """Whether the standard error of a metric's record is over test images, which all seeds share."""
    return metric.startswith(_OVER_TEST_IMAGES) and not metric.endswith(FLOOR)


def tightness(metric: str) -> int | None:
    """Rank of a likelihood metric, larger is tighter; None for what does not bound (Parzen, non-likelihoods).

    Exact (2) before annealed or importance-sampled (1; of those two either may be tighter) before the
    ELBO (0), which is importance sampling with one draw (Burda et al. 2016, theorem 1).
    """
    if importance_draws(metric) is not None:
        return 1
    return {"log_likelihood": 2, "log_likelihood_ais": 1, "elbo": 0}.get(metric)


def direction(metric: str, unit: str) -> Direction:
    """Which way is better: `higher`, `lower`, nearer to `one`, or `none` (no way is)."""
    if unit == "bits_per_dim" or metric.startswith(_LOWER):
        return "lower"
    if metric.startswith(_ONE):
        return "one"
    return "higher" if metric.startswith(_HIGHER) else "none"


def topic(metric: str) -> str:
    """Which table of a comparison a metric stands in; `FURTHER` for one that is not known here."""
    if _INCEPTION.match(metric):
        return INCEPTION
    return next((name for name, starts in _TOPICS.items() if metric.startswith(starts)), FURTHER)


def topics() -> list[str]:
    """All tables of a comparison in the order of a report."""
    names = list(_TOPICS)
    names.insert(names.index(QUALITY) + 1, INCEPTION)
    return [*names, FURTHER]


def label(metric: str) -> str:
    """A metric's name for readers, without unit."""
    draws = importance_draws(metric)
    if draws is not None:
        return f"IS-{draws}"
    weighed = _ESS.match(metric)
    if weighed:
        return f"ESS of IS-{weighed[1]}"
    samples = _PARZEN.match(metric)
    if samples:
        return f"{_LABELS[samples[1]]} ({short_count(int(samples[2]))})"
    counted = _COUNTED.match(metric)
    if counted:
        return f"{counted[1].replace('_', ' ').replace('svm', 'L2-SVM')} ({counted[2]} labels)"
    if metric.endswith(FLOOR):
        return f"{label(metric.removesuffix(FLOOR))}, floor"
    return _LABELS.get(metric, metric.replace("_", " "))


def explanation(metric: str) -> str:
    """What a metric says, in one clause; empty when there is nothing to add to its name."""
    if importance_draws(metric) is not None:
        return f"importance-sampled with {importance_draws(metric)} draws, a lower bound in expectation"
    if _ESS.match(metric):
        return (
            "effective sample size of the importance weights, mean over images: near 1 a single draw carries "
            "the estimate, and the bound is likely loose"
        )
    if metric.startswith("log_likelihood_parzen_"):
        return f"the same from {parzen_samples(metric):,} fresh samples"
    if metric.startswith("probe_accuracy"):
        return (
            "test accuracy of a linear classifier on the model's features, trained on that many labels, its "
            "penalty chosen on as many validation labels"
        )
    if metric.startswith("svm_accuracy"):
        return (
            "the same by a linear L2-SVM on pooled features of all discriminator layers (Radford et al. 2015)"
        )
    return _EXPLANATIONS.get(metric, "")


def order(metric: str) -> tuple[int, int, str]:
    """Sort key of a metric: likelihoods first, costs last, unknown metrics at the end by name."""
    draws = importance_draws(metric)
    if draws is not None:
        return (_ORDER.index("log_likelihood_is"), -draws, metric)
    samples = _PARZEN.match(metric)
    if samples:
        return (_ORDER.index(samples[1]), int(samples[2]), metric)
    if metric in _ORDER:
        return (_ORDER.index(metric), 0, metric)
    for place, prefix in enumerate(_ORDER):
        if metric.startswith(prefix) and prefix != "log_likelihood":
            return (place, 0, metric)
    return (len(_ORDER), 0, metric)


def short_count(count: int) -> str:
    """`2,500`, `100k`, `1M`."""
    for size, letter in ((10**6, "M"), (10**3, "k")):
        if count % size == 0:
            return f"{count // size}{letter}"
    return f"{count:,}"


def view_words(view: str, manifest: Mapping[str, Any] | None = None) -> str:
    """A view's name for headings and, in the binary view, how its pixels became 0 or 1."""
    if view != "binary" or manifest is None:
        return f"{view} view"
    if int(manifest["levels"]) > 2:
        return "binary view: binarised afresh in training, fixed by the data seed in validation and test"
    whose = "Larochelle's" if manifest["name"] == "mnist_static" else "its publisher's"
    return f"binary view: {whose} fixed binarisation (static)"


def kind_mark(kind: str, unit: str) -> str:
    """The sign before a likelihood; a lower bound in nats is an upper bound in bits/dim, hence ≤ there."""
    return "≤" if kind == "lower_bound" and unit == "bits_per_dim" else KIND_MARKS[kind]


def headline_records(frame: pd.DataFrame) -> pd.DataFrame:
    """One record per (data set, view, model, seed, metric, unit): the test split's where there are several.

    Raises `ValueError` if two records remain for the same cell, which a mean would hide.
    """
    key = ["dataset", "view", "model", "seed", "metric", "unit"]
    on_test = frame["split"] == "test"
    has_test = on_test.groupby([frame[name] for name in key]).transform("any") if len(frame) else on_test
    kept = frame[on_test | ~has_test.astype(bool)]
    twice = kept[kept.duplicated(key)]
    if len(twice):
        row = twice.iloc[0]
        where = f"{row['dataset']}/{row['model']} seed {row['seed']}"
        raise ValueError(f"{where}: {row['metric']} ({row['unit']}) occurs twice")
    return kept
