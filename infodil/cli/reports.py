"""`infodil compare` and `infodil page`: saved reports side by side, and a saved report as a page."""

__all__ = ["add_compare", "add_page"]

import argparse

from infodil.cli.arguments import check_folder
from infodil.cli.commands import add_command, add_output


def add_compare(commands: argparse._SubParsersAction) -> None:
    """`infodil compare`."""
    command = add_command(commands, "compare", "differences between two or more saved reports, with intervals")
    command.add_argument("reports", nargs="+", metavar="REPORT", help="report.json, or the folder that it is in")
    add_output(command, "comparison", "comparison.html, .json, .csv and .png, and differences.csv")
    command.set_defaults(run=run_compare)


def run_compare(options: argparse.Namespace) -> None:
    """Load, write, print."""
    check_folder(options.out)
    from infodil.cli.files import write_comparison

    write_comparison(options)


def add_page(commands: argparse._SubParsersAction) -> None:
    """`infodil page`."""
    command = add_command(commands, "page", "the page, the figure and the table of a saved report")
    command.add_argument("report", metavar="REPORT", help="report.json, or the folder that it is in")
    add_output(command, "page", "report.html, report.json and recoverability.png")
    command.set_defaults(run=run_page)


def run_page(options: argparse.Namespace) -> None:
    """Load, write, print."""
    check_folder(options.out)
    from infodil.cli.files import read_report, write_report

    write_report(options, read_report(options.report))
