"""The upper bound of every row: the least of those that hold for any probe, and the width between both sides."""

__all__ = ["SiteBounds", "bound_sites", "whole_state", "with_upper_bounds"]

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from infodil.bounds import BOUNDS, Noise, StateSample
from infodil.channel import entropy_bits
from infodil.estimate import Estimate
from infodil.ladder import LadderData, LagTask, SitePreprocessing, TextClusters, positions

LEAST_GAIN_BITS = 1e-6
"""A bound this little below the entropy is the entropy: nothing is assumed where nothing is gained."""

Interval = tuple[float, float, float]
"""Low end, value and high end, bits."""


@dataclass(frozen=True)
class SiteBounds:
    """What bounds the bits of one site besides the entropy of the token.

    Attributes:
        noise: Law by which the precision enters: Gaussian noise as it is, or rounding as if it were dithered.
        by_lag: Bounds of one token, by name of the bound and lag.
        whole: Bounds of everything in the state together, by name of the bound.
    """

    noise: Noise
    by_lag: Mapping[str, Mapping[int, Estimate]] = field(default_factory=dict)
    whole: Mapping[str, Estimate] = field(default_factory=dict)


def bound_sites(
    data: LadderData,
    preprocessing: Mapping[str, SitePreprocessing],
    task: LagTask,
    clusters: TextClusters,
    *,
    independent: bool,
    confidence: float,
    seed: int,
) -> dict[str, SiteBounds]:
    """The upper bounds of each measured site.

    Args:
        data: Calibration states, and how the encoder says that they superpose token vectors.
        preprocessing: Quantizer of each site.
        task: Lags, and the type frequencies of the test split, which are the prior of the genie.
        clusters: Clusters of the calibration split.
        independent: Whether the tokens were declared to be.
        confidence: Confidence level of each pointwise interval.
        seed: Seed of the draws.
    """
    groups = clusters.index(task.calibration_rows)
    seen = positions(task.labels["test"].split) + 1
    return {
        site: _bound(
            StateSample(
                states=data.calibration.states[site].cpu(),
                groups=groups,
                quantizer=preprocessing[site].quantizer,
                counts=task.counts["test"][0],
                seen=seen,
                lags=tuple(task.lags),
                code=data.specs[site].code,
                independent=independent,
                confidence=confidence,
                seed=seed,
            )
        )
        for site in data.sites
    }


def _bound(sample: StateSample) -> SiteBounds:
    if not bool((sample.sigma > 0).all()):  # states that never change: their noise is none, whatever its ratio
        return SiteBounds(sample.noise)
    found = {name: bound.compute(sample) for name, bound in BOUNDS.items()}
    return SiteBounds(
        sample.noise,
        by_lag={name: one for name, one in found.items() if isinstance(one, Mapping) and one},
        whole={name: one for name, one in found.items() if isinstance(one, Estimate)},
    )


def with_upper_bounds(
    rows: Iterable[dict], bounds: Mapping[str, SiteBounds], task: LagTask, independent: bool
) -> list[dict]:
    """The rows with their upper bounds.

    The bounds from a code are for the type frequencies of all tokens; at each lag they are taken in proportion to the
    entropy there, so that bound and entropy are the same where the state leaves nothing open.
    """
    counts = task.counts["test"][0]
    entropy = entropy_bits(counts / counts.sum())
    return [row | upper_side(row, bounds[row["site"]], entropy, independent) for row in rows]


def upper_side(row: dict, bounds: SiteBounds, entropy: float, independent: bool) -> dict:
    """Columns of one row."""
    ceiling = tuple(row[f"ceiling{end}_bits"] for end in ("_low", "", "_high"))
    known = {
        name: in_proportion(by_lag[row["lag"]], ceiling, entropy)
        for name, by_lag in bounds.by_lag.items()
        if row["lag"] in by_lag and entropy > 0
    }
    known |= {name: _ends(bound) for name, bound in bounds.whole.items()}
    options = {"entropy": ceiling}
    # In the order of the registry: of equal bounds the first is named.
    options |= {name: known[name] for name in BOUNDS if name in known and _holds(name, independent)}
    by = min(options, key=lambda name: options[name][2])  # by the high end: that is what holds
    if options[by][1] > ceiling[1] - LEAST_GAIN_BITS:
        by = "entropy"
    low, value, high = options[by]
    genie_low, genie, genie_high = known.get("genie", (None, None, None))
    return {
        "upper_bits": value,
        "upper_low_bits": low,
        "upper_high_bits": min(high, ceiling[2]),
        "upper_by": by,
        "upper_assumes": "" if by == "entropy" else ", ".join(BOUNDS[by].assumptions(bounds.noise)),
        "genie_bits": genie,
        "genie_low_bits": genie_low,
        "genie_high_bits": genie_high,
        "width_bits": value - row["value_bits"],
    }


def _holds(name: str, independent: bool) -> bool:
    return independent or not BOUNDS[name].assumes_independence


def _ends(bound: Estimate) -> Interval:
    return bound.low_bits, bound.value_bits, bound.high_bits


def in_proportion(bound: Estimate, ceiling: Interval, entropy: float) -> Interval:
    """A bound made for one entropy, at a lag with another: low end, value, high end."""
    low, value, high = (bits * limit / entropy for bits, limit in zip(_ends(bound), ceiling, strict=True))
    return low, value, high


def whole_state(bounds: SiteBounds) -> dict:
    """Columns of a site's summary: what all of the past together has room for."""
    least = min(bounds.whole.values(), key=lambda bound: bound.value_bits, default=None)
    ends = ("", "_low", "_high")
    bits = (None,) * 3 if least is None else (least.value_bits, least.low_bits, least.high_bits)
    return {f"budget{end}_bits": number for end, number in zip(ends, bits, strict=True)}
