"""Features of M1, M2 on them, and the change from one to the other in a training."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import killed_at
from pydantic import ValidationError
from torch import Tensor

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.data.schema import image_schema
from dgmbench.errors import SettingsError
from dgmbench.models.capabilities import CanEncode, CanPredict, SamplesGivenCondition
from dgmbench.models.hooks import EncodesOnce
from dgmbench.models.semisupervised.logistic_fit import fit_logistic
from dgmbench.models.semisupervised.m1 import M1
from dgmbench.models.semisupervised.m1_m2 import M1M2, gaussian_features
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Labelled, Part
from dgmbench.training.outcome import How, Outcome
from dgmbench.training.stages import CodedPart, Stage, encoded, stage_at

SHAPE, CLASSES = (1, 4, 4), 4
BUDGET: dict[str, Any] = {"epochs": 8, "batch_size": 20, "learning_rate": 0.01, "schedule": "cosine"}
SMALL = {"m1_epochs": 3, "m1_hidden": [12], "m1_latent_dim": 3, "hidden": [9], "latent_dim": 2}


def settings(**others: Any) -> Any:
    base = {"family": "m1_m2", "view": "gray", "labels": 8, "labelled_batch": 5, "training": BUDGET}
    return M1M2.Settings.model_validate(base | SMALL | others)


def make(**others: Any) -> M1M2:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return M1M2(settings(**others), image_schema(SHAPE, 17, CLASSES))


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadrants(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Dim noise, brighter in the quadrant of the class; classes in turn."""
    label = torch.arange(n) % CLASSES
    raw = torch.randint(4, (n, *SHAPE), generator=generator(seed)).to(torch.uint8)
    for i, y in enumerate(label.tolist()):
        raw[i, 0, 2 * (y // 2) : 2 * (y // 2) + 2, 2 * (y % 2) : 2 * (y % 2) + 2] += 12
    return raw, label


def examples() -> Examples:
    (raw, label), (held, truth) = quadrants(90, 1), quadrants(40, 2)
    pool = Part(raw, torch.full_like(label, UNKNOWN))
    return Examples(pool, Part(held, truth), labelled=Labelled(Part(raw[:8], label[:8]), 5))


def run(model: M1M2, path: Path | None = None, seconds: float = 1e9, **others: Any) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=path, checkpoint_seconds=seconds, quiet=True)
    return train(model, examples(), settings(**others).training, 0, how)


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


def test_it_learns_what_few_labels_say() -> None:
    longer: dict[str, Any] = {
        "training": BUDGET | {"epochs": 120},
        "m1_epochs": 60,
        "m1_learning_rate": 0.01,
        "alpha": 1.0,
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
    model, given = make().eval(), examples()
    coded = encoded(model, model.view, given)
    assert isinstance(coded.train, CodedPart)
    assert coded.train.raw.shape == (90, 2, 3)
    assert coded.valid is given.valid
    batch = coded.batch(model.view, generator(), torch.tensor([4, 2]), torch.tensor([7]))
    assert batch.label is not None and batch.label.tolist() == [UNKNOWN, UNKNOWN, 3]
    with torch.no_grad():
        expected = model.codes(given.train.raw[[4, 2, 7]].long())
    torch.testing.assert_close(batch.x, expected)


# The features


def test_features_are_the_dimensions_whose_mean_varies() -> None:
    model = make()
    spread = torch.tensor([0.5, 0.05, 0.2])
    codes = torch.stack([torch.randn(3000, 3, generator=generator()) * spread, torch.zeros(3000, 3)], 1)
    codes[1000:, 0, 1] *= 100  # Beyond the images that decide.
    model.end_first_stage(codes)
    assert model.m1.used.tolist() == [1.0, 0.0, 1.0]
    # Where none does, the choice is off: M2 of nothing could not learn.
    other = make()
    other.end_first_stage(torch.zeros(10, 2, 3))
    assert other.m1.used.tolist() == [1.0, 1.0, 1.0]
    x = quadrants(5, 1)[0].long()
    assert torch.equal(model.encode(x)[:, 1], torch.zeros(5))
    assert torch.equal(model.encode(x)[:, 0], model.m1.codes(x)[:, 0, 0])


def test_masked_dimensions_add_nothing_to_the_density() -> None:
    x, outputs = torch.randn(6, 3, generator=generator()), torch.randn(4, 6, 6, generator=generator(1))
    found = gaussian_features(x, torch.tensor([1.0, 0.0, 1.0]))(outputs)
    mean, log_variance = outputs.chunk(2, -1)
    each = torch.distributions.Normal(mean, (0.5 * log_variance).exp()).log_prob(x)
    torch.testing.assert_close(found, each[..., 0] + each[..., 2])


def test_features_are_drawn_in_training_and_means_otherwise() -> None:
    model = make()
    model.end_first_stage(torch.randn(100, 2, 3, generator=generator()))
    codes = torch.stack([torch.zeros(8, 3), torch.zeros(8, 3)], 1)
    batch = Batch(codes, torch.tensor([UNKNOWN] * 4 + [0, 1, 2, 3]))
    one, two = (model.step(batch, "m2", generator(seed))["cross_entropy"] for seed in (0, 1))
    assert float(one.detach()) != float(two.detach())
    x = quadrants(8, 1)[0].long()
    assert torch.equal(model.predict(x), model.predict(x))


def test_what_it_cannot_do_without_is_said() -> None:
    for capability in (EncodesOnce, CanEncode, CanPredict, SamplesGivenCondition):
        assert isinstance(make(), capability)
    with pytest.raises(SettingsError, match="labels"):
        M1M2(settings(), image_schema(SHAPE, 17))
    with pytest.raises(ValidationError, match="leave none for M2"):
        settings(m1_epochs=8)


# M1


def test_m1_classifies_its_features() -> None:
    budget = BUDGET | {"epochs": 40}
    base = {"family": "m1", "view": "gray", "labels": 8, "training": budget, "hidden": [12], "latent_dim": 3}
    checked = M1.Settings.model_validate(base)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = M1(checked, image_schema(SHAPE, 17, CLASSES))
    outcome = train(model, examples(), checked.training, 0, How(torch.device("cpu"), quiet=True))
    last = {name: value for _, _, split, name, value in outcome.history if split == "valid"}
    assert last["C"] in checked.strengths
    held, truth = quadrants(200, 5)
    error = 100 * float((model.predict(held.long()).argmax(1) != truth).double().mean())
    assert error < 10
    assert abs(error - last["error"]) < 10


def test_the_logistic_regression_is_at_its_minimum() -> None:
    x, y = torch.randn(40, 3, generator=generator()), torch.arange(40) % CLASSES
    for strength in (0.01, 10.0):
        weight, bias = (part.double().requires_grad_() for part in fit_logistic(x, y, CLASSES, strength))
        loss = torch.nn.functional.cross_entropy(x.double() @ weight.T + bias, y, reduction="sum")
        (loss + weight.square().sum() / (2 * strength)).backward()
        assert weight.grad is not None and bias.grad is not None
        assert float(weight.grad.abs().max()) < 1e-3
        assert float(bias.grad.abs().max()) < 1e-3
