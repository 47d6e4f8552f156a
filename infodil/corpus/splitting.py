"""Which document goes to which split: disjoint by content, in a seeded random order, to fractions of the tokens."""

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Int64, UInt64

from infodil.checks import UserError

__all__ = ["SPLITS", "FEW", "assign_splits", "cut_stretches", "open_gaps", "check_fractions"]

SPLITS = ("train", "calibration", "test")
FEW = 10
"""With fewer distinct documents than this, stretches of them are split instead."""
GAP = 64
"""Tokens dropped between stretches of different splits, at most; never more than 5% of all tokens."""


def check_fractions(fractions: Sequence[float]) -> None:
    """Raise `UserError` unless there are three positive fractions whose sum is 1."""
    if (
        len(fractions) == 3
        and all(0 < part < 1 for part in fractions)
        and math.isclose(sum(fractions), 1, abs_tol=1e-6)
    ):
        return
    raise UserError(
        f"`fractions` must be three positive numbers whose sum is 1, got {tuple(fractions)}: "
        "pass the shares of train, calibration and test, such as (0.7, 0.1, 0.2)."
    )


def assign_splits(
    lengths: Int64[np.ndarray, "documents"],
    keys: UInt64[np.ndarray, "documents"],
    fractions: Sequence[float],
    seed: int,
) -> tuple[Int64[np.ndarray, "documents"], Int64[np.ndarray, "documents"]]:
    """The split of each document (its number in `SPLITS`) and its place in a random order.

    Documents with equal `keys` have the same content and share a split. Groups of them, in random order, fill test,
    then calibration, each up to its share of the tokens; what is left is train. A group that would overshoot a share
    by more than it falls short without it is passed over, so that one very long document cannot be the whole test set.

    Raises:
        UserError: There are fewer than three distinct documents.
    """
    groups, group = np.unique(keys, return_inverse=True)
    if len(groups) < 3:
        raise UserError(
            f"`corpus` has only {len(groups)} distinct documents or stretches of {int(lengths.sum())} tokens, "
            "fewer than train, calibration and test need: pass more or longer documents."
        )
    sizes = np.bincount(group, weights=lengths)
    order = np.random.default_rng(seed).permutation(len(groups))
    split = np.zeros(len(groups), dtype=np.int64)
    free = order.tolist()
    for name, leave in (("test", 2), ("calibration", 1)):
        number = SPLITS.index(name)
        taken, free = _fill(sizes.tolist(), free, fractions[number] * float(lengths.sum()), leave)
        split[taken] = number
    place = np.empty_like(order)
    place[order] = np.arange(len(order))
    return split[group], place[group]


def _fill(sizes: list[float], free: list[int], share: float, leave: int) -> tuple[list[int], list[int]]:
    """The groups that fill `share`, and the rest, of which at least `leave` remain."""
    taken, rest, filled = [], [], 0.0
    for position, group in enumerate(free):
        if filled >= 0.95 * share or len(free) - len(taken) <= leave:
            rest.extend(free[position:])
            break
        if sizes[group] / 2 <= share - filled:
            taken.append(group)
            filled += sizes[group]
        else:
            rest.append(group)
    if not taken:
        taken = [min(rest, key=sizes.__getitem__)]
        rest.remove(taken[0])
    return taken, rest


def cut_stretches(
    lengths: Int64[np.ndarray, "documents"], distinct: int, max_length: int
) -> tuple[Int64[np.ndarray, "stretches"], Int64[np.ndarray, "stretches"], Int64[np.ndarray, "stretches"]]:
    """Starts, lengths and document of equal contiguous stretches of a few long documents.

    A stretch is about 1/60 of the `distinct` tokens (those of different documents), but at least two sequences long;
    where that would leave fewer than ten stretches, it is a tenth of the tokens.
    """
    size = max(distinct / 60, min(2 * max_length, distinct / 10), 1)
    pieces = np.maximum(np.rint(lengths / size).astype(np.int64), 1)
    begin = np.cumsum(lengths) - lengths
    edges = [
        first + np.arange(count + 1) * length // count
        for first, count, length in zip(begin.tolist(), pieces.tolist(), lengths.tolist(), strict=True)
    ]
    starts = np.concatenate([edge[:-1] for edge in edges])
    ends = np.concatenate([edge[1:] for edge in edges])
    return starts, ends - starts, np.repeat(np.arange(len(lengths)), pieces)


def open_gaps(
    starts: Int64[np.ndarray, "stretches"],
    lengths: Int64[np.ndarray, "stretches"],
    document: Int64[np.ndarray, "stretches"],
    split: Int64[np.ndarray, "stretches"],
) -> tuple[Int64[np.ndarray, "stretches"], Int64[np.ndarray, "stretches"]]:
    """Starts and lengths once the first tokens are dropped of each stretch that follows one of another split.

    Neighbouring tokens of one document are alike: without a gap the test set would begin where train ends.
    """
    follows = np.concatenate([[False], (np.diff(document) == 0) & (np.diff(split) != 0)])
    gap = min(GAP, int(0.05 * lengths.sum() / max(int(follows.sum()), 1)))
    dropped = np.where(follows, np.minimum(gap, lengths - 1), 0)
    return starts + dropped, lengths - dropped
