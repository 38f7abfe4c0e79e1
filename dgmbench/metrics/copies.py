"""Whether samples are copies of training images: distances to the nearest, in pixels and in features."""

from __future__ import annotations

from dgmbench.metrics.allowance import PERCENT, Allowance, Size
from dgmbench.metrics.metric import Metric, Topic

MEMORISATION = Topic.MEMORISATION
_RATIO = Allowance(Size(0.052))
_AUTHENTIC = Allowance(Size(absolute=2.0), rounding=PERCENT)
_AUTHENTIC_DOMAIN = Allowance(Size(absolute=2.0), classifier=Size(absolute=3.5), rounding=PERCENT)
_IN_FEATURES = "in the features of the domain classifier"

METRICS = (
    Metric(
        "nn_distance_ratio", "NN distance ratio", "1", "one", MEMORISATION,
        "mean distance of generated images to their nearest training image over that of held-out images; far "
        "below 1 hints at copying",
        over_test_images=True, allowed=_RATIO,
    ),
    Metric(
        "nn_distance_ratio_domain", "NN distance ratio (domain)", "1", "one", MEMORISATION,
        f"NN distance ratio {_IN_FEATURES}",
        over_test_images=True, allowed=Allowance(Size(0.04), classifier=Size(0.024)),
    ),
    Metric(
        "nn_distance_ratio_shifts", "NN distance ratio (±1 pixel)", "1", "one", MEMORISATION,
        "NN distance ratio over all shifts by up to one pixel, where images overlap; finds copies that were "
        "moved",
        over_test_images=True, allowed=_RATIO,
    ),
    Metric(
        "auth_pct", "authentic", "percent", "none", MEMORISATION,
        "share of generated images whose nearest training image lies nearer to another training image than "
        "to them (AuthPct), averaged over ties; far below that of held-out images hints at copying, above it "
        "at poor samples",
        allowed=_AUTHENTIC,
    ),
    Metric(
        "auth_pct_domain", "authentic (domain)", "percent", "none", MEMORISATION,
        f"AuthPct {_IN_FEATURES}",
        allowed=_AUTHENTIC_DOMAIN,
    ),
    Metric(
        "auth_pct_heldout", "authentic held-out images", "percent", "none", MEMORISATION,
        "AuthPct of held-out images",
        hidden=True, allowed=_AUTHENTIC,
    ),
    Metric(
        "auth_pct_heldout_domain", "authentic held-out images (domain)", "percent", "none", MEMORISATION,
        f"AuthPct of held-out images {_IN_FEATURES}",
        hidden=True, allowed=_AUTHENTIC_DOMAIN,
    ),
    Metric(
        "c_t", "C_T", "1", "none", MEMORISATION,
        "Mann-Whitney Z of distances to training images, generated against held-out, averaged over cells; "
        "far below 0 hints at copying, far above at poor samples; grows with the number of images",
        over_test_images=True, allowed=Allowance(Size(absolute=0.3)),
    ),
    Metric(
        "c_t_domain", "C_T (domain)", "1", "none", MEMORISATION, f"C_T {_IN_FEATURES}",
        over_test_images=True, allowed=Allowance(Size(absolute=0.6), classifier=Size(absolute=0.25)),
    ),
)  # fmt: skip
