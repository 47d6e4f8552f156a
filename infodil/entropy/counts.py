"""Entropy of a discrete variable from how often each of its values was seen. Counts in, nats out."""

__all__ = ["METHODS", "Method", "chao1", "entropy_nats", "unseen_nats"]

from typing import Literal

import numpy as np
from jaxtyping import Float64
from scipy.special import digamma

from infodil.checks import UserError, check_one_of
from infodil.entropy.nsb import nsb_nats

Method = Literal["plug-in", "miller-madow", "grassberger", "chao-shen", "chao-wang-jost", "nsb"]
Counts = Float64[np.ndarray, "*batch categories"]
Entropies = Float64[np.ndarray, "*batch"] | np.float64


def entropy_nats(counts: np.ndarray | list, method: Method, *, alphabet: int | None = None) -> Entropies:
    """Entropy of each row of counts.

    ================== =================================================================================================
    `"plug-in"`        of the frequencies themselves: biased low, by about `(K - 1) / 2N`
    `"miller-madow"`   plug-in plus `(K - 1) / 2N` for K categories seen: for `N >> K`
    `"grassberger"`    logarithms replaced by G(n), which cancels most of the bias at small counts
    `"chao-shen"`      each category weighed by its odds of being seen, its frequency shrunk by the singletons' share
    `"chao-wang-jost"` the slope of the species accumulation curve, its unseen part from singletons and doubletons:
                       for unknown alphabets
    `"nsb"`            mean of the posterior under a prior nearly flat in entropy: for a known alphabet, `N < alphabet`
    ================== =================================================================================================

    Args:
        counts: Counts of each row, `[..., categories]`, whole and not negative; categories never seen may be left out.
        method: Estimator, one of the names above.
        alphabet: How many categories there are, for `"nsb"`; by default as many as columns are given.

    Returns:
        Nats, one a row.

    Raises:
        UserError: A row is empty, a count is negative or not whole, or the alphabet has fewer categories than were
            seen.

    Reference:
        Miller (1955), Note on the bias of information estimates. Grassberger (2003), arXiv physics/0307138, equations
        27 to 31. Chao & Shen (2003), Environmental and Ecological Statistics 10, equations 3 and 6. Chao, Wang & Jost
        (2013), Methods in Ecology and Evolution 4, equation 7. Nemenman, Shafee & Bialek (2002), NIPS 14, equations 4
        to 9.

    Example:
        >>> entropy_nats([1, 1], "plug-in").round(4), entropy_nats([1, 1], "miller-madow").round(4)
        (np.float64(0.6931), np.float64(0.9431))
    """
    check_one_of("method", method, METHODS)
    n = _check_counts(counts)
    if method == "nsb":
        columns = alphabet or n.shape[-1]
        if int((n > 0).sum(-1).max()) > columns:
            raise UserError(f"`alphabet` must be at least the categories seen, got {columns}: pass how many there are.")
        rows = n.reshape(-1, n.shape[-1])
        return np.array([nsb_nats(row, columns)[0] for row in rows]).reshape(n.shape[:-1])[()]
    return _ESTIMATORS[method](n)[()]


def chao1(counts: np.ndarray | list) -> Entropies:
    """Lower estimate of the number of categories, seen or not, from those seen once and twice.

    Args:
        counts: Counts of each row, `[..., categories]`, whole and not negative.

    Returns:
        A number of categories for each row.

    Raises:
        UserError: A row is empty, or a count is negative or not whole.

    Reference:
        Chao (1984), Scandinavian Journal of Statistics 11; in the form that no doubletons are needed for, Chiu, Wang,
        Walther & Chao (2014), Biometrics 70, equation 4.

    Example:
        >>> chao1([5, 1, 1, 2]).item()  # 4 seen, and 2 * 1 / (2 * 2) of singletons and doubletons
        4.5
    """
    n = _check_counts(counts)
    once, twice = (n == 1).sum(-1), (n == 2).sum(-1)
    return (n > 0).sum(-1) + once * (once - 1) / (2.0 * (twice + 1))


def _plugin(n: Counts) -> Entropies:
    total = n.sum(-1, keepdims=True)
    # Of a frequency near one, log(1 - rest) keeps the digits that log(n / N) loses.
    with np.errstate(divide="ignore"):
        log_p = np.where(n > total / 2, np.log1p(-(total - n) / total), np.log(n / total))
    return -np.where(n > 0, n / total * np.where(n > 0, log_p, 0.0), 0.0).sum(-1) + 0.0


def _miller_madow(n: Counts) -> Entropies:
    return _plugin(n) + ((n > 0).sum(-1) - 1) / (2.0 * n.sum(-1))


def _grassberger(n: Counts) -> Entropies:
    total = n.sum(-1, keepdims=True)
    seen = np.maximum(n, 1)
    sign = np.where(seen % 2 == 0, 0.5, -0.5)
    g = digamma(seen) + sign * (digamma((seen + 1) / 2) - digamma(seen / 2))
    return (np.where(n > 0, n, 0) / total * (np.log(total) - g)).sum(-1)


def _chao_shen(n: Counts) -> Entropies:
    total = n.sum(-1, keepdims=True)
    once = (n == 1).sum(-1, keepdims=True)
    # Were all singletons, nothing would be covered: one fewer, as is usual.
    coverage = 1 - np.minimum(once, total - 1) / total
    p = np.where(n > 0, coverage * n / total, 1.0)
    seen = -np.expm1(total * np.log1p(-np.where(p < 1, p, 0.0)))
    terms = -p * np.log(p) / np.where(p < 1, seen, 1.0)
    return np.where(n > 0, terms, 0.0).sum(-1)


def _chao_wang_jost(n: Counts) -> Entropies:
    total = n.sum(-1, keepdims=True)
    seen = (np.where(n > 0, n, 0) / total * (digamma(total) - digamma(np.maximum(n, 1)))).sum(-1)
    once, twice = (n == 1).sum(-1).astype(np.float64), (n == 2).sum(-1).astype(np.float64)
    total = total[..., 0]
    none = np.where(twice > 0, 2 * twice, 2.0)
    rest = np.where(twice > 0, (total - 1) * once, (total - 1) * (once - 1))
    share = np.where(once > 0, none / np.maximum(none + rest, 1.0), 1.0)
    return seen + once / total * unseen_nats(share, total)


def unseen_nats(share: Entropies, total: Entropies) -> Entropies:
    r"""Entropy of what was not seen: the bracket of equation 7 of Chao, Wang & Jost (2013), without cancellation.

    .. math:: (1-A)^{1-N} \Big\{-\log A - \sum_{r=1}^{N-1} \frac{(1-A)^r}{r}\Big\}

    It is the rest of the logarithm's series, :math:`\sum_{j \ge 0} (1-A)^{j+1} / (N+j)`, hence
    :math:`(1-A) \int_0^\infty e^{-Nt} / (1 - (1-A) e^{-t})\, dt`. With t = exp(u) / N the integrand is analytic and
    vanishes at both ends, so that the trapezoid rule converges exponentially.

    Args:
        share: The `A` of the equation, from singletons and doubletons.
        total: Number of samples, `N`.

    Returns:
        Nats, to be weighed by the share of the singletons.

    Reference:
        Chao, Wang & Jost (2013), Methods in Ecology and Evolution 4, equation 7.
    """
    step = 0.25
    u = np.arange(-80.0, 4.5, step)
    t = np.exp(u) / total[..., None]
    below = share[..., None] - (1 - share[..., None]) * np.expm1(-t)
    return (1 - share) * step * (np.exp(-np.exp(u)) * t / below).sum(-1)


def _check_counts(counts: np.ndarray | list) -> Counts:
    given = np.asarray(counts)
    if given.ndim == 0 or not given.size:
        raise UserError("`counts` must not be empty: pass how often each category was seen.")
    n = given.astype(np.float64)
    if not np.isfinite(n).all() or (n < 0).any() or (n != np.floor(n)).any():
        raise UserError("`counts` must be whole numbers of at least 0: pass how often each category was seen.")
    if (n.sum(-1) == 0).any():
        raise UserError("`counts` must not be zero everywhere: pass at least one sample.")
    return n


_ESTIMATORS = {
    "plug-in": _plugin,
    "miller-madow": _miller_madow,
    "grassberger": _grassberger,
    "chao-shen": _chao_shen,
    "chao-wang-jost": _chao_wang_jost,
}

METHODS: tuple[str, ...] = (*_ESTIMATORS, "nsb")
"""Names of the estimators."""
