"""A backward n-gram with back-off: the distribution of a token given those after it, without any state."""

__all__ = ["BackwardNgram"]

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.probes.calibration import LEAST_GAIN_NATS
from infodil.probes.class_map import ClassMap
from infodil.probes.context import ContextModel

CONTEXT_TOKENS = 3
"""Tokens after the hidden one that the n-gram may look at."""

COUNTED_TOKENS = 1_000_000
"""Training tokens that are counted: distinct n-grams grow with the corpus, memory must not."""


class Table:
    """Counts of (context, class) for contexts of one length, sorted for look-up, on the device of the probes."""

    def __init__(
        self, contexts: Int[ndarray, "pairs"], classes: Int[ndarray, "pairs"], number: int, device: torch.device
    ) -> None:
        pairs, counts = np.unique(contexts * number + classes, return_counts=True)
        keys, starts, distinct = np.unique(pairs // number, return_index=True, return_counts=True)
        totals = np.add.reduceat(counts, starts)
        once, twice = (counts == 1).sum(), (counts == 2).sum()
        # The leaving-one-out estimate of the discount: Ney, Essen and Kneser 1994, equation 15.
        self.discount = float(once / max(1, once + 2 * twice)) or 0.5
        shares = (counts - self.discount).clip(min=0.0) / np.repeat(totals, distinct)
        self.keys, self.starts, self.distinct, self.classes, self.weight, self.shares = (
            torch.from_numpy(each).to(device)
            for each in (
                keys, starts, distinct, pairs % number,
                (self.discount * distinct / totals).astype(np.float32), shares.astype(np.float32),
            )
        )  # fmt: skip

    def back_off(self, contexts: Int[Tensor, "rows"], lower: Float[Tensor, "rows classes"]) -> None:
        """Mix the longer context into `lower`, in place, for the rows whose context was seen."""
        entry = torch.searchsorted(self.keys, contexts).clamp(max=len(self.keys) - 1)
        seen = self.keys[entry] == contexts
        lower *= torch.where(seen, self.weight[entry], 1.0)[:, None]
        lengths = torch.where(seen, self.distinct[entry], 0)
        row = torch.repeat_interleave(lengths)
        pair = torch.arange(len(row), device=row.device) + (self.starts[entry] - (lengths.cumsum(0) - lengths))[row]
        lower.view(-1).index_add_(0, row * lower.shape[1] + self.classes[pair], self.shares[pair])


class BackwardNgram(ContextModel):
    """The distribution of a token's class given the 0 to 3 tokens that follow it.

    Interpolated absolute discounting (Ney, Essen and Kneser 1994), from the unigram prior upward; how many of the
    available following tokens are used is chosen on calibration rows, so that where they say nothing the context
    model *is* the prior.
    """

    name = "ngram"

    def __init__(self, classes: ClassMap) -> None:
        self.classes = classes
        self.tables: list[Table] = []
        self.used = [0] * (CONTEXT_TOKENS + 1)
        """For each number of available following tokens, how many are looked at."""

    def fit(self, tokens: Int[ndarray, "tokens"], following: Int[ndarray, "tokens"]) -> None:
        """Count n-grams.

        Args:
            tokens: Training tokens, sequences end to end.
            following: How many tokens of the same sequence follow each.
        """
        of_type = self.classes.of_type.cpu().numpy()
        symbols = of_type[tokens[:COUNTED_TOKENS]].astype(np.int64)
        following = following[: len(symbols)]
        for length in range(1, CONTEXT_TOKENS + 1):
            place = np.flatnonzero(following >= length)
            place = place[place + length < len(symbols)]
            if len(place) == 0:
                break
            contexts = np.stack([symbols[place + step] for step in range(1, length + 1)], 1)
            keys = self.keys(torch.from_numpy(contexts)).numpy()
            self.tables.append(Table(keys, symbols[place], self.classes.number, self.classes.of_type.device))

    def keys(self, following: Int[Tensor, "rows length"]) -> Int[Tensor, "rows"]:
        """One whole number for each context. Classes number at most a few thousand, so four of them fit 63 bits."""
        key = torch.zeros(len(following), dtype=torch.long, device=following.device)
        for column in following.unbind(1):
            key = key * self.classes.number + column
        return key

    def choose(self, following: Int[Tensor, "rows length"], labels: Int[Tensor, "rows"]) -> None:
        """Choose how many tokens to look at, for each number available, on calibration rows that have them all.

        A longer context must gain as much as any evidence must: on independent tokens none is used.
        """
        losses = []
        best = 0
        for length in range(min(following.shape[1], len(self.tables)) + 1):
            probability = self.probabilities(following, length).gather(1, labels[:, None])
            losses.append(-float(probability.log().double().sum()))
            if losses[best] - losses[length] > LEAST_GAIN_NATS:
                best = length
            self.used[length:] = [best] * (CONTEXT_TOKENS + 1 - length)

    @property
    def description(self) -> str:
        """The model and how far it looks."""
        return f"backward n-gram with back-off, up to {max(self.used)} following tokens"

    def begin(self, newest: Int[ndarray, "rows tokens"]) -> Int[Tensor, "rows tokens"]:
        """The class of each token."""
        return self.classes.of_type[torch.from_numpy(newest).to(self.classes.of_type.device)]

    def predict(
        self, begun: Int[Tensor, "rows tokens"], rows: Int[ndarray, "some"], lag: int
    ) -> Float[Tensor, "some classes"]:
        """Log-probability of each class at a lag, by the nearest of the tokens that follow it."""
        nearest = begun[torch.from_numpy(rows).to(begun.device), max(0, lag - CONTEXT_TOKENS) : lag]
        return self.log_probs(nearest.flip(1))

    def log_probs(self, following: Int[Tensor, "rows length"]) -> Float[Tensor, "rows classes"]:
        """Log-probability of each class given the classes of the tokens that follow, nearest first, nats."""
        available = min(following.shape[1], CONTEXT_TOKENS)
        return self.probabilities(following, self.used[available]).log()

    def probabilities(self, following: Int[Tensor, "rows length"], length: int) -> Float[Tensor, "rows classes"]:
        """Probabilities with exactly `length` following tokens looked at."""
        probability = self.classes.class_log_prior.exp().expand(len(following), -1).clone()
        for shorter, table in enumerate(self.tables[:length], start=1):
            table.back_off(self.keys(following[:, :shorter]), probability)
        return probability
