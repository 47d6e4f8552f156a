"""Processes that share a training run: `torchrun` starts them, gradients are averaged, the first one writes."""

__all__ = ["TrainingProcesses", "own_device", "processes"]

import datetime
import os
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch import distributed as dist

from infodil.checks import UserError
from infodil.processes import Processes, process_group

PATIENCE = datetime.timedelta(hours=6)
"""How long the others wait while the first one makes the tokens."""


class TrainingProcesses(Processes):
    """This process among those of a training run."""

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model, its gradients averaged over processes where there are several."""
        return nn.parallel.DistributedDataParallel(model) if self.number > 1 else model

    def wait(self) -> None:
        """Until all are here."""
        if self.number > 1:
            dist.barrier()

    def total(self, values: Tensor) -> Tensor:
        """The sum over processes."""
        if self.number > 1:
            dist.all_reduce(values)
        return values


def own_device(device: str) -> torch.device:
    """The device of this process: with several GPUs, the one that `torchrun` numbers.

    Raises:
        UserError: There is no such device.
    """
    try:
        if device == "cuda" and "LOCAL_RANK" in os.environ:
            device = f"cuda:{os.environ['LOCAL_RANK']}"
            torch.cuda.set_device(device)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError):
        raise UserError(f"`device` {device!r} is not there: pass 'cpu' or another device of this machine.") from None
    return torch.device(device)


@contextmanager
def processes(device: str | torch.device = "cpu") -> Iterator[TrainingProcesses]:
    """The processes that `torchrun` started; one where it did not."""
    with process_group("nccl" if torch.device(device).type == "cuda" else "gloo", PATIENCE) as (rank, number):
        yield TrainingProcesses(rank, number)
