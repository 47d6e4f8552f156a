"""The labels that probes predict from a state: the token at each lag, and a token of another document."""

__all__ = ["LagLabels", "positions"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.corpus import Split


@dataclass(frozen=True)
class LagLabels:
    """The labels of one split: target 0 is the shuffled control, target 1 + i is lag i, in ascending order.

    The documents of a split are in random order, so a rotation of the whole stream by about half gives every position a
    token of another document and keeps how tokens follow each other: whole documents are permuted, never tokens.
    """

    split: Split
    lags: tuple[int, ...]
    rotation: int
    """Tokens by which the labels of the control are rotated."""

    @classmethod
    def of(cls, split: Split, lags: tuple[int, ...], generator: np.random.Generator) -> "LagLabels":
        """Labels with a rotation drawn between a quarter and three quarters of the stream."""
        tokens = len(split.tokens)
        return cls(split, lags, int(generator.integers(tokens // 4, max(tokens // 4 + 1, 3 * tokens // 4))))

    @property
    def number(self) -> int:
        """Number of targets, the control included."""
        return 1 + len(self.lags)

    def types(self, index: Int[ndarray, "rows"], position: Int[ndarray, "rows"]) -> Int[ndarray, "targets rows"]:
        """The type at each lag of each position, -1 where fewer than `lag` tokens come before it."""
        tokens = self.split.tokens
        labels = np.full((self.number, len(index)), -1, dtype=np.int64)
        labels[0] = tokens[(index + self.rotation) % len(tokens)]
        for target, lag in enumerate(self.lags, start=1):
            known = position >= lag
            labels[target, known] = tokens[index[known] - lag]
        return labels

    def newest(self, index: Int[ndarray, "rows"]) -> Int[ndarray, "rows tokens"]:
        """The types at each position and before it, newest first, as many as follow a token at the longest lag.

        Where the split begins later than that, its first token stands in.
        """
        back = np.arange(max(1, self.lags[-1]))
        return self.split.tokens[np.maximum(index[:, None] - back, 0)].astype(np.int64)

    def counts(self, vocabulary: int) -> Int[ndarray, "targets vocabulary"]:
        """Number of positions with each type as their label, over the whole split."""
        counts = np.zeros((self.number, vocabulary), dtype=np.int64)
        counts[0] = np.bincount(self.split.tokens, minlength=vocabulary)
        remaining = self.remaining()
        for target, lag in enumerate(self.lags, start=1):
            counts[target] = np.bincount(self.split.tokens[remaining >= lag], minlength=vocabulary)
        return counts

    def remaining(self) -> Int[ndarray, "tokens"]:
        """Number of tokens of the same sequence after each token."""
        return np.repeat(self.split.lengths, self.split.lengths) - 1 - positions(self.split)


def positions(split: Split) -> Int[ndarray, "tokens"]:
    """Number of tokens of the same sequence before each token.

    Args:
        split: Sequences that lie end to end.

    Returns:
        One number a token.
    """
    return (np.arange(len(split.tokens)) - np.repeat(split.starts, split.lengths)).astype(np.int32)
