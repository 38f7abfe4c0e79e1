"""What the lecture says of PixelRNNs: easy training, exact likelihood, no latents, slow sampling."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

from dgmbench.claims.card import NOTHING, Claim, Judged
from dgmbench.claims.claim import Verdict
from dgmbench.claims.comparison import Comparison, higher
from dgmbench.claims.evidence import GANS, INDEPENDENT, PIXELRNNS, TASK, VAES, VIEWS, Evidence, Score
from dgmbench.claims.families import (
    MAGNITUDE,
    RATE,
    TIMING,
    UNHURRIED,
    every_where_met,
    meeting,
    pairs_below,
    pairs_faster,
)
from dgmbench.claims.judging import every
from dgmbench.metrics import declared
from dgmbench.metrics.likelihood import EXACT
from dgmbench.reporting.comparison.cells import decimals, number
from dgmbench.reporting.comparison.table import Row
from dgmbench.statistics import deviation_interval

SLIDE = 'slide "PixelRNN: pros and cons"'
LIKELIHOOD = f"{EXACT.name} [nats]"
# A seed matters little if likelihoods scatter by less than this share of what training has gained.
STEADY = 0.1
_SHARE = f"{100 * STEADY:.0f} %"


def _trains_easily(evidence: Evidence) -> Judged:
    failed = evidence.failed(PIXELRNNS)
    if failed:
        models = tuple(dict.fromkeys(name.partition(",")[0] for name in failed))
        return Judged("contradicted", f"Training failed: {'; '.join(failed)}.", models)
    return every_where_met(
        evidence,
        LIKELIHOOD,
        (PIXELRNNS, INDEPENDENT),
        lambda trained, simple: [
            part for pair in product(trained, simple) for part in (higher(*pair), _steady(*pair))
        ],
    )


def _steady(trained: Score, simple: Score) -> Comparison:
    """That the likelihoods' standard deviation over seeds is less than a share of the mean gain."""
    gain = trained.cell.mean - simple.cell.mean
    scatter = deviation_interval(trained.cell.values)
    ends = [number(end, decimals(max(scatter.mean, 0.0), "nats")) for end in (scatter.low, scatter.high)]
    said = f"95 %: {ends[0]} to {ends[1]}" if scatter.is_known else "unknown with one seed"
    words = f"standard deviation of {trained.model} over seeds ({said} nats) against {_SHARE} of that gain"
    return Comparison(
        lambda level: deviation_interval(trained.cell.values, level).below(STEADY * gain),
        words, (trained.model, simple.model), (trained.cell.metric,),
    )  # fmt: skip


def _exact_likelihood(evidence: Evidence) -> Judged:
    """A kind is no estimate: one seed shows it, and there is no interval."""
    for view in VIEWS:
        own, others = evidence.rows(view, PIXELRNNS), evidence.rows(view, (*VAES, *GANS))
        own = [row for row in own if row.bounds.get("nats")]
        if own and others:
            exact = all(_is_exact(row) for row in own) and not any(_is_exact(row) for row in others)
            said = "; ".join(_bounds(row) for row in (*own, *others))
            models = tuple(row.model for row in (*own, *others))
            verdict: Verdict = "supported" if exact else "contradicted"
            return Judged(verdict, f"{said}.", models, _metrics((*own, *others)), view)
    return NOTHING


def _is_exact(row: Row) -> bool:
    return any(cell.kind == "exact" for cell in row.bounds.get("nats", ()))


def _metrics(rows: Sequence[Row]) -> tuple[str, ...]:
    cells = [row.cells[LIKELIHOOD] for row in rows if LIKELIHOOD in row.cells]
    return tuple(dict.fromkeys(cell.metric for cell in cells))


def _bounds(row: Row) -> str:
    cell = row.cells.get(LIKELIHOOD)
    return f"{row.model}: {declared(cell.metric).label} {cell.plain} nats" if cell else f"{row.model}: none"


def _no_latents(evidence: Evidence) -> Judged:
    for view in VIEWS:
        groups = [
            [score for row in evidence.rows(view, group) if (score := evidence.probe(row.model))]
            for group in (VAES, PIXELRNNS)
        ]
        if all(groups):
            return every(pairs_below(*groups), view)
    return NOTHING


def _samples_slowly(evidence: Evidence) -> Judged:
    found = meeting(evidence, RATE, PIXELRNNS, VAES, GANS) or meeting(evidence, RATE, PIXELRNNS, VAES)
    if found is None:
        return NOTHING
    view, (slow, *others) = found
    return every(pairs_faster(evidence, [score for group in others for score in group], slow), view)


CLAIMS = (
    Claim(
        name="pixelrnn_trains_easily",
        text="A PixelRNN is straightforward to train: every seed comes to about the same likelihood.",
        source=SLIDE,
        hypothesis="No training of a PixelRNN fails; each one's log-likelihood lies above that of "
        f"independent pixels, and its standard deviation over seeds is below {_SHARE} of that gain "
        "(interval by chi-squared).",
        judge=_trains_easily,
        picture="curves",
        decider="entries of the families pixelcnn and independent in one view (pipeline digits)",
        unclear="more seeds: the interval of a standard deviation of few is wide",
    ),
    Claim(
        name="pixelrnn_exact_likelihood",
        text="A PixelRNN has an exact likelihood; VAEs and GANs have bounds at best.",
        source=f'{SLIDE}; slide "quantitative comparison"; van den Oord et al. 2016, section 2',
        hypothesis="The kind of each PixelRNN's log_likelihood is exact, and no VAE or GAN of the same view "
        "has an exact one.",
        judge=_exact_likelihood,
        picture="likelihoods",
        decider="entries of the families pixelcnn and vae or gan in one view (pipeline digits)",
    ),
    Claim(
        name="pixelrnn_no_latents",
        text="A PixelRNN learns no latent representation.",
        source=SLIDE,
        hypothesis=f"A linear probe with {TASK} labels errs less on each VAE's latents than on each "
        f"PixelRNN's hidden states, view by view (probe_error_{TASK}).",
        judge=_no_latents,
        picture="labels",
        decider=f"probe_labels with {TASK} and entries of the families vae and pixelcnn (pipeline digits)",
        unclear="more seeds, each with its own label set",
    ),
    Claim(
        name="pixelrnn_samples_slowly",
        text="A PixelRNN samples slowly, pixel by pixel.",
        source=f"{SLIDE}; van den Oord et al. 2016, section 6",
        hypothesis=f"Each VAE and each GAN draws at least {MAGNITUDE:g} times as many images a second "
        f"(sampling_rate) as each PixelRNN of the same view. {TIMING}",
        judge=_samples_slowly,
        picture="all samples",
        unclear=UNHURRIED,
        decider="entries of the families pixelcnn and vae in one view (pipeline digits)",
    ),
)
