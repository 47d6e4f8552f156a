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
from scipy.spatial import cKDTree
from scipy.special import digamma

from infodil.checks import UserError
from infodil.mi.continuous.gaussian import RawEstimate
from infodil.statistics import Clusters, jackknife_error

INSIDE = 1.0 - 1e-6
"""Share of the distance to the k-th neighbour that counts as strictly nearer, whatever a sum of floats rounds to."""


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
        inflation: Standard error of the mean of terms of rows that share neighbours, in standard errors of terms that
            do not: 1.1 to 1.35 for normal pairs of any correlation at 300 to 5,000 rows.
        deleted: Groups of clusters that the jackknife leaves out one at a time.
        most_deleted: Rows up to which the error is the jackknife's, too.
        growth_nats: What parts of the sample may read below the whole before the value is said to be still growing.
    """

    neighbours: int = 5
    folds: int = 8
    parts: int = 8
    divisions: int = 2
    fewest_of_a_part: int = 32
    inflation: float = 1.2
    deleted: int = 10
    most_deleted: int = 1000
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
    of a row are looked for outside its fold only, so that a slow series is not its own neighbour. That reads somewhat
    too little, and looking everywhere too much: half the difference is counted as error.

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
    estimate = _with_error(_ksg_terms, x, y, clusters, seed, options, dims)
    if not clusters.dependent:
        return estimate
    everywhere = _ksg_terms(x, y, Clusters(clusters.index, dependent=False), seed, options).mean()
    error = math.hypot(estimate.standard_error_nats, (everywhere - estimate.value_nats) / 2.0)
    return replace(estimate, standard_error_nats=error)


def _ksg_terms(
    x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions
) -> Float[ndarray, "rows"]:
    joint = np.hstack([x, y])
    terms = np.empty(len(x))
    for query, pool in _searches(clusters, len(x), seed, options):
        outside = query is not pool  # else every row finds itself first, and is counted
        distance = INSIDE * _distance(joint[query], joint[pool], options.neighbours + 1 - outside)
        near_x = _count(x[query], x[pool], distance) + outside
        near_y = _count(y[query], y[pool], distance) + outside
        terms[query] = digamma(options.neighbours) + digamma(len(pool) + outside) - digamma(near_x) - digamma(near_y)
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
    x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions
) -> Float[ndarray, "rows"]:
    joint = np.hstack([x, y])
    terms = np.empty(len(x))
    for query, pool in _searches(clusters, len(x), seed, options):
        outside = query is not pool  # the row that asks is not among those counted
        distance = _distance(joint[query], joint[pool], options.neighbours + 1 - outside)
        atom = distance == 0.0
        neighbours = np.full(len(query), options.neighbours)
        if atom.any():
            neighbours[atom] = _count(joint[query][atom], joint[pool], distance[atom]) + outside
        near_x = _count(x[query], x[pool], INSIDE * distance) + outside
        near_y = _count(y[query], y[pool], INSIDE * distance) + outside
        terms[query] = digamma(neighbours) + digamma(len(pool) + outside) - digamma(near_x) - digamma(near_y)
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
    labels: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions
) -> Float[ndarray, "rows"]:
    terms = np.full(len(y), np.nan)  # where a label has no other row to be near
    for query, pool in _searches(clusters, len(y), seed, options):
        outside = query is not pool
        for label in np.unique(labels[query]):
            mine, others = query[labels[query] == label], pool[labels[pool] == label]
            k = min(options.neighbours, len(others) - 1 + outside)
            if k < 1:
                continue
            distance = INSIDE * _distance(y[mine], y[others], k + 1 - outside)
            near = _count(y[mine], y[pool], distance) + outside
            terms[mine] = digamma(len(pool) + outside) - digamma(len(others) + outside) + digamma(k) - digamma(near)
    return np.where(np.isnan(terms), np.nanmean(terms), terms)


Terms = Callable[[ndarray, ndarray, Clusters, int, NeighbourOptions], Float[ndarray, "rows"]]


def _with_error(
    read_terms: Terms, x: ndarray, y: ndarray, clusters: Clusters, seed: int, options: NeighbourOptions, dims: int
) -> RawEstimate:
    """Mean of the terms, with an error that knows that rows share neighbours, and what a larger sample may add.

    The variance of terms alone is too small by a tenth to a third. That of the means of parts of the sample falls like
    one over their size; the larger of both is taken. A small sample is not large enough for either, and has the
    delete-a-group jackknife, which errs on the side of more.

    What parts of the sample read less than the whole shows the bias, which falls no faster than the sample's size to
    the power of one over the dims: so much of it may be left.

    Reference:
        Holmes & Nemenman (2019), "Estimation of mutual information for real-valued data with error bars and controlled
        bias", for parts; Kott (2001), The delete-a-group jackknife; Gao, Oh & Viswanath (2018), "Demystifying Fixed
        k-Nearest Neighbor Information Estimators", theorem 3, for the bias.
    """
    terms = read_terms(x, y, clusters, seed, options)
    value, error = float(terms.mean()), options.inflation * clusters.standard_error(terms)

    def mean_of(rows: Int[ndarray, "chosen"]) -> float:
        return float(read_terms(x[rows], y[rows], clusters.select(rows), seed, options).mean())

    if clusters.number < 2 * options.parts:
        return RawEstimate(value, error)
    generator = np.random.default_rng([seed, 0x9A87])
    if len(x) <= options.most_deleted:
        group = (generator.permutation(clusters.number) % options.deleted)[clusters.index]
        remaining = np.array([mean_of(np.flatnonzero(group != number)) for number in np.unique(group)])
        error = max(error, float(jackknife_error(remaining)))
    if len(x) < options.fewest_of_a_part * options.parts:
        return RawEstimate(value, error)
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


def _distance(query: ndarray, pool: ndarray, k: int) -> Float[ndarray, "query"]:
    """Distance to the k-th nearest row in the maximum norm."""
    return cKDTree(pool).query(query, k=[k], p=np.inf)[0][:, 0]


def _count(query: ndarray, pool: ndarray, radius: Float[ndarray, "query"]) -> Int[ndarray, "query"]:
    """Rows within `radius`, boundary included."""
    if pool.shape[1] == 1:  # sorted numbers are faster than a tree, whose answer for a dense column is long
        ordered = np.sort(pool[:, 0])
        high = np.searchsorted(ordered, query[:, 0] + radius, side="right")
        return high - np.searchsorted(ordered, query[:, 0] - radius, side="left")
    return cKDTree(pool).query_ball_point(query, radius, p=np.inf, return_length=True)
