"""The domain classifier learns scikit-learn's digits and keeps its best epoch."""

from __future__ import annotations

import pytest
import torch
from sklearn.datasets import load_digits
from torch import Tensor

from dgmbench.errors import DgmbenchError
from dgmbench.evaluation.features import classifier
from dgmbench.evaluation.features.classifier import DomainClassifier, train_classifier


@pytest.fixture(scope="module")
def digits() -> tuple[Tensor, Tensor]:
    bunch = load_digits()
    levels = torch.from_numpy(bunch.images).to(torch.uint8)[:, None]
    order = torch.randperm(len(levels), generator=torch.Generator().manual_seed(0))
    return levels[order], torch.from_numpy(bunch.target).long()[order]


def binarise(levels: Tensor, generator: torch.Generator) -> Tensor:
    return torch.bernoulli(levels.float() / 16, generator=generator)


@pytest.fixture(scope="module")
def trained(digits: tuple[Tensor, Tensor]) -> DomainClassifier:
    x, y = digits[0].float() / 16, digits[1]
    return train_classifier(x[:1197], y[:1197], x[1197:1497], y[1197:1497], classes=10, epochs=30, seed=0)


def test_learns_digits(trained: DomainClassifier, digits: tuple[Tensor, Tensor]) -> None:
    assert trained.accuracy(digits[0][1497:].float() / 16, digits[1][1497:]) > 95
    assert trained.valid_accuracy is not None and trained.valid_accuracy > 95


def test_features_do_not_depend_on_the_batch_size(
    trained: DomainClassifier, digits: tuple[Tensor, Tensor]
) -> None:
    x = digits[0][1497:].float() / 16
    whole, pieces = trained.features(x), trained.features(x, batch_size=7)
    assert whole.shape == (300, 64) and torch.allclose(whole, pieces, rtol=1e-5, atol=1e-5)
    probabilities = trained.predict(x)
    assert torch.allclose(probabilities.sum(1), torch.ones(300))


def test_the_state_dict_restores_the_features(
    trained: DomainClassifier, digits: tuple[Tensor, Tensor]
) -> None:
    x = digits[0][:20].float() / 16
    restored = DomainClassifier(trained.shape, trained.classes)
    restored.load_state_dict(trained.state_dict())
    assert torch.equal(restored.features(x), trained.features(x))


def test_training_repeats_byte_for_byte_and_leaves_the_global_generator(
    digits: tuple[Tensor, Tensor],
) -> None:
    x, y = digits
    before = torch.random.get_rng_state()
    first, again, other = (
        train_classifier(
            x[:200],
            y[:200],
            x[200:300],
            y[200:300],
            classes=10,
            epochs=2,
            seed=seed,
            batch_transform=binarise,
        )
        for seed in (0, 0, 1)
    )
    assert torch.equal(before, torch.random.get_rng_state())
    states = [
        torch.cat([part.flatten() for part in model.state_dict().values()]) for model in (first, again, other)
    ]
    assert torch.equal(states[0], states[1]) and not torch.equal(states[0], states[2])


def test_each_epoch_draws_its_binarisation_anew_and_validation_once(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits
    drawn: list[Tensor] = []

    def recording(levels: Tensor, generator: torch.Generator) -> Tensor:
        drawn.append(binarise(levels, generator))
        return drawn[-1]

    same = x[:1].expand(8, -1, -1, -1)
    train_classifier(
        same, y[:8], x[8:20], y[8:20], classes=10, epochs=3, seed=0, batch_size=8, batch_transform=recording
    )
    assert [len(part) for part in drawn] == [12, 8, 8, 8]
    assert not torch.equal(drawn[1], drawn[2]) and not torch.equal(drawn[2], drawn[3])


def test_the_best_validation_epoch_is_kept(
    monkeypatch: pytest.MonkeyPatch, digits: tuple[Tensor, Tensor]
) -> None:
    scores, states = iter([(50.0, -1.0), (60.0, -2.0), (60.0, -1.5), (55.0, -0.1)]), []

    def scripted(model: DomainClassifier, x: Tensor, labels: Tensor) -> tuple[float, float]:
        states.append(model.logits.weight.detach().clone())
        return next(scores)

    monkeypatch.setattr(classifier, "_score", scripted)
    x, y = digits[0][:64].float() / 16, digits[1][:64]
    model = train_classifier(x, y, x, y, classes=10, epochs=4, seed=0)
    assert model.best_epoch == 3 and model.valid_accuracy == 60.0
    assert torch.equal(model.logits.weight, states[2]) and not torch.equal(states[2], states[3])


@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 32, 32), (1, 28, 20)])
def test_every_image_shape_gives_64_features(shape: tuple[int, int, int]) -> None:
    x = torch.rand(3, *shape, generator=torch.Generator().manual_seed(0))
    assert DomainClassifier(shape, 10).features(x).shape == (3, 64)


def test_divergence_is_told(digits: tuple[Tensor, Tensor]) -> None:
    x, y = digits[0][:64].float() / 16, digits[1][:64]
    with pytest.raises(DgmbenchError, match="diverged"):
        train_classifier(x * torch.nan, y, x, y, classes=10, epochs=1, seed=0)


def test_unfit_inputs_are_refused(trained: DomainClassifier, digits: tuple[Tensor, Tensor]) -> None:
    levels, y = digits[0][:20], digits[1][:20]
    x = levels.float() / 16
    with pytest.raises(ValueError, match="batch_transform"):
        train_classifier(levels, y, x, y, classes=10, epochs=1, seed=0)
    with pytest.raises(ValueError, match="between 0 and 2"):
        train_classifier(x, y, x, y, classes=3, epochs=1, seed=0)
    with pytest.raises(ValueError, match="one epoch"):
        train_classifier(x, y, x, y, classes=10, epochs=0, seed=0)
    with pytest.raises(ValueError, match="expected"):
        trained.features(levels)
    with pytest.raises(ValueError, match="4x4"):
        DomainClassifier((1, 3, 8), 10)
