"""An upper bound on the information of two discrete variables, at any sampling. In nats."""

__all__ = ["Ceiling", "ceiling_nats"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64
from scipy.special import digamma, gammaincinv

from infodil.entropy import most_categories, plugin_bias_nats, unseen_nats, upper_entropy_nats
from infodil.mi.discrete.contingency import Joint


@dataclass(frozen=True)
class Ceiling:
    """The bound, with the interval of its own estimation."""

    value: float
    low: float
    high: float
    labels: tuple[int, int]
    """Of x and of y: the bound holds for no more than these."""


def ceiling_nats(joint: Joint, confidence: float) -> Ceiling:
    r"""Entropies of x and y from above, less that of the pair from below; and never above the bound of either.

    .. math:: I(X; Y) \le \hat H(X) + \hat H(Y) + \log\big(1 + \tfrac{V_x - 1}{N}\big)
              + \log\big(1 + \tfrac{V_y - 1}{N}\big) - \hat H_-(X, Y)

    with plug-in entropies of x and y, whose means fall short of the truth by at most the logarithms, and an entropy of
    the pair that is low on average (`pair_terms_nats`). Alphabets that nobody named are one more than the upper end of
    Chao's interval. With groups N is what the groups are worth.

    Reference:
        Paninski (2003), Neural Computation 15, proposition 1.
    """
    # The interval's two ends fail with half the odds each, and the entropies' bounds share a half of that.
    failure = (1 - confidence) / 4
    sides = []
    for counts, effect in zip(joint.counts[:2], joint.design_effects[:2], strict=True):
        sides.append((counts.astype(np.float64), most_categories(counts), len(joint) / effect))
    lacking = sum(plugin_bias_nats(worth, labels) for _, labels, worth in sides)
    most = min(upper_entropy_nats(counts, labels, worth, failure) for counts, labels, worth in sides)
    x, y, _ = joint.counts
    terms = -np.log(x[joint.x] / len(joint)) - np.log(y[joint.y] / len(joint)) - pair_terms_nats(joint, failure)
    value, reach = float(terms.mean()) + lacking, joint.clusters.half_width(terms, 1 - failure)
    ends = (min(end, most) for end in (value, value - reach, value + reach))
    return Ceiling(*ends, labels=(sides[0][1], sides[1][1]))


def pair_terms_nats(joint: Joint, failure: float) -> Float64[np.ndarray, "samples"]:
    r"""One term a sample, whose mean is on average below the entropy of the pair.

    The entropy is :math:`\sum_{k \ge 1} M_k / k`, where :math:`M_k = \sum_i p_i (1 - p_i)^k` is the mass that k samples
    miss. Up to k = N - 1 there is an unbiased estimate, :math:`\psi(N) - \psi(n)` for a sample in a cell of n. Beyond,
    Jensen's inequality has :math:`M_{N-1+j} \ge M_{N-1} (1 - A)^j`, with A the mean probability of cells among the mass
    missed, which Good and Turing's estimates from cells seen once and twice give. That ratio is taken at confidence
    limits of both numbers, of Poisson's law, on the side that makes the entropy low.

    Reference:
        Zhang (2012), Neural Computation 24, equation 4, for the unbiased part; Chao, Wang & Jost (2013), Methods in
        Ecology and Evolution 4, equation 7, for the rest.
    """
    samples, counts = len(joint), joint.counts[2]
    once, twice = int((counts == 1).sum()), int((counts == 2).sum())
    terms = digamma(samples) - digamma(counts)
    if once > 1:
        fewest, most = float(gammaincinv(once, failure)), float(gammaincinv(twice + 1, 1 - failure))
        share = 2 * most / ((samples - 1) * fewest + 2 * most)
        terms = terms + (counts == 1) * float(unseen_nats(np.float64(share), np.float64(samples)))
    return terms[joint.cell]
