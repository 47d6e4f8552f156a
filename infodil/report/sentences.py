"""What the figures of a report are, what they are not, and what their controls say: one sentence each."""

from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

__all__ = ["control_sentence", "control_sentences", "meaning_sentences", "printable", "upper_sentences"]

UPPER_NAMES = {
    "entropy": "the entropy of a token",
    "genie": "the genie's bound",
    "posterior": "the exact posterior",
    "budget": "the budget of the state",
    "levels": "the number of states",
}


def meaning_sentences(config: dict[str, Any]) -> list[str]:
    """What the figures are, and what they are not."""
    confidence = config.get("confidence")
    level = f"{confidence:.0%}" if isinstance(confidence, float) else "the stated"
    return [
        "Bits are certified lower bounds on the mutual information, under the named probes, at precision "
        f"{config.get('precision', 'not stated')}; recoverable bits and bits beyond context are sums over the measured "
        "lags, not joint quantities.",
        f"Intervals are pointwise at {level} confidence, not simultaneous.",
    ]


def upper_sentences(rows: Sequence[dict]) -> list[str]:
    """What bounds the bits from above, how much it leaves open, and what it takes for granted."""
    measured = [row for row in rows if row["chosen"] and row.get("width_bits") is not None]
    if not measured:
        return []
    places = Counter(row["upper_by"] for row in measured)
    named = ", ".join(f"{UPPER_NAMES.get(name, name)} at {places[name]}" for name in sorted(places, key=_upper_rank))
    widest = max(measured, key=lambda row: row["width_bits"])
    middle = median(row["width_bits"] for row in measured)
    said = [
        f"Upper bounds, for any reader: {named} of {len(measured)} sites and lags. They lie above the bits of the "
        f"chosen probe by {middle:.2f} bits in the median, by {widest['width_bits']:.2f} at most "
        f"({printable(widest['site'])}, lag {widest['lag']})."
    ]
    assumed = {part for row in measured for part in (row["upper_assumes"] or "").split(", ")}
    if "dithered rounding" in assumed:
        said.append(
            "Rounding enters upper bounds as uniform noise of one step of the last rounding: exact for dithered "
            "rounding, a model for the rounding that was done."
        )
    if "independent tokens" in assumed:
        said.append("The tokens were declared independent; for others the genie's bound would not hold.")
    elif any(row.get("genie_bits") is not None for row in measured):
        said.append(
            "genie_bits bounds what a state tells of a token beyond all other tokens; as the tokens were not declared "
            "independent, it does not bound the bits."
        )
    return said


def _upper_rank(name: str) -> int:
    return list(UPPER_NAMES).index(name) if name in UPPER_NAMES else len(UPPER_NAMES)


def control_sentence(rows: Sequence[dict]) -> str:
    """What the probes read where the tokens were shuffled: nothing, or the measurement is not to be trusted."""
    # One control serves all lags of a site and probe: shuffled labels know no lag.
    once = {(row.get("report"), row["site"], row["probe"]): row for row in rows if row["shuffled_bits"] is not None}
    measured = list(once.values())
    if not measured:
        return "No shuffled control was measured."
    largest = max((row["shuffled_bits"] for row in measured), key=abs)
    bounded = [
        row for row in measured if row["shuffled_low_bits"] is not None and row["shuffled_high_bits"] is not None
    ]
    away = sum(not row["shuffled_low_bits"] <= 0 <= row["shuffled_high_bits"] for row in bounded)
    return (
        f"Shuffled control: the largest is {largest:+.3f} bits; the intervals of {away} of {len(bounded)} controls "
        f"exclude zero."
    )


def control_sentences(rows: Sequence[dict], controls: Mapping[str, Any] | None) -> list[str]:
    """What all the controls say that were measured: shuffled documents, random weights, fewer training rows."""
    said = [control_sentence(rows), random_weights_sentence(rows), learning_sentence(controls)]
    return [sentence for sentence in said if sentence]


def random_weights_sentence(rows: Sequence[dict]) -> str:
    """How often a trained state gives more than one of random weights; nothing where none was read."""
    measured = [row for row in rows if row["chosen"] and row.get("random_weights_high_bits") is not None]
    if not measured:
        return ""
    above = sum(row["low_bits"] is not None and row["low_bits"] > row["random_weights_high_bits"] for row in measured)
    return (
        f"Random weights: at {above} of {len(measured)} sites and lags the chosen probe reads more than the gaussian "
        "one does from the same encoder with its weights drawn anew, beyond both intervals."
    )


def learning_sentence(controls: Mapping[str, Any] | None) -> str:
    """Where more training rows would tell most; nothing where no curve could be extrapolated."""
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
        f"Learning curves of the {probe} reader: most is still to come at {place}: {last:.2f} bits from {rows:,} "
        f"training rows, {end:.2f} extrapolated."
    )


def printable(text: object) -> str:
    """Text that cannot move the cursor or hide: a terminal obeys control characters, and names come from outside."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))
