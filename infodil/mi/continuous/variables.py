"""What a caller passed as one of two variables: labels or vectors, checked, without the columns that say nothing."""

__all__ = ["Variable", "read_pair"]

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.linalg import qr

from infodil.checks import UserError

FEWEST = 16
"""Samples. With fewer no estimator here says anything."""

TIED = 0.02
"""Share of rows that may repeat a value of a column before the column is said to have atoms; rounding makes a few."""


@dataclass(frozen=True, eq=False)
class Variable:
    """One of the two, ready for an estimator."""

    discrete: bool
    """Labels in place of vectors."""
    values: Int[ndarray, "samples"] | Float[ndarray, "samples dim"]
    """Labels, or vectors whose columns are neither constant nor linear combinations of the others."""
    tied: float = 0.0
    """The largest share, over columns, of rows that are not alone with their value."""

    @property
    def dim(self) -> int:
        """Columns; of labels, none."""
        return 0 if self.discrete else self.values.shape[1]

    @property
    def has_atoms(self) -> bool:
        """Whether some column takes single values with positive probability."""
        return not self.discrete and self.tied > TIED

    @property
    def is_constant(self) -> bool:
        """Whether it takes one value only."""
        return bool((self.values == self.values[0]).all()) if self.discrete else self.dim == 0


def read_pair(x: Any, y: Any) -> tuple[Variable, Variable]:
    """Both variables, of as many rows each.

    Raises:
        UserError: an argument that is neither labels nor vectors of finite numbers, lengths that differ; fewer than 16
            rows, unless both are labels.
    """
    first, second = _read("x", x), _read("y", y)
    if len(first.values) != len(second.values):
        raise UserError(
            f"`y` must have as many rows as `x`, {len(first.values)}, got {len(second.values)}: "
            "row i of both is one sample."
        )
    if len(first.values) < FEWEST and not (first.discrete and second.discrete):
        raise UserError(f"`x` must have at least {FEWEST} rows, got {len(first.values)}: pass more samples.")
    return first, second


def _read(argument: str, values: Any) -> Variable:
    array = values.detach().cpu() if isinstance(values, torch.Tensor) else values
    if isinstance(array, torch.Tensor):
        array = (array.float() if array.dtype == torch.bfloat16 else array).numpy()
    array = np.asarray(array)
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
    vectors = _independent_columns(array.astype(np.float64), float(np.finfo(array.dtype).eps))
    return Variable(False, vectors, max((_tied(column) for column in vectors.T), default=0.0))


def _independent_columns(array: Float[ndarray, "samples dim"], eps: float) -> Float[ndarray, "samples kept"]:
    """Without the columns that are linear combinations of the others: what they say is said already.

    Mutual information does not change, and no covariance is singular. `eps` is the rounding of the caller's numbers.
    """
    if len(array) < 2:
        return array[:, :0]
    centred = array - array.mean(axis=0)
    spread = centred.std(axis=0)
    moving = spread > 8.0 * eps * np.abs(array).max(axis=0, initial=0.0)
    standard = centred[:, moving] / spread[moving]
    if standard.shape[1] == 0:
        return array[:, :0]
    # The triangle of a pivoted QR of a triangle of the rows: columns in the order of what each adds to those before.
    triangle, order = qr(np.linalg.qr(standard, mode="r"), mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    kept = np.sort(order[: int((diagonal > 64.0 * eps * diagonal[0]).sum())])
    return array[:, np.flatnonzero(moving)[kept]]


def _tied(column: Float[ndarray, "samples"]) -> float:
    counts = np.unique(column, return_counts=True)[1]
    return float(counts[counts > 1].sum() / len(column))
