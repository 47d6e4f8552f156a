"""Slowly varying series, on which an interval for independent samples is too narrow. Truths are exact, in bits."""

__all__ = ["autoregressive_pair", "unrelated_series"]

import math
from typing import Literal

import numpy as np
import torch
from jaxtyping import Float64
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from infodil.checks import UserError, check_one_of, check_seed, check_whole
from infodil.sources.pairs import Pair


def autoregressive_pair(
    correlation: float | int = 0.75,
    persistence: float | int = 0.95,
    *,
    dim: int = 1,
    documents: int = 100,
    tokens: int = 100,
    seed: int = 0,
) -> Pair:
    r"""Two stationary autoregressive series of order 1 whose steps are correlated.

    ::

        x_t = f x_{t-1} + sqrt(1 - f^2) a_t        corr(a_t, b_t) = correlation, in each dimension
        y_t = f y_{t-1} + sqrt(1 - f^2) b_t        different dimensions are independent

    .. math:: I(X_t; Y_t) = -\tfrac{d}{2} \log_2 (1 - \rho^2)

    Args:
        correlation: Correlation of the two series at the same time, which is that of their steps.
        persistence: The factor `f` of the recursion, within (-1, 1); the correlation time is about `1 / (1 - f)`.
        dim: How many numbers a sample of each series has.
        documents: Independent series.
        tokens: Samples of each series.
        seed: The same seed gives the same samples.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: A correlation is not within (-1, 1), or a count is too small.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), example 8.5.1; Hamilton, Time Series Analysis (1994),
        section 3.4, for the stationary law.

    Example:
        >>> round(autoregressive_pair(0.75).truth_bits, 4)
        0.5963
    """
    _check(documents=documents, tokens=tokens, dim=dim, seed=seed)
    for name, value in {"correlation": correlation, "persistence": persistence}.items():
        if not -1 < value < 1:
            raise UserError(f"`{name}` must lie within (-1, 1), got {value}: pass one such as 0.75.")
    rng = np.random.default_rng(seed)
    steps, other = rng.standard_normal((2, documents, tokens, dim))
    mixed = correlation * steps + math.sqrt(1 - correlation**2) * other
    x, y = (_autoregress(innovations, persistence) for innovations in (steps, mixed))
    truth = -0.5 * dim * math.log2(1 - correlation**2)
    return Pair(*_flat(x, y), _documents(documents, tokens), truth + 0.0)


def unrelated_series(
    vocabulary: int | None = 8,
    persistence: float | int = 0.99,
    *,
    kind: Literal["autoregressive", "smooth"] = "autoregressive",
    dim: int = 4,
    documents: int = 20,
    tokens: int = 500,
    seed: int = 0,
) -> Pair:
    """Tokens and states that both vary slowly and have nothing to do with one another: the truth is 0.

    ::

        x: stays, with odds `persistence`, else a fresh token       y: an autoregressive or a smooth series
           ... 3 3 3 3 3 0 0 0 0 0 0 0 0 5 5 5 5 5 ...

    Args:
        vocabulary: Token ids of x, all equally likely; with None x is a series like y.
        persistence: The factor of the recursion, within [0, 1). A smooth series is white noise seen through a Gaussian
            window of `1 / (1 - persistence)` samples' standard deviation.
        kind: Kind of series that the states are.
        dim: How many numbers a state has.
        documents: Independent series.
        tokens: Samples of each series.
        seed: The same seed gives the same samples.

    Returns:
        The tokens, as `x`, and the states, as `y`, whose mutual information is 0.

    Raises:
        UserError: An argument is out of range.

    Example:
        >>> null = unrelated_series(documents=2, tokens=5)
        >>> null.truth_bits, tuple(null.y.shape)
        (0.0, (10, 4))
    """
    _check(documents=documents, tokens=tokens, dim=dim, seed=seed)
    check_one_of("kind", kind, ("autoregressive", "smooth"))
    if not 0 <= persistence < 1:
        raise UserError(f"`persistence` must be at least 0 and below 1, got {persistence}: pass one such as 0.99.")
    if vocabulary is not None:
        check_whole("vocabulary", vocabulary, 1, "pass 1 or more, or None for a series of numbers")
    rng = np.random.default_rng(seed)
    draw = _autoregress if kind == "autoregressive" else _smooth
    shape = (documents, tokens, dim)
    y = draw(rng.standard_normal(shape), persistence)
    x = draw(rng.standard_normal(shape), persistence) if vocabulary is None else None
    if x is None:
        fresh = rng.random((documents, tokens)) >= persistence
        fresh[:, 0] = True
        last = np.maximum.accumulate(np.where(fresh, np.arange(tokens), 0), axis=1)
        x = np.take_along_axis(rng.integers(vocabulary, size=(documents, tokens)), last, axis=1)
    return Pair(*_flat(x, y), _documents(documents, tokens), 0.0)


def _autoregress(innovations: Float64[np.ndarray, "documents tokens dim"], persistence: float | int) -> np.ndarray:
    """Variance 1 from the first sample on."""
    steps = innovations * math.sqrt(1 - persistence**2)
    steps[:, 0] = innovations[:, 0]
    return lfilter([1.0], [1.0, -persistence], steps, axis=1)


def _smooth(noise: Float64[np.ndarray, "documents tokens dim"], persistence: float | int) -> np.ndarray:
    # Wrapped around its ends, a series is stationary: no sample stands out.
    return gaussian_filter1d(noise, 1 / (1 - persistence), axis=1, mode="wrap")


def _flat(*series: np.ndarray) -> list[torch.Tensor]:
    return [torch.from_numpy(one.reshape(-1, *one.shape[2:])) for one in series]


def _documents(documents: int, tokens: int) -> torch.Tensor:
    return torch.arange(documents).repeat_interleave(tokens)


def _check(*, documents: int, tokens: int, dim: int, seed: int) -> None:
    for name, value in {"documents": documents, "tokens": tokens, "dim": dim}.items():
        check_whole(name, value, 1, "pass 1 or more")
    check_seed(seed)
