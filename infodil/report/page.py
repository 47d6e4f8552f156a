"""A report as one page that opens without a network. Corpus text is hostile: it enters as data, never as markup."""

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from infodil.plots import site_marks
from infodil.report.cells import SUMMARY_CELLS, Cell, interval, number, summary_cells
from infodil.report.findings import findings, telling_lag
from infodil.report.glossary import COLUMN_TERMS, GLOSSARY, definition
from infodil.report.names import printable, short_names
from infodil.report.saved import SCHEMA_VERSION
from infodil.report.sentences import control_probe, report_sentences
from infodil.report.table import lag_subset

if TYPE_CHECKING:
    import jinja2

__all__ = ["render_page", "report_lead", "report_page", "summary_html", "table_page"]

SCRIPTS = ("elements", "chart", "heat_map", "text_view", "rows", "downloads", "page")
"""Parts of the page's script, in order."""


def report_page(report: Mapping[str, Any], figure: bytes = b"", kinds: bytes = b"") -> str:
    """The page of one report.

    Args:
        report: The report as `RecoverabilityReport.to_dict()` gives it.
        figure: The curves as SVG, shown where scripts are switched off.
        kinds: The curves by kind of token as SVG, where rows were split.

    Returns:
        The page as HTML.
    """
    model, corpus, config = report["model"], report["corpus"], report["config"]
    facts = {
        "precision": config.get("precision"),
        "confidence": f"{config['confidence']:.0%}" if isinstance(config.get("confidence"), float) else None,
        "vocabulary": model.get("vocabulary"),
        "documents": corpus.get("documents"),
        "tokens": corpus.get("tokens"),
        "seed": config.get("seed"),
        "infodil": (report["provenance"].get("versions") or report["provenance"]).get("infodil"),
    }
    return render_page(
        heading="Recoverability of past tokens",
        lead=report_lead(report),
        facts=facts,
        provenance={name: report[name] for name in ("model", "corpus", "config", "provenance")},
        report=report,
        findings=findings(report),
        sentences=report_sentences(report),
        figure=figure,
        kinds=_kinds(report.get("kind_rows") or (), kinds),
        saved=report,
    )


def render_page(
    *,
    heading: str,
    lead: str,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, Any],
    findings: Sequence[str],
    sentences: Sequence[str],
    figure: bytes = b"",
    kinds: Mapping[str, Any] | None = None,
    saved: Mapping[str, Any] | None = None,
    differences: Sequence[Mapping[str, Any]] = (),
) -> str:
    """The page of a report or of a comparison of reports.

    Args:
        heading: The heading of the page.
        lead: The line below the heading.
        facts: Settings shown by name below the lead; those that are None are left out.
        provenance: Groups of names and values that a fold shows.
        report: Rows, summary, warnings, text view and controls.
        findings: Sentences on top of the page.
        sentences: Sentences about the numbers.
        figure: The curves as SVG.
        kinds: Table and figure of the rows split by kind of token; None where they were not split.
        saved: The content of the saved report, which the page offers for download; None offers none.
        differences: Rows of differences between reports.

    Returns:
        The page as HTML.
    """
    return _render(
        "report.html", heading, lead, facts,
        script=_script(),
        data=_data(report, saved, differences),
        provenance=[
            (name, [(key, _spell(value)) for key, value in values.items()])
            for name, values in provenance.items()
            if values
        ],
        summary=_summary(report["summary"], report["rows"]),
        findings=findings,
        differences=bool(differences),
        glossary=GLOSSARY,
        sentences=sentences,
        warnings=report["warnings"],
        learning=_learning(report.get("controls")),
        kinds=kinds,
        figure=_data_address(figure),
    )  # fmt: skip


def table_page(
    *,
    heading: str,
    lead: str,
    facts: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    notes: Sequence[str],
    figure: bytes = b"",
) -> str:
    """The page of a result that is one table and one figure; it has no script.

    Args:
        heading: The heading of the page.
        lead: The line below the heading.
        facts: Settings shown by name below the lead; those that are None are left out.
        rows: One mapping from column to text a row; the first column names the row.
        notes: Sentences below the table.
        figure: The figure as SVG.

    Returns:
        The page as HTML.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    return _render(
        "table.html", heading, lead, facts,
        columns=columns,
        rows=[[str(row.get(name, "")) for name in columns] for row in rows],
        notes=notes,
        figure=_data_address(figure),
    )  # fmt: skip


def summary_html(
    *,
    lead: str,
    summary: Sequence[Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    findings: Sequence[str],
    notes: Sequence[str],
) -> str:
    """The summary of a result as a table for a notebook, with findings above it and a fold of notes below.

    Args:
        lead: The line above the table.
        summary: The rows of the summary.
        rows: The rows of the result.
        findings: Sentences above the table.
        notes: Sentences of the fold.

    Returns:
        HTML without a script.
    """
    table = _summary(summary, rows)
    return _environment().get_template("notebook.html").render(
        lead=lead, summary=table, findings=findings, sentences=notes
    )  # fmt: skip


def report_lead(report: Mapping[str, Any]) -> str:
    """The model and the text of a report."""
    return f"{report['model'].get('name', 'a model')} on {report['corpus'].get('name', 'a corpus')}"


def _render(
    template: str, heading: str, lead: str, facts: Mapping[str, Any], script: str = "", data: str = "", **content: Any
) -> str:
    """A template filled in; only the script whose digest the policy names may run, should markup ever slip through."""
    from markupsafe import Markup

    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    runs = f"script-src 'sha256-{digest}'; " if script else ""
    return (
        _environment()
        .get_template(template)
        .render(
            policy=Markup(
                f"default-src 'none'; {runs}style-src 'unsafe-inline'; img-src data:; "
                "base-uri 'none'; form-action 'none'"
            ),
            style=Markup(_source("page.css")),
            script=Markup(script),
            data=Markup(data),
            heading=heading,
            lead=lead,
            facts=[(name, _spell(value)) for name, value in facts.items() if value is not None],
            **content,
        )
    )


@cache
def _environment() -> "jinja2.Environment":
    """The templates, with every value escaped and made printable where it enters the page."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("infodil.report"),
        autoescape=True,
        finalize=lambda value: value if isinstance(value, Markup) else printable(value),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["definition"] = definition
    return environment


def _source(name: str) -> str:
    return files("infodil.report").joinpath("templates", name).read_text(encoding="utf-8")


def _script() -> str:
    """The script of the page: its parts share one scope."""
    parts = "".join(_source(f"{name}.js") for name in SCRIPTS)
    return f'"use strict";\n(() => {{\n{parts}}})();\n'


def _data(report: Mapping[str, Any], saved: Mapping[str, Any] | None, differences: Sequence[Mapping[str, Any]]) -> str:
    """All that the script shows, as JSON in which no `<` can end the script element."""
    columns = list(dict.fromkeys(name for row in report["rows"] for name in row))
    content = json.dumps(
        {
            "columns": columns,
            "rows": [[row.get(name) for name in columns] for row in report["rows"]],
            "names": short_names(list(dict.fromkeys(row["site"] for row in report["rows"])), 16),
            "places": site_marks(list(dict.fromkeys(row["site"] for row in report["rows"]))),
            "text_view": report["text_view"],
            "control_probe": control_probe(report),
            "telling_lag": telling_lag(report["rows"]),
            "terms": {column: [term, GLOSSARY[term]] for column, term in COLUMN_TERMS.items()},
            "glossary": GLOSSARY,
            "differences": differences,
            # Without its rows, which stand above.
            "saved": saved and {name: value for name, value in saved.items() if name not in ("rows", "text_view")},
            "schema_version": SCHEMA_VERSION,
        },
        allow_nan=False,
        separators=(",", ":"),
    )
    for letter in "<>&":  # U+2028 and U+2029 are not ASCII, so json has escaped them
        content = content.replace(letter, f"\\u{ord(letter):04x}")
    return content


def _summary(summary: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The summary as columns and rows of cells."""
    # Reports of older versions lack some of them.
    optional = {"whole_past": "whole_past_bits", "budget": "budget_bits", "rank": "effective_rank"}
    optional |= {"per_number": "bits_per_number", "per_bit": "bits_per_stored_bit"}
    shown = {name: any(row.get(column) is not None for row in summary) for name, column in optional.items()}
    columns = [name for name in SUMMARY_CELLS if shown.get(name, True)]
    longest = dict(sorted((row["site"], row["lag"]) for row in rows))  # the last of a site is its longest lag
    cells = [(row["site"], summary_cells(dict(row), longest.get(row["site"], 0))) for row in summary]
    return {
        "columns": ["site", *(SUMMARY_CELLS[name].replace("\n", " ") for name in columns)],
        "rows": [[site, *(of_site[name] for name in columns)] for site, of_site in cells],
    }


def _kinds(rows: Sequence[Mapping[str, Any]], figure: bytes) -> dict[str, Any] | None:
    """Bits by site, kind of token and lag as columns and rows; None where rows were not split."""
    chosen = [row for row in rows if row["chosen"]]
    if not chosen:
        return None
    lags = lag_subset(sorted({row["lag"] for row in chosen}), 9)
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for row in chosen:
        share = row["value_bits"] / row["ceiling_bits"] if row["ceiling_bits"] else 0.0
        ends = interval([row["low_bits"], row["high_bits"]], 2)
        cell = Cell(number(row["value_bits"], 2), ends, min(1.0, max(0.0, share)))
        cells.setdefault((row["site"], row["token_kind"]), {})[row["lag"]] = cell
    lines = [[site, kind, *(of_lag.get(lag, "") for lag in lags)] for (site, kind), of_lag in cells.items()]
    columns = ["site", "kind of token", *(f"lag {lag}" for lag in lags)]
    return {"columns": columns, "rows": lines, "figure": _data_address(figure)}


def _learning(controls: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """The learning curves as columns and rows; None where none was measured."""
    curves = (controls or {}).get("learning", [])
    if not curves:
        return None
    ends = {
        "extrapolated_bits": "extrapolated bits",
        "online_code_bits": "online code, bits",
        "compression_bits": "saved by it, bits",
    }
    rows = [
        [
            curve["site"],
            str(curve["lag"]),
            curve["probe"],
            " / ".join(number(rows, 0) for rows in curve["train_rows"]),
            " / ".join(number(bits, 2) for bits in curve["bits"]),
            *(number(curve[name], 2) for name in ends),
        ]
        for curve in curves
    ]
    return {"columns": ["site", "lag", "probe", "training rows", "bits read", *ends.values()], "rows": rows}


def _spell(value: Any) -> str:
    """A setting as text: numbers with separators, mappings as names and values."""
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {f'({_spell(inner)})' if isinstance(inner, dict) else _spell(inner)}"
            for key, inner in value.items()
        )
    return ", ".join(map(_spell, value)) if isinstance(value, list) else str(value)


def _data_address(svg: bytes) -> str:
    """The figure as the address of an image; empty where there is none."""
    return f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}" if svg else ""
