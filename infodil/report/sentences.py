"""Sentences about the numbers of a report: what they are, what they are not, and what their controls show."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

from infodil.report.cells import interval
from infodil.report.names import printable

__all__ = [
    "context_sentences",
    "control_probe",
    "control_sentence",
    "control_sentences",
    "meaning_sentences",
    "random_weights_sentence",
    "report_sentences",
    "sketch_sentences",
    "upper_sentences",
]

UPPER_NAMES = {
    "entropy": "the entropy of a token",
    "genie": "the genie bound",
    "posterior": "the exact posterior",
    "budget": "the budget of the state",
    "levels": "the number of states",
}


def report_sentences(report: Mapping[str, Any]) -> list[str]:
    """All sentences about the numbers of a report, in the order in which they are shown.

    Args:
        report: The report as `RecoverabilityReport.to_dict()` gives it.

    Returns:
        What the numbers are, what bounds them from above, and what the controls show.
    """
    rows = report["rows"]
    return [
        *meaning_sentences(report["config"]),
        *whole_past_sentences(report["summary"]),
        *size_sentences(report["summary"]),
        *sketch_sentences(report["model"]),
        *upper_sentences(rows, bool(report["corpus"].get("independent"))),
        *control_sentences(report),
        *context_sentences(rows),
        *context_model_sentences(rows),
        *kind_sentences(report.get("kind_rows") or ()),
    ]


def meaning_sentences(config: Mapping[str, Any]) -> list[str]:
    """What the numbers are, and what they are not."""
    confidence = config.get("confidence")
    level = f"{confidence:.0%}" if isinstance(confidence, float) else "the stated"
    return [
        "Bits are certified lower bounds on the mutual information, under the named probes, at precision "
        f"{config.get('precision', 'not stated')}; recoverable bits and bits beyond context are sums over the measured "
        "lags, not joint quantities.",
        f"Intervals are pointwise at {level} confidence, not simultaneous.",
    ]


def sketch_sentences(model: Mapping[str, Any]) -> list[str]:
    """Which sites were read through a sketch, and what that means; nothing where all were read whole."""
    sites: dict[tuple, list[str]] = {}
    for site, sketch in (model.get("sketches") or {}).items():
        sites.setdefault((sketch["dim"], sketch["sketch_dims"], sketch["seed"]), []).append(printable(site))
    return [
        f"Of the {dim:,} numbers of {', '.join(named[:3])}{f' and {len(named) - 3} more' * (len(named) > 3)}, a count "
        f"sketch of {size:,} was read (seed {seed}): it may lose bits and adds none, and precision and upper bounds "
        "are those of the sketch."
        for (dim, size, seed), named in sites.items()
    ]


def whole_past_sentences(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """What the site that holds most of all lags together holds of them, and on which side of the truth that is."""
    measured = [row for row in summary if row.get("whole_past_bits") is not None]
    if not measured:
        return []
    most = max(measured, key=lambda row: row["whole_past_bits"])
    ends = interval([most["whole_past_low_bits"], most["whole_past_high_bits"]], 2)
    bits = f"{most['whole_past_bits']:.2f} bits {ends}"
    if most["whole_past_kind"] == "lower bound":
        said = f"at least {bits}, for the tokens were declared independent and what is held of each adds up"
    else:
        said = f"about {bits}, an estimate: the sum of the bits beyond context, in which guesswork that the context "
        said += "model missed counts as memory"
    return [f"The whole past: of the tokens at all measured lags together {printable(most['site'])} holds {said}."]


def size_sentences(summary: Sequence[Mapping[str, Any]]) -> list[str]:
    """The size of the site that holds most for its size, and what it holds of the whole past for each number."""
    measured = [row for row in summary if row.get("bits_per_number") is not None]
    if not measured:
        return []
    most = max(measured, key=lambda row: row["bits_per_number"])
    of = " of its sketch" * (most["effective_rank_of"] == "sketch")
    return [
        f"Most for its size: {printable(most['site'])} holds {most['bits_per_number']:.3g} bits of the whole past a "
        f"number, {most['bits_per_stored_bit']:.2g} a stored bit ({most['dim']:,} numbers in {most['stored_bits']:,} "
        f"bits, effective rank{of} {most['effective_rank']:.1f})."
    ]


def context_model_sentences(rows: Sequence[dict]) -> list[str]:
    """How much less is beyond a second context model than beyond the n-gram; nothing where there is one model only."""
    both = [row for row in rows if row["chosen"] and row.get("beyond_ngram_context_bits") is not None]
    if not both:
        return []
    sums: dict[str, list[float]] = {}
    for row in both:
        total = sums.setdefault(row["site"], [0.0, 0.0])
        total[0] += row["beyond_ngram_context_bits"]
        total[1] += row["beyond_context_bits"]
    site = max(sums, key=lambda name: sums[name][0])
    return [
        f"Bits beyond context summed over lags at {printable(site)}: {sums[site][0]:.2f} beyond the n-gram alone, "
        f"{sums[site][1]:.2f} beyond the better context model of each lag."
    ]


def upper_sentences(rows: Sequence[dict], independent: bool = False) -> list[str]:
    """The upper bounds of a report: which they are, how far above the bits they lie, and what they assume.

    Args:
        rows: Rows of the report.
        independent: Whether its tokens were declared to be independent.
    """
    measured = [row for row in rows if row["chosen"] and row.get("width_bits") is not None]
    if not measured:
        return []
    places = Counter(row["upper_by"] for row in measured)
    named = ", ".join(f"{UPPER_NAMES.get(name, name)} at {places[name]}" for name in sorted(places, key=_upper_rank))
    widest = max(measured, key=lambda row: row["width_bits"])
    middle = median(row["width_bits"] for row in measured)
    sentences = [
        f"Upper bounds, for any probe: {named} of {len(measured)} sites and lags. They lie above the bits of the "
        f"selected probe by {middle:.2f} bits in the median, by {widest['width_bits']:.2f} at most "
        f"({printable(widest['site'])}, lag {widest['lag']})."
    ]
    assumed = {part for row in measured for part in (row["upper_assumes"] or "").split(", ")}
    if "dithered rounding" in assumed:
        sentences.append(
            "Rounding enters upper bounds as uniform noise of one step of the last rounding: exact for dithered "
            "rounding, a model for the rounding that was done."
        )
    if "independent tokens" in assumed:
        sentences.append("The tokens were declared independent; for dependent tokens the genie bound does not hold.")
    elif not independent and any(row.get("genie_bits") is not None for row in measured):
        sentences.append(
            "genie_bits bounds the information of a state about a token given all other tokens; as the tokens were not "
            "declared independent, it does not bound the bits."
        )
    return sentences


def _upper_rank(name: str) -> int:
    return list(UPPER_NAMES).index(name) if name in UPPER_NAMES else len(UPPER_NAMES)


def control_sentence(rows: Sequence[dict]) -> str:
    """What the probes read after the tokens were shuffled among the documents, where the truth is zero bits."""
    # One control serves all lags of a site and probe: shuffled labels have no lag.
    controls = {(row.get("report"), row["site"], row["probe"]): row for row in rows if row["shuffled_bits"] is not None}
    measured = list(controls.values())
    if not measured:
        return "No shuffled control was measured."
    largest = max((row["shuffled_bits"] for row in measured), key=abs)
    bounded = [
        row for row in measured if row["shuffled_low_bits"] is not None and row["shuffled_high_bits"] is not None
    ]
    excluded = sum(not row["shuffled_low_bits"] <= 0 <= row["shuffled_high_bits"] for row in bounded)
    return (
        f"Shuffled control: the largest is {largest:+.3f} bits; the intervals of {excluded} of {len(bounded)} controls "
        f"exclude zero."
    )


def control_sentences(report: Mapping[str, Any]) -> list[str]:
    """What the measured controls show: shuffled documents, random weights, fewer training rows."""
    sentences = [
        control_sentence(report["rows"]),
        random_weights_sentence(report),
        learning_sentence(report.get("controls")),
    ]
    return [sentence for sentence in sentences if sentence]


def control_probe(report: Mapping[str, Any]) -> str:
    """The name of the probe that reads random weights and has a learning curve: cheap, and the same for all sites."""
    curves = (report.get("controls") or {}).get("learning") or [{}]
    return curves[0].get("probe") or "gaussian"


def random_weights_sentence(report: Mapping[str, Any]) -> str:
    """How often the control probe reads more from the model than from random weights; empty where it read none."""
    probe = control_probe(report)
    measured = [row for row in report["rows"] if row.get("random_weights_high_bits") is not None]
    if not measured:
        return ""
    alike = [row for row in measured if row["probe"] == probe and row["low_bits"] is not None]
    if not alike:
        return f"Random weights were read by the {probe} probe, which has no rows here to compare them with."
    above = sum(row["low_bits"] > row["random_weights_high_bits"] for row in alike)
    return (
        f"Random weights: at {above} of {len(alike)} sites and lags the {probe} probe reads more from the model than "
        "from the same model with its weights drawn anew, beyond both intervals."
    )


def context_sentences(rows: Sequence[dict]) -> list[str]:
    """The reason where bits beyond context exceed the bits; nothing where they do not."""
    both = [
        row for row in rows
        if row["chosen"] and row["value_bits"] is not None and row["beyond_context_bits"] is not None
    ]  # fmt: skip
    above = [row for row in both if row["beyond_context_bits"] > row["value_bits"]]
    if not above:
        return []
    return [
        f"Bits beyond context exceed the bits at {len(above)} of {len(both)} sites and lags: there the state and the "
        "later tokens tell more together than each for itself, so that the information given the context is larger "
        "than the information without it."
    ]


def kind_sentences(rows: Sequence[dict]) -> list[str]:
    """What rows split by kind of token are; nothing where they were not split."""
    if not rows:
        return []
    return [
        "Bits of a kind of token are the mean gain over the unigram distribution at the test positions whose hidden "
        "token is of the kind: estimates, of which the mean over all kinds is the bound."
    ]


def learning_sentence(controls: Mapping[str, Any] | None) -> str:
    """Where more training rows would add most bits; empty where no curve could be extrapolated."""
    curves = [
        curve
        for curve in (controls or {}).get("learning", [])
        if curve["bits"] and curve["extrapolated_bits"] is not None
    ]
    if not curves:
        return ""
    most = max(curves, key=lambda curve: curve["extrapolated_bits"] - curve["bits"][-1])
    place, probe = f"{printable(most['site'])}, lag {most['lag']}", printable(most["probe"])
    last, rows, end = most["bits"][-1], most["train_rows"][-1], most["extrapolated_bits"]
    return (
        f"Learning curves of the {probe} probe: the largest gain is expected at {place}: {last:.2f} bits from {rows:,} "
        f"training rows, {end:.2f} extrapolated."
    )
