"""Distributions over token ids: entropy in bits, Zipf's law, and checked priors."""

__all__ = ["Prior", "entropy_bits", "log_prior_of", "probabilities_of", "zipf"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor

from infodil.checks import UserError

Prior = Float[Tensor, "vocabulary"] | Float[np.ndarray, "vocabulary"] | Sequence[float]
"""Probabilities or weights of token ids."""


def entropy_bits(probabilities: Float64[np.ndarray, "outcomes"]) -> float:
    r"""Entropy :math:`-\sum_i p_i \log_2 p_i` in bits, with :math:`0 \log 0 = 0`.

    Args:
        probabilities: Probability of each outcome.

    Returns:
        The entropy in bits.

    Example:
        >>> entropy_bits(np.array([0.5, 0.25, 0.25, 0.0]))
        1.5
    """
    positive = probabilities[probabilities > 0]
    return float(-np.sum(positive * np.log2(positive))) + 0.0


def zipf(vocabulary: int, exponent: float | int = 1.0) -> Float64[np.ndarray, "vocab"]:
    r"""Zipf's law: :math:`p_i \propto (i + 1)^{-s}`; exponent 0 is uniform.

    Args:
        vocabulary: Number of types.
        exponent: Exponent s of the law.

    Returns:
        Probability of each type, the commonest first.

    Raises:
        UserError: `exponent` is negative or not finite.

    Example:
        >>> zipf(3).round(4).tolist()
        [0.5455, 0.2727, 0.1818]
    """
    if not 0 <= exponent < float("inf"):
        raise UserError(f"`exponent` must be finite and at least 0, got {exponent}: pass a value such as 1.0.")
    weights = np.arange(1, vocabulary + 1, dtype=np.float64) ** -exponent
    return weights / weights.sum()


def probabilities_of(prior: Prior | None, vocabulary: int) -> Float64[Tensor, "vocabulary"]:
    """A prior normalised to sum 1, float64; uniform where none is given.

    Args:
        prior: Weights or probabilities, one a type.
        vocabulary: Number of types.

    Returns:
        Probability of each type.

    Raises:
        UserError: `prior` of another length, or not above 0 everywhere.

    Example:
        >>> probabilities_of([3.0, 1.0], 2).tolist()
        [0.75, 0.25]
    """
    if prior is None:
        return torch.full((vocabulary,), 1 / vocabulary, dtype=torch.float64)
    weights = torch.as_tensor(prior, dtype=torch.float64).cpu()
    if tuple(weights.shape) != (vocabulary,) or not ((weights > 0) & torch.isfinite(weights)).all():
        raise UserError(f"`prior` must be {vocabulary} probabilities above 0: leave out tokens that never occur.")
    return weights / weights.sum()


def log_prior_of(prior: Tensor | np.ndarray | Sequence[float] | None, vocabulary: int) -> Tensor:
    """Log of a prior over types, float64; uniform where none is given, and above zero everywhere.

    Args:
        prior: Weights or probabilities, one a type.
        vocabulary: Number of types.

    Returns:
        Log-probability of each type, nats.

    Raises:
        UserError: `prior` of another length, negative somewhere, or zero everywhere.
    """
    if prior is None:
        return torch.full((vocabulary,), -math.log(vocabulary), dtype=torch.float64)
    prior = torch.as_tensor(prior, dtype=torch.float64)
    if prior.shape != (vocabulary,):
        raise UserError(f"`prior` must have shape [{vocabulary}], got {list(prior.shape)}: pass one weight a type.")
    if not torch.isfinite(prior).all() or (prior < 0).any() or prior.sum() <= 0:
        raise UserError("`prior` must be finite, at least zero and not zero everywhere: pass counts or probabilities.")
    # A type of probability zero could never be decoded, whatever the state: it gets half of the least probability.
    floor = prior[prior > 0].min() / 2
    prior = prior.clamp(min=float(floor))
    return (prior / prior.sum()).log()
