"""What the lecture says of auto-encoders, and of gradients through random units."""

from __future__ import annotations

from dgmbench.claims.card import NOTHING, Claim, Judged
from dgmbench.claims.comparison import lower
from dgmbench.claims.evidence import AUTOENCODERS, VIEWS, Evidence, Score
from dgmbench.claims.inverted import FID
from dgmbench.claims.judging import every, of_controls


def _no_generator(evidence: Evidence) -> Judged:
    for view in VIEWS:
        parts = []
        for fitted in evidence.scores(view, AUTOENCODERS, FID):
            name = f"{fitted.model}/prior"
            row = evidence.row(view, name)
            if row is not None and FID in row.cells:
                parts.append(lower(fitted, Score(name, row.cells[FID])))
        if parts:
            return every(parts, view)
    return NOTHING


CLAIMS = (
    Claim(
        name="autoencoder_no_generator",
        text="A plain auto-encoder is no generator: decoded draws from N(0, I) are not like data.",
        source='slide "VAE: pros and cons" (from auto-encoder to VAE); Ghosh et al. 2020, section 1',
        hypothesis="The domain FID (fid_domain) of images decoded from N(0, I) (`<entry>/prior`) lies above "
        "that of images decoded from a mixture fitted to the same auto-encoder's codes.",
        judge=_no_generator,
        picture="all samples",
        decider="an entry of the family autoencoder, which is sampled from its prior too (pipeline digits)",
    ),
    Claim(
        name="reinforce_high_variance",
        text="REINFORCE estimates gradients with a high variance.",
        source='slide "VAE: pros and cons" (reparameterisation); Kingma & Welling 2014, section 2.2; Mnih & '
        "Gregor 2014, section 2.3",
        hypothesis="In the control gradient_variance the score-function estimate varies more, at the same "
        "parameters, than the reparameterised one, and than those with baselines (NVIL, VIMCO).",
        judge=lambda evidence: of_controls(evidence, "gradient_variance"),
        decider="the control gradient_variance (pipeline digits)",
    ),
)
