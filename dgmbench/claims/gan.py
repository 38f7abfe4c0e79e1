"""What the lecture says of GANs: realistic samples, unstable training, underfitting, and the optimal D."""

from __future__ import annotations

from dgmbench.claims.card import Claim, Judged
from dgmbench.claims.evidence import GANS, PIXELRNNS, VAES, Evidence
from dgmbench.claims.families import every_where_met, pairs_below
from dgmbench.claims.inverted import FID
from dgmbench.claims.judging import of_controls

SLIDE = 'slide "GAN: pros and cons"'
RECALL = "recall [1]"


def _most_realistic(evidence: Evidence) -> Judged:
    return every_where_met(
        evidence,
        FID,
        (GANS, VAES, PIXELRNNS),
        lambda gans, vaes, pixelrnns: pairs_below(gans, [*vaes, *pixelrnns]),
    )


def _underfits(evidence: Evidence) -> Judged:
    return every_where_met(evidence, RECALL, (GANS, VAES), pairs_below)


CLAIMS = (
    Claim(
        name="gan_most_realistic",
        text="GANs give the most realistic samples.",
        source=f'{SLIDE}; slide "qualitative comparison"',
        hypothesis="Each GAN's domain FID (fid_domain) lies below that of each VAE and each PixelRNN of the "
        "same view.",
        judge=_most_realistic,
        picture="all samples",
        decider="entries of the families gan or dcgan, vae and pixelcnn in one view (pipeline digits)",
    ),
    Claim(
        name="gan_training_unstable",
        text="Training a GAN is unstable: from one seed to the next the same settings succeed or fail.",
        source=f"{SLIDE}; Radford et al. 2016, section 1; Gulrajani et al. 2017, section 5",
        hypothesis="Under some objective the control gan_instability sees trainings both succeed and fail, "
        "and the Wasserstein loss with penalty succeeds more often than the non-saturating one.",
        judge=lambda evidence: of_controls(evidence, "gan_instability"),
        decider="the control gan_instability (pipeline digits-controls)",
    ),
    Claim(
        name="gan_drops_modes",
        text="A generator that moves ahead of its discriminator drops modes.",
        source=f"{SLIDE}; Goodfellow et al. 2014, section 6 (the Helvetica scenario)",
        hypothesis="In the control gan_ring a generator that takes turns with its discriminator finds most "
        "modes of a ring of Gaussians, and one that moves ahead finds fewer.",
        judge=lambda evidence: of_controls(evidence, "gan_ring"),
        decider="the control gan_ring (pipeline digits-controls)",
    ),
    Claim(
        name="gan_underfits",
        text="GANs underfit: their samples cover less of the data than a VAE's.",
        source=f"{SLIDE}; Lucic et al. 2018, section 5, on recall",
        hypothesis="Each GAN's recall lies below that of each VAE of the same view. Recall asks the samples "
        "alone; an annealed likelihood would compare a VAE's own observation noise with one that was added "
        "to the GAN.",
        judge=_underfits,
        picture="quality",
        decider="entries of the families gan or dcgan and vae in one view (pipeline digits)",
    ),
    Claim(
        name="gan_optimal_discriminator",
        text="For a fixed generator the optimal discriminator is D* = p_data / (p_data + p_G).",
        source=f"{SLIDE}; Goodfellow et al. 2014, proposition 1 and theorem 1",
        hypothesis="Between known densities, in the control gan_theory, trained discriminators come to D* "
        "and to its value 2 JSD - log 4; too few draws, units or steps keep them away.",
        judge=lambda evidence: of_controls(evidence, "gan_theory"),
        decider="the control gan_theory (pipeline digits)",
    ),
)
