"""The deep-lag residual: the part of a coefficient from lags too deep to be told apart, and its distribution."""

__all__ = ["DeepLagResidual", "deep_lag_residual"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.superposition.options import DecoderOptions

NODES_AT_ONCE = 256
"""Tokens whose tables are transformed at once: memory in proportion."""


@dataclass(frozen=True)
class DeepLagResidual:
    """Distribution of each token's deep-lag sum plus coefficient error, in the scale that is searched."""

    log_none: Float[Tensor, "nodes"]
    """Log-probability that the token is at none of the lags that show."""
    reach: Float[Tensor, "nodes scales"]
    """Largest plausible sum of the token's deep lags."""
    table: Float[Tensor, "nodes steps"]
    """Log-density of the residual of a coefficient after its enumerated lags are subtracted."""
    start: float
    """Residual of the first step of the table."""
    step: float
    """Distance of neighbouring steps of the table."""

    def log_density(self, node: Int[Tensor, "sets"], residual: Float[Tensor, "sets"]) -> Float[Tensor, "sets"]:
        """Log-density of a residual for each set, linear between the steps of the table; -inf outside.

        Args:
            node: The token of each set.
            residual: Its coefficient minus the weights of the set.
        """
        place = (residual - self.start) / self.step
        low = place.floor().clamp(0, self.table.shape[1] - 2).long()
        part = (place - low).clamp(0.0, 1.0)
        value = (1.0 - part) * self.table[node, low] + part * self.table[node, low + 1]
        return torch.where((place >= 0) & (place <= self.table.shape[1] - 1), value, -torch.inf)


def deep_lag_residual(
    weights: Float[Tensor, "scales tokens"],
    chance: Float[Tensor, "nodes tokens"],
    error: Float[Tensor, "nodes scales"],
    key: int,
    options: DecoderOptions,
) -> DeepLagResidual:
    r"""The deep-lag residual of each token, from its probability at each deep lag.

    Lags are independent, so that the sum of their weights and the error has the characteristic function
    :math:`e^{-\sigma^2 t^2 / 2} \prod_k (1 - p_k + p_k e^{i t w_k})`, whose Fourier transform is the table.

    Args:
        weights: Weight of every lag in each scale.
        chance: Probability that a lag is the token's; zero where the lag is enumerated instead.
        error: Standard error of each coefficient.
        key: Index of the scale that is searched.
        options: Options of the decoder.

    Example:
        >>> weights = torch.tensor([[8.0, 4.0, 2.0]], dtype=torch.float64)
        >>> chance = torch.tensor([[0.0, 0.0, 0.25]], dtype=torch.float64)
        >>> error = torch.tensor([[0.01]], dtype=torch.float64)
        >>> residual = deep_lag_residual(weights, chance, error, 0, DecoderOptions())
        >>> none, one = residual.log_density(torch.tensor([0, 0]), torch.tensor([0.0, 2.0]).double()).exp()
        >>> round(float(one / none), 3)  # a quarter against three quarters
        0.333
    """
    if len(error) == 0:
        return DeepLagResidual(error[:, 0], error, error.new_zeros(0, 2), 0.0, 1.0)
    size = weights.abs()
    shows = (size > 1e-3 * error.median(0).values[:, None]).any(0)
    log_none = torch.log1p(-chance[:, shows].clamp(max=1.0 - 1e-9)).sum(1)
    spread = (chance @ size.pow(2).T).sqrt()
    largest = torch.stack([torch.where(chance > 0, each, 0.0).amax(1) for each in size], 1)
    table, start, step = tabulate(weights[key], chance, error[:, key], options)
    return DeepLagResidual(log_none, largest + chance @ size.T + 3.0 * spread, table, start, step)


def tabulate(
    weights: Float[Tensor, "tokens"],
    chance: Float[Tensor, "nodes tokens"],
    error: Float[Tensor, "nodes"],
    options: DecoderOptions,
) -> tuple[Float[Tensor, "nodes steps"], float, float]:
    """Log-densities of the sum of the deep lags plus error, the start of the table, and its step."""
    finest, largest = float(error.min()), float(error.max())
    low, high = span_of(weights, chance, options.table_deviations)
    margin = 3.0 * options.stray_errors * largest
    start, span = low - margin, high - low + 2.0 * margin
    steps = 1 << math.ceil(math.log2(min(options.max_table_steps, max(16.0, span / (options.table_step * finest)))))
    step = span / (steps - 1)
    # Twice as long, so that what leaves at one end does not come back at the other.
    frequency = 2.0 * math.pi * torch.fft.rfftfreq(2 * steps, d=step, device=error.device, dtype=torch.float64)
    profiles, which = torch.unique(chance, dim=0, return_inverse=True)
    followed = (weights.abs() > options.min_followed * finest) & (profiles > 0).any(0)
    mean = profiles[:, ~followed] @ weights[~followed] - start
    spectrum = torch.polar(torch.ones_like(mean)[:, None], -mean[:, None] * frequency)
    for lag in followed.nonzero().flatten().tolist():
        spectrum *= 1.0 + profiles[:, lag, None] * (
            torch.polar(torch.ones_like(frequency), -frequency * weights[lag]) - 1.0
        )
    table = error.new_empty(len(error), steps)
    for rows in torch.arange(len(error), device=error.device).split(NODES_AT_ONCE):
        near, far = (
            torch.exp(-0.5 * (times * error[rows, None] * frequency).pow(2)) for times in (1.0, options.stray_errors)
        )
        blurred = spectrum[which[rows]] * ((1.0 - options.stray_share) * near + options.stray_share * far)
        density = torch.fft.irfft(blurred, n=2 * steps)[:, :steps] / step
        table[rows] = density.clamp(min=options.min_density * density.amax(1, keepdim=True)).log()
    return table, start, step


def span_of(
    weights: Float[Tensor, "tokens"], chance: Float[Tensor, "nodes tokens"], deviations: float
) -> tuple[float, float]:
    """Smallest and largest plausible sum of any token's deep lags."""
    spread = deviations * (chance @ weights.pow(2)).sqrt()
    bounds = []
    for part in (-weights.clamp(max=0.0), weights.clamp(min=0.0)):
        possible = torch.where(chance > 0, part, 0.0)
        bounds.append(float(torch.minimum(possible.sum(1), chance @ part + spread + possible.amax(1)).max()))
    return -bounds[0], bounds[1]
