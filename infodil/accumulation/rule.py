"""The contract of an accumulation rule."""

__all__ = ["FixedRule", "Rule", "check_messages"]

import dataclasses
from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.accumulation.accumulator import Accumulator, fixed_accumulator
from infodil.checks import UserError, check_whole


@dataclasses.dataclass(frozen=True, eq=False)
class Rule(ABC):
    r"""A way to collect the messages of layers in one stream: :math:`h_L = \sum_{l \le L} W_{L,l}\, v_l`.

    Every member with its default:

    - `name`: name in `RULES` (required);
    - `summary`: noun phrase that describes the rule (required);
    - `kind`: `"fixed"` weights, `"learned"` weights, or weights that are functions of the `"input"` (required);
    - `accumulate(messages)`: the stream after each layer (required);
    - `trainable(layers, dim)`: the rule as a module of a network, its learned weights as parameters (required);
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

    @abstractmethod
    def trainable(self, layers: int, dim: int) -> Accumulator:
        """The rule in a network, before training: learned weights are parameters, from where they begin.

        Args:
            layers: Number of messages, that of the embedding among them.
            dim: Numbers of a message.
        """

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

    def trainable(self, layers: int, dim: int) -> Accumulator:
        """The same weights in a network: there is nothing to learn."""
        with torch.device("cpu"):  # Numbers of the rule, also where parameters are only counted, on "meta".
            return fixed_accumulator(self, self.weights(layers))


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


def learned_vectors(
    name: str, given: Tensor | None, layers: int, dim: int, seed: int, gain: float
) -> Float[Tensor, "layers dim"]:
    """One vector a layer that a rule learns: those that are given, or random ones in place of trained ones.

    Args:
        name: Name of the option.
        given: Trained vectors; None for random ones.
        layers: Number of layers.
        dim: Numbers of a message.
        seed: Seed of the random vectors.
        gain: Length of the random vectors, in root mean square.

    Raises:
        UserError: The given vectors have another shape.
    """
    if given is None:
        generator = torch.Generator().manual_seed(seed)
        return gain * torch.randn(layers, dim, generator=generator, dtype=torch.float64) / dim**0.5
    if tuple(given.shape) != (layers, dim):
        raise UserError(f"`{name}` must have shape {[layers, dim]}, got {list(given.shape)}: pass one vector a layer.")
    return given
