"""Choice of the estimator of two continuous variables: by their dims, and by held-out rows. In nats."""

__all__ = ["ChoiceOptions", "choose", "neighbour_coordinates", "neighbours"]

import math
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.mi.continuous.density_ratio import (
    RatioOptions,
    ReadApart,
    bound_of,
    copula_terms,
    cross_fit,
)
from infodil.mi.continuous.elliptical import student_copula
from infodil.mi.continuous.gaussian import RawEstimate, gaussian, information_bias, normal_scores, whiten
from infodil.mi.continuous.neighbours import ksg
from infodil.mi.continuous.variables import Variable
from infodil.statistics import Clusters

APART = 1e4
"""Distance between rows of different labels among the coordinates: far beyond any normal score."""


@dataclass(frozen=True)
class ChoiceOptions:
    """Settings of the choice.

    Attributes:
        low_dims: Columns with a density, of both variables, up to which nearest neighbours are believed.
        middle_dims: Columns up to which nearest neighbours overrule a bound that they exceed.
        most_to_search: Rows that neighbours are looked for among; of more, whole clusters are drawn.
        alike: Least eigenvalue of a correlation matrix below which some columns nearly repeat each other.
        richer: Standard errors by which a richer model must be better to be believed.
        apart: Standard errors by which a closed form may differ from the same model on held-out rows.
        ratio: Settings of the models that are read on held-out rows.
    """

    low_dims: int = 3
    middle_dims: int = 6
    most_to_search: int = 200_000
    alike: float = 0.1
    richer: float = 2.0
    apart: float = 3.0
    ratio: RatioOptions = RatioOptions()


def choose(
    x: Variable, y: Variable, clusters: Clusters, seed: int, options: ChoiceOptions = ChoiceOptions()
) -> tuple[str, RawEstimate]:
    """Name of the method that the rule in `infodil.mi.estimate` picks, and its estimate.

    Args:
        x: Vectors.
        y: Vectors.
        clusters: Rows that may depend on each other.
        seed: Seed of folds, networks and dither.
        options: Settings.
    """
    dims = x.dim + y.dim
    if dims - len(x.atomic) - len(y.atomic) <= options.low_dims:
        return "ksg", neighbours(x, y, clusters, seed, options)
    if len(x.values) < options.ratio.fewest_to_learn:
        few = (
            f"a lower bound: with fewer than {options.ratio.fewest_to_learn} samples only dependence that correlation "
            "shows is seen"
        )
        return "gaussian-copula", replace(gaussian(x.scores, y.scores, clusters), bound=True, warnings=(few,))
    kept = clusters.subsample(options.ratio.most_to_learn, seed)
    atoms = x.has_atoms or y.has_atoms
    columns = x.columns, y.columns
    if not atoms:
        columns = _whiten_if_better(*columns, kept, clusters.select(kept), seed, options)
    given = {"seed": seed, "all_folds": atoms, "options": options.ratio}
    apart = cross_fit(columns[0][kept], columns[1][kept], clusters.select(kept), **given)
    name, chosen = _judge(apart, *columns, clusters, clusters.select(kept), atoms, options)
    if dims <= options.middle_dims:
        near = neighbours(x, y, clusters, seed, options)
        error = math.hypot(near.standard_error_nats, chosen.standard_error_nats)
        if near.value_nats - chosen.value_nats > options.apart * error:
            return "ksg", near
    return name, chosen


def neighbours(
    x: Variable, y: Variable, clusters: Clusters, seed: int, options: ChoiceOptions = ChoiceOptions()
) -> RawEstimate:
    """Estimate of `ksg` from the coordinates of both variables, on a part of very many rows."""
    kept = clusters.subsample(options.most_to_search, seed)
    dims = x.dim + y.dim - len(x.atomic) - len(y.atomic)
    parts = (x, y) if dims else (replace(x, atomic=()), replace(y, atomic=()))  # labels alone leave no distances
    coordinates = (neighbour_coordinates(part, options)[kept] for part in parts)
    return ksg(*coordinates, clusters.select(kept), seed=seed, dims=dims or x.dim + y.dim)


def neighbour_coordinates(
    variable: Variable, options: ChoiceOptions = ChoiceOptions()
) -> Float[ndarray, "rows coordinates"]:
    """Normal scores, whitened if several: balls of neighbours then do not depend on the units of the columns.

    Columns that nearly repeat each other are whitened before their ranks are taken, too. Columns of few values are one
    label, whose rows lie far apart from those of any other: a neighbour has the same label.
    """
    density = [column for column in range(variable.dim) if column not in variable.atomic]
    scores = variable.scores[:, density]
    if len(density) > 1 and not variable.has_atoms:
        if np.linalg.eigvalsh(np.corrcoef(scores, rowvar=False))[0] < options.alike:
            scores = normal_scores(whiten(variable.columns[:, density]))
        scores = whiten(scores)
    if not variable.atomic:
        return scores
    label = np.unique(variable.values[:, list(variable.atomic)], axis=0, return_inverse=True)[1]
    return np.hstack([APART * label.reshape(-1, 1), scores])


def _whiten_if_better(
    x: Float[ndarray, "rows dim_x"],
    y: Float[ndarray, "rows dim_y"],
    kept: Int[ndarray, "kept"],
    clusters: Clusters,
    seed: int,
    options: ChoiceOptions,
) -> tuple[Float[ndarray, "rows dim_x"], Float[ndarray, "rows dim_y"]]:
    """The columns, whitened before ranks are taken where a copula of these says more of held-out rows.

    Ranks undo what was done to a column alone, and lose what small differences of nearly equal columns say.
    """
    white = whiten(x), whiten(y)
    fold = clusters.folds(options.ratio.folds, seed)
    fit, test = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    plain, whitened = (copula_terms(part[0][kept], part[1][kept], fit, test) for part in ((x, y), white))
    gain = whitened - plain
    return white if gain.mean() > options.richer * clusters.select(test).standard_error(gain) else (x, y)


def _judge(
    apart: ReadApart,
    x: Float[ndarray, "rows dim_x"],
    y: Float[ndarray, "rows dim_y"],
    clusters: Clusters,
    kept: Clusters,
    atoms: bool,
    options: ChoiceOptions,
) -> tuple[str, RawEstimate]:
    r"""A closed form if held-out rows agree with it and no richer model says more, else the learned bound.

    The closed form of normal scores is a lower bound where the columns of one variable have a Gaussian copula among
    themselves, as a single column always has: then, whatever the other variable is,

    .. math:: I(X; Y) = h(Y) - h(Y \mid X) \ge \tfrac12 \log \frac{\det \Sigma_Y}{\det \Sigma_{Y - AX}},

    for a Gaussian vector has the greatest entropy of its covariance. Else its agreement with the bound that held-out
    rows give makes it one, up to three standard errors.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 8.6.5.
    """
    error = kept.select(apart.rows).standard_error
    better = apart.student - apart.gaussian
    if better.mean() > options.richer * error(better):
        name, terms, closed = "student-copula", apart.student, student_copula(x, y, clusters)
    else:
        scores = normal_scores(x), normal_scores(y)
        name, terms, closed = "gaussian-copula", apart.gaussian, gaussian(*scores, clusters)
    # What estimating the parameters costs on held-out rows is about what it gains on those fitted.
    cost = information_bias(apart.fit_rows, x.shape[1], y.shape[1])
    fits = abs(closed.value_nats - terms.mean()) <= options.apart * error(terms) + 2.0 * cost
    more = apart.learned - terms
    exceeded = more.mean() - cost > options.richer * error(more)
    if fits and not exceeded and not atoms:
        unseen = "a lower bound: dependence that no copula and no network found is not in it"
        return name, replace(closed, bound=True, warnings=(unseen,))
    return "learned", bound_of(apart, kept)
