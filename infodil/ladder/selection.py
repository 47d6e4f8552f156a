"""The selection rule: which fitted probe predicts each target, chosen on the calibration rows alone."""

__all__ = ["adds", "best_of", "is_significant", "read_by_all", "select"]

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.ladder.fit import FittedProbe
from infodil.probes import LEAST_GAIN_NATS
from infodil.statistics import Clusters, correlation_length, merge_cells

LARGE_NATS = 1e6
"""Size given to a gain that is not finite."""


def select(fitted: Mapping[str, FittedProbe]) -> dict[str, list[str]]:
    """For each probe and target, the probe whose prediction is used: itself or a weaker one.

    A stronger family contains the weaker ones: where a weaker probe predicts the calibration rows better, the fit of
    the stronger one has failed, and the best known member of its family is the weaker one. Where the gain over the
    prior is no larger than chance explains (`uses_state`), the prior predicts.

    Args:
        fitted: Fitted probes of one site by name, weakest first, the prior among them.
    """
    rows = read_by_all(fitted)
    gains = {name: used_gain(probe, rows) for name, probe in fitted.items()}
    selected: dict[str, list[str]] = {}
    best: list[str] = []
    for name, gain in gains.items():
        best = [
            weaker if gains[weaker][target] > gain[target] else name
            for target, weaker in enumerate(best or [name] * len(gain))
        ]
        selected[name] = best
    return selected


def read_by_all(fitted: Mapping[str, FittedProbe]) -> Bool[Tensor, "rows"]:
    """The calibration rows that every probe of a site has read: probes are compared on the same rows."""
    return torch.stack([probe.read for probe in fitted.values()]).all(0)


def used_gain(fitted: FittedProbe, rows: Bool[Tensor, "rows"]) -> list[float]:
    """Total gain of each target over some rows, nats; minus infinity where the gain may be chance."""
    totals = fitted.gain_on(rows).tolist()
    return [total if uses_state(fitted, target) else -np.inf for target, total in enumerate(totals)]


def uses_state(fitted: FittedProbe, target: int) -> bool:
    """Whether a probe has enough evidence at a target; one that predicts as the prior does needs none.

    What smoothing takes, a nat from all rows together, is no lack of evidence.
    """
    gain = fitted.gain[target, fitted.read].numpy()
    gain = gain[gain != 0.0]
    return len(gain) == 0 or is_significant(gain + fitted.smoothing_nats(target))


def is_significant(gain: Float[ndarray, "rows"]) -> bool:
    r"""Whether the gain over what is known without a state is larger than dependent calibration rows explain.

    .. math:: \sum_i g_i > 2 \tau \, G

    with the gain g of each row in the order of the text, the correlation time :math:`\tau` of the gain in rows (one
    half for independent rows), and G the least gain that a temperature other than zero needs on independent rows
    (`LEAST_GAIN_NATS`): :math:`2 \tau` neighbouring rows count as one.
    """
    if not np.isfinite(gain).all():
        return False
    return bool(gain.sum() > 2.0 * correlation_length(gain[:, None]) * LEAST_GAIN_NATS)


def best_of(gains: Sequence[Float[ndarray, "rows"]]) -> int | None:
    """The candidate of greatest total gain over the base on calibration rows; None where none is significant.

    Args:
        gains: Gain of each candidate on each row (or document), in the order of the text, nats.

    Returns:
        The number of the candidate, the first of equal ones.
    """
    totals = [gain.sum() if is_significant(gain) else -np.inf for gain in gains]
    best = int(np.argmax(totals))
    return best if np.isfinite(totals[best]) else None


def adds(
    weaker: Sequence[FittedProbe],
    fitted: FittedProbe,
    cluster: Int[ndarray, "rows"],
    documents: bool,
    confidence: float,
) -> bool:
    """Whether a probe predicts better than the best weaker one: the sum over lags, beyond its interval.

    Where a probe is worse than a weaker one, the weaker one is used. Lags chosen for their gain show some gain even if
    there is none, so lags are chosen on one half of the clusters for the other half (cross-fitting).
    """
    totals = torch.stack([probe.gain_on(probe.read) for probe in weaker])
    best = totals.argmax(0).tolist()
    old = torch.stack([weaker[place].gain[target] for target, place in enumerate(best)])
    gain = (fitted.gain - old)[1:].nan_to_num(-LARGE_NATS, LARGE_NATS, -LARGE_NATS).numpy()
    cluster = np.unique(cluster, return_inverse=True)[1]
    low = cross_selected_low(gain, cluster if documents else blocks_of(gain, cluster), confidence)
    return low > 0.0


def blocks_of(gain: Float[ndarray, "lags rows"], cell: Int[ndarray, "rows"]) -> Int[ndarray, "rows"]:
    """Cells of a long text merged into blocks of about ten correlation times of the gain."""
    number = int(cell.max()) + 1
    series = np.stack([np.bincount(cell, each, minlength=number) for each in gain], 1)
    series /= np.bincount(cell, minlength=number)[:, None]
    return merge_cells(number, correlation_length(series))[cell]


def cross_selected_low(gain: Float[ndarray, "lags rows"], cluster: Int[ndarray, "rows"], confidence: float) -> float:
    """Low end of the mean gain of a row over the lags that gain on the half of the clusters that the row is not in."""
    half = cluster % 2
    if cluster.max() < 3:
        return -np.inf
    kept = np.stack([gain[:, half != side].sum(1) > 0.0 for side in (0, 1)])
    total = np.where(kept[half].T, gain, 0.0).sum(0)
    return float(total.mean()) - Clusters(cluster, dependent=True).half_width(total, confidence)
