"""Independent tokens sent as noisy vectors: codebooks, and codes that a linear probe or a mean cannot see."""

__all__ = ["gaussian_codebook", "variance_code", "xor_code"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from scipy.special import gammaln
from torch import Tensor

from infodil.channel import Channel, Code, Prior, information_draws_bits, probabilities_of
from infodil.checks import UserError, check_seed, check_whole
from infodil.sources.pairs import Pair, separate
from infodil.sources.quadrature import scalar_information_bits


def gaussian_codebook(
    codebook: Float[Tensor, "vocabulary dim"],
    sigma: float | int,
    *,
    prior: Prior | None = None,
    samples: int = 10_000,
    truth_samples: int = 20_000,
    seed: int = 0,
) -> Pair:
    r"""Tokens sent as vectors of a codebook, with Gaussian noise.

    ::

        x ~ prior --> codebook[x] --(+ sigma N)--> y

    .. math:: I(X; Y) = E \log_2 \frac{p(y \mid x)}{\sum_v p_v\, p(y \mid v)}

    In one dimension the expectation is an integral, exact to rounding; in more it is a Monte Carlo mean.

    Args:
        codebook: One vector a token id.
        sigma: Standard deviation of the noise of each number.
        prior: Probability of each token id, above 0; uniform by default.
        samples: Pairs drawn.
        truth_samples: Draws of the Monte Carlo mean, independent of the pairs.
        seed: The same seed gives the same samples.

    Returns:
        The pairs drawn and their mutual information in bits, with its standard error where it is a Monte Carlo mean.

    Raises:
        UserError: An argument is malformed, or a probability is 0.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 2.4 and 9.1.

    Example:
        >>> round(gaussian_codebook(torch.tensor([[-1.0], [1.0]]), 1.0).truth_bits, 4)
        0.4859
    """
    if codebook.dim() != 2 or len(codebook) < 2 or not torch.isfinite(codebook).all():
        raise UserError(f"`codebook` must be finite, of at least 2 vectors, got shape {list(codebook.shape)}: mend it.")
    _check_noise(sigma)
    probability = probabilities_of(prior, len(codebook))
    _check_counts(samples=samples, seed=seed)
    check_whole("truth_samples", truth_samples, 2, "pass how many pairs to draw for the truth")
    vectors = codebook.detach().to("cpu", torch.float64)
    generator = torch.Generator().manual_seed(seed)
    x = torch.multinomial(probability, samples, replacement=True, generator=generator)
    y = vectors[x] + sigma * torch.randn(samples, vectors.shape[1], generator=generator, dtype=torch.float64)
    one = torch.ones(1, dtype=torch.float64)
    if vectors.shape[1] == 1:
        (truth,) = scalar_information_bits(vectors[:, 0], one, sigma, [0], probability, probability[None])
        return Pair(x, y, separate(samples), truth)
    channel = Channel(Code(vectors, one[None]), sigma, prior=probability)
    bits = information_draws_bits(channel, [0], truth_samples, seed + 1, averaged=True)[:, 0]
    truth, error = float(bits.mean()), float(bits.std()) / math.sqrt(truth_samples)
    return Pair(x, y, separate(samples), truth, error)


def xor_code(
    bits: int = 1, sigma: float | int = 0.3, *, samples: int = 10_000, nuisance: int = 0, seed: int = 0
) -> Pair:
    r"""Tokens whose every bit is whether two signs differ: no single number of the state says anything of a token.

    ::

        s1, s2 = +-1 each --> bit = [s1 != s2];  state = (s1, s2) + sigma N, then the next bit's two

    .. math:: I(X; H) = B \cdot E \log_2\big(1 + \tanh(g_1 / \sigma^2)\, \tanh(g_2 / \sigma^2)\big), \quad
              g_i \sim N(1, \sigma^2)

    :math:`\tanh(h / \sigma^2)` is the mean of a sign given its noisy value; the expectation is a double integral.

    Args:
        bits: Bits of a token, `B`; tokens are `0 .. 2**bits - 1`, all equally likely.
        sigma: Standard deviation of the noise.
        samples: Pairs drawn.
        nuisance: Numbers of the state that are noise alone, after the `2 * bits` others.
        seed: The same seed gives the same samples.

    Returns:
        The pairs drawn and their mutual information in bits.

    Raises:
        UserError: An argument is out of range.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.4, with Bayes' rule for two noisy signs.

    Example:
        >>> round(xor_code(2, 0.2).truth_bits, 4)
        2.0
    """
    check_whole("bits", bits, 1, "pass 1 or more")
    check_whole("nuisance", nuisance, 0, "pass 0 or more")
    _check_noise(sigma)
    _check_counts(samples=samples, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    signs = torch.randint(2, (samples, bits, 2), generator=generator)
    x = ((signs[..., 0] ^ signs[..., 1]) * 2 ** torch.arange(bits)).sum(1)
    clean = torch.cat([2.0 * signs.flatten(1).double() - 1.0, torch.zeros(samples, nuisance, dtype=torch.float64)], 1)
    y = clean + sigma * torch.randn(clean.shape, generator=generator, dtype=torch.float64)

    normal = np.linspace(-9.0, 9.0, 1441)
    mean = np.tanh((1.0 + sigma * normal) / sigma**2)
    odds = np.exp(-(normal**2) / 2)
    odds /= odds.sum()
    # Where both means round to opposite ones the density has long vanished.
    truth = bits * odds @ np.log2(np.maximum(1.0 + np.outer(mean, mean), 1e-300)) @ odds
    return Pair(x, y, separate(samples), float(truth))


def variance_code(
    scales: Sequence[float] = (0.5, 1.0, 2.0),
    dim: int = 4,
    *,
    prior: Prior | None = None,
    samples: int = 10_000,
    seed: int = 0,
) -> Pair:
    r"""Tokens that set how widely a state is spread, and not where: all class means coincide.

    ::

        x ~ prior --> y = scales[x] * N(0, 1)

    The length of y says all that y says of x; its logarithm has density
    :math:`p(t \mid x) = c_d\, \exp\big(d\,(t - \log s_x) - e^{2 (t - \log s_x)} / 2\big)`, and the truth is one
    integral.

    Args:
        scales: Standard deviation of each token's state, above 0.
        dim: Numbers of a state.
        prior: Probability of each token, above 0; uniform by default.
        samples: Pairs drawn.
        seed: The same seed gives the same samples.

    Returns:
        The pairs drawn and their mutual information in bits.

    Raises:
        UserError: An argument is out of range.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.9 (a sufficient statistic loses nothing).

    Example:
        >>> round(variance_code([1.0, 1e6]).truth_bits, 6)
        1.0
    """
    spread = torch.as_tensor(scales, dtype=torch.float64)
    if spread.dim() != 1 or len(spread) < 2 or not ((spread > 0) & torch.isfinite(spread)).all():
        raise UserError(f"`scales` must be at least 2 finite numbers above 0, got {scales}: pass one a token.")
    check_whole("dim", dim, 1, "pass 1 or more")
    probability = probabilities_of(prior, len(spread))
    _check_counts(samples=samples, seed=seed)
    generator = torch.Generator().manual_seed(seed)
    x = torch.multinomial(probability, samples, replacement=True, generator=generator)
    y = spread[x, None] * torch.randn(samples, dim, generator=generator, dtype=torch.float64)

    step = 0.02 / math.sqrt(dim)
    centre, reach = spread.log() + 0.5 * math.log(dim), 40.0 / dim + 9.0 / math.sqrt(dim)
    t = torch.arange(float(centre.min()) - reach, float(centre.max()) + reach, step, dtype=torch.float64)
    away = t[:, None] - spread.log()
    log_density = dim * away - 0.5 * torch.exp(2 * away) - (0.5 * dim - 1) * math.log(2) - float(gammaln(dim / 2))
    joint = log_density + probability.log()
    total = torch.logsumexp(joint, 1, keepdim=True)
    gain = torch.where(log_density > -700, log_density - total, 0.0)
    truth = float((joint.exp() * gain).sum()) * step / math.log(2)
    return Pair(x, y, separate(samples), truth + 0.0)


def _check_noise(sigma: float | int) -> None:
    if not 0 < sigma < math.inf:
        raise UserError(f"`sigma` must be finite and above 0, got {sigma}: pass the noise's standard deviation.")


def _check_counts(*, samples: int, seed: int) -> None:
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    check_seed(seed)
