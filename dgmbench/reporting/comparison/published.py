"""Figures from the literature, with the protocol that each was obtained under.

Only what was read in the paper or its code (`V`) or in a later paper or official README quoting it (`V2`);
a figure that has not been checked against its source yet (`M`) says so.
Likelihoods are stored as log-likelihoods (higher is better), so the sign is that of our own columns;
bits/dim keep theirs. A reference is context for a row, not a target: budgets differ by orders of magnitude.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from dgmbench.metrics import UNITS, declared
from dgmbench.metrics.likelihood import EXACT
from dgmbench.reporting.comparison.cells import Column, number
from dgmbench.reporting.comparison.published_errors import ERRORS
from dgmbench.reporting.comparison.reference import Reference
from dgmbench.reporting.words import kind_mark

_IWAE = "Burda et al. 2016, Table 1"
_IWAE_STATIC = "Burda et al. 2016, Table 3"
_ARM = "Yin & Zhou 2019, Table 2a"
_README = "pytorch-generative README"
_DYNAMIC = "pixels binarised afresh (dynamic)"
_STATIC = "Larochelle's fixed binarisation (static), not the dynamic one"
_ORD = "van den Oord et al. 2016"
_OF_MEANS = "of decoder means (ours are samples, noise included), "
_PARZEN = "Parzen window on real-valued pixels, 10,000 samples, bandwidth from validation images"


def _nll(
    dataset: str,
    model: str,
    nats: float,
    kind: str,
    protocol: str,
    source: str,
    flag: Literal["V", "V2"],
    metric: str = "log_likelihood",
) -> Reference:
    """A test negative log-likelihood in nats, stored with its sign turned."""
    return Reference(dataset, "binary", model, metric, -nats, None, "nats", kind, protocol, source, flag)


def _bpd(model: str, value: float, source: str, flag: Literal["V", "V2"]) -> Reference:
    """CIFAR-10 test bits/dim of an autoregressive model."""
    protocol = "8-bit CIFAR-10 test images, no augmentation"
    return Reference(
        "cifar10",
        "gray",
        model,
        "log_likelihood",
        value,
        None,
        "bits_per_dim",
        "exact",
        protocol,
        source,
        flag,
    )


def _fid(dataset: str, model: str, value: float, spread: float, what: str = "") -> Reference:
    """Inception FID of the large study, best of 100 configurations; `what` begins the protocol."""
    search = "best of 100 configurations, 50 seeds, collapsed runs omitted"
    protocol = f"{what}Inception FID, 10k against 10k images, {search}"
    source = "Lucic et al. 2018, quoted by Dai & Wipf 2019, Table 1"
    return Reference(
        dataset, "gray", model, "fid_inception", value, spread, "1", "estimate", protocol, source, "V2"
    )


def _iwae_protocol(layers: int, k: int) -> str:
    """Burda et al. 2016: network, k and budget of one cell of their tables."""
    latents = "50 units" if layers == 1 else "100 and 50 units"
    network = f"{layers} stochastic layer{'s' * (layers > 1)} of {latents}"
    return f"{network}, k={k}, 5000 importance samples, 3280 epochs"


def _iwae_cells(dataset: str, binarisation: str, source: str, cells: str) -> tuple[Reference, ...]:
    """One reference per word `<entries>=<layers>/<k>=<nats>`, for each of the comma-separated entries."""
    found = []
    for cell in cells.split():
        entries, shape, nats = cell.split("=")
        layers, k = map(int, shape.split("/"))
        protocol = f"{binarisation}; {_iwae_protocol(layers, k)}"
        found += [
            _nll(dataset, entry, float(nats), "lower_bound", protocol, source, "V", "log_likelihood_is_5000")
            for entry in entries.split(",")
        ]
    return tuple(found)


# Entries of the same network and k under the names that the pipelines give them.
_DYNAMIC_CELLS = """
    vae,iwae_k1,iwae_1_k1=1/1=86.76 vae_k5,vae_1_k5=1/5=86.47 iwae,iwae_1_k5=1/5=85.54
    vae_1_k50=1/50=86.35 iwae_1_k50=1/50=84.78
    iwae_two_layers_k1,iwae_2_k1=2/1=85.33 vae_two_layers_k5,vae_2_k5=2/5=85.01
    iwae_two_layers,iwae_2_k5=2/5=83.89 vae_2_k50=2/50=84.78 iwae_2_k50=2/50=82.90
"""
_STATIC_CELLS = """
    vae,iwae_k1=1/1=88.71 vae_k5=1/5=88.83 iwae=1/5=87.63
    iwae_two_layers_k1=2/1=88.08 vae_two_layers_k5=2/5=87.63 iwae_two_layers=2/5=86.17
"""
# 200 Bernoulli units a layer on static MNIST.
_BELIEF_NETS = {
    "sbn_linear_reinforce": 164.0,
    "sbn_linear_nvil": 113.1,
    "sbn_linear_concrete": 107.3,
    "sbn_reinforce": 114.6,
    "sbn_nvil": 102.2,
    "sbn_concrete": 99.6,
    "sbn_two_layers_reinforce": 159.2,
    "sbn_two_layers_nvil": 99.8,
    "sbn_two_layers_concrete": 95.6,
}

REFERENCES: tuple[Reference, ...] = (
    *_iwae_cells("mnist", _DYNAMIC, _IWAE, _DYNAMIC_CELLS),
    *_iwae_cells("mnist_static", "static binarisation", _IWAE_STATIC, _STATIC_CELLS),
    *(_nll(dataset, entry, nats, "lower_bound", f"{_STATIC}; 200 Bernoulli units a layer", _ARM, "V2")
      for dataset in ("mnist", "mnist_static") for entry, nats in _BELIEF_NETS.items()),
    _nll("mnist", "pixelcnn", 81.30, "exact", _STATIC, _ORD, "V2"),
    _nll("mnist", "pixelcnn", 81.45, "exact", f"{_DYNAMIC}, also at test", _README, "V"),
    _nll("mnist", "gated_pixelcnn", 80.10, "exact", "binary MNIST, re-implementation",
         "PixelVAE, Gulrajani et al. 2017, Table 1", "V"),
    _nll("mnist", "pixelsnail", 78.61, "exact", f"{_DYNAMIC}, also at test", _README, "V"),
    _nll("mnist", "made", 84.87, "exact", f"{_DYNAMIC}, also at test", _README, "V"),
    _nll("mnist", "ladder_vae", 81.74, "lower_bound", _DYNAMIC, "Chen et al. 2017 (VLAE), Table 2", "V2"),
    _nll("mnist_static", "pixelcnn", 81.30, "exact", "static binarisation", _ORD, "V2"),
    *(_nll("mnist_static", entry, nats, "exact", f"static binarisation, {what}", _ORD, "V2")
      for entry, nats, what in (
          ("diagonal_bilstm", 80.75, "1 layer of h=32, twice this entry's"),
          ("diagonal_bilstm_1", 80.75, "1 layer, h=32"), ("diagonal_bilstm_7", 79.20, "7 layers, h=16"),
          ("pixelcnn_7", 81.30, "PixelCNN"))),
    _nll("mnist_static", "made", 88.04, "exact", "static binarisation, 1 hidden layer, 32 masks",
         "Germain et al. 2015", "V2"),
    _nll("mnist_static", "nade", 88.33, "exact", "static binarisation",
         "variational Bi-LSTMs, Shabanian et al. 2017, Table 2", "V2"),
    *_iwae_cells("omniglot", _DYNAMIC, _IWAE, "vae,iwae_k1=1/1=108.11 vae_k5=1/5=107.62 iwae=1/5=106.12"),
    *ERRORS,
    Reference("mnist", "gray", "gan", "log_likelihood_parzen", 225.0, 2.0, "nats", "heuristic", _PARZEN,
              "Goodfellow et al. 2014, Table 1", "V"),
    Reference("tfd", "gray", "gan", "log_likelihood_parzen", 2057.0, 26.0, "nats", "heuristic", _PARZEN,
              "Goodfellow et al. 2014, Table 1", "V"),
    Reference("mnist", "gray", "aae", "log_likelihood_parzen", 340.0, 2.0, "nats", "heuristic", _PARZEN,
              "Makhzani et al. 2016", "V2"),
    _bpd("pixelcnn_gray", 3.14, _ORD, "V2"),
    _bpd("diagonal_bilstm_gray", 3.00, _ORD, "V2"),
    _bpd("gated_pixelcnn_gray", 3.03, "van den Oord et al. 2016 (conditional PixelCNN)", "V2"),
    _bpd("pixelcnn_pp_gray", 2.92, "Salimans et al. 2017", "V"),
    _bpd("gaussian", 4.70, _ORD, "V2"),
    *(_fid(d, "gan", v, s) for d, v, s in (
        ("mnist", 6.8, 0.5), ("fashion", 26.5, 1.6), ("cifar10", 58.5, 1.9), ("celeba", 55.0, 3.3))),
    *(_fid(d, "gan_minimax", v, s) for d, v, s in (
        ("mnist", 9.8, 0.9), ("fashion", 29.6, 1.6), ("cifar10", 72.7, 3.6), ("celeba", 65.6, 4.2))),
    *(_fid(d, "gan_least_squares", v, s) for d, v, s in (
        ("mnist", 7.8, 0.6), ("fashion", 30.7, 2.2), ("cifar10", 87.1, 47.5), ("celeba", 53.9, 2.8))),
    *(_fid(d, "wgan_gp", v, s) for d, v, s in (
        ("mnist", 20.3, 5.0), ("fashion", 24.5, 2.1), ("cifar10", 55.8, 0.9), ("celeba", 30.3, 1.0))),
    *(_fid(d, "vae_gray", v, s, _OF_MEANS) for d, v, s in (
        ("mnist", 16.6, 0.4), ("fashion", 43.6, 0.7), ("cifar10", 106.0, 1.0), ("celeba", 53.3, 0.6))),
)  # fmt: skip


def references(dataset: str, view: str, model: str) -> list[Reference]:
    """The published figures for one row of a table, in the order of `REFERENCES`."""
    return [r for r in REFERENCES if (r.dataset, r.view, r.model) == (dataset, view, model)]


def reference_text(reference: Reference) -> str:
    """A published value with kind mark, metric (unless the log-likelihood) and unit."""
    digits = max(1, len(repr(reference.value).partition(".")[2]))
    digits = max(2, digits) if reference.uncertainty is None else (0 if reference.value > 100 else digits)
    likelihood = declared(reference.metric).likelihood
    mark = kind_mark(reference.metric, reference.kind, reference.unit) + " " if likelihood else ""
    name = "" if reference.metric == EXACT.name else declared(reference.metric).label + " "
    spread = "" if reference.uncertainty is None else f" ± {reference.uncertainty:.{digits}f}"
    unit = UNITS[reference.unit]
    return f"{name}{mark}{number(reference.value, digits)}{spread}" + (f" {unit}" if unit else "")


def of_the_same_kind(reference: Reference) -> bool:
    """Whether it is of data binarised as ours are, and of samples; only then is it a line in a figure.

    Others are context: static likelihoods beside dynamic MNIST, FIDs of means beside those of samples.
    """
    static = reference.dataset == "mnist" and reference.protocol.startswith(_STATIC)
    return not static and not reference.protocol.startswith(_OF_MEANS)


def fits(reference: Reference, columns: Sequence[Column]) -> bool:
    """Whether a published figure has a column to compare with: of its metric, or of all likelihoods."""
    bound = declared(reference.metric).tightness is not None
    metrics = {reference.metric, EXACT.name} if bound else {reference.metric}
    return any(c.metric in metrics and c.unit == reference.unit for c in columns)
