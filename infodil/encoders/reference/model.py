"""Reference encoders of equal state size: one frame of token vectors and read-out around any recurrence."""

__all__ = ["CELLS", "ReferenceModel", "reference"]

import math
from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError, check_one_of, check_whole
from infodil.encoder import Encoder, seeded
from infodil.encoders.reference.cell import Cell
from infodil.encoders.reference.fixed import FOFE, LMU, EchoState, EMABank, HiPPO, ShiftRegister
from infodil.encoders.reference.learned import (
    GRU,
    LSTM,
    DeltaRule,
    GatedLinearAttention,
    SelectiveSSM,
    WindowAttention,
)

CELLS: dict[str, type[Cell]] = {
    "ema_bank": EMABank,
    "fofe": FOFE,
    "lmu": LMU,
    "hippo": HiPPO,
    "echo_state": EchoState,
    "shift_register": ShiftRegister,
    "gru": GRU,
    "lstm": LSTM,
    "gated_linear_attention": GatedLinearAttention,
    "selective_ssm": SelectiveSSM,
    "delta_rule": DeltaRule,
    "window_attention": WindowAttention,
}
"""Recurrences by name; a new one is a class and a line."""


class ReferenceModel(nn.Module, Encoder):
    r"""Language model around one recurrence: token vectors, the state, one linear read-out, tied next-token logits.

    :math:`s_t = f(s_{t-1}, e_{x_t})`, with logits :math:`e_y \cdot W [r(s_t), e_{x_t}] + b_y` for what is read of the
    state, r. `infodil.lm.train_language_model` trains it; as an encoder it gives the state after each token.

    Args:
        family: Recurrence, one of `CELLS`.
        vocabulary: Number of token types.
        numbers: Numbers in a state, the square of an even number.
        dim: Length of a token vector.
        seed: Seed of the weights.
        device: Device of the weights.

    Raises:
        UserError: Another family, or a size that is out of range.
    """

    costly = False

    def __init__(
        self,
        family: str,
        vocabulary: int,
        numbers: int = 256,
        *,
        dim: int = 64,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        check_one_of("family", family, CELLS)
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("numbers", numbers, 4, "pass the numbers of a state")
        check_whole("dim", dim, 1, "pass the length of a token vector")
        side = math.isqrt(numbers)
        if side * side != numbers or side % 2:
            near = 4 * max(1, round(side / 2)) ** 2
            raise UserError(f"`numbers` must be the square of an even number, got {numbers}: pass {near}.")
        self.vocabulary, self.sites, self.name = vocabulary, (family,), family
        with seeded(seed):
            self.embedding = nn.Embedding(vocabulary, dim)
            self.cell = CELLS[family](dim, side)
            self.out = nn.Linear(self.cell.width + dim, dim)
            self.bias = nn.Parameter(torch.zeros(vocabulary))
            self.reset_parameters()
        self.to(device)

    def reset_parameters(self) -> None:
        """Draw the token vectors anew and take the bias back to zero."""
        nn.init.normal_(self.embedding.weight, std=self.embedding.embedding_dim**-0.5)
        nn.init.zeros_(self.bias)

    def vectors(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens dim"]:
        """Token vectors whose entries have unit variance."""
        return self.embedding(tokens.to(self.bias.device)) * self.embedding.embedding_dim**0.5

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        x = self.vectors(tokens)
        read = self.out(torch.cat([self.cell(x)[1], x], -1))
        return nn.functional.linear(read, self.embedding.weight, self.bias)

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens numbers"]]:
        """The state after each token."""
        return {self.sites[0]: self.cell(self.vectors(tokens))[0]}

    def kind_of_site(self, site: str) -> str:
        """A trace of token vectors, or a recurrent state."""
        return self.cell.kind


def reference(family: str) -> Callable[..., "ReferenceModel"]:
    """Function that makes the reference encoder of one family, for the registry of built-in encoders.

    Args:
        family: Recurrence, one of `CELLS`.
    """

    def make(
        vocabulary: int,
        numbers: int = 256,
        *,
        dim: int = 64,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> ReferenceModel:
        return ReferenceModel(family, vocabulary, numbers, dim=dim, seed=seed, device=device)

    make.__name__, make.__doc__ = family, CELLS[family].__doc__
    return make
