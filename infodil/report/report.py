"""The answer of a recoverability measurement, in bits: rows, a summary, and where they come from."""

import html
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from operator import itemgetter
from pathlib import Path
from typing import Any

from infodil.checks import UserError, check_one_of, write_whole
from infodil.estimate import Estimate
from infodil.report.page import report_page
from infodil.report.table import report_table

__all__ = ["RecoverabilityReport", "load_report", "COLUMNS", "SUMMARY_COLUMNS", "PROBES"]

FORMAT = "infodil.recoverability"
SCHEMA_VERSION = 1

COLUMNS = (
    "site lag probe value_bits low_bits high_bits kind top1 top5 ceiling_bits ceiling_low_bits ceiling_high_bits "
    "beyond_context_bits beyond_context_low_bits beyond_context_high_bits usable_bits "
    "upper_bits upper_low_bits upper_high_bits upper_by upper_assumes width_bits "
    "genie_bits genie_low_bits genie_high_bits "
    "shuffled_bits shuffled_low_bits shuffled_high_bits selectivity_bits "
    "random_weights_bits random_weights_low_bits random_weights_high_bits "
    "extrapolated_bits online_code_bits compression_bits selected_probe samples train_samples chosen"
).split()
"""The columns of a row, in order; a report may have more, which come after these."""

SUMMARY_COLUMNS = (
    "site dim lags recoverable_bits recoverable_low_bits recoverable_high_bits share_of_ceiling share_low share_high "
    "half_life_tokens half_life_low_tokens half_life_high_tokens "
    "beyond_context_bits beyond_context_low_bits beyond_context_high_bits "
    "budget_bits budget_low_bits budget_high_bits"
).split()
"""The columns of the summary; the sums run over the measured lags and are not a joint quantity."""

PROBES = ("prior", "gaussian", "linear", "mlp", "neighbours", "trace", "pursuit", "exact")
"""The readers, weakest first; a reader not named here comes last."""


@dataclass(frozen=True, repr=False)
class RecoverabilityReport:
    """How many bits about past tokens the states of a model give to each probe.

    Whatever enters is made plain JSON, a number that is not finite None: so a report equals its saved self.

    Attributes:
        rows: One per site, lag and probe, with the columns of `COLUMNS`.
        summary: One per site, with the columns of `SUMMARY_COLUMNS`.
        model: What was measured.
        corpus: On which text.
        config: With which settings; `precision` and `confidence` are named in every print.
        provenance: Versions, device, date.
        warnings: Sentences the reader of the figures must know.
        passage: A short text with the bits recovered at each of its positions, for the text view of the page.
        controls: What was measured beside the rows, under its name; `learning` is one curve per site and lag. None
            where nothing was, as in reports of older versions.
    """

    rows: tuple[dict, ...]
    summary: tuple[dict, ...]
    model: dict
    corpus: dict
    config: dict
    provenance: dict
    warnings: tuple[str, ...] = ()
    passage: dict | None = None
    controls: dict | None = None

    def __post_init__(self) -> None:
        sites = [row["site"] for row in self.summary]
        rows = _in_order([_columns_first(plain_json(row), COLUMNS) for row in self.rows], sites)
        object.__setattr__(self, "rows", tuple(rows))
        object.__setattr__(self, "summary", tuple(_columns_first(plain_json(s), SUMMARY_COLUMNS) for s in self.summary))
        object.__setattr__(self, "warnings", tuple(str(sentence) for sentence in self.warnings))
        for name in ("model", "corpus", "config", "provenance", "passage", "controls"):
            object.__setattr__(self, name, plain_json(getattr(self, name)))

    @property
    def sites(self) -> tuple[str, ...]:
        """The sites, in the order of the model."""
        return tuple(dict.fromkeys(row["site"] for row in self.rows))

    @property
    def lags(self) -> tuple[int, ...]:
        """The lags measured, shortest first."""
        return tuple(sorted({row["lag"] for row in self.rows}))

    @property
    def probes(self) -> tuple[str, ...]:
        """The probes, weakest first."""
        return tuple(dict.fromkeys(row["probe"] for row in sorted(self.rows, key=lambda row: _rung(row["probe"]))))

    def __repr__(self) -> str:
        model, corpus = self.model.get("name", "?"), self.corpus.get("name", "?")
        counts = f"{len(self.sites)} sites x {len(self.lags)} lags x {len(self.probes)} probes"
        return f"RecoverabilityReport(model={str(model)[:30]!r}, corpus={str(corpus)[:30]!r}, {counts})"

    def __str__(self) -> str:
        return report_table(self.to_dict())

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"

    def to_dict(self) -> dict[str, Any]:
        """The report as plain JSON values, with its format and schema version."""
        content = {field.name: getattr(self, field.name) for field in fields(self)}
        for name in ("rows", "summary", "warnings"):
            content[name] = list(content[name])
        return {"format": FORMAT, "schema_version": SCHEMA_VERSION, **content}

    def to_frame(self) -> Any:
        """A tidy pandas frame, one row per site, lag and probe."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=_all_columns(self.rows, COLUMNS))

    def estimate(self, site: str, lag: int, probe: str | None = None) -> Estimate:
        """The bits about the token `lag` steps back that `probe` reads at `site`.

        Args:
            site: One of `report.sites`.
            lag: One of `report.lags`.
            probe: One of `report.probes`; by default the one chosen on the calibration split.
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
                f"`probe` must be named at {site!r}, lag {lag}, where none was chosen: pass probe='linear'."
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

    def plot(
        self,
        ax: Any | None = None,
        probe: str | None = None,
        quantity: str = "value",
    ) -> Any:
        """Draw bits against lag, one curve a site; returns the matplotlib axes.

        Args:
            ax: Axes to draw into; by default a new figure's.
            probe: The probe to draw; by default the one chosen at each site and lag.
            quantity: `"value"`, the bits themselves, or `"beyond_context"`, those the context does not give away.
        """
        from infodil.plots import recoverability_curves

        check_one_of("quantity", quantity, ["value", "beyond_context"])
        if probe is not None:
            check_one_of("probe", probe, self.probes)
        frame = self.to_frame()
        frame = frame[frame["chosen"].eq(True) if probe is None else frame["probe"] == probe]
        return recoverability_curves(frame, ax=ax, quantity=f"{quantity}_bits")

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON; the same report gives the same bytes."""
        content = json.dumps(self.to_dict(), sort_keys=True, indent=1, allow_nan=False)
        return write_whole(path, content + "\n")

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that opens without a network."""
        from infodil.plots import figure_svg

        figure = figure_svg(self.plot().figure) if any(row["chosen"] for row in self.rows) else b""
        return write_whole(path, report_page(self.to_dict(), figure))


def load_report(path: str | Path) -> RecoverabilityReport:
    """Read a report that `RecoverabilityReport.save` wrote.

    Args:
        path: The JSON file.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8")
        content = json.loads(text)
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UserError(
            f"`path` must be the file of a saved report, got {str(path)!r}, where there is no file: check the spelling."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"`path` must be a saved report, got {str(path)!r}, which is not JSON ({error}): "
            f"pass a file that report.save wrote."
        ) from None
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise UserError(
            f"`path` must be a saved report, got {str(path)!r}, which is JSON but not a recoverability report: "
            f"pass a file that report.save wrote."
        )
    version = content.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise UserError(
            f"`path` must be a report of schema version {SCHEMA_VERSION} or older, got {str(path)!r} "
            f"of version {version}: install a newer infodil."
        )
    missing = _damage(content)
    if missing:
        raise UserError(
            f"`path` must be a whole report, got {str(path)!r}, which is damaged ({missing}): measure again."
        )
    named = {field.name: content[field.name] for field in fields(RecoverabilityReport) if field.name in content}
    return RecoverabilityReport(**{name: tuple(v) if isinstance(v, list) else v for name, v in named.items()})


def _damage(content: dict) -> str:
    """What a report cannot do without and `content` lacks, in a few words."""
    shapes = {"rows": list, "summary": list, "warnings": list, "passage": dict | None, "controls": dict | None}
    for field in fields(RecoverabilityReport):
        if field.name == "controls" and field.name not in content:
            continue  # older than controls
        if field.name not in content or not isinstance(content[field.name], shapes.get(field.name, dict)):
            return f"no {field.name}"
    needed = {"rows": {"site": str, "lag": int, "probe": str}, "summary": {"site": str}}
    for name, keys in needed.items():
        for row in content[name]:
            if not isinstance(row, dict) or not all(isinstance(row.get(key), kind) for key, kind in keys.items()):
                return f"a row of {name} without {' or '.join(keys)}"
    return ""


def plain_json(value: Any) -> Any:
    """`value` as JSON has it: numpy scalars as Python's, tuples as lists, numbers that are not finite as None."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        # Sorted as they are saved: a report and its loaded self print and make the same page.
        return {
            key: plain_json(inner) for key, inner in sorted(((str(k), v) for k, v in value.items()), key=itemgetter(0))
        }
    if hasattr(value, "tolist"):  # numpy and torch, without importing either
        return plain_json(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain_json(inner) for inner in value]
    return str(value)


def _columns_first(row: dict, columns: Iterable[str]) -> dict:
    return {**{name: row.get(name) for name in columns}, **{name: row[name] for name in sorted(row)}}


def _all_columns(rows: Iterable[dict], columns: Iterable[str]) -> list[str]:
    return list(dict.fromkeys([*columns, *sorted({name for row in rows for name in row})]))


def _rung(probe: str) -> int:
    return PROBES.index(probe) if probe in PROBES else len(PROBES)


def _in_order(rows: list[dict], sites: list[str]) -> list[dict]:
    """By the model's order of sites, then lag, then rung; sorting is stable, so the rest keeps its order."""
    order = {site: place for place, site in enumerate(dict.fromkeys([*sites, *(row["site"] for row in rows)]))}
    return sorted(rows, key=lambda row: (order[row["site"]], row["lag"], _rung(row["probe"])))
