"""What the numbers of a report say: a sentence each on reach, on differences between sites, and on controls."""

from collections.abc import Mapping, Sequence
from typing import Any

from infodil.report.cells import interval, number
from infodil.report.names import printable
from infodil.report.sentences import control_sentence, random_weights_sentence

__all__ = ["findings", "telling_lag"]


def findings(report: Mapping[str, Any]) -> list[str]:
    """The findings of a report.

    Args:
        report: The report as `RecoverabilityReport.to_dict()` gives it.

    Returns:
        What is held longest; where sites differ most, or for a single site how fast it forgets; what controls say.
    """
    selected = [row for row in report["rows"] if row["chosen"] and row["value_bits"] is not None]
    if not selected:
        return []
    several = len({row["site"] for row in selected}) > 1
    sentences = [
        _reach(selected),
        _difference(selected) if several else _decay(selected),
        _forgotten(report.get("kind_rows") or (), selected),
        _controls(report),
    ]
    return [sentence for sentence in sentences if sentence]


def telling_lag(rows: Sequence[Mapping[str, Any]]) -> int | None:
    """The lag at which the sites differ most; of a single site, the first at which half of its bits are lost.

    Args:
        rows: Rows of a report.

    Returns:
        The lag; None where no selected row has bits.
    """
    by_lag: dict[int, list[float]] = {}
    for row in rows:
        if row["chosen"] and row["value_bits"] is not None:
            by_lag.setdefault(row["lag"], []).append(row["value_bits"])
    if not by_lag:
        return None
    spread = {lag: max(values) - min(values) for lag, values in by_lag.items()}
    if max(spread.values()) > 0:
        return max(spread, key=lambda lag: (spread[lag], -lag))
    start = max(by_lag[min(by_lag)])
    return next((lag for lag in sorted(by_lag) if max(by_lag[lag]) <= start / 2), max(by_lag))


def _bits(row: Mapping[str, Any]) -> str:
    ends = interval([row["low_bits"], row["high_bits"]], 2)
    return f"{number(row['value_bits'], 2)} bits {ends}".strip()


def _reach(selected: Sequence[Mapping[str, Any]]) -> str:
    """The farthest token back that some site still holds."""
    held = [row for row in selected if row["low_bits"] is not None and row["low_bits"] > 0]
    if not held:
        return "Held longest: at no site and lag do the probes prove more than zero bits."
    farthest = max(held, key=lambda row: (row["lag"], row["value_bits"]))
    end = " the longest lag measured," if farthest["lag"] == max(row["lag"] for row in selected) else ""
    back = f"{farthest['lag']} step{'s' * (farthest['lag'] != 1)} back"
    share = ""
    if farthest["ceiling_bits"]:
        share = f" of the {number(farthest['ceiling_bits'], 2)} that a token has"
    return (
        f"Held longest: {printable(farthest['site'])} still gives {_bits(farthest)}{share} about the token {back},"
        f"{end}".rstrip(",")
        + "."
    )


def _difference(selected: Sequence[Mapping[str, Any]]) -> str:
    """Where the sites differ most."""
    lag = telling_lag(selected)
    here = [row for row in selected if row["lag"] == lag]
    most, least = (choose(here, key=lambda row: row["value_bits"]) for choose in (max, min))
    if most is least:
        return ""
    return (
        f"Sites differ most at lag {lag}: {printable(most['site'])} gives {_bits(most)}, "
        f"{printable(least['site'])} {_bits(least)}."
    )


def _decay(selected: Sequence[Mapping[str, Any]]) -> str:
    """How fast a single site forgets."""
    first = min(selected, key=lambda row: row["lag"])
    half = telling_lag(selected)
    there = next(row for row in selected if row["lag"] == half)
    if there["value_bits"] > first["value_bits"] / 2:
        return f"From {_bits(first)} at lag {first['lag']} less than half is lost within the measured lags."
    return f"From {_bits(first)} at lag {first['lag']} half is lost by lag {half}, where {_bits(there)} are left."


def _forgotten(rows: Sequence[Mapping[str, Any]], selected: Sequence[Mapping[str, Any]]) -> str:
    """The kinds of token of which least and most is held, at the telling lag or the last before it with any bits."""
    held = {row["lag"] for row in selected if row["low_bits"] is not None and row["low_bits"] > 0}
    lag = max((lag for lag in held if lag <= telling_lag(selected)), default=None)
    here = [row for row in rows if row["chosen"] and row["lag"] == lag and row["ceiling_bits"]]
    if not here:
        return ""
    site = max(here, key=lambda row: row["value_bits"])["site"]
    shares = {row["token_kind"]: row["value_bits"] / row["ceiling_bits"] for row in here if row["site"] == site}
    least, most = (pick(shares, key=lambda kind: shares[kind]) for pick in (min, max))
    return (
        f"By kind of token, at {printable(site)}, lag {lag}: {printable(least)} is held least ({shares[least]:.0%} of "
        f"what such a token has), {printable(most)} most ({shares[most]:.0%})."
    )


def _controls(report: Mapping[str, Any]) -> str:
    """What the controls say."""
    return " ".join(filter(None, [control_sentence(report["rows"]), random_weights_sentence(report)]))
