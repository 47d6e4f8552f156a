"""What a token adds to its coefficient from lags too deep to be told apart: the distribution of that sum."""

__all__ = ["Tail", "tail_of"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

FINEST = 0.5
"""Step of the table in units of the smallest error..."""

MOST_STEPS = 2048
"""...or as coarse as it takes to keep it this short."""

BEYOND = 8.0
"""Standard deviations that the table reaches beyond the mean of the sum."""

NOTICED = 0.05
"""Lags that weigh less than this many errors are not followed one by one: they add their mean."""

STRAY, STRAY_ERRORS = 0.02, 20.0
"""Share of coefficients that are allowed an error so many times as large: codes and errors are known but roughly."""

NODES_AT_ONCE = 256

LEAST = 1e-14
"""The transform resolves nothing below this share of the largest density."""


@dataclass(frozen=True)
class Tail:
    """Where a token's deep lags and the error of its coefficient may take it, in the scale that is searched."""

    log_none: Float[Tensor, "nodes"]
    """Log-probability that it is at none of the lags that show."""
    reach: Float[Tensor, "nodes scales"]
    """The most it plausibly adds."""
    table: Float[Tensor, "nodes steps"]
    """Log-density of what is left of a coefficient when its enumerated lags are taken off."""
    start: float
    step: float

    def log_density(self, node: Int[Tensor, "sets"], left: Float[Tensor, "sets"]) -> Float[Tensor, "sets"]:
        """Log-density of what is left for each set, linear between the steps of the table; -inf outside."""
        place = (left - self.start) / self.step
        low = place.floor().clamp(0, self.table.shape[1] - 2).long()
        part = (place - low).clamp(0.0, 1.0)
        value = (1.0 - part) * self.table[node, low] + part * self.table[node, low + 1]
        return torch.where((place >= 0) & (place <= self.table.shape[1] - 1), value, -torch.inf)


def tail_of(
    weights: Float[Tensor, "scales tokens"],
    chance: Float[Tensor, "nodes tokens"],
    error: Float[Tensor, "nodes scales"],
    key: int,
) -> Tail:
    r"""The tail of each token, from its chance to be at each deep lag.

    Lags are independent, so that the sum of their weights and the error has the characteristic function
    :math:`e^{-\sigma^2 t^2 / 2} \prod_k (1 - p_k + p_k e^{i t w_k})`, whose Fourier transform is the table.

    Args:
        weights: Of every lag, in each scale.
        chance: That a lag is the token's; zero where the lag is enumerated instead.
        error: Standard error of each coefficient.
        key: The scale that is searched.

    Example:
        >>> weights = torch.tensor([[8.0, 4.0, 2.0]], dtype=torch.float64)
        >>> chance = torch.tensor([[0.0, 0.0, 0.25]], dtype=torch.float64)
        >>> tail = tail_of(weights, chance, torch.tensor([[0.01]], dtype=torch.float64), key=0)
        >>> none, one = tail.log_density(torch.tensor([0, 0]), torch.tensor([0.0, 2.0]).double()).exp()
        >>> round(float(one / none), 3)  # a quarter against three quarters
        0.333
    """
    if len(error) == 0:
        return Tail(error[:, 0], error, error.new_zeros(0, 2), 0.0, 1.0)
    size = weights.abs()
    shows = (size > 1e-3 * error.median(0).values[:, None]).any(0)
    log_none = torch.log1p(-chance[:, shows].clamp(max=1.0 - 1e-9)).sum(1)
    spread = (chance @ size.pow(2).T).sqrt()
    largest = torch.stack([torch.where(chance > 0, each, 0.0).amax(1) for each in size], 1)
    table, start, step = tabulate(weights[key], chance, error[:, key])
    return Tail(log_none, largest + chance @ size.T + 3.0 * spread, table, start, step)


def tabulate(
    weights: Float[Tensor, "tokens"], chance: Float[Tensor, "nodes tokens"], error: Float[Tensor, "nodes"]
) -> tuple[Float[Tensor, "nodes steps"], float, float]:
    """Log-densities of the deep lags' sum plus error, where the table starts, and its step."""
    finest, largest = float(error.min()), float(error.max())
    low, high = span_of(weights, chance)
    margin = 3.0 * STRAY_ERRORS * largest
    start, span = low - margin, high - low + 2.0 * margin
    steps = 1 << math.ceil(math.log2(min(MOST_STEPS, max(16.0, span / (FINEST * finest)))))
    step = span / (steps - 1)
    # Twice as long, so that what leaves at one end does not come back at the other.
    turn = 2.0 * math.pi * torch.fft.rfftfreq(2 * steps, d=step, device=error.device, dtype=torch.float64)
    kinds, which = torch.unique(chance, dim=0, return_inverse=True)
    followed = (weights.abs() > NOTICED * finest) & (kinds > 0).any(0)
    mean = kinds[:, ~followed] @ weights[~followed] - start
    spectrum = torch.polar(torch.ones_like(mean)[:, None], -mean[:, None] * turn)
    for lag in followed.nonzero().flatten().tolist():
        spectrum *= 1.0 + kinds[:, lag, None] * (torch.polar(torch.ones_like(turn), -turn * weights[lag]) - 1.0)
    table = error.new_empty(len(error), steps)
    for rows in torch.arange(len(error), device=error.device).split(NODES_AT_ONCE):
        near, far = (torch.exp(-0.5 * (times * error[rows, None] * turn).pow(2)) for times in (1.0, STRAY_ERRORS))
        blurred = spectrum[which[rows]] * ((1.0 - STRAY) * near + STRAY * far)
        density = torch.fft.irfft(blurred, n=2 * steps)[:, :steps] / step
        table[rows] = density.clamp(min=LEAST * density.amax(1, keepdim=True)).log()
    return table, start, step


def span_of(weights: Float[Tensor, "tokens"], chance: Float[Tensor, "nodes tokens"]) -> tuple[float, float]:
    """Between what bounds the sum of any token's deep lags plausibly lies."""
    spread = BEYOND * (chance @ weights.pow(2)).sqrt()
    bounds = []
    for part in (-weights.clamp(max=0.0), weights.clamp(min=0.0)):
        there = torch.where(chance > 0, part, 0.0)
        bounds.append(float(torch.minimum(there.sum(1), chance @ part + spread + there.amax(1)).max()))
    return -bounds[0], bounds[1]
