"""Entropy of a discrete variable from samples: an estimate, and bounds on both sides. All values are in bits."""

__all__ = ["entropy", "entropy_bounds", "most_categories", "upper_entropy_nats"]

import math
from typing import Literal

import numpy as np
from jaxtyping import Float64, Int

from infodil.checks import UserError, check_confidence, check_one_of, check_whole
from infodil.entropy.bounds import (
    deviation_nats,
    plugin_bias_nats,
    relative_entropy_radius,
    total_variation_nats,
    widest_entropy_nats,
)
from infodil.entropy.counts import METHODS, Method, chao1, entropy_nats
from infodil.entropy.labels import Labels, codes_of
from infodil.estimate import BITS_PER_NAT, Bounds, Estimate
from infodil.statistics import Clusters, make_clusters, t_quantile


def entropy(
    labels: Labels,
    *,
    method: Method | Literal["auto"] = "auto",
    alphabet: int | None = None,
    groups: Labels | None = None,
    confidence: float = 0.95,
) -> Estimate:
    """Entropy of a discrete variable, estimated from samples.

    `"auto"` is `"nsb"` where an alphabet is named that has more categories than there are samples, for what was never
    seen then matters and its number is known, and `"chao-wang-jost"` otherwise. The interval is for the spread of
    sampling alone (Student's t on the terms -log p, or on their sums by group, and what groups add to the bias); with
    `"nsb"` and without groups it is the posterior's. Neither holds the bias that no method corrects where most
    categories were not seen: see `entropy_bounds`.

    Args:
        labels: Labels of the samples, whole numbers, one a sample.
        method: Estimator, `"auto"` or one of those of `infodil.entropy.entropy_nats`.
        alphabet: Number of categories, seen or not.
        groups: The group (document) of each sample, where samples of a group depend on one another. Without groups,
            samples are independent unless labels stay for some samples: then blocks of ten correlation times are.
        confidence: Confidence level of the interval.

    Returns:
        The estimate and its interval, in bits.

    Raises:
        UserError: Labels or groups are malformed, or there are more categories than `alphabet`.

    Reference:
        The estimators: see `infodil.entropy.entropy_nats`. Cover & Thomas, Elements of Information Theory (2006),
        section 2.1.

    Example:
        >>> print(entropy([0, 1] * 500))
        1.001 bits [1.001, 1.001] (estimate, 95% interval, 1,000 samples, chao-wang-jost)
    """
    codes, clusters = _prepare(labels, groups, alphabet, confidence)
    check_one_of("method", method, ("auto", *METHODS))
    counts = np.bincount(codes)
    if method == "auto":
        method = "nsb" if alphabet is not None and alphabet > len(codes) else "chao-wang-jost"
    warnings = list(clusters.warnings)
    if len(counts) == 1:
        return _constant(len(codes), confidence, "estimate")
    if (counts == 1).sum() > len(codes) / 2:
        warnings.append("more than half of the samples were seen once: the value leans on what was not seen.")
    value = float(entropy_nats(counts, method, alphabet=alphabet))
    reach = clusters.half_width(-np.log(counts / len(codes))[codes], confidence)
    if clusters.dependent:
        reach += _curvature_nats(codes, clusters, confidence)
    return _bits(value, value - reach, value + reach, "estimate", confidence, len(codes), method, tuple(warnings))


def _curvature_nats(codes: np.ndarray, clusters: Clusters, confidence: float) -> float:
    r"""What groups add to the relative entropy of frequencies and probabilities, by which terms of an entropy err.

    .. math:: H(p) = -\sum_i p_i \log \hat p_i - D(p \| \hat p), \qquad 2 N E\,D \approx d (K - 1)

    for a design effect d, as far above its estimate as the interval's quantile is above that of independent samples.
    """
    excess = clusters.quantile(confidence) / t_quantile(len(codes) - 1, confidence)
    worth = clusters.design_effect(codes) * excess**2
    return (worth - 1.0) * codes.max() / (2.0 * len(codes))


def entropy_bounds(
    labels: Labels, *, alphabet: int | None = None, groups: Labels | None = None, confidence: float = 0.95
) -> Bounds:
    """Lower and upper bound on the entropy of a discrete variable, each with this confidence on its side.

    For independent samples both hold for any distribution and any number of samples: below, plug-in entropy less its
    deviation (its mean is never above the truth); above, the least of the logarithm of the alphabet, plug-in entropy
    plus the most that its mean can fall short plus its deviation, and the largest entropy within the relative entropy
    that frequencies stray from probabilities. No upper bound exists without the size of the alphabet: an endless tail
    that was never seen could hold any number of bits. Where it is not named, one more than the upper end of Chao's
    estimate of it is used, which is itself low where many were seen once, and a warning says so. With groups, the
    samples count for as many as the groups are worth by the spread of their frequencies, which is estimated.

    Args:
        labels: Labels of the samples, whole numbers, one a sample.
        alphabet: Number of categories, seen or not: the size of the vocabulary.
        groups: The group (document) of each sample, where samples of a group depend on one another. Without groups,
            samples are independent unless labels stay for some samples: then blocks of ten correlation times are.
        confidence: Confidence level of each bound.

    Returns:
        The lower and the upper bound. The value is the bound without its allowance for deviation; the end of its
        interval is what holds with confidence.

    Raises:
        UserError: Labels or groups are malformed, or there are more categories than `alphabet`.

    Reference:
        Antos & Kontoyiannis (2001), Random Structures & Algorithms 19; Paninski (2003), Neural Computation 15; Weissman
        et al. (2003), HP Labs HPL-2003-97; Agrawal (2020), IEEE Transactions on Information Theory 66; formulas in
        `infodil.entropy.bounds`.

    Example:
        >>> lower, upper = entropy_bounds([0, 1] * 500, alphabet=2)
        >>> lower.low_bits < 1.0 <= upper.high_bits
        True
    """
    codes, clusters = _prepare(labels, groups, alphabet, confidence)
    counts = np.bincount(codes).astype(np.float64)
    if len(counts) == 1 and alphabet in (None, 1):
        return Bounds(*(_constant(len(codes), confidence, kind) for kind in ("lower bound", "upper bound")))
    worth = len(codes) / clusters.design_effect(codes)
    plugin, failure = float(entropy_nats(counts, "plug-in")), 1 - confidence
    drop = deviation_nats(worth, failure)
    if alphabet is not None:
        drop = min(drop, total_variation_nats(worth, alphabet, failure))
    rest = ("lower bound", confidence, len(codes), "plug-in less its deviation", ())
    lower = _bits(plugin, plugin - drop, plugin, *rest)
    high = upper_entropy_nats(counts, alphabet, worth, failure)
    size = alphabet if alphabet is not None else most_categories(counts)
    value = min(plugin + plugin_bias_nats(worth, size), high)
    warnings = ()
    if alphabet is None:
        warnings = (
            f"`alphabet` was not named: the bound holds if there are no more than {size} categories, the upper "
            "end of Chao's estimate.",
        )
    rest = ("upper bound", confidence, len(codes), "largest entropy allowed", warnings)
    return Bounds(lower, _bits(value, value, high, *rest))


def upper_entropy_nats(
    counts: Float64[np.ndarray, "categories"], alphabet: int | None, worth: float, failure: float
) -> float:
    """Upper bound on an entropy that fails with odds of at most `failure`, from the frequencies of the categories.

    Args:
        counts: Number of times that each category was seen.
        alphabet: Number of categories, seen or not; None stands for `most_categories`.
        worth: Number of independent samples that the samples are worth.
        failure: Greatest probability with which the bound may fail.

    Returns:
        Nats.

    Reference:
        See `infodil.entropy.entropy_bounds`.

    Example:
        >>> bool(upper_entropy_nats(np.array([50.0, 50.0]), 2, 100.0, 0.05) == np.log(2))
        True
    """
    size = alphabet if alphabet is not None else most_categories(counts)
    if size == 1:
        return 0.0
    plugin = float(entropy_nats(counts, "plug-in"))
    # Two bounds at half the odds each; which of the first two is sharper follows from sizes alone and costs nothing.
    near = min(
        plugin_bias_nats(worth, size) + deviation_nats(worth, failure / 2),
        total_variation_nats(worth, size, failure / 2),
    )
    widest = widest_entropy_nats(counts, size, relative_entropy_radius(worth, size, failure / 2))
    return min(plugin + near, widest, math.log(size))


def most_categories(counts: Int[np.ndarray, "categories"] | Float64[np.ndarray, "categories"]) -> int:
    """Upper limit on the number of categories: one more than the upper end of the interval of Chao's estimate.

    Args:
        counts: Number of times that each category was seen.

    Returns:
        A number of categories.

    Reference:
        Chao (1987), Biometrics 43, equations 8 and 12: the number unseen is taken as log-normal.

    Example:
        >>> most_categories(np.array([50.0, 50.0]))  # none seen once: one more may have been missed
        3
    """
    seen, once, twice = (int(part.sum()) for part in (counts > 0, counts == 1, counts == 2))
    unseen = float(chao1(counts)) - seen
    if unseen <= 0:
        return seen + 1
    ratio = once / (twice + 1)
    variance = (twice + 1) * (ratio**2 / 2 + ratio**3 + ratio**4 / 4)
    return seen + 1 + math.ceil(unseen * math.exp(1.96 * math.sqrt(math.log1p(variance / unseen**2))))


def _prepare(
    labels: Labels, groups: Labels | None, alphabet: int | None, confidence: float
) -> tuple[np.ndarray, Clusters]:
    codes = codes_of("labels", labels)
    check_confidence(confidence)
    if alphabet is not None:
        check_whole("alphabet", alphabet, 1, "pass how many categories there are")
        if codes.max() >= alphabet:
            raise UserError(
                f"`alphabet` must be at least the {codes.max() + 1} categories seen, got {alphabet}: "
                "pass how many there are."
            )
    return codes, make_clusters(len(codes), groups, codes, fewest=2).coarsen()


def _constant(samples: int, confidence: float, kind: str) -> Estimate:
    warnings = ("every label is the same: nothing varies that could be measured.",)
    return _bits(0.0, 0.0, 0.0, kind, confidence, samples, "constant", warnings)


def _bits(
    value: float, low: float, high: float, kind: str, confidence: float, samples: int, method: str, warnings: tuple
) -> Estimate:
    value, low, high = (nats * BITS_PER_NAT for nats in (value, low, high))
    return Estimate(value, low, high, confidence, kind=kind, samples=samples, method=method, warnings=warnings)
