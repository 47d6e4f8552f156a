"""How far sampling may have moved an estimate of discrete information: an interval that need not be symmetric."""

__all__ = ["interval_reaches"]

import math

import numpy as np
from jaxtyping import Float64
from scipy.optimize import brentq
from scipy.special import chndtr, ndtri, xlogy

from infodil.mi.discrete.contingency import Joint

NEAR_INDEPENDENCE = 20.0
"""Up to this noncentrality, and four standard deviations of chance, the interval is that of a chi-square variable."""

RAREST = 64
"""Labels of either variable among which a pair that was never seen is looked for."""

STEPS = 16
"""Tables on the way to the one that is tilted furthest."""


def interval_reaches(joint: Joint, confidence: float) -> tuple[float, float]:
    r"""How far the interval reaches below and above the estimate of Chao, Wang & Jost, nats.

    Five things are put together, and each is needed somewhere:

    - *Tilting.* Cells are weighed by :math:`e^{t \log (p_{xy} / p_x p_y)}` until the likelihood ratio from what was
      seen reaches its quantile; the least and the most information on the way are the ends. Unlike a standard error
      this follows the skewness of rare pairs. The quantile is Student's, and with groups the ratio counts as many
      samples as the spread of the groups' sums says.
    - *Pairs never seen.* The same ratio allows a pair of labels that never met a mass of about 2/N; the one that would
      move the information most, up or down, is tried.
    - *Chance.* Under independence twice N times the plug-in is chi-square; its variance is added.
    - *Near independence* the ends are at least those of a noncentral chi-square variable.
    - *Bias.* Whatever two corrections, that of Chao, Wang & Jost and that of Miller and Madow, disagree by.

    Reference:
        Efron (1981), Canadian Journal of Statistics 9, section 11, for tilting; Wilks (1938), Annals of Mathematical
        Statistics 9, for both chi-square laws; Rao & Scott (1981), Journal of the American Statistical Association 76,
        for the samples that groups are worth.
    """
    # None of these laws is exact for a few samples: half the odds of a miss are kept back for that.
    confidence = 0.5 + confidence / 2
    sizes, effects = [len(counts) for counts in joint.counts], joint.design_effects
    freedom = sizes[2] - sizes[0] - sizes[1] + 1
    bias = sum(sign * effect * (size - 1) for sign, effect, size in zip((-1, -1, 1), effects, sizes, strict=True))
    worth = len(joint) / (max(1.0, bias / freedom) if freedom > 0 else effects[2])
    quantile = float(ndtri(0.5 + confidence / 2))
    chance = quantile * math.sqrt(abs(freedom) / 2) / worth

    terms, plugin = joint.pointwise_nats, joint.plugin_nats
    reach = joint.clusters.half_width(terms, confidence)
    # The ratio at which a standard error would give that reach, and the one without groups, for what was never seen.
    radius = 0.5 * reach**2 / float(terms.var()) if terms.var() > 1e-24 else 0.0
    tilted = _tilt(joint, radius) if radius else (plugin, plugin)
    unseen = _meet(joint, 0.5 * quantile**2 / worth)
    below, above = (
        # Terms vary by chance too, which is counted once.
        math.hypot(math.sqrt(max(0.0, first**2 - 2 * chance**2 * (freedom > 0))), chance)
        for first in (plugin - min(tilted[0], unseen[0]), max(tilted[1], unseen[1]) - plugin)
    )
    value = joint.information_nats("chao-wang-jost")
    statistic = 2 * worth * plugin
    if freedom > 0 and statistic - freedom < NEAR_INDEPENDENCE + 4 * math.sqrt(2 * freedom):
        low, high = (_noncentrality(statistic, freedom, odds) for odds in (0.5 + confidence / 2, 0.5 - confidence / 2))
        below, above = max(below, value - low / 2 / worth), max(above, high / 2 / worth - value)
    allowance = abs(value - joint.information_nats("miller-madow"))
    return below + allowance, above + allowance


def _tilt(joint: Joint, radius: float) -> tuple[float, float]:
    """The least and the most information of the tables tilted down and up, as far as the relative entropy `radius`."""
    p = joint.counts[2] / len(joint)
    x, y = (counts / len(joint) for counts in joint.counts[:2])
    gain = np.log(p / (x[joint.cell_x] * y[joint.cell_y]))
    gain -= p @ gain

    def distance(tilt: float) -> float:
        top = tilt * (gain.max() if tilt > 0 else gain.min())
        return top + math.log(p @ np.exp(tilt * gain - top)) - radius

    def information(tilt: float) -> float:
        q = p * np.exp(tilt * gain - max(tilt * gain.max(), tilt * gain.min()))
        return _table_nats(joint, q / q.sum())

    ends = []
    for sign in (-1.0, 1.0):
        far = sign * math.sqrt(2 * radius / float(p @ gain**2))
        while distance(far) < 0:
            far *= 2.0
        tilt = brentq(distance, 0.0, far)
        # Tilted past independence, or to few cells, a table's information turns back.
        way = (information(tilt * step / STEPS) for step in range(1, STEPS + 1))
        ends.append(sign * max(sign * nats for nats in way))
    return ends[0], ends[1]


def _table_nats(joint: Joint, q: Float64[np.ndarray, "cells"]) -> float:
    x, y = np.bincount(joint.cell_x, q), np.bincount(joint.cell_y, q)
    return float(xlogy(q, q).sum() - xlogy(x, x).sum() - xlogy(y, y).sum())


def _meet(joint: Joint, radius: float) -> tuple[float, float]:
    """The least and the most information if one pair of labels that never met had the mass that `radius` allows."""
    mass = -math.expm1(-radius)
    p = joint.counts[2] / len(joint)
    binary = -xlogy(mass, mass) - xlogy(1 - mass, 1 - mass)
    of_pairs = -(1 - mass) * float(xlogy(p, p).sum()) + binary
    met = set(zip(joint.cell_x.tolist(), joint.cell_y.tolist(), strict=True))
    grown = [_grow(counts / len(joint), mass) for counts in joint.counts[:2]]
    ends = []
    for sign in (1, -1):
        first, second = (np.argsort(sign * entropies, kind="stable")[:RAREST] for entropies in grown)
        sums = [float(grown[0][x] + grown[1][y]) for x in first.tolist() for y in second.tolist() if (x, y) not in met]
        ends.append(sign * min(sign * total for total in sums) - of_pairs if sums else joint.plugin_nats)
    return ends[0], ends[1]


def _grow(p: Float64[np.ndarray, "labels"], mass: float) -> Float64[np.ndarray, "labels"]:
    """The entropy when each label in turn takes this mass from all."""
    shrunk = (1 - mass) * p
    return -xlogy(shrunk, shrunk).sum() + xlogy(shrunk, shrunk) - xlogy(shrunk + mass, shrunk + mass)


def _noncentrality(statistic: float, freedom: int, odds: float) -> float:
    """The noncentrality of the chi-square variable that stays below the statistic with these odds; at least 0."""

    def excess(noncentrality: float) -> float:
        return float(chndtr(statistic, freedom, noncentrality)) - odds

    if excess(0.0) <= 0:
        return 0.0
    return brentq(excess, 0.0, 4 * statistic + 40 + 10 * math.sqrt(2 * freedom))
