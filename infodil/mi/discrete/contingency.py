"""Counts of two discrete variables together: what every measure of their information is made from."""

__all__ = ["Joint", "count_pairs"]

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float64, Int64

from infodil.checks import UserError
from infodil.entropy import Labels, Method, codes_of, entropy_nats
from infodil.statistics import Clusters, make_clusters

Codes = Int64[np.ndarray, "samples"]


@dataclass(frozen=True, eq=False)
class Joint:
    """Codes of both variables and of the cell that each sample falls into, numbered in order of first appearance."""

    x: Codes
    y: Codes
    cell: Codes
    cell_x: Int64[np.ndarray, "cells"]
    """The code of x in each cell."""
    cell_y: Int64[np.ndarray, "cells"]
    clusters: Clusters
    """Samples that may depend on each other."""

    def __len__(self) -> int:
        """How many samples."""
        return len(self.cell)

    @property
    def turned(self) -> "Joint":
        """The same with x and y in each other's place."""
        return Joint(self.y, self.x, self.cell, self.cell_y, self.cell_x, self.clusters)

    @cached_property
    def counts(self) -> tuple[Int64[np.ndarray, "x"], Int64[np.ndarray, "y"], Int64[np.ndarray, "cells"]]:
        """Of x, of y and of cells."""
        return np.bincount(self.x), np.bincount(self.y), np.bincount(self.cell)

    @property
    def is_constant(self) -> bool:
        """Whether x or y never varies."""
        return min(len(self.counts[0]), len(self.counts[1])) == 1

    @cached_property
    def design_effects(self) -> tuple[float, float, float]:
        """Samples of these groups that are worth one, for x, for y and for cells."""
        return tuple(self.clusters.design_effect(codes) for codes in (self.x, self.y, self.cell))

    @cached_property
    def pointwise_nats(self) -> Float64[np.ndarray, "samples"]:
        """The term of each sample in the plug-in information."""
        x, y, cells = self.counts
        return np.log(cells * (len(self) / (x[self.cell_x] * y[self.cell_y])))[self.cell]

    @property
    def plugin_nats(self) -> float:
        """The information of the frequencies themselves."""
        return float(self.pointwise_nats.mean())

    def information_nats(self, method: Method) -> float:
        """H(X) + H(Y) - H(X, Y), all by one method.

        What the method adds to plug-in entropy is for independent samples: it is multiplied by the design effect. The
        alphabet of cells is the product of those seen of x and y.
        """
        sizes = len(self.counts[0]), len(self.counts[1])
        alphabets = (*sizes, sizes[0] * sizes[1])
        signs, total = (1, 1, -1), 0.0
        for sign, counts, alphabet, effect in zip(signs, self.counts, alphabets, self.design_effects, strict=True):
            plugin = float(entropy_nats(counts, "plug-in"))
            corrected = plugin if method == "plug-in" else float(entropy_nats(counts, method, alphabet=alphabet))
            total += sign * (plugin + effect * (corrected - plugin))
        return total


def count_pairs(x: Labels, y: Labels, groups: Labels | None) -> Joint:
    """Count pairs of labels.

    Without groups the rows are one series if labels of x, of y or of both together stay for some rows.

    Raises:
        UserError: x, y or groups are not whole numbers in one row, or not as many; or there are fewer than 2.
    """
    x = codes_of("x", x)
    y = codes_of("y", y, len(x))
    if len(x) < 2:
        raise UserError("`x` must have at least 2 samples, got 1: pass more.")
    cell = codes_of("x", x * (y.max() + 1) + y)
    _, first = np.unique(cell, return_index=True)
    clusters = make_clusters(len(x), groups, x, y, cell, fewest=2)
    return Joint(x, y, cell, x[first], y[first], clusters.coarsen())
