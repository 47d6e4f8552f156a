"""The processes of one job: what they share out, add up and hand to each other.

Inside `joined()`, which the command line enters under `torchrun`, every process makes the same calls in the same order.
Outside of it there is one process, whatever else the program uses `torch.distributed` for.
"""

__all__ = ["Processes", "current", "joined", "process_group"]

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import Tensor

from infodil.checks import ProcessLost, UserError


@dataclass(frozen=True)
class Processes:
    """This process among those of its job.

    Every exchange begins with one small message of each process, which says what it brings or what has gone wrong with
    it: a fault in one process ends all of them with its sentence.

    Attributes:
        rank: Number of this process, from 0.
        number: Number of processes.
        keeps_files: Whether this process keeps states on the disk of its machine, which one process does.
    """

    rank: int = 0
    number: int = 1
    keeps_files: bool = True

    @property
    def is_first(self) -> bool:
        """Whether this process writes and prints."""
        return self.rank == 0

    def owns(self, place: int) -> bool:
        """Whether the item at a place of a list is this process's work; every item is that of one process."""
        return place % self.number == self.rank

    def share(self, items: int, rank: int | None = None) -> slice:
        """The part of some items in a row that a process works on: equal parts, the last ones shorter or empty.

        Args:
            items: Number of items.
            rank: The process; this one by default.
        """
        size = -(-items // self.number)
        first = min(items, size * (self.rank if rank is None else rank))
        return slice(first, min(items, first + size))

    def all(self, flags: Sequence[bool]) -> list[bool]:
        """For each flag whether it holds in every process."""
        if self.number == 1:
            return list(flags)
        return [all(of_all) for of_all in zip(*self._exchange(list(flags)), strict=True)]

    def first(self, make: Callable[[], Any]) -> Any:
        """What the first process makes, in every process."""
        if self.number == 1:
            return make()
        return self._exchange(make() if self.is_first else None)[0]

    def add(self, arrays: Iterable[np.ndarray]) -> None:
        """Add up arrays of float64 over all processes, in place."""
        if self.number == 1:
            return
        self._exchange("sums")
        for array in arrays:
            total = torch.from_numpy(array).to(_device())
            self._carry_out(dist.all_reduce, total)
            array[...] = total.cpu().numpy()

    def gather_states(
        self, rows: Sequence[int], encode: Callable[[slice], list[dict[str, Tensor]]]
    ) -> list[dict[str, Tensor]]:
        """The states of some sequences, each encoded by one process and known to all.

        Args:
            rows: Number of tokens of each sequence.
            encode: Function from a part of the sequences to the states of each, `[tokens, dim]` by site.
        """
        if self.number == 1 or not rows:
            return encode(slice(0, len(rows)))
        mine = encode(self.share(len(rows)))
        form = [(site, state.shape[1:], state.dtype) for site, state in mine[0].items()] if mine else None
        forms = next(form for form in self._exchange(form) if form is not None)
        tokens = [sum(rows[self.share(len(rows), rank)]) for rank in range(self.number)]
        found: list[dict[str, Tensor]] = [{} for _ in rows]
        for site, shape, dtype in forms:
            block = torch.zeros(max(tokens), *shape, dtype=dtype)
            if mine:
                block[: tokens[self.rank]] = torch.cat([states[site].cpu() for states in mine])
            # As bytes: the exchange need not know the dtype.
            plain = block.view(torch.uint8).to(_device())
            parts = [torch.empty_like(plain) for _ in range(self.number)]
            self._carry_out(dist.all_gather, parts, plain)
            whole = torch.cat([part.cpu().view(dtype)[:real] for part, real in zip(parts, tokens, strict=True)])
            for states, state in zip(found, whole.split(list(rows)), strict=True):
                states[site] = state
        return found

    def hand_round(self, mine: Mapping[str, Any], names: Sequence[str], device: torch.device) -> dict[str, Any]:
        """Objects made by different processes, known to all, in the order of the names.

        Args:
            mine: The objects of this process, by name.
            names: The names of all; those at the places that a process `owns` are its own.
            device: Device that tensors of the others are put on.
        """
        if self.number == 1:
            return dict(mine)
        packed = io.BytesIO()
        torch.save(dict(mine), packed)
        parts = self._exchange(packed.getvalue())
        # These bytes come from this very job, not from a file.
        others = [
            mine if rank == self.rank else torch.load(io.BytesIO(part), map_location=device, weights_only=False)
            for rank, part in enumerate(parts)
        ]
        whole = {name: one for part in others for name, one in part.items()}
        return {name: whole[name] for name in names}

    def _exchange(self, content: Any, error: str | None = None) -> list[Any]:
        """What every process brings; raises the first fault that one of them announces."""
        messages: list[Any] = [None] * self.number
        self._carry_out(dist.all_gather_object, messages, (error, content))
        for rank, (fault, _) in enumerate(messages):
            if fault is not None and rank != self.rank:
                raise UserError(fault)
        return [brought for _, brought in messages]

    def _carry_out(self, exchange: Callable[..., Any], *arguments: Any) -> None:
        try:
            exchange(*arguments)
        except RuntimeError as error:
            raise ProcessLost(
                f"`processes` has {self.number}, of which another one has ended ({str(error).splitlines()[0][:80]}): "
                "start the same command again; with a cache_dir it takes up where it stopped."
            ) from None


_ALONE = Processes()
_CURRENT: ContextVar[Processes] = ContextVar("processes", default=_ALONE)


def current() -> Processes:
    """The processes that share the work of this one: itself alone outside of `joined()`."""
    return _CURRENT.get()


@contextmanager
def process_group(backend: str, timeout: timedelta | None = None) -> Iterator[tuple[int, int]]:
    """The number of this process and how many there are: those that `torchrun` started, or 0 and 1.

    A process group that exists is used, and one that does not is made and taken down again.

    Args:
        backend: How a new group exchanges, such as `gloo`.
        timeout: How long a new group waits for its last process; torch's own by default.

    Yields:
        Rank and number of processes.
    """
    made = not dist.is_initialized() and int(os.environ.get("WORLD_SIZE", "1")) > 1
    if made:
        dist.init_process_group(backend, timeout=timeout)
    try:
        yield (dist.get_rank(), dist.get_world_size()) if dist.is_initialized() else (0, 1)
    finally:
        if made:
            dist.destroy_process_group()


@contextmanager
def joined() -> Iterator[Processes]:
    """This process as one of those that `torchrun` started; alone where it started none.

    A process group that exists is used, and one that does not is made and taken down again.

    Yields:
        The processes.

    Raises:
        UserError: Another process met a mistake of the user, or has ended.

    Example:
        >>> with joined() as processes:
        ...     processes.number
        1
    """
    accelerated = torch.cuda.is_available()
    if accelerated and not dist.is_initialized() and "LOCAL_RANK" in os.environ:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    with process_group("cpu:gloo,cuda:nccl" if accelerated else "gloo") as (rank, number):
        keeps_files = number == 1 or int(os.environ.get("LOCAL_RANK", rank)) == 0
        processes = Processes(rank, number, keeps_files)
        token = _CURRENT.set(processes)
        try:
            yield processes
        except Exception as error:
            if processes.number > 1 and not isinstance(error, ProcessLost):
                _announce(processes, error)
            raise
        finally:
            _CURRENT.reset(token)


def _announce(processes: Processes, error: BaseException) -> None:
    """Tell the others, who wait for this process in their next exchange, why it ends."""
    words = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
    try:
        processes._exchange(None, words)
    except UserError:  # they end for a reason of their own
        return


def _device() -> torch.device:
    """Device of what is exchanged: the CPU, or the accelerator where the group has no way of exchanging on the CPU."""
    return torch.device("cuda", torch.cuda.current_device()) if dist.get_backend() == "nccl" else torch.device("cpu")
