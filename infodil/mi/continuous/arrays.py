"""Arrays that numpy, pandas and torch hold, as numbers that an estimator can read."""

__all__ = ["read_array"]

from typing import Any

import numpy as np
import torch

from infodil.checks import UserError


def read_array(argument: str, values: Any) -> tuple[np.ndarray, float]:
    """Numbers of a caller as whole numbers or doubles, and the rounding unit that they came with.

    Args:
        argument: Name of the argument, for complaints.
        values: An array, a tensor, a table or a list.

    Returns:
        The array, and the distance from 1 to the next number of its dtype.

    Raises:
        UserError: Masked rows, sparse or complex numbers, or objects that are no numbers.
    """
    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise UserError(f"`{argument}` has masked values: drop their rows from all arguments.")
    if isinstance(values, torch.Tensor):
        values = values.detach().to_dense() if values.layout != torch.strided else values.detach()
        values = values.cpu().resolve_conj().resolve_neg()
        if values.is_floating_point():
            eps = torch.finfo(values.dtype).eps
            return values.double().numpy(), float(eps)
        array = values.numpy()
    elif hasattr(values, "toarray"):  # a sparse matrix of scipy
        array = np.asarray(values.toarray())
    else:
        array = np.asarray(values)
    if array.dtype.kind == "O":
        try:
            array = np.asarray(array.tolist(), dtype=np.float64)
        except (TypeError, ValueError):
            raise UserError(f"`{argument}` must hold numbers, got objects: convert it with .astype(float).") from None
        if np.array_equal(array, np.trunc(array)) and all(isinstance(v, int) for v in np.ravel(values)):
            array = array.astype(np.int64)
    if array.dtype.kind == "f":
        with np.errstate(over="ignore"):
            return np.ascontiguousarray(array, dtype=np.float64), float(np.finfo(array.dtype).eps)
    return array, 0.0
