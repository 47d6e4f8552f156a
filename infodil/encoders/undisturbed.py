"""A torch module while its states are read: alone, in evaluation mode, and afterwards bit for bit as it was."""

__all__ = ["check_weights", "undisturbed"]

import os
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from infodil.checks import UserError

PLAIN = (bool, int, float, str, type(None))


@dataclass
class Known:
    """What earlier readings of a module have shown."""

    lock: Any = field(default_factory=threading.RLock)
    """Held during a reading: the mode of a module is changed, and threads may share it."""
    changing: dict[int, set[str]] = field(default_factory=dict)
    """Names of the tensors that a reading changes, for each condition that the module's attributes were in before."""


KNOWN: "weakref.WeakKeyDictionary[nn.Module, Known]" = weakref.WeakKeyDictionary()
GUARD = threading.Lock()
"""Held while `KNOWN` is looked into."""


def check_weights(module: nn.Module) -> None:
    """Raise `UserError` where weights have a shape only, unless they lie on the disk, as its device map says."""
    if getattr(module, "hf_device_map", None):
        return
    for name, tensor in module.named_parameters():
        if tensor.device.type == "meta":
            raise UserError(f"`model` has its weights ({name!r}) on the meta device: load them first.")


@contextmanager
def undisturbed(module: nn.Module) -> Iterator[None]:
    """The module in evaluation mode, read by this thread alone, and afterwards left as it was.

    Modes, attributes, weights, buffers and torch's random state are put back. The first reading of a module, or of one
    whose modes or plain attributes have changed since, keeps a copy of all weights, to find those that the module
    itself changes (as RWKV-4 does, which rescales its weights in evaluation mode); later readings copy only these.

    Args:
        module: Model to read.

    Raises:
        UserError: The module changed weights of which no copy could be kept.
    """
    with GUARD:
        known = KNOWN.setdefault(module, Known())
    with known.lock:
        parts = [Attributes(part) for part in module.modules()]
        tensors = dict(module.named_parameters()) | dict(module.named_buffers())
        # Those on no device lie on the disk, from where they are read anew.
        tensors = {name: tensor for name, tensor in tensors.items() if not tensor.is_meta}
        versions = {name: version(tensor) for name, tensor in tensors.items()}
        condition = hash(tuple(part.condition() for part in parts))
        kept = {name: tensors[name].detach().clone() for name in to_keep(known.changing.get(condition), tensors)}
        devices = sorted({tensor.device for tensor in tensors.values() if tensor.device.type == "cuda"}, key=str)
        try:
            module.eval()
            with torch.random.fork_rng(devices=devices):
                yield
        finally:
            for part in parts:
                part.put_back()
            known.changing[condition] = known.changing.get(condition, set()) | restore(tensors, versions, kept)


def to_keep(changing: set[str] | None, tensors: dict[str, Tensor]) -> set[str]:
    """Names of the tensors to copy before a reading: those that an earlier one changed, or all at the first."""
    if changing is not None:
        return changing & tensors.keys()
    needed = sum(tensor.numel() * tensor.element_size() for tensor in tensors.values())
    return set(tensors) if needed < free_bytes() // 2 else set()


@torch.no_grad()
def restore(tensors: dict[str, Tensor], versions: dict[str, int | None], kept: dict[str, Tensor]) -> set[str]:
    """Names of the tensors that changed, which are put back; `UserError` where there is no copy of one."""
    changed = {name for name, before in kept.items() if not torch.equal(tensors[name], before)}
    for name in changed:
        tensors[name].data.copy_(kept[name])
    touched = {name for name, tensor in tensors.items() if version(tensor) != versions[name]} - changed
    lost = sorted(touched - kept.keys())
    if lost:
        raise UserError(
            f"`model` changes its own weights ({lost[0]!r}) while it is read, and no copy of them was kept: "
            "pass a copy of it, or a model whose forward leaves them alone."
        )
    return changed | touched


class Attributes:
    """The attributes, parameters and buffers of one submodule, by reference."""

    def __init__(self, part: nn.Module) -> None:
        self.part = part
        self.attributes = dict(vars(part))
        self.registered = {name: dict(vars(part)[name]) for name in ("_parameters", "_buffers", "_modules")}

    def condition(self) -> tuple[tuple[str, object], ...]:
        """The plain attributes, on which a submodule's behaviour may depend."""
        return tuple((name, value) for name, value in self.attributes.items() if isinstance(value, PLAIN))

    def put_back(self) -> None:
        """Give the submodule what it had."""
        current = vars(self.part)
        for name in [name for name in current if name not in self.attributes]:
            del current[name]
        current.update(self.attributes)
        for name, entries in self.registered.items():
            if differs(current[name], entries):
                current[name].clear()
                current[name].update(entries)


def differs(current: dict[str, Any], entries: dict[str, Any]) -> bool:
    """Whether two dictionaries hold other objects."""
    return current.keys() != entries.keys() or any(current[name] is not value for name, value in entries.items())


def version(tensor: Tensor) -> int | None:
    """Number of in-place changes of a tensor; None where torch does not count them."""
    try:
        return tensor._version
    except RuntimeError:  # an inference tensor
        return None


def free_bytes() -> int:
    """Memory that is free; a large number where the system does not say."""
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return 1 << 62
