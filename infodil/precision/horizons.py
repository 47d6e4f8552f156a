"""Horizon of a linear trace: the oldest token that a probe can tell, given the size of the error."""

import math
from numbers import Real

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_one_of, check_whole
from infodil.precision.formats import widen

__all__ = ["horizon", "weighted_sigma"]

HORIZON_PROBES = ("decoder", "genie", "element")


def horizon(
    weights: Float[Tensor, "tokens"],
    sigma: float | Float[Tensor, "dim"],
    embedding_norm: float | int = 1.0,
    *,
    probe: str = "decoder",
    vocabulary: int = 2,
) -> int:
    r"""Last lag whose token a probe of a linear trace can still tell, predicted from the size of the error.

    The state is \(h = \sum_k w_k e_{x_k} + \varepsilon\). With token vectors of length r in no special direction, the
    error moves the coefficient of a unit vector by \(s\), the root mean square of `sigma` over dims. Two states that
    differ by a vector of length D are mistaken for one another with chance \(Q(D / 2s)\).

    - `"decoder"` must find type and lag. Swapping the tokens of two lags moves the state by \(\sqrt 2\, r\, g_k\),
      where \(g_k\) is the gap from \(w_k\) to the nearest other weight (\(\alpha w_k\) in an EMA), or to 0, no token.
      It tells them apart where \(g_k\, r / \sqrt 2 \ge s\), one sigma: each neighbour is mistaken 16 times in 100. It
      must pass the genie's test as well.
    - `"genie"` knows every other token, so only the type is left: the right one of `vocabulary` scores highest half
      of the time where \(w_k r \ge s\, \Phi^{-1}(2^{-1/(V-1)})\), and at least \(\sqrt 2\, s\), one sigma between two.
    - `"element"` looks at one number of the state, where the token adds \(w_k r / \sqrt d\): it must reach \(s\).
      This is `infodil.traces.horizon` for any observation: a float of p bits has \(s = \kappa\, 2^{-p}\) of the
      state's root mean square, \(\kappa \approx 0.43\) for Gaussian states, so in an EMA of unrelated tokens the two
      differ by the factor \(\kappa / \sqrt{\alpha (2-\alpha)}\) in weight: 9 lags for 8 at alpha .5, 52 for 52 at
      alpha .1, 236 for 274 at alpha .02 (bfloat16). The whole state is rounded, not the newest token alone.

    These probes weigh all dims alike. For one that weighs each number by its own error pass the float that
    `weighted_sigma` gives. None counts the search: more tokens in the trace than the dims can tell apart are lost
    earlier, whatever the precision.

    Args:
        weights: Weight of the token at each lag, as `infodil.traces.weights` gives it.
        sigma: Error of each dim, as `Quantizer.sigma` gives it, or of a coefficient.
        embedding_norm: Typical length of a token vector (about the mean vector: two differ by `sqrt(2)` times it).
        probe: `"decoder"`, `"genie"` or `"element"`.
        vocabulary: How many types the genie chooses from.

    Returns:
        The greatest such lag, at most `tokens - 1` (pass more weights then), -1 where there is none.

    Raises:
        UserError: Weights are negative or not finite, an error is below 0, the probe is unknown, or the probe is
            `"element"` and `sigma` one number.

    Example:
        >>> weights = 0.1 * 0.9 ** torch.arange(100.0)
        >>> sigma = torch.full((768,), 1.38e-5)  # of bfloat16 under that trace
        >>> [horizon(weights, sigma, probe=probe, vocabulary=4096) for probe in ("decoder", "genie", "element")]
        [59, 72, 52]
    """
    check_one_of("probe", probe, HORIZON_PROBES)
    check_whole("vocabulary", vocabulary, 2, "a token must tell something")
    errors = torch.as_tensor(sigma, dtype=torch.float64).cpu()
    wide = widen(weights).cpu()
    _check_sizes("weights", wide)
    _check_sizes("sigma", errors)
    if not isinstance(embedding_norm, Real) or not 0 < embedding_norm < math.inf:
        raise UserError(f"`embedding_norm` must be a number above 0, got {embedding_norm!r}: pass a length.")
    if probe == "element" and errors.dim() == 0:
        raise UserError("`sigma` must be [dim] for probe 'element', got one number: pass Quantizer.sigma(states).")
    size = wide * float(embedding_norm)
    error = errors.square().mean().sqrt()
    if probe == "element":
        return _last((size >= error * math.sqrt(len(errors))) & (size > 0))
    # Phi^-1 of 1 - x is -Phi^-1(x), and x keeps its digits where the vocabulary is large.
    best_of_others = -torch.special.ndtri(torch.tensor(-math.expm1(-math.log(2) / (vocabulary - 1))).double())
    recoverable = (size >= error * best_of_others.clamp(min=math.sqrt(2))) & (size > 0)
    if probe == "decoder":
        gap = _gaps(size)
        recoverable &= (gap >= error * math.sqrt(2)) & (gap > 0)
    return _last(recoverable)


def weighted_sigma(errors: Float[Tensor, "rows dim"], unknowns: int = 1) -> float:
    r"""Error of a token's coefficient for a probe that weighs each number of the state by its own error.

    Of n unknown tokens, fitted by weighted least squares, each coefficient has the variance v that solves

    .. math:: \frac{1}{d} \sum_{j=1}^{d} \frac{v}{\sigma_j^2 + v\, (n + 1) / d} = 1

    With one error for all numbers that is \(v = \sigma^2 / (1 - (n+1)/d)\), exact for Gaussian token vectors; with few
    unknowns it nears the harmonic mean of \(\sigma_j^2\). The smallest numbers of a float state are its finest, so this
    lies far below the mean error, more so the fewer tokens are unknown: an error of the mean size is no bound on what
    such a probe sees. In bfloat16 traces of 256 and 768 dims it is within 20% of the deviation measured (too low by
    that much at 10 to 30 unknowns, where few numbers decide), and within 3% at 60 and more. It holds only where the
    rounding is the whole error: a trace computed in float32 errs by its sums as much in its small numbers as in others.

    Args:
        errors: Error of each number of some states, as `Quantizer.errors` gives them.
        unknowns: How many tokens are solved for at once; 1 is the genie.

    Returns:
        The median over the rows, to be passed to `horizon` as `sigma`, in the unit of the states.

    Raises:
        UserError: `unknowns` is below 1, or not at least 2 below the dims.

    Reference:
        Leave one token out: what is not known of the n others, random unit vectors, adds the variance v n / d to
        number j. The argument, for many dims, is that of Tse and Hanly (1999), Linear multiuser receivers: effective
        interference, effective bandwidth and user capacity, IEEE Trans. Information Theory 45(2). In few dims n + 1 for
        n makes it meet the mean of the inverse Wishart matrix, the covariance of unweighted least squares.

    Example:
        >>> round(weighted_sigma(torch.tensor([[3.0, 3.0, 3.0, 3.0]]), unknowns=1), 6)  # half the dims are used up
        4.242641
    """
    check_whole("unknowns", unknowns, 1, "pass how many tokens are solved for")
    variance = widen(errors).square()
    dims = variance.shape[1]
    if unknowns > dims - 2:
        raise UserError(
            f"`unknowns` must be at least 2 below the {dims} dims, got {unknowns}: no fit tells so many tokens apart."
        )
    others = (unknowns + 1) / dims
    # The left side rises with v and falls with every sigma, so the largest sigma everywhere bounds v from above.
    high = variance.amax(1, keepdim=True) / (1 - others)
    low = torch.zeros_like(high)
    for _ in range(100):  # halvings: down to 2**-100 of the bound, below the last digit of any v of interest
        middle = (low + high) / 2
        # Divided by v, so that a number without error is no 0 / 0.
        share = (1 / (variance / middle + others)).mean(1)
        low, high = (torch.where(share[:, None] < 1, *pair) for pair in ((middle, low), (high, middle)))
    return float(high.sqrt().median())


def _gaps(size: Float[Tensor, "tokens"]) -> Float[Tensor, "tokens"]:
    """From each size to the nearest other one, or to zero, which is no token."""
    ordered, place = torch.cat([size, size.new_zeros(1)]).sort()
    steps = torch.cat([size.new_tensor([math.inf]), ordered.diff(), size.new_tensor([math.inf])])
    gaps = torch.empty_like(ordered).scatter_(0, place, torch.minimum(steps[:-1], steps[1:]))
    return gaps[:-1]


def _last(reached: Tensor) -> int:
    lags = reached.nonzero()
    return int(lags[-1]) if len(lags) else -1


def _check_sizes(argument: str, sizes: Tensor) -> None:
    wrong = sizes[~(sizes.isfinite() & (sizes >= 0))]
    if len(wrong):
        raise UserError(f"`{argument}` must be finite and not negative, got {float(wrong[0])}: pass sizes.")
