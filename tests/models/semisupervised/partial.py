"""Images of four classes, batches of which a part is labelled, and how a step is held to one by hand."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dgmbench.data.batch import UNKNOWN, Batch
from dgmbench.models.base import Model
from dgmbench.training.examples import Examples, Labelled, Part

SHAPE, LEVELS, CLASSES = (1, 8, 8), 17, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def quadrants(n: int, seed: int) -> tuple[Tensor, Tensor]:
    """Dim noise, brighter in the quadrant of the class; classes in turn."""
    noise = generator(seed)
    label = torch.arange(n) % CLASSES
    raw = torch.randint(6, (n, *SHAPE), generator=noise).to(torch.uint8)
    for i, y in enumerate(label.tolist()):
        raw[i, 0, 4 * (y // 2) : 4 * (y // 2) + 4, 4 * (y % 2) : 4 * (y % 2) + 4] += 8
    return raw, label


def partial_batch(model: Model, raw: Tensor, label: Tensor, known: int) -> Batch:
    """All images without their labels, then the first `known` again with them."""
    hidden = torch.full_like(label, UNKNOWN)
    rows = torch.cat([raw, raw[:known]])
    return model.view.batch(rows, generator(), torch.cat([hidden, label[:known]]))


def examples(n: int, labelled_batch: int) -> Examples:
    """A pool of n images, eight of them with their labels as well, and 40 images of validation."""
    (raw, label), (held, truth) = quadrants(n, 1), quadrants(40, 2)
    pool = Part(raw, torch.full_like(label, UNKNOWN))
    return Examples(pool, Part(held, truth), labelled=Labelled(Part(raw[:8], label[:8]), labelled_batch))


def learn(model: Model, steps: int, rate: float) -> float:
    """The error in percent on fresh images after some steps on 80 images, eight of them labelled."""
    noise = generator(7)
    optimisers = {
        p: torch.optim.Adam(model.phase_parameters(p), rate, betas=(0.5, 0.999)) for p in model.phases
    }
    raw, label = quadrants(80, 1)
    batch = partial_batch(model, raw, label, 8)
    model.train()
    for _ in range(steps):
        for phase in model.phases:
            optimisers[phase].zero_grad(set_to_none=True)
            model.step(batch, phase, noise)["loss"].backward()
            optimisers[phase].step()
            model.after_step(phase)
    model.eval()
    held, truth = quadrants(200, 2)
    with torch.no_grad():
        found = model.validation_losses(model.view.batch(held, noise, truth), noise)
    return float(found["error"])


def intensities(x: Tensor) -> Tensor:
    """Flat images in [0, 1] of levels."""
    return x.flatten(1).float() / (LEVELS - 1)


def binary(x: Tensor, noise: torch.Generator) -> Tensor:
    """Flat images whose pixels are 1 with the probability of their intensity."""
    return (torch.rand(x.shape, generator=noise).flatten(1) < intensities(x)).float()


def randn(noise: torch.Generator, *shape: int) -> Tensor:
    return torch.randn(shape, generator=noise)


def change(module: nn.Module, deviation: float = 0.3) -> None:
    """Move every parameter, so that none has a value that hides its place in a formula, as 0 and 1 do."""
    noise = generator(11)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(deviation * torch.randn(parameter.shape, generator=noise))


def assert_same_step(module: nn.Module, found: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    """The same losses by the same names, and the same gradient of the loss by every parameter."""
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
    one, two = (gradients(module, losses["loss"]) for losses in (found, expected))
    torch.testing.assert_close(one, two, rtol=1e-3, atol=1e-5)


def gradients(module: nn.Module, loss: Tensor) -> dict[str, Tensor]:
    """By the parameters that the loss depends on."""
    names, parameters = zip(*module.named_parameters(), strict=True)
    found = torch.autograd.grad(loss, parameters, allow_unused=True)
    return {name: value for name, value in zip(names, found, strict=True) if value is not None}
