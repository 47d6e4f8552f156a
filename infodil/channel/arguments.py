"""Checks of what describes a channel: lags, noise and the law of the tokens."""

__all__ = ["Transition", "check_lags", "check_sigma"]

import math
import operator
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_not_empty, check_whole

Transition = Float[Tensor, "vocabulary vocabulary"] | np.ndarray | Sequence[Sequence[float]]
"""Transition matrix of a Markov chain, one row a type."""


def check_lags(lags: Sequence[int]) -> tuple[int, ...]:
    """The lags as whole numbers; raise `UserError` where one is not, or there is none."""
    check_not_empty("lags", lags, "pass at least one lag, such as lags=range(8)")
    lags = tuple(operator.index(lag) if hasattr(lag, "__index__") else lag for lag in lags)
    for lag in lags:
        check_whole("lags", lag, 0, "pass steps back, 0 for the newest token")
    return lags


def check_sigma(sigma: float) -> None:
    """Raise `UserError` unless this is a standard deviation."""
    if not 0 <= sigma < math.inf:
        raise UserError(f"`sigma` must be finite and at least 0, got {sigma}: pass the noise's standard deviation.")
