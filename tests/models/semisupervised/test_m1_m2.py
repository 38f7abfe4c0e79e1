"""Features of M1, M2 on them, and the change from one to the other in a training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import bounds_by_hand
import pytest
import torch
from bounds_by_hand import Example, Weights, gaussian
from killing import killed_at
from partial import (
    CLASSES,
    LEVELS,
    SHAPE,
    assert_same_step,
    change,
    examples,
    generator,
    intensities,
    quadrants,
    randn,
)
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.capabilities import CanEncode, CanPredict, SamplesGivenCondition
from dgmbench.models.hooks import EncodesOnce
from dgmbench.models.semisupervised.m1_m2 import M1M2, gaussian_features
from dgmbench.training.closed_form import train
from dgmbench.training.outcome import How, Outcome
from dgmbench.training.stages import CodedPart, Stage, encoded, stage_at
from dgmbench.training.trainer import Trainer

BUDGET: dict[str, Any] = {"epochs": 8, "batch_size": 20, "learning_rate": 0.01, "schedule": "cosine"}
SMALL = {"m1_epochs": 3, "m1_hidden": [12], "m1_latent_dim": 3, "hidden": [9], "latent_dim": 2}
# Dimensions of z1, in tests of the second stage.
USED = [True, False, True]


def settings(**others: Any) -> Any:
    base = {"family": "m1_m2", "view": "gray", "labels": 8, "labelled_batch": 5, "training": BUDGET}
    return M1M2.Settings.model_validate(base | SMALL | others)


def make(**others: Any) -> M1M2:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return M1M2(settings(**others), image_schema(SHAPE, LEVELS, CLASSES))


def run(model: M1M2, path: Path | None = None, seconds: float = 1e9, **others: Any) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=path, checkpoint_seconds=seconds, quiet=True)
    return train(model, examples(90, 5), settings(**others).training, 0, how)


def names_by_epoch(outcome: Outcome, split: str) -> dict[int, set[str]]:
    found: dict[int, set[str]] = {}
    for _, epoch, part, name, _ in outcome.history:
        if part == split:
            found.setdefault(epoch, set()).add(name)
    return found


# The training


def test_m1_is_trained_first_and_stands_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    model, after = make(), list[tuple[bool, dict[str, Tensor]]]()
    original = M1M2.end_first_stage

    def ended(self: M1M2, codes: Tensor) -> None:
        original(self, codes)
        state = {name: value.clone() for name, value in self.state_dict().items()}
        after.append((bool(self.encoded), state))

    monkeypatch.setattr(M1M2, "end_first_stage", ended)
    outcome = run(model, training=BUDGET | {"select": "last"})
    (flag, state), = after  # fmt: skip
    assert flag
    for name, value in model.state_dict().items():
        if name.startswith("m1."):
            assert torch.equal(value, state[name]), name
    moved = "m2.classifier.2.bias"
    assert not torch.equal(model.state_dict()[moved], state[moved])
    trained = names_by_epoch(outcome, "train")
    assert all(name.startswith("m1_") for epoch in (1, 2, 3) for name in trained[epoch])
    assert all(name.startswith("m2_") for epoch in range(4, 9) for name in trained[epoch])
    held_out = names_by_epoch(outcome, "valid")
    assert held_out[3] == {"m1_loss", "m1_reconstruction", "m1_kl"}
    assert held_out[4] == {"loss", "error"}


def test_epochs_of_m1_are_never_selected() -> None:
    outcome = run(make())
    steps_per_epoch = math.ceil(90 / 20)
    assert outcome.selected_step > 3 * steps_per_epoch
    # In validation too, M1's loss goes by a name of its own.
    model = make()
    assert stage_at(model, 2, 8) == Stage(0, 3, last=False)
    assert stage_at(model, 3, 8) == Stage(3, 5, last=True)
    # A shortened training has both stages.
    assert stage_at(model, 0, 2) == Stage(0, 1, last=False)


def test_each_stage_has_a_step_size_and_a_schedule_of_its_own() -> None:
    rates: list[float] = []
    with pytest.MonkeyPatch.context() as patch:
        step = Trainer._step

        def watched(trainer: Trainer, chosen: Tensor) -> dict[str, Tensor]:
            losses = step(trainer, chosen)
            (phase,) = trainer.model.phases_at(trainer.progress.step)
            rates.append(trainer.optimisers[phase].param_groups[0]["lr"])
            return losses

        patch.setattr(Trainer, "_step", watched)
        few: dict[str, Any] = {"m1_epochs": 1, "m1_learning_rate": 0.002, "training": BUDGET | {"epochs": 3}}
        run(make(**few), **few)
    # 5 steps an epoch.
    m1, m2 = (
        [rate * (1 + math.cos(math.pi * i / n)) / 2 for i in range(n)] for rate, n in ((0.002, 5), (0.01, 10))
    )
    assert rates == pytest.approx(m1 + m2)


def test_it_learns_what_few_labels_say() -> None:
    longer: dict[str, Any] = {
        "training": BUDGET | {"epochs": 120},
        "m1_epochs": 60,
        "m1_learning_rate": 0.01,
        "alpha": 1.0,
        "m1_hidden": [32],
        "m1_latent_dim": 6,
        "hidden": [24],
    }
    model = make(**longer)
    outcome = run(model, **longer)
    assert outcome.status == "completed"
    held, truth = quadrants(200, 5)
    with torch.no_grad():
        probabilities = model.predict(held.long())
        torch.testing.assert_close(probabilities.sum(1), torch.ones(200))
        assert float((probabilities.argmax(1) == truth).float().mean()) > 0.95
        drawn = model.sample_given(torch.arange(CLASSES), generator())
        assert drawn.shape == (CLASSES, *SHAPE)
        assert int(drawn.min()) >= 0 and int(drawn.max()) <= 16


@pytest.mark.parametrize("kills", [[3], [14, 15], [15], [16, 27]])
def test_a_resumed_training_is_the_same_to_the_bit(kills: list[int], tmp_path: Path) -> None:
    """Killed in M1, just before and after the change (step 15), and in M2."""
    whole = make()
    expected = run(whole)
    for kill in kills:
        with killed_at(kill):
            run(make(), tmp_path / "seed-0.ckpt", seconds=0.0)
    resumed = make()
    outcome = run(resumed, tmp_path / "seed-0.ckpt", seconds=0.0)
    assert outcome.history == expected.history
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name


def test_codes_of_all_training_examples_take_their_place() -> None:
    model, given = make().eval(), examples(90, 5)
    coded = encoded(model, model.view, given)
    assert isinstance(coded.train, CodedPart)
    assert coded.train.raw.shape == (90, 2, 3)
    assert coded.valid is given.valid
    batch = coded.batch(model.view, generator(), torch.tensor([4, 2]), torch.tensor([7]))
    assert batch.label is not None and batch.label.tolist() == [UNKNOWN, UNKNOWN, 3]
    with torch.no_grad():
        expected = model.codes(given.train.raw[[4, 2, 7]].long())
    torch.testing.assert_close(batch.x, expected)


# Steps and what it gives


def test_masked_dimensions_add_nothing_to_the_density() -> None:
    x, outputs = torch.randn(6, 3, generator=generator()), torch.randn(4, 6, 6, generator=generator(1))
    found = gaussian_features(x, torch.tensor([1.0, 0.0, 1.0]))(outputs)
    mean, log_variance = outputs.chunk(2, -1)
    each = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(x)
    torch.testing.assert_close(found, each[..., 0] + each[..., 2])


def masked(**others: Any) -> M1M2:
    """In the second stage, after codes whose second dimension does not vary."""
    model = make(**others)
    change(model, 0.1)
    model.use_training_sizes(200, 50)
    model.end_first_stage(torch.randn(50, 2, 3, generator=generator()) * torch.tensor(USED))
    return model


def step_by_hand(model: M1M2, codes: Tensor, label: list[int], weights: Weights) -> dict[str, Tensor]:
    """Features are drawn; what is masked is 0 for the networks and has no density."""
    noise, n, m = generator(5), len(codes) - len(label), len(label)
    drawn = codes[:, 0] + (0.5 * codes[:, 1]).exp() * randn(noise, len(codes), 3)
    each = [Example(z, z, gaussian(z, USED)) for z in drawn * torch.tensor(USED)]
    draws = randn(noise, CLASSES, n, 2), randn(noise, m, 2)
    return bounds_by_hand.losses(model.m2, each[:n], each[n:], label, draws, weights)


def test_a_step_is_that_of_the_paper() -> None:
    model, x = masked(alpha=0.7), quadrants(7, 1)[0].long()
    label = torch.tensor([UNKNOWN] * 4 + [2, 0, 1])
    found = model.step(Batch(x, label), "m1", generator(5))
    assert_same_step(model.m1, found, bounds_by_hand.vae_losses(model.m1, x[:4], generator(5)))
    codes = torch.randn(7, 2, 3, generator=generator(6))
    found = model.step(Batch(codes, label), "m2", generator(5))
    expected = step_by_hand(model, codes, [2, 0, 1], Weights(200, 50, 0.7))
    assert_same_step(model.m2, found, expected)


def test_held_out_images_are_classified_by_mean_features() -> None:
    model, x = masked(), quadrants(8, 1)[0].long()
    features = bounds_by_hand.two_layers(model.m1.encoder, intensities(x))[:, :3] * torch.tensor(USED)
    torch.testing.assert_close(model.encode(x), features)
    expected = bounds_by_hand.two_layers(model.m2.classifier, features).softmax(1)
    torch.testing.assert_close(model.predict(x), expected)


def test_samples_are_mean_images_of_features_of_the_class_asked_for() -> None:
    model, y, noise = masked(), torch.tensor([3, 0]), generator()
    z = randn(noise, 2, 2)
    outputs = torch.stack([bounds_by_hand.of_class(model.m2.decoder, z[i], int(y[i])) for i in range(2)])
    features = outputs[:, :3] + (0.5 * outputs[:, 3:]).exp() * randn(noise, 2, 3)
    logits = bounds_by_hand.two_layers(model.m1.decoder, features * torch.tensor(USED))
    found = model.sample_given(y, generator())
    assert torch.equal(found, (16 * logits.sigmoid()).round().long().reshape(2, *SHAPE))


def test_what_it_cannot_do_without_is_said() -> None:
    for capability in (EncodesOnce, CanEncode, CanPredict, SamplesGivenCondition):
        assert isinstance(make(), capability)
    with pytest.raises(SettingsError, match="labels"):
        M1M2(settings(), image_schema(SHAPE, 17))
    with pytest.raises(ValidationError, match="leave none for M2"):
        settings(m1_epochs=8)
