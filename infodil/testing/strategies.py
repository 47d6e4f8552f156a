"""Strategies of hypothesis for the inputs of traces and encoders."""

import torch
from hypothesis import strategies
from hypothesis.extra import numpy as arrays
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import check_between, check_whole

__all__ = ["alphas", "token_batches", "vector_sequences"]


def alphas(smallest: float = 1e-3) -> strategies.SearchStrategy[float]:
    """Weights of the newest token in a moving average, from `smallest` to 1, simplest first.

    Args:
        smallest: The least weight drawn.

    Returns:
        A hypothesis strategy.

    Raises:
        UserError: `smallest` outside (0, 1].

    Example:
        >>> from hypothesis import given
        >>> given(alphas())(lambda alpha: None)()
    """
    check_between("smallest", smallest, 0.0, 1.0, open_low=True)
    return strategies.floats(smallest, 1.0)


def token_batches(
    vocabulary: int, documents: int = 4, tokens: int = 32
) -> strategies.SearchStrategy[Int[Tensor, "..."]]:
    """Batches of token ids `[documents, tokens]`; the sizes are the largest drawn, and 1 the smallest.

    Args:
        vocabulary: Number of token ids.
        documents: Most documents of a batch.
        tokens: Most tokens of a document.

    Returns:
        A hypothesis strategy.

    Raises:
        UserError: a size that is not a whole number of at least 1.

    Example:
        >>> from hypothesis import given
        >>> given(token_batches(50))(lambda batch: None)()
    """
    for argument, size in [("vocabulary", vocabulary), ("documents", documents), ("tokens", tokens)]:
        check_whole(argument, size, 1, "pass 1 or more")
    shape = strategies.tuples(*(strategies.integers(1, size) for size in (documents, tokens)))
    return arrays.arrays("int64", shape, elements=strategies.integers(0, vocabulary - 1)).map(torch.from_numpy)


def vector_sequences(
    documents: int = 4, tokens: int = 32, dim: int = 8, *, dtype: torch.dtype = torch.float32, largest: float = 100.0
) -> strategies.SearchStrategy[Float[Tensor, "..."]]:
    """Batches of vectors `[documents, tokens, dim]` with entries up to `largest`; sizes as in `token_batches`.

    Args:
        documents: Most documents of a batch.
        tokens: Most tokens of a document.
        dim: Most numbers of a vector.
        dtype: Dtype of the vectors.
        largest: Greatest size of an entry.

    Returns:
        A hypothesis strategy.

    Raises:
        UserError: a size that is not a whole number of at least 1.

    Example:
        >>> from hypothesis import given
        >>> given(vector_sequences(dtype=torch.float64))(lambda x: None)()
    """
    for argument, size in [("documents", documents), ("tokens", tokens), ("dim", dim)]:
        check_whole(argument, size, 1, "pass 1 or more")
    shape = strategies.tuples(*(strategies.integers(1, size) for size in (documents, tokens, dim)))
    # Subnormals are left out: processors may flush them to zero, and no law is about that.
    elements = strategies.floats(-largest, largest, width=32, allow_subnormal=False)
    return arrays.arrays("float32", shape, elements=elements).map(lambda array: torch.from_numpy(array).to(dtype))
