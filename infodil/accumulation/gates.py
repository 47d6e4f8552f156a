"""Gates over depth: convex combinations of the stream and the new message, learned or functions of the input."""

__all__ = ["Gated", "Highway"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.accumulation.accumulator import Accumulator
from infodil.accumulation.rule import Rule, learned_vectors
from infodil.checks import UserError, check_seed


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

    def trainable(self, layers: int, dim: int) -> "GatedAccumulator":
        """A gate for each layer but the first, from :math:`1/L`."""
        return GatedAccumulator(layers)


@dataclass(frozen=True, eq=False)
class Highway(Rule):
    r"""A gate that depends on the message: :math:`h_L = (1 - g)\, h_{L-1} + g\, v_L,\; g = \sigma(b + u_L^\top v_L)`.

    Reference:
        Srivastava, Greff and Schmidhuber, Highway Networks (2015), https://arxiv.org/abs/1505.00387
    """

    name = "highway"
    summary = "a gate for each layer that is a function of the message"
    kind = "input"

    bias: float | Float[Tensor, "layers"] = -2.0
    """Bias of the gates, one or one a layer; negative at initialisation, so that the stream is carried."""
    gain: float = 1.0
    """Standard deviation of a gate's argument for messages of unit length per dim."""
    seed: int = 0
    """Seed of the gate's random directions, which stand for trained ones."""
    directions: Float[Tensor, "layers dim"] | None = None
    """Trained directions u, the gain included; random ones by default."""

    def __post_init__(self) -> None:
        check_seed(self.seed)

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The gated stream after each layer."""
        _, layers, dim = messages.shape
        directions = learned_vectors("directions", self.directions, layers, dim, self.seed, self.gain)
        bias = torch.as_tensor(self.bias).to(messages)
        gates = torch.sigmoid(bias + torch.einsum("rld,ld->rl", messages, directions.to(messages)))
        return gated_stream(messages, gates[..., None])

    def trainable(self, layers: int, dim: int) -> "HighwayAccumulator":
        """A bias and a direction for each layer but the first, from the rule's bias and from zero."""
        return HighwayAccumulator(layers, dim, float(self.bias))


def gated_stream(
    messages: Float[Tensor, "rows layers dim"], gates: Float[Tensor, "rows layers one"]
) -> Float[Tensor, "rows layers dim"]:
    """The stream after each layer, given the share of the message in each; the first message is taken as it is."""
    stream, states = messages[:, 0], [messages[:, 0]]
    for layer in range(1, messages.shape[1]):
        stream = torch.lerp(stream, messages[:, layer], gates[:, layer])
        states.append(stream)
    return torch.stack(states, 1)


class GatedAccumulator(Accumulator):
    """Gates as parameters: the stream is one vector.

    Args:
        layers: Number of messages.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        share = 1.0 / torch.arange(2.0, layers + 1.0)
        self.logits = nn.Parameter(torch.logit(share))

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: Tensor | None
    ) -> tuple[Float[Tensor, "*rows dim"], Tensor]:
        """The gated stream, which is all that later layers need."""
        stream = message if memory is None else torch.lerp(memory, message, self.logits[layer - 1].sigmoid())
        return stream, stream

    def rule(self) -> Gated:
        """The learned gates."""
        return Gated(gates=(1.0, *self.logits.detach().double().sigmoid().tolist()))


class HighwayAccumulator(Accumulator):
    """Biases and directions of gates as parameters.

    Args:
        layers: Number of messages.
        dim: Numbers of a message.
        bias: Bias before training.
    """

    def __init__(self, layers: int, dim: int, bias: float) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.full((layers - 1,), bias))
        self.directions = nn.Parameter(torch.zeros(layers - 1, dim))

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: Tensor | None
    ) -> tuple[Float[Tensor, "*rows dim"], Tensor]:
        """The gated stream, which is all that later layers need."""
        if memory is None:
            return message, message
        gate = torch.sigmoid(self.bias[layer - 1] + message @ self.directions[layer - 1])
        stream = torch.lerp(memory, message, gate[..., None])
        return stream, stream

    def rule(self) -> Highway:
        """The learned biases and directions."""
        bias = nn.functional.pad(self.bias.detach(), (1, 0))
        return Highway(bias=bias, directions=nn.functional.pad(self.directions.detach(), (0, 0, 1, 0)))
