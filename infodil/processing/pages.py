"""A gap taken apart and an ablation, each as one page that opens without a network."""

__all__ = ["ablation_page", "gap_page"]

from collections.abc import Mapping
from typing import Any

import numpy as np

from infodil.plots import difference_intervals, figure_svg
from infodil.report import table_page


def gap_page(found: Any, lead: str) -> str:
    """The page of a `GapDecomposition`."""
    rows = [
        {
            "term": row["term"].replace("_", " "),
            "bits a token": f"{row['value_bits']:.3f}",
            "interval": bracketed(row["low_bits"], row["high_bits"]),
            "nats a token": f"{row['value_nats']:.3f}",
            "kind": row["kind"],
            "meaning": row["meaning"],
        }
        for row in found.rows()
    ]
    losses = ", ".join(f"{name} {nats:.3f}" for name, nats in found.losses_nats.items())
    notes = [
        "Underfit, held and lost add up to the gap.",
        "Intervals resample the test documents, paired; they say nothing of another training run.",
        f"Losses in nats a token: {losses}.",
        f"States read, at one position each: {', '.join(found.sites)}.",
        *found.warnings,
    ]
    facts = {"confidence": f"{found.gap.confidence:.0%}", "documents": found.documents, "tokens": found.tokens}
    heading, figure = "Where a gap in loss comes from", figure_svg(found.plot().figure)
    return table_page(heading=heading, lead=lead, facts=facts, rows=rows, notes=notes, figure=figure)


def ablation_page(found: Any, ways: Mapping[str, str], lead: str) -> str:
    """The page of a `PredictorAblation`; `ways` says what each way trains."""
    rows = [
        {
            "predictor": f"{predictor}, {way}",
            "looks at": found.looks_at[predictor],
            "loss, nats a token": f"{np.mean([loss.loss_nats for loss in losses]):.3f}",
        }
        | told(found.differences.get((way, predictor)))
        for (way, predictor), losses in found.losses.items()
    ]
    notes = [
        f"Differences are from {found.baseline!r}, paired by document and seed; intervals are over both.",
        *(f"{way}: {words}." for way, words in ways.items() if any(key[0] == way for key in found.losses)),
        *sorted({warning for difference in found.differences.values() for warning in difference.warnings}),
    ]
    heading = "Does a stronger predictor of the same traces lower the loss?"
    facts = {"seeds": len(found.seeds), "training tokens": found.tokens}
    figure = figure_svg(difference_intervals(found.to_frame()).figure) if found.differences else b""
    return table_page(heading=heading, lead=lead, facts=facts, rows=rows, notes=notes, figure=figure)


def told(difference: Any) -> dict[str, str]:
    """The cells of a `LossDifference`; of the baseline where there is none."""
    names = ("difference, nats", "interval", "verdict")
    if difference is None:
        return dict(zip(names, ("", "", "baseline"), strict=True))
    ends = bracketed(difference.low_nats, difference.high_nats)
    return dict(zip(names, (f"{difference.value_nats:+.3f}", ends, difference.verdict), strict=True))


def bracketed(low: float, high: float) -> str:
    """An interval."""
    return f"[{low:.3f}, {high:.3f}]"
