"""The control of random weights: the same architecture, and nothing that it has learned."""

__all__ = ["random_copy", "randomised"]

import copy

import torch
from torch import nn

from infodil.encoders.encoder import Encoder

RESETS = ("reset_parameters", "_reset_parameters")
"""How torch's layers draw their parameters anew; its attention layers spell it with an underscore."""


def randomised(encoder: Encoder, seed: int) -> Encoder | None:
    """The same encoder with random weights: by its own `randomised`, or as a torch module; else None.

    Reference:
        Conneau et al. (2018), What you can cram into a single vector, for untrained encoders as a control of probes.
    """
    own = getattr(encoder, "randomised", None)
    if own is not None:
        return own(seed)
    return random_copy(encoder, seed) if isinstance(encoder, nn.Module) else None


@torch.no_grad()
def random_copy(module: nn.Module, seed: int) -> nn.Module | None:
    """A copy of a module with its parameters drawn anew; None where it has none or cannot be copied.

    Every submodule draws as it did when it was made (`reset_parameters`), the inner ones first. A parameter that
    no submodule draws gets normal numbers with its own mean and standard deviation.

    Args:
        module: Left as it is.
        seed: Of the numbers drawn; torch's own random state is put back.
    """
    if next(module.parameters(), None) is None:
        return None
    try:
        other = copy.deepcopy(module)
    except (RuntimeError, TypeError, AttributeError):  # holds what cannot be copied: a lock, a graph
        return None
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        drawn: set[nn.Parameter] = set()
        other.apply(lambda part: drawn.update(reset(part)))
        for parameter in other.parameters():
            if parameter not in drawn and parameter.is_floating_point():
                mean, spread = parameter.float().mean(), parameter.float().std(correction=0)
                # Drawn on the CPU: the same numbers on every device.
                parameter.copy_(mean.cpu() + spread.cpu() * torch.randn(parameter.shape))
    return other


def reset(part: nn.Module) -> list[nn.Parameter]:
    """Let one submodule draw its own parameters anew; gives those that it drew."""
    function = next((getattr(part, name) for name in RESETS if callable(getattr(part, name, None))), None)
    if function is None:
        return []
    function()
    return list(part.parameters(recurse=False))
