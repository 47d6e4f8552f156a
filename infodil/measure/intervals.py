"""The estimates of a report: means of the sums over clusters, and the intervals that clusters give them."""

__all__ = ["ContextEstimates", "Means", "Places", "ReportEstimates", "Spans", "estimate"]

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from infodil.estimate import BITS_PER_NAT
from infodil.ladder import FittedLadder, TextClusters
from infodil.measure.accumulators import EntrySums, given_context, of_context
from infodil.statistics import (
    cluster_deviations,
    cluster_quantile,
    correlation_length,
    equal_clusters,
    merge_cells,
    t_quantile,
)

Places = Float[ndarray, "*shape"] | float
"""`[entries, targets]`, or `[targets]` where probes have no say."""


@dataclass(frozen=True, eq=False)
class Means:
    """Means over rows in bits, and what each cluster adds to their errors, for the interval of any sum of them."""

    value: Places
    deviations: Float[ndarray, "*shape clusters"]
    quantile: Places
    """Standard errors that the interval spans on either side."""
    most_bits: float
    """Bits of all types: no interval reaches further, and one from a single cluster reaches so far."""

    @cached_property
    def reach(self) -> Places:
        """Half the width of each interval."""
        return np.minimum(self.quantile * np.linalg.norm(self.deviations, axis=-1), self.most_bits)

    @property
    def low(self) -> Places:
        """Low end of each interval."""
        return self.value - self.reach

    @property
    def high(self) -> Places:
        """High end of each interval."""
        return self.value + self.reach

    @classmethod
    def by_target(cls, means: Sequence["Means"]) -> "Means":
        """The means of a different quantity at each target.

        Args:
            means: The quantity of each target, `[entries, targets]`.
        """
        value, quantile = (
            np.stack([getattr(one, name)[:, t] for t, one in enumerate(means)], 1) for name in ("value", "quantile")
        )
        deviations = np.stack([one.deviations[:, t] for t, one in enumerate(means)], 1)
        return cls(value, deviations, quantile, means[0].most_bits)

    def total(self, place: tuple[ndarray, ndarray]) -> "Means":
        """The sum of the means at some places, with the widest of their quantiles.

        Args:
            place: Entries and targets that are added.
        """
        number = len(place[0])
        return Means(
            self.value[place].sum(),
            self.deviations[place].sum(0),
            self.quantile[place].max(),
            number * self.most_bits,
        )

    def draws(self, place: tuple[ndarray, ndarray], number: int, confidence: float, seed: int) -> ndarray:
        """Joint draws of the means at some places, each as wide as its interval: a wild bootstrap of clusters.

        Args:
            place: Entries and targets.
            number: Number of draws.
            confidence: Confidence level of the intervals.
            seed: Seed of the draws.

        Returns:
            `[draws, places]`.

        Reference:
            Mammen (1993), Annals of Statistics 21, with normal weights.
        """
        deviations, reach = self.deviations[place], self.reach[place]
        error = np.linalg.norm(deviations, axis=-1)
        scale = np.where(error > 0.0, reach / np.maximum(error, 1e-300), 0.0) / t_quantile(np.inf, confidence)
        weights = np.random.default_rng([seed, 0xB007]).standard_normal((number, deviations.shape[-1]))
        return self.value[place] + weights @ (deviations * scale[:, None]).T


@dataclass(frozen=True, eq=False)
class ContextEstimates:
    """What the state tells beyond one context model."""

    beyond: Means
    beyond_any: Means
    """As `beyond`, also where the plug-in distribution predicts better than the context: the high end."""
    poor: Bool[ndarray, "entries targets"]
    """Where the context predicts worse than the plug-in distribution, which then stands in for it."""
    alone: Float[ndarray, "targets"]
    """What the context tells without the state in bits: the plug-in entropy less its cross-entropy, zero where it is
    poor."""

    @classmethod
    def of(cls, sums: EntrySums, spans: "Spans", name: str) -> "ContextEstimates":
        """The figures of one context model.

        Where the context predicts worse than the plug-in distribution, the plug-in entropy is the better figure for
        what is unknown without the state: a poor model of the context must not be turned into memory.
        """
        context, given, plug_in = sums.rows[of_context(name)], sums.probe[given_context(name)], sums.rows["plug_in"]
        poor, count, whole = context.sum(-1) < plug_in.sum(-1), sums.rows["count"], sums.whole
        told = (whole[of_context(name)] - whole["plug_in"]).sum(-1) / whole["count"].sum(-1) * BITS_PER_NAT
        told[0] = 0.0  # the control has no context
        return cls(
            beyond=spans.means(given - np.where(poor[..., None], plug_in, context), count),
            beyond_any=spans.means(given - context, count),
            poor=poor,
            alone=np.where(told > 0, told, 0.0),
        )


@dataclass(frozen=True, eq=False)
class ReportEstimates:
    """Every figure of a report in bits, `[entries, targets]`, or `[targets]` where probes have no say."""

    certified: Means
    """Against the plug-in entropy: the value, and its low end."""
    usable: Means
    """As `certified`, with the cross-entropy of the trained prior in place of the plug-in entropy: the high end."""
    contexts: dict[str, ContextEstimates]
    """What the state tells beyond each context model."""
    better: Sequence[str]
    """The better context model of each target, chosen on the calibration rows."""
    ceiling: Means
    ceiling_of_prior: Means
    smoothing: Places
    """The most that prior smoothing took from each mean, which the high ends add."""
    top1: Places
    top5: Places
    samples: Int[ndarray, "entries targets"]
    spans: "Spans"
    seed: int
    blocks: Int[ndarray, "blocks"] | None
    """First cluster of each block that intervals rest on; None where clusters are documents."""
    resampled: dict[str, object]
    """Number and kind of the clusters that intervals rest on."""

    @cached_property
    def beyond_context(self) -> Means:
        """What the state tells beyond the better context model of each target."""
        return Means.by_target([self.contexts[name].beyond for name in self.better])

    @cached_property
    def beyond_any_context(self) -> Means:
        """As `beyond_context`, also where the plug-in distribution predicts better than the context: the high end."""
        return Means.by_target([self.contexts[name].beyond_any for name in self.better])

    def beyond(self, sums: EntrySums) -> Means:
        """What the state tells beyond the better context model at a part of the rows.

        The plug-in distribution stands in for the context where it does in the whole.
        """
        poor = np.stack([self.contexts[name].poor[:, target] for target, name in enumerate(self.better)], 1)
        given, context = (
            np.stack([terms[of(name)][:, target] for target, name in enumerate(self.better)], 1)
            for terms, of in ((sums.probe, given_context), (sums.rows, of_context))
        )
        known = np.where(poor[..., None], sums.rows["plug_in"], context)
        return self.spans.means(given - known, sums.rows["count"])

    def grouped(self, sums: EntrySums) -> EntrySums:
        """Sums of a part of the rows over the clusters that intervals rest on."""
        return sums if self.blocks is None else sums.grouped(self.blocks)


def estimate(
    sums: EntrySums,
    clusters: TextClusters,
    ladder: FittedLadder,
    better: Sequence[str],
    types: int,
    confidence: float,
    seed: int,
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
        better: The better context model of each target.
        types: Number of types of the vocabulary.
        confidence: Confidence level of each pointwise interval.
        seed: Seed of the draws of half-lives.
    """
    blocks = None if clusters.documents else block_edges(sums)
    sums = sums if blocks is None else sums.grouped(blocks)
    spans = Spans(confidence, float(np.log2(types)))
    count, whole = sums.rows["count"], sums.whole
    certified = spans.gains(sums, "plug_in")
    return ReportEstimates(
        certified=certified,
        usable=spans.gains(sums, "prior"),
        contexts={name: ContextEstimates.of(sums, spans, name) for name in sums.contexts},
        better=better,
        ceiling=spans.means(-whole["type_plug_in"], whole["count"]),
        ceiling_of_prior=spans.means(-whole["type_prior"], whole["count"]),
        smoothing=smoothing_bits(ladder, certified.value.shape[1]),
        top1=sums.probe["top1"].sum(-1) / count.sum(-1),
        top5=sums.probe["top5"].sum(-1) / count.sum(-1),
        samples=count.sum(-1).astype(int),
        spans=spans,
        seed=seed,
        blocks=blocks,
        resampled={
            "clusters": sums.clusters,
            "worth": equal_clusters(whole["count"][0]),
            "of": "documents" if clusters.documents else "blocks of positions",
        },
    )


@dataclass(frozen=True, eq=False)
class Spans:
    """Standard errors that intervals of means over so many rows of each cluster span."""

    confidence: float
    most_bits: float
    known: dict[bytes, float] = field(default_factory=dict, repr=False)
    """One quantile for each way in which rows fall into clusters: most entries and some lags share them."""

    def quantile(self, counts: Float[ndarray, "clusters"]) -> float:
        """The quantile of the mean over so many rows of each cluster."""
        key = counts.tobytes()
        if key not in self.known:
            self.known[key] = cluster_quantile(counts, self.confidence)
        return self.known[key]

    def means(self, terms: Float[ndarray, "*shape clusters"], counts: Float[ndarray, "*shape clusters"]) -> Means:
        """Means of terms in nats, in bits; equal terms differ by exactly zero."""
        terms = terms * BITS_PER_NAT
        shape, clusters = counts.shape[:-1], counts.shape[-1]
        quantiles = [self.quantile(one) for one in counts.reshape(-1, clusters)]
        with np.errstate(invalid="ignore", divide="ignore"):
            value = terms.sum(-1) / counts.sum(-1)
        deviations = np.minimum(cluster_deviations(terms, counts), self.most_bits)
        return Means(value, deviations, np.array(quantiles).reshape(shape), self.most_bits)

    def gains(self, sums: EntrySums, base: str) -> Means:
        """The gain of the selected probes over the plug-in distribution or the prior."""
        found = self.means(sums.probe["probe"] - sums.base(base), sums.rows["count"])
        for place in map(tuple, np.argwhere(sums.names_types)):
            one = self.subsampled(
                sums.probe["probe"][place],
                sums.base(base)[place],
                sums.rows["count"][place],
                sums.whole[f"type_{base}"][place[1]],
                sums.whole["count"][place[1]],
            )
            found.value[place], found.deviations[place] = one.value, one.deviations
            found.quantile[place] = one.quantile
        return found

    def subsampled(
        self,
        probe: Float[ndarray, "clusters"],
        base: Float[ndarray, "clusters"],
        count: Float[ndarray, "clusters"],
        whole: Float[ndarray, "clusters"],
        whole_count: Float[ndarray, "clusters"],
    ) -> Means:
        r"""Gain of a probe that read a subsample of the rows.

        The base (an entropy) is known on all rows, the loss of the probe on some. The entropy of just these rows enters
        with the weight :math:`\beta` at which it explains the loss (the regression estimator): one for a probe that
        knows nothing, whose loss it is, zero for one that knows everything and has none.

        Reference:
            Cochran (1977), Sampling Techniques, chapter 7.
        """
        beta = 0.0
        if count.sum() > 0:
            ours, theirs = (part - part.sum() / count.sum() * count for part in (probe, base))
            beta = float(np.clip((ours @ theirs) / max(theirs @ theirs, 1e-300), 0.0, 1.0))
        near, far = self.means(probe - beta * base, count), self.means((1.0 - beta) * whole, whole_count)
        return Means(
            near.value - far.value,
            near.deviations - far.deviations,
            np.maximum(near.quantile, far.quantile),
            self.most_bits,
        )


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
