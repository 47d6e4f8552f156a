"""Trace initialisation: starts of the EM fit from the class means, or from the clusters that the states form."""

__all__ = ["Initialisation", "by_clusters", "by_means"]

import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture
from torch import Tensor

from infodil.probes.trace.model import FEWEST_SEARCHED, TraceModel, positive_definite


@dataclass(frozen=True)
class Initialisation:
    """Options of the starts of a trace fit."""

    max_lag: int = 12
    """Oldest lag tried: time grows with the number of starts."""
    decays: tuple[float, float, int] = (0.02, 0.98, 481)
    """First and last decay tried, and their number."""
    near_miss: float = 0.5
    """Largest relative error in the token's share of the variance at which a lag without an exact decay is tried."""
    min_deviations: float = 4.0
    """Standard deviations of chance between the class means, all together, below which they are taken as equal."""
    min_noise: float = 3e-3
    """Least share of the variance in any direction that a start takes for noise."""
    clustered_rows: int = 2**12
    """Rows of the mixture fit."""
    cluster_starts: int = 3
    """Random starts of the mixture fit."""


def by_means(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int, options: Initialisation
) -> tuple[list[TraceModel], float]:
    """One start for each lag and decay that the token's share of the variance allows, and how far the means differ.

    Args:
        states: White training rows, float64.
        labels: Class of the token of each row.
        classes: Number of classes.
        options: Options of the starts.

    Returns:
        The starts, none where the class means are equal, and the distance of the means in standard deviations of
        chance.
    """
    counts = torch.bincount(labels, minlength=classes).double()
    prior, mean, (rows, dim) = counts / counts.sum(), states.mean(0), states.shape
    means = torch.zeros(classes, dim, dtype=torch.float64).index_add_(0, labels, states - mean)
    means = means / counts.clamp(min=1.0)[:, None]
    total = torch.cov(states.T).reshape(dim, dim)
    between = (means * prior[:, None]).T @ means - (classes - 1) / rows * total
    deviations = rows * float(between.trace()) / (2.0 * dim * (classes - 1)) ** 0.5
    if deviations < options.min_deviations:
        return [], deviations
    ratio, starts, decays = 1.0 / share_of(between, classes), [], np.linspace(*options.decays)
    for lag in range(options.max_lag + 1):
        excess = decays ** (-2.0 * lag) / (1.0 - decays**2) - ratio
        crossings = np.flatnonzero(excess[1:] * excess[:-1] < 0)
        if not len(crossings) and np.abs(excess).min() < options.near_miss * ratio:
            crossings = [np.abs(excess).argmin()]
        for decay in decays[crossings].tolist():
            starts.append(start_from(mean, means, decay, lag, prior, total, options.min_noise))
    return starts, deviations


def by_clusters(states: Float[Tensor, "rows dim"], classes: int, seed: int, options: Initialisation) -> TraceModel:
    """A start whose newest tokens are the clusters of the states, without labels.

    Args:
        states: White training rows, float64.
        classes: Number of clusters.
        seed: Seed of the mixture fit.
        options: Options of the starts.

    Reference:
        McLachlan and Peel (2000), Finite mixture models, for clusters of one shape by maximum likelihood.
    """
    part = states[: options.clustered_rows]
    mixture = GaussianMixture(classes, covariance_type="tied", n_init=options.cluster_starts, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a start need not have converged
        mixture.fit(part.numpy())
    prior, centres = torch.from_numpy(mixture.weights_), torch.from_numpy(mixture.means_)
    mean, total = prior @ centres, torch.cov(part.T).reshape(part.shape[1], -1)
    means = centres - mean
    share = share_of((means * prior[:, None]).T @ means, classes)
    decay = float(np.clip((1.0 - share) ** 0.5 if share < 1.0 else 0.0, *options.decays[:2]))
    return start_from(mean, means, decay, 0, prior, total, options.min_noise)


def share_of(between: Float[Tensor, "dim dim"], classes: int) -> float:
    """Share of the variance of white states between classes, averaged over the stronger half of its directions."""
    shares = torch.linalg.eigvalsh(between)
    return float(shares[-max(1, (min(len(shares), classes - 1) + 1) // 2) :].mean())


def start_from(
    mean: Float[Tensor, "dim"],
    means: Float[Tensor, "classes dim"],
    decay: float,
    lag: int,
    prior: Float[Tensor, "classes"],
    total: Float[Tensor, "dim dim"],
    min_noise: float,
) -> TraceModel:
    """The model with these class means at a lag and this total covariance: what its tokens leave of it is noise."""
    model = TraceModel(mean, means * decay**-lag, decay, total, 0, lag, prior)
    noise = positive_definite(total - model.older_covariance(0), min_noise)
    depth = max(lag + 1, FEWEST_SEARCHED)
    return replace(model, noise=noise + model.older_covariance(depth), depth=depth)
