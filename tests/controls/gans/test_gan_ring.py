"""The ring: its density, how samples are counted, and what makes the outcome."""

from __future__ import annotations

import math

import pytest
import torch
from finding_checks import check, context, table, trace
from pydantic import ValidationError

from dgmbench.controls.control import Context
from dgmbench.controls.gans.ring import AHEAD, GANRing, GANRingSettings, _Score
from dgmbench.data.dataset import Dataset
from dgmbench.models.adversarial.objectives import OBJECTIVES

SMALL = {"width": 16, "moves": 20, "batch_size": 32, "samples": 400, "repetitions": 2}


def control(**settings: object) -> GANRing:
    return GANRing(GANRingSettings.model_validate(SMALL | settings))


def test_data_find_every_mode() -> None:
    one = control()
    draws = one.real(4000, torch.Generator().manual_seed(0))
    assert draws.norm(dim=1).mean() == pytest.approx(2.0, abs=0.01)
    score = one._score(draws)
    assert score.modes == 8
    # A point of two dimensions is within three deviations with the chance 1 - exp(-9/2).
    assert score.quality == pytest.approx(1 - math.exp(-4.5), abs=0.005)


def test_modes_count_from_a_tenth_of_their_share_and_noise_counts_for_nothing() -> None:
    one = control()
    centres = one.centres()
    noise = torch.zeros(1000 - 130 - 12, 2)
    assert one._score(torch.cat([noise, centres[:1].repeat(130, 1), centres[1:2].repeat(12, 1)])).modes == 1
    assert one._score(torch.cat([noise, centres[:1].repeat(129, 1), centres[1:2].repeat(13, 1)])).modes == 2
    found = one._score(torch.cat([noise, centres[:1].repeat(142, 1)]))
    assert found.quality == pytest.approx(0.142)
    edge = centres[:1] + torch.tensor([[0.059, 0.0]])
    assert one._score(edge.repeat(100, 1)).quality == 1
    assert one._score((centres[:1] + torch.tensor([[0.061, 0.0]])).repeat(100, 1)).quality == 0


def test_every_game_is_played_and_written_down(digits: Dataset) -> None:
    finding = control().run(context("gan_ring", digits))
    check(finding)
    values = table(finding)
    assert {subject for subject, _ in values} == {*OBJECTIVES, AHEAD}
    assert all(len(column) == 2 for column in values.values())
    assert finding.outcome != "supported"
    assert len(finding.sheets[0].images) == len(OBJECTIVES) + 1


def test_the_generator_ahead_meets_fewer_discriminators(
    monkeypatch: pytest.MonkeyPatch, digits: Dataset
) -> None:
    moves = {"non_saturating": 0, AHEAD: 0}
    original = GANRing._discriminator_loss
    for game in moves:

        def counting(self: GANRing, *parts: object, game: str = game) -> torch.Tensor:
            moves[game] += 1
            return original(self, *parts)  # type: ignore[arg-type]

        monkeypatch.setattr(GANRing, "_discriminator_loss", counting)
        control(ahead=10)._play(context("gan_ring", digits), game, 0)
    assert moves == {"non_saturating": 20, AHEAD: 2}


class Fabricated(GANRing):
    """Scores as given, by game and repetition."""

    modes: dict[str, tuple[int, int]]

    def _play(self, context: Context, game: str, repetition: int) -> _Score:
        return _Score(self.modes.get(game, (8, 8))[repetition], 0.5, torch.zeros(10, 2))


@pytest.mark.parametrize(
    ("in_turn", "ahead", "outcome"),
    [((8, 8), (1, 1), "supported"), ((8, 8), (8, 8), "contradicted"), ((8, 2), (1, 0), "undecided"),
     ((3, 3), (1, 1), "contradicted")],
)  # fmt: skip
def test_outcome_follows_from_the_modes(
    in_turn: tuple[int, int], ahead: tuple[int, int], outcome: str, digits: Dataset
) -> None:
    one = Fabricated(GANRingSettings.model_validate(SMALL | {"first_seed": 0}))
    one.modes = {"non_saturating": in_turn, AHEAD: ahead}
    finding = one.run(context("gan_ring", digits))
    check(finding)
    assert finding.outcome == outcome


def test_the_same_seed_gives_the_same_bytes(digits: Dataset) -> None:
    first, again, other = (
        trace(control().run(context("gan_ring", digits, None, seed))) for seed in (0, 0, 1)
    )
    assert first == again and first != other


def test_settings_that_cannot_work_are_refused() -> None:
    for wrong in ({"modes": 1}, {"repetitions": 1}, {"deviation": 0}, {"ahead": 1}):
        with pytest.raises(ValidationError):
            control(**wrong)
