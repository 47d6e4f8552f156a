"""What to believe of two continuous variables: which reading fits their dims and the rows held out. In nats."""

__all__ = ["LOW_DIMS", "choose", "neighbour_coordinates"]

import math
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.mi.continuous.density_ratio import (
    FEWEST_TO_LEARN,
    FOLDS,
    MOST_TO_LEARN,
    ReadApart,
    bound_of,
    copula_terms,
    cross_fit,
)
from infodil.mi.continuous.elliptical import student_copula
from infodil.mi.continuous.gaussian import RawEstimate, gaussian, information_bias, normal_scores, whiten
from infodil.mi.continuous.neighbours import ksg, mixed_ksg
from infodil.mi.continuous.variables import Variable
from infodil.statistics import Clusters

LOW_DIMS = 3
"""Columns in all up to which nearest neighbours are taken at their word."""

MIDDLE_DIMS = 6
"""Columns in all up to which they may overrule a bound they exceed."""

MOST_TO_SEARCH = 200_000
"""Rows that neighbours are looked for among; of more, whole units are drawn."""

ALIKE = 0.1
"""The least eigenvalue of a correlation matrix below which some columns nearly repeat each other."""

SURE = 2.0
"""Standard errors by which a richer model must be better to be believed."""

DOUBT = 3.0
"""Standard errors by which a closed form may differ from the same model read on rows held out."""


def choose(x: Variable, y: Variable, rows: Clusters, seed: int) -> tuple[str, RawEstimate]:
    """The name of the method that the rule in `estimate` picks, and what it reads."""
    dims = x.dim + y.dim
    atoms = x.has_atoms or y.has_atoms
    if dims <= LOW_DIMS:
        return _neighbours(x, y, rows, seed)
    if len(x.values) < FEWEST_TO_LEARN:
        few = f"with fewer than {FEWEST_TO_LEARN} samples only dependence that a correlation shows is seen"
        return "gaussian-copula", replace(
            gaussian(normal_scores(x.values), normal_scores(y.values), rows), warnings=(few,)
        )
    kept = rows.subsample(MOST_TO_LEARN, seed)
    columns = x.values, y.values
    if not atoms:
        columns = _columns(*columns, kept, rows.select(kept), seed)
    apart = cross_fit(columns[0][kept], columns[1][kept], rows.select(kept), seed=seed)
    name, reading = _judge(apart, *columns, rows, rows.select(kept), atoms)
    if dims <= MIDDLE_DIMS:
        other, near = _neighbours(x, y, rows, seed)
        error = math.hypot(near.standard_error_nats, reading.standard_error_nats)
        if near.value_nats - reading.value_nats > DOUBT * error:
            return other, near
    return name, reading


def _columns(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    kept: Int[ndarray, "rows"],
    rows: Clusters,
    seed: int,
) -> tuple[Float[ndarray, "samples dim_x"], Float[ndarray, "samples dim_y"]]:
    """The columns as they are, or whitened before ranks are taken where a copula of these reads more on rows held out.

    Ranks undo what was done to a column alone, and lose what small differences of nearly equal columns say.
    """
    white = whiten(x), whiten(y)
    fold = rows.folds(FOLDS, seed)
    fit, test = np.flatnonzero(fold != 0), np.flatnonzero(fold == 0)
    plain, turned = (copula_terms(part[0][kept], part[1][kept], fit, test) for part in ((x, y), white))
    gain = turned - plain
    return white if gain.mean() > SURE * rows.select(test).standard_error(gain) else (x, y)


def neighbour_coordinates(variable: Variable) -> Float[ndarray, "samples dim"]:
    """Normal scores, whitened if several: balls of neighbours then do not depend on the units of the columns.

    Columns that nearly repeat each other are whitened before their ranks are taken too.
    """
    scores = normal_scores(variable.values)
    if variable.dim == 1 or variable.has_atoms:
        return scores
    if np.linalg.eigvalsh(np.corrcoef(scores, rowvar=False))[0] < ALIKE:
        scores = normal_scores(whiten(variable.values))
    return whiten(scores)


def _neighbours(x: Variable, y: Variable, rows: Clusters, seed: int) -> tuple[str, RawEstimate]:
    kept = rows.subsample(MOST_TO_SEARCH, seed)
    name, read = ("mixed-ksg", mixed_ksg) if x.has_atoms or y.has_atoms else ("ksg", ksg)
    coordinates = (neighbour_coordinates(part)[kept] for part in (x, y))
    return name, read(*coordinates, rows.select(kept), seed=seed)


def _judge(
    apart: ReadApart,
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    rows: Clusters,
    kept: Clusters,
    atoms: bool,
) -> tuple[str, RawEstimate]:
    """A closed form if rows held out agree with it and no richer model reads more, else the learned bound."""
    error = kept.standard_error
    better = apart.student - apart.gaussian
    if better.mean() > SURE * error(better):
        name, terms, closed = "student-copula", apart.student, student_copula(x, y, rows)
    else:
        name, terms, closed = "gaussian-copula", apart.gaussian, gaussian(normal_scores(x), normal_scores(y), rows)
    # What estimating the parameters costs on rows held out is about what it gains on those fitted.
    cost = 2.0 * information_bias(apart.fit_rows, x.shape[1], y.shape[1])
    fits = abs(closed.value_nats - terms.mean()) <= DOUBT * error(terms) + cost
    exceeded = apart.learned.mean() - closed.value_nats > SURE * error(apart.learned - terms)
    if fits and not exceeded and not atoms:
        return name, replace(closed, warnings=("dependence that no copula and no network found is not in it",))
    return "learned", bound_of(apart, kept)
