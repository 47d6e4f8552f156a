"""What families share whose states are computed beside one plain pass of the model."""

__all__ = ["OnePassStates", "windows"]

import sys
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.encoders.recurrent.contract import BlockStates, RecurrentStates


class OnePassStates(RecurrentStates):
    """States computed from what the model's own functions are called with during one pass over all tokens."""

    route = "one pass"

    def read(self, tokens: Int[Tensor, "documents tokens"], wanted: Collection[int]) -> dict[int, BlockStates]:
        """States of the wanted blocks."""
        states: dict[int, BlockStates] = {block: {} for block in wanted}
        with self.listening(states):
            self.module(input_ids=tokens, use_cache=False)
        return states

    def listening(self, states: dict[int, BlockStates]) -> Any:
        """A context in which a pass of the model fills the states of some blocks."""
        raise NotImplementedError(f"{type(self).__name__} must define listening(states)")


@contextmanager
def hooks(pairs: Collection[tuple[nn.Module, Callable[[tuple, dict, Any], None]]]) -> Iterator[None]:
    """Call functions with the arguments and output of modules while inside."""

    def listener(function: Callable, module: nn.Module, inputs: tuple, named: dict, output: Any) -> None:
        function(inputs, named, output)

    handles = []
    try:
        for module, function in pairs:
            handles.append(module.register_forward_hook(partial(listener, function), with_kwargs=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


@contextmanager
def replaced(modules: Collection[ModuleType], functions: dict[str, Callable[..., Any]]) -> Iterator[None]:
    """Functions of some Python modules wrapped while inside: each wrapper gets the original as its first argument."""
    originals = [(place, name, getattr(place, name)) for place in modules for name in functions if hasattr(place, name)]
    try:
        for place, name, original in originals:
            setattr(place, name, partial(functions[name], original))
        yield
    finally:
        for place, name, original in originals:
            setattr(place, name, original)


@contextmanager
def entering(blocks: nn.ModuleList, enter: Callable[[int], None]) -> Iterator[None]:
    """Call a function with the number of each block before the block runs, while inside."""

    def listener(number: int, block: nn.Module, inputs: tuple) -> None:
        enter(number)

    handles = []
    try:
        for number, block in enumerate(blocks):
            handles.append(block.register_forward_pre_hook(partial(listener, number)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def python_modules(blocks: nn.ModuleList, function: str) -> list[ModuleType]:
    """Python modules that define some submodule of the blocks and a function of this name."""
    names = dict.fromkeys(type(part).__module__ for part in blocks.modules())
    return [sys.modules[name] for name in names if hasattr(sys.modules[name], function)]


def windows(inputs: Float[Tensor, "documents channels tokens"], width: int) -> Float[Tensor, "documents tokens *rest"]:
    """The newest `width` inputs of a causal convolution at every position, zeros before the first."""
    padded = torch.nn.functional.pad(inputs, (width - 1, 0))
    return padded.unfold(2, width, 1).transpose(1, 2)
