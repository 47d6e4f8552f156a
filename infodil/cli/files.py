"""What commands read from their options and write to their folder."""

__all__ = ["check_folder", "read_lags", "read_options", "write_comparison", "write_report"]

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from infodil.checks import UserError, write_whole
from infodil.plots import save_figure
from infodil.report import RecoverabilityReport, compare, load_report


def check_folder(folder: str) -> None:
    """Refuse a folder that cannot be written before hours are spent."""
    path = Path(folder).absolute()
    there = next(part for part in (path, *path.parents) if part.exists())
    if not there.is_dir():
        what = "is a file" if there == path else f"lies under {there.name!r}, which is a file"
        raise UserError(f"`--out` {folder!r} {what}: pass a folder.")
    if not os.access(there, os.W_OK):
        raise UserError(f"`--out` {folder!r} cannot be written: pass a folder of your own.")


def read_lags(text: str) -> list[int]:
    """Lags from text.

    Example:
        >>> read_lags("0-3,8")
        [0, 1, 2, 3, 8]
    """
    lags: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise UserError(f"`--lags` must be whole numbers and ranges, got {text!r}: pass such as 0-16 or 0,1,2,4.")
        lags.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    return lags


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """Options of a model, each value as JSON reads it, else as text.

    Example:
        >>> read_options(["alpha=0.5", "alphas=[0.5, 0.1]"])
        {'alpha': 0.5, 'alphas': [0.5, 0.1]}
    """
    options: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"`--option` must be NAME=VALUE, got {item!r}: pass such as alpha=0.5.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def write_report(report: RecoverabilityReport, folder: str) -> None:
    """Print the table; write `report.json`, `report.html` and `recoverability.png`."""
    print(report)
    out = Path(folder)
    written = [
        report.save(out / "report.json"),
        report.to_html(out / "report.html"),
        save_figure(report.plot().figure, out / "recoverability.png"),
    ]
    print("\nwrote " + ", ".join(str(path) for path in written))


def write_comparison(paths: Sequence[str], folder: str) -> None:
    """Print the table; write `comparison.html`, `comparison.png` and `comparison.csv`."""
    names = [Path(path).stem if Path(path).stem != "report" else Path(path).resolve().parent.name for path in paths]
    names = [name if names.count(name) == 1 else path for name, path in zip(names, paths, strict=True)]
    compared = compare({name: load_report(path) for name, path in zip(names, paths, strict=True)})
    print(compared)
    out = Path(folder)
    written = [
        compared.to_html(out / "comparison.html"),
        save_figure(compared.plot().figure, out / "comparison.png"),
        write_whole(out / "comparison.csv", compared.to_frame().to_csv(index=False)),
    ]
    print("\nwrote " + ", ".join(str(path) for path in written))
