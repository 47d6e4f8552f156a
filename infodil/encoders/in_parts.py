"""Encoding within memory: as many documents at once as fit, and states of many numbers through a sketch."""

__all__ = ["EncoderInParts"]

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.sketch import CountSketch
from infodil.encoders.wrapped import WrappedEncoder

PART_BYTES = 2**28
"""States of sketched sites that are held whole at once, where one document has no more."""

OUT_OF_MEMORY = ("out of memory", "allocate memory", "not enough memory")
"""Words of torch's allocators where memory has run out."""


class EncoderInParts(WrappedEncoder):
    """An encoder whose documents are encoded in parts that fit into memory, and whose wide states are sketched.

    Where memory runs out, the part is halved, down to one document, and stays that small: the states are the same.
    Sites with more numbers than the sketch are sketched part by part, so that nothing of their full size is kept.

    Args:
        encoder: Encoder to read.
        sketch_dims: Numbers of the sketch of wider states; None to give all states whole.
        seed: Seed of the sketch.

    Attributes:
        dims: Numbers in a state before any sketch, by site; filled where states are first given.
        most_tokens: Tokens encoded at once since memory ran out, one document at least; None where it never did.
    """

    def __init__(self, encoder: Encoder, sketch_dims: int | None = None, seed: int = 0) -> None:
        super().__init__(encoder)
        self.sketch_dims, self.seed = sketch_dims, seed
        self.dims: dict[str, int] = {}
        self.most_tokens: int | None = None
        self.sketches: dict[int, CountSketch] = {}

    @property
    def sketched(self) -> dict[str, int]:
        """Numbers in a state before its sketch, of the sites that are sketched."""
        return {site: dim for site, dim in self.dims.items() if self.is_sketched(dim)}

    def is_sketched(self, dim: int) -> bool:
        """Whether states of so many numbers are read through the sketch."""
        return self.sketch_dims is not None and dim > self.sketch_dims

    def encode(self, tokens: Tensor) -> Any:
        """The states of all documents, encoded a part of them at a time."""
        parts: list[Any] = []
        first = 0
        while first < len(tokens) or not parts:
            size = self.documents_at_once(len(tokens), tokens.shape[1])
            part = self.encode_part(tokens[first : first + size])
            if part is None:  # memory ran out: the handler has ended, and with it what it kept alive
                self.halve(min(size, len(tokens) - first), tokens.shape[1])
                continue
            if not is_states(part):
                return part  # `check_states` says what is wrong with it
            parts.append(part)
            first += size
        if len(parts) == 1:
            return parts[0]
        return {site: torch.cat([part[site] for part in parts]) for site in parts[0]}

    def encode_part(self, tokens: Tensor) -> Any:
        """The states of some documents, wide ones sketched; None where memory ran out."""
        try:
            states = self.encoder.encode(tokens)
            return {site: self.read(site, state) for site, state in states.items()} if is_states(states) else states
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
        return None

    def read(self, site: str, states: Tensor) -> Tensor:
        """States as they are, or their sketch; the same for all sites with as many numbers."""
        dim = self.dims.setdefault(site, states.shape[-1])
        if states.dim() != 3 or states.shape[-1] != dim or not self.is_sketched(dim):
            return states
        if dim not in self.sketches:
            self.sketches[dim] = CountSketch.of(dim, self.sketch_dims, self.seed)
        return self.sketches[dim].apply(states)

    def documents_at_once(self, documents: int, tokens: int) -> int:
        """How many of some documents are encoded at once."""
        most = documents * tokens if self.most_tokens is None else self.most_tokens
        if self.sketched:
            most = min(most, PART_BYTES // (4 * sum(self.sketched.values())))
        return min(documents, max(1, most // max(1, tokens)))

    def halve(self, documents: int, tokens: int) -> None:
        """Encode half as many documents at once from now on; `UserError` where one is too large already."""
        if torch.cuda.is_initialized():
            torch.cuda.empty_cache()
        if documents <= 1:
            raise UserError(
                f"`corpus` has a document of {tokens} tokens whose states do not fit into memory: pass "
                "load_corpus(..., max_length=...) with fewer, fewer `sites`, or a `dtype` such as 'bfloat16'."
            )
        self.most_tokens = (documents + 1) // 2 * tokens

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """Token vectors and weights by the encoder behind; None of a site that is sketched."""
        return None if site in self.sketched else self.encoder.superposition(site)

    def randomised(self, seed: int) -> Encoder | None:
        """The encoder behind with random weights, read alike and through the same sketch."""
        other = self.encoder.randomised(seed)
        return None if other is None else EncoderInParts(other, self.sketch_dims, self.seed)

    def fingerprint(self) -> str | None:
        """Hash of the encoder behind, and the sketch."""
        known = self.encoder.fingerprint()
        return None if known is None else f"{known} sketch of {self.sketch_dims}, seed {self.seed}"


def is_states(states: Any) -> bool:
    """Whether these are tensors by site."""
    return isinstance(states, Mapping) and all(isinstance(state, Tensor) for state in states.values())


def is_out_of_memory(error: BaseException) -> bool:
    """Whether memory ran out, of a device or of the machine."""
    words = str(error).lower()
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or any(part in words for part in OUT_OF_MEMORY)
