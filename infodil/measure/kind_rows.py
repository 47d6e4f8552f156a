"""The rows of a report split by kind of the hidden token: what is forgotten first."""

__all__ = ["make_kind_rows"]

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.estimate import BITS_PER_NAT
from infodil.ladder import FittedLadder
from infodil.measure.accumulators import EntrySums, SplitSums
from infodil.measure.intervals import Places, ReportEstimates
from infodil.measure.report_rows import control_entry
from infodil.measure.token_kinds import TokenKinds


def make_kind_rows(
    sums: SplitSums,
    kinds: TokenKinds,
    estimates: ReportEstimates,
    rows: Sequence[dict],
    ladder: FittedLadder,
    train_counts: Int[ndarray, "targets vocabulary"],
) -> list[dict]:
    r"""A row for each whole row and each kind that its test positions have, in the order of the kinds.

    .. math:: \frac{1}{n_K} \sum_{t : X_{t-k} \in K} \log_2 \frac{q(c(X_{t-k}) \mid H_t)}{\hat p(c(X_{t-k}))}

    The mean, weighted by the number of test positions, over the kinds of a row is the row's value: each position has
    one kind. It is an estimate, not a bound, for only the mean over all tokens is below the mutual information.

    Args:
        sums: Sums of pointwise terms, part by part.
        kinds: Names of the kinds.
        estimates: Figures of the whole rows, whose blocks are used again.
        rows: The whole rows, for each entry of the ladder one a lag.
        ladder: Fitted probes.
        train_counts: Training labels of each target and type.
    """
    lags = estimates.certified.value.shape[1] - 1
    found: list[list[dict]] = [[] for _ in rows]
    for kind, name in enumerate(kinds.names):
        of_kind = estimates.grouped(sums.of_kind(kind))
        figures = kind_figures(of_kind, estimates)
        train = train_counts[:, kinds.of_type == kind].sum(1)
        for place, row in enumerate(rows):
            entry, target = place // lags, 1 + place % lags
            samples = int(of_kind.rows["count"][entry, target].sum())
            if not samples:
                continue
            control = control_entry(ladder, row["site"])
            found[place].append(
                {column: row[column] for column in ("site", "lag", "probe", "selected_probe", "chosen")}
                | {"token_kind": name, "kind": "estimate"}
                | {column: values[entry, target] for column, values in figures.items()}
                | {
                    "ceiling_bits": surprise_bits(of_kind, target),
                    "shuffled_bits": figures["value_bits"][entry, 0],
                    "random_weights_bits": None if control is None else figures["value_bits"][control, target],
                    "samples": samples,
                    "train_samples": int(train[target]),
                }
            )
    return [row for of_place in found for row in of_place]


def surprise_bits(sums: EntrySums, target: int) -> float:
    """Mean surprise of the tokens of a kind under the unigram distribution: what there is to be recovered."""
    return -sums.whole["type_plug_in"][target].sum() / sums.whole["count"][target].sum() * BITS_PER_NAT


def kind_figures(sums: EntrySums, estimates: ReportEstimates) -> dict[str, Places]:
    """Value, hit rates and bits beyond context of one kind, with intervals.

    Neither the plug-in distribution nor the trained prior is on a known side of the truth for a kind alone: the
    interval covers those of both.
    """
    spans, count = estimates.spans, sums.rows["count"]
    value = spans.means(sums.probe["probe"] - sums.base("plug_in"), count)
    usable = spans.means(sums.probe["probe"] - sums.base("prior"), count)
    beyond = estimates.beyond(sums)
    with np.errstate(invalid="ignore", divide="ignore"):
        top1, top5 = (sums.probe[term].sum(-1) / count.sum(-1) for term in ("top1", "top5"))
    several = (count > 0).sum(-1) > 1  # documents; one alone has no interval
    ends = {
        "low_bits": np.minimum(value.low, usable.low + estimates.smoothing),
        "high_bits": np.maximum(value.high, usable.high + estimates.smoothing),
        "beyond_context_low_bits": beyond.low,
        "beyond_context_high_bits": beyond.high,
    }
    return {
        "value_bits": value.value,
        "top1": top1,
        "top5": top5,
        "beyond_context_bits": beyond.value,
        **{name: np.where(several, end, np.nan) for name, end in ends.items()},
    }
