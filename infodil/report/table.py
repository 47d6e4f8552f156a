"""A report as text, in bits, for a terminal of 80 to 100 columns."""

import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from infodil.report.sentences import (
    control_sentence,
    control_sentences,
    meaning_sentences,
    printable,
    upper_sentences,
)

__all__ = [
    "report_table",
    "headline",
    "fill",
    "lag_subset",
    "short_names",
    "terminal_width",
    "meaning_sentences",
    "control_sentence",
    "number",
    "printable",
]

NARROWEST, WIDEST = 80, 100
MOST_LAGS = 12
NAME_WIDTH = 12
MOST_BLOCKS = 2
"""Up to this many sites get a block each, lags as rows; more become one matrix, sites as rows."""


def report_table(report: dict[str, Any], width: int | None = None) -> str:
    """The text of a report.

    Args:
        report: `RecoverabilityReport.to_dict()`.
        width: Columns to fill; by default the terminal's, between 80 and 100.
    """
    width = terminal_width() if width is None else width
    chosen = [row for row in report["rows"] if row["chosen"]]
    sites = list(dict.fromkeys(row["site"] for row in [*report["summary"], *chosen]))
    names = short_names(sites, NAME_WIDTH)
    longest = max((row["lag"] for row in report["rows"]), default=0)
    parts = [_title(report, width)]
    if report["summary"]:
        parts.append(headline([("", report["summary"], longest)], names, width))
    if chosen:
        parts += _blocks(chosen, sites, width) if len(sites) <= MOST_BLOCKS else _matrices(chosen, names, width)
    parts.append(_footer(report, width))
    return "\n\n".join(part for part in parts if part)


def terminal_width() -> int:
    """The terminal's columns, between 80 and 100; 100 where there is no terminal."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def lag_subset(lags: Sequence[int], most: int = MOST_LAGS) -> list[int]:
    """At most `most` of the lags: the shortest, the longest, and between them about equal steps of log(1 + lag).

    Example:
        >>> lag_subset(range(64), 8)
        [0, 1, 2, 5, 10, 19, 34, 63]
    """
    lags = sorted(lags)
    if len(lags) <= most:
        return lags
    low, high = math.log1p(lags[0]), math.log1p(lags[-1])
    picked: list[int] = []
    for place in range(most):
        aim = low + (high - low) * place / (most - 1)
        left, right = len(picked), len(lags) - (most - 1 - place)  # leave enough lags for the places that follow
        free = [lag for lag in lags[left:right] if not picked or lag > picked[-1]]
        picked.append(min(free, key=lambda lag: abs(math.log1p(lag) - aim)))
    return picked


def _title(report: dict[str, Any], width: int) -> str:
    model, corpus = report["model"].get("name", "a model"), report["corpus"].get("name", "a corpus")
    return fill(f"Recoverability of past tokens: {model} on {corpus}", width)


def headline(groups: Sequence[tuple[str, Sequence[dict], int]], names: dict[str, str], width: int) -> str:
    """The summary, one line a site, under a line for each group that has a name.

    Args:
        groups: Name, summary and longest lag of each report.
        names: What each site is called.
        width: Columns to fill: decimals give way to it.
    """
    head = ["site", "recoverable\nbits", "share of\nceiling", "half-life\ntokens", "beyond context\nbits"]
    for digits in (2, 1, 0):
        cells = [
            [names[row["site"]], *_summary_cells(row, digits, longest)]
            for _, summary, longest in groups
            for row in summary
        ]
        lines = _grid(head, cells, width).splitlines()
        if max(map(len, lines)) <= width:
            break
    place = len(lines) - len(cells)
    for name, summary, _ in groups:
        if name:
            lines.insert(place, f"{_cut(printable(name), width - 1)}:")
        place += len(summary) + bool(name)
    return "\n".join(lines) + _spelled(names, width)


def _summary_cells(row: dict, digits: int, longest: int) -> list[str]:
    share = [None if row[name] is None else 100 * row[name] for name in ("share_of_ceiling", "share_low", "share_high")]
    life = [row[f"half_life{end}_tokens"] for end in ("", "_low", "_high")]
    life_digits = 0 if digits == 0 or max((end for end in life if end is not None), default=0) >= 10 else 1
    beyond_longest = f">{longest}"
    return [
        with_interval([row[f"recoverable{end}_bits"] for end in ("", "_low", "_high")], digits),
        with_interval(share, 0, "%"),
        with_interval(life, life_digits, missing=beyond_longest),
        with_interval([row[f"beyond_context{end}_bits"] for end in ("", "_low", "_high")], digits),
    ]


def _spelled(names: dict[str, str], width: int) -> str:
    """Which site a shortened name stands for."""
    cut = [f"{short} is {printable(site)}" for site, short in names.items() if short != site]
    if len(cut) > 2:
        cut = [cut[0], "...", cut[-1]]
    return "\n" + fill("; ".join(cut), width) if cut else ""


def _blocks(chosen: list[dict], sites: list[str], width: int) -> list[str]:
    parts = []
    for site in sites:
        rows = [row for row in chosen if row["site"] == site]
        lags = lag_subset([row["lag"] for row in rows])
        columns = {
            "lag": lambda row: str(row["lag"]),
            "bits": lambda row: number(row["value_bits"], 2),
            "interval": lambda row: interval([row["low_bits"], row["high_bits"]], 2),
            "upper bound": _upper,
            "ceiling H(X)": lambda row: number(row["ceiling_bits"], 2),
            "beyond context": lambda row: number(row["beyond_context_bits"], 2),
            "top-1": lambda row: percent(row["top1"]),
            "probe": lambda row: printable(row["probe"]),
        }
        if all(row.get("upper_by") in (None, "entropy") for row in rows):
            del columns["upper bound"]  # it is the ceiling
        grid = ""
        for spare in (None, "ceiling H(X)"):
            columns.pop(spare, None)
            cells = [[cell(row) for cell in columns.values()] for row in rows if row["lag"] in lags]
            grid = _grid(list(columns), cells, width)
            if max(map(len, grid.splitlines())) <= width or "upper bound" not in columns:
                break
        parts.append(f"{_cut(printable(site), width)}\n{grid}" + _left_out(len(rows), len(lags)))
    return parts


def _upper(row: dict) -> str:
    """The upper bound and which one it is."""
    return "-" if row.get("upper_bits") is None else f"{number(row['upper_bits'], 2)} {printable(row['upper_by'])}"


def _matrices(chosen: list[dict], names: dict[str, str], width: int) -> list[str]:
    by_place = {(row["site"], row["lag"]): row for row in chosen}
    every = sorted({row["lag"] for row in chosen})
    room = max(len("ceiling H(X)"), *map(len, names.values()))
    bits = {place: _plus_minus(row) for place, row in by_place.items()}
    cell = max(map(len, bits.values()))
    lags = lag_subset(every, min(MOST_LAGS, (width - room) // (cell + 2)))
    head = ["lag".ljust(room), *(str(lag).rjust(cell) for lag in lags)]
    ceilings = [next((row["ceiling_bits"] for row in chosen if row["lag"] == lag), None) for lag in lags]
    values = [[name, *(bits.get((site, lag), "") for lag in lags)] for site, name in names.items()]
    values.append(["ceiling H(X)", *(number(bound, 2) for bound in ceilings)])
    tops = [
        [name, *(percent(by_place.get((site, lag), {}).get("top1")) for lag in lags)] for site, name in names.items()
    ]
    note = "\n± is to the farther end of the interval."
    return [
        "Bits by lag, chosen probe\n" + _grid(head, values, width) + note + _left_out(len(every), len(lags)),
        "Top-1 by lag, chosen probe: how often its first guess is the token\n" + _grid(head, tops, width),
    ]


def _plus_minus(row: dict) -> str:
    ends = [row["value_bits"], row["low_bits"], row["high_bits"]]
    if None in ends:
        return number(row["value_bits"], 2)
    return f"{number(ends[0], 2)}±{max(ends[0] - ends[1], ends[2] - ends[0]):.2f}".replace("±0.", "±.")


def _left_out(lags: int, shown: int) -> str:
    return f"\n{shown} of {lags} lags are shown; report.to_frame() has them all." if lags > shown else ""


def _footer(report: dict[str, Any], width: int) -> str:
    rows = report["rows"]
    said = [
        *meaning_sentences(report["config"]), *upper_sentences(rows), *control_sentences(rows, report.get("controls"))
    ]  # fmt: skip
    lines = [fill(sentence, width) for sentence in said]
    lines += [fill(f"Warning: {sentence}", width, indent="  ") for sentence in report["warnings"]]
    return "\n".join(lines)


def number(value: float | int | None, digits: int) -> str:
    """`value` with `digits` decimals, or a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def percent(value: float | int | None) -> str:
    """A share as per cent."""
    return "-" if value is None else f"{value:.0%}"


def interval(ends: Sequence[float | int | None], digits: int, missing: str = "-") -> str:
    """`[low, high]`, or nothing where neither is known."""
    if all(end is None for end in ends):
        return ""
    return f"[{', '.join(missing if end is None else number(end, digits) for end in ends)}]"


def with_interval(values: Sequence[float | int | None], digits: int, unit: str = "", missing: str = "-") -> str:
    """`value [low, high]`."""
    value = missing if values[0] is None else number(values[0], digits) + unit
    return f"{value} {interval(values[1:], digits, missing)}".strip()


def short_names(names: Sequence[str], most: int) -> dict[str, str]:
    """Each name in at most `most` columns, still told apart: what all share gives way first, then the middle.

    Example:
        >>> short_names(["model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj"], 12)
        {'model.layers.0.self_attn.o_proj': '…0…', 'model.layers.1.self_attn.o_proj': '…1…'}
    """
    plain = {name: printable(name) for name in names}
    if max(map(len, plain.values()), default=0) <= most:
        return plain
    if len(plain) > 1:
        head = _shared(list(plain.values()))
        tail = _shared([text[head:][::-1] for text in plain.values()])
        plain = {
            name: "…" * (head > 0) + text[head : len(text) - tail] + "…" * (tail > 0) for name, text in plain.items()
        }
    cut = {name: _cut(text, most) for name, text in plain.items()}
    if len(set(cut.values())) < len(cut):
        cut = {name: _cut(f"{place}:{text}", most) for place, (name, text) in enumerate(plain.items(), 1)}
    return cut


def _shared(texts: Sequence[str]) -> int:
    """Length of what all texts begin with, back to a dot: a number such as 10 of 10 and 11 stays whole."""
    same = 0
    while all(len(text) > same and text[same] == texts[0][same] for text in texts):
        same += 1
    return texts[0].rfind(".", 0, same) + 1


def _cut(text: str, most: int) -> str:
    """Cut in the middle: both ends of a module path tell it from its neighbours."""
    if len(text) <= most:
        return text
    left = (most - 1) // 2
    return f"{text[:left]}…{text[len(text) - (most - 1 - left) :]}"


def _grid(head: Sequence[str], cells: Sequence[Sequence[str]], width: int) -> str:
    """Columns two spaces apart, the first one to the left; a heading may have two lines."""
    deep = max(text.count("\n") for text in head)
    heads = [("\n" * (deep - text.count("\n")) + text).split("\n") for text in head]
    rows = [*zip(*heads, strict=True), *cells]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        "  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))])
        for row in rows
    ]
    lines.insert(deep + 1, "-" * min(width, len(lines[0])))
    return "\n".join(line.rstrip() for line in lines)


def fill(text: str, width: int, indent: str = "") -> str:
    """One paragraph, its later lines indented."""
    return textwrap.fill(printable(text), width, subsequent_indent=indent)
