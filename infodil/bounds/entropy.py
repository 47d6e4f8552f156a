"""The entropy of a token as an upper bound, held out: its interval is valid above, whatever the law of the tokens."""

__all__ = ["entropy"]

import math
from collections.abc import Sequence
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_confidence, check_seed, check_whole
from infodil.entropy import most_categories
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.statistics import Clusters, group_clusters, random_folds, read_array, skewed_addition, t_quantile

ENTROPY_FOLDS = 10
"""Folds of documents, each held against a law learned from the others."""

FEWEST_TOKENS = 16
"""Fewest samples that an entropy is bounded from."""

DEFAULT_DISCOUNT = 0.75
"""Discount of every count where too few types were seen once or twice to estimate it."""


def entropy(
    tokens: Int[Tensor, "samples"] | Int[ndarray, "samples"] | Sequence[int] | None = None,
    *,
    counts: Int[Tensor, "vocabulary"] | Int[ndarray, "vocabulary"] | Sequence[int] | None = None,
    vocabulary: SupportsIndex | None = None,
    groups: Int[Tensor, "samples"] | Int[ndarray, "samples"] | None = None,
    confidence: float = 0.95,
    seed: SupportsIndex = 0,
) -> Estimate:
    r"""Upper bound on `H(X)`, hence on what anything tells of a token, from samples of it, in bits.

    .. math:: H(X) \le E[-\log_2 q(X)]

    for every law q. Here q is learned from nine tenths of the documents and held against the rest, ten times over: the
    mean is never below the entropy in expectation, where a plug-in entropy is never above. q is the shares of the
    types, discounted, the rest spread over the whole vocabulary (Ney, Essen and Kneser 1994, absolute discounting).
    The interval is that of a mean over documents; its high end adds what types may cost that were never met: with
    probability :math:`1 - \delta` all types unseen in n documents have less than the mass :math:`\ln(1/\delta)/n`.
    `infodil.entropy.entropy_bounds` has an interval that holds for any law by theorem and is wider: from 10,000 samples
    of 50,000 Zipf types with 10.9 bits, 12.5 for 11.5.

    Args:
        tokens: Type of each sample.
        counts: Number of times each type occurs, in place of `tokens`, for independent samples.
        vocabulary: Number of types there may be; by default one more than the upper end of Chao's estimate of it, and
            `warnings` says so.
        groups: Document of each token: whole documents are held out, and the interval is over documents.
        confidence: Confidence level of the interval.
        seed: Seed of the folds.

    Returns:
        An upper bound, at most `log2(vocabulary)`.

    Raises:
        UserError: Neither or both of `tokens` and `counts`, too few samples, types outside the vocabulary.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 5.4.3 (the wrong code);
        Hanley & Lippman-Hand (1983), "If nothing goes wrong, is everything all right?", for what was not met.

    Example:
        >>> bound = entropy(np.arange(4096) % 4)
        >>> round(float(bound), 2), bound.kind
        (2.0, 'upper bound')
    """
    check_confidence(confidence)
    seed = check_seed(seed)
    if (tokens is None) == (counts is None):
        raise UserError("`tokens` or `counts` must be given, and not both: pass one of them.")
    generator = np.random.default_rng(seed)
    if counts is None:
        types = read_types("tokens", tokens)
        table, clusters, fold, seen = hold_out(types, group_clusters(groups, len(types)), generator)
        occurring = np.unique(types)
    else:
        whole = read_types("counts", counts)
        occurring = np.flatnonzero(whole)
        table = divide(whole[occurring], generator)
    total = table.sum(0)
    if total.sum() < FEWEST_TOKENS:
        name = "tokens" if counts is None else "counts"
        raise UserError(f"`{name}` must hold at least {FEWEST_TOKENS} samples, got {total.sum()}: pass more of them.")
    known = vocabulary is not None
    vocabulary = check_vocabulary(vocabulary, int(occurring.max()), total)
    surprise = np.stack([-np.log(discounted(total - held, vocabulary)) for held in table])
    if counts is None:
        terms = surprise[fold, seen]
        down, up = clusters.skewed_quantiles(terms, confidence)
        mean, error, number = float(terms.mean()), clusters.standard_error(terms), clusters.worth
    else:
        mean, error, down, up, number = weighted_mean(surprise, table, confidence)
    # Types that none of so many independent samples met may have this mass, and cost as much as one never seen.
    dearest = -math.log(discounted(np.append(total, 0), vocabulary)[-1])
    unmet = math.log(2.0 / (1.0 - confidence)) / number * dearest
    ends = (mean - down * error, mean, mean + up * error + unmet)
    low, value, high = (min(nats, math.log(vocabulary)) * BITS_PER_NAT for nats in ends)
    warnings = () if counts is not None else clusters.warnings
    if not known:
        warnings += (f"`vocabulary` was not given: the bound holds if there are no more than {vocabulary} types.",)
    method = "entropy, held-out code length"
    return Estimate(value, low, high, confidence, "upper bound", int(total.sum()), method, warnings)


def read_types(name: str, values: object) -> Int[ndarray, "numbers"]:
    """Whole numbers of at least 0 in one axis."""
    numbers, _ = read_array(name, values)
    whole = numbers.dtype.kind in "iu" or (numbers.dtype.kind == "f" and np.array_equal(numbers, np.trunc(numbers)))
    if numbers.ndim != 1 or not whole or not len(numbers) or (numbers < 0).any():
        raise UserError(
            f"`{name}` must be whole numbers of at least 0 in one axis, got shape {list(numbers.shape)} of "
            f"{numbers.dtype}: pass token ids or their counts."
        )
    return numbers.astype(np.int64)


def hold_out(
    types: Int[ndarray, "samples"], clusters: Clusters, generator: np.random.Generator
) -> tuple[Int[ndarray, "folds types"], Clusters, Int[ndarray, "samples"], Int[ndarray, "samples"]]:
    """How often each type that occurs is in each fold of whole clusters; clusters; fold and type of each sample."""
    fold = random_folds(clusters.number, ENTROPY_FOLDS, generator)[clusters.index]
    seen = np.unique(types, return_inverse=True)[1]  # the vocabulary may be far larger than what occurs of it
    folds, number = int(fold.max()) + 1, int(seen.max()) + 1
    return np.bincount(fold * number + seen, minlength=folds * number).reshape(folds, number), clusters, fold, seen


def divide(counts: Int[ndarray, "types"], generator: np.random.Generator) -> Int[ndarray, "folds types"]:
    """Counts of independent samples dealt out to folds: as many of each type to each, the rest at random."""
    table = np.repeat(counts[None] // ENTROPY_FOLDS, ENTROPY_FOLDS, axis=0)
    rank = generator.random(table.shape).argsort(0).argsort(0)
    return table + (rank < counts % ENTROPY_FOLDS)


def weighted_mean(
    terms: Float[ndarray, "folds types"], weights: Int[ndarray, "folds types"], confidence: float
) -> tuple[float, float, float, float, float]:
    """Mean of terms that occur so often, its standard error, its quantiles below and above, and how many there are."""
    number = float(weights.sum())
    mean = float((weights * terms).sum()) / number
    spread = math.sqrt(float((weights * (terms - mean) ** 2).sum()) / number)
    skewness = float((weights * (terms - mean) ** 3).sum()) / number / spread**3 if spread > 0 else 0.0
    down = t_quantile(number - 1.0, confidence)
    return mean, spread / math.sqrt(number - 1.0), down, down + skewed_addition(skewness, down, number), number


def check_vocabulary(vocabulary: SupportsIndex | None, largest: int, counts: Int[ndarray, "types"]) -> int:
    """The vocabulary, or how many types there may be; raise `UserError` where it does not fit the types seen."""
    if vocabulary is None:
        return max(largest + 1, most_categories(counts))
    check_whole("vocabulary", vocabulary, 1, "pass the number of types")
    if largest >= vocabulary:
        raise UserError(f"`tokens` has the type {largest}, outside 0 to {vocabulary - 1}: pass a larger `vocabulary`.")
    return int(vocabulary)


def discounted(counts: Int[ndarray, "types"], vocabulary: int) -> Float[ndarray, "types"]:
    """Shares of the types, a discount off each, what is left spread over all of the vocabulary (Ney et al. 1994)."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2.0 * twice) if once and twice else DEFAULT_DISCOUNT
    kept = np.maximum(counts - discount, 0.0)
    return (kept + (counts.sum() - kept.sum()) / vocabulary) / counts.sum()
