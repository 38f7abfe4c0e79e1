"""What families are compared by in the answer: one number for each thing that a reader wants to know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dgmbench.claims.evidence import TASK
from dgmbench.claims.families import RATE, SECONDS


@dataclass(frozen=True)
class Aspect:
    """One column of the answer.

    keys: columns of the tables, of which the first that a view has is taken; none for what the table of
    errors by labels holds. best, worst: what a family has that is clearly better or worse than every other;
    empty where neither end is better.
    """

    name: str
    keys: tuple[str, ...]
    best: str
    worst: str


LIKELIHOOD = Aspect(
    "likelihood",
    ("log_likelihood [nats]",),
    "the highest likelihood",
    "the lowest likelihood",
)
QUALITY = Aspect(
    "sample quality",
    ("fid_domain [1]", "fid_inception [1]"),
    "the best samples",
    "the worst samples",
)
# Over shifts, since it finds copies that were moved; neither end is better, see `sentences`.
MEMORISATION = Aspect(
    "memorisation",
    ("nn_distance_ratio_shifts [1]", "nn_distance_ratio [1]"),
    "",
    "",
)
DOWNSTREAM = Aspect(
    "downstream error",
    (),
    f"the lowest error with {TASK} labels",
    f"the highest error with {TASK} labels",
)
SAMPLING = Aspect("sampling speed", (RATE,), "the fastest sampling", "the slowest sampling")
TRAINING = Aspect("training time", (SECONDS,), "the shortest training", "the longest training")

ASPECTS = (LIKELIHOOD, QUALITY, MEMORISATION, DOWNSTREAM, SAMPLING, TRAINING)

# What readers call the families of the registry; others go by their names.
FAMILY_WORDS: Mapping[str, str] = {
    "uniform": "uniform noise",
    "independent": "independent pixels",
    "gaussian": "Gaussian",
    "gaussian_mixture": "mixture of Gaussians",
    "bernoulli_mixture": "mixture of Bernoullis",
    "kde": "kernel density",
    "ppca": "PPCA",
    "vae": "VAE",
    "iwae": "IWAE",
    "sigmoid_belief": "sigmoid belief net",
    "conditional_vae": "conditional VAE",
    "m1": "M1",
    "m2": "M2",
    "m1_m2": "M1+M2",
    "gan": "GAN",
    "dcgan": "DCGAN",
    "ssgan": "semi-supervised GAN",
    "autoencoder": "auto-encoder",
    "pixelcnn": "PixelCNN",
    "gated_pixelcnn": "gated PixelCNN",
    "row_lstm": "Row LSTM",
    "diagonal_bilstm": "Diagonal BiLSTM",
}


def family_words(family: str) -> str:
    """What readers call a family."""
    return FAMILY_WORDS.get(family, family.replace("_", " "))
