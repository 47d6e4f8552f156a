"""The scaling law of losses, fitted to runs of several sizes and budgets, and what it predicts of a pair of families.

`L(N, D) = E + A / N^a + B / D^b` for N parameters and D tokens (Hoffmann et al. 2022, arXiv 2203.15556, approach 3):
Huber's loss of the difference of logarithms, from several starts. Five numbers want at least three sizes and three
budgets; with less the fit is refused. Intervals resample runs, for budgets of one run share most of their training.
"""

import itertools
import math
from dataclasses import dataclass

import numpy as np
from scipy.optimize import least_squares

from infodil.checks import UserError

__all__ = ["Cells", "ScalingLaw", "fit_law", "held_out_errors", "predict_ratio"]

HUBER = 1e-3
"""Difference of logarithms beyond which it counts linearly: Hoffmann et al.'s."""
STARTS = tuple(itertools.product((-1.0, 0.5), (0.2, 0.5), (0.2, 0.5)))
"""Starts of log E and both exponents."""
LEAST_LEVELS = 3
"""Sizes and budgets that a fit wants, each."""
LARGEST_EXPONENT = 2.0
"""Exponents end here: a term that has vanished at the second size has none."""


@dataclass(frozen=True)
class Cells:
    """Losses of one family.

    Args:
        runs: Name of the run that each cell is of: what an interval resamples.
        parameters: Parameters of each cell.
        tokens: Training tokens of each cell.
        losses: Loss of each cell in nats.
    """

    runs: np.ndarray
    parameters: np.ndarray
    tokens: np.ndarray
    losses: np.ndarray

    def take(self, places):
        """Some of the cells."""
        return Cells(self.runs[places], self.parameters[places], self.tokens[places], self.losses[places])


@dataclass(frozen=True)
class ScalingLaw:
    """`E + A / N^a + B / D^b`.

    Example:
        >>> round(ScalingLaw(math.log(1.0), math.log(100.0), 0.5, math.log(10.0), 0.5).predict(1e4, 1e2), 6)
        3.0
    """

    log_least: float
    log_parameter_scale: float
    parameter_exponent: float
    log_token_scale: float
    token_exponent: float

    def predict(self, parameters, tokens):
        """Loss in nats."""
        by_size = np.exp(self.log_parameter_scale - self.parameter_exponent * np.log(parameters))
        by_budget = np.exp(self.log_token_scale - self.token_exponent * np.log(tokens))
        return math.exp(self.log_least) + by_size + by_budget


def fit_law(cells, starts=STARTS):
    """The law of a family.

    Args:
        cells: Losses of the family.
        starts: Starts of log E and both exponents.

    Raises:
        UserError: There are fewer than three sizes or three budgets.
    """
    levels = {"sizes": len(np.unique(cells.parameters)), "budgets": len(np.unique(tokens_a_parameter(cells)))}
    for name, number in levels.items():
        if number < LEAST_LEVELS:
            raise UserError(f"`cells` has {number} {name}, too few for a scaling law: train {LEAST_LEVELS} or more.")
    log_parameters, log_tokens, log_losses = (np.log(of) for of in (cells.parameters, cells.tokens, cells.losses))

    def terms(values):
        least, size_scale, size_exponent, budget_scale, budget_exponent = values
        return np.stack([
            np.full(len(log_losses), least),
            size_scale - size_exponent * (log_parameters - log_parameters.mean()),
            budget_scale - budget_exponent * (log_tokens - log_tokens.mean()),
        ])  # fmt: skip

    def misfit(values):
        return np.logaddexp.reduce(terms(values)) - log_losses

    def slopes(values):
        logs = terms(values)
        shares = np.exp(logs - np.logaddexp.reduce(logs))
        return np.stack([
            shares[0],
            shares[1], -shares[1] * (log_parameters - log_parameters.mean()),
            shares[2], -shares[2] * (log_tokens - log_tokens.mean()),
        ], 1)  # fmt: skip

    bounds = ([-20, -20, 0, -20, 0], [5, 5, LARGEST_EXPONENT, 5, LARGEST_EXPONENT])
    fits = [
        least_squares(
            misfit, [least, -1.0, by_size, -1.0, by_budget], slopes, bounds, loss="huber", f_scale=HUBER, max_nfev=400
        )
        for least, by_size, by_budget in starts
    ]
    least, size_scale, size_exponent, budget_scale, budget_exponent = min(fits, key=lambda fit: fit.cost).x
    return ScalingLaw(
        least,
        size_scale + size_exponent * log_parameters.mean(),
        size_exponent,
        budget_scale + budget_exponent * log_tokens.mean(),
        budget_exponent,
    )


def tokens_a_parameter(cells):
    """Budgets as the plan has them."""
    return np.round(cells.tokens / cells.parameters, 1)


def resampled(cells, names, generator):
    """Cells of as many runs, drawn with replacement within each size, so that no size is lost."""
    places = []
    for size in np.unique(cells.parameters):
        own = np.array([name for name in names if size in cells.parameters[cells.runs == name]])
        places += [np.flatnonzero(cells.runs == name) for name in generator.choice(own, len(own))]
    return cells.take(np.concatenate(places))


def predict_ratio(first, second, parameters, tokens, *, draws=200, seed=0, confidence=0.95):
    """Perplexity of one family over another's, `exp(L_1 - L_2)`, with its interval.

    Runs are resampled, and to each draw the misfit of both laws is added: what the law does not say of a new cell. Far
    beyond the cells the interval holds only if the law does.

    Args:
        first: Losses of the one family.
        second: Losses of the other.
        parameters: Parameters of both.
        tokens: Training tokens of both.
        draws: Resamplings.
        seed: Seed of the resampling.
        confidence: Confidence level of the interval.

    Returns:
        The ratio, and the ends of its interval.

    Raises:
        UserError: There are too few cells for a law.
    """
    generator = np.random.default_rng(seed)
    families = (first, second)
    laws = [fit_law(cells) for cells in families]
    difference = laws[0].predict(parameters, tokens) - laws[1].predict(parameters, tokens)
    errors = [
        cells.losses - law.predict(cells.parameters, cells.tokens) for cells, law in zip(families, laws, strict=True)
    ]
    drawn = []
    for _ in range(draws):
        ends = []
        for cells, law, error in zip(families, laws, errors, strict=True):
            own = law.predict(cells.parameters, cells.tokens) + generator.choice(error, len(error))
            again = Cells(cells.runs, cells.parameters, cells.tokens, own)
            refit = fit_law(resampled(again, np.unique(cells.runs), generator), near(law))
            ends.append(refit.predict(parameters, tokens) + generator.choice(error))
        drawn.append(ends[0] - ends[1])
    low, high = np.quantile(drawn, [(1 - confidence) / 2, (1 + confidence) / 2])
    return math.exp(difference), math.exp(low), math.exp(high)


def near(law):
    """Starts of a refit: where the fit ended, and one elsewhere."""
    return ((law.log_least, law.parameter_exponent, law.token_exponent), STARTS[0])


def held_out_errors(cells):
    """Predicted less measured loss of the cells of the largest size, from a law of the others, in nats.

    Raises:
        UserError: Without the largest size there are too few cells.
    """
    largest = cells.parameters == cells.parameters.max()
    law = fit_law(cells.take(np.flatnonzero(~largest)))
    return law.predict(cells.parameters[largest], cells.tokens[largest]) - cells.losses[largest]
