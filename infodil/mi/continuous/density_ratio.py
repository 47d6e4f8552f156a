"""Density ratios learned on some rows and read on others: a lower bound for any distribution. All values in nats."""

__all__ = ["RatioOptions", "ReadApart", "bound_of", "copula_terms", "cross_fit", "held_out_terms", "learned"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import ndtri

from infodil.checks import UserError
from infodil.mi.continuous.canonical_correlation import canonical_variates, radial_features
from infodil.mi.continuous.critics import CriticOptions, train_critic
from infodil.mi.continuous.elliptical import fit_student_copula, quantiles, uniform_ranks
from infodil.mi.continuous.gaussian import RawEstimate, information_bias
from infodil.mi.continuous.residual import Scores, residual_dependence
from infodil.statistics import Clusters


@dataclass(frozen=True)
class RatioOptions:
    """Settings of density ratios that are learned on some rows and read on others.

    Attributes:
        folds: Folds of whole clusters, each scored by a model learned from the others.
        validation: One in so many clusters of the training folds is held back to choose the model and to stop its
            training.
        degrees: Numbers of polynomials of the radius tried, beside plain coordinates.
        fewest_to_learn: Rows; from fewer a network learns nothing that the rows held back could confirm.
        most_to_learn: Rows; of more, whole clusters are drawn.
        pairs: Variates at most: a copula of more of them counts functions of one direction as if they were several.
        leading: Linear canonical coordinates that the network sees beside the variates.
        suspicious: Standard errors of dependence left over from which on a network is trained: one in fifteen models
            that left nothing.
        richer: Standard errors that a richer model, or a network, must add on the first fold for it to be fitted on the
            others: of what would show at two standard errors on all folds, one in three that adds nothing, and two in
            three of those that add so much.
        most_features: Features of a variable at most.
        fewest_rows_a_feature: Rows that each feature needs.
        together: Rows scored against each other: the bound cannot exceed the logarithm of it, 7.6 nats.
        critic: Settings of the network.
    """

    folds: int = 4
    validation: int = 8
    degrees: tuple[int, ...] = (2, 4, 8)
    fewest_to_learn: int = 400
    most_to_learn: int = 40_000
    pairs: int = 4
    leading: int = 10
    suspicious: float = 1.5
    richer: float = 0.5
    most_features: int = 400
    fewest_rows_a_feature: int = 10
    together: int = 2048
    critic: CriticOptions = CriticOptions()


@dataclass(frozen=True, eq=False)
class ReadApart:
    """The pointwise terms of models fitted without the row they are read on."""

    gaussian: Float[ndarray, "samples"]
    """Of the Gaussian copula."""
    student: Float[ndarray, "samples"]
    """Of the Student copula."""
    learned: Float[ndarray, "samples"]
    """Of the model that the rows held back for it liked best."""
    rows: Int[ndarray, "samples"]
    """Rows that were read: the first fold alone, where it showed nothing beyond the Gaussian copula."""
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
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    clusters: Clusters,
    *,
    seed: int = 0,
    all_folds: bool = True,
    options: RatioOptions = RatioOptions(),
) -> ReadApart:
    """Fit all models on three folds and read them on the fourth, four times.

    The learned model starts from the best copula of the ranks or of the first variates that turn with the radius
    (`canonical_variates`), chosen on rows held back. If that left dependence over (`residual_dependence`), a network
    adds to it what these rows confirm. Where a network adds nothing on the first fold, none is trained on the others.

    Args:
        x: Columns.
        y: Columns.
        clusters: Rows that may depend on each other.
        seed: Seed of folds and networks.
        all_folds: Whether all folds are read even where the first one shows nothing beyond the Gaussian copula.
        options: Settings.
    """
    x, y = uniform_ranks(x), uniform_ranks(y)
    fold = clusters.folds(options.folds, seed)
    features = _features(ndtri(x), ndtri(y), options)
    fit_rows = len(x) * (options.folds - 1) * (options.validation - 1) // (options.folds * options.validation)
    terms, read, train_network = [], [], True
    for number in range(options.folds):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        back = clusters.select(train).folds(options.validation, seed + 1) == 0
        fit, validation = train[~back], train[back]
        gaussian, student, base, inputs = _fit(x, y, features, fit, validation, options)
        trained = base
        if number == 0:
            train_network = residual_dependence(base, *inputs, fit, test, clusters) > options.suspicious
        if train_network:
            trained, _ = train_critic(*inputs, fit, validation, base=base, seed=seed, options=options.critic)
        values = _held_out((gaussian, student, trained, base), test, options)
        read.append(test)
        terms.append(values[:3])
        if number == 0:  # what is fitted on the other folds may follow from this one: it is among their training rows
            error = clusters.select(test).standard_error
            richer = [values[1] - values[0], values[2] - values[0] - information_bias(fit_rows, x.shape[1], y.shape[1])]
            network = values[2] - values[3]
            train_network = network.mean() > options.richer * error(network)
            if not all_folds and all(gain.mean() <= options.richer * error(gain) for gain in richer):
                break
    return ReadApart(*np.concatenate(terms, axis=1), rows=np.concatenate(read), fit_rows=fit_rows)


def copula_terms(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    fit: Int[ndarray, "rows"],
    test: Int[ndarray, "held"],
) -> Float[ndarray, "held"]:
    """The terms of rows `test` under the better copula, Gaussian or Student, that was fitted on rows `fit`."""
    x, y = uniform_ranks(x), uniform_ranks(y)
    models = (_copula(x, y, fit, math.inf), _copula(x, y, fit))
    return max(_held_out(models, test, RatioOptions()), key=np.mean)


def _held_out(
    models: Sequence[Scores], rows: Int[ndarray, "held"], options: RatioOptions
) -> Float[ndarray, "models held"]:
    """The terms of rows under each model; a model that is named twice is read once."""
    terms = {}
    for model in models:
        if model not in terms:
            parts = np.array_split(rows, math.ceil(len(rows) / options.together))
            terms[model] = np.concatenate([held_out_terms(model(part)) for part in parts])
    return np.array([terms[model] for model in models])


def learned(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    clusters: Clusters,
    *,
    seed: int = 0,
    options: RatioOptions = RatioOptions(),
) -> RawEstimate:
    """The lower bound of the learned model of `cross_fit`.

    Raises:
        UserError: fewer samples than a model can be learned from.
    """
    if len(x) < options.fewest_to_learn:
        raise UserError(
            f"`x` must have at least {options.fewest_to_learn} rows for method='learned', got {len(x)}: pass more "
            "samples or method='gaussian-copula'."
        )
    kept = clusters.subsample(options.most_to_learn, seed)
    return bound_of(
        cross_fit(x[kept], y[kept], clusters.select(kept), seed=seed, options=options), clusters.select(kept)
    )


def bound_of(apart: ReadApart, clusters: Clusters) -> RawEstimate:
    """The reading of the learned model, with what it cannot see."""
    options = RatioOptions()
    ceiling = math.log2(min(options.together, len(apart.learned) // options.folds))
    unseen = (
        f"a lower bound: what the critic did not learn from {apart.fit_rows:,} rows is not in it, and it cannot exceed "
        f"{ceiling:.1f} bits"
    )
    error = clusters.select(apart.rows).standard_error(apart.learned)
    return RawEstimate(float(apart.learned.mean()), error, bound=True, warnings=(unseen,))


def _features(
    x: Float[ndarray, "samples dim_x"], y: Float[ndarray, "samples dim_y"], options: RatioOptions
) -> list[tuple[ndarray, ndarray]]:
    """The radial features of normal scores, for each degree that the rows can bear."""
    most = min(options.most_features, len(x) // options.fewest_rows_a_feature) / max(x.shape[1], y.shape[1])
    return [
        (radial_features(x, degree), radial_features(y, degree))
        for degree in (1, *options.degrees)
        if degree <= max(1, most)
    ]


def _fit(
    x: ndarray,
    y: ndarray,
    features: list[tuple[ndarray, ndarray]],
    fit: Int[ndarray, "rows"],
    validation: Int[ndarray, "held"],
    options: RatioOptions,
) -> tuple[Scores, Scores, Scores, tuple[ndarray, ndarray]]:
    """The Gaussian copula, the Student copula and the best copula of variates, fitted on rows `fit` of ranks; and what
    a network sees of both variables."""
    gaussian, student = _copula(x, y, fit, math.inf), _copula(x, y, fit)
    variates = [canonical_variates(*pair, fit, options.leading) for pair in features]
    turning = variates[-1]
    base, value = _best([gaussian, student], validation, options)
    for found in variates:
        for pairs in range(1, min(options.pairs, found.x.shape[1]) + 1):
            ranks = uniform_ranks(found.x[:, :pairs]), uniform_ranks(found.y[:, :pairs])
            better, reached = _best([_copula(*ranks, fit, math.inf)], validation, options)
            if reached > value:
                better, _ = _best([better, _copula(*ranks, fit)], validation, options)
                base, value, turning = better, reached, found
    inputs = tuple(
        np.hstack([linear, turned[:, : options.pairs], _radius(ranks)])
        for linear, turned, ranks in ((variates[0].x, turning.x, x), (variates[0].y, turning.y, y))
    )
    return gaussian, student, base, inputs


def _radius(ranks: Float[ndarray, "samples dim"]) -> Float[ndarray, "samples one"]:
    return np.sqrt((ndtri(ranks) ** 2).sum(axis=1, keepdims=True))


def _copula(x: ndarray, y: ndarray, fit: Int[ndarray, "rows"], freedom: float | None = None) -> Scores:
    copula = fit_student_copula(x[fit], y[fit], freedom=freedom)
    x, y = quantiles(x, copula.freedom), quantiles(y, copula.freedom)
    return lambda rows: copula.log_ratio(x[rows], y[rows])


def _best(models: list[Scores], rows: Int[ndarray, "rows"], options: RatioOptions) -> tuple[Scores, float]:
    """The model that some rows like best, and how much they do."""
    rows = rows[: options.together]
    values = [float(held_out_terms(scores(rows)).mean()) for scores in models]
    best = int(np.argmax(values))
    return models[best], values[best]
