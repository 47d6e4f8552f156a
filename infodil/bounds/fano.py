"""A lower bound on information from how often a decoder errs."""

__all__ = ["fano"]

import math

from scipy.stats import beta

from infodil.checks import UserError, check_between, check_confidence, check_whole
from infodil.estimate import Estimate


def fano(
    error: float | int,
    entropy_bits: float | int | Estimate,
    vocabulary: int,
    *,
    samples: int | None = None,
    confidence: float = 0.95,
) -> Estimate:
    r"""Lower bound on `I(X; H)` from the error rate of any decoder of X from H, in bits.

    .. math:: I(X; H) \ge H(X) - h(e) - e \log_2(V - 1)

    What is subtracted rises with the error until `1 - 1/V`, where it is :math:`\log_2 V`; a worse decoder than that
    proves nothing, and the bound stays there, so that it never rises with the error. It may be negative, which says no
    more than "at least nothing".

    Args:
        error: Share of samples that the decoder got wrong, on data that it was not fitted to.
        entropy_bits: Entropy of X, not overstated; of an `Estimate` the low end is used for the low end.
        vocabulary: Number of types that X may have.
        samples: Number of independent samples that the error was measured on: the low end is then that of the largest
            error compatible with them (Clopper and Pearson 1934). Without it the error counts as exact.
        confidence: Confidence level of that largest error.

    Returns:
        A lower bound, negative where it proves nothing.

    Raises:
        UserError: `error` is outside [0, 1], the entropy is above `log2(vocabulary)`, or there are fewer than two
            types.

    Reference:
        Fano (1952); Cover & Thomas, Elements of Information Theory (2006), theorem 2.10.1.

    Example:
        >>> round(float(fano(0.1, 3.0, 8)), 4)  # 3 - 0.4690 - 0.1 log2(7)
        2.2503
    """
    check_between("error", error, 0, 1)
    check_confidence(confidence)
    check_whole("vocabulary", vocabulary, 2, "a token must tell something")
    ends = (
        [entropy_bits.low_bits, entropy_bits.value_bits] if isinstance(entropy_bits, Estimate) else [entropy_bits] * 2
    )
    if not 0.0 <= ends[1] <= math.log2(vocabulary) + 1e-9:
        raise UserError(
            f"`entropy_bits` must be from 0 to log2({vocabulary}) = {math.log2(vocabulary):.4f}, got {ends[1]}: pass "
            "bits, and the number of types that X may have."
        )
    least, most = error, error
    if samples is not None:
        check_whole("samples", samples, 1, "pass how many samples were decoded")
        wrong, tail = error * samples, (1.0 - confidence) / 2.0
        most = 1.0 if wrong >= samples else float(beta.ppf(1.0 - tail, wrong + 1.0, samples - wrong))
        least = 0.0 if wrong <= 0 else float(beta.ppf(tail, wrong, samples - wrong + 1.0))
    low, value, high = (
        entropy - left_open(rate, vocabulary) for entropy, rate in ((ends[0], most), (ends[1], error), (ends[1], least))
    )
    return Estimate(value, low, high, confidence, "lower bound", samples or 0, "Fano")


def left_open(error: float, vocabulary: int) -> float:
    """The most that can be unknown of X, in bits, where a decoder errs no more often than this."""
    error = min(error, 1.0 - 1.0 / vocabulary)
    coin = sum(-p * math.log2(p) for p in (error, 1.0 - error) if p > 0.0)
    return coin + error * math.log2(vocabulary - 1.0)
