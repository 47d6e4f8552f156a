"""The contract of an accumulation rule."""

__all__ = ["FixedRule", "Rule", "check_messages"]

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_whole


@dataclasses.dataclass(frozen=True, eq=False)
class Rule(ABC):
    r"""A way to collect the messages of layers in one stream: :math:`h_L = \sum_{l \le L} W_{L,l}\, v_l`.

    Every member with its default:

    - `name`: name in `RULES` (required);
    - `summary`: noun phrase that describes the rule (required);
    - `kind`: `"fixed"` weights, `"learned"` weights, or weights that are functions of the `"input"` (required);
    - `accumulate(messages)`: the stream after each layer (required);
    - `weights(layers)`: the weights, where they are fixed; by default there are none.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    kind: ClassVar[Literal["fixed", "learned", "input"]]

    @classmethod
    def options(cls) -> list[str]:
        """Names of the options of the rule."""
        return [field.name for field in dataclasses.fields(cls)]

    @abstractmethod
    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The stream after each layer."""

    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """Weight of each message in the stream after each layer, for rules of fixed weights.

        Args:
            layers: Number of layers.

        Raises:
            UserError: The weights of the rule are learned, or functions of the input.
        """
        origin = "are learned" if self.kind == "learned" else "are functions of the input"
        raise UserError(
            f"`rule` {self.name!r} has no fixed weights, for they {origin}: use accumulate, or a rule such as 'sum'."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class FixedRule(Rule):
    """A rule of fixed weights: its stream is their product with the messages."""

    kind: ClassVar[Literal["fixed"]] = "fixed"

    @abstractmethod
    def weights(self, layers: int) -> Float[Tensor, "layers layers"]:
        """Weight of each message in the stream after each layer, float64: row L has those after layer L."""

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The product of weights and messages."""
        return torch.einsum("Ll,rld->rLd", self.weights(messages.shape[1]).to(messages), messages)


def check_messages(messages: object) -> None:
    """A check that messages can be accumulated.

    Args:
        messages: What a caller passes as messages.

    Raises:
        UserError: They are no floating-point tensor `[rows, layers, dim]` with at least one layer.
    """
    if not isinstance(messages, Tensor) or messages.ndim != 3 or not messages.shape[1]:
        shape = list(messages.shape) if isinstance(messages, Tensor) else type(messages).__name__
        raise UserError(f"`messages` must be a tensor [rows, layers, dim], got {shape}: pass one vector a layer.")
    if not messages.is_floating_point():
        raise UserError(f"`messages` must be floating point, got {messages.dtype}: convert them with .float().")


def check_layers(layers: object) -> None:
    """A check that this is a number of layers.

    Args:
        layers: What a caller passes as number of layers.

    Raises:
        UserError: It is no whole number of at least 1.
    """
    check_whole("layers", layers, 1, "pass the number of layers")
