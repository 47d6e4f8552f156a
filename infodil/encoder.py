"""The contract of an encoder: token ids in, one state a position out, and every other member with its default."""

__all__ = ["KINDS_OF_SITE", "EncodesTokens", "Encoder", "random_copy", "seeded"]

import copy
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from infodil.fingerprint import fingerprint

KINDS_OF_SITE = ("embedding", "residual", "mixer", "recurrent", "conv", "trace", "module", "recorded")
"""What a site can be: `residual` is the stream between blocks, `mixer` what a token mixer writes to it, `recurrent` and
`conv` the memory that a recurrent or convolutional layer carries on, `module` the output of a named submodule."""

LABELS = ("name", "tokenizer")
"""Members that no state depends on."""

RESETS = ("reset_parameters", "_reset_parameters")
"""How torch's layers draw their parameters anew; its attention layers spell it with an underscore."""


@runtime_checkable
class EncodesTokens(Protocol):
    """The least that `load_encoder` takes for an encoder; the rest is completed with the defaults of `Encoder`."""

    vocabulary: int

    def encode(self, tokens: Tensor) -> dict[str, Tensor]:
        """Token ids `[documents, tokens]` to site name -> states `[documents, tokens, dim]`."""
        ...


class Encoder:
    """A causal map from token ids to states, with all that a measurement asks of it.

    The state at position t is a function of the tokens up to and including t of its own document, and of nothing else.
    A new encoder derives from this class, sets `vocabulary` and defines `encode`; every other member has a default.

    Example:
        >>> class Newest(Encoder):
        ...     vocabulary, sites = 5, ("newest",)
        ...
        ...     def encode(self, tokens):
        ...         return {"newest": torch.nn.functional.one_hot(tokens, 5).float()}
        >>> Newest().encode(torch.tensor([[3, 1]]))["newest"].shape, Newest().costly
        (torch.Size([1, 2, 5]), True)
    """

    vocabulary: int
    """Number of token types; ids run from 0 to `vocabulary - 1`."""
    sites: tuple[str, ...] | None = None
    """Names of the states that `encode` gives, in its order; None where only encoding can tell."""
    tokenizer: object = None
    """Tokenizer of the model, for corpora of text that bring none."""
    longest: int | None = None
    """Most tokens of a document that the model reads at once; None for any number."""
    costly: bool = True
    """Whether keeping states on disk is cheaper than encoding again."""
    reads_positions: bool = False
    """Whether `encode` takes positions in the corpus in place of token ids, as for states that were recorded."""
    name: str | None = None
    """Name of the model in reports; None for the name of its class."""
    module: nn.Module | None = None
    """Torch module that computes the states, where that is not the encoder itself."""
    memory_sites: tuple[str, ...] = ()
    """Sites of all recurrent states that the model has, among them those that are not read."""
    route: str | None = None
    """How recurrent states are computed at every position; None where there are none."""

    def encode(self, tokens: Tensor) -> dict[str, Tensor]:
        """States `[documents, tokens, dim]` of each site for token ids `[documents, tokens]`."""
        raise NotImplementedError(f"{type(self).__name__} must define encode(tokens)")

    def kind_of_site(self, site: str) -> str:
        """Kind of a site, one of `KINDS_OF_SITE`."""
        return "module"

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        r"""Token vectors `[vocabulary, dim]` and weights `[scales, lags]` of a site that sums them, else None.

        The states are :math:`h_t = (\sum_k w_{sk} e_{x_{t-k}})_s`, scale by scale.
        """
        return None

    def randomised(self, seed: int) -> "Encoder | None":
        """The same encoder with random weights, a control for trained ones; None where there are none to draw."""
        return random_copy(self, seed) if isinstance(self, nn.Module) else None

    def fingerprint(self) -> str | None:
        """Hash of all that decides the states, which names them in a cache; None where it cannot be known.

        Weights, buffers, attributes and code of an encoder that is a torch module or has one; of any other nothing is
        known, unless it says so itself.
        """
        if isinstance(self, nn.Module):
            return fingerprint(self)
        if self.module is None:
            return None
        return fingerprint(type(self), {name: value for name, value in vars(self).items() if name not in LABELS})


SEEDING = threading.RLock()
"""Held while weights are drawn: torch's generator and default type belong to all threads."""


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Random numbers of a seed and weights in float32, whatever the caller's default; both are put back.

    Args:
        seed: Seed of torch's random numbers inside.
    """
    with SEEDING, torch.random.fork_rng(devices=[]):
        dtype = torch.get_default_dtype()
        try:
            torch.set_default_dtype(torch.float32)
            torch.manual_seed(seed)
            yield
        finally:
            torch.set_default_dtype(dtype)


@torch.no_grad()
def random_copy(module: nn.Module, seed: int) -> nn.Module | None:
    """A copy of a module with its parameters drawn anew; None where it has none or cannot be copied.

    Every submodule draws as it did when it was made (`reset_parameters`), the inner ones first. A parameter that
    no submodule draws gets normal numbers with its own mean and standard deviation.

    Args:
        module: Model to copy; it is left as it is.
        seed: Seed of the numbers drawn; torch's own random state is put back.

    Returns:
        The copy, on the same device.

    Reference:
        Conneau et al. (2018), What you can cram into a single vector, for untrained encoders as a control of probes.
    """
    if next(module.parameters(), None) is None:
        return None
    try:
        other = copy.deepcopy(module)
    except (RuntimeError, TypeError, AttributeError):  # holds what cannot be copied: a lock, a graph
        return None
    with seeded(seed):
        drawn: set[nn.Parameter] = set()
        other.apply(lambda part: drawn.update(reset(part)))
        for parameter in other.parameters():
            if parameter not in drawn and parameter.is_floating_point():
                mean, spread = parameter.float().mean(), parameter.float().std(correction=0)
                # Drawn on the CPU: the same numbers on every device.
                parameter.copy_(mean.cpu() + spread.cpu() * torch.randn(parameter.shape))
    return other


def reset(part: nn.Module) -> list[nn.Parameter]:
    """Parameters of one submodule that it has drawn anew by its own method."""
    function = next((getattr(part, name) for name in RESETS if callable(getattr(part, name, None))), None)
    if function is None:
        return []
    function()
    return list(part.parameters(recurse=False))
