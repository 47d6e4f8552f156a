"""The results of a command: files are written first and printed after, so that a closed terminal loses nothing."""

__all__ = ["deliver", "read_report", "write_comparison", "write_report"]

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from infodil.checks import UserError, write_whole
from infodil.cli.arguments import NO_FILES
from infodil.plots import save_figure
from infodil.report import RecoverabilityReport, compare, load_report, plain_json

REPORT_FILE = "report.json"


def deliver(options: argparse.Namespace, table: str, content: Any, files: Mapping[str, Callable[[Path], Path]]) -> None:
    """Write the files of a result, then print its table or its JSON.

    Args:
        options: The parsed options, with `out` and `json`.
        table: The result as text.
        content: The result as values that JSON can hold.
        files: A function for each file name, which writes the file.
    """
    folder = Path(options.out)
    written = [] if options.out == NO_FILES else [write(folder / name) for name, write in files.items()]
    if options.json:
        print(json.dumps(plain_json(content), allow_nan=False))
    else:
        print(table)
        if written:
            print("\nwrote " + ", ".join(str(path) for path in written))


def write_report(options: argparse.Namespace, report: RecoverabilityReport, lead: str = "") -> None:
    """Write and print a report.

    Args:
        options: The parsed options, with `out` and `json`.
        report: The report.
        lead: Lines above the table.
    """
    deliver(
        options,
        f"{lead}{report}",
        report.to_dict(),
        {
            REPORT_FILE: report.save,
            "report.html": report.to_html,
            "recoverability.png": lambda path: save_figure(report.plot().figure, path),
        }
        | ({"token_kinds.png": partial(save_kinds, report)} if report.kind_rows else {}),
    )


def save_kinds(report: RecoverabilityReport, path: Path) -> Path:
    """Write the figure of the rows that are split by kind of token."""
    return save_figure(report.plot_kinds("share").figure, path)


def read_report(path: str) -> RecoverabilityReport:
    """A saved report from its file or from the folder that `--out` named.

    Args:
        path: The file or folder.

    Returns:
        The report.

    Raises:
        UserError: Where there is no such file, or it is not a saved report.
    """
    place = Path(path)
    return load_report(place / REPORT_FILE if place.is_dir() else place)


def report_names(paths: Sequence[str]) -> list[str]:
    """A name for each report: its folder or file, or the whole path where two would be called alike."""
    names = []
    for path in map(Path, paths):
        is_folder = path.is_dir() or path.name == REPORT_FILE
        names.append((path if path.is_dir() else path.resolve().parent).resolve().name if is_folder else path.stem)
    return [name if names.count(name) == 1 else path for name, path in zip(names, paths, strict=True)]


def write_comparison(options: argparse.Namespace) -> None:
    """Compare the reports that were typed; write and print the comparison."""
    reports = dict(zip(report_names(options.reports), map(read_report, options.reports), strict=False))
    if len(reports) < 2 or len(set(reports.values())) < len(options.reports):
        raise UserError(
            f"`reports` must be two or more different reports, got {', '.join(options.reports)}: "
            "pass files or folders of different measurements."
        )
    compared = compare(reports)
    deliver(
        options,
        str(compared),
        compared.to_dict(),
        {
            "comparison.json": compared.save,
            "comparison.html": compared.to_html,
            "comparison.png": lambda path: save_figure(compared.plot().figure, path),
            "comparison.csv": lambda path: write_whole(path, compared.to_frame().to_csv(index=False)),
            "differences.csv": lambda path: write_whole(path, compared.differences().to_csv(index=False)),
        },
    )
