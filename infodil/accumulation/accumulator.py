"""Trainable forms of accumulation rules: the stream of a network, one message after the other."""

__all__ = ["Accumulator", "Recursion", "WeightedMessages", "fixed_accumulator"]

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING, Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

if TYPE_CHECKING:
    from infodil.accumulation.rule import Rule

SAME_WEIGHTS = 1e-9
"""Largest difference of weights from those of a recursion, as a share of the largest weight: rounding in float64."""


class Accumulator(nn.Module, ABC):
    """The stream of a network over depth: a rule whose learned weights are parameters.

    A message is what a layer writes; that of layer 0 is the embedding. Each layer reads the stream after the one
    before it, so that messages come one by one.

    Example:
        >>> from infodil.accumulation import make_rule
        >>> accumulator = make_rule("ema", alpha=0.5).trainable(2, 1)
        >>> stream, memory = accumulator(0, torch.tensor([4.0]), None)
        >>> stream, memory = accumulator(1, torch.tensor([1.0]), memory)
        >>> stream
        tensor([1.5000])
    """

    @abstractmethod
    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: Any
    ) -> tuple[Float[Tensor, "*rows dim"], Any]:
        """The stream after a layer, and what the layers after it need of the messages so far.

        Args:
            layer: Number of the layer, from 0.
            message: What the layer writes.
            memory: What the layer before gave; None at layer 0.
        """

    @abstractmethod
    def rule(self) -> "Rule":
        """The rule with the weights as they are learned so far."""


class Recursion(Accumulator):
    r"""Fixed weights that a recursion gives: :math:`h_L = c_L\, h_{L-1} + w_L\, v_L`.

    Args:
        rule: The rule of these weights.
        carry: Factor of the stream at each layer.
        write: Factor of the message at each layer.
    """

    def __init__(self, rule: "Rule", carry: list[float], write: list[float]) -> None:
        super().__init__()
        self.own_rule, self.carry, self.write = rule, carry, write

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: Tensor | None
    ) -> tuple[Float[Tensor, "*rows dim"], Tensor]:
        """The stream, which is all that later layers need."""
        carry, write = self.carry[layer], self.write[layer]
        stream = message if write == 1.0 else write * message
        if memory is not None:
            stream = (memory if carry == 1.0 else carry * memory) + stream
        return stream, stream

    def rule(self) -> "Rule":
        """The rule itself: nothing is learned."""
        return self.own_rule


class WeightedMessages(Accumulator):
    r"""Weights of every message at every depth: :math:`h_L = \sum_{l \le L} W_{L,l}\, v_l`; keeps all messages."""

    @abstractmethod
    def row(self, layer: int) -> Float[Tensor, "messages"]:
        """Weights of the messages up to a layer in the stream after it."""

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: list[Tensor] | None
    ) -> tuple[Float[Tensor, "*rows dim"], list[Tensor]]:
        """The weighted sum, and the messages so far."""
        messages = [*(memory or []), message]
        return self.row(layer).to(message.dtype) @ torch.stack(messages, -2), messages


class FixedWeights(WeightedMessages):
    """Fixed weights of every message at every depth.

    Args:
        rule: The rule of these weights.
        table: Its weights.
    """

    def __init__(self, rule: "Rule", table: Float[Tensor, "layers layers"]) -> None:
        super().__init__()
        self.own_rule = rule
        self.register_buffer("table", table, persistent=False)

    def row(self, layer: int) -> Float[Tensor, "messages"]:
        """A row of the rule's weights."""
        return self.table[layer, : layer + 1]

    def rule(self) -> "Rule":
        """The rule itself: nothing is learned."""
        return self.own_rule


def fixed_accumulator(rule: "Rule", table: Float[Tensor, "layers layers"]) -> Accumulator:
    """The accumulator of fixed weights: a recursion where there is one, which keeps one stream and no messages.

    Args:
        rule: The rule.
        table: Its weights, lower triangular.
    """
    write = table.diagonal()
    carry = torch.ones_like(write)
    carry[1:] = table.diagonal(-1) / write[:-1]
    told = torch.zeros_like(table)
    for layer in range(len(table)):
        told[layer] = carry[layer] * told[layer - 1] if layer else 0.0
        told[layer, layer] = write[layer]
    if float((told - table).abs().max()) <= SAME_WEIGHTS * float(table.abs().max()):
        return Recursion(rule, carry.tolist(), write.tolist())
    return FixedWeights(rule, table)
