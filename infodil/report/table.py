"""A report as text, in bits, for a terminal of 80 to 100 columns."""

import math
import shutil
import textwrap
from collections.abc import Sequence
from typing import Any

from infodil.report.cells import SUMMARY_CELLS, interval, number, percent, summary_cells
from infodil.report.names import printable, short_names, shorten
from infodil.report.sentences import report_sentences

__all__ = ["difference_table", "fill", "headline", "lag_subset", "report_table", "terminal_width"]

NARROWEST, WIDEST = 80, 100
"""Columns of the narrowest and the widest table."""

MOST_LAGS = 12
"""Lags of a table at most."""

NAME_WIDTH = 12
"""Characters of the name of a site at most."""

MOST_BLOCKS = 2
"""Sites that get a table of their own, with a row a lag; more sites share one matrix, with a row a site."""

HEADLINE = ("recoverable", "share", "half_life", "beyond_context")
"""Columns of `SUMMARY_CELLS` that a terminal has room for."""


def report_table(report: dict[str, Any], width: int | None = None) -> str:
    """The text of a report.

    Args:
        report: The report as `RecoverabilityReport.to_dict()` gives it.
        width: Columns to fill; by default those of the terminal, between 80 and 100.

    Returns:
        Title, summary, bits by lag, and what the numbers mean; no line is longer than the width.
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
        parts += _site_tables(chosen, sites, width) if len(sites) <= MOST_BLOCKS else _matrices(chosen, names, width)
    if report.get("kind_rows"):
        parts.append(_kind_table(report, width))
    parts.append(_footer(report, width))
    return "\n\n".join(part for part in parts if part)


def terminal_width() -> int:
    """The terminal's columns, between 80 and 100; 100 where there is no terminal."""
    return min(WIDEST, max(NARROWEST, shutil.get_terminal_size((WIDEST, 24)).columns))


def lag_subset(lags: Sequence[int], most: int = MOST_LAGS) -> list[int]:
    """A subset of the lags: the shortest, the longest, and between them about equal steps of log(1 + lag).

    Args:
        lags: The lags to choose from.
        most: The largest number of lags to keep.

    Returns:
        The lags kept, in order.

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
        goal = low + (high - low) * place / (most - 1)
        last = len(lags) - (most - 1 - place)  # leaves enough lags for the places that follow
        candidates = [lag for lag in lags[len(picked) : last] if not picked or lag > picked[-1]]
        picked.append(min(candidates, key=lambda lag: abs(math.log1p(lag) - goal)))
    return picked


def _title(report: dict[str, Any], width: int) -> str:
    model, corpus = report["model"].get("name", "a model"), report["corpus"].get("name", "a corpus")
    return fill(f"Recoverability of past tokens: {model} on {corpus}", width)


def headline(groups: Sequence[tuple[str, Sequence[dict], int]], names: dict[str, str], width: int) -> str:
    """The summary, one line a site, under a line for each group that has a name.

    Args:
        groups: Name, summary and longest lag of each report.
        names: The short name of each site.
        width: Columns to fill; decimals are dropped until the table fits.

    Returns:
        The table.
    """
    head = ["site", *(SUMMARY_CELLS[column] for column in HEADLINE)]
    for digits in (2, 1, 0):
        cells = []
        for _, summary, longest in groups:
            for row in summary:
                columns = summary_cells(row, longest, digits)
                cells.append([names[row["site"]], *(str(columns[column]) for column in HEADLINE)])
        lines = _grid(head, cells, width).splitlines()
        if max(map(len, lines)) <= width:
            break
    place = len(lines) - len(cells)
    for name, summary, _ in groups:
        if name:
            lines.insert(place, f"{shorten(printable(name), width - 1)}:")
        place += len(summary) + bool(name)
    return "\n".join(lines) + _name_key(names, width)


def _name_key(names: dict[str, str], width: int) -> str:
    """The sites that shortened names stand for: all of them, or the first and the last."""
    shortened = [f"{short} is {printable(site)}" for site, short in names.items() if short != site]
    if len(shortened) > 2:
        shortened = [shortened[0], "...", shortened[-1]]
    return "\n" + fill("; ".join(shortened), width) if shortened else ""


def _site_tables(chosen: list[dict], sites: list[str], width: int) -> list[str]:
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
        for dropped in (None, "ceiling H(X)"):
            columns.pop(dropped, None)
            cells = [[cell(row) for cell in columns.values()] for row in rows if row["lag"] in lags]
            grid = _grid(list(columns), cells, width)
            if max(map(len, grid.splitlines())) <= width or "upper bound" not in columns:
                break
        parts.append(f"{shorten(printable(site), width)}\n{grid}" + _omitted(len(rows), len(lags)))
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
        "Bits by lag, selected probe\n" + _grid(head, values, width) + note + _omitted(len(every), len(lags)),
        "Top-1 by lag, selected probe: how often its first guess is the token\n" + _grid(head, tops, width),
    ]


def _kind_table(report: dict[str, Any], width: int) -> str:
    """Bits by kind of the hidden token and lag, at the site that holds most."""
    site = max(report["summary"], key=lambda row: row["recoverable_bits"] or -math.inf)["site"]
    rows = [row for row in report["kind_rows"] if row["chosen"] and row["site"] == site]
    kinds = list(dict.fromkeys(printable(row["token_kind"]) for row in rows))
    cells = {(printable(row["token_kind"]), row["lag"]): f"{number(row['value_bits'], 2)} of "
             f"{number(row['ceiling_bits'], 1)}" for row in rows}  # fmt: skip
    every = sorted({row["lag"] for row in rows})
    names = {kind: shorten(kind, 20) for kind in kinds}
    room, cell = max(4, *map(len, names.values())), max(map(len, cells.values()))
    lags = lag_subset(every, max(2, min(MOST_LAGS, (width - room) // (cell + 2))))
    head = ["lag".ljust(room), *(str(lag).rjust(cell) for lag in lags)]
    lines = [[names[kind], *(cells.get((kind, lag), "") for lag in lags)] for kind in kinds]
    title = f"Bits by kind of token and lag at {shorten(printable(site), 40)}, of those that tokens of the kind have"
    sites = len(report["summary"])
    others = f"\n1 of {sites} sites is shown; report.to_frame() has them all." if sites > 1 else ""
    return fill(title, width) + "\n" + _grid(head, lines, width) + _omitted(len(every), len(lags)) + others


def difference_table(name: str, reference: str, rows: Sequence[dict], width: int) -> str:
    """Differences between two reports, one line a site.

    Args:
        name: The name of the report.
        reference: The name of the report that is subtracted.
        rows: Rows of `ReportComparison.differences`.
        width: Columns to fill.

    Returns:
        The table.
    """
    names = short_names(list(dict.fromkeys(row["site"] for row in rows)), NAME_WIDTH)
    cells = {(row["site"], row["lag"]): _plus_minus(row, "difference_bits") for row in rows}
    every = sorted({row["lag"] for row in rows})
    room, cell = max(3, *map(len, names.values())), max(map(len, cells.values()))
    lags = lag_subset(every, max(2, min(MOST_LAGS, (width - room) // (cell + 2))))
    head = ["lag".ljust(room), *(str(lag).rjust(cell) for lag in lags)]
    lines = [[short, *(cells.get((site, lag), "") for lag in lags)] for site, short in names.items()]
    title = fill(f"Bits by lag, {name} less {reference}; ± is to the farther end of the interval", width)
    return f"{title}\n{_grid(head, lines, width)}" + _omitted(len(every), len(lags))


def _plus_minus(row: dict, value: str = "value_bits") -> str:
    ends = [row[value], row["low_bits"], row["high_bits"]]
    if None in ends:
        return number(row[value], 2)
    return f"{number(ends[0], 2)}±{max(ends[0] - ends[1], ends[2] - ends[0]):.2f}".replace("±0.", "±.")


def _omitted(lags: int, shown: int) -> str:
    return f"\n{shown} of {lags} lags are shown; report.to_frame() has them all." if lags > shown else ""


def _footer(report: dict[str, Any], width: int) -> str:
    lines = [fill(sentence, width) for sentence in report_sentences(report)]
    lines += [fill(f"Warning: {sentence}", width, indent="  ") for sentence in report["warnings"]]
    return "\n".join(lines)


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
