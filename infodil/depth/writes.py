"""What each block of a model adds to its residual stream: token mixer and feed-forward apart."""

__all__ = ["BlockWrites", "Layout", "split_writes"]

import re
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError
from infodil.encoders import Encoder


@dataclass(frozen=True)
class Layout:
    """The blocks of a model, and which of their writes are read apart."""

    blocks: int
    mixers: frozenset[int]
    """Numbers, from 1, of the blocks whose mixer has a site of its own."""
    sums: bool = True
    """Whether a stream is the one before it and what a block wrote; otherwise each block's message has a site."""

    @classmethod
    def of(cls, encoder: Encoder) -> "Layout":
        """The layout by the sites of an encoder.

        Raises:
            UserError: The encoder offers no `embedding` and `layer.N` sites.
        """
        names = [re.fullmatch(r"layer\.(\d+)", site) for site in encoder.sites]
        blocks = max((int(name[1]) for name in names if name), default=0)
        if not blocks or "embedding" not in encoder.sites:
            raise UserError(
                f"`model` {encoder.name!r} has no residual stream of blocks: pass a Hugging Face causal language model."
            )
        mixers = frozenset(number for number in range(1, blocks + 1) if f"layer.{number}.mixer" in encoder.sites)
        return cls(blocks, mixers, "layer.1.message" not in encoder.sites)

    @property
    def written(self) -> list[tuple[str, int]]:
        """Name of each write and the number of its block, 0 for the embedding, in the order of writing."""
        writes = [("embedding", 0)]
        for block in range(1, self.blocks + 1):
            parts = ("mixer", "feed-forward") if block in self.mixers else ("block",)
            writes += [(f"{block} {part}", block) for part in parts]
        return writes


@dataclass(frozen=True, eq=False)
class BlockWrites:
    """Streams and writes at some positions."""

    streams: Float[Tensor, "depths rows dim"]
    """The stream before the first block and after each block."""
    writes: Float[Tensor, "writes rows dim"]
    """What was added, in the order of writing; the embedding is the first write."""
    before: Float[Tensor, "writes rows dim"]
    """The stream to which each write was added."""

    def select(self, writes: Tensor) -> "BlockWrites":
        """The same streams with a selection of the writes."""
        return BlockWrites(self.streams, self.writes[writes], self.before[writes])

    def less(self, centre: "BlockWrites") -> "BlockWrites":
        """The same with constants taken off.

        Args:
            centre: The constants, as one position.
        """
        return BlockWrites(self.streams - centre.streams, self.writes - centre.writes, self.before - centre.before)

    @classmethod
    def mean(cls, parts: Sequence["BlockWrites"]) -> "BlockWrites":
        """Means over all positions, as one position.

        Args:
            parts: Streams and writes of some positions each.
        """
        rows = sum(part.streams.shape[1] for part in parts)

        def average(name: str) -> Tensor:
            return sum(getattr(part, name).double().sum(1, keepdim=True) for part in parts).div(rows).float()

        return cls(*map(average, ("streams", "writes", "before")))


def split_writes(states: dict[str, Tensor], layout: Layout, rows: Tensor) -> BlockWrites:
    """Streams and writes of an encoder's states.

    A block's feed-forward write is what the block added beyond its mixer; where the mixer's output is normalised or
    scaled before it is added, the difference counts as feed-forward.

    Args:
        states: States `[documents, tokens, dim]` by site.
        layout: The blocks.
        rows: Which positions, `[documents, tokens]` true or false.
    """
    streams = [states["embedding"][rows].float()]
    writes, before = [streams[0]], [torch.zeros_like(streams[0])]
    for block in range(1, layout.blocks + 1):
        start, end = streams[-1], states[f"layer.{block}"][rows].float()
        if block in layout.mixers:
            mixed = states[f"layer.{block}.mixer"][rows].float()
            writes += [mixed, end - start - mixed]
            before += [start, start + mixed]
        else:
            writes.append(end - start if layout.sums else states[f"layer.{block}.message"][rows].float())
            before.append(start)
        streams.append(end)
    return BlockWrites(torch.stack(streams), torch.stack(writes), torch.stack(before))
