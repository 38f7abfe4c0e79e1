"""By how much another machine, or other seeds, can make a number worse.

The same code gives other numbers on another processor. Closed forms differ by rounding. Everything that is
trained drifts apart from there, at most until it is in effect the training of another seed; so does the
domain classifier, which all seeds share. A check that holds on every machine has to allow for the three:

**Tolerance.** A mean may be worse than the baseline's by rounding + sqrt(seeds^2 + (z sqrt(2) c)^2). c is the
classifier's standard deviation: there is one classifier on each side, however many seeds there are, hence
sqrt(2). Rounding, c and d (below) are declared with the metric, see `dgmbench.metrics.allowance`. Where c or
d is a share of the value, they compound (`Size.reach`): z c becomes exp(z c) - 1 of the baseline, which may
be a low draw itself. `seeds` is the smaller of two bounds:

- the entry's own, t(1 - a, n1 + n2 - 2) s sqrt(1/n1 + 1/n2), with the standard deviation s pooled over the
  seeds of both sides: the two-sample t test. It is sharp where seeds agree, and needs no assumption on how
  much they do; but three seeds say little of s (t is 21 where a normal quantile is 4), and one seed that
  collapsed widens s enough to hide itself.
- that of the metric, z(1 - a) d sqrt(1/n1 + 1/n2), with d the largest standard deviation over seeds that any
  entry has in it, or the baseline's own where that is larger. No current seed widens it, so that a collapse
  is found; and it holds for one seed as well.

Models are not pooled with each other: a closed-form fit has no spread and a GAN has much. A control that was
carried out once trains nothing (its draws are fixed), so that nothing is allowed for seeds.

**Level.** Hundreds of numbers are checked, and one false alarm fails the check. So a is the wanted rate of
false alarms of a whole check, `FALSE_ALARMS`, over the number of comparisons, half for each bound (union
bound): at most one check in a hundred on new machines or seeds fails without cause, fewer as metrics depend
on each other. On one machine numbers repeat exactly.

**Power.** With three seeds on both sides and 400 numbers, a loss of 3.4 d, or of 18 s where that is less, is
found half the time beyond rounding and classifier. More seeds in the baseline sharpen the check: 8 against 3
find 5 s. The classifier's share does not shrink with seeds: by it alone FIDs may grow threefold. Domain
scores find only large losses.
"""

from __future__ import annotations

import math
from typing import Any

from dgmbench.metrics import Allowance
from dgmbench.statistics import normal_quantile, student_quantile

# The share of whole checks that fail though nothing but machine and seeds has changed, at most.
FALSE_ALARMS = 0.01


def level_of(comparisons: int) -> float:
    """The probability of a false alarm that each bound of each comparison may have."""
    return FALSE_ALARMS / (2 * max(comparisons, 1))


def tolerance(
    allowed: Allowance, before: dict[str, Any], now: dict[str, Any], level: float, *, trained: bool = True
) -> tuple[float, str]:
    """The largest loss that machine and seeds explain, and in words what explains most of it.

    Args:
        allowed: what the metric's declaration allows.
        before, now: summaries over seeds: `mean`, `sd` (None for one seed), `n`.
        level: of `level_of`.
        trained: whether this is a model's; with one repetition nothing else has a spread over seeds.
    """
    mean = before["mean"]
    quantile, growing = normal_quantile(1 - level), abs(now["mean"]) > abs(mean)
    parts = {
        "rounding": allowed.rounding.of(mean),
        "the classifier": allowed.classifier.reach(mean, math.sqrt(2) * quantile, growing=growing),
    }
    scale = math.sqrt(1 / before["n"] + 1 / now["n"])
    declared = max(
        allowed.seeds.reach(mean, quantile * scale, growing=growing), (before["sd"] or 0.0) * quantile * scale
    )
    found, whose = _seeds(declared, before, now, level, trained)
    parts[whose] = found
    total = parts["rounding"] + math.hypot(found, parts["the classifier"])
    return total, max(parts, key=lambda name: parts[name])


def _seeds(
    declared: float, before: dict[str, Any], now: dict[str, Any], level: float, trained: bool
) -> tuple[float, str]:
    """The smaller of the kind's bound and the entry's own, and its name."""
    freedom = before["n"] + now["n"] - 2
    if freedom < 1:
        return (declared if trained else 0.0), "one seed of any entry"
    squares = sum((side["n"] - 1) * (side["sd"] or 0.0) ** 2 for side in (before, now))
    scale = math.sqrt(1 / before["n"] + 1 / now["n"])
    own = student_quantile(1 - level, freedom) * math.sqrt(squares / freedom) * scale
    if own <= declared:
        return own, f"{before['n']} and {now['n']} seeds"
    return declared, "seeds of any entry"
