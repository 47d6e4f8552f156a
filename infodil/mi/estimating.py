"""Mutual information of any two variables, by an estimator that is sound for their kinds."""

__all__ = ["estimate"]

import math
from dataclasses import replace
from typing import Any, SupportsIndex

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import check_confidence, check_one_of, check_seed
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.mi.continuous.choosing import choose
from infodil.mi.continuous.gaussian import RawEstimate, canonical, check_enough, check_no_copy
from infodil.mi.continuous.ties import find_copies
from infodil.mi.continuous.variables import Variable, read_pair
from infodil.mi.discrete.contingency import count_pairs
from infodil.mi.discrete.estimate import discrete_information, poorly_sampled
from infodil.mi.estimators import ESTIMATORS, Sample
from infodil.statistics import make_clusters, number_groups

FEWEST_TO_READ = 100
"""Rows that `lower_bound` needs."""

MOST_TIED = 0.5
"""Share of tied rows from which on two columns that are functions of each other have a finite information."""


def estimate(
    x: Any,
    y: Any,
    method: str = "auto",
    *,
    groups: Any = None,
    seed: SupportsIndex = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""Mutual information of two variables, with an interval and a side, by a method that is sound for their kinds.

    The kinds follow from what is passed: whole numbers `[samples]` are labels, floats `[samples, dim]` (or `[samples]`)
    vectors. Vectors that take few values, each of them often, are read as labels; other values that repeat, as those of
    rounded, rectified or half-precision numbers do, are told apart by dither within the gaps between them, which
    changes no information (`infodil.mi.continuous.ties`). Columns that are constant or linear combinations of others
    are left out: they add nothing. All estimators of vectors but `"gaussian"` see only the ranks within columns, which
    increasing maps of a column do not change.

    | variables | `method` | what it is | sound for |
    | --- | --- | --- | --- |
    | both vectors | `"gaussian"` | closed form, bias removed | jointly Gaussian vectors |
    | | `"gaussian-copula"` | the same of normal scores | such vectors with any margins |
    | | `"student-copula"` | closed form, with a common scale | heavy tails, margins of any kind |
    | | `"ksg"` | nearest neighbours | up to about three columns in all |
    | | `"mixed-ksg"` | nearest neighbours, counts at atoms | the same with atoms, nothing rounded |
    | | `"learned"` | cross-fitted density ratio | any; a lower bound |
    | | `"infonce"`, `"mine"`, `"nwj"`, `"smile"` | neural bounds | comparison only |
    | labels and vectors | `"ross"` | nearest neighbours | up to about three columns, many rows a label |
    | | `"tokens"` | `lower_bound` | any; a lower bound |
    | both labels | see `infodil.mi.discrete_information` | | |

    `"auto"` takes for two vectors: up to three columns in all `"ksg"`. For more, the columns are whitened first if that
    lets a copula say more of held-out rows. Then the Gaussian copula, the Student copula and the learned model are
    fitted on three folds and evaluated on the fourth; a network is trained only where held-out rows show that the best
    copula left dependence over, and folds after the first are read only if it showed more than the Gaussian copula. The
    Student copula stands in for the Gaussian one if it says more there by two standard errors. The closed form is
    reported if it agrees with its own value on the held-out rows and the learned model does not exceed it by two
    standard errors; else the learned bound is. Either is a lower bound: what was not found is not in it. Up to six
    columns `"ksg"` overrules what it exceeds by three standard errors. For labels and vectors: `"ross"` up to three
    columns if nine rows in ten have a label of at least twenty rows, else `"tokens"`.

    Args:
        x: Labels or vectors.
        y: Labels or vectors, row by row with `x`.
        method: Name of an estimator of the table (`infodil.mi.ESTIMATORS`), or `"auto"`.
        groups: Label of the group of each row: rows of one group are held out together and resampled together. Without
            groups rows are independent unless they move slowly in their order; then blocks of ten correlation times
            are.
        seed: Seed of everything random; the same seed gives the same answer.
        confidence: Confidence level of the interval.

    Returns:
        Bits, with `kind` "estimate" or "lower bound" and in `warnings` what the method cannot see. Nothing is clipped:
        an estimate of independent variables is below zero as often as above.

    Raises:
        UserError: An argument of another type or shape, or not finite; lengths that differ; too few rows; a method for
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
    seed = check_seed(seed)
    check_confidence(confidence)
    x, y = read_pair(x, y, seed)
    groups = None if groups is None else number_groups(groups, len(x.values), 1)
    copies = find_copies(x.values, y.values)
    if copies is None:
        return _estimate(x, y, method, groups, seed, confidence)
    if groups is None:
        first = np.sort(np.unique(copies, return_index=True)[1])
        x, y = x.take(first), y.take(first)
        said = f"The {len(copies)} rows are exact copies of {len(first)}: each was counted once."
    else:
        said = f"The {len(copies)} rows are exact copies of {int(copies.max()) + 1}: pass each once, or in one group."
    found = _estimate(x, y, method, groups, seed, confidence)
    return replace(found, warnings=(*found.warnings, said))


def _estimate(
    x: Variable, y: Variable, method: str, groups: Int[ndarray, "rows"] | None, seed: int, confidence: float
) -> Estimate:
    """The estimate of two variables by the method that their kinds and `method` decide on."""
    if method == "auto":
        x, y = _as_labels_where_sampled(x, y)
    kinds = ("vectors", "labels and vectors", "labels")[x.discrete + y.discrete]
    check_one_of("method", method, ["auto", *(name for name, e in ESTIMATORS.items() if e.variables == kinds)])
    if kinds == "labels":
        return discrete_information(x.values, y.values, method=method, groups=groups, seed=seed, confidence=confidence)
    if x.is_constant or y.is_constant:
        return _constant("`x`" if x.is_constant else "`y`", len(x.values), confidence)
    if kinds == "labels and vectors":
        x, y = (x, y) if x.discrete else (y, x)
    check_enough(len(x.values), x.dim + y.dim)
    series = [part.scores for part in (x, y) if not part.discrete]
    sample = Sample(x, y, make_clusters(len(x.values), groups, *series), groups, seed, confidence)
    if kinds == "vectors":
        _check_finite(sample, method)
    if method == "auto" and kinds == "vectors":
        method, found = choose(x, y, sample.clusters, seed)
    else:
        if method == "auto":
            method = "tokens" if sample.is_sparse and len(x.values) >= FEWEST_TO_READ else "ross"
        found = ESTIMATORS[method].read(sample)
    return found if isinstance(found, Estimate) else _report(method, found, sample)


def _as_labels_where_sampled(x: Variable, y: Variable) -> tuple[Variable, Variable]:
    """Vectors of few values as labels: beside vectors with a density, or where pairs of values are well sampled."""
    coded = [part.discrete or part.codes is not None for part in (x, y)]
    if all(coded):
        labels = x.as_labels(), y.as_labels()
        alone = np.arange(len(x.values))  # what columns are does not depend on the order of the rows
        if (x.discrete and y.discrete) or not poorly_sampled(count_pairs(*(part.values for part in labels), alone)):
            return labels
        return x, y
    return tuple(part.as_labels() if known else part for part, known in zip((x, y), coded, strict=True))


def _check_finite(sample: Sample, method: str) -> None:
    """Refuse columns that are functions of each other, whose information is infinite unless their values are few."""
    x, y = sample.x, sample.y
    check_no_copy(*canonical(x.scores, y.scores))
    if max(x.tied, y.tied) < MOST_TIED or method == "gaussian":
        check_no_copy(*canonical(x.values, y.values))


def _constant(which: str, samples: int, confidence: float) -> Estimate:
    warnings = (f"{which} takes one value only and can tell nothing.",)
    return Estimate(0.0, 0.0, 0.0, confidence, samples=samples, method="constant", warnings=warnings)


def _report(method: str, found: RawEstimate, sample: Sample) -> Estimate:
    clusters, confidence = sample.clusters, sample.confidence
    below, above = (
        clusters.quantile(confidence) * math.hypot(found.standard_error_nats, max(0.0, sign * found.missing_nats))
        for sign in (-1.0, 1.0)
    )
    return Estimate(
        value_bits=found.value_nats * BITS_PER_NAT,
        low_bits=(found.value_nats - below) * BITS_PER_NAT,
        high_bits=(found.value_nats + above) * BITS_PER_NAT,
        confidence=confidence,
        kind="lower bound" if found.bound else "estimate",
        samples=len(clusters.index),
        method=method,
        warnings=(
            *(sentence[0].upper() + sentence[1:] + "." for sentence in found.warnings),
            *clusters.warnings,
        ),
    )
