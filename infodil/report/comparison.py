"""Several reports side by side, in bits, and what forbids to compare them."""

import html
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infodil.checks import UserError, check_not_empty, check_one_of, write_whole
from infodil.report.page import render_page
from infodil.report.report import RecoverabilityReport
from infodil.report.sentences import control_sentences, meaning_sentences, upper_sentences
from infodil.report.table import fill, headline, short_names, terminal_width

__all__ = ["ReportComparison", "compare"]

NOT_STATED = "not stated"


@dataclass(frozen=True, repr=False)
class ReportComparison:
    """Reports under their names.

    Attributes:
        reports: The reports, in the order given.
        warnings: Why some of the figures are not comparable; empty where nothing was found.
    """

    reports: dict[str, RecoverabilityReport]
    warnings: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"ReportComparison({', '.join(self.reports)}; {len(self.warnings)} warnings)"

    def __str__(self) -> str:
        width = terminal_width()
        sites = list(dict.fromkeys(row["site"] for report in self.reports.values() for row in report.summary))
        groups = [
            (_title(name, report), report.summary, max(report.lags, default=0)) for name, report in self.reports.items()
        ]
        parts = [
            f"Recoverability of past tokens: {len(self.reports)} reports",
            headline(groups, short_names(sites, 12), width),
            "\n".join(fill(sentence, width) for sentence in meaning_sentences(self._settings())),
            "\n".join(fill(f"Warning: {sentence}", width, indent="  ") for sentence in self.warnings),
        ]
        return "\n\n".join(part for part in parts if part)

    def _settings(self) -> dict[str, Any]:
        """Precision and confidence of all; a confidence that differs is not one number."""
        precisions = dict.fromkeys(_precision(report)[1] for report in self.reports.values())
        levels = {report.config.get("confidence") for report in self.reports.values()}
        return {"precision": " or ".join(precisions), "confidence": levels.pop() if len(levels) == 1 else None}

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_frame(self) -> Any:
        """The frames of the reports, one below the other, with a first column `report`."""
        import pandas as pd

        rows = [{"report": name, **row} for name, report in self.reports.items() for row in report.rows]
        return pd.DataFrame(rows)

    def plot(self, quantity: str = "value") -> Any:
        """Draw a panel a report, the chosen probe's bits against lag; returns the matplotlib figure.

        Args:
            quantity: `"value"`, the bits themselves, or `"beyond_context"`, those the context does not give away.
        """
        from infodil.plots import multi_curves

        check_one_of("quantity", quantity, ["value", "beyond_context"])
        frame = self.to_frame()
        return multi_curves(frame[frame["chosen"].eq(True)], quantity=f"{quantity}_bits")

    def to_html(self, path: str | Path) -> Path:
        """Write the comparison as one page that opens without a network."""
        from infodil.plots import figure_svg

        every = list(self.reports.items())
        together = {
            "rows": [{**row, "site": f"{name}: {row['site']}"} for name, report in every for row in report.rows],
            "summary": [{**row, "site": f"{name}: {row['site']}"} for name, report in every for row in report.summary],
            "warnings": [*self.warnings, *(f"{name}: {said}" for name, report in every for said in report.warnings)],
            "passage": None,
        }
        page = render_page(
            heading=f"Recoverability of past tokens: {len(every)} reports",
            lead=" · ".join(_title(name, report) for name, report in every),
            facts={
                name: f"precision {said}"
                for name, (_, said) in zip(self.reports, map(_precision, self.reports.values()), strict=True)
            },
            provenance={
                f"{name}: {part}": getattr(report, part)
                for name, report in every
                for part in ("model", "corpus", "config", "provenance")
            },
            report=together,
            sentences=[
                *meaning_sentences(self._settings()),
                *upper_sentences(together["rows"]),
                *control_sentences(together["rows"], None),
            ],
            figure=figure_svg(self.plot()) if any(row["chosen"] for row in together["rows"]) else b"",
        )
        return write_whole(path, page)


def compare(reports: Mapping[str, RecoverabilityReport]) -> ReportComparison:
    """Put reports side by side, with a warning for whatever makes their figures differ without the models differing.

    Args:
        reports: The reports under the names they shall have.
    """
    check_not_empty("reports", reports, "pass at least one report, such as reports={'gpt2': report}")
    for name, report in reports.items():
        if not isinstance(report, RecoverabilityReport):
            raise UserError(
                f"`reports` must hold reports, got {type(report).__name__} under {name!r}: read it with load_report."
            )
    return ReportComparison(dict(reports), tuple(_warnings(reports)))


def _warnings(reports: Mapping[str, RecoverabilityReport]) -> list[str]:
    told = [
        (_lags, "measured different lags", "sums over the lags are not comparable"),
        (_corpus, "are of different texts", "a difference in bits may be one between the texts"),
        (_tokenizer, "split the text in different ways", "neither bits nor lags are of the same tokens"),
        (_vocabulary, "have vocabularies of different sizes", "neither bits nor lags are of the same tokens"),
        (_precision, "observed the states at different precisions", "a coarser state holds fewer bits"),
        (_confidence, "have intervals of different confidence", "the wider interval may only be the surer one"),
    ]
    found = []
    for ask, what, why in told:
        stated = {name: ask(report) for name, report in reports.items()}
        if len({key for key, _ in stated.values() if key is not None}) > 1:
            found.append(f"The reports {what} ({'; '.join(f'{n}: {said}' for n, (_, said) in stated.items())}): {why}.")
    return found


# Each of the following gives what is compared, None where nothing is stated, and how it is said.


def _lags(report: RecoverabilityReport) -> tuple[Any, str]:
    lags = report.lags
    if len(lags) <= 6:
        return lags, ", ".join(map(str, lags)) or "none"
    return lags, f"{len(lags)} lags, {lags[0]} to {lags[-1]}"


def _corpus(report: RecoverabilityReport) -> tuple[Any, str]:
    name, digest = _spell(report.corpus.get("name", NOT_STATED)), report.corpus.get("sha256")
    return digest or name, f"{name}, sha256 {str(digest)[:12]}" if digest else name


def _tokenizer(report: RecoverabilityReport) -> tuple[Any, str]:
    return _said(report, "tokenizer")


def _vocabulary(report: RecoverabilityReport) -> tuple[Any, str]:
    return _said(report, "vocabulary")


def _precision(report: RecoverabilityReport) -> tuple[Any, str]:
    return _said(report, "precision")


def _confidence(report: RecoverabilityReport) -> tuple[Any, str]:
    return _said(report, "confidence")


def _said(report: RecoverabilityReport, name: str) -> tuple[Any, str]:
    places = (report.config, report.model, report.corpus)
    value = next((place[name] for place in places if place.get(name) is not None), None)
    return (None, NOT_STATED) if value is None else (_spell(value), _spell(value))


def _spell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _title(name: str, report: RecoverabilityReport) -> str:
    model, corpus = report.model.get("name", "a model"), report.corpus.get("name", "a corpus")
    return f"{name} ({model} on {corpus})"
