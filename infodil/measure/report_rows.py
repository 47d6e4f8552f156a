"""The rows and the summary of a report."""

__all__ = ["control_entry", "half_life", "make_rows", "summarise_sites"]

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from infodil.ladder import FittedLadder, control_of
from infodil.measure.controls import learning_of
from infodil.measure.intervals import ReportEstimates

HALF_LIVES = 500
"""Draws of a half-life: the ends of its interval at 95% have a dozen beyond them."""


def make_rows(
    estimates: ReportEstimates, ladder: FittedLadder, lags: Sequence[int], train_samples: Sequence[int]
) -> list[dict]:
    """One row for each site, probe and lag.

    Args:
        estimates: Figures of each entry of the ladder, then of each control.
        ladder: Fitted probes.
        lags: Lag of each target but the first, which is the control of shuffled documents.
        train_samples: Training rows with a label, for each target.
    """
    best = {site: ladder.best(site) for site in ladder.fitted}
    rows = []
    for entry, (site, probe) in enumerate(ladder.entries()):
        control = control_entry(ladder, site)
        for target, lag in enumerate(lags, start=1):
            columns = {
                "train_samples": int(train_samples[target]),
                "selected_probe": ladder.selected[site][probe][target],
                "chosen": best[site][target] == probe,
            }
            rows.append(
                {"site": site, "lag": int(lag), "probe": probe, "kind": "lower bound"}
                | estimate_columns(estimates, entry, target)
                | control_columns(estimates, entry, target, control)
                | columns
                | learning_of(ladder.fitted[site][probe], target)
            )
    return rows


def control_entry(ladder: FittedLadder, site: str) -> int | None:
    """Place of the site with random weights among the figures; None where it was not measured."""
    controls = list(ladder.control)
    return len(ladder.entries()) + controls.index(control_of(site)) if control_of(site) in controls else None


def estimate_columns(estimates: ReportEstimates, entry: int, target: int) -> dict[str, float | int]:
    """Value, interval, hit rates, ceiling and bits beyond context of one row."""
    place = entry, target
    smoothing = estimates.smoothing[place]
    return {
        "value_bits": estimates.certified.value[place],
        "low_bits": estimates.certified.low[place],
        "high_bits": estimates.usable.high[place] + smoothing,
        "top1": estimates.top1[place],
        "top5": estimates.top5[place],
        "ceiling_bits": estimates.ceiling.value[target],
        "ceiling_low_bits": estimates.ceiling.low[target],
        "ceiling_high_bits": estimates.ceiling_of_prior.high[target],
        **context_columns(estimates, entry, target),
        "usable_bits": estimates.usable.value[place],
        "samples": int(estimates.samples[place]),
    }


def context_columns(estimates: ReportEstimates, entry: int, target: int) -> dict[str, float | str]:
    """Bits beyond the better context model and what it tells alone; where there are several, those of each by name."""
    place, better = (entry, target), estimates.better[target]
    named = {f"{name}_context": one for name, one in estimates.contexts.items()} if len(estimates.contexts) > 1 else {}
    columns: dict[str, float | str] = {"context_model": better}
    for name, one in {"context": estimates.contexts[better], **named}.items():
        columns[f"{name}_bits"] = one.alone[target]
        columns[f"beyond_{name}_bits"] = one.beyond.value[place]
        columns[f"beyond_{name}_low_bits"] = one.beyond.low[place]
        columns[f"beyond_{name}_high_bits"] = one.beyond_any.high[place] + estimates.smoothing[place]
    return columns


def control_columns(
    estimates: ReportEstimates, entry: int, target: int, control: int | None
) -> dict[str, float | None]:
    """What the same probe reads of shuffled documents, and of random weights, where there are any."""
    certified, high = estimates.certified, estimates.usable.high + estimates.smoothing
    random = (None,) * 3
    if control is not None:
        random = tuple(each[control, target] for each in (certified.value, certified.low, high))
    return {
        "shuffled_bits": certified.value[entry, 0],
        "shuffled_low_bits": certified.low[entry, 0],
        "shuffled_high_bits": high[entry, 0],
        "selectivity_bits": certified.value[entry, target] - certified.value[entry, 0],
        "random_weights_bits": random[0],
        "random_weights_low_bits": random[1],
        "random_weights_high_bits": random[2],
    }


def summarise_sites(estimates: ReportEstimates, ladder: FittedLadder, lags: Sequence[int]) -> list[dict]:
    """One row for each site: sums over the measured lags by the best probe of each, and the half-life."""
    entries = ladder.entries()
    return [
        summarise(estimates, site, [entries.index((site, probe)) for probe in ladder.best(site)[1:]], lags)
        for site in ladder.fitted
    ]


def summarise(estimates: ReportEstimates, site: str, entry: Sequence[int], lags: Sequence[int]) -> dict:
    """Sum over the measured lags, its share of the ceiling, the half-life and the sum beyond context of one site."""
    place = np.array(entry), np.arange(1, len(lags) + 1)
    certified, usable, context, any_context = (
        each.total(place)
        for each in (estimates.certified, estimates.usable, estimates.beyond_context, estimates.beyond_any_context)
    )
    ceiling, smoothing = estimates.ceiling.value[1:].sum(), estimates.smoothing[place].sum()
    value, low, high = certified.value, certified.low, usable.high + smoothing
    return {
        "site": site,
        "lags": len(lags),
        "recoverable_bits": value,
        "recoverable_low_bits": low,
        "recoverable_high_bits": high,
        "share_of_ceiling": value / ceiling,
        "share_low": low / ceiling,
        "share_high": high / ceiling,
        **half_life_columns(lags, estimates, place),
        "beyond_context_bits": context.value,
        "beyond_context_low_bits": context.low,
        "beyond_context_high_bits": any_context.high + smoothing,
    }


def half_life_columns(
    lags: Sequence[int], estimates: ReportEstimates, place: tuple[ndarray, ndarray]
) -> dict[str, float | None]:
    """The half-life and its interval; None past the longest lag."""
    drawn = estimates.certified.draws(place, HALF_LIVES, estimates.spans.confidence, estimates.seed)
    lives = np.array([half_life(lags, curve) for curve in drawn])
    life = half_life(lags, estimates.certified.value[place])
    # A draw past the longest lag is past it: the quantile is one of the draws, never between two.
    ends = 0.5 - estimates.spans.confidence / 2, 0.5 + estimates.spans.confidence / 2
    low, high = np.quantile(lives, ends, method="nearest")
    return {
        "half_life_tokens": finite(life),
        "half_life_low_tokens": finite(min(low, life)),
        "half_life_high_tokens": finite(max(high, life)),
    }


def finite(value: float) -> float | None:
    """None for what lies past the longest lag."""
    return float(value) if np.isfinite(value) else None


def half_life(lags: Sequence[int], bits: Float[ndarray, "lags"]) -> float:
    """Tokens after which half of the bits at the first lag are left; infinite if that is past the last lag.

    Linear between measured lags. Where the first lag holds nothing there is nothing to halve: zero.

    Example:
        >>> half_life([0, 1, 2, 4], np.array([8.0, 6.0, 5.0, 1.0]))
        2.5
    """
    if bits[0] <= 0:
        return 0.0
    half = bits[0] / 2.0
    below = np.flatnonzero(bits <= half)
    if len(below) == 0:
        return float("inf")
    after = int(below[0])
    share = (bits[after - 1] - half) / (bits[after - 1] - bits[after])
    return float(lags[after - 1] + share * (lags[after] - lags[after - 1]) - lags[0])
