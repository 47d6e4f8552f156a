"""Folds of rows in memory: whole groups, stretches of one series, or single rows that are independent."""

__all__ = ["HeldOut", "hold_out"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.ladder.calibration import CALIBRATION_ROWS
from infodil.statistics import (
    Clusters,
    correlation_length,
    cut_cells,
    is_series,
    label_correlation_length,
    merge_cells,
)

FOLDS = 5
CALIBRATION_CLUSTERS = 16
CALIBRATION_SHARE = 0.2
"""Share of the rows not tested that is kept from training, at most."""

PILOT_ROWS = 2**14
"""Rows of a pilot, at most: costly probes fit a sample of about so many."""

FEWEST_PILOT_ROWS = 320
"""Training rows of a pilot without which it could not tell which probes add something."""

SMALL_PART = 0.1
"""Share of the rows below which those of a pilot are not tested: a second pilot for them would cost more than they
tell."""

STRETCHES = 160
"""A series is cut into so many stretches; a fold tests neighbouring ones."""

WIDEST_GAP = 40
"""No more rows than one in so many are left out on either side of a stretch that is held out."""

EXAMINED_ROWS, EXAMINED_COLUMNS = 2**16, 16
"""Rows and numbers of a state in which a series is looked for."""


@dataclass(frozen=True)
class HeldOut:
    """The clusters of rows that are held out together and resampled together."""

    cluster: Int[ndarray, "rows"]
    """The cluster of each row: a group, a stretch of the series, or a row; numbered in the order of holding out.

    A fold tests neighbouring clusters, and the ones that follow calibrate."""
    fold: Int[ndarray, "clusters"]
    gap: int
    """Rows of a series left out of training on either side of what is held out."""
    kind: str
    """`groups`, `series` or `rows`."""

    def folds(self) -> Iterator[tuple[ndarray, ndarray, ndarray]]:
        """Rows to train on, to calibrate on (cluster by cluster) and to test of each fold; no cluster is in two."""
        size = np.bincount(self.cluster)
        for fold in np.unique(self.fold):
            tested = np.flatnonzero(self.fold == fold)
            following = (np.arange(tested[-1] + 1, tested[-1] + 1 + len(size) - len(tested))) % len(size)
            seen = np.cumsum(size[following])
            enough = np.flatnonzero((seen >= CALIBRATION_ROWS) & (np.arange(len(seen)) + 1 >= CALIBRATION_CLUSTERS))
            most = np.searchsorted(seen, CALIBRATION_SHARE * seen[-1], side="right")
            number = max(1, min(most, enough[0] + 1 if len(enough) else most))
            role = np.zeros(len(size), dtype=int)
            role[tested], role[following[:number]] = 2, 1
            role = role[self.cluster]
            for held in (1, 2) if self.gap else ():
                role[self.near(role == held) & (role < held)] = -1
            train, calibration, test = (np.flatnonzero(role == each) for each in (0, 1, 2))
            yield train, self.chosen_on(calibration), test

    def near(self, rows: Bool[ndarray, "rows"]) -> Bool[ndarray, "rows"]:
        """Rows no further than the gap from some rows, these included.

        Args:
            rows: Mask of the rows.
        """
        before = np.cumsum(np.pad(rows, (self.gap + 1, self.gap)))
        return before[2 * self.gap + 1 :] > before[: len(rows)]

    def pilots(self) -> list[tuple[Int[ndarray, "train"], Int[ndarray, "calibration"]]]:
        """Rows to train on and to choose on, of the first fold and of the second, for trying costly probes.

        Of very many rows there is one pilot, and its rows need not be tested; of few there is none.
        """
        found = []
        for fold in np.unique(self.fold)[:2]:
            inside = self.fold[self.cluster] == fold
            inside &= ~self.near(~inside)
            own = np.flatnonzero(self.fold == fold)
            seen = np.cumsum(np.bincount(self.cluster[inside], minlength=len(self.fold))[own])
            number = min(len(own), max(CALIBRATION_CLUSTERS, int(np.searchsorted(seen, PILOT_ROWS, side="right"))))
            kept = seen[:number] <= (1.0 - CALIBRATION_SHARE) * seen[number - 1]
            calibration = inside & np.isin(self.cluster, own[:number][~kept])
            train = inside & np.isin(self.cluster, own[:number][kept]) & ~self.near(calibration)
            if train.sum() < FEWEST_PILOT_ROWS:
                return []
            found.append((thin(np.flatnonzero(train), PILOT_ROWS), self.chosen_on(np.flatnonzero(calibration))))
        return found[:1] if PILOT_ROWS < SMALL_PART * len(self.cluster) else found

    def chosen_on(self, rows: Int[ndarray, "rows"]) -> Int[ndarray, "calibration"]:
        """At most 4,096 of some rows, cluster by cluster."""
        return thin(rows[np.argsort(self.cluster[rows], kind="stable")], CALIBRATION_ROWS)

    def select(self, rows: Int[ndarray, "kept"]) -> "HeldOut":
        """Some of the rows, in the same clusters and folds.

        Args:
            rows: Numbers of the rows, ascending.
        """
        kept, cluster = np.unique(self.cluster[rows], return_inverse=True)
        return HeldOut(cluster, self.fold[kept], self.gap, self.kind)

    def across(self, copies: Int[ndarray, "rows"]) -> int:
        """Number of tested rows that have a copy among the rows that they are predicted from.

        Args:
            copies: Rows of one number are copies of each other.
        """
        return sum(
            int(np.isin(copies[test], copies[np.concatenate([train, calibration])]).sum())
            for train, calibration, test in self.folds()
        )

    def clusters(self, *terms: Float[ndarray, "rows"]) -> Clusters:
        """The clusters that an interval of the mean of some terms rests on.

        Args:
            terms: Terms of each row, which say how long the blocks of one series must be.

        Returns:
            Groups, or single rows, or blocks of about ten correlation times of the terms.
        """
        if self.kind != "series":
            return Clusters(self.cluster, dependent=self.kind == "groups")
        first = cut_cells(len(self.cluster))
        cell = np.searchsorted(first, np.arange(len(self.cluster)), side="right") - 1
        columns = np.stack([np.bincount(cell, each) / np.bincount(cell) for each in terms], 1)
        return Clusters(merge_cells(len(first), correlation_length(columns))[cell], dependent=True)


def thin(rows: Int[ndarray, "rows"], most: int) -> Int[ndarray, "some"]:
    """At most so many of some rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), most)).round().astype(int)]


def hold_out(
    labels: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    groups: Int[ndarray, "rows"] | None,
    seed: int,
) -> HeldOut:
    """Folds of whole groups in random order; without groups, of stretches of one series, or of single rows.

    Neighbouring rows of a series are alike: with one in training and the other in the test, a probe could remember the
    neighbour. Rows are held out one by one only where neighbours do not correlate.

    Args:
        labels: Type of each row.
        states: State of each row.
        groups: Number of the group of each row, or None.
        seed: Seed of the random order.

    Returns:
        The cluster of each row and the fold of each cluster.
    """
    generator = np.random.default_rng([seed, 0xF01D])
    rows = len(labels)
    if groups is not None:
        number = int(groups.max()) + 1
        cluster, kind, gap = generator.permutation(number)[groups], "groups", 0
    elif (length := dependence(labels, states)) is not None:
        cluster, kind = np.arange(rows) * min(rows, STRETCHES) // rows, "series"
        gap = min(int(np.ceil(10.0 * length)), rows // WIDEST_GAP)
    else:
        cluster, kind, gap = generator.permutation(rows), "rows", 0
    size = np.bincount(cluster)
    middle = np.cumsum(size) - 0.5 * size
    return HeldOut(cluster, (FOLDS * middle / rows).astype(int), gap, kind)


def dependence(labels: Int[ndarray, "rows"], states: Float[Tensor, "rows dim"]) -> float | None:
    """The correlation time of the rows as one series, in rows; None where neighbours are not alike.

    Seen in the first numbers of the states and in the labels, over the first rows.
    """
    labels, columns = labels[:EXAMINED_ROWS], states[:EXAMINED_ROWS, :EXAMINED_COLUMNS].double().numpy()
    if not (is_series(labels) or is_series(columns)):
        return None
    return max(label_correlation_length(labels), correlation_length(columns))
