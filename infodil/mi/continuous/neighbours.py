"""Nearest-neighbour estimators for few dims: two continuous variables, labels and a continuous one, mixtures. In nats.

All are nearly unbiased where the variables are independent, and read too little where the density changes within the
distance of a few neighbours: from about four dims in all, or for much information with few samples.
"""

__all__ = ["NeighbourOptions", "ksg", "mixed_ksg", "ross"]

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import digamma

from infodil.checks import UserError
from infodil.mi.continuous.balls import INSIDE, Terms, count_within, find_balls
from infodil.mi.continuous.gaussian import RawEstimate
from infodil.statistics import Clusters


@dataclass(frozen=True)
class NeighbourOptions:
    """Settings of the nearest-neighbour estimators.

    Attributes:
        neighbours: Rank of the neighbour whose distance sets the ball. Kraskov et al. advise 2 to 4; five has less
            variance and no visible bias at a thousand rows.
        folds: Folds of dependent rows; neighbours are then looked for among the other folds only.
        parts: Parts that the sample is divided into to see its error and its growth.
        divisions: Times the sample is divided.
        fewest_of_a_part: Rows that each part needs.
        overlap: Variance of the mean logarithm of the volumes of overlapping balls, in variances of balls that share no
            row: 1.5 to 1.7 for uniform points on a torus in one to six dims, third to tenth neighbour. Within a ball
            any smooth density is uniform.
        influence: The same of the mean influence of a row, 4.1 to 4.3 in two dims and more: leaving one row out moves
            the edges of several balls, which a jackknife counts as if rows did so one by one.
        growth_nats: What parts of the sample may read below the whole before the value is said to be still growing.
    """

    neighbours: int = 5
    folds: int = 8
    parts: int = 8
    divisions: int = 2
    fewest_of_a_part: int = 32
    overlap: float = 1.6
    influence: float = 4.2
    growth_nats: float = 0.4


def ksg(
    x: Float[ndarray, "rows dim_x"],
    y: Float[ndarray, "rows dim_y"],
    clusters: Clusters,
    *,
    seed: int = 0,
    options: NeighbourOptions = NeighbourOptions(),
    dims: int | None = None,
) -> RawEstimate:
    r"""Mutual information of two continuous variables from distances to nearest neighbours in the maximum norm.

    .. math:: I(X;Y) = \psi(k) + \psi(N) - \langle \psi(n_x + 1) + \psi(n_y + 1) \rangle

    with `n_x` the rows nearer in `x` than the k-th neighbour in `(x, y)`. Where rows depend on each other, neighbours
    of a row are looked for outside its fold only, so that a slow series is not its own neighbour.

    Args:
        x: Columns without ties.
        y: Columns without ties.
        clusters: Rows that may depend on each other.
        seed: Seed of folds and parts.
        options: Settings.
        dims: Columns that have a density, where some are labels; by default all.

    Reference:
        Kraskov, Stögbauer & Grassberger (2004), "Estimating mutual information", equation 8.
    """
    dims = x.shape[1] + y.shape[1] if dims is None else dims
    return _with_error(_ksg_terms, x, y, clusters, seed, options, dims)


def _ksg_terms(
    x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions, influence: bool = False
) -> Terms:
    joint = np.hstack([x, y])
    terms = Terms.empty(len(x))
    for query, pool in _searches(clusters, len(x), seed, options):
        own = query is pool  # every row finds itself, and is counted
        balls = find_balls(joint[query], joint[pool], options.neighbours, own)
        near = [count_within(part[query], part[pool], INSIDE * balls.radius) + (not own) for part in (x, y)]
        terms.set(query, len(pool) + (not own), options.neighbours, near)
        if influence:
            reach = INSIDE * balls.next_radius
            next_near = [count_within(part[query], part[pool], reach) + (not own) for part in (x, y)]
            terms.add_influence(pool[balls.members], near, next_near)
    return terms


def mixed_ksg(
    x: Float[ndarray, "rows dim_x"],
    y: Float[ndarray, "rows dim_y"],
    clusters: Clusters,
    *,
    seed: int = 0,
    options: NeighbourOptions = NeighbourOptions(),
) -> RawEstimate:
    r"""Mutual information of variables that may have both density and atoms (values taken with positive probability).

    .. math:: I(X;Y) = \langle \psi(\tilde k_i) + \psi(N) - \psi(n_{x,i} + 1) - \psi(n_{y,i} + 1) \rangle

    A k-th neighbour at distance 0 means an atom: then `k` is the rows at distance 0. As in the authors' program `psi`
    stands in place of the paper's logarithms: without atoms this is `ksg`. Where a ball ends at a tie, as between
    rounded numbers, it reads up to half a bit too much: `ksg` breaks ties and does not.

    Args:
        x: Columns.
        y: Columns.
        clusters: Rows that may depend on each other.
        seed: Seed of folds and parts.
        options: Settings.

    Reference:
        Gao, Kannan, Oh & Viswanath (2017), "Estimating Mutual Information for Discrete-Continuous Mixtures",
        algorithm 1.
    """
    return _with_error(_mixed_terms, x, y, clusters, seed, options, x.shape[1] + y.shape[1])


def _mixed_terms(
    x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions, influence: bool = False
) -> Terms:
    joint = np.hstack([x, y])
    terms = Terms.empty(len(x))
    for query, pool in _searches(clusters, len(x), seed, options):
        own = query is pool
        balls = find_balls(joint[query], joint[pool], options.neighbours, own)
        atom = balls.radius == 0.0
        neighbours = np.full(len(query), options.neighbours)
        if atom.any():  # the row that asks is not among those counted
            neighbours[atom] = count_within(joint[query][atom], joint[pool], balls.radius[atom]) + (not own)
        near = [count_within(part[query], part[pool], INSIDE * balls.radius) + (not own) for part in (x, y)]
        terms.set(query, len(pool) + (not own), neighbours, near)
        if influence:
            reach = INSIDE * np.where(atom, 0.0, balls.next_radius)
            next_near = [count_within(part[query], part[pool], reach) + (not own) for part in (x, y)]
            terms.add_influence(pool[balls.members], near, next_near)
    return terms


def ross(
    labels: Int[ndarray, "rows"],
    y: Float[ndarray, "rows dim"],
    clusters: Clusters,
    *,
    seed: int = 0,
    options: NeighbourOptions = NeighbourOptions(),
) -> RawEstimate:
    r"""Mutual information of labels and a continuous variable.

    .. math:: I(X;Y) = \psi(N) - \langle \psi(N_x) \rangle + \langle \psi(k) \rangle - \langle \psi(m + 1) \rangle

    with `N_x` the rows of the same label and `m` the rows nearer than the k-th neighbour of that label; `k` is smaller
    where a label has fewer rows.

    Args:
        labels: Label of each row.
        y: Columns without ties.
        clusters: Rows that may depend on each other.
        seed: Seed of folds and parts.
        options: Settings.

    Raises:
        UserError: No label has two rows.

    Reference:
        Ross (2014), "Mutual Information between Discrete and Continuous Data Sets", equation 2.
    """
    _, place, counts = np.unique(labels, return_inverse=True, return_counts=True)
    repeated = counts[place.reshape(-1)] > 1
    if not repeated.any():
        raise UserError(
            f"`x` must repeat labels, got {len(counts)} different ones in {len(labels)} rows: "
            "labels that never repeat cannot be told from their vectors."
        )
    rows = clusters.select(repeated)
    estimate = _with_error(_ross_terms, labels[repeated], y[repeated], rows, seed, options, y.shape[1])
    if repeated.all():
        return estimate
    left_out = f"{int((~repeated).sum())} rows whose label has no other row are left out"
    return replace(estimate, warnings=(*estimate.warnings, left_out))


def _ross_terms(
    labels: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions, influence: bool = False
) -> Terms:
    terms = Terms.empty(len(y))
    for query, pool in _searches(clusters, len(y), seed, options):
        own = query is pool
        for label in np.unique(labels[query]):
            mine, others = query[labels[query] == label], pool[labels[pool] == label]
            k = min(options.neighbours, len(others) - own)
            if k < 1:
                continue
            balls = find_balls(y[mine], y[others], k, own)
            near = [count_within(y[mine], y[pool], INSIDE * balls.radius) + (not own)]
            terms.set(mine, len(pool) + (not own), k, near)
            terms.values[mine] -= digamma(len(others) + (not own))
            if influence:
                next_near = [count_within(y[mine], y[pool], INSIDE * balls.next_radius) + (not own)]
                terms.add_influence(others[balls.members], near, next_near)
    alone = np.isnan(terms.values)  # a label with no other row to be near
    terms.values[alone] = 0.0 if alone.all() else terms.values[~alone].mean()
    return terms


ReadTerms = Callable[..., Terms]


def _with_error(
    read_terms: ReadTerms, x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions, dims: int
) -> RawEstimate:
    r"""Mean of the terms, with an error that knows that rows share neighbours, and what a larger sample may add.

    The influence of a row is its own term and what it adds to the terms of rows in whose balls it lies. Its variance
    counts the part v that comes from where balls end :math:`\kappa'` times (`options.influence`), where the mean has it
    :math:`\kappa` times (`options.overlap`), for balls of nearby rows share rows:

    .. math:: N s^2 = s_{infl}^2 - (\kappa' - \kappa) \langle v \rangle

    It is at least what terms of rows that share none would have, and the excess of overlapping balls.

    The variance of the means of parts of the sample falls like one over their size; the larger of both is taken. Where
    rows depend on each other, neighbours outside a fold read somewhat too little, and neighbours everywhere too much:
    half of the difference is counted as error.

    What parts of the sample read less than the whole shows the bias, which falls no faster than the sample's size to
    the power of one over the dims: so much of it may be left.

    Reference:
        Penrose & Yukich (2013), "Limit theory for point processes in manifolds", theorem 3.1, for sums over
        neighbours, whose excess variance is that of a uniform density; Holmes & Nemenman (2019), "Estimation of mutual
        information for real-valued data with error bars and controlled bias", for parts; Gao, Oh & Viswanath (2018),
        "Demystifying Fixed k-Nearest Neighbor Information Estimators", theorem 3, for the bias.
    """
    terms = read_terms(x, y, clusters, seed, options, influence=True)
    value, ball_variance = float(terms.values.mean()), terms.ball_variance.mean() / len(x)
    error = math.sqrt(
        max(
            clusters.standard_error(terms.values) ** 2 + (options.overlap - 1.0) * ball_variance,
            clusters.standard_error(terms.values + terms.influence) ** 2
            - (options.influence - options.overlap) * ball_variance,
        )
    )

    def mean_of(rows: Int[ndarray, "chosen"]) -> float:
        return float(read_terms(x[rows], y[rows], clusters.select(rows), seed, options).values.mean())

    if clusters.dependent:
        everywhere = read_terms(x, y, Clusters(clusters.index, dependent=False), seed, options).values.mean()
        error = math.hypot(error, (everywhere - value) / 2.0)
    if clusters.number < 2 * options.parts or len(x) < options.fewest_of_a_part * options.parts:
        return RawEstimate(value, error)
    generator = np.random.default_rng([seed, 0x9A87])
    spreads, means = [], []
    for _ in range(options.divisions):
        part = (generator.permutation(clusters.number) % options.parts)[clusters.index]
        if np.bincount(part).min() < options.fewest_of_a_part // 2:
            return RawEstimate(value, error)  # clusters of very unequal size: some parts are next to nothing
        parts = [mean_of(np.flatnonzero(part == number)) for number in range(options.parts)]
        spreads.append(np.var(parts, ddof=1) / options.parts)
        means.append(np.mean(parts))
    warnings = ()
    grown = value - float(np.mean(means))
    if grown > options.growth_nats:
        warnings = (
            f"{options.parts} times the samples read {grown:.2f} nats more: the value still grows with the sample, and "
            "has no limit if one variable is a function of the other",
        )
    missing = grown / (options.parts ** (1.0 / max(dims, 1)) - 1.0)
    return RawEstimate(value, max(error, math.sqrt(np.mean(spreads))), warnings=warnings, missing_nats=missing)


def _searches(
    clusters: Clusters, rows: int, seed: int, options: NeighbourOptions
) -> list[tuple[Int[ndarray, "query"], Int[ndarray, "pool"]]]:
    """Rows whose neighbours are looked for, and among which: all among all, or a fold among the others."""
    if not clusters.dependent:
        everyone = np.arange(rows)
        return [(everyone, everyone)]
    fold = clusters.folds(min(options.folds, clusters.number), seed)
    return [(np.flatnonzero(fold == number), np.flatnonzero(fold != number)) for number in np.unique(fold)]
