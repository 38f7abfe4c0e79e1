"""Every interval of the benchmark: of means over seeds and images, of differences, of rates.

`interval` has the one type and its quantiles, `effects` means and differences over trainings and test images
(Student, Welch, paired), `rates` shares of trials (Wilson, Agresti and Coull, Agresti and
Caffo). Nothing here imports torch, and SciPy only where a quantile of Student's t is taken.
"""

from dgmbench.statistics.effects import (
    NONE,
    Part,
    Sources,
    deviation_interval,
    mean_interval,
    over_images,
    over_trainings,
    paired_difference,
    sources,
    student_interval,
    unpaired_difference,
)
from dgmbench.statistics.interval import (
    LEVEL,
    Interval,
    chi2_quantile,
    normal_quantile,
    simultaneous,
    student_quantile,
)
from dgmbench.statistics.rates import (
    agresti_coull_interval,
    binomial_std_error,
    rate_difference,
    wilson_interval,
)

__all__ = [
    "LEVEL",
    "NONE",
    "Interval",
    "Part",
    "Sources",
    "agresti_coull_interval",
    "binomial_std_error",
    "chi2_quantile",
    "deviation_interval",
    "mean_interval",
    "normal_quantile",
    "over_images",
    "over_trainings",
    "paired_difference",
    "rate_difference",
    "simultaneous",
    "sources",
    "student_interval",
    "student_quantile",
    "unpaired_difference",
    "wilson_interval",
]
