"""The upper bound of every row: the least of those that hold for any probe, and the width between both sides."""

__all__ = ["SiteBounds", "bound_sites", "whole_state", "with_upper_bounds"]

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.bounds import Noise, budget, exact_posterior, genie_by_lag, levels_of
from infodil.channel import Code, entropy_bits, longest_window
from infodil.estimate import Estimate
from infodil.ladder import LadderData, LagTask, SitePreprocessing, TextClusters, positions
from infodil.precision import PRECISIONS, Quantizer

BUDGET_ROWS = 2048
BUDGET_DIMS = 1024
"""Rows that the budget is taken from, and fewer of states wider than this: the smaller side of a matrix decides what
it costs."""

FEWEST_BUDGET_ROWS = 8
LEAST_ERROR = 1e-60
"""Error of an exact zero: its square must not vanish beside that of the states."""

LOG_LIKELIHOODS = 2**25
DRAWS = (512, 4096)
"""The genie's draws of token and noise: fewest and most, fewer where types are many."""

MOST_SEQUENCES = 2**13
POSTERIOR_DRAWS = 4096
"""Draws of the exact posterior, for each number of tokens behind a state."""

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
    posterior: dict[int, Estimate]
    """By lag: the bound of a genie who reveals all but a few tokens, where those can be enumerated."""
    whole: dict[str, Estimate]
    """Of everything in the state: `budget`, and `levels` where it is quantised."""


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
    options = {"confidence": confidence, "seed": seed}
    bounds = {}
    for site in data.sites:
        quantizer, states = preprocessing[site].quantizer, data.calibration.states[site].cpu()
        sigma, noise = noise_of(quantizer, states)
        if not bool((sigma > 0).all()):  # states that never change: their noise is none, whatever its ratio
            bounds[site] = SiteBounds(noise, None, {}, {})
            continue
        code, counts = data.specs[site].code, task.counts["test"][0]
        whole = {
            "budget": budget_of(states, sigma, noise, groups, confidence),
            "levels": levels_bound(quantizer.name, states.shape[1]),
        }
        genie, posterior = None, {}
        if code is not None:
            genie = genie_of(code, sigma, noise, counts, task.lags, **options)
            if independent and noise == "gaussian":
                seen = positions(task.labels["test"].split) + 1
                posterior = posterior_of(code, float(sigma[0]), counts, seen, task.lags, **options)
        bounds[site] = SiteBounds(
            noise, genie, posterior, {name: one for name, one in whole.items() if one is not None}
        )
    return bounds


def noise_of(quantizer: Quantizer, states: Float[Tensor, "rows dim"]) -> tuple[Float[Tensor, "dim"], Noise]:
    """Standard deviation of the error of the precision in each dim, and its law.

    A float is finest where its number is smallest: the harmonic mean over the rows, for the chance to cross a threshold
    is proportional to one over the step. Only the last rounding counts, for earlier errors of a state are no noise that
    hides anything for certain.
    """
    if quantizer.name not in PRECISIONS:
        return quantizer.unit, "gaussian"
    errors = quantizer.errors(states).clamp(min=LEAST_ERROR)
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
        draws=int(np.clip(LOG_LIKELIHOODS // types, *DRAWS)),
        confidence=confidence,
        seed=seed,
    )


def posterior_of(
    code: Code,
    sigma: float,
    counts: Int[ndarray, "vocabulary"],
    seen: Int[ndarray, "positions"],
    lags: Sequence[int],
    confidence: float,
    seed: int,
) -> dict[int, Estimate]:
    """The bound of a genie who reveals all but as many tokens as can be enumerated; empty if not even two can.

    At the newest lags the hidden tokens are the newest. Near the start of a sequence fewer tokens lie behind a state,
    and each is read better: the mean is over how many lie behind the test positions, which a probe may know. At older
    lags the hidden tokens are those just newer than the one at the lag, which are most easily taken for it.
    """
    types = min(len(code.embedding), len(counts))
    window = min(longest_window(types, MOST_SEQUENCES), code.weights.shape[1])
    if window < 2:
        return {}
    prior = torch.from_numpy(counts[:types] / counts[:types].sum())

    def bound(hidden: slice, wanted: list[int]) -> Float[ndarray, "lags ends"]:
        kept = torch.zeros_like(code.weights)
        kept[:, hidden] = code.weights[:, hidden]
        options = {"draws": POSTERIOR_DRAWS, "confidence": confidence, "seed": seed}
        estimates = exact_posterior(code.embedding[:types], kept, sigma, lags=wanted, prior=prior, **options)
        return np.array([[one.low_bits, one.value_bits, one.high_bits] for one in estimates])

    ends: dict[int, ndarray] = {lag: np.zeros(3) for lag in lags if lag < window}
    for behind in range(1, window + 1):
        known = [lag for lag in ends if lag < behind]
        share = [np.mean(np.minimum(seen[seen > lag], window) == behind) for lag in known]
        if any(share):
            for lag, part, bits in zip(known, share, bound(slice(behind), known), strict=True):
                ends[lag] += part * bits
    for lag in lags:
        if lag >= window and bool(code.weights[:, lag : lag + 1].any()):
            ends[lag] = bound(slice(lag - window + 1, lag + 1), [lag])[0]
    return {
        lag: Estimate(value, low, high, confidence, "upper bound", POSTERIOR_DRAWS, "exact posterior")
        for lag, (low, value, high) in ends.items()
    }


def budget_of(
    states: Float[Tensor, "rows dim"],
    sigma: Float[Tensor, "dim"],
    noise: Noise,
    group: Int[ndarray, "rows"],
    confidence: float,
) -> Estimate | None:
    """The budget of the observed states; None where they are too few."""
    most = min(len(states), BUDGET_ROWS if states.shape[1] <= BUDGET_DIMS else BUDGET_DIMS)
    rows = np.linspace(0, len(states) - 1, most).astype(int)
    if len(rows) < FEWEST_BUDGET_ROWS or len(np.unique(group[rows])) < 2:
        return None
    # Rounded states need not carry the error that is modelled: a number that never leaves its cell varies by nothing.
    quantized = noise == "gaussian"
    return budget(states[rows], sigma, groups=group[rows], observed=quantized, noise=noise, confidence=confidence)


def levels_bound(precision: str, dim: int) -> Estimate | None:
    """The log of the number of states a format has; None for noise."""
    if precision not in PRECISIONS:
        return None
    bits = dim * float(np.log2(levels_of(precision)))
    return Estimate(bits, bits, bits, kind="upper bound", method="levels")


def with_upper_bounds(
    rows: Iterable[dict], bounds: Mapping[str, SiteBounds], task: LagTask, independent: bool
) -> list[dict]:
    """The rows with their upper bounds.

    The bounds from a code are for the type frequencies of all tokens; at each lag they are taken in proportion to the
    entropy there, so that bound and entropy are the same where the state leaves nothing open.
    """
    counts = task.counts["test"][0]
    entropy = entropy_bits(counts / counts.sum())
    place = {lag: number for number, lag in enumerate(task.lags)}
    return [row | upper_side(row, bounds[row["site"]], place[row["lag"]], entropy, independent) for row in rows]


def upper_side(row: dict, bounds: SiteBounds, lag: int, entropy: float, independent: bool) -> dict:
    """Columns of one row."""
    ceiling = tuple(row[f"ceiling{end}_bits"] for end in ("_low", "", "_high"))
    dithered = [DITHERED] if bounds.noise == "uniform" else []
    options = {"entropy": (ceiling, [])}
    known = in_proportion(bounds.genie and bounds.genie[lag], ceiling, entropy)
    if known is not None and independent:
        options["genie"] = known, [INDEPENDENT, *dithered]
    exact = in_proportion(bounds.posterior.get(row["lag"]), ceiling, entropy)
    if exact is not None:
        options["posterior"] = exact, [INDEPENDENT]
    for name, bound in bounds.whole.items():
        # The number of states needs no model of the rounding.
        options[name] = (bound.low_bits, bound.value_bits, bound.high_bits), dithered if name == "budget" else []
    by = min(options, key=lambda name: options[name][0][2])  # by the high end: that is what holds
    if options[by][0][1] > ceiling[1] - LEAST_GAIN_BITS:
        by = "entropy"
    (low, value, high), assumes = options[by]
    return {
        "upper_bits": value,
        "upper_low_bits": low,
        "upper_high_bits": min(high, ceiling[2]),
        "upper_by": by,
        "upper_assumes": ", ".join(assumes),
        "genie_bits": None if known is None else known[1],
        "genie_low_bits": None if known is None else known[0],
        "genie_high_bits": None if known is None else known[2],
        "width_bits": value - row["value_bits"],
    }


def in_proportion(
    bound: Estimate | None, ceiling: tuple[float, float, float], entropy: float
) -> tuple[float, float, float] | None:
    """A bound made for one entropy, at a lag with another: low end, value, high end."""
    if bound is None or entropy <= 0:
        return None
    ends = (bound.low_bits, bound.value_bits, bound.high_bits)
    low, value, high = (bits * limit / entropy for bits, limit in zip(ends, ceiling, strict=True))
    return low, value, high


def whole_state(bounds: SiteBounds) -> dict:
    """Columns of a site's summary: what all of the past together has room for."""
    least = min(bounds.whole.values(), key=lambda bound: bound.value_bits, default=None)
    ends = ("", "_low", "_high")
    bits = (None,) * 3 if least is None else (least.value_bits, least.low_bits, least.high_bits)
    return {f"budget{end}_bits": number for end, number in zip(ends, bits, strict=True)}
