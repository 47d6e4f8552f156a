"""Subset sums: sets of lags whose weights add up to a coefficient."""

__all__ = ["expand_ranges", "matching_subsets"]

import functools
import itertools
import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.probes.superposition.options import DecoderOptions


def expand_ranges(
    begin: Int[Tensor, "*queries"], end: Int[Tensor, "*queries"]
) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
    """All pairs (query, index) with `begin <= index < end`, queries counted through all axes.

    Args:
        begin: First index of each query.
        end: Index after the last of each query.

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
    """Indicator rows of all subsets of some places with `fewest` to `most` members, for a matrix product."""
    rows = []
    for size in range(fewest, most + 1):
        chosen = np.array(list(itertools.combinations(range(places), size)), dtype=np.int64)
        row = np.zeros((math.comb(places, size), places))
        np.put_along_axis(row, chosen.reshape(len(row), size), 1.0, 1)
        rows.append(row)
    return np.concatenate(rows)


def sizes_about(places: int, mean: float, most: int) -> tuple[int, int]:
    """Smallest and largest subset size around the mean whose subsets are at most `most` together."""
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
    weights: Float[ndarray, "places"], low: float, high: float, mean: float, options: DecoderOptions
) -> Bool[ndarray, "matches places"] | None:
    """Subset sums between `low` and `high`: the subsets as indicator rows, or None if there are too many to list.

    Each half of the places is listed and one is looked up in the other, sorted: `2 ** (places / 2)` sums instead of
    `2 ** places`. Where a half has too many subsets, those of about the expected size are listed.

    Args:
        weights: Weight of each place.
        low: Smallest sum that matches.
        high: Largest sum that matches.
        mean: Expected number of members.
        options: Options of the decoder: how many sums and matches are listed.

    Reference:
        Horowitz and Sahni (1974), Computing partitions with applications to the knapsack problem.

    Example:
        >>> matching_subsets(np.array([8.0, 4.0, 2.0, 1.0]), 4.5, 5.5, 2.0, DecoderOptions())
        array([[False,  True, False,  True]])
    """
    places = len(weights)
    halves = np.arange(0, places, 2), np.arange(1, places, 2)  # both reach from heavy to light
    sets = [
        subsets(len(half), *sizes_about(len(half), mean * len(half) / max(1, places), options.max_half_sums))
        for half in halves
    ]
    sums = [chosen @ weights[half] for chosen, half in zip(sets, halves, strict=True)]
    # Sums that no sum of the other half completes to a match are not sorted.
    fits = [(low - other.max() <= half) & (half <= high - other.min()) for half, other in (sums, sums[::-1])]
    place = [np.flatnonzero(fit) for fit in fits]
    left, right = (half[where] for half, where in zip(sums, place, strict=True))
    order = np.argsort(right, kind="stable")
    ordered = right[order]
    begin = np.searchsorted(ordered, low - left, side="left")
    end = np.searchsorted(ordered, high - left, side="right")
    number = np.maximum(end - begin, 0)
    if number.sum() > options.max_matches:
        return None
    first = np.repeat(np.arange(len(number)), number)
    second = order[np.arange(len(first)) - np.repeat(np.cumsum(number) - number, number) + np.repeat(begin, number)]
    matches = np.zeros((len(first), places), dtype=bool)
    matches[:, halves[0]] = sets[0][place[0][first]] > 0
    matches[:, halves[1]] = sets[1][place[1][second]] > 0
    return matches
