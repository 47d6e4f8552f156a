"""Which rows belong together: folds and intervals by groups, or by blocks of a series that moves slowly."""

__all__ = ["Clusters", "make_clusters"]

import math
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.special import stdtrit

from infodil.statistics.resampling import correlation_length, merge_cells, number_groups

FEWEST_GROUPS = 4
"""An interval from fewer would be wider than anything it could say."""

SLOW = 0.75
"""Rows with a correlation time above this are a series; white noise reads one half."""

MOST_ROWS = 65_536
"""Rows of a series whose correlation time is measured: more would not change the length of a block."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The resampling unit of each row."""

    unit: Int[ndarray, "samples"]
    """Numbers from 0; a unit is one group, or one block of neighbouring rows, or one row."""
    dependent: bool
    """Whether rows of one unit may depend on each other, so that they must be held out together."""

    @property
    def units(self) -> int:
        """How many there are."""
        return int(self.unit.max()) + 1

    def folds(self, number: int, seed: int) -> Int[ndarray, "samples"]:
        """The fold of each row, whole units together, folds of about equal size.

        Example:
            >>> Rows(np.array([0, 0, 1, 1]), True).folds(2, seed=0).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
            True
        """
        order = np.random.default_rng([seed, 0xF01D]).permutation(self.units)
        sizes = np.bincount(self.unit, minlength=self.units)[order]
        # A unit goes where its middle falls: no fold is empty unless one unit is larger than a fold.
        middle = np.cumsum(sizes) - sizes / 2.0
        fold = np.empty(self.units, dtype=np.int64)
        fold[order] = np.minimum((middle * number / sizes.sum()).astype(np.int64), number - 1)
        return fold[self.unit]

    def subsample(self, most: int, seed: int) -> Int[ndarray, "kept"]:
        """Rows of units drawn at random, in their order, at most `most`; all rows if they are no more."""
        if len(self.unit) <= most:
            return np.arange(len(self.unit))
        order = np.random.default_rng([seed, 0x7417]).permutation(self.units)
        sizes = np.cumsum(np.bincount(self.unit)[order])
        kept = np.zeros(self.units, dtype=bool)
        kept[order[: max(FEWEST_GROUPS, int(np.searchsorted(sizes, most, side="right")))]] = True
        return np.flatnonzero(kept[self.unit])

    def select(self, chosen: Bool[ndarray, "samples"] | Int[ndarray, "chosen"]) -> "Clusters":
        """The units of some of the rows."""
        return Clusters(np.unique(self.unit[chosen], return_inverse=True)[1], self.dependent)

    def sums(self, terms: Float[ndarray, "samples *shape"]) -> Float[ndarray, "units *shape"]:
        """Of the terms of each unit."""
        total = np.zeros((self.units, *terms.shape[1:]))
        np.add.at(total, self.unit, terms)
        return total

    def standard_error(self, terms: Float[ndarray, "samples"]) -> float:
        """Of the mean of `terms`, units drawn independently (Cochran 1977, Sampling Techniques, section 6.4).

        Example:
            >>> rows = Rows(np.arange(4), False)
            >>> round(rows.standard_error(np.array([1.0, 2.0, 3.0, 4.0])), 4)  # sqrt(5 / 3 / 4)
            0.6455
        """
        spread = self.sums(terms - terms.mean())
        return float(math.sqrt(self.units / (self.units - 1.0) * (spread**2).sum()) / len(terms))

    def reach(self, standard_error: float, confidence: float) -> float:
        """Half the width of the interval: Student's t with one degree of freedom fewer than units."""
        return float(stdtrit(self.units - 1, 0.5 + confidence / 2.0)) * standard_error


def make_clusters(samples: int, groups: object | None, *series: Float[ndarray, "samples _"]) -> Clusters:
    """The units of rows with `groups`, or else of rows in the order of `series`.

    Without groups the rows are independent if no column of some series remembers more than its last row: what moves
    slowly beside something that does not adds nothing to a mean of products. Else they come in blocks of ten
    correlation times, the most slowly varying column deciding.

    Raises:
        UserError: `groups` is not one label a row, or names fewer than four groups.
    """
    if groups is not None:
        unit = number_groups(groups, samples, FEWEST_GROUPS)
        return Clusters(unit, dependent=int(unit.max()) + 1 < samples)
    correlation = max(correlation_length(part[:MOST_ROWS]) for part in series)
    if correlation < SLOW:
        return Clusters(np.arange(samples), dependent=False)
    return Clusters(merge_cells(samples, correlation), dependent=True)
