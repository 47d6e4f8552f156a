"""Labels as codes and groups as units: what every discrete measure asks of its input."""

__all__ = ["codes_of", "design_effect", "units_of"]

import numpy as np
from jaxtyping import Int64
from scipy.sparse import coo_array
from torch import Tensor

from infodil.checks import UserError
from infodil.statistics.resampling import MOST_UNITS, number_groups, number_labels

Labels = np.ndarray | Tensor | list | tuple
Codes = Int64[np.ndarray, "samples"]


def codes_of(argument: str, labels: Labels, samples: int | None = None) -> Codes:
    """Labels numbered from 0 in order of first appearance: what they are called leaves no trace.

    Raises:
        UserError: The labels are empty, not whole numbers in one row, or not as many as `samples`.

    Example:
        >>> codes_of("x", [7, -1, 7, 4])
        array([0, 1, 0, 2])
    """
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


def units_of(groups: Labels | None, samples: int) -> Codes | None:
    """The resampling unit of each sample: its group, or several groups together where there are very many.

    Raises:
        UserError: As `number_groups`; there are fewer than two.
    """
    if groups is None:
        return None
    codes = number_groups(groups, samples, 2)
    return codes if codes.max() < MOST_UNITS else codes % MOST_UNITS


def design_effect(codes: Codes, units: Codes | None) -> float:
    r"""How many samples of these groups are worth one independent sample; 1 where there are no groups.

    The variance of the frequencies over groups, against that of independent draws, averaged over categories with the
    weights of a chi-square statistic:

    .. math:: \frac{N}{K - 1} \cdot \frac{G}{G - 1} \sum_i \frac{1}{\hat p_i}
              \sum_g \Big(\frac{n_{ig} - n_g \hat p_i}{N}\Big)^2

    Reference:
        Rao & Scott (1981), Journal of the American Statistical Association 76, section 3.

    Example:
        >>> design_effect(np.array([0, 0, 1, 1]), np.array([0, 0, 1, 1]))  # each group says one thing, twice
        4.0
    """
    if units is None or codes.max() == 0:
        return 1.0
    samples, groups = len(codes), int(units.max()) + 1
    p = np.bincount(codes) / samples
    sizes = np.bincount(units)
    table = coo_array((np.ones(samples), (codes, units))).tocsr()
    table.sum_duplicates()
    # The sum over groups of (n_ig - n_g p_i)^2, without the dense table.
    spread = np.asarray((table**2).sum(axis=1)).ravel() - 2 * p * (table @ sizes) + p**2 * (sizes**2).sum()
    effect = (spread / p).sum() / samples / (len(p) - 1) * groups / (groups - 1)
    return max(1.0, float(effect))
