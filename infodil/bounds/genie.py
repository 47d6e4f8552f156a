"""The genie's bound: what a state could tell of one token if every other token in it were known."""

__all__ = ["NOISES", "genie", "genie_by_lag"]

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import Literal, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Real
from torch import Tensor

from infodil.bounds.arguments import check_noise, noise_steps, probabilities, wide_matrix
from infodil.bounds.codebook import Codebook
from infodil.bounds.gaussian_noise import gaussian_information
from infodil.bounds.uniform_noise import uniform_information
from infodil.checks import UserError, accepts_former_name, check_confidence, check_seed, check_whole
from infodil.estimate import BITS_PER_NAT, Estimate

Noise = Literal["gaussian", "uniform"]
NOISES = ("gaussian", "uniform")

CONDITION = "It bounds I(X; H) where tokens are independent; for dependent ones it bounds I(X; H | all other tokens)."


@accepts_former_name(samples="draws")
def genie(
    embedding: Float[Tensor, "vocabulary dim"] | Float[np.ndarray, "vocabulary dim"],
    weight: float | int | Sequence[float] | Float[Tensor, "scales"] | Float[np.ndarray, "scales"],
    sigma: float | int | Float[Tensor, "*dims"] | Float[np.ndarray, "*dims"],
    prior: Real[Tensor, "vocabulary"] | Real[np.ndarray, "vocabulary"] | Sequence[float] | None = None,
    *,
    noise: Noise = "gaussian",
    draws: int = 4096,
    confidence: float = 0.95,
    seed: SupportsIndex = 0,
) -> Estimate:
    r"""Upper bound on what a state that sums token vectors can tell of one token, in bits.

    A genie reveals all other tokens; what is left is one token vector in noise,

    .. math:: I(X_k; H) \le I(X_k; H \mid X_{\ne k}) = I(X; w\, e_X + \sigma N)
              \le \min\big(H(X),\ \tfrac12 \log_2 \det(I + w^2 \Sigma_E / \sigma^2)\big),

    where the first step holds for independent tokens. For dependent ones the value bounds what the state tells of the
    token beyond all other tokens: the noise channel's information is concave in the law of its input, and the law given
    the others is the prior in the mean. Computed by quadrature where the vectors lie on a line (always for two types),
    else by Monte Carlo; the least of this and the two on the right is the answer.

    Args:
        embedding: Token vectors, one a type.
        weight: Weight of the token in the state, or its weight at each scale of a bank.
        sigma: Standard deviation of the noise: one number, `[dim]`, or `[scales, dim]`.
        prior: Weights or probabilities of the types; uniform by default.
        noise: Law of the noise, `"gaussian"` or `"uniform"`: that of dithered rounding to steps of `sigma * sqrt(12)`.
            Uniform noise hides less than Gaussian noise of the same variance: what leaves its support is seen for
            certain.
        draws: Number of Monte Carlo draws of token and noise, eight or more for each type where types are few; draws of
            dither are fewer.
        confidence: Confidence level of the interval.
        seed: The same seed gives the same draws.

    Returns:
        An upper bound. The interval is that of the Monte Carlo mean: with the stated confidence the bound, and so the
        truth, is below its high end. Zero wide where nothing was drawn.

    Raises:
        UserError: Arguments have another shape, are not finite or are out of range, or the noise has no size.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 2.7.4 (concavity), 8.6.5 (the determinant), and
        section 15.3 (a genie's sum of users). Zamir and Feder (1992), for dithered rounding.

    Example:
        >>> vectors = torch.tensor([[-1.0], [1.0]])
        >>> [round(float(genie(vectors, weight, 0.1)), 4) for weight in (1.0, 0.1, 0.0)]
        [1.0, 0.4859, 0.0]
    """
    weight = torch.as_tensor(weight, dtype=torch.float64)
    if weight.dim() > 1:
        raise UserError(f"`weight` must be a number or [scales], got shape {list(weight.shape)}: pass one lag's.")
    options = {"noise": noise, "draws": draws, "confidence": confidence, "seed": seed}
    return genie_by_lag(embedding, weight.reshape(-1, 1), sigma, prior, **options)[0]


@accepts_former_name(samples="draws")
@torch.no_grad()
def genie_by_lag(
    embedding: Float[Tensor, "vocabulary dim"] | Float[np.ndarray, "vocabulary dim"],
    weights: Float[Tensor, "*scales lags"] | Float[np.ndarray, "*scales lags"],
    sigma: float | int | Float[Tensor, "*dims"] | Float[np.ndarray, "*dims"],
    prior: Real[Tensor, "vocabulary"] | Real[np.ndarray, "vocabulary"] | Sequence[float] | None = None,
    *,
    noise: Noise = "gaussian",
    draws: int = 4096,
    confidence: float = 0.95,
    seed: SupportsIndex = 0,
) -> tuple[Estimate, ...]:
    """Upper bound on what a state tells of the token at each lag of a trace or a bank, as by `genie`, in bits.

    Lags share their draws, and the matrix products where one sigma serves all.

    Args:
        embedding: Token vectors, one a type.
        weights: Weight of the token at each lag, `[lags]`, or `[scales, lags]`.
        sigma: Standard deviation of the noise: one number, `[dim]`, or `[scales, dim]`.
        prior: Weights or probabilities of the types; uniform by default.
        noise: Law of the noise, `"gaussian"` or `"uniform"`; see `genie`.
        draws: Number of Monte Carlo draws of token and noise; see `genie`.
        confidence: Confidence level of each interval for itself.
        seed: The same seed gives the same draws.

    Returns:
        An upper bound for each lag.

    Raises:
        UserError: Arguments have another shape, are not finite or are out of range, or the noise has no size.

    Reference:
        See `genie`.

    Example:
        >>> vectors = torch.tensor([[-1.0], [1.0]])
        >>> [round(float(bound), 3) for bound in genie_by_lag(vectors, torch.tensor([0.5, 0.25, 0.125]), 0.1)]
        [1.0, 0.975, 0.637]
    """
    check_noise(noise)
    check_confidence(confidence)
    check_whole("draws", draws, 32, "pass how many draws to make")
    seed = check_seed(seed)
    vectors = wide_matrix("embedding", embedding, "[vocabulary, dim]")
    weights = torch.as_tensor(weights, dtype=torch.float64).cpu()
    weights = weights[None] if weights.dim() == 1 else weights
    if weights.dim() != 2 or weights.numel() == 0 or not weights.isfinite().all():
        raise UserError(
            f"`weights` must be finite numbers [lags] or [scales, lags], got shape {list(weights.shape)}: pass those "
            "of infodil.traces.weights."
        )
    steps = noise_steps(sigma, len(weights), vectors.shape[1])
    share = probabilities(prior, len(vectors))
    if noise == "uniform":
        steps = steps * math.sqrt(12.0)
        found = [rounded(vectors, column, steps, share, draws, seed) for column in weights.T]
    elif bool((steps == steps[0, 0]).all()):
        gains = (weights.norm(dim=0) / float(steps[0, 0])).tolist()
        found = seen(Codebook.of(vectors, share), gains, draws, seed)
    else:
        # Scales that carry the same number add their precisions, whatever the sizes of their noise.
        found = [
            seen(Codebook.of(vectors * (column[:, None] / steps).norm(dim=0), share), [1.0], draws, seed)[0]
            for column in weights.T
        ]
    return tuple(as_estimate(*parts, confidence) for parts in found)


def seen(book: Codebook, gains: Sequence[float], draws: int, seed: int) -> list[tuple]:
    """Value, error, cap and entropy in nats for each gain, through Gaussian noise; how it was done, and draws."""
    value, error = gaussian_information(book, gains, draws, seed)
    spectrum = book.spectrum()
    caps = [0.5 * float((gain**2 * spectrum).log1p().sum()) for gain in gains]
    ways = [("Monte Carlo", draws) if e > 0 else ("quadrature", 0) for e in error]
    return [
        (v, e, cap, book.entropy_nats, way, drawn)
        for v, e, cap, (way, drawn) in zip(value.tolist(), error.tolist(), caps, ways, strict=True)
    ]


def rounded(
    vectors: Float[Tensor, "vocabulary dim"],
    weight: Float[Tensor, "scales"],
    steps: Float[Tensor, "scales dim"],
    prior: Float[Tensor, "vocabulary"],
    draws: int,
    seed: int,
) -> tuple:
    """The same through dithered rounding; scales stand side by side, for each is rounded for itself."""
    points = (vectors[:, None] * (weight[:, None] / steps)).flatten(1)
    book = Codebook.of(points, prior)
    value, error, made = uniform_information(book, draws, seed)
    return value, error, book.split_nats(), book.entropy_nats, "dithered rounding", made


def as_estimate(
    value: float, error: float, cap: float, entropy: float, way: str, draws: int, confidence: float
) -> Estimate:
    """The least of the genie's information and its two caps, in bits."""
    reach = NormalDist().inv_cdf(0.5 + confidence / 2) * error
    low, value, high = (min(nats, cap, entropy) * BITS_PER_NAT for nats in (value - reach, value, value + reach))
    return Estimate(
        value_bits=value,
        low_bits=low,
        high_bits=high,
        confidence=confidence,
        kind="upper bound",
        samples=draws,
        method=f"genie, {way}",
        warnings=(CONDITION,),
    )
