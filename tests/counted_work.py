"""What a job makes torch do, counted rather than timed: the same on a slow machine and on a busy one."""

import sys
import tracemalloc
import weakref

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry


class PeakBytes(TorchDispatchMode):
    """The most bytes of tensors that are alive at once, of those made inside."""

    def __init__(self):
        super().__init__()
        self.alive, self.now, self.peak = {}, 0, 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found = function(*arguments, **(options or {}))
        given = {each.untyped_storage()._cdata for each in strided(tree_leaves((arguments, options)))}
        for each in strided(tree_leaves(found)):
            if each.untyped_storage()._cdata not in given:
                self.count(each.untyped_storage())
        return found

    def count(self, storage):
        key = storage._cdata
        if key in self.alive:
            return
        self.alive[key] = storage.nbytes()
        self.now += storage.nbytes()
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self.forget, key)

    def forget(self, key):
        self.now -= self.alive.pop(key)


def strided(values):
    """The tensors among some values that have a storage of their own."""
    return [each for each in values if isinstance(each, torch.Tensor) and each.layout == torch.strided]


class CountedWork(PeakBytes):
    """Operations, floating-point operations of matrix products, looks of the host at a number, and tokens looked up."""

    def __init__(self):
        super().__init__()
        self.operations = self.flops = self.looks = self.tokens = 0

    def __torch_dispatch__(self, function, types, arguments=(), options=None):
        found = super().__torch_dispatch__(function, types, arguments, options)
        packet = function.overloadpacket
        self.operations += 1
        if packet in flop_registry:
            self.flops += int(flop_registry[packet](*arguments, **(options or {}), out_val=found))
        if packet is torch.ops.aten._local_scalar_dense:
            self.looks += 1
        elif packet is torch.ops.aten.embedding:
            self.tokens += arguments[1].numel()
        return found


class CountedCalls:
    """Calls of functions from Python, and the most bytes that numpy and Python hold at once, of those got inside."""

    def __enter__(self):
        self.calls = 0
        tracemalloc.start()
        self.before = tracemalloc.get_traced_memory()[0]
        sys.setprofile(self.count)
        return self

    def count(self, frame, event, argument):
        self.calls += event in ("call", "c_call")

    def __exit__(self, *_):
        sys.setprofile(None)
        self.peak = tracemalloc.get_traced_memory()[1] - self.before
        tracemalloc.stop()
