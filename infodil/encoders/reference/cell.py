"""What all reference recurrences share: a state of so many numbers, and what is read from it."""

__all__ = ["Cell", "scan"]

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor, nn


class Cell(nn.Module):
    """A recurrence over token vectors, from a state of zero.

    Called with `[documents, tokens, dim]` it gives the state after each token, `[documents, tokens, numbers]`, and what
    a model reads from it, as wide as `width`: the state itself, or its usual read-out.

    Args:
        numbers: Numbers in a state.
        width: Numbers that are read; all of the state by default.
    """

    kind = "recurrent"
    """Kind of the site."""

    def __init__(self, numbers: int, width: int | None = None) -> None:
        super().__init__()
        self.numbers, self.width = numbers, numbers if width is None else width


def scan(
    step: Callable[..., Tensor], state: Float[Tensor, "documents *numbers"], *inputs: Float[Tensor, "documents ..."]
) -> Float[Tensor, "documents tokens *numbers"]:
    """The states of a recurrence, token by token.

    Args:
        step: Function of the state and what comes in at one token that gives the next state.
        state: State before the first token.
        inputs: What comes in, `[documents, tokens, ...]` each.
    """
    states = []
    for coming in zip(*(one.unbind(1) for one in inputs), strict=True):
        state = step(state, *coming)
        states.append(state)
    return torch.stack(states, 1)
