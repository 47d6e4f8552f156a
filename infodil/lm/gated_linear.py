"""Gated linear recurrence: every feature decays by a factor that the token decides."""

__all__ = ["GatedLinear"]

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.scans import gated_scan

LONGEST = 100.0
"""Tokens that the slowest feature lives before training; the fastest lives one, the others between, evenly in their
logarithms."""


class GatedLinear(nn.Module):
    r"""`h_t = a_t h_{t-1} + (1 - a_t) v_t`, read through an output gate.

    The decay `a_t` and the value `v_t` are functions of the token alone, so that the recurrence is linear.

    Reference:
        Martin and Cundy (2018), arXiv 1709.04057; Feng et al. (2024), Were RNNs all we needed?, arXiv 2410.01201.
    """

    sites = ("state",)

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        dim = config.dim
        self.value, self.decay, self.gate = (nn.Linear(dim, dim) for _ in range(3))
        self.out = nn.Linear(dim, dim)
        self.spread_decays()

    def spread_decays(self) -> None:
        """Lives from one token to the longest, one each feature."""
        lives = LONGEST ** torch.linspace(0, 1, self.decay.out_features)
        with torch.no_grad():
            self.decay.bias.copy_(torch.logit(torch.exp(-1.0 / lives)))

    def forward(
        self, x: Float[Tensor, "documents tokens dim"], keep: dict[str, Tensor] | None
    ) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream."""
        decay = self.decay(x).float().sigmoid()  # near one, half precision has few values
        state = gated_scan(decay, (1 - decay) * self.value(x).float())  # [documents, tokens, dim]
        if keep is not None:
            keep["state"] = state
        return self.out(state * nn.functional.silu(self.gate(x)))
