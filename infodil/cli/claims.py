"""`infodil claims` and `infodil figures`: the claims of the paper beside what was measured, and its figures."""

__all__ = ["add_claims", "add_figures"]

import argparse
import csv
import json
import runpy
import shutil
import sys
import textwrap
from importlib.resources import files
from pathlib import Path

from infodil.checks import UserError, check_one_of
from infodil.cli.arguments import check_folder
from infodil.cli.commands import add_command

CHECKOUT = Path(__file__).resolve().parents[2] / "paper_figures"
"""Tables and scripts of the figures, where infodil runs from its repository."""

CLAIMS = "claims.csv"
DAGGER = "†"


def add_claims(commands: argparse._SubParsersAction) -> None:
    """`infodil claims`."""
    words = "each claim of the paper that infodil grew out of, beside what was measured, with a verdict"
    command = add_command(commands, "claims", words)
    command.add_argument("--json", action="store_true", help="print every column as JSON in place of the table")
    command.set_defaults(run=run_claims)


def run_claims(options: argparse.Namespace) -> None:
    """Print."""
    shipped = Path(str(files("infodil"))) / CLAIMS
    place = shipped if shipped.is_file() else CHECKOUT / CLAIMS
    with place.open(encoding="utf-8", newline="") as file:
        header, *lines = csv.reader(file)
    rows = [dict(zip(header, line, strict=True)) for line in lines]
    if options.json:
        print(json.dumps(rows))
        return
    width = min(100, max(80, shutil.get_terminal_size((100, 24)).columns))
    for row in rows:
        mark = f" {DAGGER}" if row["stale"] else ""
        print(textwrap.fill(row["paper_says"], width))
        for line in (
            f"{row['verdict']}{mark}: {row['result']}",
            f"{row['measured']} ({row['on']})",
            f"would change it: {row['would_change']}",
            row["command"],
        ):
            print(textwrap.fill(line, width, initial_indent="  ", subsequent_indent="    "))
        print()
    print("Intervals are at 95% confidence. Commands run in a checkout of the repository.")
    if any(row["stale"] for row in rows):
        print(f"{DAGGER} the code has changed since the table was made, or what made it was not recorded.")


def add_figures(commands: argparse._SubParsersAction) -> None:
    """`infodil figures`."""
    words = "the figures of the paper, redrawn from the committed tables; needs a checkout of the repository"
    command = add_command(commands, "figures", words)
    command.add_argument("names", nargs="*", metavar="NAME", help="such as fig1_demo_states, or fig1 (default all)")
    command.add_argument(
        "--out", default="figures", metavar="FOLDER", help="folder for a PDF and a PNG a figure (default %(default)s)"
    )
    command.set_defaults(run=run_figures)


def run_figures(options: argparse.Namespace) -> None:
    """Draw, write, print."""
    check_folder(options.out, needed=True)
    known = {path.stem: path for path in sorted(CHECKOUT.glob("fig*.py"), key=number)}
    if not known:
        raise UserError("`infodil figures` reads tables of the repository: clone it, and run `pip install -e .` there.")
    by_number = {name.partition("_")[0]: name for name in known}
    names = [by_number.get(name, name) for name in options.names] or list(known)
    for name in names:
        check_one_of("names", name, known)
    sys.path.insert(0, str(CHECKOUT))  # the scripts share the module `style`
    try:
        for name in names:
            runpy.run_path(str(known[name]))["draw"]().save(Path(options.out))
            print(f"wrote {Path(options.out) / name}.pdf and .png", flush=True)
    finally:
        sys.path.remove(str(CHECKOUT))


def number(path: Path) -> int:
    """The number of a figure from the name of its script."""
    return int(path.stem.partition("_")[0].removeprefix("fig"))
