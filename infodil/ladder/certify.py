"""The certified lower bound of cross-fitted predictions: its value, its interval, and what it rests on."""

__all__ = ["blocks", "certify", "mean_intervals"]

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder.cross_fit import CrossFit
from infodil.ladder.folds import HeldOut
from infodil.statistics import bootstrap_interval, bootstrap_weights, correlation_length, merge_cells

FEWEST_BLOCKS = 20
"""An interval from fewer blocks of a series says little: the result warns of it."""

BOUND_REPLICATES = 2000

HELD_OUT_AS = {
    "rows": "Rows were held out one by one, for neighbouring rows are not correlated: pass `groups` if rows of one "
    "document depend on each other.",
    "series": "Neighbouring rows are correlated, so the rows were taken as one series and held out in long stretches: "
    "pass `groups` with the document of each row, or np.arange(samples) if the rows are independent draws.",
}


def certify(predicted: CrossFit, held: HeldOut, confidence: float, seed: int) -> Estimate:
    """The lower bound of cross-fitted predictions, its interval wide enough for the unknown entropy.

    Args:
        predicted: Pointwise terms of every row.
        held: Clusters that were held out together.
        confidence: Confidence level of the interval.
        seed: Seed of the bootstrap.

    Returns:
        A lower bound in bits.
    """
    certified = predicted.certified_nats
    cluster = blocks(held, predicted.gain, predicted.log_share)
    (low, _), (_, high) = mean_intervals(cluster, confidence, seed, certified, predicted.gain)
    warnings, number = (HELD_OUT_AS[held.kind],) if held.kind in HELD_OUT_AS else (), int(cluster.max()) + 1
    if number < FEWEST_BLOCKS:
        what = "groups" if held.kind == "groups" else "blocks of about ten correlation times"
        warnings += (f"The interval rests on {number} {what}: few.",)
    warnings += tuple(
        f"{name} was left out, for it takes long: pass probe='{name}' for it." for name in predicted.left_out
    )
    return Estimate(
        value_bits=float(certified.mean()) * BITS_PER_NAT,
        low_bits=low,
        high_bits=high,
        confidence=confidence,
        kind="lower bound",
        samples=len(certified),
        method=" and ".join(predicted.probes) + ", cross-fitted",
        warnings=warnings,
    )


def blocks(held: HeldOut, *terms: Float[ndarray, "rows"]) -> Int[ndarray, "rows"]:
    """The resampling cluster of each row: its group, or its block of about ten correlation times of the terms.

    Args:
        held: Clusters that were held out together.
        terms: Terms whose means are wanted, row by row.

    Returns:
        Number of the cluster of each row.
    """
    cluster = held.resampled()
    if held.kind != "series":
        return cluster
    cells = np.bincount(cluster).astype(float)
    columns = np.stack([np.bincount(cluster, each) / cells for each in terms], 1)
    return merge_cells(len(cells), correlation_length(columns))[cluster]


def mean_intervals(
    cluster: Int[ndarray, "rows"], confidence: float, seed: int, *terms: Float[ndarray, "rows"]
) -> list[tuple[float, float]]:
    """The interval of the mean of each of some terms, by resampling clusters.

    Args:
        cluster: Number of the cluster of each row.
        confidence: Confidence level of each interval.
        seed: Seed of the bootstrap.
        terms: Terms of each row, nats.

    Returns:
        Low and high end of each, bits.
    """
    number = int(cluster.max()) + 1
    weights = bootstrap_weights(number, BOUND_REPLICATES, seed)
    counts = weights @ np.bincount(cluster, minlength=number)
    drawn = [weights @ np.bincount(cluster, each, minlength=number) / counts for each in terms]
    ends = [bootstrap_interval(each, number, confidence) for each in drawn]
    return [(float(low) * BITS_PER_NAT, float(high) * BITS_PER_NAT) for low, high in ends]
