"""Labels as codes: what every discrete measure asks of its input."""

__all__ = ["Labels", "codes_of"]

import numpy as np
from jaxtyping import Int64
from torch import Tensor

from infodil.checks import UserError, check_not_masked
from infodil.statistics import number_labels

Labels = np.ndarray | Tensor | list | tuple
Codes = Int64[np.ndarray, "samples"]


def codes_of(argument: str, labels: Labels, samples: int | None = None) -> Codes:
    """Labels numbered from 0 in order of first appearance, so that no result depends on what they are called.

    Args:
        argument: Name of the argument, for the message of an error.
        labels: Whole numbers, one a sample.
        samples: Number of labels that there must be; any number by default.

    Returns:
        The number of the label of each sample.

    Raises:
        UserError: The labels are empty, not whole numbers in one row, or not as many as `samples`.

    Example:
        >>> codes_of("x", [7, -1, 7, 4])
        array([0, 1, 0, 2])
    """
    check_not_masked(argument, labels)
    given = labels.detach().cpu().numpy() if isinstance(labels, Tensor) else np.asarray(labels)
    if given.ndim != 1:
        raise UserError(f"`{argument}` must have one axis, got shape {given.shape}: pass one label a sample.")
    if not len(given):
        raise UserError(f"`{argument}` must not be empty: pass at least one label.")
    if given.dtype == bool:
        given = given.astype(np.int64)
    if given.dtype.kind not in "iu":
        raise UserError(f"`{argument}` must be integers, got {given.dtype}: number the labels, as with numpy.unique.")
    if samples is not None and len(given) != samples:
        raise UserError(f"`{argument}` must have {samples} labels, got {len(given)}: pass one a sample.")
    return number_labels(given)
