"""The upper side of every row: the least of the bounds that hold for any reader, and the width that is left open."""

__all__ = ["SiteBounds", "bound_sites", "whole_state", "with_upper_bounds"]

import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.bounds import budget, genie_by_lag
from infodil.bounds.genie import Noise
from infodil.bounds.levels import levels_of
from infodil.estimate import Estimate
from infodil.measure.fitting import Fitting
from infodil.precision import PRECISIONS, Observer
from infodil.probes.decoding import Code
from infodil.sources import entropy_bits

MOST_DIMS = 1024
"""Wider states are seen through as many of their rows: the smaller side of a matrix decides what it costs."""

FEWEST_ROWS = 8
LOG_LIKELIHOODS = 2**25
DRAWS = (512, 4096)
"""The genie's draws of token and noise: fewest and most, fewer where types are many."""

LEAST_GAIN_BITS = 1e-6
"""A bound this little below the entropy is the entropy: nothing is assumed where nothing is gained."""

DITHERED = "dithered rounding"
INDEPENDENT = "independent tokens"


@dataclass(frozen=True)
class SiteBounds:
    """What bounds the bits of one site besides the entropy of the token."""

    noise: Noise
    """How the precision enters: Gaussian noise as it is, or rounding as if it were dithered."""
    genie: tuple[Estimate, ...] | None
    """One a lag where the encoder tells its code; for the type frequencies of all test tokens."""
    whole: dict[str, Estimate]
    """Of everything in the state: `budget`, and `levels` where it is quantised."""


def bound_sites(
    fitting: Fitting,
    counts: Int[ndarray, "vocabulary"],
    group: Int[ndarray, "rows"],
    lags: Sequence[int],
    confidence: float,
    seed: int,
) -> dict[str, SiteBounds]:
    """The bounds of each measured site.

    Args:
        fitting: Holds the states of the calibration rows, the observers and the codes.
        counts: Of the types in the test split: the prior of the genie.
        group: The resampling unit of each calibration row.
        lags: Which tokens, steps back.
        confidence: Of each interval for itself.
        seed: Of the genie's draws.
    """
    found = {}
    for site in fitting.sites:
        observer, states = fitting.train.observers[site], fitting.gathered[site].cpu()
        sigma, noise = noise_of(observer, states)
        code = fitting.settings[site].code
        found[site] = SiteBounds(
            noise,
            None if code is None else genie_of(code, sigma, noise, counts, lags, confidence, seed),
            {
                "budget": budget_of(states, sigma, noise, group, confidence),
                "levels": levels_bound(observer.name, states.shape[1]),
            },
        )
    return {
        site: dataclasses.replace(bounds, whole={name: b for name, b in bounds.whole.items() if b is not None})
        for site, bounds in found.items()
    }


def noise_of(observer: Observer, states: Float[Tensor, "rows dim"]) -> tuple[Float[Tensor, "dim"], Noise]:
    """Standard deviation of the observation's error in each dim, and its law.

    A float is finest where its number is smallest, and what a small number shows is shown: the harmonic mean over the
    rows, for the chance to cross a threshold goes with one over the step. Of the last rounding only: what a state
    erred before is no noise that could be relied on to hide anything.
    """
    if observer.name not in PRECISIONS:
        return observer.unit, "gaussian"
    errors = observer.errors(states).clamp(min=torch.finfo(torch.float64).tiny)
    return 1.0 / (1.0 / errors).mean(0), "uniform"


def genie_of(
    code: Code,
    sigma: Float[Tensor, "dim"],
    noise: Noise,
    counts: Int[ndarray, "vocabulary"],
    lags: Sequence[int],
    confidence: float,
    seed: int,
) -> tuple[Estimate, ...]:
    """The genie's bound at each lag, for the type frequencies of the test tokens."""
    types = min(len(code.embedding), len(counts))
    weights = torch.zeros(len(code.weights), len(lags), dtype=torch.float64)
    for column, lag in enumerate(lags):
        if lag < code.weights.shape[1]:
            weights[:, column] = code.weights[:, lag]
    return genie_by_lag(
        code.embedding[:types],
        weights,
        sigma.view(len(weights), -1),
        counts[:types],
        noise=noise,
        samples=int(np.clip(LOG_LIKELIHOODS // types, *DRAWS)),
        confidence=confidence,
        seed=seed,
    )


def budget_of(
    states: Float[Tensor, "rows dim"],
    sigma: Float[Tensor, "dim"],
    noise: Noise,
    group: Int[ndarray, "rows"],
    confidence: float,
) -> Estimate | None:
    """The budget from observed states; None where they are too few."""
    rows = np.arange(len(states))
    if states.shape[1] > MOST_DIMS:
        rows = np.unique(np.linspace(0, len(states) - 1, MOST_DIMS).astype(int))
    if len(rows) < FEWEST_ROWS or len(np.unique(group[rows])) < 2:
        return None
    return budget(states[rows], sigma, groups=group[rows], observed=True, noise=noise, confidence=confidence)


def levels_bound(precision: str, dim: int) -> Estimate | None:
    """The log of the number of states a format has; None for noise."""
    if precision not in PRECISIONS:
        return None
    bits = dim * float(np.log2(levels_of(precision)))
    return Estimate(bits, bits, bits, kind="upper bound", method="levels")


def with_upper_bounds(
    rows: Iterable[dict], found: Mapping[str, SiteBounds], lags: Sequence[int], counts: ndarray, independent: bool
) -> list[dict]:
    """The rows with their upper bounds.

    The genie's bound is for the type frequencies of all tokens; at each lag it is taken in proportion to the entropy
    there, so that where the state leaves nothing open, bound and entropy are the same.
    """
    entropy = entropy_bits(counts / counts.sum())
    place = {lag: number for number, lag in enumerate(lags)}
    return [row | upper_side(row, found[row["site"]], place[row["lag"]], entropy, independent) for row in rows]


def upper_side(row: dict, bounds: SiteBounds, lag: int, entropy: float, independent: bool) -> dict:
    """Columns of one row."""
    ceiling = tuple(row[f"ceiling{end}_bits"] for end in ("_low", "", "_high"))
    dithered = [DITHERED] if bounds.noise == "uniform" else []
    options = {"entropy": (ceiling, [])}
    known: tuple[float | None, ...] = (None, None, None)
    if bounds.genie is not None and entropy > 0:
        told = bounds.genie[lag]
        ends = (told.low_bits, told.value_bits, told.high_bits)
        known = tuple(bits * limit / entropy for bits, limit in zip(ends, ceiling, strict=True))
        if independent:
            options["genie"] = known, [INDEPENDENT, *dithered]
    for name, bound in bounds.whole.items():
        # The number of states needs no model of the rounding.
        options[name] = (bound.low_bits, bound.value_bits, bound.high_bits), dithered if name == "budget" else []
    by = min(options, key=lambda name: options[name][0][1])
    if options[by][0][1] > ceiling[1] - LEAST_GAIN_BITS:
        by = "entropy"
    (low, value, high), assumes = options[by]
    return {
        "upper_bits": value,
        "upper_low_bits": low,
        "upper_high_bits": min(high, ceiling[2]),
        "upper_by": by,
        "upper_assumes": ", ".join(assumes),
        "genie_bits": known[1],
        "genie_low_bits": known[0],
        "genie_high_bits": known[2],
        "width_bits": value - row["value_bits"],
    }


def whole_state(bounds: SiteBounds) -> dict:
    """Columns of a site's summary: what all of the past together has room for."""
    least = min(bounds.whole.values(), key=lambda bound: bound.value_bits, default=None)
    ends = ("", "_low", "_high")
    bits = (None,) * 3 if least is None else (least.value_bits, least.low_bits, least.high_bits)
    return {f"budget{end}_bits": number for end, number in zip(ends, bits, strict=True)}
