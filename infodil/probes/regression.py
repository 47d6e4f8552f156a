"""Token vectors and weights of a superposition that nobody told: alternating least squares on tokens and states."""

__all__ = ["EstimatedCode", "estimate_code"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from scipy.linalg import cho_factor, cho_solve
from scipy.sparse import csr_matrix
from torch import Tensor

from infodil.channel import Code
from infodil.checks import UserError, check_whole

ROUNDS = 40
CONVERGED = 1e-10
RIDGE = 1e-9
MOST_TYPES = 8192
"""The normal equations hold types squared numbers."""


@dataclass(frozen=True)
class EstimatedCode:
    """A code fitted to states, and how well it explains them."""

    code: Code
    """Token vectors of mean length one, and their weights; a type that was not seen has a vector of zeros."""
    unexplained: float
    """Share of the states' power that the code leaves over: near zero, the states are such a superposition."""


def estimate_code(tokens: Tensor, states: Tensor, lags: int) -> EstimatedCode:
    r"""Fit :math:`h_t \approx \sum_{k < \text{lags}} w_k\, e(x_{t-k})` to states whose code is not known.

    The vectors begin at the mean state of each type; then the weights are fitted with the vectors held, and the
    vectors with the weights held, each by linear least squares, until neither moves. Only the product of weight and
    vector is known: vectors are given a mean length of one.

    Args:
        tokens: `[documents, tokens]`, whole documents from their first token on.
        states: `[documents, tokens, dim]`, one trace (fit the traces of a bank one by one).
        lags: How many lags have a weight.

    Raises:
        UserError: Shapes that do not fit, or more than 8,192 types.

    Reference:
        Alternating least squares for a bilinear model: De Leeuw, Young and Takane (1976).
    """
    check_whole("lags", lags, 1, "pass how many lags have a weight")
    if tokens.dim() != 2 or states.dim() != 3 or states.shape[:2] != tokens.shape:
        raise UserError(
            f"`states` must have shape [documents, tokens, dim] for `tokens` of shape {list(tokens.shape)}, "
            f"got {list(states.shape)}."
        )
    vocabulary = int(tokens.max()) + 1
    if vocabulary > MOST_TYPES:
        raise UserError(f"`tokens` has {vocabulary} types, more than the {MOST_TYPES} that can be fitted: use fewer.")
    ids, target = tokens.cpu().numpy(), states.double().flatten(0, 1).cpu().numpy()
    shifts = [shifted(ids, lag, vocabulary) for lag in range(min(lags, ids.shape[1]))]
    counts = np.asarray(shifts[0].sum(0)).ravel()
    vectors = (shifts[0].T @ target) / np.maximum(counts, 1.0)[:, None]
    weight = np.zeros(len(shifts))
    for _ in range(ROUNDS):
        before = weight
        weight = fit_weights(shifts, vectors, target)
        vectors = fit_vectors(shifts, weight, target, counts)
        length = np.linalg.norm(vectors[counts > 0], axis=1).mean()
        weight, vectors = weight * length, vectors / length
        if np.abs(weight - before).max() <= CONVERGED * np.abs(weight).max():
            break
    left = target - sum(w * (shift @ vectors) for w, shift in zip(weight, shifts, strict=True))
    full = np.zeros(lags)
    full[: len(weight)] = weight
    code = Code(torch.from_numpy(vectors), torch.from_numpy(full)[None])
    return EstimatedCode(code, float((left**2).sum() / (target**2).sum()))


def shifted(ids: ndarray, lag: int, vocabulary: int) -> csr_matrix:
    """One row a position, a one at the type `lag` tokens back; rows without such a token are empty."""
    documents, tokens = ids.shape
    row = np.arange(documents * tokens).reshape(documents, tokens)[:, lag:].ravel()
    column = ids[:, : tokens - lag].ravel()
    return csr_matrix((np.ones(len(row)), (row, column)), shape=(documents * tokens, vocabulary))


def fit_weights(
    shifts: list[csr_matrix], vectors: Float[ndarray, "types dim"], target: Float[ndarray, "rows dim"]
) -> Float[ndarray, "lags"]:
    """Least squares on the weights with the vectors held."""
    gram = vectors @ vectors.T
    products = np.array([float((vectors * (shift.T @ target)).sum()) for shift in shifts])
    size = len(shifts)
    normal = np.empty((size, size))
    for one in range(size):
        for other in range(one, size):
            pairs = (shifts[one].T @ shifts[other]).tocoo()
            normal[one, other] = normal[other, one] = (pairs.data * gram[pairs.row, pairs.col]).sum()
    return np.linalg.solve(normal + RIDGE * np.trace(normal) / size * np.eye(size), products)


def fit_vectors(
    shifts: list[csr_matrix],
    weight: Float[ndarray, "lags"],
    target: Float[ndarray, "rows dim"],
    counts: Float[ndarray, "types"],
) -> Float[ndarray, "types dim"]:
    """Least squares on the vectors with the weights held."""
    design = sum(w * shift for w, shift in zip(weight, shifts, strict=True)).tocsr()
    normal = (design.T @ design).toarray()
    normal[np.diag_indices_from(normal)] += RIDGE * normal.diagonal().mean() + (counts == 0)
    return cho_solve(cho_factor(normal), design.T @ target)
