"""The generative model of an observation x, its class y and a continuous latent z, and its bounds.

M2 of Kingma, Mohamed, Rezende & Welling 2014 (section 2.1): p(y) is uniform, p(z) = N(0, I), and x is
distributed by a network of z and y. The inference networks are q(y|x) and q(z|x, y). Bounds here are lower
bounds of log-likelihoods, the negatives of the paper's L and U:

    labelled    log p(x, y) >= E_q(z|x,y)[log p(x|y, z)] + log p(y) - KL(q(z|x, y) || p(z))         (eq. 6)
    unlabelled  log p(x)    >= sum_y q(y|x) (labelled bound of (x, y)) + H(q(y|x))                  (eq. 7)

The sum over classes is exact; z is drawn once for each class, and the KL has its closed form.

**The objective.** The paper maximises, over N_l labelled images and N in the pool (eq. 9), with
beta = alpha N / N_l for each labelled image,

    sum_pool unlabelled + sum_labelled (labelled + beta log q(y|x)),

divided by N. A batch estimates each sum by a mean, so its loss is

    - mean_pool[unlabelled] - (N_l / N) mean_labelled[labelled] - alpha mean_labelled[log q(y|x)],

because beta N_l / N = alpha. The sizes of the two parts of a batch change the variance of this estimate and
not what it estimates: the original takes 1 labelled image with 499 of the pool. Two deviations from its code:
labelled images are in the pool as well, and weights start with GAIN, not with a deviation of .001.

**Speed.** The first layer of a network of x and y is W_x x + W_y y + b. W_x x is computed once for all
classes, and W_y y is a column of W_y. Classes are a leading axis of everything after it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dgmbench.models.parts.observations import full_precision
from dgmbench.models.parts.softplus import Softplus, softplus_layers, start_layers

# Of the weights at the start: differences between examples keep their size.
GAIN = 2.0
# log p(x|y, z) in nats, [..., n], of the decoder's outputs [..., n, outputs].
LogProb = Callable[[Tensor], Tensor]


class ClassMLP(nn.Module):
    """A multi-layer perceptron of a vector and a class.

    Args:
        inputs: width of the vector.
        classes: how many there are.
        hidden: widths of the hidden layers, softplus after each.
        outputs: width of the output.
    """

    def __init__(self, inputs: int, classes: int, hidden: Sequence[int], outputs: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden[0])
        self.of_class = nn.Parameter(torch.empty(classes, hidden[0]))
        start_layers(nn.Sequential(self.first), GAIN)
        nn.init.normal_(self.of_class, std=GAIN / math.sqrt(inputs))
        between = start_layers(softplus_layers(hidden), GAIN, after_softplus=True)
        self.rest = nn.Sequential(Softplus(), *between, nn.Linear(hidden[-1], outputs))

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Outputs ``[n, outputs]`` for ``x [n, inputs]`` of classes ``y [n]``.

        Without y, ``[classes, n, outputs]``: of every class, for ``x [n, inputs]`` or
        ``[classes, n, inputs]``.
        """
        return self.rest(self.first(x) + self._rows(y))

    def _rows(self, y: Tensor | None) -> Tensor:
        if y is None:
            return self.of_class[:, None]
        return F.one_hot(y, len(self.of_class)).to(self.of_class.dtype) @ self.of_class


@dataclass(frozen=True)
class Noise:
    """Standard normal draws of z for one batch: of every class for the pool, of its own for a labelled image.

    pool: ``[classes, n, latent_dim]``. labelled: ``[m, latent_dim]``.
    """

    pool: Tensor
    labelled: Tensor


class ClassLatent(nn.Module):
    """q(y|x), q(z|x, y) and the network of p(x|y, z), each with the same hidden layers.

    Args:
        inputs: width of x as the inference networks read it.
        outputs: width of the decoder's output.
    """

    def __init__(
        self, inputs: int, classes: int, latent_dim: int, hidden: Sequence[int], outputs: int
    ) -> None:
        super().__init__()
        self.classes, self.latent_dim = classes, latent_dim
        self.classifier = nn.Sequential(
            *start_layers(softplus_layers([inputs, *hidden]), GAIN), nn.Linear(hidden[-1], classes)
        )
        self.posterior = ClassMLP(inputs, classes, hidden, 2 * latent_dim)
        self.decoder = ClassMLP(latent_dim, classes, hidden, outputs)

    def log_class(self, x: Tensor) -> Tensor:
        """log q(y|x), ``[n, classes]``."""
        return full_precision(self.classifier(x)).log_softmax(-1)

    def labelled_bound(self, x: Tensor, log_prob: LogProb, noise: Tensor, y: Tensor | None = None) -> Tensor:
        """A lower bound of log p(x, y) in nats by one draw of z, ``[n]``; without y, ``[classes, n]``.

        Args:
            x: ``[n, inputs]``, as q(z|x, y) reads it.
            log_prob: log p(x|y, z).
            noise: standard normal ``[n, latent_dim]``, or ``[classes, n, latent_dim]``.
            y: classes ``[n]``; None: all.
        """
        mean, log_variance = full_precision(self.posterior(x, y)).chunk(2, -1)
        deviation = torch.exp(0.5 * log_variance)
        z = torch.addcmul(mean, deviation, noise)
        kl = 0.5 * (mean.square() + deviation.square() - log_variance).sum(-1) - 0.5 * self.latent_dim
        return log_prob(self.decoder(z, y)) - kl - math.log(self.classes)

    def unlabelled_bound(self, x: Tensor, log_class: Tensor, log_prob: LogProb, noise: Tensor) -> Tensor:
        """A lower bound of log p(x) in nats, ``[n]``, by one draw of z for each class.

        Args:
            log_class: log q(y|x), ``[n, classes]``.
        """
        given = self.labelled_bound(x, log_prob, noise).T
        return (log_class.exp() * (given - log_class)).sum(-1)

    def draw(self, n: int, labelled: int, generator: torch.Generator) -> Noise:
        """The noise of a batch with n images of the pool and `labelled` labelled ones."""
        weight = self.posterior.of_class
        shapes = ((self.classes, n, self.latent_dim), (labelled, self.latent_dim))
        return Noise(
            *(
                torch.randn(shape, generator=generator, device=weight.device, dtype=weight.dtype)
                for shape in shapes
            )
        )

    def prior_draw(self, n: int, generator: torch.Generator) -> Tensor:
        """``[n, latent_dim]`` draws of p(z)."""
        weight = self.posterior.of_class
        return torch.randn(
            (n, self.latent_dim), generator=generator, device=weight.device, dtype=weight.dtype
        )


@dataclass(frozen=True)
class Half:
    """One part of a batch, the pool or the labelled images.

    classified: ``[n, inputs]``, x as q(y|x) reads it. encoded: the same as q(z|x, y) reads it.
    log_prob: log p(x|y, z).
    """

    classified: Tensor
    encoded: Tensor
    log_prob: LogProb


def objective(
    net: ClassLatent, pool: Half, labelled: Half, y: Tensor, noise: Noise, share: Tensor, alpha: float
) -> dict[str, Tensor]:
    """The loss of a batch and its parts (see the module), nats per image of the pool.

    Args:
        y: classes ``[m]`` of the labelled images.
        share: N_l / N.
        alpha: weight of the classification term.
    """
    unlabelled = net.unlabelled_bound(
        pool.encoded, net.log_class(pool.classified), pool.log_prob, noise.pool
    ).mean()
    given = net.labelled_bound(labelled.encoded, labelled.log_prob, noise.labelled, y).mean()
    cross_entropy = F.nll_loss(net.log_class(labelled.classified), y)
    loss = alpha * cross_entropy - unlabelled - share * given
    return {
        "loss": loss,
        "unlabelled": -unlabelled,
        "labelled": -given,
        "cross_entropy": cross_entropy,
    }
