"""Variables of an estimator: labels or vectors, checked, with their atoms and ties known and columns that add nothing
left out."""

__all__ = ["Variable", "read_pair"]

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import qr

from infodil.checks import UserError
from infodil.mi.continuous.gaussian import normal_scores
from infodil.mi.continuous.ties import dither_columns, dithered_scores, few_valued, label_rows, tied_share, top_share
from infodil.statistics import read_array

FEWEST_ROWS = 16
"""With fewer rows no estimator here says anything."""

TIED_SHARE = 0.02
"""Share of rows that may repeat a value of a column before the column is said to have ties."""

ATOM_SHARE = 0.05
"""Share of rows with one value from which on the column is said to have an atom; rounding makes many small ones."""

RESIDUAL_ROUNDING = 1e-12
"""Residual of a standardised column below which it is the rounding of double precision."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One of two variables, ready for an estimator.

    Attributes:
        discrete: Whether the variable is labels, not vectors.
        values: Labels; or vectors whose columns are neither constant nor linear combinations of the others.
        codes: Label of each row where vectors take few values, each of them often; else None.
        atomic: Columns of vectors that take few values.
        tied: Largest share, over columns, of rows that share their value with another row.
        top: Largest share of rows, over columns, that have one and the same value.
        seed: Seed of the dither that breaks ties.
    """

    discrete: bool
    values: Int[ndarray, "rows"] | Float[ndarray, "rows dim"]
    codes: Int[ndarray, "rows"] | None = None
    atomic: tuple[int, ...] = ()
    tied: float = 0.0
    top: float = 0.0
    seed: int = 0
    _cache: dict[str, ndarray] = field(default_factory=dict, repr=False)

    @property
    def dim(self) -> int:
        """Number of columns of vectors; none for labels."""
        return 0 if self.discrete else self.values.shape[1]

    @property
    def has_ties(self) -> bool:
        """Whether some column repeats values."""
        return not self.discrete and self.tied > TIED_SHARE

    @property
    def has_atoms(self) -> bool:
        """Whether some column takes a single value with positive probability."""
        return not self.discrete and self.top > ATOM_SHARE

    @property
    def is_constant(self) -> bool:
        """Whether the variable takes one value only."""
        return bool((self.values == self.values[0]).all()) if self.discrete else self.dim == 0

    @property
    def scores(self) -> Float[ndarray, "rows dim"]:
        """Normal scores of each column, ties broken by dither: see `dithered_scores`."""
        if "scores" not in self._cache:
            self._cache["scores"] = dithered_scores(self.values, self.seed)
        return self._cache["scores"]

    @property
    def mid_scores(self) -> Float[ndarray, "rows dim"]:
        """Normal scores of each column, ties left as they are."""
        return normal_scores(self.values)

    @property
    def columns(self) -> Float[ndarray, "rows dim"]:
        """The columns as they are, ties broken by dither within the gaps between values."""
        if not self.has_ties:
            return self.values
        if "columns" not in self._cache:
            self._cache["columns"] = dither_columns(self.values, self.seed)
        return self._cache["columns"]

    def take(self, rows: Int[ndarray, "chosen"]) -> "Variable":
        """Some of the rows."""
        return Variable(True, self.values[rows]) if self.discrete else _vectors(self.values[rows], self.seed)

    def as_labels(self) -> "Variable":
        """The same variable as labels; only where it is discrete or has `codes`."""
        return self if self.discrete else Variable(True, self.codes)


def read_pair(x: Any, y: Any, seed: int = 0) -> tuple[Variable, Variable]:
    """Both variables, of as many rows each.

    Args:
        x: Labels or vectors.
        y: Labels or vectors, row by row with `x`.
        seed: Seed of the dither that breaks ties.

    Raises:
        UserError: An argument that is neither labels nor vectors of finite numbers; lengths that differ; fewer than 16
            rows, unless both are labels.
    """
    first, second = _read("x", x, seed), _read("y", y, seed + 1)
    if len(first.values) != len(second.values):
        raise UserError(
            f"`y` must have as many rows as `x`, {len(first.values)}, got {len(second.values)}: "
            "row i of both is one sample."
        )
    if len(first.values) < FEWEST_ROWS and not (first.discrete and second.discrete):
        raise UserError(f"`x` must have at least {FEWEST_ROWS} rows, got {len(first.values)}: pass more samples.")
    return first, second


def _read(argument: str, values: Any, seed: int) -> Variable:
    array, eps = read_array(argument, values)
    if array.dtype.kind in "iub" and (array.ndim == 1 or (array.ndim == 2 and array.shape[1] == 1)):
        return Variable(True, array.reshape(-1).astype(np.int64))
    if array.dtype.kind != "f" or array.ndim not in (1, 2) or (array.ndim == 2 and array.shape[1] == 0):
        raise UserError(
            f"`{argument}` must be whole numbers [samples] or floats [samples, dim], got {array.dtype} of shape "
            f"{array.shape}: number joint labels as one, or pass floats."
        )
    array = array[:, None] if array.ndim == 1 else array
    if not np.isfinite(array).all():
        raise UserError(
            f"`{argument}` must be finite, got {int((~np.isfinite(array)).sum())} values that are not: drop their rows."
        )
    return _vectors(_independent_columns(array.astype(np.float64), eps), seed)


def _vectors(vectors: Float[ndarray, "rows dim"], seed: int) -> Variable:
    return Variable(
        False,
        vectors,
        codes=label_rows(vectors) if vectors.shape[1] else None,
        atomic=few_valued(vectors),
        tied=max((tied_share(column) for column in vectors.T), default=0.0),
        top=max((top_share(column) for column in vectors.T), default=0.0),
        seed=seed,
    )


def _independent_columns(array: Float[ndarray, "rows dim"], eps: float) -> Float[ndarray, "rows kept"]:
    """Columns that add something at their own precision: neither constant nor linear combinations of the others.

    Mutual information does not change, and no covariance is singular.

    Args:
        array: Columns as the caller gave them.
        eps: Rounding unit of the caller's numbers.
    """
    if len(array) < 2:
        return array[:, :0]
    moving = np.flatnonzero((array != array[0]).any(axis=0))
    if not len(moving):
        return array[:, :0]
    # Scaled by powers of two, which rounds nothing: squares of the largest and the smallest doubles stay finite.
    largest = np.abs(array[:, moving]).max(axis=0)
    scaled = np.ldexp(array[:, moving], -np.frexp(largest)[1])
    centred = scaled - scaled.mean(axis=0)
    centred = np.ldexp(centred, -np.frexp(np.abs(centred).max(axis=0))[1])
    spread = centred.std(axis=0)
    rounding = eps * np.abs(scaled).max(axis=0) / np.maximum(scaled.std(axis=0), np.finfo(float).tiny)
    # The triangle of a pivoted QR of a triangle of the rows: columns in the order of what each adds to those before.
    triangle, order = qr(np.linalg.qr(centred / spread, mode="r"), mode="r", pivoting=True)
    adds = np.abs(np.diag(triangle)) / np.sqrt(len(array))
    # The column that leads has nothing to repeat, however coarse it is.
    enough = adds > np.maximum(rounding[order[: len(adds)]], RESIDUAL_ROUNDING)
    enough[0] = True
    kept = np.sort(order[: len(adds)][enough])
    return np.ldexp(array[:, moving[kept]], -np.frexp(largest[kept])[1])
