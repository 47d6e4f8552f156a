"""The result of a recoverability measurement, in bits: rows, a summary, and their origin."""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infodil.checks import UserError, check_one_of, write_whole
from infodil.estimate import Estimate
from infodil.report.drawing import draw_kinds, draw_quantity
from infodil.report.findings import findings
from infodil.report.page import report_lead, report_page, summary_html
from infodil.report.saved import plain_json, read_result, write_result
from infodil.report.sentences import report_sentences
from infodil.report.table import report_table

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas

    from infodil.plots import Panels

__all__ = ["RecoverabilityReport", "load_report", "COLUMNS", "SUMMARY_COLUMNS"]

ENDS = ("", "_low", "_high")
"""What the columns of a value and its interval have before their unit."""

REPORT_FORMAT = "infodil.recoverability"
"""What the file of a saved report names itself."""

COLUMNS = (
    "site kind_of_site lag probe value_bits low_bits high_bits kind top1 top5 "
    "ceiling_bits ceiling_low_bits ceiling_high_bits "
    "beyond_context_bits beyond_context_low_bits beyond_context_high_bits context_bits context_model usable_bits "
    "upper_bits upper_low_bits upper_high_bits upper_by upper_assumes width_bits "
    "genie_bits genie_low_bits genie_high_bits "
    "shuffled_bits shuffled_low_bits shuffled_high_bits selectivity_bits "
    "random_weights_bits random_weights_low_bits random_weights_high_bits "
    "extrapolated_bits online_code_bits compression_bits selected_probe samples train_samples chosen dim sketch_dims "
    "stored_bits effective_rank effective_rank_of bits_per_number bits_per_stored_bit"
).split()
"""Columns of a row, in order; further columns come after these."""

SUMMARY_COLUMNS = (
    "site kind_of_site dim sketch_dims lags recoverable_bits recoverable_low_bits recoverable_high_bits "
    "share_of_ceiling share_low share_high "
    "half_life_tokens half_life_low_tokens half_life_high_tokens "
    "beyond_context_bits beyond_context_low_bits beyond_context_high_bits "
    "stored_bits effective_rank effective_rank_of bits_per_number bits_per_stored_bit "
    "whole_past_bits whole_past_low_bits whole_past_high_bits whole_past_kind whole_past_samples "
    "budget_bits budget_low_bits budget_high_bits"
).split()
"""Columns of the summary; its sums run over the measured lags and are not a joint quantity, the whole past is one."""


@dataclass(frozen=True, repr=False)
class RecoverabilityReport:
    """The bits about past tokens that each probe recovers from the states of a model.

    Every value is held as plain JSON, with None for a number that is not finite; a report therefore equals its saved
    copy, and equal reports have equal hashes.

    Attributes:
        rows: One row for each site, lag and probe, with the columns of `COLUMNS`.
        summary: One row for each site, with the columns of `SUMMARY_COLUMNS`.
        model: The name, sites and size of the model.
        corpus: The name, size and checksum of the text.
        config: The settings of the measurement; every print names `precision` and `confidence`.
        provenance: Versions, device and seed.
        warnings: Sentences that qualify the numbers.
        text_view: A short text with the bits recovered at each of its positions, which the page shows.
        controls: Control measurements by name; `learning` has one learning curve for each site and lag. None where
            no control was measured.
        probe_order: Names of the probes, weakest first; where it is empty, the order in which rows first name them.
        kind_rows: Rows split by kind of the hidden token (`by=`), with the kind in `token_kind`; those of a site, lag
            and probe average to the row, weighted by `samples`.
    """

    rows: tuple[dict, ...]
    summary: tuple[dict, ...]
    model: dict
    corpus: dict
    config: dict
    provenance: dict
    warnings: tuple[str, ...] = ()
    text_view: dict | None = None
    controls: dict | None = None
    probe_order: tuple[str, ...] = ()
    kind_rows: tuple[dict, ...] = ()

    def __post_init__(self) -> None:
        sites = [row["site"] for row in self.summary]
        rows = [_columns_first(plain_json(row), COLUMNS) for row in self.rows]
        order = tuple(dict.fromkeys([*self.probe_order, *(row["probe"] for row in rows)]))
        object.__setattr__(self, "probe_order", order)
        rows = _in_order(rows, sites, order)
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "summary", tuple(_columns_first(plain_json(s), SUMMARY_COLUMNS) for s in self.summary))
        object.__setattr__(self, "kind_rows", tuple(_in_order(list(map(plain_json, self.kind_rows)), sites, order)))
        object.__setattr__(self, "warnings", tuple(str(sentence) for sentence in self.warnings))
        for name in ("model", "corpus", "config", "provenance", "text_view", "controls"):
            object.__setattr__(self, name, plain_json(getattr(self, name)))

    def __hash__(self) -> int:
        return hash(json.dumps(self.to_dict(), sort_keys=True))

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, in the order of the model."""
        return tuple(dict.fromkeys(row["site"] for row in self.rows))

    @property
    def lags(self) -> tuple[int, ...]:
        """The measured lags, shortest first."""
        return tuple(sorted({row["lag"] for row in self.rows}))

    @property
    def probes(self) -> tuple[str, ...]:
        """The probes, weakest first."""
        measured = {row["probe"] for row in self.rows}
        return tuple(probe for probe in self.probe_order if probe in measured)

    def __repr__(self) -> str:
        model, corpus = self.model.get("name", "?"), self.corpus.get("name", "?")
        counts = f"{len(self.sites)} sites x {len(self.lags)} lags x {len(self.probes)} probes"
        return f"RecoverabilityReport(model={str(model)[:30]!r}, corpus={str(corpus)[:30]!r}, {counts})"

    def __str__(self) -> str:
        return report_table(self.to_dict())

    def _repr_html_(self) -> str:
        content = self.to_dict()
        return summary_html(
            lead=report_lead(content), summary=self.summary, rows=self.rows, findings=findings(content),
            notes=[*report_sentences(content), *(f"Warning: {text}" for text in self.warnings)],
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, with its format."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("rows", "summary", "warnings", "probe_order", "kind_rows"):
            content[name] = list(content[name])
        return {"format": REPORT_FORMAT, **content}

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a tidy pandas frame, one row for each site, lag and probe.

        Where rows were split by kind of the hidden token, the split rows follow, and the column `token_kind` has the
        kind, which is `all` in the whole rows.
        """
        import pandas as pd

        if not self.kind_rows:
            return pd.DataFrame(list(self.rows), columns=_all_columns(self.rows, COLUMNS))
        rows = [*({**row, "token_kind": "all"} for row in self.rows), *self.kind_rows]
        return pd.DataFrame(rows, columns=_all_columns(rows, [*COLUMNS[:3], "token_kind", *COLUMNS[3:]]))

    def summary_frame(self) -> "pandas.DataFrame":
        """The summary as a pandas frame, one row for each site."""
        import pandas as pd

        return pd.DataFrame(list(self.summary), columns=_all_columns(self.summary, SUMMARY_COLUMNS))

    def estimate(self, site: str, lag: int, probe: str | None = None) -> Estimate:
        """The bits about the token `lag` steps back that a probe recovers at a site.

        Args:
            site: One of `report.sites`.
            lag: One of `report.lags`.
            probe: One of `report.probes`; by default the one selected on the calibration split.

        Returns:
            The bits with their interval and the side on which they lie.

        Raises:
            UserError: Where the site, the lag or the probe was not measured.
        """
        check_one_of("site", site, self.sites)
        rows = [row for row in self.rows if row["site"] == site]
        if lag not in {row["lag"] for row in rows}:
            measured = ", ".join(str(known) for known in sorted({row["lag"] for row in rows}))
            raise UserError(f"`lag` must be one that was measured at {site!r} ({measured}), got {lag!r}.")
        rows = [row for row in rows if row["lag"] == lag]
        if probe is not None:
            check_one_of("probe", probe, [row["probe"] for row in rows])
        row = next((r for r in rows if (r["chosen"] if probe is None else r["probe"] == probe)), None)
        if row is None:
            raise UserError(
                f"`probe` must be named at {site!r}, lag {lag}, where none was selected: pass probe='linear'."
            )
        bits = [math.nan if row[name] is None else float(row[name]) for name in ("value_bits", "low_bits", "high_bits")]
        return Estimate(
            *bits,
            confidence=self.config.get("confidence", 0.95),
            kind=row["kind"] or "lower bound",
            samples=row["samples"] or 0,
            method=row["probe"],
            warnings=self.warnings,
        )

    def total(self, site: str) -> Estimate:
        """The bits that the state at a site holds of the tokens at all measured lags together.

        A certified lower bound where the tokens were declared independent, by the chain rule; else an estimate, the sum
        of the bits beyond the better context model.

        Args:
            site: One of `report.sites`.

        Returns:
            The bits with the interval of the sum, and the side on which they lie.

        Raises:
            UserError: Where the site was not measured, or the report was saved by a version without these figures.
        """
        check_one_of("site", site, self.sites)
        row = next(row for row in self.summary if row["site"] == site)
        if row["whole_past_kind"] is None:
            raise UserError("`report` was saved by a version that did not measure the whole past: measure again.")
        bits = [math.nan if row[f"whole_past{end}_bits"] is None else row[f"whole_past{end}_bits"] for end in ENDS]
        certified = row["whole_past_kind"] == "lower bound"
        return Estimate(
            *bits,
            confidence=self.config.get("confidence", 0.95),
            kind=row["whole_past_kind"],
            samples=row["whole_past_samples"],
            method="sum over independent tokens" if certified else "sum of bits beyond context",
            warnings=self.warnings,
        )

    def plot(
        self,
        ax: "matplotlib.axes.Axes | None" = None,
        probe: str | None = None,
        quantity: str = "value",
        *,
        sites: Iterable[str] | None = None,
        lags: Iterable[int] | None = None,
        size: str = "page",
    ) -> "matplotlib.axes.Axes":
        """A quantity against lag as a figure: one curve a site, or a heat map where sites are more than ten.

        Args:
            ax: Axes to draw into; by default those of a new figure, which shows itself in a notebook.
            probe: The probe to draw; by default the one selected at each site and lag.
            quantity: One of `QUANTITIES`: `"value"` draws the bits themselves, `"beyond_context"` those that later
                tokens do not give.
            sites: The sites to draw; by default all.
            lags: The lags to draw; by default all.
            size: The width of a new figure: `"column"` (3.25 in) or `"page"` (5.5 in).

        Returns:
            The axes; `axes.figure` is the figure.

        Raises:
            UserError: Where a probe, site, lag, quantity or size is none that the report has.
        """
        return draw_quantity(self, ax, probe, quantity, sites, lags, size)

    def plot_kinds(
        self,
        quantity: str = "value",
        *,
        probe: str | None = None,
        sites: Iterable[str] | None = None,
        lags: Iterable[int] | None = None,
        size: str = "page",
    ) -> "Panels":
        """A quantity against lag by kind of the hidden token: one panel a site, one curve a kind.

        Args:
            quantity: One of `KIND_QUANTITIES`: `"value"` draws the bits, `"share"` their share of what tokens of the
                kind have, which shows what is forgotten first.
            probe: The probe to draw; by default the one selected at each site and lag.
            sites: The sites to draw; by default all.
            lags: The lags to draw; by default all.
            size: The width of the figure: `"column"` (3.25 in) or `"page"` (5.5 in).

        Returns:
            The axes, one a site; `panels.figure` is the figure.

        Raises:
            UserError: Where the rows were not split, or a name or size is none that the report has.
        """
        return draw_kinds(self, quantity, probe, sites, lags, size)

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON; the same report gives the same bytes.

        Args:
            path: The file to write.

        Returns:
            The path.
        """
        return write_result(path, self.to_dict())

    @classmethod
    def load(cls, path: str | Path) -> "RecoverabilityReport":
        """The report that `save` wrote.

        Args:
            path: The JSON file.

        Returns:
            The report.

        Raises:
            UserError: Where the file is not a saved report, is damaged, or is of a newer version.
        """
        content = read_result(path, REPORT_FORMAT, "recoverability report")
        damage = _damage(content)
        if damage:
            raise UserError(
                f"`path` must be a whole report, got {str(path)!r}, which is damaged ({damage}): measure again."
            )
        return cls.from_dict(content)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "RecoverabilityReport":
        """The report of which `to_dict` gave these values."""
        named = {field.name: content[field.name] for field in fields(cls) if field.name in content}
        return cls(**{name: tuple(value) if isinstance(value, list) else value for name, value in named.items()})

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that opens without a network.

        Args:
            path: The file to write.

        Returns:
            The path.
        """
        from infodil.plots import figure_svg

        figure = figure_svg(self.plot().figure) if any(row["chosen"] for row in self.rows) else b""
        kinds = figure_svg(self.plot_kinds("share").figure) if any(row["chosen"] for row in self.kind_rows) else b""
        return write_whole(path, report_page(self.to_dict(), figure, kinds))


def load_report(path: str | Path) -> RecoverabilityReport:
    """The report that `RecoverabilityReport.save` wrote.

    Args:
        path: The JSON file.

    Returns:
        The report.

    Raises:
        UserError: Where the file is not a saved report, is damaged, or is of a newer version.
    """
    return RecoverabilityReport.load(path)


def _damage(content: dict[str, Any]) -> str:
    """The first thing that a report needs and the content lacks, in a few words; empty where nothing is missing."""
    shapes = {
        "rows": list, "summary": list, "warnings": list, "text_view": dict | None, "controls": dict | None,
        "probe_order": list, "kind_rows": list,
    }  # fmt: skip
    for field in fields(RecoverabilityReport):
        if field.name in ("controls", "probe_order", "kind_rows") and field.name not in content:
            continue  # reports of older versions lack it
        if field.name not in content or not isinstance(content[field.name], shapes.get(field.name, dict)):
            return f"no {field.name}"
    needed = {"rows": {"site": str, "lag": int, "probe": str}, "summary": {"site": str}}
    for name, keys in needed.items():
        for row in content[name]:
            if not isinstance(row, dict) or not all(isinstance(row.get(key), kind) for key, kind in keys.items()):
                return f"a row of {name} without {' or '.join(keys)}"
            wrong = [key for key in row if key.endswith("_bits") and not isinstance(row[key], int | float | None)]
            if wrong:
                return f"a row of {name} whose {wrong[0]} is no number"
    if not all(isinstance(sentence, str) for sentence in content["warnings"]):
        return "warnings that are no sentences"
    return ""


def _columns_first(row: dict, columns: Iterable[str]) -> dict:
    return {**{name: row.get(name) for name in columns}, **{name: row[name] for name in sorted(row)}}


def _all_columns(rows: Iterable[dict], columns: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*columns, *sorted({name for row in rows for name in row})]))


def _in_order(rows: list[dict], sites: list[str], probes: tuple[str, ...]) -> list[dict]:
    """Rows in the model's order of sites, then by lag, then by strength of the probe; ties keep their order."""
    order = {site: place for place, site in enumerate(dict.fromkeys([*sites, *(row["site"] for row in rows)]))}
    return sorted(rows, key=lambda row: (order[row["site"]], row["lag"], probes.index(row["probe"])))
