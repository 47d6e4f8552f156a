"""The estimates of a report: means of the sums over clusters, and their bootstrap intervals."""

__all__ = ["Bootstrap", "Drawn", "Places", "ReportEstimates", "estimate", "gain_bits"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from infodil.estimate import BITS_PER_NAT
from infodil.ladder import FittedLadder, TextClusters
from infodil.measure.accumulators import EntrySums
from infodil.statistics import bootstrap_interval, bootstrap_weights, correlation_length, merge_cells

REPORT_REPLICATES = 2000

Places = Float[ndarray, "entries targets"]
Drawn = Float[ndarray, "replicates entries targets"]


@dataclass(frozen=True, eq=False)
class Bootstrap:
    """Replicates of means of sums over clusters that are drawn with replacement."""

    weights: Float[ndarray, "replicates clusters"]
    confidence: float

    @classmethod
    def of(cls, clusters: int, confidence: float, seed: int) -> "Bootstrap":
        """Weights of 2,000 replicates."""
        return cls(bootstrap_weights(clusters, REPORT_REPLICATES, seed), confidence)

    def means(self, terms: Float[ndarray, "*shape clusters"], counts: Float[ndarray, "*shape clusters"]) -> ndarray:
        """The mean over the rows of the drawn clusters, replicates first."""
        with np.errstate(invalid="ignore", divide="ignore"):
            ratio = np.tensordot(terms, self.weights.T, 1) / np.tensordot(counts, self.weights.T, 1)
        return np.moveaxis(ratio, -1, 0)

    def interval(self, replicates: Float[ndarray, "replicates *shape"]) -> tuple[ndarray, ndarray]:
        """Low and high end of the interval."""
        return bootstrap_interval(replicates, self.weights.shape[1], self.confidence)


@dataclass(frozen=True, eq=False)
class ReportEstimates:
    """Every figure of a report in bits, `[entries, targets]`, or `[targets]` where probes have no say."""

    value: Places
    low: Places
    high: Places
    usable: Places
    """As `value`, with the cross-entropy of the trained prior in place of the plug-in entropy."""
    beyond_context: Places
    beyond_context_low: Places
    beyond_context_high: Places
    ceiling: Float[ndarray, "targets"]
    ceiling_low: Float[ndarray, "targets"]
    ceiling_high: Float[ndarray, "targets"]
    top1: Places
    top5: Places
    samples: Int[ndarray, "entries targets"]
    certified: Drawn
    """Replicates of `value`."""
    highest: Drawn
    """Replicates that the high end is taken from."""
    beyond_context_drawn: Drawn
    poor_context: Bool[ndarray, "entries targets"]
    """Where the context predicts worse than the plug-in distribution, which then stands in for it."""
    smoothing: Places
    """The most that prior smoothing took."""
    bootstrap: Bootstrap
    blocks: Int[ndarray, "blocks"] | None
    """First cluster of each block that is resampled; None where clusters are documents and stand for themselves."""
    resampled: dict[str, object]
    """Number and kind of the clusters that intervals rest on."""


def estimate(
    sums: EntrySums, clusters: TextClusters, ladder: FittedLadder, confidence: float, seed: int
) -> ReportEstimates:
    r"""The value of each entry and target, :math:`H(c(X))` less the cross-entropy of the classes c, with its interval.

    The entropy is the plug-in entropy of the test labels, whose bias is downward: the value is a lower bound. The
    ceiling is the entropy of the types themselves. The interval reaches from the low end of the value to the high end
    with the cross-entropy of the trained prior, which is never below the entropy, in place of the plug-in entropy: what
    is not known about the entropy is inside the interval. The high end also adds the most that prior smoothing costs,
    :math:`\log 1 / (1 - \epsilon)`, for a probe that never errs reads the entropy less this.

    Args:
        sums: Sums of pointwise terms within clusters.
        clusters: What the clusters are; cells of a long text are merged to blocks of about ten correlation times.
        ladder: Fitted probes, whose smoothing the high end adds.
        confidence: Confidence level of each pointwise interval.
        seed: Seed of the bootstrap.
    """
    blocks = None if clusters.documents else block_edges(sums)
    sums = sums if blocks is None else sums.grouped(blocks)
    bootstrap = Bootstrap.of(sums.clusters, confidence, seed)
    value, certified = value_bits(sums, bootstrap, "plug_in")
    usable, usable_drawn = value_bits(sums, bootstrap, "prior")
    smoothing = smoothing_bits(ladder, value.shape[1])
    count, whole = sums.rows["count"], sums.whole
    surprise = {term: -whole[term] * BITS_PER_NAT for term in ("type_plug_in", "type_prior")}
    # Where the context predicts worse than the plug-in distribution, the plug-in entropy is the better figure for what
    # is unknown without the state: a poor model of the context must not be turned into memory.
    poor = sums.rows["context"].sum(-1) < sums.rows["plug_in"].sum(-1)
    better = np.where(poor[..., None], sums.rows["plug_in"], sums.rows["context"])
    beyond, beyond_drawn = gain_bits(sums, bootstrap, "given_context", better)
    _, beyond_all = gain_bits(sums, bootstrap, "given_context", sums.rows["context"])
    return ReportEstimates(
        value=value,
        low=bootstrap.interval(certified)[0],
        high=bootstrap.interval(usable_drawn + smoothing)[1],
        usable=usable,
        beyond_context=beyond,
        beyond_context_low=bootstrap.interval(beyond_drawn)[0],
        beyond_context_high=bootstrap.interval(beyond_all + smoothing)[1],
        ceiling=surprise["type_plug_in"].sum(-1) / whole["count"].sum(-1),
        ceiling_low=bootstrap.interval(bootstrap.means(surprise["type_plug_in"], whole["count"]))[0],
        ceiling_high=bootstrap.interval(bootstrap.means(surprise["type_prior"], whole["count"]))[1],
        top1=sums.probe["top1"].sum(-1) / count.sum(-1),
        top5=sums.probe["top5"].sum(-1) / count.sum(-1),
        samples=count.sum(-1).astype(int),
        certified=certified,
        highest=usable_drawn + smoothing,
        beyond_context_drawn=beyond_drawn,
        poor_context=poor,
        smoothing=smoothing,
        bootstrap=bootstrap,
        blocks=blocks,
        resampled={"clusters": sums.clusters, "of": "documents" if clusters.documents else "blocks of positions"},
    )


def gain_bits(
    sums: EntrySums, bootstrap: Bootstrap, term: str, base: Float[ndarray, "entries targets clusters"]
) -> tuple[Places, Drawn]:
    """Mean pointwise gain over a base, and its replicates; equal terms differ by exactly zero."""
    gain = (sums.probe[term] - base) * BITS_PER_NAT
    count = sums.rows["count"]
    return gain.sum(-1) / count.sum(-1), bootstrap.means(gain, count)


def value_bits(sums: EntrySums, bootstrap: Bootstrap, base: str) -> tuple[Places, Drawn]:
    """The gain of the selected probes over the plug-in distribution or the prior, and its replicates."""
    value, drawn = gain_bits(sums, bootstrap, "probe", sums.base(base))
    for place in map(tuple, np.argwhere(sums.names_types)):
        terms = [sums.probe["probe"][place], sums.base(base)[place], sums.rows["count"][place]]
        value[place], drawn[:, *place] = subsample_gain(
            *terms, sums.whole[f"type_{base}"][place[1]], sums.whole["count"][place[1]], bootstrap.weights
        )
    return value, drawn


def subsample_gain(
    probe: Float[ndarray, "clusters"],
    base: Float[ndarray, "clusters"],
    count: Float[ndarray, "clusters"],
    whole: Float[ndarray, "clusters"],
    whole_count: Float[ndarray, "clusters"],
    weights: Float[ndarray, "replicates clusters"],
) -> tuple[float, Float[ndarray, "replicates"]]:
    r"""Gain in bits of a probe that read a subsample of the rows, and its replicates.

    The base (an entropy) is known on all rows, the loss of the probe on some. The entropy of just these rows enters
    with the weight :math:`\beta` at which it explains the loss (the regression estimator): one for a probe that knows
    nothing, whose loss it is, zero for one that knows everything and has none.

    Reference:
        Cochran (1977), Sampling Techniques, chapter 7.
    """
    beta = 0.0
    if count.sum() > 0:
        ours, theirs = (part - part.sum() / count.sum() * count for part in (probe, base))
        beta = float(np.clip((ours @ theirs) / max(theirs @ theirs, 1e-300), 0.0, 1.0))

    def combine(sums: list) -> ndarray | np.floating:
        loss, near, number, far, everything = sums
        with np.errstate(invalid="ignore", divide="ignore"):
            return ((loss - beta * near) / number - (1.0 - beta) * far / everything) * BITS_PER_NAT

    parts = [probe, base, count, whole, whole_count]
    return float(combine([part.sum() for part in parts])), combine([weights @ part for part in parts])


def smoothing_bits(ladder: FittedLadder, targets: int) -> Places:
    """The most that prior smoothing took from each mean gain; the controls come last, as in the sums."""
    used = [[ladder.predictor(site, probe, t) for t in range(targets)] for site, probe in ladder.entries()]
    used += [[fitted] * targets for fitted in ladder.control.values()]
    nats = [[fitted.smoothing_nats(target) for target, fitted in enumerate(line)] for line in used]
    return np.array(nats) * BITS_PER_NAT


def block_edges(sums: EntrySums) -> Int[ndarray, "blocks"]:
    """First cell of each block when cells are merged to about ten correlation times of the pointwise terms."""
    count = sums.rows["count"]
    gain = (sums.probe["probe"] - sums.base("prior")) / np.maximum(count, 1.0)
    columns = gain.reshape(-1, gain.shape[-1]).T
    surprise = (sums.whole["plug_in"] / np.maximum(sums.whole["count"], 1.0)).T
    block = merge_cells(count.shape[-1], correlation_length(np.concatenate([columns, surprise], 1)))
    return np.flatnonzero(np.diff(block, prepend=-1))
