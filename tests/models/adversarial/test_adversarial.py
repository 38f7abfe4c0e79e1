"""The game: turns, averages, validation, the strip, and what the networks of either family look like."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from games import batch, images, make, run
from pydantic import ValidationError
from torch import Tensor, nn

from dgmbench.data.batch import Batch
from dgmbench.errors import SettingsError
from dgmbench.models.adversarial.game import STRIP_FRAMES, STRIP_IMAGES
from dgmbench.models.adversarial.gan import GAN
from dgmbench.models.adversarial.objectives import OBJECTIVES
from dgmbench.models.capabilities import CanDecode, CanEncode, CanSample
from dgmbench.models.hooks import UsesTrainingMean
from dgmbench.models.parts.average import ParameterAverage
from dgmbench.models.parts.maxout import Maxout
from dgmbench.training.outcome import How
from dgmbench.training.trainer import Trainer

# Turns


@pytest.mark.parametrize("k", [1, 2, 5])
def test_the_discriminator_moves_k_times_to_each_move_of_the_generator(
    k: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    moved: list[str] = []
    seen: list[bytes] = []
    original = GAN.step

    def watching(self: GAN, batch: Batch, phase: str, generator: torch.Generator) -> dict[str, Tensor]:
        moved.append(phase)
        if phase == "discriminator":
            seen.append(batch.x.numpy().tobytes())
        return original(self, batch, phase, generator)

    monkeypatch.setattr(GAN, "step", watching)
    model = make(discriminator_steps=k)
    steps = run(model).steps
    assert moved == (["discriminator"] * k + ["generator"]) * (steps // k) + ["discriminator"] * (steps % k)
    assert int(model.moves) == moved.count("generator") == steps // k
    assert len(set(seen)) == steps == len(seen)


def test_the_discriminator_has_a_step_size_of_its_own() -> None:
    trainer = Trainer(
        make(discriminator_rate=4.0), images(), make().settings.training, 0, How(torch.device("cpu"))
    )
    trainer._step(torch.arange(8))
    rates = {phase: optimiser.param_groups[0]["lr"] for phase, optimiser in trainer.optimisers.items()}
    assert rates == pytest.approx({"discriminator": 0.04, "generator": 0.01})


@pytest.mark.parametrize("family", ["gan", "dcgan"])
@pytest.mark.parametrize("objective", OBJECTIVES)
def test_every_objective_moves_each_player_alone_and_stays_finite(family: str, objective: str) -> None:
    norm = {"hinge": "spectral", "wasserstein_gp": "none"}.get(objective)
    settings: dict[str, Any] = {"discriminator_norm": norm} if norm else {}
    # Twenty-eight steps from small weights leave samples alike.
    model = make(family, objective=objective, least_variance=0.0, **settings)
    for phase in model.phases:
        model.zero_grad(set_to_none=True)
        model.step(Batch(batch()), phase, torch.Generator().manual_seed(0))["loss"].backward()
        assert all(parameter.grad is not None for parameter in model.phase_parameters(phase))
        others = set(model.parameters()) - set(model.phase_parameters(phase))
        if phase == "discriminator":
            assert all(parameter.grad is None for parameter in others)
    outcome = run(model)
    assert outcome.status == "completed"
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


# Averages


def test_the_average_has_its_closed_form() -> None:
    module, decay = nn.Linear(3, 2), 0.9
    average = ParameterAverage(module, decay)
    seen = []
    for step in range(7):
        with torch.no_grad():
            module.weight.fill_(0.0).add_(torch.arange(6.0).reshape(2, 3) * step**2)
        average.update(module)
        seen.append(module.weight.detach().double())
    weights = [(1 - decay) * decay ** (6 - s) / (1 - decay**7) for s in range(7)]
    assert sum(weights) == pytest.approx(1.0)
    expected = sum(weight * value for weight, value in zip(weights, seen, strict=True))
    torch.testing.assert_close(average.get_buffer("weight").double(), expected, rtol=1e-5, atol=1e-5)
    x = torch.ones(1, 3)
    torch.testing.assert_close(
        average.call(module, x), (x.double() @ expected.T).float() + average.get_buffer("bias")
    )


def test_one_update_is_the_module_itself_and_the_average_is_no_parameter() -> None:
    module = nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3))
    module(torch.randn(5, 3, generator=torch.Generator().manual_seed(0)))
    average = ParameterAverage(module, 0.99)
    with torch.no_grad():
        module[0].weight.mul_(2)
    average.update(module)
    module.eval()
    x = torch.randn(4, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(average.call(module, x), module(x))
    assert not list(average.parameters())
    names = {name for name, _ in average.named_buffers()}
    assert "1/running_mean" in names and "1/num_batches_tracked" not in names


def test_samples_are_drawn_from_the_average_once_trained_and_weights_keep_it() -> None:
    model = make(average=0.9)
    run(model)
    again = make(average=0.9)
    again.load_state_dict(model.state_dict())
    z = model.prior_sample(5, torch.Generator().manual_seed(0))
    with torch.no_grad():
        averaged, current = model.eval().decode(z), model.train().decode(z)
        assert not torch.allclose(averaged, current)
        assert torch.equal(again.eval().decode(z), averaged)
    assert model.parameter_count() == make().parameter_count()


# Interruptions


class Killed(BaseException):
    """Stands in for a signal: nothing in the library catches it."""


@pytest.mark.parametrize("moments", [(4,), (6, 13, 20)])
@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gan", {"objective": "wasserstein_gp", "discriminator_steps": 3, "average": 0.9}),
        ("gan", {"objective": "hinge", "discriminator_norm": "spectral", "maxout_pieces": 0}),
        ("dcgan", {"average": 0.99, "discriminator_rate": 2.0}),
    ],
)
def test_an_interrupted_training_ends_as_an_uninterrupted_one(
    family: str,
    settings: dict[str, Any],
    moments: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole = make(family, **settings)
    expected = run(whole)
    path, original = tmp_path / "seed-0.ckpt", Trainer._step
    for moment in moments:

        def dying(self: Trainer, chosen: Tensor, moment: int = moment) -> dict[str, Tensor]:
            if self.progress.step == moment:
                raise Killed
            return original(self, chosen)

        monkeypatch.setattr(Trainer, "_step", dying)
        with pytest.raises(Killed):
            run(make(family, **settings), path)
    monkeypatch.setattr(Trainer, "_step", original)
    resumed = make(family, **settings)
    assert run(resumed, path).history == expected.history
    for key, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[key]), key


# Validation


def test_variances_of_validation_are_those_of_the_images() -> None:
    model = make()
    assert isinstance(model, UsesTrainingMean)
    model.use_training_mean(torch.full((1, 8, 8), 0.25))
    losses = model.eval().validation_losses(Batch(torch.ones(1, 1, 8, 8)), torch.Generator().manual_seed(0))
    assert float(losses["image_variance"]) == pytest.approx(0.75**2)
    samples = model.sample(2, torch.Generator().manual_seed(0))
    torch.testing.assert_close(losses["sample_variance"], samples.var(0).mean())


# The strip


def test_the_strip_holds_images_of_one_z_after_powers_of_two() -> None:
    model = make(average=0.5)
    run(model)
    moves = int(model.moves)
    assert moves == 28
    frames = model.strip.float().mean((1, 2, 3, 4))
    assert model.strip.shape == (STRIP_FRAMES, STRIP_IMAGES, 1, 8, 8)
    assert bool((frames[:5] > 0).all()) and not bool(frames[5:].any())
    with torch.no_grad():
        model.train()
        while int(model.moves) < 32:
            model.after_step("generator")
        assert model.training
        expected = (255 * model.eval().decode(model.strip_latents())).round().to(torch.uint8)
    assert torch.equal(model.strip[5], expected)


# Networks


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 28, 20), (1, 7, 9)])
def test_dcgan_draws_images_of_any_size_and_can_do_what_the_suite_asks(shape: tuple[int, int, int]) -> None:
    model = make("dcgan", shape).eval()
    draws = model.sample(3, torch.Generator().manual_seed(0)).detach()
    assert draws.shape == (3, *shape)
    assert 0 < float(draws.min()) < float(draws.max()) < 1
    assert model.discriminate(draws).shape == (3,)
    assert isinstance(model, (CanSample)) and isinstance(model, CanDecode) and isinstance(model, CanEncode)


def test_dcgan_is_built_as_published() -> None:
    model = make("dcgan", (1, 32, 32), channels=[8, 16, 32])
    generator = [type(module).__name__ for module in model.generator.layers]
    assert generator == ["BatchNorm2d", "ReLU", "ConvTranspose2d"] * 3
    blocks = [[type(module).__name__ for module in block] for block in model.discriminator.layers]
    assert blocks == [["Conv2d", "LeakyReLU"], *[["Conv2d", "BatchNorm2d", "LeakyReLU"]] * 2]
    convolutions = [m for m in model.modules() if isinstance(m, (nn.Conv2d, nn.ConvTranspose2d))]
    weights = torch.cat([convolution.weight.detach().flatten() for convolution in convolutions])
    assert float(weights.std()) == pytest.approx(0.02, rel=0.03)


def test_features_are_all_layers_pooled_to_four_by_four() -> None:
    model = make("dcgan", (1, 32, 32), channels=[4, 6, 5], discriminator_norm="none").eval()
    x = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    found = model.encode(x)
    assert found.shape == (2, (4 + 6 + 5) * 16)
    first = model.discriminator.layers[0](2 * x - 1)
    # 16x16 features in cells of 4x4.
    assert float(found[1, 7]) == float(first[1, 0, 4:8, 12:16].max().detach())
    small = make("dcgan", (1, 8, 8)).eval()
    assert small.encode(batch(3)).shape == (3, 4 * 16 + 6 * 4)
    assert make().eval().encode(batch(3)).shape == (3, 8 + 6)


def test_maxout_is_the_largest_of_its_linear_pieces() -> None:
    layer = Maxout(3, 2, 4)
    x = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    weight, bias = layer.linear.weight.reshape(2, 4, 3), layer.linear.bias.reshape(2, 4)
    expected = torch.stack([(x @ weight[i].T + bias[i]).max(1).values for i in range(2)], 1)
    torch.testing.assert_close(layer(x), expected)
    blocks = make(maxout_pieces=5).discriminator.layers
    assert [type(block[-1]).__name__ for block in blocks] == ["Maxout", "Maxout"]


def test_a_penalty_of_each_image_refuses_batch_norm() -> None:
    with pytest.raises(ValidationError, match="wasserstein_gp cannot have discriminator_norm: batch"):
        make("dcgan", objective="wasserstein_gp")
    with pytest.raises(SettingsError, match="'channels' has 4 entries"):
        make("dcgan", channels=[2, 2, 2, 2])


@pytest.mark.parametrize("phase", ["discriminator", "generator"])
def test_a_batch_of_one_image_passes_batch_norm(phase: str) -> None:
    model = make(discriminator_norm="batch", batch_norm=True)
    losses = model.step(Batch(torch.rand(1, *model.image_shape)), phase, torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(losses["loss"]))


def test_maxout_units_have_the_norm_that_is_asked_for() -> None:
    model = make(discriminator_norm="batch", maxout_pieces=2)
    assert any(isinstance(module, nn.BatchNorm1d) for module in model.discriminator.modules())
