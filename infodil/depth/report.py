"""The report of messages over depth: printed, tabled, drawn, saved, and as a page."""

__all__ = ["DepthReport", "provenance"]

import importlib.metadata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from infodil.checks import UserError, check_one_of, write_whole
from infodil.report import plain_json, read_result, write_result

if TYPE_CHECKING:
    import pandas as pd

    from infodil.plots import Panels

DEPTH_FORMAT = "infodil depth report"

DEPTH_COLUMNS = (
    *("rule", "depth", "written", "read", "value_bits", "low_bits", "high_bits", "upper_bits", "norm_share", "r2"),
    *("r2_low", "r2_high", "entropy_bits", "retained", "retained_low", "retained_high", "random_bits", "random_r2"),
    *("random_retained", "linear_bits", "decoder_bits", "oracle_bits", "dilution_bits", "gaussian_bits"),
    *("budget_bits", "selected_probe", "verdict", "samples"),
)
"""Columns of a table, in this order; those that no row has are left out."""


@dataclass(frozen=True, eq=False)
class DepthReport:
    """What a stream over depth still holds of the message of each layer.

    Attributes:
        kind: `"sweep"` on synthetic messages, or `"survival"` in a model.
        rows: One mapping a pair of a written message and a depth at which it is read.
        config: The arguments of the measurement.
        model: Name of the model or of the rules.
        corpus: What is known of the corpus; empty for a sweep.
        warnings: Sentences about what the figures do not hold.
        provenance: Versions and seed.
    """

    kind: str
    rows: list[dict[str, Any]]
    config: dict[str, Any]
    model: str
    corpus: dict[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    provenance: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_one_of("kind", self.kind, ("sweep", "survival"))
        object.__setattr__(self, "rows", plain_json(self.rows))

    def __str__(self) -> str:
        lines = [self.heading, ""]
        table = self.rows if self.kind == "sweep" else self.last_rows
        lines += grid([text_row(row) for row in table])
        return "\n".join([*lines, "", *self.sentences])

    @property
    def heading(self) -> str:
        """One line that names the measurement."""
        place = f" on {self.corpus['name']}" if self.corpus.get("name") else ""
        return f"Messages over depth: {self.model}{place}"

    @property
    def last_rows(self) -> list[dict[str, Any]]:
        """The rows of every message at the deepest stream that holds it."""
        deepest = max(row["read"] for row in self.rows)
        return [row for row in self.rows if row["read"] == deepest]

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences about the numbers."""
        words = [
            f"Bits are lower bounds at precision {self.config.get('precision')}, with pointwise intervals at "
            f"{self.config.get('confidence', 0.95):.0%} confidence; r2 is the share of a message's variance that a "
            "linear map of the stream predicts on held-out rows.",
        ]
        if self.kind == "sweep":
            words.append(
                "Dilution is not loss: a message is diluted where the superposition decoder, which knows all codes, "
                "reads half of it or more and the probe does not, and lost where the genie's bound is below a half."
            )
        else:
            words.append(
                "retained is the coefficient of a message in the stream: 1 as written, 0 erased by later writes, "
                "whatever else was added; random is the model with random weights."
            )
        return (*words, *self.warnings)

    def to_frame(self) -> "pd.DataFrame":
        """Tidy table, one row a pair of a written message and a depth at which it is read."""
        import pandas as pd

        names = list(dict.fromkeys(name for row in self.rows for name in row))
        known = [name for name in DEPTH_COLUMNS if name in names]
        return pd.DataFrame(self.rows)[[*known, *(name for name in names if name not in known)]]

    def plot(self, quantity: str = "value_bits") -> "Panels":
        """Curves over depth for a sweep, a map of messages by depth for a model.

        Args:
            quantity: The column to draw.

        Returns:
            The axes; `axes.figure` is the figure.

        Raises:
            UserError: The report has no such column.
        """
        from infodil.plots import depth_curves, depth_map

        frame = self.to_frame()
        check_one_of("quantity", quantity, [name for name in frame.columns if frame[name].dtype.kind == "f"])
        return (depth_curves if self.kind == "sweep" else depth_map)(frame, quantity)

    def _repr_html_(self) -> str:
        return f"<p>{self.heading}</p>{self.to_frame().to_html(index=False)}"

    def save(self, path: str | Path) -> Path:
        """Write the report as JSON.

        Args:
            path: File to write.

        Returns:
            The path of the file.
        """
        names = ("kind", "rows", "config", "model", "corpus", "warnings", "provenance")
        return write_result(path, plain_json({"format": DEPTH_FORMAT, **{name: getattr(self, name) for name in names}}))

    @classmethod
    def load(cls, path: str | Path) -> "DepthReport":
        """Read a report that `save` wrote.

        Args:
            path: File to read.

        Returns:
            The report.

        Raises:
            UserError: There is no such file, or it is no saved depth report.
        """
        content = read_result(path, DEPTH_FORMAT, "depth DepthReport")
        try:
            names = ("kind", "rows", "config", "model", "corpus", "provenance")
            return cls(**{name: content[name] for name in names}, warnings=tuple(content["warnings"]))
        except (KeyError, TypeError) as error:
            raise UserError(
                f"`path` {str(path)!r} is a damaged depth report ({error}): pass a file that DepthReport.save wrote."
            ) from None

    def to_html(self, path: str | Path) -> Path:
        """Write the report as one page that opens without a network.

        Args:
            path: File to write.

        Returns:
            The path of the file.
        """
        from infodil.plots import figure_svg
        from infodil.report import table_page

        facts = {
            name: self.config.get(name) for name in ("precision", "confidence", "max_tokens", "dim", "types", "seed")
        }
        page = table_page(
            heading="Messages over depth",
            lead=self.heading.partition(": ")[2],
            facts=facts | {"infodil": self.provenance.get("versions", {}).get("infodil")},
            rows=[text_row(row) for row in self.rows],
            notes=self.sentences,
            figure=figure_svg(self.plot().figure),
        )
        return write_whole(path, page)


def provenance(seed: int) -> dict[str, Any]:
    """Versions of the packages that compute, and the seed."""
    return {
        "seed": seed,
        "versions": {name: importlib.metadata.version(name) for name in ("infodil", "torch", "numpy")},
    }


def text_row(row: dict[str, Any]) -> dict[str, str]:
    """The cells of a row of the printed table."""
    cells = {name: str(row[name]) for name in ("rule", "depth", "written", "read") if name in row}
    interval = f"[{number(row['low_bits'])}, {number(row['high_bits'])}]"
    cells["bits"] = f"{number(row['value_bits'])} {interval}"
    names = {"upper_bits": "upper", "linear_bits": "linear", "decoder_bits": "decoder", "entropy_bits": "entropy"}
    names |= {"random_bits": "random", "r2": "r2", "norm_share": "norm share", "retained": "retained"}
    names |= {"verdict": "verdict"}
    for name, title in names.items():
        if name in row:
            cells[title] = row[name] if isinstance(row[name], str) else number(row[name])
    return cells


def number(value: float | None) -> str:
    """A number of the printed table; a dash where there is none."""
    return "-" if value is None else f"{value:.2f}"


def grid(rows: Iterable[dict[str, str]]) -> list[str]:
    """Rows of text as lines of aligned columns."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    widths = {name: max(len(name), *(len(row.get(name, "")) for row in rows)) for name in names}
    lines = ["  ".join(name.rjust(widths[name]) for name in names)]
    lines.append("-" * len(lines[0]))
    return lines + ["  ".join(row.get(name, "").rjust(widths[name]) for name in names) for row in rows]
