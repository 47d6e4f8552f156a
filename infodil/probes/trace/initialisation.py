"""Where the fit of an exponential trace begins: the mean states of the types, or the clusters that states show."""

__all__ = ["MOST_LAG", "by_clusters", "by_means"]

import warnings
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from infodil.probes.trace.model import FEWEST_NAMED, TraceModel, positive

MOST_LAG = 12
DECAYS = np.linspace(0.02, 0.98, 481)

NEAR_MISS = 0.5
"""A lag is tried, too, at the decay that fits best where none explains the share of its token, up to this error."""

SURE = 4.0
"""Standard deviations of chance by which the means of the types must differ, all together."""

FIRST_NOISE = 3e-3
"""Share of the variance in any direction that is taken for noise at the beginning, at the least."""

CLUSTERED, STARTS = 2**12, 3
"""Rows in which clusters are looked for, and how often."""


def by_means(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int
) -> tuple[list[TraceModel], float]:
    """A model for each lag and each decay that the share of the token's variance allows; none where means are alike.

    With them comes by how many standard deviations of chance the means of the types differ.
    """
    counts = torch.bincount(labels, minlength=classes).double()
    prior, mean, (rows, dim) = counts / counts.sum(), states.mean(0), states.shape
    means = torch.zeros(classes, dim, dtype=torch.float64).index_add_(0, labels, states - mean)
    means = means / counts.clamp(min=1.0)[:, None]
    total = torch.cov(states.T).reshape(dim, dim)
    between = (means * prior[:, None]).T @ means - (classes - 1) / rows * total
    differ = rows * float(between.trace()) / (2.0 * dim * (classes - 1)) ** 0.5
    if differ < SURE:
        return [], differ
    ratio, found = 1.0 / share_of(between, classes), []
    for lag in range(MOST_LAG + 1):
        wanted = DECAYS ** (-2.0 * lag) / (1.0 - DECAYS**2) - ratio
        fitting = np.flatnonzero(wanted[1:] * wanted[:-1] < 0)
        if not len(fitting) and np.abs(wanted).min() < NEAR_MISS * ratio:
            fitting = [np.abs(wanted).argmin()]
        found += [beginning(mean, means, decay, lag, prior, total) for decay in DECAYS[fitting].tolist()]
    return found, differ


def by_clusters(states: Float[Tensor, "rows dim"], classes: int, seed: int) -> TraceModel:
    """A model whose newest tokens are the clusters that states fall into, whatever the labels are.

    Reference:
        McLachlan and Peel (2000), Finite mixture models, for clusters of one shape by maximum likelihood.
    """
    some = states[:CLUSTERED]
    mixture = GaussianMixture(classes, covariance_type="tied", n_init=STARTS, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a beginning need not have settled
        mixture.fit(some.numpy())
    prior, places = torch.from_numpy(mixture.weights_), torch.from_numpy(mixture.means_)
    mean, total = prior @ places, torch.cov(some.T).reshape(some.shape[1], -1)
    means = places - mean
    share = share_of((means * prior[:, None]).T @ means, classes)
    decay = float(np.clip((1.0 - share) ** 0.5 if share < 1.0 else 0.0, DECAYS[0], DECAYS[-1]))
    return beginning(mean, means, decay, 0, prior, total)


def share_of(between: Float[Tensor, "dim dim"], classes: int) -> float:
    """Share of the variance of white states that lies between classes, in the stronger half of its directions."""
    shares = torch.linalg.eigvalsh(between)
    return float(shares[-max(1, (min(len(shares), classes - 1) + 1) // 2) :].mean())


def beginning(mean: Tensor, means: Tensor, decay: float, lag: int, prior: Tensor, total: Tensor) -> TraceModel:
    """The model whose types, so many steps back, have these means; what is left of the covariance is noise."""
    model = TraceModel(mean, means * decay**-lag, decay, total, 0, lag, prior)
    noise = positive(total - model.older(0), FIRST_NOISE)
    depth = max(lag + 1, FEWEST_NAMED)
    return replace(model, noise=noise + model.older(depth), depth=depth)
