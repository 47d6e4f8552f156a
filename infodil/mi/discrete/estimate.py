"""Mutual information of two discrete variables: an estimate where they are well sampled, and else bounds. In bits."""

__all__ = ["discrete_bounds", "discrete_information", "poorly_sampled"]

from typing import Literal, SupportsIndex

from infodil.checks import check_confidence, check_one_of, check_seed
from infodil.entropy import METHODS, Labels, Method
from infodil.estimate import BITS_PER_NAT, Bounds, Estimate, Kind
from infodil.mi.discrete.contingency import Joint, count_pairs
from infodil.mi.discrete.held_out import held_out_gains_nats
from infodil.mi.discrete.intervals import interval_reaches
from infodil.mi.discrete.upper_bound import ceiling_nats

SAMPLES_A_CELL = 10
"""Samples for each pair of labels that was seen, with which two variables count as well sampled."""

MOST_SINGLES = 0.02
"""Share of samples whose pair was seen once, above which two variables count as poorly sampled."""


def discrete_information(
    x: Labels,
    y: Labels,
    *,
    method: Method | Literal["auto"] = "auto",
    groups: Labels | None = None,
    seed: SupportsIndex = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""Mutual information of two discrete variables.

    `"auto"` gives an estimate where there are at least ten samples for each pair of labels seen, and at most one pair
    in fifty was seen once: :math:`\hat H(X) + \hat H(Y) - \hat H(X, Y)` of Chao, Wang & Jost (see
    `infodil.entropy.entropy_nats`). Elsewhere no estimate is near the truth for all distributions, and the answer is
    that of `discrete_bounds`: kind `"lower bound"`, from the lower end of the lower bound to the upper end of the upper
    one. A method by name gives its estimate whatever the sampling, with a warning where it is poor.

    The interval of an estimate is by likelihood ratio, tilted towards and away from dependence, with the groups' spread
    if there are any; see `infodil.mi.discrete.intervals`. Corrections count groups by their design effect. Without
    groups, labels that stay for some rows make blocks of ten correlation times the groups (`make_clusters` of
    `infodil.statistics`), and a warning says so; rows in no order are independent.

    Args:
        x: Labels, whole numbers in one row: an array, a tensor or a list.
        y: Labels paired with those of x.
        method: Estimator, `"auto"` or a method of `infodil.entropy.entropy_nats`.
        groups: Group (document) of each sample, where samples of a group depend on one another; pass
            `np.arange(samples)` for independent samples in an order, such as sorted ones.
        seed: Seed of the folds of the lower bound.
        confidence: Confidence level of the interval.

    Returns:
        Bits. Exactly 0, with a warning, where x or y never varies; the interval ends at what labels too rare to be
            seen may tell. Nothing is clipped: an estimate may be negative.

    Raises:
        UserError: x, y or groups are not whole numbers in one row, are not as many, or are fewer than 2.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.4.

    Example:
        >>> fair = discrete_information([0, 1] * 500, [0, 1] * 500)
        >>> round(fair.value_bits, 2), fair.kind
        (1.0, 'estimate')
    """
    joint = _prepare(x, y, groups, seed, confidence)
    check_one_of("method", method, ("auto", *METHODS))
    if joint.is_constant:
        return _constant(joint, confidence, "estimate")
    poor = poorly_sampled(joint)
    if method == "auto" and poor:
        lower, upper = _bounds(joint, seed, confidence)
        warnings = (f"{poor}: this is a lower bound, and the interval ends with an upper bound.",)
        warnings += (*upper.warnings, *joint.clusters.warnings)
        return Estimate(
            lower.value_bits,
            lower.low_bits,
            upper.high_bits,
            confidence,
            kind="lower bound",
            samples=len(joint),
            method=f"{lower.method} / {upper.method}",
            warnings=warnings,
        )
    named = "chao-wang-jost" if method == "auto" else method
    value = joint.information_nats(named)
    below, above = interval_reaches(joint, confidence)
    warnings = (f"{poor}: the bias of any estimate may exceed its interval.",) if poor else ()
    warnings += joint.clusters.warnings
    return _bits(joint, value, value - below, value + above, "estimate", confidence, named, warnings)


def discrete_bounds(
    x: Labels, y: Labels, *, groups: Labels | None = None, seed: SupportsIndex = 0, confidence: float = 0.95
) -> Bounds:
    r"""Lower and upper bound on the mutual information of two discrete variables, at any sampling.

    Below: how much better than by its frequency one variable is predicted from the other, on held-out samples
    (`infodil.mi.discrete.held_out`). Above: entropies of x and y from above, less that of the pair from below, and no
    more than either of them (`infodil.mi.discrete.upper_bound`). Without groups, samples are told from a series as in
    `discrete_information`.

    Args:
        x: Labels, whole numbers in one row: an array, a tensor or a list.
        y: Labels paired with those of x.
        groups: Group (document) of each sample, where samples of a group depend on one another.
        seed: Seed of the folds of the lower bound.
        confidence: Confidence level of each interval.

    Returns:
        The lower and the upper bound, each with the interval of its own estimation.

    Raises:
        UserError: x, y or groups are not whole numbers in one row, are not as many, or are fewer than 2.

    Reference:
        Barber & Agakov (NIPS 2003) below; Paninski (2003) and Chao, Wang & Jost (2013) above.

    Example:
        >>> lower, upper = discrete_bounds([0, 1, 2, 3] * 50, [0, 1, 2, 3] * 50)
        >>> lower.low_bits < 2.0 <= upper.high_bits
        True
    """
    joint = _prepare(x, y, groups, seed, confidence)
    if joint.is_constant:
        return Bounds(*(_constant(joint, confidence, kind) for kind in ("lower bound", "upper bound")))
    return _bounds(joint, seed, confidence)


def _bounds(joint: Joint, seed: int, confidence: float) -> Bounds:
    gains = held_out_gains_nats(joint, seed)
    value, reach = float(gains.mean()), joint.clusters.half_width(gains, confidence)
    lower = _bits(
        joint,
        value,
        value - reach,
        value + reach,
        "lower bound",
        confidence,
        "held-out prediction",
        joint.clusters.warnings,
    )

    top = ceiling_nats(joint, confidence)
    most = " and ".join(f"{labels:,}" for labels in top.labels)
    warnings = (f"the upper bound holds for no more than {most} labels, the upper ends of Chao's estimates.",)
    upper = _bits(joint, top.value, top.low, top.high, "upper bound", confidence, "unseen pairs", warnings)
    return Bounds(lower, upper)


def poorly_sampled(joint: Joint) -> str:
    """Reason why no estimate is to be trusted, empty where there is none."""
    cells = joint.counts[2]
    worth, singles = len(joint) / joint.design_effects[2], int((cells == 1).sum()) / len(joint)
    if worth < SAMPLES_A_CELL * len(cells) or singles > MOST_SINGLES:
        return f"{len(joint)} samples are few for the {len(cells)} pairs of labels seen"
    return ""


def _prepare(x: Labels, y: Labels, groups: Labels | None, seed: int, confidence: float) -> Joint:
    seed = check_seed(seed)
    check_confidence(confidence)
    return count_pairs(x, y, groups)


def _constant(joint: Joint, confidence: float, kind: Kind) -> Estimate:
    which = "x" if joint.counts[0].size == 1 else "y"
    warnings = (f"`{which}` took one label only: what it does not show here, it may show in more samples.",)
    # A label too rare to be seen in so many samples may still tell something.
    most = 0.0 if kind == "lower bound" else ceiling_nats(joint, confidence).high
    value = most if kind == "upper bound" else 0.0
    return _bits(joint, value, min(value, 0.0), most, kind, confidence, "constant", warnings)


def _bits(
    joint: Joint, value: float, low: float, high: float, kind: Kind, confidence: float, method: str, warnings: tuple
) -> Estimate:
    value, low, high = (float(nats) * BITS_PER_NAT for nats in (value, low, high))
    return Estimate(value, low, high, confidence, kind=kind, samples=len(joint), method=method, warnings=warnings)
