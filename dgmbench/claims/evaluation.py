"""What the lecture says of evaluating generative models, after Theis, van den Oord & Bethge 2016."""

from __future__ import annotations

from dgmbench.claims.card import Claim, Judged
from dgmbench.claims.evidence import TASK, VIEWS, Evidence
from dgmbench.claims.inverted import Order, better_fid, better_parzen, better_task, inversions, likelier
from dgmbench.claims.judging import of_controls, some, together

SLIDE = 'slide "evaluating generative models"'
THEIS = "Theis et al. 2016"
_CORRECTED = "All pairs of the view are looked at, so the intervals are Bonferroni's."


def _inverted(evidence: Evidence, *orders: tuple[Order, Order]) -> Judged:
    """Some two models that the orders of a pair put one way round and the other; in one view."""
    for view in VIEWS:
        rows = evidence.rows(view)
        cases = [case for order, other in orders for case in inversions(rows, order, other)]
        if cases:
            return some(cases, view)
    return some((), "")


def _likelihood_is_not_quality(evidence: Evidence) -> Judged:
    pairs = _inverted(evidence, (likelier, better_fid))
    return together(pairs, of_controls(evidence, "noise_mixture", "lookup_table"))


def _parzen_misleads(evidence: Evidence) -> Judged:
    pairs = _inverted(evidence, (likelier, better_parzen))
    return together(pairs, of_controls(evidence, "parzen_truth", "parzen_kmeans"))


def _evaluate_by_task(evidence: Evidence) -> Judged:
    task = better_task(evidence)
    return _inverted(evidence, (better_fid, task), (likelier, task))


CLAIMS = (
    Claim(
        name="likelihood_is_not_quality",
        text="Log-likelihood says little of the quality of samples.",
        source=f"{SLIDE}; {THEIS}, section 3.2",
        hypothesis="There are two models of one view, the first clearly better in log-likelihood (its value "
        f"or bound above the other's value) and clearly worse in domain FID. {_CORRECTED} The controls "
        "noise_mixture and lookup_table show it too, where a pipeline has them.",
        judge=_likelihood_is_not_quality,
        picture="quality",
        decider="likelihoods and domain FIDs of two models of one view, or the control noise_mixture "
        "(pipeline digits)",
    ),
    Claim(
        name="neighbours_only_heuristic",
        text="The nearest training images of samples are only a heuristic check for copies.",
        source=f"{SLIDE}; {THEIS}, section 3.4",
        hypothesis="In the control pixel_shift copies moved by a pixel lie about as far from the training "
        "images as unseen images do; in planted_copies, where a pipeline has it, scores of copying miss "
        "small shares of copies and moved ones.",
        judge=lambda evidence: of_controls(evidence, "pixel_shift", "planted_copies"),
        decider="the controls pixel_shift and planted_copies (pipeline digits-controls)",
    ),
    Claim(
        name="parzen_misleads",
        text="Parzen window estimates mislead.",
        source=f"{SLIDE}; {THEIS}, section 3.5",
        hypothesis="There are two models of one view, the first clearly better in log-likelihood (its value "
        f"or bound above the other's value) and clearly worse by the Parzen score. {_CORRECTED} The controls "
        "parzen_truth and parzen_kmeans show it too, where a pipeline has them.",
        judge=_parzen_misleads,
        picture="likelihoods",
        decider="Parzen scores and likelihoods of two models of one view, or the control parzen_truth "
        "(pipeline digits)",
    ),
    Claim(
        name="overfit_and_underfit",
        text="A model can overfit and underfit at once.",
        source=f"{SLIDE}; Lucic et al. 2018, section 5",
        hypothesis="In the control overfit_underfit a model that repeats known images and has given up a "
        "class is nearer to the training set than unseen images are, and covers less.",
        judge=lambda evidence: of_controls(evidence, "overfit_underfit"),
        decider="the control overfit_underfit (pipeline digits)",
    ),
    Claim(
        name="evaluate_by_task",
        text="Models are to be evaluated by the final task: other scores order them differently.",
        source=f"{SLIDE}; {THEIS}, section 4",
        hypothesis="There are two models of one view, the first clearly better in domain FID or in "
        f"log-likelihood and clearly worse in test error at {TASK} labels (its own classifier's, else a "
        f"linear probe's). {_CORRECTED}",
        judge=_evaluate_by_task,
        picture="labels",
        decider=f"errors at {TASK} labels and domain FIDs of two models of one view (pipeline digits)",
        unclear="more seeds, each with its own label set, or a larger test split",
    ),
)
