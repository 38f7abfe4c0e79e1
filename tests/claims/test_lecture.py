"""Each claim on made-up results that support it, contradict it and leave it undecided."""

from __future__ import annotations

from typing import get_args

import pytest
from invented import (
    AE,
    BOUND,
    DCGAN,
    EDGES,
    EXACT,
    FID,
    GAN,
    MEANS,
    PARZEN,
    PIXEL,
    PLAIN,
    PPCA,
    PROBE,
    RATE,
    RECALL,
    SECONDS,
    VAE,
    Lines,
    cards_of,
    finding,
    lines,
)

from dgmbench.claims.claim import Verdict
from dgmbench.claims.lecture import CLAIMS

YES, NO, OPEN = get_args(Verdict)


def edges(vae: float, gan: float, **other: float) -> Lines:
    return lines(MEANS, {VAE: vae}, **other) + lines(EDGES, {VAE: 1.1, GAN: gan}, **other)


def inverted(other: dict[str, object], spread: float = 0.01, **values: float) -> Lines:
    """The likelihood puts PPCA first by 20 nats, another score what it is given."""
    nats = lines(EXACT, {PPCA: 60.0, PLAIN: 40.0}, kind="estimate")
    return nats + lines(other, {PPCA: values["ppca"], PLAIN: values["plain"]}, spread)


def exact(pixelrnn: str, vae: str) -> Lines:
    return lines(EXACT, {PIXEL: 80.0}, kind=pixelrnn) + lines(EXACT, {VAE: 70.0}, kind=vae)


def failed() -> Lines:
    trained = lines(EXACT, {PIXEL: 80.0, PLAIN: 40.0})
    return trained + lines({"metric": "diverged", "unit": "1", "split": "train"}, {PIXEL: 1.0}, seeds=1)


def prior(ae: float, drawn: float, **other: float) -> Lines:
    return lines(FID, {AE: ae, f"{AE}/prior": drawn}, **other)


CASES: dict[str, dict[str, Lines]] = {
    "autoencoder_no_generator": {YES: prior(2, 90), NO: prior(90, 2), OPEN: prior(9, 10, spread=0.5)},
    "vae_learns_efficiently": {
        YES: lines(SECONDS, {VAE: 10, PIXEL: 90}),
        NO: lines(SECONDS, {VAE: 90, PIXEL: 10}),
        OPEN: lines(SECONDS, {VAE: 10, PIXEL: 15}),
    },
    "vae_samples_efficiently": {
        YES: lines(RATE, {VAE: 9000, PIXEL: 100}),
        NO: lines(RATE, {VAE: 300, PIXEL: 100}),
        OPEN: lines(RATE, {VAE: 1500, PIXEL: 100}),
    },
    "vae_samples_blurry": {YES: edges(0.8, 1.0), NO: edges(1.05, 1.0), OPEN: edges(0.95, 1.0, spread=0.1)},
    "gan_most_realistic": {
        YES: lines(FID, {GAN: 2, DCGAN: 3, VAE: 9, PIXEL: 8}),
        NO: lines(FID, {GAN: 2, DCGAN: 20, VAE: 9, PIXEL: 8}),
        OPEN: lines(FID, {GAN: 7, DCGAN: 7, VAE: 9, PIXEL: 8}, 0.2),
    },
    "gan_underfits": {
        YES: lines(RECALL, {GAN: 0.5, VAE: 0.9}),
        NO: lines(RECALL, {GAN: 0.9, VAE: 0.5}),
        OPEN: lines(RECALL, {GAN: 0.88, VAE: 0.9}),
    },
    "pixelrnn_trains_easily": {
        YES: lines(EXACT, {PIXEL: 80, PLAIN: 40}, 0.001),
        NO: lines(EXACT, {PIXEL: 80, PLAIN: 40}, 1.0),
        OPEN: lines(EXACT, {PIXEL: 80, PLAIN: 40}, 0.03),
    },
    "pixelrnn_exact_likelihood": {
        YES: exact("exact", "lower_bound"),
        NO: exact("estimate", "lower_bound"),
        OPEN: lines(EXACT, {PIXEL: 80}),
    },
    "pixelrnn_no_latents": {
        YES: lines(PROBE, {VAE: 10, PIXEL: 30}),
        NO: lines(PROBE, {VAE: 30, PIXEL: 10}),
        OPEN: lines(PROBE, {VAE: 10, PIXEL: 11}, 0.1),
    },
    "pixelrnn_samples_slowly": {
        YES: lines(RATE, {VAE: 9000, GAN: 9000, PIXEL: 100}),
        NO: lines(RATE, {VAE: 9000, GAN: 300, PIXEL: 100}),
        OPEN: lines(RATE, {VAE: 9000, GAN: 1500, PIXEL: 100}),
    },
    "likelihood_is_not_quality": {
        YES: inverted(FID, ppca=30, plain=5),
        NO: inverted(FID, ppca=5, plain=30),
        OPEN: inverted(FID, spread=0.5, ppca=30, plain=25),
    },
    "parzen_misleads": {
        YES: inverted(PARZEN, ppca=5, plain=30),
        NO: inverted(PARZEN, ppca=30, plain=5),
        OPEN: inverted(PARZEN, spread=0.5, ppca=25, plain=30),
    },
    "evaluate_by_task": {
        YES: inverted(PROBE, ppca=30, plain=5),
        NO: inverted(PROBE, ppca=5, plain=30),
        OPEN: inverted(PROBE, spread=0.5, ppca=30, plain=25),
    },
}
CONTROLS = {
    "reinforce_high_variance": ("gradient_variance",),
    "gan_training_unstable": ("gan_instability",),
    "gan_drops_modes": ("gan_ring",),
    "gan_optimal_discriminator": ("gan_theory",),
    "likelihood_is_not_quality": ("noise_mixture", "lookup_table"),
    "neighbours_only_heuristic": ("pixel_shift", "planted_copies"),
    "parzen_misleads": ("parzen_truth", "parzen_kmeans"),
    "overfit_and_underfit": ("overfit_underfit",),
}


@pytest.mark.parametrize("verdict", get_args(Verdict))
@pytest.mark.parametrize("name", CASES)
def test_results_decide_a_claim(name: str, verdict: str) -> None:
    card = cards_of(CASES[name][verdict])[name]
    assert card.verdict == verdict
    assert card.models or card.decider
    assert bool(card.decider) == (verdict == OPEN)


@pytest.mark.parametrize("verdict", get_args(Verdict))
@pytest.mark.parametrize("name", CONTROLS)
def test_the_last_control_decides_a_claim_that_the_others_support(name: str, verdict: str) -> None:
    *others, last = CONTROLS[name]
    findings = [*(finding(other, YES) for other in others), finding(last, verdict)]
    card = cards_of(lines(FID, {GAN: 2.0}), findings)[name]
    assert card.verdict == verdict
    assert (card.picture, card.pictured) == ("control", CONTROLS[name][0])
    assert all(f"{control} says it." in card.statistic for control in CONTROLS[name])
    assert card.models == tuple(f"control/{control}/x" for control in CONTROLS[name])


def test_every_claim_has_its_case_here() -> None:
    assert CASES.keys() | CONTROLS.keys() == {claim.name for claim in CLAIMS}


@pytest.mark.parametrize("name", sorted(CASES.keys() - {"pixelrnn_exact_likelihood"}))
def test_one_seed_decides_nothing(name: str) -> None:
    for rows in CASES[name].values():
        card = cards_of([line for line in rows if line["seed"] == 0])[name]
        assert card.verdict == OPEN
        assert card.decider.startswith("more than one seed")


@pytest.mark.parametrize("field", ["name", "text", "hypothesis"])
def test_texts_are_unique(field: str) -> None:
    assert len({getattr(claim, field) for claim in CLAIMS}) == len(CLAIMS)


def test_texts_are_there() -> None:
    for claim in CLAIMS:
        texts = (claim.name, claim.text, claim.source, claim.hypothesis, claim.decider, claim.unclear)
        assert all(texts), claim.name
        assert claim.source.startswith('slide "') and claim.text.endswith(".")


def test_without_models_a_claim_says_what_would_decide_it() -> None:
    for card in cards_of(lines(FID, {PPCA: 9.0})).values():
        assert (card.verdict, card.statistic) == (OPEN, "")
        assert card.decider == next(claim.decider for claim in CLAIMS if claim.name == card.name)


def test_a_failed_training_contradicts_that_pixelrnns_train_easily() -> None:
    card = cards_of(failed())["pixelrnn_trains_easily"]
    assert (card.verdict, card.statistic, card.models) == (NO, f"Training failed: {PIXEL}, seed 0.", (PIXEL,))


def test_a_control_and_the_models_have_to_agree() -> None:
    rows = CASES["likelihood_is_not_quality"][YES]
    for outcome in get_args(Verdict):
        card = cards_of(rows, [finding("noise_mixture", outcome)])["likelihood_is_not_quality"]
        assert card.verdict == outcome
        assert card.models == (PPCA, PLAIN, "control/noise_mixture/x") and card.view == "gray"


def test_bounds_of_two_models_show_no_order() -> None:
    bounds = lines(BOUND, {PPCA: 60.0, PLAIN: 40.0}) + lines(FID, {PPCA: 30.0, PLAIN: 5.0})
    assert cards_of(bounds)["likelihood_is_not_quality"].statistic == ""
