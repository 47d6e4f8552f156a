"""Recurrences with learned weights: gated networks, linear attention, selection, the delta rule, a window."""

__all__ = ["GRU", "LSTM", "DeltaRule", "GatedLinearAttention", "SelectiveSSM", "WindowAttention", "delta_rule"]

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from infodil.encoders.reference.cell import Cell, scan

Inputs = Float[Tensor, "documents tokens dim"]
States = Float[Tensor, "documents tokens numbers"]
Read = Float[Tensor, "documents tokens width"]


class GRU(Cell):
    """Gated recurrent unit.

    Reference:
        Cho et al. (2014), arXiv 1406.1078.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side)
        self.recurrence = nn.GRU(dim, self.numbers, batch_first=True)

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """The hidden state."""
        states = self.recurrence(x)[0]
        return states, states


class LSTM(Cell):
    """Long short-term memory; the state is the hidden state and the cell, and the hidden state is read.

    Reference:
        Hochreiter and Schmidhuber (1997); Gers, Schmidhuber and Cummins (2000), for the forget gate.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side, side * side // 2)
        self.recurrence = nn.LSTMCell(dim, self.width)

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """Hidden state and cell side by side, and the hidden state."""

        def step(state: Tensor, token: Tensor) -> Tensor:
            return torch.cat(self.recurrence(token, state.chunk(2, 1)), 1)

        states = scan(step, x.new_zeros(len(x), self.numbers), x)
        return states, states[..., : self.width]


class GatedLinearAttention(Cell):
    r"""Linear attention whose keys decay: :math:`S_t = \mathrm{diag}(a_t)\, S_{t-1} + k_t v_t^\top`, read by
    :math:`S_t^\top q_t`.

    Reference:
        Yang et al. (2024), Gated Linear Attention, arXiv 2312.06635, equation 3.
    """

    slowness = 16.0
    """Root of the sigmoid that makes the decay, as in the paper's section 4.4."""

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side, side)
        self.query, self.key, self.value, self.decay = (nn.Linear(dim, side) for _ in range(4))

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """The matrix, and what the query reads of it."""
        decay = functional.logsigmoid(self.decay(x)).div(self.slowness).exp()
        coming = self.key(x)[..., None] * self.value(x)[..., None, :]
        start = torch.zeros_like(coming[:, 0])
        states = scan(lambda s, a, new: a[..., None] * s + new, start, decay, coming)
        return states.flatten(2), torch.einsum("btkv,btk->btv", states, self.query(x)) / math.sqrt(self.width)


class SelectiveSSM(Cell):
    r"""Selective state space: :math:`h_t = e^{\Delta_t A} h_{t-1} + \Delta_t B_t u_t`, read by :math:`C_t h_t + D u_t`.

    Reference:
        Gu and Dao (2023), Mamba, arXiv 2312.00752, algorithm 2; Gu et al. (2022), arXiv 2206.11893, for A at the start.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side, side)
        self.inputs, self.step, self.into, self.out = (nn.Linear(dim, side) for _ in range(4))
        self.log_rates = nn.Parameter(torch.empty(side, side))
        self.through = nn.Parameter(torch.ones(side))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Rates from 1 to the number of states of a channel, and steps of a tenth at the start."""
        with torch.no_grad():
            self.log_rates.copy_(torch.arange(1.0, self.width + 1).log().expand_as(self.log_rates))
            self.through.fill_(1.0)
            self.step.bias.fill_(math.log(math.expm1(0.1)))

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """The states of all channels, and what is read of each."""
        u, step = self.inputs(x), functional.softplus(self.step(x))
        decay = torch.exp(-step[..., None] * self.log_rates.exp())
        coming = (step * u)[..., None] * self.into(x)[..., None, :]
        states = scan(lambda h, a, new: a * h + new, torch.zeros_like(coming[:, 0]), decay, coming)
        return states.flatten(2), torch.einsum("btcn,btn->btc", states, self.out(x)) + self.through * u


class DeltaRule(Cell):
    """Gated delta rule (`delta_rule`), read by the query.

    Reference:
        Yang, Kautz and Hatamizadeh (2025), Gated Delta Networks, arXiv 2412.06464, equation 10.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side, side)
        self.query, self.key, self.value = (nn.Linear(dim, side) for _ in range(3))
        self.strength, self.keep = nn.Linear(dim, 1), nn.Linear(dim, 1)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Hardly anything is forgotten at the start."""
        nn.init.constant_(self.keep.bias, 4.0)

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """The matrix, and what the query reads of it."""
        query, key = (functional.normalize(part(x), dim=-1) for part in (self.query, self.key))
        strength, keep = (part(x).sigmoid().squeeze(-1) for part in (self.strength, self.keep))
        states = delta_rule(key, self.value(x), strength, keep)
        return states.flatten(2), torch.einsum("btvk,btk->btv", states, query)


def delta_rule(
    keys: Float[Tensor, "documents tokens side"],
    values: Float[Tensor, "documents tokens width"],
    strength: Float[Tensor, "documents tokens"],
    keep: Float[Tensor, "documents tokens"],
) -> Float[Tensor, "documents tokens width side"]:
    r"""States of the gated delta rule, which puts a new value in the place of what its key held.

    .. math:: S_t = \alpha_t\, S_{t-1} (I - \beta_t k_t k_t^\top) + \beta_t v_t k_t^\top

    Args:
        keys: Keys of unit length.
        values: Values.
        strength: Share of the old value that is replaced, beta.
        keep: Share of the whole state that is kept, alpha.

    Returns:
        The state after each token, from zero.

    Reference:
        Yang, Kautz and Hatamizadeh (2025), Gated Delta Networks, arXiv 2412.06464, equation 10.
    """

    def step(state: Tensor, key: Tensor, value: Tensor, beta: Tensor, alpha: Tensor) -> Tensor:
        kept = alpha[:, None, None] * state
        error = value - torch.einsum("bvk,bk->bv", kept, key)
        return kept + (beta[:, None] * error)[..., None] * key[:, None, :]

    start = keys.new_zeros(len(keys), values.shape[2], keys.shape[2])
    return scan(step, start, keys, values, strength, keep)


class WindowAttention(Cell):
    """Causal attention over the last few tokens; the state is their keys and values, newest first.

    Reference:
        Beltagy, Peters and Cohan (2020), Longformer, arXiv 2004.05150, for the window.
    """

    def __init__(self, dim: int, side: int) -> None:
        super().__init__(side * side, side)
        self.window = side // 2
        self.query, self.key, self.value = (nn.Linear(dim, side) for _ in range(3))
        self.distance = nn.Parameter(torch.zeros(self.window))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """No distance is preferred at the start."""
        nn.init.zeros_(self.distance)

    def forward(self, x: Inputs) -> tuple[States, Read]:
        """The window of keys and values, and what the query reads of it."""
        both = torch.cat([self.key(x), self.value(x)], -1)
        padded = functional.pad(both, (0, 0, self.window - 1, 0))
        states = padded.unfold(1, self.window, 1).flip(3).transpose(2, 3)  # [documents, tokens, window, 2 x side]
        keys, values = states.chunk(2, -1)
        scores = torch.einsum("btwk,btk->btw", keys, self.query(x)) / math.sqrt(self.width) + self.distance
        behind = torch.arange(x.shape[1], device=x.device)[:, None] >= torch.arange(self.window, device=x.device)
        share = scores.masked_fill(~behind, -torch.inf).softmax(-1)
        return states.flatten(2), torch.einsum("btw,btwv->btv", share, values)
