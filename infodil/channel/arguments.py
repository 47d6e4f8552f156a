"""Checks of the arguments that describe a channel: lags, noise and the code."""

__all__ = ["check_code", "check_lags", "check_sigma"]

import math
import operator
from collections.abc import Sequence

import torch

from infodil.channel.code import Code
from infodil.checks import UserError, check_not_empty, check_whole


def check_lags(lags: Sequence[int]) -> tuple[int, ...]:
    """The lags as whole numbers.

    Raises:
        UserError: A lag is not a whole number of at least 0, or there is none.
    """
    check_not_empty("lags", lags, "pass at least one lag, such as lags=range(8)")
    lags = tuple(operator.index(lag) if hasattr(lag, "__index__") else lag for lag in lags)
    for lag in lags:
        check_whole("lags", lag, 0, "pass steps back, 0 for the newest token")
    return lags


def check_sigma(sigma: float) -> None:
    """A check that `sigma` is a standard deviation.

    Raises:
        UserError: `sigma` is negative or not finite.
    """
    if not 0 <= sigma < math.inf:
        raise UserError(f"`sigma` must be finite and at least 0, got {sigma}: pass the noise's standard deviation.")


def check_code(code: Code, max_types: int) -> None:
    """A check that the posterior of a state of this code can be enumerated.

    Raises:
        UserError: The code has fewer than two types, more than `max_types`, a number that is not finite, or weights
            that are all zero.
    """
    embedding, weights = code
    if embedding.dim() != 2 or len(embedding) < 2:
        raise UserError(
            f"`embedding` must be [vocabulary, dim] of at least 2 types, got shape {list(embedding.shape)}."
        )
    if len(embedding) > max_types:
        raise UserError(
            f"`embedding` must have at most {max_types} types to be enumerated, got {len(embedding)}: "
            "pass a smaller vocabulary, or use a probe that does not enumerate."
        )
    for name, value in {"embedding": embedding, "weights": weights}.items():
        if not torch.isfinite(value).all():
            raise UserError(f"`{name}` must be finite, got NaN or infinity: mend or leave out such values.")
    if not weights.any():
        raise UserError("`weights` must not be zero everywhere: pass the weight of the token at each lag.")
