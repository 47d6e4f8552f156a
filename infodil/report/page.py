"""A report as one page that opens without a network. Corpus text is hostile: it enters as data, never as markup."""

import base64
import hashlib
import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from infodil.report.sentences import control_sentences, meaning_sentences, printable, upper_sentences
from infodil.report.table import number, short_names

__all__ = ["render_page", "report_page", "table_page"]


def report_page(report: Mapping[str, Any], figure: bytes = b"") -> str:
    """The page of one report.

    Args:
        report: `RecoverabilityReport.to_dict()`.
        figure: The curves as SVG, shown where scripts are switched off.
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
        lead=f"{model.get('name', 'a model')} on {corpus.get('name', 'a corpus')}",
        facts=facts,
        provenance={name: report[name] for name in ("model", "corpus", "config", "provenance")},
        report=report,
        sentences=[
            *meaning_sentences(config),
            *upper_sentences(report["rows"]),
            *control_sentences(report["rows"], report.get("controls")),
        ],
        figure=figure,
    )


def render_page(
    *,
    heading: str,
    lead: str,
    facts: Mapping[str, Any],
    provenance: Mapping[str, Mapping[str, Any]],
    report: Mapping[str, Any],
    sentences: Sequence[str],
    figure: bytes = b"",
) -> str:
    """The page of a report or of a comparison of reports."""
    script = _part("page.js")
    sections = {
        "summary": _summary(report["summary"], report["rows"]),
        "figure": _picture(figure, "Bits by lag, one curve a site"),
        "trust": _trust(sentences, report["warnings"]),
        "learning": _learning(report.get("controls")),
    }
    definitions = "".join(_definitions(name, values) for name, values in provenance.items())
    return _page(
        heading, lead, facts,
        details="<details><summary>Settings and provenance</summary>"
        f'<div class="provenance">{definitions}</div></details>',
        main=_filled("sections.html", sections),
        scripts=f'<script type="application/json" id="data">{_data(report)}</script>\n<script>{script}</script>\n',
        script=script,
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
    """A result that is one table and one figure, as a page without a script.

    Args:
        heading: What the table is.
        lead: What it is about.
        facts: Shown by name; those that are None are left out.
        rows: One line each; the first column names it.
        notes: Sentences below the table.
        figure: SVG.
    """
    columns = list(dict.fromkeys(name for row in rows for name in row))
    head = "".join(f'<th scope="col">{text(name)}</th>' for name in columns)
    lines = []
    for row in rows:
        first, *others = (text(row.get(name, "")) for name in columns)
        cells = "".join(f"<td>{value}</td>" for value in others)
        lines.append(f'<tr><th scope="row">{first}</th>{cells}</tr>')
    table = f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"
    said = "".join(f'<p class="note">{text(sentence)}</p>' for sentence in notes)
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{text(heading)}">{table}</div>'
    return _page(heading, lead, facts, main=f"{region}\n{said}\n{_picture(figure, heading)}\n")


def _page(
    heading: str,
    lead: str,
    facts: Mapping[str, Any],
    *,
    main: str,
    details: str = "",
    scripts: str = "",
    script: str = "",
) -> str:
    """What every page has around its `main`; of scripts only the one whose text is `script` may run."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    # Should markup ever slip through, no other script runs.
    runs = f"script-src 'sha256-{digest}'; " if script else ""
    holes = {
        "policy": f"default-src 'none'; {runs}style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'",
        "title": text(f"{lead} - {heading}"),
        "heading": text(heading),
        "lead": text(lead),
        "facts": _facts(facts),
        "details": details,
        "main": main,
        "scripts": scripts,
        "style": _part("page.css"),
    }
    return _filled("page.html", holes)


def _filled(name: str, holes: Mapping[str, str]) -> str:
    """A template, each hole filled once, so that nothing inserted is read as a hole."""
    return re.sub(r"\[\[(\w+)\]\]", lambda hole: holes[hole[1]], _part(name))


def _facts(facts: Mapping[str, Any]) -> str:
    return "".join(
        f"<li>{text(name)} <b>{text(_spell(value))}</b></li>" for name, value in facts.items() if value is not None
    )


def text(value: object) -> str:
    """`value` as text of a page: escaped, and nothing that hides or that UTF-8 cannot hold."""
    return html.escape(printable(value), quote=True)


def _part(name: str) -> str:
    return files("infodil.report").joinpath(name).read_text(encoding="utf-8")


def _data(report: Mapping[str, Any]) -> str:
    """The rows by column and the passage, as JSON in which no `<` can end the script element."""
    columns = list(dict.fromkeys(name for row in report["rows"] for name in row))
    rows = [[row.get(name) for name in columns] for row in report["rows"]]
    content = json.dumps(
        {
            "columns": columns,
            "rows": rows,
            "names": short_names(list(dict.fromkeys(row["site"] for row in report["rows"])), 16),
            "passage": report["passage"],
        },
        allow_nan=False,
        separators=(",", ":"),
    )
    for letter in "<>&":  # U+2028 and U+2029 are not ASCII, so json has escaped them
        content = content.replace(letter, f"\\u{ord(letter):04x}")
    return content


def _summary(summary: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]) -> str:
    heads = ["site", "dim", "lags", "recoverable bits", "share of ceiling", "half-life, tokens", "beyond context, bits"]
    if any(row["budget_bits"] is not None for row in summary):
        heads.append("budget, bits")
    longest = dict(sorted((row["site"], row["lag"]) for row in rows))  # the last of a site is its longest lag
    lines = [_summary_row(row, longest.get(row["site"], 0), "budget, bits" in heads) for row in summary]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table>"


def _summary_row(row: Mapping[str, Any], longest: int, budget: bool) -> str:
    share = [None if row[name] is None else 100 * row[name] for name in ("share_of_ceiling", "share_low", "share_high")]
    life = [row[f"half_life{end}_tokens"] for end in ("", "_low", "_high")]
    filled = max(0.0, min(1.0, row["share_of_ceiling"] or 0.0)) * 60
    bar = (
        '<svg width="60" height="8" aria-hidden="true"><rect class="bar-track" width="60" height="8" rx="2"/>'
        f'<rect class="bar" width="{filled:.1f}" height="8" rx="2"/></svg>'
    )
    cells = [
        number(row["dim"], 0),
        number(row["lags"], 0),
        _ranged([row[f"recoverable{end}_bits"] for end in ("", "_low", "_high")], 2),
        _ranged(share, 0, "%") + bar,
        _ranged(life, 1, missing=f"&gt;{longest}"),
        _ranged([row[f"beyond_context{end}_bits"] for end in ("", "_low", "_high")], 2),
    ]
    if budget:
        cells.append(_ranged([row[f"budget{end}_bits"] for end in ("", "_low", "_high")], 0))
    site = text(row["site"])
    name = f'<th scope="row" title="{site}">{site}</th>'
    return f"<tr>{name}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _ranged(values: Sequence[float | int | None], digits: int, unit: str = "", missing: str = "-") -> str:
    value, low, high = (missing if value is None else number(value, digits) for value in values)
    if values[1] is None and values[2] is None:
        return f"{value}{unit if values[0] is not None else ''}"
    return f"{value}{unit if values[0] is not None else ''} <small>[{low}, {high}]</small>"


def _definitions(name: str, values: Mapping[str, Any]) -> str:
    pairs = "".join(f"<dt>{text(key)}</dt><dd>{text(_spell(value))}</dd>" for key, value in values.items())
    return f"<div><h3>{text(name)}</h3><dl>{pairs}</dl></div>" if pairs else ""


def _spell(value: Any) -> str:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return str(value)
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, dict):
        return ", ".join(
            f"{key} {f'({_spell(inner)})' if isinstance(inner, dict) else _spell(inner)}"
            for key, inner in value.items()
        )
    return json.dumps(value) if isinstance(value, list) else str(value)


def _trust(sentences: Sequence[str], warnings: Sequence[str]) -> str:
    said = "".join(f'<p class="trust">{text(sentence)}</p>' for sentence in sentences)
    warned = "".join(f"<li>{text(sentence)}</li>" for sentence in warnings)
    return said + (f'<ul class="warnings">{warned}</ul>' if warned else '<p class="trust">There are no warnings.</p>')


def _learning(controls: Mapping[str, Any] | None) -> str:
    """The learning curves as a table that unfolds; nothing where none was measured."""
    curves = (controls or {}).get("learning", [])
    if not curves:
        return ""
    ends = ["extrapolated bits", "online code, bits", "saved by it, bits"]
    heads = ["site", "lag", "probe", "training rows", "bits read", *ends]
    head = "".join(f'<th scope="col">{name}</th>' for name in heads)
    lines = []
    for curve in curves:
        figures = [curve[name] for name in ("extrapolated_bits", "online_code_bits", "compression_bits")]
        cells = [
            text(curve["lag"]),
            text(curve["probe"]),
            " / ".join(number(rows, 0) for rows in curve["train_rows"]),
            " / ".join(number(bits, 2) for bits in curve["bits"]),
            *(number(figure, 2) for figure in figures),
        ]
        lines.append(f'<tr><th scope="row">{text(curve["site"])}</th>{"".join(f"<td>{c}</td>" for c in cells)}</tr>')
    note = (
        "Bits on the calibration rows at growing numbers of training rows. Extrapolated is where the curve tends, by a "
        "power law, and was not measured. The online code (Voita and Titov 2020) is what the training labels cost a "
        "token when each block is coded by the reader of the blocks before it; saved is what a unigram code pays more."
    )
    return (
        f'<details><summary>Learning curves</summary><p class="note">{note}</p><div class="scroll" tabindex="0" '
        f'role="region" aria-label="Learning curves"><table><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div></details>"
    )


def _picture(svg: bytes, words: str) -> str:
    """The figure as an image whose markup is sealed in its own data."""
    if not svg:
        return ""
    source = base64.b64encode(svg).decode()
    return f'<img class="figure" alt="{text(words)}" src="data:image/svg+xml;base64,{source}">'
