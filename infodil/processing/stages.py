"""What is known of a stage from above, and how far the difference of two estimates may be off."""

__all__ = ["jackknife_change", "known_upper"]

from collections.abc import Callable, Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.bounds import entropy
from infodil.estimate import Estimate
from infodil.ladder import HeldOut
from infodil.mi import discrete_bounds
from infodil.statistics import jackknife_error, t_quantile

JACKKNIFE_PARTS = 10
"""Parts of the rows left out in turn."""

FEWEST_PER_VALUE = 4
"""A stage with fewer rows for each of its different values is not taken as one of finitely many."""


def known_upper(
    tokens: Int[ndarray, "rows"], states: Float[Tensor, "rows dim"], held: HeldOut, seed: int, confidence: float
) -> Estimate:
    """The least upper bound that samples give: the entropy of the source, or what few different states can tell."""
    # The least of two bounds fails where either does: each may with half the odds.
    surprise = -np.log(np.bincount(tokens) / len(tokens))[tokens]
    options = {"groups": held.clusters(surprise).index, "seed": seed, "confidence": 0.5 + confidence / 2}
    bounds = [entropy(tokens, **options)]
    values, number = torch.unique(states, dim=0, return_inverse=True)
    if len(values) * FEWEST_PER_VALUE <= len(tokens):
        bounds.append(discrete_bounds(tokens, number.numpy(), **options)[1])
    return min(bounds, key=lambda bound: bound.high_bits)


def jackknife_change(
    whole: Sequence[Estimate], estimate: Callable[[ndarray], list[Estimate]], held: HeldOut, confidence: float
) -> list[Estimate]:
    r"""Downstream less upstream for each link, with the interval of the delete-a-part jackknife.

    .. math:: s^2 = \frac{m - 1}{m} \sum_i (d_{(i)} - \bar d)^2

    where :math:`d_{(i)}` is the difference of the estimates from all rows but those of part i. Parts are of whole
    groups, or stretches of one series.

    Reference:
        Efron and Stein (1981), The jackknife estimate of variance; Miller (1974), The jackknife: a review, for t.
    """
    part = held.cluster * JACKKNIFE_PARTS // (int(held.cluster.max()) + 1)
    left_out = np.array(
        [[float(each) for each in estimate(np.flatnonzero(part != number))] for number in range(JACKKNIFE_PARTS)]
    )
    reach = t_quantile(JACKKNIFE_PARTS - 1, confidence) * jackknife_error(np.diff(left_out, axis=1))
    changes = np.diff([float(each) for each in whole])
    facts = {"confidence": confidence, "samples": len(held.cluster), "method": "paired difference, jackknife"}
    return [
        Estimate(float(change), float(change - far), float(change + far), **facts)
        for change, far in zip(changes, reach, strict=True)
    ]
