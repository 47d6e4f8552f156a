"""Subset sums: which sets of lags have weights that add up to a coefficient."""

__all__ = ["expand_ranges", "matching_subsets"]

import functools
import itertools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

MOST_IN_A_HALF = 1 << 17
MOST_MATCHES = 1 << 16


def expand_ranges(
    begin: Int[Tensor, "*queries"], end: Int[Tensor, "*queries"]
) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
    """All (query, index) with `begin <= index < end`, queries counted through all axes.

    Example:
        >>> expand_ranges(torch.tensor([0, 4]), torch.tensor([2, 5]))
        (tensor([0, 0, 1]), tensor([0, 1, 4]))
    """
    number = (end - begin).clamp(min=0).flatten()
    query = torch.repeat_interleave(torch.arange(len(number), device=begin.device), number)
    before = number.cumsum(0) - number
    return query, torch.arange(len(query), device=begin.device) - before[query] + begin.flatten()[query]


@functools.lru_cache(maxsize=24)
def subsets(places: int, fewest: int, most: int) -> Float[ndarray, "subsets places"]:
    """Every subset of so many places with `fewest` to `most` members, ones and zeros ready for a matrix product."""
    rows = []
    for size in range(fewest, most + 1):
        chosen = np.array(list(itertools.combinations(range(places), size)), dtype=np.int64)
        row = np.zeros((math.comb(places, size), places))
        np.put_along_axis(row, chosen.reshape(len(row), size), 1.0, 1)
        rows.append(row)
    return np.concatenate(rows)


def sizes_about(places: int, mean: float, most: int) -> tuple[int, int]:
    """The sizes nearest to the mean whose subsets number at most `most` together."""
    low = high = min(places, max(0, round(mean)))
    total = math.comb(places, low)
    while True:
        further = [size for size in (low - 1, high + 1) if 0 <= size <= places]
        further = [size for size in further if total + math.comb(places, size) <= most]
        if not further:
            return low, high
        size = min(further, key=lambda candidate: abs(candidate - mean))
        total += math.comb(places, size)
        low, high = min(low, size), max(high, size)


def matching_subsets(
    weights: Float[ndarray, "places"], low: float, high: float, mean: float
) -> Bool[ndarray, "matches places"] | None:
    """Subsets whose weights add up to between `low` and `high`; None if there are too many to list.

    Each half of the places is listed and one is looked up in the other, sorted: `2 ** (places / 2)` sums instead of
    `2 ** places`. Where a half has too many subsets, those of about the expected size are listed.

    Args:
        weights: Of each place.
        low: Least sum.
        high: Greatest sum.
        mean: How many members are expected.

    Reference:
        Horowitz and Sahni (1974), Computing partitions with applications to the knapsack problem.

    Example:
        >>> matching_subsets(np.array([8.0, 4.0, 2.0, 1.0]), 4.5, 5.5, mean=2.0)
        array([[False,  True, False,  True]])
    """
    places = len(weights)
    halves = np.arange(0, places, 2), np.arange(1, places, 2)  # both reach from heavy to light
    sets = [
        subsets(len(half), *sizes_about(len(half), mean * len(half) / max(1, places), MOST_IN_A_HALF))
        for half in halves
    ]
    sums = [chosen @ weights[half] for chosen, half in zip(sets, halves, strict=True)]
    # What neither half can bring to a match is not sorted.
    fits = [(low - other.max() <= own) & (own <= high - other.min()) for own, other in (sums, sums[::-1])]
    place = [np.flatnonzero(fit) for fit in fits]
    left, right = (own[where] for own, where in zip(sums, place, strict=True))
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    begin = np.searchsorted(ordered, low - left, side="left")
    end = np.searchsorted(ordered, high - left, side="right")
    number = np.maximum(end - begin, 0)
    if number.sum() > MOST_MATCHES:
        return None
    who = np.repeat(np.arange(len(number)), number)
    other = order[np.arange(len(who)) - np.repeat(np.cumsum(number) - number, number) + np.repeat(begin, number)]
    found = np.zeros((len(who), places), dtype=bool)
    found[:, halves[0]] = sets[0][place[0][who]] > 0
    found[:, halves[1]] = sets[1][place[1][other]] > 0
    return found
