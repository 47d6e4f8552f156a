"""Exponential moving averages over depth: those of `infodil.traces`, with layers as tokens."""

__all__ = ["EMA", "EMABank"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.accumulation.rule import FixedRule
from infodil.traces import ema, ema_bank
from infodil.traces import weights as impulse_response


@dataclass(frozen=True, eq=False)
class EMA(FixedRule):
    r"""Exponential moving average over depth: :math:`h_L = (1-\alpha)\, h_{L-1} + \alpha\, v_L`.

    Reference:
        Singh, EMA Is Not All You Need (2026), https://arxiv.org/abs/2604.08556
    """

    name = "ema"
    summary = "an exponential moving average over depth"

    alpha: float = 0.1
    """Weight of the newest message, in (0, 1]."""

    def __post_init__(self) -> None:
        impulse_response(self.alpha, 0)

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """The impulse response of `infodil.traces.ema`, shifted by one layer a row."""
        return toeplitz(impulse_response(self.alpha, layers))

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """`infodil.traces.ema` with layers as tokens."""
        return ema(messages, self.alpha)


@dataclass(frozen=True, eq=False)
class EMABank(FixedRule):
    r"""Mean of several exponential moving averages over depth: :math:`h_L = \frac1S \sum_s h_{L,s}`."""

    name = "ema_bank"
    summary = "the mean of several exponential moving averages over depth"

    alphas: tuple[float, ...] = (0.5, 0.1, 0.02)
    """Weight of the newest message in each average, in (0, 1]."""

    def __post_init__(self) -> None:
        ema_bank(torch.zeros(1, 1), self.alphas)

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """The mean of the impulse responses."""
        return toeplitz(torch.stack([impulse_response(alpha, layers) for alpha in self.alphas]).mean(0))

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The mean over scales of `infodil.traces.ema_bank` with layers as tokens."""
        return ema_bank(messages, self.alphas).mean(2)


def toeplitz(response: Float[Tensor, "layers"]) -> Float[Tensor, "layers layers"]:
    """The lower triangular matrix of a causal impulse response.

    Example:
        >>> toeplitz(torch.tensor([2.0, 1.0])).tolist()
        [[2.0, 0.0], [1.0, 2.0]]
    """
    place = torch.arange(len(response))
    steps = place[:, None] - place
    return torch.where(steps >= 0, response[steps.clamp(min=0)], 0.0)
