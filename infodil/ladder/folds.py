"""Which rows are held out from which: whole groups, stretches of one series, or single rows that are independent."""

__all__ = ["HeldOut", "hold_out"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.statistics import MOST_CLUSTERS, correlation_length, cut_cells

FOLDS = 5
CALIBRATION_ROWS = 8192
"""Rows on which choices of one or two parameters are made: more add nothing."""

CALIBRATION_UNITS = 16
CALIBRATION_SHARE = 0.2
"""Of what is not tested, at most so much is kept from training."""

STRETCHES = 160
"""A series is cut into so many stretches; a fold tests neighbouring ones."""

WIDEST_GAP = 40
"""No more rows than one in so many are left out on either side of a stretch that is held out."""

EXAMINED_ROWS = 2**16
EXAMINED_COLUMNS = 32
NEAR = 16
SURE = 5.0
"""Rows are one series where neighbours correlate by more than so many standard errors of independent rows, at one of
`NEAR` distances, in one of `EXAMINED_COLUMNS` columns: by chance once in some thousand data sets."""


@dataclass(frozen=True)
class HeldOut:
    """What is held out together and resampled together."""

    unit: Int[ndarray, "rows"]
    """Which unit each row belongs to: a group, a stretch of the series, or a row; numbered in the order of holding out.

    A fold tests neighbouring units, and the ones that follow calibrate."""
    fold: Int[ndarray, "units"]
    gap: int
    """Rows of a series left out of training on either side of what is held out."""
    kind: str
    """`groups`, `series` or `rows`."""

    def parts(self) -> Iterator[tuple[ndarray, ndarray, ndarray]]:
        """Rows to train on, to calibrate on (unit by unit) and to test, fold by fold; no unit is in two of them."""
        size = np.bincount(self.unit)
        for fold in np.unique(self.fold):
            tested = np.flatnonzero(self.fold == fold)
            following = (np.arange(tested[-1] + 1, tested[-1] + 1 + len(size) - len(tested))) % len(size)
            seen = np.cumsum(size[following])
            enough = np.flatnonzero((seen >= CALIBRATION_ROWS) & (np.arange(len(seen)) + 1 >= CALIBRATION_UNITS))
            most = np.searchsorted(seen, CALIBRATION_SHARE * seen[-1], side="right")
            number = max(1, min(most, enough[0] + 1 if len(enough) else most))
            role = np.zeros(len(size), dtype=int)
            role[tested], role[following[:number]] = 2, 1
            role = role[self.unit]
            for held in (1, 2) if self.gap else ():
                near = np.convolve(role == held, np.ones(2 * self.gap + 1), mode="same") > 0.5
                role[near & (role < held)] = -1
            train, calibration, test = (np.flatnonzero(role == each) for each in (0, 1, 2))
            calibration = calibration[np.argsort(self.unit[calibration], kind="stable")]
            few = np.linspace(0, len(calibration) - 1, min(len(calibration), CALIBRATION_ROWS)).round().astype(int)
            yield train, calibration[few], test

    def resampled(self) -> Int[ndarray, "rows"]:
        """The unit that an interval draws each row with: at most 1,024 of them, but cells where there is one series."""
        if self.kind == "series":
            return np.searchsorted(cut_cells(len(self.unit)), np.arange(len(self.unit)), side="right") - 1
        number = int(self.unit.max()) + 1
        return self.unit * min(number, MOST_CLUSTERS) // number


def hold_out(
    labels: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    groups: Int[ndarray, "rows"] | None,
    seed: int,
) -> HeldOut:
    """Hold out whole groups in random order; without groups, stretches of one series, or single rows.

    Neighbouring rows of a series are alike: were one trained on and the other tested, a reader could answer from
    memory, and what it says would be about the neighbour. Rows are held out alone only where neighbours do not
    correlate.
    """
    generator = np.random.default_rng([seed, 0xF01D])
    rows = len(labels)
    if groups is not None:
        number = int(groups.max()) + 1
        unit, kind, gap = generator.permutation(number)[groups], "groups", 0
    elif (length := dependence(labels, states)) is not None:
        unit, kind = np.arange(rows) * min(rows, STRETCHES) // rows, "series"
        gap = min(int(np.ceil(10.0 * length)), rows // WIDEST_GAP)
    else:
        unit, kind, gap = generator.permutation(rows), "rows", 0
    size = np.bincount(unit)
    middle = np.cumsum(size) - 0.5 * size
    return HeldOut(unit, (FOLDS * middle / rows).astype(int), gap, kind)


def dependence(labels: Int[ndarray, "rows"], states: Float[Tensor, "rows dim"]) -> float | None:
    """The correlation time of the rows as one series, in rows; None where neighbours are not correlated.

    Seen in the first numbers of the states and in the commonest labels, over the first rows.
    """
    labels = labels[:EXAMINED_ROWS]
    common = np.argsort(-np.bincount(labels), kind="stable")[: EXAMINED_COLUMNS // 2]
    columns = np.concatenate(
        [states[:EXAMINED_ROWS, : EXAMINED_COLUMNS // 2].double().numpy(), labels[:, None] == common], axis=1
    )
    columns = columns - columns.mean(0)
    columns = columns[:, columns.any(0)]
    spread = np.square(columns).sum(0)
    largest = max(
        float(np.max(np.abs((columns[near:] * columns[:-near]).sum(0)) / spread, initial=0.0))
        for near in range(1, min(NEAR, len(columns) - 1) + 1)
    )
    return correlation_length(columns) if largest * np.sqrt(len(columns)) > SURE else None
