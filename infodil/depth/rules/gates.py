"""Gates over depth: convex combinations of the stream and the new message, learned or functions of the input."""

__all__ = ["Gated", "Highway"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_seed
from infodil.depth.rules.rule import Rule


@dataclass(frozen=True, eq=False)
class Gated(Rule):
    r"""A learned gate for each layer: :math:`h_L = (1 - g_L)\, h_{L-1} + g_L\, v_L`.

    Reference:
        Srivastava, Greff and Schmidhuber, Highway Networks (2015), https://arxiv.org/abs/1505.00387, with gates that
        do not depend on the input.
    """

    name = "gated"
    summary = "a learned gate for each layer"
    kind = "learned"

    gates: tuple[float, ...] | None = None
    """Gate of each layer, in [0, 1]; by default :math:`1/L` at layer L, which makes the stream the mean so far."""

    def __post_init__(self) -> None:
        if self.gates is not None and not all(0 <= gate <= 1 for gate in self.gates):
            raise UserError(f"`gates` must lie in [0, 1], got {self.gates}: pass one share of the message a layer.")

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The gated stream after each layer."""
        layers = messages.shape[1]
        gates = self.gates or tuple(1.0 / (layer + 1) for layer in range(layers))
        if len(gates) != layers:
            raise UserError(f"`gates` must be {layers} numbers, one a layer, got {len(gates)}: pass as many as layers.")
        shares = messages.new_tensor(gates)[None, :, None].expand(len(messages), -1, 1)
        return gated_stream(messages, shares)


@dataclass(frozen=True, eq=False)
class Highway(Rule):
    r"""A gate that depends on the message: :math:`h_L = (1 - g)\, h_{L-1} + g\, v_L,\; g = \sigma(b + u_L^\top v_L)`.

    Reference:
        Srivastava, Greff and Schmidhuber, Highway Networks (2015), https://arxiv.org/abs/1505.00387
    """

    name = "highway"
    summary = "a gate for each layer that is a function of the message"
    kind = "input"

    bias: float = -2.0
    """Bias of the gates; negative at initialisation, so that the stream is carried."""
    gain: float = 1.0
    """Standard deviation of a gate's argument for messages of unit length per dim."""
    seed: int = 0
    """Seed of the gate's random directions, which stand for trained ones."""

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The gated stream after each layer."""
        _, layers, dim = messages.shape
        generator = torch.Generator().manual_seed(self.seed)
        directions = torch.randn(layers, dim, generator=generator, dtype=torch.float64).to(messages) / dim**0.5
        gates = torch.sigmoid(self.bias + self.gain * torch.einsum("rld,ld->rl", messages, directions))
        return gated_stream(messages, gates[..., None])


def gated_stream(
    messages: Float[Tensor, "rows layers dim"], gates: Float[Tensor, "rows layers one"]
) -> Float[Tensor, "rows layers dim"]:
    """The stream after each layer, given the share of the message in each; the first message is taken as it is."""
    stream, states = messages[:, 0], [messages[:, 0]]
    for layer in range(1, messages.shape[1]):
        stream = torch.lerp(stream, messages[:, layer], gates[:, layer])
        states.append(stream)
    return torch.stack(states, 1)
