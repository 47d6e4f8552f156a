"""Sums over labelled rows: class counts and means of each target, and the second moments that all targets share."""

__all__ = ["ClassSums", "Moments"]

import copy
import functools
import warnings
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

with warnings.catch_warnings():
    # torch says once in a process that sparse tensors are young; said here, it reaches no user.
    warnings.simplefilter("ignore")
    torch.sparse_csr_tensor([0, 1], [0], [1.0], size=(1, 1), check_invariants=False)

FOLD_SHARE = 4
"""Second moments are kept as the rows themselves up to one row for so many numbers of a state: an eighth of the memory
of the matrix in float64, and few enough rows to be multiplied for each target."""


class Moments(NamedTuple):
    """First and second moments of the rows that have a label of one target, float64."""

    counts: Float[Tensor, "classes"]
    centre: Float[Tensor, "dim"]
    means: Float[Tensor, "classes dim"]
    """Class means less the centre; zero of a class without rows."""
    total: Float[Tensor, "dim dim"]
    """Covariance of all rows."""
    sphere: Float[Tensor, ""]
    """Mean variance of a number of a state."""


class OuterProducts:
    """The sum of the outer products of rows with themselves: the rows, until they are folded into the matrix."""

    def __init__(self) -> None:
        self.rows: list[Tensor] = []
        self.matrix: Tensor | None = None

    @property
    def held(self) -> int:
        """Number of rows that are not folded."""
        return sum(map(len, self.rows))

    def fold(self) -> None:
        """Add the rows to the matrix, float64, and forget them."""
        for rows in self.rows:
            if self.matrix is None:
                self.matrix = torch.zeros(rows.shape[1], rows.shape[1], dtype=torch.float64, device=rows.device)
            self.matrix += rows.T @ rows
        self.rows = []

    def add_to(self, total: Float[Tensor, "dim dim"]) -> None:
        """Add the sum to a matrix."""
        if self.matrix is not None:
            total += self.matrix
        if self.rows:
            rows = torch.cat(self.rows)
            total += rows.T @ rows

    def copy(self) -> "OuterProducts":
        """The sum as it is now; the matrix in float32, which is enough for what is not added to any more."""
        now = OuterProducts()
        now.rows = list(self.rows)
        now.matrix = None if self.matrix is None else self.matrix.float()
        return now


class ClassSums:
    """Additive sums over rows: class counts and means for each target, and second moments shared by all of them.

    A target at lag k leaves out the rows with fewer than k predecessors. Rows are therefore put into buckets by how
    many targets have a label for them, each row's outer product is added once, to its bucket, and the second moment
    of a target is a sum of buckets: exact for every lag at the price of one.

    Rows are kept themselves as long as they take less memory than sums and matrices would. Where they are fewer than
    the numbers of a state, no matrix of these is ever made: `reduced` gives the sums in coordinates of their span.

    Labels must be nested (a row with a label for one target has one for every earlier target), as lags in
    ascending order are.

    Args:
        dim: Numbers in a state.
        targets: Number of targets.
        classes: Number of classes.
        device: Device of the sums.
    """

    def __init__(self, dim: int, targets: int, classes: int, device: torch.device | str = "cpu") -> None:
        self.dim = self.numbers = dim
        self.rows = 0
        self.counts = torch.zeros(targets, classes, dtype=torch.float64, device=device)
        self.moments = [OuterProducts() for _ in range(targets + 1)]
        self.sums: Tensor | None = None
        self.labelled: list[tuple[Tensor, Tensor]] = []
        """Rows with their labels that are not in the sums yet."""

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Add rows; a label of -1 is no label."""
        self.rows += len(states)
        labelled = labels >= 0
        buckets = labelled.sum(0)
        sizes = torch.zeros(len(self.moments), dtype=torch.long, device=labels.device)
        # The one thing that the host waits for: how many rows a bucket gets decides the shapes of all that follows.
        sizes = sizes.index_add_(0, buckets, torch.ones_like(buckets)).tolist()
        for moment, rows in zip(self.moments, torch.argsort(buckets, stable=True).split(sizes), strict=True):
            if len(rows):
                moment.rows.append(states if len(rows) == len(states) else states[rows])
        self.counts.scatter_add_(1, labels.clamp(min=0), labelled.double())
        self.labelled.append((states, labels))
        self.fold()

    def fold(self) -> None:
        """Turn rows into sums and matrices where they take more memory."""
        if self.rows >= self.dim:
            for moment in self.moments:
                if moment.matrix is not None or moment.held > self.dim // FOLD_SHARE:
                    moment.fold()
        targets, classes = self.counts.shape
        held = sum(len(states) for states, _ in self.labelled)
        if held * (self.dim + 2 * targets) > targets * classes * self.dim:
            if self.sums is None:
                self.sums = torch.zeros(targets, classes, self.dim, dtype=torch.float32, device=self.counts.device)
            for states, labels in self.labelled:
                for target, label in enumerate(labels):
                    self.sums[target] += sum_classes(states, label, classes)
            self.labelled = []

    def merge(self, other: "ClassSums") -> None:
        """Add the sums of rows seen elsewhere."""
        self.rows += other.rows
        self.counts += other.counts
        for mine, theirs in zip(self.moments, other.moments, strict=True):
            mine.rows += theirs.rows
            if theirs.matrix is not None:
                mine.matrix = theirs.matrix.double() if mine.matrix is None else mine.matrix + theirs.matrix
        self.labelled += other.labelled
        if other.sums is not None:
            self.sums = other.sums.clone() if self.sums is None else self.sums + other.sums
        self.fold()

    def copy(self) -> "ClassSums":
        """The sums as they are now."""
        now = copy.copy(self)
        now.counts, now.labelled = self.counts.clone(), list(self.labelled)
        now.sums = None if self.sums is None else self.sums.clone()
        now.moments = [moment.copy() for moment in self.moments]
        return now

    @functools.cached_property
    def reduced(self) -> tuple["ClassSums", Float[Tensor, "dim rows"] | None]:
        """The sums in coordinates of the span of the rows, and its orthonormal basis, where they are fewer than dims.

        All that is learned from rows lies in their span, and matrices there have their number for a side. The sums
        themselves and None where the rows are no fewer; to be asked for when no more rows are added.
        """
        if not 0 < self.rows < self.dim:
            return self, None
        rows = torch.cat([part for moment in self.moments for part in moment.rows])
        basis = torch.linalg.qr(rows.T.double()).Q
        now = copy.copy(self)
        now.dim = basis.shape[1]
        now.moments = [OuterProducts() for _ in self.moments]
        for mine, theirs in zip(now.moments, self.moments, strict=True):
            mine.rows = [part.double() @ basis for part in theirs.rows]
        now.labelled = [(states.double() @ basis, labels) for states, labels in self.labelled]
        now.sums = None if self.sums is None else self.sums.double() @ basis
        now.fold()
        return now, basis.to(rows.dtype)

    def compute(self, target: int) -> Moments:
        """The moments of one target."""
        counts = self.counts[target]
        rows = counts.sum().clamp(min=1.0)
        sums = torch.zeros(len(counts), self.dim, dtype=torch.float64, device=counts.device)
        if self.sums is not None:
            sums += self.sums[target]
        for states, labels in self.labelled:
            sums += sum_classes(states, labels[target], len(counts))
        centre = sums.sum(0) / rows
        means = sums / counts.clamp(min=1.0)[:, None] - centre
        means[counts == 0] = 0.0
        total = torch.zeros(self.dim, self.dim, dtype=torch.float64, device=counts.device)
        for moment in self.moments[target + 1 :]:
            moment.add_to(total)
        total = total / rows - torch.outer(centre, centre)
        return Moments(counts, centre, means, total, total.trace() / self.numbers)


def sum_classes(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int
) -> Float[Tensor, "classes dim"]:
    """The sum of the rows of each class; a label of -1 is no label.

    A sparse product adds the rows of each class several times faster than index_add_, in a fixed order.
    """
    order = torch.argsort(labels, stable=True)
    # Rows without a label make a class of their own, the first: to leave them out, the host would have to know how many
    # they are.
    edges = torch.searchsorted(labels[order], torch.arange(-1, classes + 1, device=labels.device))
    member = torch.sparse_csr_tensor(
        edges,
        order,
        torch.ones(len(order), dtype=states.dtype, device=states.device),
        size=(classes + 1, len(labels)),
        check_invariants=False,
    )
    return (member @ states)[1:]
