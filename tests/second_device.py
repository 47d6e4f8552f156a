"""A second device without an accelerator: tensors that compute on the CPU and say that they lie elsewhere.

They do not mix with those of the host, as on a GPU, and what makes a GPU wait is counted by the place in infodil that
asks for it: a *read* (values of the device on the host: `.item()`, `float`, `.tolist()`, `.cpu()`), a *shape* (an
operation whose result has as many numbers as the values say: `nonzero`, a mask as an index, `bincount`), and a *write*
(values of the host on the device).

The device calls itself `meta`, the one name that torch has for a device that every build knows and that brings no
kernels of its own.
"""

import contextlib
import sys
from collections import Counter
from pathlib import Path
from unittest import mock

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._mode_utils import no_dispatch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map_only

import infodil

DEVICE = torch.device("meta")
HOST = torch.device("cpu")
ROOT = Path(infodil.__file__).parent

aten = torch.ops.aten
SHAPED = {aten.nonzero, aten.masked_select, aten.bincount, aten._unique2, aten.unique_dim, aten.repeat_interleave}
"""Operations whose result has as many numbers as the values say."""
INDEXING = {aten.index, aten.index_put, aten.index_put_, aten._unsafe_index}


class Distant(torch.Tensor):
    """A tensor of the second device; `inner` has its numbers."""

    @staticmethod
    def __new__(cls, inner):
        strided = inner.layout == torch.strided
        form = {"strides": inner.stride(), "storage_offset": inner.storage_offset()} if strided else {}
        made = torch.Tensor._make_wrapper_subclass(cls, inner.size(), dtype=inner.dtype, device=DEVICE, **form)
        made.inner = inner
        return made

    def __repr__(self):
        return f"Distant({self.inner})"

    @classmethod
    def __torch_dispatch__(cls, function, types, arguments=(), options=None):
        return carry_out(function, arguments, options or {})[0]


def is_distant(device):
    return device is not None and torch.device(device).type == DEVICE.type


def carry_out(function, arguments, options):
    """The result of an operation, and what it makes a GPU wait for: "read", "shape", "write" or nothing."""
    given = [leaf for leaf in tree_leaves((arguments, options)) if isinstance(leaf, torch.Tensor)]
    far, near = ([leaf for leaf in given if isinstance(leaf, Distant) is distant] for distant in (True, False))
    asked = options.get("device")
    if not far and not is_distant(asked):
        return function(*arguments, **options), None
    plain, plain_options = tree_map_only(Distant, lambda tensor: tensor.inner, (arguments, options))
    if asked is not None:
        plain_options["device"] = HOST
    copied = function is aten.copy_.default and bool(near)
    to_host = (asked is not None and not is_distant(asked)) or (copied and near[0] is arguments[0])
    waits = None
    if to_host or function is aten._local_scalar_dense.default:
        waits = "read"
    elif copied or (near and not far):
        waits = "write"
    elif is_shaped(function, arguments):
        waits = "shape"
    elif any(tensor.dim() for tensor in near):
        raise RuntimeError(f"{function} was given tensors of two devices")
    found = function(*plain, **plain_options)
    if torch.Tag.inplace_view in function.tags:  # the numbers are as they should be; now their description
        with no_dispatch():
            function(*arguments, **options)
    if to_host:
        return (arguments[0] if copied else found), waits
    known = {id(tensor.inner): tensor for tensor in far}
    return tree_map_only(
        torch.Tensor, lambda tensor: known[id(tensor)] if id(tensor) in known else Distant(tensor), found
    ), waits


def is_shaped(function, arguments):
    """Whether the number of results depends on values."""
    if function.overloadpacket not in INDEXING:
        return function.overloadpacket in SHAPED
    masked = any(index is not None and index.dtype in (torch.bool, torch.uint8) for index in arguments[1])
    # One value for all that a mask marks is filled in where they are.
    filled = len(arguments) > 2 and arguments[2].numel() == 1
    return masked and not filled


class CountWaits(TorchDispatchMode):
    """Counts of waits by kind and by the place in infodil that asks, as `probes/calibration.py TemperatureLoss.at`."""

    def __init__(self):
        super().__init__()
        self.counts = Counter()

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found, waits = carry_out(function, arguments, options or {})
        if waits is not None:
            self.counts[waits, place()] += 1
        return found


def place():
    """The nearest file and function of infodil on the stack."""
    frame = sys._getframe(1)
    while frame is not None and ROOT not in Path(frame.f_code.co_filename).parents:
        frame = frame.f_back
    if frame is None:
        return "elsewhere"
    return f"{Path(frame.f_code.co_filename).relative_to(ROOT).as_posix()} {frame.f_code.co_qualname}"


class ReachDevice(TorchFunctionMode):
    """What torch does not let a tensor of another class do, by way of what it does let it do."""

    def __torch_function__(self, function, types, arguments=(), options=None):
        options = dict(options or {})
        if function is torch.Tensor.tolist and isinstance(arguments[0], Distant):
            return arguments[0].cpu().tolist()
        if function in (torch.tensor, torch.as_tensor) and is_distant(options.get("device")):
            device = options.pop("device")
            return function(*arguments, **options).to(device)
        return function(*arguments, **options)


@contextlib.contextmanager
def second_device():
    """Inside, `DEVICE` computes; yields the counts of what would make a GPU wait."""
    name = "_get_fused_kernels_supported_devices"
    modules = [module for key, module in list(sys.modules.items()) if key.startswith("torch.optim")]
    counting = CountWaits()
    with contextlib.ExitStack() as stack:
        for module in modules:
            if hasattr(module, name):
                stack.enter_context(mock.patch.object(module, name, lambda: ["cpu", DEVICE.type]))
        stack.enter_context(counting)
        stack.enter_context(ReachDevice())
        yield counting.counts
