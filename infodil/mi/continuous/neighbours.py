"""Nearest-neighbour estimators for few dims: two continuous variables, labels and a continuous one, mixtures. In nats.

All are nearly unbiased where the variables are independent, and read too little where the density changes within the
reach of a few neighbours: from about four dims in all, or for much information with few samples.
"""

__all__ = ["NEIGHBOURS", "ksg", "mixed_ksg", "ross"]

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from scipy.special import digamma

from infodil.checks import UserError
from infodil.mi.continuous.gaussian import RawEstimate
from infodil.statistics import Clusters, jackknife_error

NEIGHBOURS = 5
"""Kraskov et al. advise 2 to 4; five has less variance and no visible bias at a thousand rows."""

FOLDS = 8
"""Of dependent rows; neighbours are then looked for among the other folds only."""

INSIDE = 1.0 - 1e-6
"""Of the distance to the k-th neighbour: strictly nearer, whatever a sum of floats rounds to."""

PARTS, REPEATS, FEWEST_OF_A_PART = 8, 2, 32
"""Into which the sample is divided for its error, how often, and how many rows a part needs for it."""

SMALL, DELETED = 1000, 20
"""Up to so many rows the error is the jackknife's, which leaves out one of so many groups of units at a time."""

GROWTH_NATS = 0.4
"""What parts of the sample may read below the whole before the reading is said to be still growing."""


def ksg(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    rows: Clusters,
    *,
    seed: int = 0,
) -> RawEstimate:
    r"""Mutual information of two continuous variables from distances to nearest neighbours in the maximum norm.

    .. math:: I(X;Y) = \psi(k) + \psi(N) - \langle \psi(n_x + 1) + \psi(n_y + 1) \rangle

    with `n_x` the rows nearer in `x` than the k-th neighbour in `(x, y)`. Where rows depend on each other, neighbours
    of a row are looked for outside its fold only, so that a slow series is not its own neighbour. That reads somewhat
    too little, and looking everywhere too much: half the difference is counted as error.

    Reference:
        Kraskov, Stögbauer & Grassberger (2004), "Estimating mutual information", equation 8.
    """
    reading = _read(_ksg_terms, x, y, rows, seed)
    if not rows.dependent:
        return reading
    everywhere = _ksg_terms(x, y, Clusters(rows.index, dependent=False), seed).mean()
    error = math.hypot(reading.standard_error_nats, (everywhere - reading.value_nats) / 2.0)
    return replace(reading, standard_error_nats=error)


def _ksg_terms(x: ndarray, y: ndarray, rows: Clusters, seed: int) -> Float[ndarray, "samples"]:
    joint = np.hstack([x, y])
    terms = np.empty(len(x))
    for asked, among in _searches(rows, len(x), seed):
        alone = asked is not among  # else every row finds itself first, and is counted
        distance = INSIDE * _distance(joint[asked], joint[among], NEIGHBOURS + 1 - alone)
        near_x = _count(x[asked], x[among], distance) + alone
        near_y = _count(y[asked], y[among], distance) + alone
        terms[asked] = digamma(NEIGHBOURS) + digamma(len(among) + alone) - digamma(near_x) - digamma(near_y)
    return terms


def mixed_ksg(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    rows: Clusters,
    *,
    seed: int = 0,
) -> RawEstimate:
    r"""Mutual information of variables that may have both density and atoms (values taken with positive probability).

    .. math:: I(X;Y) = \langle \psi(\tilde k_i) + \psi(N) - \psi(n_{x,i} + 1) - \psi(n_{y,i} + 1) \rangle

    A k-th neighbour at distance 0 means an atom: then `k` is the rows at distance 0. As in the authors' program `psi`
    stands in place of the paper's logarithms: without atoms this is `ksg`.

    Reference:
        Gao, Kannan, Oh & Viswanath (2017), "Estimating Mutual Information for Discrete-Continuous Mixtures",
        algorithm 1.
    """
    return _read(_mixed_terms, x, y, rows, seed)


def _mixed_terms(x: ndarray, y: ndarray, rows: Clusters, seed: int) -> Float[ndarray, "samples"]:
    joint = np.hstack([x, y])
    terms = np.empty(len(x))
    for asked, among in _searches(rows, len(x), seed):
        alone = asked is not among  # the row that asks is not among those counted
        distance = _distance(joint[asked], joint[among], NEIGHBOURS + 1 - alone)
        atom = distance == 0.0
        neighbours = np.full(len(asked), NEIGHBOURS)
        if atom.any():
            neighbours[atom] = _count(joint[asked][atom], joint[among], distance[atom]) + alone
        near_x = _count(x[asked], x[among], INSIDE * distance) + alone
        near_y = _count(y[asked], y[among], INSIDE * distance) + alone
        terms[asked] = digamma(neighbours) + digamma(len(among) + alone) - digamma(near_x) - digamma(near_y)
    return terms


def ross(
    labels: Int[ndarray, "samples"], y: Float[ndarray, "samples dim"], rows: Clusters, *, seed: int = 0
) -> RawEstimate:
    r"""Mutual information of labels and a continuous variable.

    .. math:: I(X;Y) = \psi(N) - \langle \psi(N_x) \rangle + \langle \psi(k) \rangle - \langle \psi(m + 1) \rangle

    with `N_x` the rows of the same label and `m` the rows nearer than the k-th neighbour of that label; `k` is smaller
    where a label has fewer rows.

    Raises:
        UserError: no label has two rows.

    Reference:
        Ross (2014), "Mutual Information between Discrete and Continuous Data Sets", equation 2.
    """
    counts = np.unique(labels, return_inverse=True, return_counts=True)
    repeated = counts[2][counts[1].reshape(-1)] > 1
    if not repeated.any():
        raise UserError(
            f"`x` must repeat labels, got {len(counts[0])} different ones in {len(labels)} rows: "
            "labels that never repeat cannot be told from their vectors."
        )
    reading = _read(_ross_terms, labels[repeated], y[repeated], rows.select(repeated), seed)
    if repeated.all():
        return reading
    left_out = f"{int((~repeated).sum())} rows whose label has no other row are left out"
    return replace(reading, warnings=(*reading.warnings, left_out))


def _ross_terms(labels: ndarray, y: ndarray, rows: Clusters, seed: int) -> Float[ndarray, "samples"]:
    terms = np.full(len(y), np.nan)  # where a label has no other row to be near
    for asked, among in _searches(rows, len(y), seed):
        alone = asked is not among
        tree = cKDTree(y[among])
        for label in np.unique(labels[asked]):
            mine, others = asked[labels[asked] == label], among[labels[among] == label]
            k = min(NEIGHBOURS, len(others) - 1 + alone)
            if k < 1:
                continue
            distance = INSIDE * _distance(y[mine], y[others], k + 1 - alone)
            near = tree.query_ball_point(y[mine], distance, p=np.inf, return_length=True) + alone
            terms[mine] = digamma(len(among) + alone) - digamma(len(others) + alone) + digamma(k) - digamma(near)
    return np.where(np.isnan(terms), np.nanmean(terms), terms)


Terms = Callable[[ndarray, ndarray, Clusters, int], Float[ndarray, "samples"]]


def _read(read_terms: Terms, x: ndarray, y: ndarray, rows: Clusters, seed: int) -> RawEstimate:
    """The mean of the terms, with an error that knows that rows share neighbours, and what a larger sample may add.

    The variance of terms alone is too small by a tenth to a third. That of the readings of parts of the sample falls
    like one over their size (Holmes & Nemenman 2019, "Estimation of mutual information for real-valued data with error
    bars and controlled bias"); the larger of both is taken. A small sample is not large enough for either, and has the
    delete-a-group jackknife (Kott 2001), which errs on the side of more.

    What parts of the sample read less than the whole shows the bias, which falls no faster than the sample's size to
    the power of one over the dims (Gao, Oh & Viswanath 2018, "Demystifying Fixed k-Nearest Neighbor Information
    Estimators", theorem 3): so much of it may be left.
    """
    terms = read_terms(x, y, rows, seed)
    value, error = float(terms.mean()), rows.standard_error(terms)

    def read(chosen: Int[ndarray, "chosen"]) -> float:
        return float(read_terms(x[chosen], y[chosen], rows.select(chosen), seed).mean())

    if rows.number < 2 * PARTS:
        return RawEstimate(value, error)
    generator, dims = np.random.default_rng([seed, 0x9A87]), sum(part.shape[1] for part in (x, y) if part.ndim == 2)
    if len(x) <= SMALL:
        group = (generator.permutation(rows.number) % DELETED)[rows.index]
        left = [read(np.flatnonzero(group != number)) for number in np.unique(group)]
        error = max(error, float(jackknife_error(np.array(left))))
    if len(x) < FEWEST_OF_A_PART * PARTS:
        return RawEstimate(value, error)
    spreads, means = [], []
    for _ in range(REPEATS):
        part = (generator.permutation(rows.number) % PARTS)[rows.index]
        parts = [read(np.flatnonzero(part == number)) for number in range(PARTS)]
        spreads.append(np.var(parts, ddof=1) / PARTS)
        means.append(np.mean(parts))
    warnings = ()
    grown = value - float(np.mean(means))
    if grown > GROWTH_NATS:
        warnings = (
            f"{PARTS} times the samples read {grown:.2f} nats more: the value still grows with the sample, and has no "
            "limit if one variable is a function of the other",
        )
    missing = grown / (PARTS ** (1.0 / dims) - 1.0)
    return RawEstimate(value, max(error, math.sqrt(np.mean(spreads))), warnings=warnings, missing_nats=missing)


def _searches(rows: Clusters, samples: int, seed: int) -> list[tuple[Int[ndarray, "asked"], Int[ndarray, "among"]]]:
    """Which rows ask for neighbours among which: all among all, or those of a fold among those of the others."""
    if not rows.dependent:
        everyone = np.arange(samples)
        return [(everyone, everyone)]
    fold = rows.folds(min(FOLDS, rows.number), seed)
    return [(np.flatnonzero(fold == number), np.flatnonzero(fold != number)) for number in np.unique(fold)]


def _distance(asked: ndarray, among: ndarray, k: int) -> Float[ndarray, "asked"]:
    """To the k-th nearest row in the maximum norm."""
    return cKDTree(among).query(asked, k=[k], p=np.inf)[0][:, 0]


def _count(asked: ndarray, among: ndarray, reach: Float[ndarray, "asked"]) -> Int[ndarray, "asked"]:
    """Rows within `reach`, boundary included."""
    if among.shape[1] == 1:  # sorted numbers are faster than a tree, whose answer for a dense column is long
        ordered = np.sort(among[:, 0])
        high = np.searchsorted(ordered, asked[:, 0] + reach, side="right")
        return high - np.searchsorted(ordered, asked[:, 0] - reach, side="left")
    return cKDTree(among).query_ball_point(asked, reach, p=np.inf, return_length=True)
