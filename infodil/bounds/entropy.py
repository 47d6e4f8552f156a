"""The entropy of a token as an upper bound, held out: its interval is valid above, whatever the law of the tokens."""

__all__ = ["entropy"]

import math
from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_confidence, check_seed, check_whole
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.statistics import group_clusters, random_folds

FOLDS = 10
FEWEST_TOKENS = 16
DEFAULT_DISCOUNT = 0.75


def entropy(
    tokens: Int[Tensor, "samples"] | Int[ndarray, "samples"] | Sequence[int] | None = None,
    *,
    counts: Int[Tensor, "vocabulary"] | Int[ndarray, "vocabulary"] | Sequence[int] | None = None,
    vocabulary: int | None = None,
    groups: Int[Tensor, "samples"] | Int[ndarray, "samples"] | None = None,
    confidence: float = 0.95,
    seed: int = 0,
) -> Estimate:
    r"""Upper bound on `H(X)`, hence on what anything tells of a token, from samples of it, in bits.

    .. math:: H(X) \le E[-\log_2 q(X)]

    for every law q. Here q is learned from nine tenths of the documents and held against the rest, ten times over: the
    mean is never below the entropy in expectation, where a plug-in entropy is never above. q is the shares of the
    types, discounted, the rest spread over the whole vocabulary (Ney, Essen and Kneser 1994, absolute discounting).
    The interval is that of a mean over documents; `infodil.entropy.entropy_bounds` has one that holds for any number of
    independent samples, and is wider: from 10,000 samples of 50,000 Zipf types with 10.9 bits, 12.5 for 11.5.

    Args:
        tokens: Type of each sample.
        counts: How often each type occurs, in place of `tokens`, for independent samples.
        vocabulary: Types there may be; by default one more than the greatest seen, which is right only if no type
            beyond it can occur.
        groups: The document of each token: whole documents are held out, and the interval is over documents.
        confidence: Of the interval.
        seed: Decides what is held out when.

    Returns:
        An upper bound, at most `log2(vocabulary)`.

    Raises:
        UserError: neither or both of `tokens` and `counts`, too few samples, types outside the vocabulary.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), theorem 5.4.3 (the wrong code).

    Example:
        >>> bound = entropy(np.arange(4096) % 4)
        >>> round(float(bound), 2), bound.kind
        (2.0, 'upper bound')
    """
    check_confidence(confidence)
    check_seed(seed)
    types = read_types(tokens, counts)
    vocabulary = check_vocabulary(vocabulary, int(types.max()))
    generator = np.random.default_rng(seed)
    clusters = group_clusters(groups, len(types))
    fold = random_folds(clusters.number, FOLDS, generator)[clusters.index]
    surprise = np.empty(len(types))
    seen = np.unique(types, return_inverse=True)[1]  # the vocabulary may be far larger than what occurs of it
    whole = np.bincount(seen)
    for held_out in range(int(fold.max()) + 1):
        there = fold == held_out
        law = discounted(whole - np.bincount(seen[there], minlength=len(whole)), vocabulary)
        surprise[there] = -np.log(law[seen[there]])
    down, up = clusters.skewed_quantiles(surprise, confidence)
    error = clusters.standard_error(surprise)
    most, mean = math.log(vocabulary), float(surprise.mean())
    low, value, high = (min(nats, most) * BITS_PER_NAT for nats in (mean - down * error, mean, mean + up * error))
    return Estimate(value, low, high, confidence, "upper bound", len(types), "entropy, held-out code length")


def read_types(tokens: object, counts: object) -> Int[ndarray, "samples"]:
    """The samples, from themselves or from their counts."""
    if (tokens is None) == (counts is None):
        raise UserError("`tokens` or `counts` must be given, and not both: pass one of them.")
    name, values = ("tokens", tokens) if counts is None else ("counts", counts)
    found = np.asarray(values.detach().cpu() if isinstance(values, Tensor) else values)
    if found.ndim != 1 or found.dtype.kind not in "iu" or (found < 0).any():
        raise UserError(
            f"`{name}` must be whole numbers of at least 0 in one axis, got shape {list(found.shape)} of "
            f"{found.dtype}: pass token ids or their counts."
        )
    found = found.astype(np.int64)
    if name == "counts":
        found = np.repeat(np.arange(len(found)), found)
    if len(found) < FEWEST_TOKENS:
        raise UserError(f"`{name}` must hold at least {FEWEST_TOKENS} samples, got {len(found)}: pass more of them.")
    return found


def check_vocabulary(vocabulary: int | None, largest: int) -> int:
    """The vocabulary, or one that just holds the types seen; raise `UserError` where they do not fit."""
    if vocabulary is None:
        return largest + 1
    check_whole("vocabulary", vocabulary, 1, "pass the number of types")
    if largest >= vocabulary:
        raise UserError(f"`tokens` has the type {largest}, outside 0 to {vocabulary - 1}: pass a larger `vocabulary`.")
    return vocabulary


def discounted(counts: Int[ndarray, "types"], vocabulary: int) -> Float[ndarray, "types"]:
    """Shares of the types, a discount off each, what is left spread over all of the vocabulary (Ney et al. 1994)."""
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    discount = once / (once + 2.0 * twice) if once and twice else DEFAULT_DISCOUNT
    kept = np.maximum(counts - discount, 0.0)
    return (kept + (counts.sum() - kept.sum()) / vocabulary) / counts.sum()
