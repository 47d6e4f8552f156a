"""Contract of an upper bound on what a state tells, and the registry of the bounds that a report takes the least of."""

__all__ = ["BOUNDS", "StateSample", "UpperBound"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.bounds.capacity import budget
from infodil.bounds.genie import Noise, genie_by_lag
from infodil.bounds.levels import levels_of
from infodil.bounds.posterior import exact_posterior
from infodil.channel import Code, longest_window
from infodil.estimate import Estimate
from infodil.precision import PRECISIONS, Quantizer

INDEPENDENT = "independent tokens"
DITHERED = "dithered rounding"


@dataclass(frozen=True)
class BoundOptions:
    """How much is computed for the bounds of a report.

    Attributes:
        budget_rows: Rows that the budget is taken from.
        budget_dims: Rows it is taken from where states are wider than this: the smaller side of a matrix decides what
            it costs.
        fewest_budget_rows: Rows below which no covariance is estimated.
        least_error: Error of an exact zero: its square must not vanish beside that of the states.
        log_likelihoods: Numbers that a genie's bound may compute: where types are many, draws are fewer.
        draws: The genie's draws of token and noise, fewest and most.
        most_sequences: Sequences of hidden tokens that the exact posterior enumerates.
        posterior_draws: Draws of the exact posterior, for each number of tokens behind a state.
    """

    budget_rows: int = 2048
    budget_dims: int = 1024
    fewest_budget_rows: int = 8
    least_error: float = 1e-60
    log_likelihoods: int = 2**25
    draws: tuple[int, int] = (512, 4096)
    most_sequences: int = 2**13
    posterior_draws: int = 4096


BOUND_OPTIONS = BoundOptions()


@dataclass(frozen=True, eq=False)
class StateSample:
    """What the upper bounds of one site are computed from.

    Attributes:
        states: States as they were encoded.
        groups: Group of each state: what is resampled together.
        quantizer: Precision at which the states are observed.
        counts: Number of test tokens of each type: the prior of the genie.
        seen: Number of tokens up to each test position.
        lags: Lags of the report.
        code: How the encoder says that states superpose token vectors; None where it does not say.
        independent: Whether the tokens were declared independent.
        confidence: Confidence level of each pointwise interval.
        seed: Seed of the draws.
    """

    states: Float[Tensor, "rows dim"]
    groups: Int[ndarray, "rows"]
    quantizer: Quantizer
    counts: Int[ndarray, "vocabulary"]
    seen: Int[ndarray, "positions"]
    lags: tuple[int, ...]
    code: Code | None = None
    independent: bool = False
    confidence: float = 0.95
    seed: int = 0

    @property
    def noise(self) -> Noise:
        """Law of the error of the precision: Gaussian noise as it is, or rounding as if it were dithered."""
        return "uniform" if self.quantizer.name in PRECISIONS else "gaussian"

    @cached_property
    def sigma(self) -> Float[Tensor, "dim"]:
        """Standard deviation of the error of the precision in each dim.

        A float is finest where its number is smallest: the harmonic mean over the rows, for the chance to cross a
        threshold is proportional to one over the step. Only the last rounding counts, for earlier errors of a state are
        no noise that hides anything for certain.
        """
        if self.noise == "gaussian":
            return self.quantizer.unit.to(self.states.device)
        errors = self.quantizer.errors(self.states).clamp(min=BOUND_OPTIONS.least_error)
        return 1.0 / (1.0 / errors).mean(0)

    @property
    def types(self) -> int:
        """Number of types that both the code and the tokens have."""
        return min(len(self.code.embedding), len(self.counts)) if self.code is not None else len(self.counts)


@dataclass(frozen=True)
class UpperBound:
    """An upper bound on the bits of a state, whoever reads it: one entry of `BOUNDS` puts it into every report.

    Attributes:
        name: Name that the report's `upper_by` has.
        compute: Function of a `StateSample` that gives an `Estimate` of what the state tells of the whole past
            together, or a mapping from lag to the `Estimate` of one token; None or an empty mapping where the bound
            does not apply.
        assumes_independence: Whether it bounds the bits only if the tokens are independent.
        rounds_by_dither: Whether rounding enters as uniform noise, which is exact for dithered rounding alone.
    """

    name: str
    compute: Callable[[StateSample], Estimate | Mapping[int, Estimate] | None]
    assumes_independence: bool = False
    rounds_by_dither: bool = False

    def assumptions(self, noise: Noise) -> tuple[str, ...]:
        """What the bound takes for granted, in words.

        Args:
            noise: Law of the error of the precision.
        """
        independent = (INDEPENDENT,) * self.assumes_independence
        return independent + (DITHERED,) * (self.rounds_by_dither and noise == "uniform")


def _genie(sample: StateSample) -> Mapping[int, Estimate]:
    """The genie's bound at each lag, for the type frequencies of the test tokens."""
    if sample.code is None:
        return {}
    code, types = sample.code, sample.types
    weights = torch.zeros(len(code.weights), len(sample.lags), dtype=torch.float64)
    for column, lag in enumerate(sample.lags):
        if lag < code.weights.shape[1]:
            weights[:, column] = code.weights[:, lag]
    estimates = genie_by_lag(
        code.embedding[:types],
        weights,
        sample.sigma.view(len(weights), -1),
        sample.counts[:types],
        noise=sample.noise,
        draws=int(np.clip(BOUND_OPTIONS.log_likelihoods // types, *BOUND_OPTIONS.draws)),
        confidence=sample.confidence,
        seed=sample.seed,
    )
    return dict(zip(sample.lags, estimates, strict=True))


def _posterior(sample: StateSample) -> Mapping[int, Estimate]:
    """The bound of a genie who reveals all but as many tokens as can be enumerated; empty if not even two can.

    At the newest lags the hidden tokens are the newest. Near the start of a sequence fewer tokens lie behind a state,
    and each is read better: the mean is over how many lie behind the test positions, which a probe may know. At older
    lags the hidden tokens are those just newer than the one at the lag, which are most easily taken for it.
    """
    if sample.code is None or not sample.independent or sample.noise != "gaussian":
        return {}
    code, types, seen = sample.code, sample.types, sample.seen
    window = min(longest_window(types, BOUND_OPTIONS.most_sequences), code.weights.shape[1])
    if window < 2:
        return {}
    prior = torch.from_numpy(sample.counts[:types] / sample.counts[:types].sum())
    options = {"draws": BOUND_OPTIONS.posterior_draws, "confidence": sample.confidence, "seed": sample.seed}

    def bound(hidden: slice, wanted: Sequence[int]) -> Float[ndarray, "lags ends"]:
        kept = torch.zeros_like(code.weights)
        kept[:, hidden] = code.weights[:, hidden]
        sigma = float(sample.sigma[0])
        estimates = exact_posterior(code.embedding[:types], kept, sigma, lags=wanted, prior=prior, **options)
        return np.array([[one.low_bits, one.value_bits, one.high_bits] for one in estimates])

    ends: dict[int, ndarray] = {lag: np.zeros(3) for lag in sample.lags if lag < window}
    for behind in range(1, window + 1):
        known = [lag for lag in ends if lag < behind]
        share = [np.mean(np.minimum(seen[seen > lag], window) == behind) for lag in known]
        if any(share):
            for lag, part, bits in zip(known, share, bound(slice(behind), known), strict=True):
                ends[lag] += part * bits
    for lag in sample.lags:
        if lag >= window and bool(code.weights[:, lag : lag + 1].any()):
            ends[lag] = bound(slice(lag - window + 1, lag + 1), [lag])[0]
    return {
        lag: Estimate(
            value, low, high, sample.confidence, "upper bound", BOUND_OPTIONS.posterior_draws, "exact posterior"
        )
        for lag, (low, value, high) in ends.items()
    }


def _budget(sample: StateSample) -> Estimate | None:
    """The budget of the observed states; None where they are too few."""
    states, groups = sample.states, sample.groups
    most = min(
        len(states),
        BOUND_OPTIONS.budget_rows if states.shape[1] <= BOUND_OPTIONS.budget_dims else BOUND_OPTIONS.budget_dims,
    )
    rows = np.linspace(0, len(states) - 1, most).astype(int)
    if len(rows) < BOUND_OPTIONS.fewest_budget_rows or len(np.unique(groups[rows])) < 2:
        return None
    # Rounded states need not carry the error that is modelled: a number that never leaves its cell varies by nothing.
    return budget(
        states[rows],
        sample.sigma,
        groups=groups[rows],
        observed=sample.noise == "gaussian",
        noise=sample.noise,
        confidence=sample.confidence,
    )


def _levels(sample: StateSample) -> Estimate | None:
    """The log of the number of states a format has; None for noise. The number needs no model of the rounding."""
    if sample.noise == "gaussian":
        return None
    bits = sample.states.shape[1] * float(np.log2(levels_of(sample.quantizer.name)))
    return Estimate(bits, bits, bits, kind="upper bound", method="levels")


_BUILT_IN = (
    UpperBound("genie", _genie, assumes_independence=True, rounds_by_dither=True),
    UpperBound("posterior", _posterior, assumes_independence=True),
    UpperBound("budget", _budget, rounds_by_dither=True),
    UpperBound("levels", _levels),
)
BOUNDS: dict[str, UpperBound] = {bound.name: bound for bound in _BUILT_IN}
"""All bounds of a report besides the entropy of the token; a new one is a line `BOUNDS["name"] = UpperBound(...)`."""
