"""Density ratios learned on some rows and read on others: a lower bound for any distribution. All values in nats."""

__all__ = ["ReadApart", "bound_of", "copula_terms", "cross_fit", "held_out_terms", "learned"]

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtri

from infodil.checks import UserError
from infodil.mi.continuous.canonical_correlation import canonical_variates, radial_features
from infodil.mi.continuous.critics import train_critic
from infodil.mi.continuous.elliptical import fit_student_copula, quantiles, uniform_ranks
from infodil.mi.continuous.gaussian import RawEstimate
from infodil.statistics import Clusters

CRITIC_FOLDS = 4
"""Folds of whole units, each scored by a model learned from the others."""

VALIDATION = 8
"""One in so many units of the training folds is held back to choose the model and to stop its training."""

DEGREES = (2, 4, 8)
"""Polynomials of the radius tried, beside plain coordinates."""

FEWEST_TO_LEARN = 400
"""Rows. From fewer a network learns nothing that the rows held back could confirm."""

MOST_TO_LEARN = 40_000
"""Rows; of more, whole units are drawn."""

PAIRS = 4
"""Variates at most: a copula of more of them counts functions of one direction as if they were several."""

WORTH_TRAINING = 0.5
"""Standard errors that a network must add on the first fold for others to be trained: of what would show at two
standard errors on all folds, one network in three that adds nothing, and two in three of those that add so much."""

LEADING_COORDINATES = 10
"""Linear canonical coordinates that the network sees beside the variates."""

MOST_FEATURES = 400
FEWEST_ROWS_A_FEATURE = 10
MOST_TOGETHER = 2048
"""Rows scored against each other: the bound cannot exceed the logarithm of it, 7.6 nats."""

Scores = Callable[[Int[ndarray, "some"]], Float[ndarray, "some some"]]


@dataclass(frozen=True, eq=False)
class ReadApart:
    """The pointwise terms of models fitted without the row they are read on."""

    gaussian: Float[ndarray, "samples"]
    """Of the Gaussian copula."""
    student: Float[ndarray, "samples"]
    """Of the Student copula."""
    learned: Float[ndarray, "samples"]
    """Of the model that the rows held back for it liked best."""
    fit_rows: int
    """Rows each was fitted on."""


def held_out_terms(scores: Float[ndarray, "rows rows"]) -> Float[ndarray, "rows"]:
    r"""What each row adds to the lower bound of a log density ratio `T` that was fitted without these rows.

    .. math:: I(X;Y) \ge \Big\langle T_{ii} - \tfrac12 \log \tfrac1m \sum_j e^{T_{ij}}
                                        - \tfrac12 \log \tfrac1m \sum_j e^{T_{ji}} \Big\rangle

    The first normaliser makes `p(y) e^{T(x, y)} / Z(x)` a conditional density of `y`, the second one of `x`: each half
    is the bound of Barber & Agakov (2003), "The IM Algorithm", equation 3, with the marginal of these rows. Because the
    drawn pair is among the `m` it holds on average at every `m`, and is at most `log m` (Poole et al. 2019, "On
    Variational Bounds of Mutual Information", section 2.3).
    """
    pairs = torch.from_numpy(scores)
    normal = (torch.logsumexp(pairs, 0) + torch.logsumexp(pairs, 1)) / 2.0 - math.log(len(pairs))
    return (pairs.diagonal() - normal).numpy()


def cross_fit(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], clusters: Clusters, *, seed: int = 0
) -> ReadApart:
    """Fit all models on three folds and read them on the fourth, four times.

    The learned model starts from the best copula of the ranks or of the first variates that turn with the radius
    (`canonical_variates`), chosen on rows held back; a network adds to it what these rows confirm. Where it adds
    nothing on the first fold, none is trained on the others.
    """
    x, y = uniform_ranks(x), uniform_ranks(y)
    fold = clusters.folds(CRITIC_FOLDS, seed)
    apart = ReadApart(
        *(np.empty(len(x)) for _ in range(3)),
        fit_rows=len(x) * (CRITIC_FOLDS - 1) * (VALIDATION - 1) // (CRITIC_FOLDS * VALIDATION),
    )
    features = _features(ndtri(x), ndtri(y))
    worth_training = True
    for number in range(CRITIC_FOLDS):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        back = clusters.select(train).folds(VALIDATION, seed + 1) == 0
        gaussian, student, base, inputs = _fit(x, y, features, train[~back], train[back])
        trained = base
        if worth_training:
            trained, _ = train_critic(*inputs, train[~back], train[back], base=base, seed=seed)
        before = np.empty(len(x))
        terms = (apart.gaussian, apart.student, apart.learned, before)
        for into, scores in zip(terms, (gaussian, student, trained, base), strict=True):
            for part in np.array_split(test, math.ceil(len(test) / MOST_TOGETHER)):
                into[part] = held_out_terms(scores(part))
        if number == 0:
            # The other folds may use what the first one showed: they are trained on it.
            gain = apart.learned[test] - before[test]
            worth_training = gain.mean() > WORTH_TRAINING * clusters.select(test).standard_error(gain)
    return apart


def copula_terms(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    fit: Int[ndarray, "rows"],
    test: Int[ndarray, "held"],
) -> Float[ndarray, "held"]:
    """The terms of rows `test` under the better copula, Gaussian or Student, that was fitted on rows `fit`."""
    x, y = uniform_ranks(x), uniform_ranks(y)
    models = [_copula(x, y, fit, math.inf), _copula(x, y, fit)]
    parts = np.array_split(np.arange(len(test)), math.ceil(len(test) / MOST_TOGETHER))
    terms = [np.concatenate([held_out_terms(scores(test[part])) for part in parts]) for scores in models]
    return max(terms, key=np.mean)


def learned(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], clusters: Clusters, *, seed: int = 0
) -> RawEstimate:
    """The lower bound of the learned model of `cross_fit`.

    Raises:
        UserError: fewer samples than a model can be learned from.
    """
    if len(x) < FEWEST_TO_LEARN:
        raise UserError(
            f"`x` must have at least {FEWEST_TO_LEARN} rows for method='learned', got {len(x)}: pass more samples or "
            "method='gaussian-copula'."
        )
    kept = clusters.subsample(MOST_TO_LEARN, seed)
    return bound_of(cross_fit(x[kept], y[kept], clusters.select(kept), seed=seed), clusters.select(kept))


def bound_of(apart: ReadApart, clusters: Clusters) -> RawEstimate:
    """The reading of the learned model, with what it cannot see."""
    ceiling = math.log2(min(MOST_TOGETHER, len(apart.learned) // CRITIC_FOLDS))
    unseen = (
        f"a lower bound: what the critic did not learn from {apart.fit_rows:,} rows is not in it, and it cannot exceed "
        f"{ceiling:.1f} bits"
    )
    error = clusters.standard_error(apart.learned)
    return RawEstimate(float(apart.learned.mean()), error, bound=True, warnings=(unseen,))


def _features(x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"]) -> list[tuple[ndarray, ndarray]]:
    """The radial features of normal scores, for each degree that the rows can bear."""
    most = min(MOST_FEATURES, len(x) // FEWEST_ROWS_A_FEATURE) / max(x.shape[1], y.shape[1])
    return [
        (radial_features(x, degree), radial_features(y, degree)) for degree in (1, *DEGREES) if degree <= max(1, most)
    ]


def _fit(
    x: ndarray,
    y: ndarray,
    features: list[tuple[ndarray, ndarray]],
    fit: Int[ndarray, "rows"],
    validation: Int[ndarray, "held"],
) -> tuple[Scores, Scores, Scores, tuple[ndarray, ndarray]]:
    """The Gaussian copula, the Student copula and the best copula of variates, fitted on rows `fit` of ranks; and what
    a network sees of both variables."""
    gaussian, student = _copula(x, y, fit, math.inf), _copula(x, y, fit)
    variates = [canonical_variates(*pair, fit, LEADING_COORDINATES) for pair in features]
    turning = variates[-1]
    base, value = _best([gaussian, student], validation)
    for found in variates:
        for pairs in range(1, min(PAIRS, found.x.shape[1]) + 1):
            ranks = uniform_ranks(found.x[:, :pairs]), uniform_ranks(found.y[:, :pairs])
            better, reached = _best([_copula(*ranks, fit, math.inf)], validation)
            if reached > value:
                better, _ = _best([better, _copula(*ranks, fit)], validation)
                base, value, turning = better, reached, found
    inputs = tuple(
        np.hstack([linear, turned[:, :PAIRS], _radius(ranks)])
        for linear, turned, ranks in ((variates[0].x, turning.x, x), (variates[0].y, turning.y, y))
    )
    return gaussian, student, base, inputs


def _radius(ranks: Float[ndarray, "samples dim"]) -> Float[ndarray, "samples one"]:
    return np.sqrt((ndtri(ranks) ** 2).sum(axis=1, keepdims=True))


def _copula(x: ndarray, y: ndarray, fit: Int[ndarray, "rows"], freedom: float | None = None) -> Scores:
    copula = fit_student_copula(x[fit], y[fit], freedom=freedom)
    x, y = quantiles(x, copula.freedom), quantiles(y, copula.freedom)
    return lambda rows: copula.log_ratio(x[rows], y[rows])


def _best(models: list[Scores], rows: Int[ndarray, "rows"]) -> tuple[Scores, float]:
    """The model that some rows like best, and how much they do."""
    rows = rows[:MOST_TOGETHER]
    values = [float(held_out_terms(scores(rows)).mean()) for scores in models]
    best = int(np.argmax(values))
    return models[best], values[best]
