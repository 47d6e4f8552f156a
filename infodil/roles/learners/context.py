"""Traces of the words around a word: its context at several time scales, and never the word itself."""

__all__ = ["context_traces", "sentence_batches"]

from collections.abc import Iterator

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infodil.lm import delayed
from infodil.traces import ema_bank

TOGETHER = 128
"""Sentences in a batch."""


def context_traces(
    vectors: Float[Tensor, "documents tokens dim"], alphas: tuple[float, ...], backward: bool = True
) -> Float[Tensor, "documents tokens traces"]:
    """Traces of the words before each word and, with `backward`, of those after it; never of the word itself.

    A padded word is a vector of zeros: it leaves a trace of zero as it is, so that both directions start at the ends
    of the sentence.

    Example:
        >>> context_traces(torch.tensor([[[1.0], [2.0], [4.0]]]), (0.5,))
        tensor([[[0.0000, 2.0000],
                 [0.5000, 2.0000],
                 [1.2500, 0.0000]]])
    """
    directions = [traces_before(vectors, alphas)]
    if backward:
        directions.append(traces_before(vectors.flip(1), alphas).flip(1))
    return torch.cat(directions, dim=-1)


def sentence_batches(words: Int64[Tensor, "documents tokens"]) -> Iterator[tuple[Tensor, Tensor]]:
    """Some sentences at a time, those of like length together: their rows, and their words without needless padding."""
    lengths = (words >= 0).sum(1)
    for rows in lengths.argsort(stable=True).split(TOGETHER):
        yield rows, words[rows, : max(1, int(lengths[rows].max()))]


def traces_before(vectors: Float[Tensor, "documents tokens dim"], alphas: tuple[float, ...]) -> Tensor:
    """The traces one token ago."""
    return delayed(ema_bank(vectors, alphas).flatten(2))
