"""From sums within resampling units to the rows and the summary of a report."""

__all__ = ["half_life", "make_rows"]

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray

from infodil.estimate import BITS_PER_NAT
from infodil.ladder.state_stream import control_of
from infodil.ladder.stream_select import FittedLadder
from infodil.measure.accumulators import Sums, Units
from infodil.measure.controls import learned
from infodil.statistics import bootstrap_interval, bootstrap_weights, correlation_length, merge_cells

REPLICATES = 2000


def make_rows(
    sums: Sums,
    whole: dict[str, Float[ndarray, "targets units"]],
    units: Units,
    climbed: FittedLadder,
    lags: Sequence[int],
    train_samples: Sequence[int],
    confidence: float,
    seed: int,
) -> tuple[list[dict], list[dict], dict]:
    """Rows (site x lag x probe), summary (site), and what the intervals rest on.

    A value is `H(c(X)) - cross-entropy` of the classes c (types, the rare ones pooled), with the plug-in entropy of
    the test labels: low by construction, hence the lower bound. The ceiling is that of the types themselves. An
    interval reaches from the plug-in's lower end to the upper end under the trained prior, whose cross-entropy is
    never below the entropy: what is not known about the entropy is inside the interval. So is what doubt took from
    the answers: states without a single error are read to within it of the entropy, which the interval must reach.
    """
    if not units.documents:
        first = block_edges(sums, whole)
        sums, whole = sums.grouped(first), {term: np.add.reduceat(v, first, axis=-1) for term, v in whole.items()}
    number = whole["count"].shape[1]
    weights = bootstrap_weights(number, REPLICATES, seed)
    count = sums.shared["count"]

    def replicate(terms: Float[ndarray, "*shape units"], counts: Float[ndarray, "*shape units"]) -> ndarray:
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.moveaxis(np.tensordot(terms, weights.T, 1) / np.tensordot(counts, weights.T, 1), -1, 0)

    def bounds(replicates: ndarray) -> tuple[ndarray, ndarray]:
        return bootstrap_interval(replicates, number, confidence)

    def gain(term: str, base: Float[ndarray, "entries targets units"]) -> tuple[ndarray, ndarray]:
        """Mean pointwise gain in bits over a base, and its replicates; the same terms differ by exactly zero."""
        terms = (sums.reader[term] - base) * BITS_PER_NAT
        return terms.sum(-1) / count.sum(-1), replicate(terms, count)

    def answer_gain(of: str) -> tuple[ndarray, ndarray]:
        """The gain of the answers over the plug-in distribution or the prior."""
        value, drawn = gain("reader", sums.base(of))
        for place in map(tuple, np.argwhere(sums.named)):
            terms = [sums.reader["reader"][place], sums.base(of)[place], count[place]]
            value[place], drawn[:, *place] = sampled_gain(
                *terms, whole[f"type_{of}"][place[1]], whole["count"][place[1]], weights
            )
        return value, drawn

    value, certified = answer_gain("plug_in")
    usable, usable_drawn = answer_gain("prior")
    doubted = smoothing_bits(climbed, len(lags) + 1)
    highest = usable_drawn + doubted
    low, high = bounds(certified)[0], bounds(highest)[1]
    surprise = {term: -whole[term] * BITS_PER_NAT for term in ("type_plug_in", "type_prior")}
    ceiling = surprise["type_plug_in"].sum(-1) / whole["count"].sum(-1)
    ceiling_low = bounds(replicate(surprise["type_plug_in"], whole["count"]))[0]
    ceiling_high = bounds(replicate(surprise["type_prior"], whole["count"]))[1]
    # Where the context reader does worse than the plug-in entropy, the entropy is the better figure for what is
    # unknown without the state: a poor context reader must not be turned into memory.
    poor = sums.shared["context"].sum(-1) < sums.shared["plug_in"].sum(-1)
    against = np.where(poor[..., None], sums.shared["plug_in"], sums.shared["context"])
    beyond, beyond_drawn = gain("given_context", against)
    beyond_low = bounds(beyond_drawn)[0]
    beyond_high = bounds(gain("given_context", sums.shared["context"])[1] + doubted)[1]
    hits = {term: sums.reader[term].sum(-1) / count.sum(-1) for term in ("top1", "top5")}
    samples = count.sum(-1).astype(int)

    entries, control = climbed.entries(), list(climbed.control)
    rows, summary = [], []
    for e, (site, probe) in enumerate(entries):
        rungs = [place for place, (other, _) in enumerate(entries) if other == site]
        best = np.array([climbed.nats(*entries[place]) for place in rungs]).argmin(0)
        random = len(entries) + control.index(control_of(site)) if control_of(site) in control else None
        for t, lag in enumerate(lags, start=1):
            rows.append(
                {
                    "site": site,
                    "lag": int(lag),
                    "probe": probe,
                    "value_bits": value[e, t],
                    "low_bits": low[e, t],
                    "high_bits": high[e, t],
                    "kind": "lower bound",
                    "top1": hits["top1"][e, t],
                    "top5": hits["top5"][e, t],
                    "ceiling_bits": ceiling[t],
                    "ceiling_low_bits": ceiling_low[t],
                    "ceiling_high_bits": ceiling_high[t],
                    "beyond_context_bits": beyond[e, t],
                    "beyond_context_low_bits": beyond_low[e, t],
                    "beyond_context_high_bits": beyond_high[e, t],
                    "usable_bits": usable[e, t],
                    "shuffled_bits": value[e, 0],
                    "shuffled_low_bits": low[e, 0],
                    "shuffled_high_bits": high[e, 0],
                    "selectivity_bits": value[e, t] - value[e, 0],
                    "random_weights_bits": None if random is None else value[random, t],
                    "random_weights_low_bits": None if random is None else low[random, t],
                    "random_weights_high_bits": None if random is None else high[random, t],
                    "selected_probe": climbed.answers[site][probe][t],
                    "samples": int(samples[e, t]),
                    "train_samples": int(train_samples[t]),
                    "chosen": bool(rungs[best[t]] == e),
                }
                | learned(climbed.fitted[site][probe], t)
            )
        if e != rungs[-1]:
            continue
        picked = (np.array(rungs)[best[1:]], np.arange(1, len(lags) + 1))
        summary.append(
            summarise(
                site,
                lags,
                value[picked],
                certified[:, *picked],
                highest[:, *picked],
                ceiling[1:],
                bounds,
                confidence,
            )
            | total("beyond_context", beyond[picked], beyond_drawn[:, *picked], bounds)
        )
    return rows, summary, {"units": number, "of": "documents" if units.documents else "blocks of positions"}


def smoothing_bits(climbed: FittedLadder, targets: int) -> Float[ndarray, "entries targets"]:
    """The most that doubt took from each mean gain, bits; the controls come last, as in the sums."""
    answering = [
        [climbed.fitted[site][rung] for rung in climbed.answers[site][probe]] for site, probe in climbed.entries()
    ]
    answering += [[fit] * targets for fit in climbed.control.values()]
    nats = [[fit.doubted_nats(target) for target, fit in enumerate(line)] for line in answering]
    return np.array(nats) * BITS_PER_NAT


def sampled_gain(
    reader: Float[ndarray, "units"],
    base: Float[ndarray, "units"],
    count: Float[ndarray, "units"],
    whole: Float[ndarray, "units"],
    whole_count: Float[ndarray, "units"],
    weights: Float[ndarray, "replicates units"],
) -> tuple[float, Float[ndarray, "replicates"]]:
    r"""Gain in bits of a reader that saw a sample of the rows, and its replicates.

    The base (an entropy) is known on all rows, the reader's loss on some. The entropy of just these rows goes in with
    the weight :math:`\beta` at which it explains the loss (a regression estimator; Cochran 1977, section 7): one for a
    reader that knows nothing, whose loss it is, zero for one that knows everything and has none.
    """
    beta = 0.0
    if count.sum() > 0:
        ours, theirs = (part - part.sum() / count.sum() * count for part in (reader, base))
        beta = float(np.clip((ours @ theirs) / max(theirs @ theirs, 1e-300), 0.0, 1.0))

    def combine(sums: list) -> ndarray | np.floating:
        loss, near, number, far, everything = sums
        with np.errstate(invalid="ignore", divide="ignore"):
            return ((loss - beta * near) / number - (1.0 - beta) * far / everything) * BITS_PER_NAT

    parts = [reader, base, count, whole, whole_count]
    return float(combine([part.sum() for part in parts])), combine([weights @ part for part in parts])


def block_edges(sums: Sums, whole: dict[str, Float[ndarray, "targets units"]]) -> Int[ndarray, "blocks"]:
    """Where each block begins when cells are merged to about ten correlation times of the pointwise terms."""
    count = sums.shared["count"]
    gain = (sums.reader["reader"] - sums.base("prior")) / np.maximum(count, 1.0)
    columns = gain.reshape(-1, gain.shape[-1]).T
    surprise = (whole["plug_in"] / np.maximum(whole["count"], 1.0)).T
    block = merge_cells(count.shape[-1], correlation_length(np.concatenate([columns, surprise], 1)))
    return np.flatnonzero(np.diff(block, prepend=-1))


def summarise(
    site: str,
    lags: Sequence[int],
    value: Float[ndarray, "lags"],
    certified: Float[ndarray, "replicates lags"],
    highest: Float[ndarray, "replicates lags"],
    ceiling: Float[ndarray, "lags"],
    bounds: object,
    confidence: float,
) -> dict:
    """Sum over the measured lags, its share of the ceiling, and the half-life, for one site."""
    whole = ceiling.sum()
    low, high = bounds(certified.sum(1))[0], bounds(highest.sum(1))[1]
    lives = np.array([half_life(lags, curve) for curve in certified[: REPLICATES // 4]])
    life = half_life(lags, value)
    # A replicate past the longest lag is past it: the quantile is taken among order statistics, never between.
    sides = np.quantile(lives, [0.5 - confidence / 2, 0.5 + confidence / 2], method="nearest")
    return {
        "site": site,
        "lags": len(lags),
        "recoverable_bits": value.sum(),
        "recoverable_low_bits": low,
        "recoverable_high_bits": high,
        "share_of_ceiling": value.sum() / whole,
        "share_low": low / whole,
        "share_high": high / whole,
        "half_life_tokens": finite(life),
        "half_life_low_tokens": finite(min(sides[0], life)),
        "half_life_high_tokens": finite(max(sides[1], life)),
    }


def total(name: str, value: ndarray, replicates: ndarray, bounds: object) -> dict:
    """A sum over lags with its interval."""
    low, high = bounds(replicates.sum(1))
    return {f"{name}_bits": value.sum(), f"{name}_low_bits": low, f"{name}_high_bits": high}


def finite(value: float) -> float | None:
    """None for what lies past the longest lag."""
    return float(value) if np.isfinite(value) else None


def half_life(lags: Sequence[int], bits: Float[ndarray, "lags"]) -> float:
    """Tokens after which half of the bits at the first lag are left; infinite if that is past the last lag.

    Linear between measured lags. Where the first lag holds nothing there is nothing to halve: zero.

    Example:
        >>> half_life([0, 1, 2, 4], np.array([8.0, 6.0, 5.0, 1.0]))
        2.5
    """
    if bits[0] <= 0:
        return 0.0
    half = bits[0] / 2.0
    below = np.flatnonzero(bits <= half)
    if len(below) == 0:
        return float("inf")
    after = int(below[0])
    steep = (bits[after - 1] - half) / (bits[after - 1] - bits[after])
    return float(lags[after - 1] + steep * (lags[after] - lags[after - 1]) - lags[0])
