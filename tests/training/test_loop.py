from __future__ import annotations

import math
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from killing import killed_at
from torch import Tensor

from dgmbench.data.schema import image_schema
from dgmbench.models.adversarial.gan import GAN, GANSettings
from dgmbench.models.autoregressive.pixelcnn import PixelCNN, PixelCNNSettings
from dgmbench.models.base import Model
from dgmbench.models.latent.vae import VAE, VAESettings
from dgmbench.training.checkpoints import load_checkpoint
from dgmbench.training.closed_form import train
from dgmbench.training.examples import Examples, Part
from dgmbench.training.outcome import How, Outcome
from dgmbench.training.seeding import derive_seed, generator_for, initialising
from dgmbench.training.trainer import Trainer

SHAPE, LEVELS = (1, 4, 4), 17
SMALL: dict[str, Any] = {
    "training": {"epochs": 4, "batch_size": 8, "learning_rate": 0.01, "schedule": "cosine"}
}


def images(n: int = 50) -> Examples:
    generator = torch.Generator().manual_seed(0)
    train_set = torch.randint(LEVELS, (n, *SHAPE), generator=generator).to(torch.uint8)
    valid = torch.randint(LEVELS, (20, *SHAPE), generator=generator).to(torch.uint8)
    return Examples(Part(train_set), Part(valid), 0, (valid > 8).to(torch.uint8))


def model(name: str) -> Model:
    with initialising("test", name):
        if name == "gan":
            settings = {"family": "gan", "view": "gray", "generator_hidden": [8], "discriminator_hidden": [8]}
            return GAN(
                GANSettings.model_validate(settings | {"training": {"epochs": 4, "batch_size": 8}}),
                image_schema(SHAPE, LEVELS),
            )
        if name == "vae":
            base = {"family": "vae", "view": "binary", "hidden": [8]} | SMALL
            return VAE(VAESettings.model_validate(base), image_schema(SHAPE, LEVELS))
        base = {"family": "pixelcnn", "view": "gray", "features": 4, "blocks": 1} | SMALL
        return PixelCNN(PixelCNNSettings.model_validate(base), image_schema(SHAPE, LEVELS))


def run(network: Model, name: str, checkpoint: Path | None = None, seconds: float = 1e9) -> Outcome:
    how = How(torch.device("cpu"), checkpoint=checkpoint, checkpoint_seconds=seconds, fingerprint=name)
    return train(network, images(), model_budget(name), 0, how)


def model_budget(name: str) -> Any:
    small = SMALL["training"] if name != "gan" else {"epochs": 4, "batch_size": 8}
    return (
        (GANSettings if name == "gan" else VAESettings)
        .model_validate({"family": "x", "view": "gray", "training": small})
        .training
    )


@pytest.mark.parametrize("name", ["vae", "gan", "pixelcnn"])
@pytest.mark.parametrize("moments", [(3,), (7, 12), (5, 6, 20)])
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    name: str, moments: tuple[int, ...], tmp_path: Path
) -> None:
    whole = model(name)
    expected = run(whole, name)
    path = tmp_path / "seed-0.ckpt"
    for moment in moments:
        with killed_at(moment):
            run(model(name), name, path, seconds=0.0)
    resumed = model(name)
    outcome = run(resumed, name, path, seconds=0.0)
    assert outcome.history == expected.history
    assert outcome.selected_step == expected.selected_step
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


def test_ctrl_c_finishes_the_step_saves_and_leaves(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "seed-0.ckpt"
    original = Trainer._step

    def interrupted(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        if self.progress.step == 9:
            signal.raise_signal(signal.SIGINT)
        return original(self, chosen)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 10 of 28"):
        run(model("vae"), "vae", path)
    monkeypatch.setattr(Trainer, "_step", original)
    assert load_checkpoint(path)["progress"]["step"] == 10
    whole, resumed = model("vae"), model("vae")
    expected = run(whole, "vae")
    assert run(resumed, "vae", path).history == expected.history
    with pytest.raises(KeyboardInterrupt):
        signal.raise_signal(signal.SIGINT)


def test_ctrl_c_during_the_last_validation_is_not_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Trainer._validate

    def interrupted(self: Trainer) -> dict[str, float]:
        if self.progress.step == self.total_steps:
            signal.raise_signal(signal.SIGINT)
        return original(self)

    monkeypatch.setattr(Trainer, "_validate", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stopped at step 28 of 28"):
        run(model("vae"), "vae", tmp_path / "seed-0.ckpt")


def test_a_finished_training_is_not_repeated(tmp_path: Path) -> None:
    path = tmp_path / "seed-0.ckpt"
    first, again = model("vae"), model("vae")
    before = run(first, "vae", path)
    after = run(again, "vae", path)
    assert after.history == before.history
    assert all(torch.equal(value, again.state_dict()[key]) for key, value in first.state_dict().items())


def test_two_trainings_agree_and_seeds_differ() -> None:
    one, two = model("pixelcnn"), model("pixelcnn")
    assert run(one, "pixelcnn").history == run(two, "pixelcnn").history
    three = model("pixelcnn")
    how = How(torch.device("cpu"))
    assert (
        train(three, images(), model_budget("pixelcnn"), 1, how).history
        != run(model("pixelcnn"), "pixelcnn").history
    )


def test_the_best_epoch_on_validation_is_kept() -> None:
    network = model("vae")
    outcome = run(network, "vae")
    losses = {
        step: value for step, _, split, name, value in outcome.history if (split, name) == ("valid", "loss")
    }
    assert outcome.selected_step == min(losses, key=lambda step: losses[step])
    trainer = Trainer(network, images(), model_budget("vae"), 0, How(torch.device("cpu")))
    assert math.isclose(trainer._validate()["loss"], min(losses.values()), rel_tol=1e-6)


def test_a_loss_that_is_not_finite_ends_the_training_and_is_recorded() -> None:
    network = model("vae")
    original = network.step
    calls = 0

    def exploding(x: Tensor, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        nonlocal calls
        calls += 1
        losses = original(x, phase, generator)
        return losses | {"loss": losses["loss"] * (float("nan") if calls > 10 else 1.0)}

    network.step = exploding  # type: ignore[method-assign]
    outcome = run(network, "vae")
    assert outcome.status == "diverged"
    assert outcome.reason == "loss was not finite in epoch 2"
    assert outcome.steps < 4 * 7


def test_training_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(123)
    before = torch.random.get_rng_state()
    run(model("gan"), "gan")
    assert torch.equal(before, torch.random.get_rng_state())


def test_every_image_is_seen_once_an_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[Tensor] = []
    original = Trainer._step

    def watching(self: Trainer, chosen: Tensor) -> dict[str, Tensor]:
        seen.append(chosen)
        return original(self, chosen)

    monkeypatch.setattr(Trainer, "_step", watching)
    run(model("vae"), "vae")
    epochs = torch.cat(seen).reshape(4, 50)
    assert all(torch.equal(epoch.sort().values, torch.arange(50)) for epoch in epochs)
    assert not torch.equal(epochs[0], epochs[1])


def test_cosine_schedule_starts_at_the_rate_and_falls_to_nothing() -> None:
    trainer = Trainer(model("vae"), images(), model_budget("vae"), 0, How(torch.device("cpu")))
    rates = []
    for step in (0, trainer.total_steps // 2, trainer.total_steps):
        trainer.progress.step = step
        trainer._set_learning_rate(trainer.optimisers["model"])
        rates.append(trainer.optimisers["model"].param_groups[0]["lr"])
    assert rates == pytest.approx([0.01, 0.005, 0.0])


def test_seeds_of_different_purposes_differ_and_repeat() -> None:
    assert derive_seed("order", 0) == derive_seed("order", 0)
    assert len({derive_seed(purpose, seed) for purpose in ("order", "noise") for seed in range(50)}) == 100
    assert torch.equal(
        torch.rand(3, generator=generator_for("a", 1)), torch.rand(3, generator=generator_for("a", 1))
    )
