"""Streaming second moments of streams, writes and messages: additive, so that parts of a corpus merge by a sum."""

__all__ = ["GROUPS", "Moments"]

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.depth.writes import BlockWrites

GROUPS = 16
"""Groups of documents whose sums are kept apart, so that a jackknife can leave each out."""


@dataclass
class Moments:
    """Sums over positions, all float64; those that a retained coefficient needs are kept by group of documents.

    A stream is paired with the writes that it can hold, those of its own block and of blocks before.
    """

    available: tuple[int, ...]
    """Number of writes that the stream at each depth can hold; they come first."""
    rows: Float[Tensor, "groups"]
    stream: Float[Tensor, "groups depths dim"]
    """Sum of the stream at each depth."""
    square: Float[Tensor, "depths dim dim"]
    """Sum of outer products of the stream with itself."""
    write: Float[Tensor, "groups writes dim"]
    """Sum of each write."""
    power: Float[Tensor, "groups writes"]
    """Sum of each write's squared length."""
    inner: Float[Tensor, "groups writes depths"]
    """Sum of inner products of each write with the stream at each depth."""
    inner_before: Float[Tensor, "groups writes"]
    """Sum of inner products of each write with the stream to which it was added."""
    before: Float[Tensor, "groups writes dim"]
    """Sum of the stream to which each write was added."""
    sketch: Float[Tensor, "writes sketch"]
    """Sum of each write's sketch."""
    sketch_square: Float[Tensor, "writes sketch sketch"]
    """Sum of outer products of each sketch with itself."""
    cross: Float[Tensor, "depths dim writes sketch"]
    """Sum of outer products of the stream with the sketch of each write that it can hold."""
    counts: Float[Tensor, "messages classes"]
    """Number of positions of each class of each discrete message, those of writes first."""
    class_sums: Float[Tensor, "messages depths classes dim"]
    """Sum of the stream at each depth over the positions of each class of each message that it can hold."""

    @classmethod
    def empty(
        cls, available: tuple[int, ...], writes: int, dim: int, sketch: int, messages: int, classes: int
    ) -> "Moments":
        """Sums over no positions.

        Args:
            available: Number of writes that the stream at each depth can hold.
            writes: Number of writes.
            dim: Numbers of a stream.
            sketch: Numbers of a write's sketch.
            messages: Number of discrete messages, those of writes first.
            classes: Largest number of classes of a message.
        """
        depths = len(available)
        shapes = {
            "rows": (GROUPS,), "stream": (GROUPS, depths, dim), "square": (depths, dim, dim),
            "write": (GROUPS, writes, dim), "power": (GROUPS, writes), "inner": (GROUPS, writes, depths),
            "inner_before": (GROUPS, writes), "before": (GROUPS, writes, dim), "sketch": (writes, sketch),
            "sketch_square": (writes, sketch, sketch), "cross": (depths, dim, writes, sketch),
            "counts": (messages, classes), "class_sums": (messages, depths, classes, dim),
        }  # fmt: skip
        return cls(available, **{name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()})

    def update(
        self,
        states: BlockWrites,
        sketches: Float[Tensor, "writes rows sketch"],
        labels: Int[Tensor, "messages rows"],
        documents: Int[Tensor, "rows"],
    ) -> None:
        """Add some positions.

        Args:
            states: Streams and writes there.
            sketches: The sketch of each write.
            labels: The class of each discrete message.
            documents: The document of each position, those of one document side by side.
        """
        streams, writes, before = states.streams, states.writes, states.before
        groups, sizes = torch.unique_consecutive(documents % GROUPS, return_counts=True)
        parts = (each.split(sizes.tolist(), dim=1) for each in (streams, writes, before))
        for group, own, written, stood in zip(groups.tolist(), *parts, strict=True):
            self.rows[group] += own.shape[1]
            self.stream[group] += own.sum(1)
            self.write[group] += written.sum(1)
            self.power[group] += written.square().sum((1, 2))
            self.inner[group] += written.flatten(1) @ own.flatten(1).T
            self.inner_before[group] += (written * stood).sum((1, 2))
            self.before[group] += stood.sum(1)
        self.square += streams.transpose(1, 2) @ streams
        self.sketch += sketches.sum(1)
        self.sketch_square += sketches.transpose(1, 2) @ sketches
        side_by_side = sketches.transpose(0, 1).flatten(1)
        for depth, (stream, number) in enumerate(zip(streams, self.available, strict=True)):
            product = stream.T @ side_by_side[:, : number * sketches.shape[2]]
            self.cross[depth, :, :number] += product.view(len(product), number, -1)
        self.add_classes(streams, labels)

    def add_classes(self, streams: Float[Tensor, "depths rows dim"], labels: Int[Tensor, "messages rows"]) -> None:
        """Add the streams to the sums of the classes of each message."""
        classes, (depths, rows, dim) = self.counts.shape[1], streams.shape
        self.counts += torch.stack([torch.bincount(each, minlength=classes) for each in labels])
        side_by_side = streams.transpose(0, 1).reshape(rows, depths * dim)
        for message, label in enumerate(labels):
            # Of a write, the streams before it can tell only by chance.
            first = sum(number <= message for number in self.available) if message < self.write.shape[1] else 0
            # A matrix product of few classes is faster than adding row by row.
            one_hot = torch.nn.functional.one_hot(label, classes).to(streams.dtype)
            sums = one_hot.T @ side_by_side[:, first * dim :]
            self.class_sums[message, first:] += sums.view(classes, depths - first, dim).transpose(0, 1)

    def merge(self, other: "Moments") -> None:
        """Add the sums over other positions."""
        for each in fields(self)[1:]:
            getattr(self, each.name).add_(getattr(other, each.name))

    def total(self, name: str) -> Tensor:
        """The sum of a field over all groups."""
        return getattr(self, name).sum(0)

    def mean_stream(self, depth: int) -> Float[Tensor, "dim"]:
        """Mean of the stream at a depth."""
        return self.total("stream")[depth] / self.rows.sum()

    def covariance(self, depth: int) -> Float[Tensor, "dim dim"]:
        """Covariance of the stream at a depth."""
        mean = self.mean_stream(depth)
        return self.square[depth] / self.rows.sum() - torch.outer(mean, mean)

    def mean_sketch(self, write: int) -> Float[Tensor, "sketch"]:
        """Mean of a write's sketch."""
        return self.sketch[write] / self.rows.sum()

    def sketch_covariance(self, write: int) -> Float[Tensor, "sketch sketch"]:
        """Covariance of a write's sketch."""
        mean = self.mean_sketch(write)
        return self.sketch_square[write] / self.rows.sum() - torch.outer(mean, mean)

    def cross_covariance(self, depth: int, write: int) -> Float[Tensor, "dim sketch"]:
        """Covariance of the stream at a depth with a write's sketch."""
        return self.cross[depth, :, write] / self.rows.sum() - torch.outer(
            self.mean_stream(depth), self.mean_sketch(write)
        )

    def variances(self) -> tuple[Float[Tensor, "writes"], Float[Tensor, "depths"]]:
        """Total variance of each write, and of the stream at each depth."""
        rows = self.rows.sum()
        write = self.total("power") / rows - (self.total("write") / rows).square().sum(1)
        stream = self.square.diagonal(dim1=1, dim2=2).sum(1) / rows - (self.total("stream") / rows).square().sum(1)
        return write, stream

    def retained(self) -> Float[Tensor, "writes depths"]:
        r"""Coefficient of each write in the stream: :math:`\mathrm{Cov}(w, h_L - h_{before}) / \mathrm{Var}(w)`."""
        return self.retained_over(torch.ones(GROUPS, dtype=torch.float64))

    def retained_without_each_group(self) -> Float[Tensor, "replicates writes depths"]:
        """The coefficients without each group of documents in turn, those that have any."""
        there = torch.nonzero(self.rows).squeeze(1)
        return torch.stack([self.retained_over((torch.arange(GROUPS) != left_out).double()) for left_out in there])

    def retained_over(self, groups: Float[Tensor, "groups"]) -> Float[Tensor, "writes depths"]:
        """The coefficients over some groups of documents, one for each that counts and zero for the others."""
        names = ("write", "stream", "before", "inner", "inner_before", "power")
        rows = groups @ self.rows
        write, stream, before, inner, inner_before, power = (
            torch.tensordot(groups, getattr(self, name), 1) / rows for name in names
        )
        with_stream = inner - write @ stream.T
        with_before = inner_before - (write * before).sum(1)
        variance = power - write.square().sum(1)
        return (with_stream - with_before[:, None]) / variance[:, None]
