"""Numbers that numpy, pandas, scipy and torch hold, as one kind of array."""

__all__ = ["read_array"]

from typing import Any

import numpy as np
import torch

from infodil.checks import UserError, check_not_masked

NUMPY_FLOATS = (torch.float16, torch.float32, torch.float64)
"""Dtypes of torch that numpy has; others become single precision, which holds all of their values."""


def read_array(argument: str, values: Any) -> tuple[np.ndarray, float]:
    """Numbers of a caller as an array in native byte order, and the rounding unit that they came with.

    Args:
        argument: Name of the argument, for complaints.
        values: An array, a tensor, a table, a sparse matrix or a list.

    Returns:
        The array, in its own dtype where numpy computes with it; and the distance from 1 to the next number of the
        dtype that it came in, 0 for whole numbers.

    Raises:
        UserError: Masked or missing rows, or objects that are no numbers.

    Example:
        >>> read_array("x", np.array([1.5, 2.0], dtype=">f4"))
        (array([1.5, 2. ], dtype=float32), 1.1920928955078125e-07)
    """
    check_not_masked(argument, values)
    if isinstance(values, torch.Tensor):
        values = (values.detach().to_dense() if values.layout != torch.strided else values.detach()).cpu()
        eps = float(torch.finfo(values.dtype).eps) if values.is_floating_point() else 0.0
        if values.is_floating_point() and values.dtype not in NUMPY_FLOATS:
            values = values.float()
        return values.resolve_conj().resolve_neg().numpy(), eps
    array = np.asarray(values.toarray() if hasattr(values, "toarray") else values)
    if array.dtype.kind == "O":
        array = _from_objects(argument, array)
    if array.dtype.kind == "f":
        eps = float(np.finfo(array.dtype).eps)
        native = np.float64 if array.dtype.itemsize > 8 else array.dtype.newbyteorder("=")
        return np.require(array, dtype=native, requirements=["C", "W"]), eps
    if array.dtype.kind in "iu":
        return np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("=")), 0.0
    return array, 0.0


def _from_objects(argument: str, array: np.ndarray) -> np.ndarray:
    """Numbers that a table or a list holds as objects."""
    try:
        numbers = array.astype(np.float64)
    except (TypeError, ValueError):
        raise UserError(f"`{argument}` must hold numbers, got objects: convert it with .astype(float).") from None
    whole = all(isinstance(value, int | np.integer) for value in array.flat)
    return array.astype(np.int64) if whole else numbers
