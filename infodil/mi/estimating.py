"""The door to mutual information: what kinds the variables are, and which estimator is sound for them."""

__all__ = ["estimate"]

import math
from collections.abc import Callable
from dataclasses import replace

import numpy as np
from jaxtyping import Int, Shaped
from numpy import ndarray
from torch import Tensor

from infodil.checks import check_confidence, check_one_of, check_seed
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder import lower_bound
from infodil.mi.continuous.choosing import LOW_DIMS, choose, neighbour_coordinates
from infodil.mi.continuous.contrastive import CONTRASTIVE, contrastive
from infodil.mi.continuous.density_ratio import learned
from infodil.mi.continuous.elliptical import student_copula
from infodil.mi.continuous.gaussian import RawEstimate, canonical, check_enough, check_no_copy, gaussian, normal_scores
from infodil.mi.continuous.neighbours import ksg, mixed_ksg, ross
from infodil.mi.continuous.variables import Variable, read_pair
from infodil.mi.discrete.estimate import discrete_information
from infodil.statistics import Clusters, make_clusters, number_groups

Estimator = Callable[[Variable, Variable, Clusters, int], RawEstimate]


def _near(read: Callable[..., RawEstimate]) -> Estimator:
    return lambda x, y, rows, seed: read(neighbour_coordinates(x), neighbour_coordinates(y), rows, seed=seed)


def _scores(read: Callable[..., RawEstimate]) -> Estimator:
    return lambda x, y, rows, seed: read(normal_scores(x.values), normal_scores(y.values), rows)


CONTINUOUS: dict[str, Estimator] = {
    "gaussian": lambda x, y, rows, seed: gaussian(x.values, y.values, rows),
    "gaussian-copula": _scores(gaussian),
    "student-copula": lambda x, y, rows, seed: student_copula(x.values, y.values, rows),
    "ksg": _near(ksg),
    "mixed-ksg": _near(mixed_ksg),
    "learned": lambda x, y, rows, seed: learned(x.values, y.values, rows, seed=seed),
}
for _name in CONTRASTIVE:
    CONTINUOUS[_name] = lambda x, y, rows, seed, name=_name: contrastive(x.values, y.values, rows, name, seed=seed)

LABELS = ("ross", "tokens")
"""Of labels and a continuous variable."""

FEWEST_OF_A_LABEL, MOST_RARE = 20, 0.1
"""Neighbours of a label with fewer rows lie far apart: no more than this share of rows may have such a label."""

FEWEST_TO_READ = 100
"""Rows that `lower_bound` asks for."""


def estimate(
    x: Shaped[ndarray, "*shape_x"] | Shaped[Tensor, "*shape_x"],
    y: Shaped[ndarray, "*shape_y"] | Shaped[Tensor, "*shape_y"],
    method: str = "auto",
    *,
    groups: Shaped[ndarray, "*shape_groups"] | Shaped[Tensor, "*shape_groups"] | list | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""Mutual information of two variables, with an interval and a side, by a method that is sound for their kinds.

    What is read depends on what is passed: whole numbers `[samples]` are labels, floats `[samples, dim]` (or
    `[samples]`) vectors; a float column that repeats values has atoms. Columns that are constant or linear combinations
    of others are left out: they say nothing more. All estimators of vectors but `"gaussian"` see only the ranks within
    columns, which increasing maps of a column do not change.

    | variables | `method` | what it is | sound for |
    | --- | --- | --- | --- |
    | both vectors | `"gaussian"` | closed form, bias removed | jointly Gaussian vectors |
    | | `"gaussian-copula"` | the same of normal scores | such vectors with any margins |
    | | `"student-copula"` | closed form, with a common scale | heavy tails, margins of any kind |
    | | `"ksg"` | nearest neighbours | up to about three columns in all |
    | | `"mixed-ksg"` | nearest neighbours | the same with atoms |
    | | `"learned"` | cross-fitted density ratio | any; a lower bound |
    | | `"infonce"`, `"mine"`, `"nwj"`, `"smile"` | neural bounds | comparison only |
    | labels and vectors | `"ross"` | nearest neighbours | up to about three columns, many rows a label |
    | | `"tokens"` | `lower_bound` | any; a lower bound |
    | both labels | see `infodil.mi.discrete.estimate` | | |

    `"auto"` takes for two vectors: up to three columns in all `"ksg"`, or `"mixed-ksg"` where a column has atoms. For
    more, the columns are whitened first if that lets a copula read more on rows held out. Then the Gaussian copula,
    the Student copula and the learned model are fitted on three folds and read on the fourth. The Student copula stands
    in for the Gaussian one if it reads more there by two standard errors. The closed form is reported if it agrees with
    its own reading on the rows held out and the learned model does not exceed it by two standard errors; else the
    learned bound is. Up to six columns `"ksg"` overrules what it exceeds by three standard errors. For labels and
    vectors: `"ross"` up to three columns if nine rows in ten have a label of at least twenty rows, else `"tokens"`.

    Args:
        x: Labels or vectors.
        y: Labels or vectors, row by row with `x`.
        method: A name of the table, or `"auto"`.
        groups: A label for each row: rows of one group are held out together and resampled together. Without groups
            rows are independent unless they move slowly in their order; then blocks of ten correlation times are.
        seed: The same seed gives the same answer.
        confidence: Of the interval.

    Returns:
        Bits, with `kind` "estimate" or "lower bound" and in `warnings` what the method cannot see. Nothing is clipped:
        an estimate of independent variables is below zero as often as above.

    Raises:
        UserError: an argument of another type or shape, or not finite; lengths that differ; too few rows; a method for
            other kinds of variables; `y` a function of `x` without noise, where information is infinite.

    Reference:
        Czyż et al. (2023), "Beyond Normal: On the Evaluation of Mutual Information Estimators", for what each method
        cannot do.

    Example:
        >>> noise = np.random.default_rng(0).standard_normal((2000, 2))
        >>> x, y = noise[:, :1], 0.8 * noise[:, :1] + 0.6 * noise[:, 1:]
        >>> bits = estimate(x, y, "gaussian-copula")  # correlation 0.8: -log2(1 - 0.8**2) / 2 = 0.737 bits
        >>> bits.low_bits < 0.737 < bits.high_bits
        True
    """
    check_seed(seed)
    check_confidence(confidence)
    first, second = read_pair(x, y)
    groups = None if groups is None else number_groups(groups, len(first.values), 1)
    if first.discrete and second.discrete:
        return discrete_information(
            first.values, second.values, method=method, groups=groups, seed=seed, confidence=confidence
        )
    options = CONTINUOUS if not first.discrete and not second.discrete else LABELS
    check_one_of("method", method, ["auto", *options])
    if first.is_constant or second.is_constant:
        constant = "`x`" if first.is_constant else "`y`"
        return Estimate(
            0.0,
            0.0,
            0.0,
            confidence,
            samples=len(first.values),
            method="constant",
            warnings=(f"{constant} takes one value only and can tell nothing.",),
        )
    if options is LABELS:
        return _labels_and_vectors(first, second, method, groups, seed, confidence)
    check_enough(len(first.values), first.dim + second.dim)
    scores = normal_scores(first.values), normal_scores(second.values)
    rows = make_clusters(len(first.values), groups, *scores)
    for pair in ((first.values, second.values), scores):
        check_no_copy(*canonical(*pair))
    if method == "auto":
        method, reading = choose(first, second, rows, seed)
    else:
        reading = CONTINUOUS[method](first, second, rows, seed)
    return _report(method, reading, rows, groups is not None, confidence)


def _labels_and_vectors(
    first: Variable, second: Variable, method: str, groups: Int[ndarray, "samples"] | None, seed: int, confidence: float
) -> Estimate:
    labels, vectors = (first, second) if first.discrete else (second, first)
    _, place, counts = np.unique(labels.values, return_inverse=True, return_counts=True)
    rare = float((counts[place] < FEWEST_OF_A_LABEL).mean())
    sparse = vectors.dim > LOW_DIMS or rare > MOST_RARE
    if method == "tokens" or (method == "auto" and sparse and len(labels.values) >= FEWEST_TO_READ):
        return lower_bound(labels.values, vectors.values, groups=groups, seed=seed, confidence=confidence)
    check_enough(len(labels.values), vectors.dim)
    rows = make_clusters(len(labels.values), groups, normal_scores(vectors.values))
    reading = ross(labels.values, neighbour_coordinates(vectors), rows, seed=seed)
    if sparse:
        far = "neighbours lie far apart in so many columns or with so few rows of a label: the value may be too low"
        reading = replace(reading, warnings=(*reading.warnings, far))
    return _report("ross", reading, rows, groups is not None, confidence)


def _report(method: str, reading: RawEstimate, rows: Clusters, grouped: bool, confidence: float) -> Estimate:
    below, above = (
        rows.t_quantile(confidence) * math.hypot(reading.standard_error_nats, max(0.0, sign * reading.missing_nats))
        for sign in (-1.0, 1.0)
    )
    warnings = reading.warnings
    if rows.dependent and not grouped:
        length = len(rows.index) / rows.number
        warnings += (
            f"rows move slowly in their order: the interval resamples blocks of about {length:.0f}; pass `groups` if "
            "they are not one series",
        )
    return Estimate(
        value_bits=reading.value_nats * BITS_PER_NAT,
        low_bits=(reading.value_nats - below) * BITS_PER_NAT,
        high_bits=(reading.value_nats + above) * BITS_PER_NAT,
        confidence=confidence,
        kind="lower bound" if reading.bound else "estimate",
        samples=len(rows.index),
        method=method,
        warnings=tuple(sentence[0].upper() + sentence[1:] + "." for sentence in warnings),
    )
