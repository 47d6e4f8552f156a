"""Several reports side by side, in bits, with the reasons that forbid a comparison."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infodil.checks import UserError, check_not_empty, check_one_of, write_whole
from infodil.report.differences import DIFFERENCE_COLUMNS, difference_findings, report_differences
from infodil.report.drawing import MOST_CURVES, QUANTITIES, quantity_column
from infodil.report.names import short_names
from infodil.report.page import render_page, summary_html
from infodil.report.report import RecoverabilityReport
from infodil.report.saved import read_result, write_result
from infodil.report.sentences import control_sentences, meaning_sentences, upper_sentences
from infodil.report.table import difference_table, fill, headline, terminal_width

if TYPE_CHECKING:
    import pandas

    import infodil.plots

__all__ = ["ReportComparison", "compare"]

COMPARISON_FORMAT = "infodil.comparison"
"""What the file of a saved comparison names itself."""

NOT_STATED = "not stated"


@dataclass(frozen=True, repr=False)
class ReportComparison:
    """Reports under their names, with the reasons that forbid a comparison.

    Attributes:
        reports: The reports, in the order given.
        warnings: Differences of setting that make numbers differ without the models differing.
    """

    reports: dict[str, RecoverabilityReport]
    warnings: tuple[str, ...] = ()

    def __hash__(self) -> int:
        return hash(tuple(self.reports.items()))

    def __repr__(self) -> str:
        return f"ReportComparison({', '.join(self.reports)}; {len(self.warnings)} warnings)"

    def __str__(self) -> str:
        width = terminal_width()
        sites = list(dict.fromkeys(row["site"] for report in self.reports.values() for row in report.summary))
        groups = [
            (_title(name, report), report.summary, max(report.lags, default=0)) for name, report in self.reports.items()
        ]
        (first, reference), *others = self.reports.items()
        changes = [(name, report_differences(name, report, first, reference)) for name, report in others]
        parts = [
            f"Recoverability of past tokens: {len(self.reports)} reports",
            "\n".join(fill(f"Warning: {sentence}", width, indent="  ") for sentence in self.warnings),
            headline(groups, short_names(sites, 12), width),
            *(difference_table(name, first, rows, width) for name, rows in changes if rows),
            "\n".join(fill(sentence, width) for sentence in meaning_sentences(self._settings())),
        ]
        return "\n\n".join(part for part in parts if part)

    def _settings(self) -> dict[str, Any]:
        """Precision and confidence of all reports; confidences that differ have no common value."""
        precisions = dict.fromkeys(_setting("precision")(report)[1] for report in self.reports.values())
        levels = {report.config.get("confidence") for report in self.reports.values()}
        return {"precision": " or ".join(precisions), "confidence": levels.pop() if len(levels) == 1 else None}

    def _repr_html_(self) -> str:
        together = self._together()
        return summary_html(
            lead=" · ".join(_title(name, report) for name, report in self.reports.items()),
            summary=together["summary"], rows=together["rows"],
            findings=[*self.warnings, *difference_findings(self.differences().to_dict("records"))],
            notes=meaning_sentences(self._settings()),
        )  # fmt: skip

    def _together(self) -> dict[str, Any]:
        """The rows of all reports as those of one, each site under the name of its report."""
        every = list(self.reports.items())
        return {
            "rows": [{**row, "site": f"{name}: {row['site']}"} for name, report in every for row in report.rows],
            "summary": [{**row, "site": f"{name}: {row['site']}"} for name, report in every for row in report.summary],
            "warnings": [*self.warnings, *(f"{name}: {text}" for name, report in every for text in report.warnings)],
            "text_view": None,
        }

    def to_frame(self) -> "pandas.DataFrame":
        """The frames of the reports, one below the other, with a first column `report`."""
        import pandas as pd

        rows = [{"report": name, **row} for name, report in self.reports.items() for row in report.rows]
        return pd.DataFrame(rows)

    def plot(self, quantity: str = "value", *, size: str = "page") -> "infodil.plots.Panels":
        """A quantity against lag, one panel a report: curves, or heat maps where sites are more than ten.

        Args:
            quantity: One of `QUANTITIES`: `"value"` draws the bits themselves, `"beyond_context"` those that later
                tokens do not give.
            size: The width of the figure: `"column"` (3.25 in) or `"page"` (5.5 in).

        Returns:
            The axes of the panels; `panels.figure` is the figure, which shows itself in a notebook.

        Raises:
            UserError: Where there is no such quantity or size.
        """
        from infodil.plots import FIGURE_WIDTHS, heat_maps, multi_curves

        check_one_of("quantity", quantity, QUANTITIES)
        check_one_of("size", size, FIGURE_WIDTHS)
        frame = self.to_frame()
        frame = frame[frame["chosen"].eq(True)]
        draw = multi_curves if frame["site"].nunique() <= MOST_CURVES else heat_maps
        return draw(frame, quantity=quantity_column(quantity), size=size)

    def differences(self) -> "pandas.DataFrame":
        r"""The bits of the selected probe in each report, less those in the first, at the sites that both have.

        The interval combines those of the two values :math:`a` and :math:`b` by the method of variance estimates
        recovery, with :math:`d = a - b`:

        .. math:: \left[d - \sqrt{(a - l_a)^2 + (u_b - b)^2},\; d + \sqrt{(u_a - a)^2 + (b - l_b)^2}\right]

        It treats the two as independent; where both were measured on the same documents, which raises and lowers
        them together, it is wider than it need be.

        Returns:
            One row for each report after the first, site and lag; two reports of one site each are compared whatever
            their sites are called.

        Reference:
            Zou and Donner (2008), Construction of confidence limits about effect measures: a general approach.
        """
        import pandas as pd

        (first, reference), *others = self.reports.items()
        return pd.DataFrame(
            [row for name, report in others for row in report_differences(name, report, first, reference)],
            columns=DIFFERENCE_COLUMNS,
        )

    def to_dict(self) -> dict[str, Any]:
        """The comparison as plain JSON values, with its format."""
        reports = [{"name": name, **report.to_dict()} for name, report in self.reports.items()]
        return {"format": COMPARISON_FORMAT, "reports": reports}

    def save(self, path: str | Path) -> Path:
        """Write the comparison as JSON, each report whole.

        Args:
            path: The file to write.

        Returns:
            The path.
        """
        return write_result(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> "ReportComparison":
        """The comparison that `save` wrote.

        Args:
            path: The JSON file.

        Returns:
            The comparison.

        Raises:
            UserError: Where the file is not a saved comparison.
        """
        content = read_result(path, COMPARISON_FORMAT, "comparison")
        reports = {report["name"]: RecoverabilityReport.from_dict(report) for report in content["reports"]}
        return cls(reports, tuple(_warnings(reports)))

    def to_html(self, path: str | Path) -> Path:
        """Write the comparison as one page that opens without a network.

        Args:
            path: The file to write.

        Returns:
            The path.
        """
        from infodil.plots import figure_svg

        every, together = list(self.reports.items()), self._together()
        differences = self.differences().to_dict("records")
        page = render_page(
            heading=f"Recoverability of past tokens: {len(every)} reports",
            lead=" · ".join(_title(name, report) for name, report in every),
            facts={name: f"precision {_setting('precision')(report)[1]}" for name, report in every},
            provenance={
                f"{name}: {part}": getattr(report, part)
                for name, report in every
                for part in ("model", "corpus", "config", "provenance")
            },
            report=together,
            findings=difference_findings(differences),
            differences=differences,
            sentences=[
                *meaning_sentences(self._settings()),
                *upper_sentences(together["rows"], all(report.corpus.get("independent") for _, report in every)),
                *control_sentences(together),
            ],
            figure=figure_svg(self.plot().figure) if any(row["chosen"] for row in together["rows"]) else b"",
        )
        return write_whole(path, page)


def compare(reports: Mapping[str, RecoverabilityReport]) -> ReportComparison:
    """Reports side by side, with a warning for every setting that makes numbers differ without the models differing.

    Args:
        reports: The reports under the names that tables and figures give them.

    Returns:
        The comparison.

    Raises:
        UserError: Where there is no report, or one of the values is not a report.
    """
    check_not_empty("reports", reports, "pass at least one report, such as reports={'gpt2': report}")
    for name, report in reports.items():
        if not isinstance(report, RecoverabilityReport):
            raise UserError(
                f"`reports` must hold reports, got {type(report).__name__} under {name!r}: read it with load_report."
            )
    return ReportComparison(dict(reports), tuple(_warnings(reports)))


def _warnings(reports: Mapping[str, RecoverabilityReport]) -> list[str]:
    """A sentence for each setting that differs between the reports."""
    comparisons = [
        (_lags, "measured different lags", "sums over the lags are not comparable"),
        (_corpus, "are of different texts", "a difference in bits may be one between the texts"),
        (_setting("tokenizer"), "split the text in different ways", "neither bits nor lags are of the same tokens"),
        (
            _setting("vocabulary"),
            "have vocabularies of different sizes",
            "neither bits nor lags are of the same tokens",
        ),
        (_setting("precision"), "read the states at different precisions", "a coarser state holds fewer bits"),
        (
            _setting("confidence"),
            "have intervals of different confidence",
            "an interval of higher confidence is wider",
        ),
    ]
    warnings = []
    for setting, difference, consequence in comparisons:
        stated = {name: setting(report) for name, report in reports.items()}
        if len({key for key, _ in stated.values() if key is not None}) > 1:
            values = "; ".join(f"{name}: {text}" for name, (_, text) in stated.items())
            warnings.append(f"The reports {difference} ({values}): {consequence}.")
    return warnings


# Each of the following gives what is compared, None where nothing is stated, and its text.


def _lags(report: RecoverabilityReport) -> tuple[Any, str]:
    lags = report.lags
    if len(lags) <= 6:
        return lags, ", ".join(map(str, lags)) or "none"
    return lags, f"{len(lags)} lags, {lags[0]} to {lags[-1]}"


def _corpus(report: RecoverabilityReport) -> tuple[Any, str]:
    name, digest = _spell(report.corpus.get("name", NOT_STATED)), report.corpus.get("sha256")
    return digest or name, f"{name}, sha256 {str(digest)[:12]}" if digest else name


def _setting(name: str) -> Callable[[RecoverabilityReport], tuple[Any, str]]:
    """The value of a setting, wherever a report states it."""

    def value_of(report: RecoverabilityReport) -> tuple[Any, str]:
        places = (report.config, report.model, report.corpus)
        value = next((place[name] for place in places if place.get(name) is not None), None)
        return (None, NOT_STATED) if value is None else (_spell(value), _spell(value))

    return value_of


def _spell(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True)


def _title(name: str, report: RecoverabilityReport) -> str:
    model, corpus = report.model.get("name", "a model"), report.corpus.get("name", "a corpus")
    return f"{name} ({model} on {corpus})"
