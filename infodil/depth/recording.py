"""One pass of a model over a corpus: codebooks, moments of training documents, rows of held-out ones."""

__all__ = ["Recording", "RecordingOptions", "record"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError
from infodil.corpus import Split, Tokens
from infodil.depth.moments import Moments
from infodil.depth.product_quantizer import ProductQuantizer
from infodil.depth.writes import BlockWrites, Layout, split_writes
from infodil.encoders import Encoder
from infodil.progress import progress_bar

LEAST_POWER = 1e-9
"""Power of a write, as a share of the mean of all, below which it is the rounding of a difference."""


@dataclass(frozen=True)
class RecordingOptions:
    """What is recorded of a pass."""

    codes: tuple[int, ...]
    """Centres of each sub-vector of the product quantisers."""
    lags: tuple[int, ...]
    """Distances back of the tokens whose identity is a message."""
    sketch_dims: int
    """Dimensions of the random projection of writes."""
    held_out_rows: int
    """Positions of calibration and of test documents that are kept in memory."""
    batch_size: int
    """Sequences of full length in a batch."""
    seed: int
    """Seed of the projection and of k-means."""
    progress: bool
    """Whether to show a progress bar."""


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Streams, sketches and labels at some positions of held-out documents."""

    streams: Float[Tensor, "depths rows dim"]
    sketches: Float[Tensor, "writes rows sketch"]
    labels: Int[Tensor, "messages rows"]
    """Classes of the messages, those of writes first."""
    documents: Int[Tensor, "rows"]


@dataclass(frozen=True, eq=False)
class Recording:
    """What a pass over a corpus leaves."""

    layout: Layout
    written: list[tuple[str, int]]
    """Name of each write and the number of its block."""
    lags: tuple[int, ...]
    moments: Moments
    held_out: HeldOut
    sketch_dims: int
    """Numbers of a write's sketch."""


def record(encoder: Encoder, tokens: Tokens, options: RecordingOptions) -> Recording:
    """The pass.

    Args:
        encoder: The model.
        tokens: The corpus in three splits, disjoint by document.
        options: What is recorded.

    Returns:
        Moments of the training documents and rows of the test documents; codebooks come from the calibration documents.

    Raises:
        UserError: The model has no blocks, or the corpus has too little text for three splits.
    """
    reading = Reading(encoder, Layout.of(encoder), tokens, options)
    samples = [states for _, states, _ in reading.batches(tokens.splits["calibration"], options.held_out_rows)]
    if not samples:
        raise UserError("`corpus` leaves no calibration documents of two tokens: pass more text.")
    vectors = torch.cat([sample.writes for sample in samples], 1)
    # A block without a feed-forward part leaves the rounding of a difference as its write.
    power = vectors.square().mean((1, 2))
    kept = torch.nonzero(power > LEAST_POWER * power.mean()).squeeze(1)
    written = [reading.layout.written[number] for number in kept.tolist()]
    # Large constants, which real streams have, would take the digits of what varies; no figure depends on them.
    centre = BlockWrites.mean(samples).select(kept)
    del samples
    vectors = vectors[kept] - centre.writes
    messages = Messages([ProductQuantizer.fit(each, options.codes, options.seed) for each in vectors])
    projection = random_projection(vectors.shape[2], options.sketch_dims, options.seed)
    depths = reading.layout.blocks + 1
    available = tuple(sum(block <= depth for _, block in written) for depth in range(depths))
    moments = Moments.empty(
        available, len(kept), vectors.shape[2], projection.shape[1], len(kept) + len(options.lags),
        int(np.prod(options.codes)),
    )  # fmt: skip
    for labels, states, documents in reading.batches(tokens.splits["train"], None):
        states = states.select(kept).less(centre)
        moments.update(states, states.writes @ projection, messages.classes(states, labels), documents)
    parts: list[tuple[Tensor, ...]] = []
    for labels, states, documents in reading.batches(tokens.splits["test"], options.held_out_rows):
        states = states.select(kept).less(centre)
        parts.append((states.streams, states.writes @ projection, messages.classes(states, labels), documents[None]))
    if not parts:
        raise UserError("`corpus` leaves no test documents of two tokens: pass more text.")
    streams, sketches, classes, documents = (torch.cat(each, 1) for each in zip(*parts, strict=True))
    held_out = HeldOut(streams, sketches, classes, documents[0])
    return Recording(reading.layout, written, options.lags, moments, held_out, projection.shape[1])


def random_projection(dim: int, sketch_dims: int, seed: int) -> Float[Tensor, "dim sketch"]:
    """Orthonormal axes of a random subspace; all of them where there are no more."""
    if sketch_dims >= dim:
        return torch.eye(dim)
    generator = torch.Generator().manual_seed(seed)
    return torch.linalg.qr(torch.randn(dim, sketch_dims, generator=generator)).Q


@dataclass(frozen=True)
class Messages:
    """Discrete messages of writes, by their codebooks."""

    quantizers: list[ProductQuantizer]

    def classes(self, states: BlockWrites, tokens: Int[Tensor, "lags rows"]) -> Int[Tensor, "messages rows"]:
        """The class of each write, then those of the tokens."""
        of_writes = [quantizer.labels(each) for quantizer, each in zip(self.quantizers, states.writes, strict=True)]
        return torch.stack([*of_writes, *tokens])


class Reading:
    """A model that reads documents, with the classes of their tokens.

    Args:
        encoder: The model.
        layout: Its blocks.
        tokens: The corpus.
        options: What is recorded.
    """

    def __init__(self, encoder: Encoder, layout: Layout, tokens: Tokens, options: RecordingOptions) -> None:
        self.encoder, self.layout, self.options = encoder, layout, options
        classes = int(np.prod(options.codes))
        counts = np.bincount(tokens.splits["train"].tokens, minlength=tokens.vocabulary)
        commonest = np.argsort(-counts, kind="stable")[: classes - 1]
        self.class_of_type = torch.full((tokens.vocabulary,), classes - 1)
        self.class_of_type[torch.from_numpy(commonest)] = torch.arange(len(commonest))

    @torch.no_grad()
    def batches(
        self, split: Split, max_rows: int | None
    ) -> Iterator[tuple[Int[Tensor, "lags rows"], BlockWrites, Int[Tensor, "rows"]]]:
        """Token classes, streams and writes, and documents of the positions that have all tokens before them.

        Args:
            split: The documents.
            max_rows: Number of positions after which evenly spaced ones are taken; None for all.
        """
        stride = 1 if max_rows is None else max(1, len(split.tokens) // max_rows)
        number = split.number_of_batches(self.options.batch_size)
        batches = split.batches(self.options.batch_size)
        for batch in progress_bar(batches, "reading streams", shown=self.options.progress, total=number, unit="batch"):
            place = torch.arange(batch.tokens.shape[1])
            rows = (place >= max(self.options.lags, default=0)) & (place < batch.lengths[:, None])
            rows &= place % stride == stride - 1
            if not rows.any():
                continue
            states = {site: each.cpu() for site, each in self.encoder.encode(batch.tokens).items()}
            labels = [self.class_of_type[batch.tokens.roll(lag, 1)[rows]] for lag in self.options.lags]
            documents = batch.document[:, None].expand_as(rows)[rows]
            yield torch.stack(labels), split_writes(states, self.layout, rows), documents
