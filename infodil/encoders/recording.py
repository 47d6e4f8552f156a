"""Outputs of submodules during a forward pass, copied as they are given; and `record`, for tensors of no submodule.

class Mine(torch.nn.Module):
    def forward(self, tokens):
        states = infodil.encoders.record(scan(...), "scan")  # one line: the value itself comes back
        ...

infodil.recoverability(Mine(), corpus, sites="scan")
"""

__all__ = ["Recording", "entries_of", "record"]

import dataclasses
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

ACTIVE = threading.local()
"""The recording of each thread."""

DEEPEST = 4
"""Deepest nesting of tuples and dictionaries in an output that is looked into."""


class Recording:
    """Outputs by name, one entry a call; nothing that runs later in the model can change them.

    Args:
        keep: Function of a name and an output to what is kept of it, which must be a copy.
    """

    def __init__(self, keep: Callable[[str, Any], Any]) -> None:
        self.keep = keep
        self.calls: dict[str, list[Any]] = {}
        self.thread = threading.get_ident()

    def add(self, name: str, output: Any) -> None:
        """Keep one call's output; those of other threads that run the same module are none of this recording's."""
        if threading.get_ident() == self.thread:
            self.calls.setdefault(name, []).append(self.keep(name, output))

    @contextmanager
    def listening(self, parts: Mapping[str, nn.Module]) -> Iterator[None]:
        """Hooks on submodules, and `record` heard, until the end."""
        before = getattr(ACTIVE, "recording", None)
        handles = []
        try:
            for name, part in parts.items():
                handles.append(part.register_forward_hook(self.hook(name)))
            ACTIVE.recording = self
            yield
        finally:
            ACTIVE.recording = before
            for handle in handles:
                handle.remove()

    def hook(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        """A forward hook that keeps the output."""

        def kept(part: nn.Module, inputs: Any, output: Any) -> None:
            self.add(name, output)

        return kept


def record(value: Any, name: str) -> Any:
    """A value of a user's own forward, recorded under a name where states are read, and otherwise only handed on.

    Args:
        value: Tensor, or tuple or dictionary of tensors, that no submodule gives.
        name: Name of the site.

    Returns:
        The value itself.

    Example:
        >>> record(3.0, "anything")  # no states are being read: nothing happens
        3.0
    """
    recording = getattr(ACTIVE, "recording", None)
    if recording is not None:
        recording.add(name, value)
    return value


def entries_of(output: Any, path: str = "", depth: int = 0) -> dict[str, Tensor]:
    """The tensors of an output by their path: `""` for the output itself, `[1]` or `[state]` for an entry of it.

    Args:
        output: Tensor, or tuples, dictionaries and dataclasses of tensors.
        path: Path of the output itself.
        depth: Nesting of the output.

    Returns:
        Path to tensor, in order.
    """
    if isinstance(output, Tensor):
        return {path: output}
    # A packed sequence is a tuple as well, but its first entry has neither documents nor tokens.
    if depth > DEEPEST or isinstance(output, nn.utils.rnn.PackedSequence):
        return {}
    if isinstance(output, Mapping):
        items = output.items()
    elif dataclasses.is_dataclass(output) and not isinstance(output, type):
        items = [(field.name, getattr(output, field.name)) for field in dataclasses.fields(output)]
    elif isinstance(output, tuple | list):
        items = list(enumerate(output))
        items += list(zip(getattr(output, "_fields", ()), output, strict=False))  # a named tuple: by name, too
    else:
        return {}
    found: dict[str, Tensor] = {}
    for key, value in items:
        found |= entries_of(value, f"{path}[{key}]", depth + 1)
    return found
