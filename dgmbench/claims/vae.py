"""What the lecture says of VAEs: they learn and sample efficiently, and their samples are blurry."""

from __future__ import annotations

from itertools import product

from dgmbench.claims.card import NOTHING, Claim, Judged
from dgmbench.claims.comparison import below, times
from dgmbench.claims.evidence import GANS, PIXELRNNS, VAES, Evidence
from dgmbench.claims.families import (
    MAGNITUDE,
    RATE,
    SECONDS,
    TIMING,
    UNHURRIED,
    every_where_met,
    pairs_below,
    pairs_faster,
    timed,
)
from dgmbench.claims.judging import every

SLIDE = 'slide "VAE: pros and cons"'
EDGES = "edge_sharpness_ratio [1]"
# Of mean images: a draw's observation noise hides the blur of the image under it.
EDGES_OF_MEANS = "edge_sharpness_ratio_mean [1]"


def _learns_efficiently(evidence: Evidence) -> Judged:
    return every_where_met(
        evidence,
        SECONDS,
        (VAES, PIXELRNNS),
        lambda quick, long: [timed(evidence, times(b, a, 1.0)) for a, b in product(quick, long)],
    )


def _samples_efficiently(evidence: Evidence) -> Judged:
    return every_where_met(
        evidence, RATE, (VAES, PIXELRNNS), lambda fast, slow: pairs_faster(evidence, fast, slow)
    )


def _blurry(evidence: Evidence) -> Judged:
    """In gray alone: every edge of a black-and-white image is one pixel wide."""
    view = "gray"
    blurred = evidence.scores(view, VAES, EDGES_OF_MEANS, EDGES)
    sharp = evidence.scores(view, GANS, EDGES_OF_MEANS, EDGES)
    if not blurred or not sharp:
        return NOTHING
    parts = [below(score, 1.0, "test images") for score in blurred] + pairs_below(blurred, sharp)
    return every(parts, view)


CLAIMS = (
    Claim(
        name="vae_learns_efficiently",
        text="A VAE learns efficiently: its training takes less time than a PixelRNN's.",
        source=f"{SLIDE}; Kingma & Welling 2014, section 2.3",
        hypothesis="Each PixelRNN trains for more seconds (training_seconds) than each VAE of the same view. "
        f"{TIMING} A pipeline sets the lengths of trainings, so that similar times decide nothing.",
        judge=_learns_efficiently,
        picture="costs",
        decider="entries of the families vae and pixelcnn in one view (pipeline digits)",
        unclear="trainings that each go on until the validation loss stops falling: here the pipeline gives "
        "the families lengths of similar cost",
    ),
    Claim(
        name="vae_samples_efficiently",
        text="A VAE samples efficiently: one pass through the decoder draws an image.",
        source=f"{SLIDE}; van den Oord et al. 2016, section 6, on what a PixelRNN needs instead",
        hypothesis=f"Each VAE draws at least {MAGNITUDE:g} times as many images a second (sampling_rate) as "
        f"each PixelRNN of the same view. {TIMING}",
        judge=_samples_efficiently,
        picture="all samples",
        unclear=UNHURRIED,
        decider="entries of the families vae and pixelcnn in one view (pipeline digits)",
    ),
    Claim(
        name="vae_samples_blurry",
        text="A VAE's samples are blurry.",
        source=f"{SLIDE}; Larsen et al. 2016, section 1, on pixel-wise losses",
        hypothesis="The edges of each VAE's mean images are less steep than those of test images "
        "(edge_sharpness_ratio_mean below 1), and than those of each GAN's samples. Mean images, since drawn "
        "observation noise hides blur; edges and not spectral energy, which noise raises.",
        judge=_blurry,
        picture="spectra",
        decider="entries of the families vae and gan in the gray view (pipeline digits); black-and-white "
        "images have no edges that blur",
    ),
)
