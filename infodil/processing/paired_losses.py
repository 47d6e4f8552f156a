"""Test of equal losses: differences paired by document and by seed, and a verdict that can say "identical"."""

__all__ = ["LossDifference", "compare_losses"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.checks import UserError, check_between, check_confidence, check_not_empty
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.lm import TextLoss
from infodil.report import SavedResult
from infodil.statistics import MOST_CLUSTERS, REPLICATES, bootstrap_weights, t_quantile


@dataclass(frozen=True)
class LossDifference(SavedResult):
    """How much higher the first loss is than the second, nats a token.

    Example:
        >>> first = TextLoss(np.array([4.1, 8.0, 5.9]), np.array([2, 4, 3]))
        >>> second = TextLoss(np.array([4.0, 8.1, 5.8]), np.array([2, 4, 3]))
        >>> print(compare_losses([first], [second], margin_nats=0.2))
        +0.011 nats [-0.074, 0.096], identical within 0.2 nats
    """

    value_nats: float
    low_nats: float
    high_nats: float
    """Ends of the interval over documents and seeds together."""
    document_low_nats: float
    document_high_nats: float
    """Ends of the interval over documents, these trained models given."""
    seed_values_nats: tuple[float, ...]
    """The difference of each seed."""
    margin_nats: float
    """What counts as the same."""
    verdict: str
    """`identical within M nats`, `different` or `cannot be told`."""
    confidence: float
    documents: int
    warnings: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.value_nats:+.3f} nats [{self.low_nats:.3f}, {self.high_nats:.3f}], {self.verdict}"

    @property
    def estimate(self) -> Estimate:
        """The same in bits."""
        values = (value * BITS_PER_NAT for value in (self.value_nats, self.low_nats, self.high_nats))
        return Estimate(*values, self.confidence, "estimate", self.documents, "paired losses", self.warnings)


def compare_losses(
    first: Sequence[TextLoss],
    second: Sequence[TextLoss],
    *,
    margin_nats: float | int = 0.02,
    confidence: float | int = 0.95,
    seed: int = 0,
) -> LossDifference:
    r"""The difference of two losses on the same documents, over seeds of the training.

    The variance is that of resampled documents plus, where there are several seeds, that of their mean; quantiles are
    Student's, with Satterthwaite's degrees of freedom, so that three seeds that differ make a wide interval. The
    verdict is `identical within M nats` where both one-sided tests of :math:`|\Delta| \ge M` reject at
    `1 - confidence` (the interval at `2 confidence - 1` lies inside the margin); otherwise `different` where the
    interval excludes zero; else `cannot be told`.

    Args:
        first: Losses of one model, one for each training seed.
        second: Losses of the other model, the seeds in the same order.
        margin_nats: Largest difference that counts as none.
        confidence: Confidence level of the interval; above one half.
        seed: Seed of the resampling.

    Returns:
        The difference, its intervals and the verdict.

    Raises:
        UserError: The losses are of different documents or seeds, or of fewer than two documents.

    Reference:
        Schuirmann (1987), two one-sided tests; Satterthwaite (1946) for the degrees of freedom; Efron and Tibshirani
        (1993), chapter 6, for the resampling.
    """
    check_between("margin_nats", margin_nats, 0.0, math.inf, open_low=True)
    check_confidence(confidence)
    nats, tokens = paired(first, second)
    values = nats.sum(1) / tokens.sum()
    mean = float(values.mean())
    replicates = ratio_replicates(nats.mean(0), tokens, seed)
    by_document = float(replicates.var(ddof=1))
    by_seed = float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0
    units = min(len(tokens), MOST_CLUSTERS)
    total = by_document + by_seed
    squares = by_document**2 / (units - 1) + (by_seed**2 / (len(values) - 1) if len(values) > 1 else 0.0)
    freedom = total**2 / squares if squares > 0 else float(units - 1)

    def ends(level: float, variance: float, degrees: float | int) -> tuple[float, float]:
        reach = t_quantile(degrees, level) * math.sqrt(variance)
        return mean - reach, mean + reach

    low, high = ends(confidence, total, freedom)
    inner_low, inner_high = ends(2 * confidence - 1, total, freedom)
    if max(-inner_low, inner_high) < margin_nats:
        verdict = f"identical within {margin_nats:g} nats"
    else:
        verdict = "different" if low > 0 or high < 0 else "cannot be told"
    warnings = () if len(values) > 1 else ("One seed: the interval says nothing of another training run.",)
    return LossDifference(
        mean, low, high, *ends(confidence, by_document, units - 1), tuple(values.tolist()), margin_nats, verdict,
        confidence, len(tokens), warnings,
    )  # fmt: skip


def paired(
    first: Sequence[TextLoss], second: Sequence[TextLoss]
) -> tuple[Float[ndarray, "seeds documents"], Int[ndarray, "documents"]]:
    """First less second, of each seed and document, and the tokens of each document."""
    check_not_empty("first", first, "pass one loss for each seed")
    if len(first) != len(second):
        raise UserError(f"`first` has {len(first)} seeds and `second` {len(second)}: pass the same seeds of both.")
    tokens = first[0].tokens
    for loss in (*first, *second):
        if not np.array_equal(loss.tokens, tokens):
            raise UserError("`first` and `second` must be losses of the same documents: score both on one split.")
    if len(tokens) < 2:
        raise UserError("`first` has one document: pass losses of two or more, for an interval.")
    return np.stack([one.nats - other.nats for one, other in zip(first, second, strict=True)]), tokens


def ratio_replicates(
    sums: Float[ndarray, "documents"], tokens: Int[ndarray, "documents"], seed: int
) -> Float[ndarray, "replicates"]:
    """Sum over tokens, once for each resampling of documents (of groups of them, where they are very many)."""
    units = min(len(tokens), MOST_CLUSTERS)
    group = np.arange(len(tokens)) * units // len(tokens)
    weights = bootstrap_weights(units, REPLICATES, seed)
    above, below = (np.bincount(group, weights=values, minlength=units) for values in (sums, tokens))
    return (weights @ above) / (weights @ below)
