"""Stationary Markov chains of order 1: the check of a transition matrix, its stationary distribution, draws."""

__all__ = ["draw_chain", "normalized_transition", "stationary_distribution"]

import numpy as np
from jaxtyping import Float64, Int64

from infodil.checks import UserError


def normalized_transition(matrix: np.ndarray) -> Float64[np.ndarray, "vocab vocab"]:
    """A transition matrix whose rows sum to 1 exactly.

    Raises:
        UserError: `transition` is not square, or a row is not a probability distribution.
    """
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1] or matrix.size == 0:
        raise UserError(f"`transition` must be square, got shape {matrix.shape}: pass one row and one column a token.")
    bad = ~((matrix >= 0).all(axis=1) & (np.abs(matrix.sum(axis=1) - 1) < 1e-6))
    if bad.any():
        row = int(np.flatnonzero(bad)[0])
        raise UserError(
            f"`transition` row {row} is not a probability distribution: pass non-negative numbers whose sum is 1."
        )
    return matrix / matrix.sum(axis=1, keepdims=True)


def stationary_distribution(matrix: Float64[np.ndarray, "vocab vocab"]) -> Float64[np.ndarray, "vocab"]:
    r"""Stationary distribution of a Markov chain: the solution of :math:`\mu P = \mu` with sum 1, by least squares.

    Raises:
        UserError: The chain has more than one stationary distribution.
    """
    size = len(matrix)
    conditions = np.vstack([matrix.T - np.eye(size), np.ones((1, size))])
    answer, _, rank, _ = np.linalg.lstsq(conditions, np.eye(size + 1)[size], rcond=1e-12)
    if rank < size:
        raise UserError(
            "`transition` has more than one stationary distribution: let every token be reached from every other."
        )
    answer = np.maximum(answer, 0.0)
    return answer / answer.sum()


def draw_chain(
    matrix: Float64[np.ndarray, "vocab vocab"],
    stationary: Float64[np.ndarray, "vocab"],
    documents: int,
    tokens: int,
    generator: np.random.Generator,
) -> Int64[np.ndarray, "documents tokens"]:
    """Token ids of independent chains, each started from the stationary distribution.

    Args:
        matrix: Transition matrix, rows of sum 1.
        stationary: Distribution of the first token.
        documents: Number of chains.
        tokens: Length of each chain.
        generator: Random generator of the draws.
    """
    # One step for all documents at once: where a uniform draw falls among the cumulative probabilities.
    draws = generator.random((tokens, documents))
    drawn = np.empty((documents, tokens), dtype=np.int64)
    drawn[:, 0] = _pick(np.cumsum(stationary)[None], draws[0])
    steps = np.cumsum(matrix, axis=1)
    for t in range(1, tokens):
        drawn[:, t] = _pick(steps[drawn[:, t - 1]], draws[t])
    return drawn


def _pick(cumulative: Float64[np.ndarray, "rows vocab"], draws: Float64[np.ndarray, "documents"]) -> np.ndarray:
    # The last sum may fall short of 1 by rounding: a draw above it is the last token, not one past the vocabulary.
    return np.minimum((draws[:, None] >= cumulative).sum(axis=1), cumulative.shape[1] - 1)
