"""Sums over depth: the pre-norm residual stream, and the same scaled."""

__all__ = ["DeepNorm", "Scaled", "Sum"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.accumulation.rule import FixedRule
from infodil.checks import UserError


@dataclass(frozen=True, eq=False)
class Sum(FixedRule):
    r"""The residual stream of a pre-norm network: :math:`h_L = h_{L-1} + v_L`.

    Reference:
        He et al., Identity Mappings in Deep Residual Networks (2016), https://arxiv.org/abs/1603.05027
    """

    name = "sum"
    summary = "the residual stream of a pre-norm network"

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """One for every message so far."""
        return torch.ones(layers, layers, dtype=torch.float64).tril()


@dataclass(frozen=True, eq=False)
class Scaled(FixedRule):
    r"""The residual stream with messages scaled by the root of the depth: :math:`h_L = h_{L-1} + D^{-1/2}\, v_L`.

    Reference:
        Radford et al., Language Models are Unsupervised Multitask Learners (2019), section 2.3 (the initialisation).
    """

    name = "scaled"
    summary = "the residual stream with messages scaled by the root of the depth"

    power: float = 0.5
    """Exponent of the depth."""

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """One scale for every message so far."""
        return layers**-self.power * torch.ones(layers, layers, dtype=torch.float64).tril()


@dataclass(frozen=True, eq=False)
class DeepNorm(FixedRule):
    r"""DeepNorm's post-norm stream for messages of equal size: :math:`h_L = (a\, h_{L-1} + v_L) / \sqrt{a^2 + 1}`.

    The layer normalisation of :math:`a\, h_{L-1} + v_L` divides by its size, which is :math:`\sqrt{a^2 + 1}` where the
    stream and the message are uncorrelated and of one size.

    Reference:
        Wang et al., DeepNet: Scaling Transformers to 1,000 Layers (2022), https://arxiv.org/abs/2203.00555
    """

    name = "deepnorm"
    summary = "DeepNorm's scaled post-norm stream, for messages of equal size"

    factor: float | None = None
    """The factor `a` of the stream; by default that of a decoder, the fourth root of twice the depth."""

    def __post_init__(self) -> None:
        if self.factor is not None and not 0 < self.factor < math.inf:
            raise UserError(f"`factor` must be finite and above 0, got {self.factor}: pass one such as 2.0.")

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """Powers of the stream's share; the first message starts the stream undivided."""
        factor = self.factor or (2.0 * layers) ** 0.25
        size = math.sqrt(factor**2 + 1.0)
        place = torch.arange(layers, dtype=torch.float64)
        steps = place[:, None] - place
        table = torch.where(steps >= 0, (factor / size) ** steps.clamp(min=0), 0.0) / size
        table[:, 0] *= size
        return table
