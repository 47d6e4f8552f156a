"""Which axis of an output is which, told by reading the model at two sizes."""

__all__ = ["READINGS", "Layout", "find_layout"]

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Shaped
from torch import Tensor

from infodil.checks import UserError

READINGS = ((2, 3), (3, 5))
"""Documents and tokens of two small readings: all different, so that each axis of an output shows what it is."""

EXACT_INTEGERS = (torch.int8, torch.uint8, torch.int16, torch.bool)
"""Types whose values float32 holds exactly."""


@dataclass(frozen=True)
class Layout:
    """Axes of an output that are documents and tokens; all others are the numbers of a state."""

    documents: int
    tokens: int | None
    """None where the submodule is called once for each token, so that calls are stacked."""

    def states(self, calls: Sequence[Shaped[Tensor, "..."]]) -> Shaped[Tensor, "documents tokens dim"]:
        """States `[documents, tokens, dim]` of the calls that make them up: axes turned, complex numbers in two."""
        if self.tokens is None:
            parts = [as_numbers(call).movedim(self.documents, 0).flatten(1) for call in calls]
            return torch.stack([part if part.dim() == 2 else part[:, None] for part in parts], 1)
        state = as_numbers(calls[0]).movedim((self.documents, self.tokens), (0, 1))
        return state[..., None] if state.dim() == 2 else state.flatten(2)


def as_numbers(output: Shaped[Tensor, "..."]) -> Shaped[Tensor, "..."]:
    """Real floating-point numbers of an output: real and imaginary parts of complex ones, 0 and 1 of spikes."""
    if output.is_complex():
        return torch.view_as_real(output)
    if output.is_floating_point():
        return output
    return output.to(torch.float32 if output.dtype in EXACT_INTEGERS else torch.float64)


def find_layout(
    shapes: Sequence[Sequence[tuple[int, ...]]], sizes: Sequence[tuple[int, int]]
) -> tuple[Layout, int] | None:
    """The layout of an output and its number of calls; None where it is no state of every document and token.

    Args:
        shapes: At each reading, the shape of the output in each call.
        sizes: Number of documents and of tokens of each reading; all four differ.

    Returns:
        The layout, and how many sites the calls make: one, or one for each call of a block that is called several
        times.

    Raises:
        UserError: The output has calls for tokens and for more than that, whose order cannot be told.
    """
    counts = [len(calls) for calls in shapes]
    firsts = [calls[0] for calls in shapes]
    if len({len(shape) for shape in firsts}) > 1 or any(shape != calls[0] for calls in shapes for shape in calls):
        return None
    pairs = list(zip(*firsts, strict=True))
    documents = [axis for axis, pair in enumerate(pairs) if list(pair) == [size[0] for size in sizes]]
    tokens = [axis for axis, pair in enumerate(pairs) if list(pair) == [size[1] for size in sizes]]
    others = [pair for axis, pair in enumerate(pairs) if axis not in documents + tokens]
    if len(documents) != 1 or len(tokens) > 1 or any(len(set(pair)) > 1 for pair in others):
        return None
    if tokens:
        return (Layout(documents[0], tokens[0]), counts[0]) if len(set(counts)) == 1 else None
    if counts == [size[1] for size in sizes]:
        return Layout(documents[0], None), 1
    if all(count % size[1] == 0 for count, size in zip(counts, sizes, strict=True)):
        raise UserError(
            f"`sites` has a submodule that is called {counts[0] // sizes[0][1]} times for each token, which cannot be "
            'told apart: name each state in your own forward by infodil.encoders.record(state, "name").'
        )
    return None
