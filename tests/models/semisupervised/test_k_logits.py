"""The K+1 classes of the semi-supervised GAN against an independent implementation, and feature matching."""

from __future__ import annotations

import torch

from dgmbench.models.semisupervised.k_logits import feature_matching, labelled_loss, unlabelled_loss


def drawn(n: int, k: int, seed: int) -> torch.Tensor:
    return 3 * torch.randn(n, k, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_last_logit(logits: torch.Tensor) -> torch.Tensor:
    """Probabilities of K+1 classes, by the definition of softmax."""
    exponentials = torch.cat([logits, torch.zeros(len(logits), 1, dtype=torch.float64)], 1).exp()
    return exponentials / exponentials.sum(1, keepdim=True)


def test_the_losses_are_those_of_k_plus_1_classes_whose_last_logit_is_0() -> None:
    real, fake, known = drawn(7, 4, 0), drawn(5, 4, 1), drawn(6, 4, 2)
    label = torch.tensor([0, 1, 2, 3, 3, 0])
    of_real, of_fake, of_known = (with_last_logit(each) for each in (real, fake, known))
    expected = -0.5 * (1 - of_real[:, 4]).log().mean() - 0.5 * of_fake[:, 4].log().mean()
    torch.testing.assert_close(unlabelled_loss(real, fake), expected)
    given_real = of_known[torch.arange(6), label] / (1 - of_known[:, 4])
    torch.testing.assert_close(labelled_loss(known, label), -given_real.log().mean())


def test_a_number_added_to_all_k_plus_1_logits_changes_nothing() -> None:
    logits = drawn(3, 5, 3)
    expected = logits.softmax(1)[:, :4]
    held = logits - logits[:, 4:]
    torch.testing.assert_close(with_last_logit(held[:, :4])[:, :4], expected)


def test_large_logits_give_finite_losses() -> None:
    large = torch.full((2, 3), 500.0)
    assert float(unlabelled_loss(large, -large)) < 1e-6
    assert torch.isfinite(unlabelled_loss(-large, large))


def test_features_are_matched_by_their_means() -> None:
    real, fake = torch.tensor([[1.0, 2.0], [3.0, 6.0]]), torch.tensor([[0.0, 1.0]])
    # Means (2, 4) and (0, 1): squared differences 4 and 9.
    assert float(feature_matching(real, fake)) == 6.5
    assert float(feature_matching(real, real.flip(0))) == 0.0
