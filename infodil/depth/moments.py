"""Streaming second moments of streams, writes and messages: additive, so that parts of a corpus merge by a sum."""

__all__ = ["Moments"]

from dataclasses import dataclass, fields

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.depth.writes import BlockWrites


@dataclass
class Moments:
    """Sums over positions; all float64."""

    rows: Float[Tensor, ""]
    stream: Float[Tensor, "depths dim"]
    """Sum of the stream at each depth."""
    square: Float[Tensor, "depths dim dim"]
    """Sum of outer products of the stream with itself."""
    write: Float[Tensor, "writes dim"]
    """Sum of each write."""
    power: Float[Tensor, "writes"]
    """Sum of each write's squared length."""
    inner: Float[Tensor, "writes depths"]
    """Sum of inner products of each write with the stream at each depth."""
    inner_before: Float[Tensor, "writes"]
    """Sum of inner products of each write with the stream to which it was added."""
    before: Float[Tensor, "writes dim"]
    """Sum of the stream to which each write was added."""
    sketch: Float[Tensor, "writes sketch"]
    """Sum of each write's sketch."""
    sketch_square: Float[Tensor, "writes sketch sketch"]
    """Sum of outer products of each sketch with itself."""
    cross: Float[Tensor, "depths dim writes sketch"]
    """Sum of outer products of the stream with each write's sketch."""
    counts: Float[Tensor, "messages classes"]
    """Number of positions of each class of each discrete message."""
    class_sums: Float[Tensor, "depths messages classes dim"]
    """Sum of the stream at each depth over the positions of each class of each message."""

    @classmethod
    def empty(cls, depths: int, writes: int, dim: int, sketch: int, messages: int, classes: int) -> "Moments":
        """Sums over no positions.

        Args:
            depths: Number of streams.
            writes: Number of writes.
            dim: Numbers of a stream.
            sketch: Numbers of a write's sketch.
            messages: Number of discrete messages.
            classes: Largest number of classes of a message.
        """
        shapes = {
            "rows": (), "stream": (depths, dim), "square": (depths, dim, dim), "write": (writes, dim),
            "power": (writes,), "inner": (writes, depths), "inner_before": (writes,), "before": (writes, dim),
            "sketch": (writes, sketch), "sketch_square": (writes, sketch, sketch),
            "cross": (depths, dim, writes, sketch), "counts": (messages, classes),
            "class_sums": (depths, messages, classes, dim),
        }  # fmt: skip
        return cls(**{name: torch.zeros(shape, dtype=torch.float64) for name, shape in shapes.items()})

    def update(
        self, states: BlockWrites, sketches: Float[Tensor, "writes rows sketch"], labels: Int[Tensor, "messages rows"]
    ) -> None:
        """Add some positions.

        Args:
            states: Streams and writes there.
            sketches: The sketch of each write.
            labels: The class of each discrete message.
        """
        streams, writes = states.streams, states.writes
        depths, rows, dim = streams.shape
        self.rows += rows
        self.stream += streams.sum(1).double()
        self.square += (streams.transpose(1, 2) @ streams).double()
        self.write += writes.sum(1).double()
        self.power += writes.square().sum((1, 2)).double()
        self.inner += (writes.flatten(1) @ streams.flatten(1).T).double()
        self.inner_before += (writes * states.before).sum((1, 2)).double()
        self.before += states.before.sum(1).double()
        self.sketch += sketches.sum(1).double()
        self.sketch_square += (sketches.transpose(1, 2) @ sketches).double()
        side_by_side = sketches.transpose(0, 1).flatten(1)
        self.cross += (streams.transpose(1, 2) @ side_by_side).double().view_as(self.cross)
        classes = self.counts.shape[1]
        self.counts += torch.stack([torch.bincount(each, minlength=classes) for each in labels]).double()
        for message, label in enumerate(labels):
            sums = streams.new_zeros(depths, classes, dim)
            self.class_sums[:, message] += sums.index_add_(1, label, streams).double()

    def merge(self, other: "Moments") -> None:
        """Add the sums over other positions."""
        for each in fields(self):
            getattr(self, each.name).add_(getattr(other, each.name))

    def covariance(self, depth: int) -> Float[Tensor, "dim dim"]:
        """Covariance of the stream at a depth."""
        mean = self.stream[depth] / self.rows
        return self.square[depth] / self.rows - torch.outer(mean, mean)

    def sketch_covariance(self, write: int) -> Float[Tensor, "sketch sketch"]:
        """Covariance of a write's sketch."""
        mean = self.sketch[write] / self.rows
        return self.sketch_square[write] / self.rows - torch.outer(mean, mean)

    def cross_covariance(self, depth: int, write: int) -> Float[Tensor, "dim sketch"]:
        """Covariance of the stream at a depth with a write's sketch."""
        mean = self.stream[depth] / self.rows
        return self.cross[depth, :, write] / self.rows - torch.outer(mean, self.sketch[write] / self.rows)

    def variances(self) -> tuple[Float[Tensor, "writes"], Float[Tensor, "depths"]]:
        """Total variance of each write, and of the stream at each depth."""
        write = self.power / self.rows - (self.write / self.rows).square().sum(1)
        stream = self.square.diagonal(dim1=1, dim2=2).sum(1) / self.rows - (self.stream / self.rows).square().sum(1)
        return write, stream

    def retained(self) -> Float[Tensor, "writes depths"]:
        r"""Coefficient of each write in the stream: :math:`\mathrm{Cov}(w, h_L - h_{before}) / \mathrm{Var}(w)`."""
        mean = self.write / self.rows
        with_stream = self.inner / self.rows - mean @ (self.stream / self.rows).T
        with_before = self.inner_before / self.rows - (mean * self.before / self.rows).sum(1)
        return (with_stream - with_before[:, None]) / self.variances()[0][:, None]
