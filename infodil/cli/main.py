"""The command line: it is parsed and run; a user's mistake is one sentence and exit status 2."""

__all__ = ["main", "parser"]

import argparse
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from infodil import __version__
from infodil.checks import ProcessLost, UserError
from infodil.cli.claims import add_claims, add_figures
from infodil.cli.commands import Parser, add_command, add_output, add_seed, flags_of, shows_progress
from infodil.cli.depth import add_depth
from infodil.cli.lm import add_lm
from infodil.cli.processing import add_dpi
from infodil.cli.recoverability import add_recoverability
from infodil.cli.reports import add_compare, add_page
from infodil.cli.roles import add_roles

DEBUG = "INFODIL_DEBUG"
"""Variable of the environment under which a fault of infodil itself shows its traceback."""


def main(arguments: Sequence[str] | None = None) -> int:
    """One command, run.

    Args:
        arguments: The words after `infodil`; by default those of this process.

    Returns:
        The exit status: 0 where it succeeded, 2 after a mistake of the user or a fault of the system, 1 after a fault
        of infodil itself, 130 where it was stopped.
    """
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # a terminal of few letters gets a question mark in place of an error
            stream.reconfigure(errors="replace")
    whole = parser()
    options, unknown = whole.parse_known_args(arguments)
    if unknown:
        options.command.error(f"unrecognized arguments: {' '.join(unknown)}")
    with stopped_by_signals():
        return run(options)


def run(options: argparse.Namespace) -> int:
    """The command, with every fault as one sentence."""
    try:
        options.run(options)
        sys.stdout.flush()
    except ProcessLost as error:
        return fail(str(error))
    except UserError as error:
        return fail(flags_of(options.command, str(error))) if is_first_process() else 2
    except BrokenPipeError:  # whoever read the output has seen enough, and the files are written
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        place = f" {error.filename!r}" if error.filename else ""
        return fail(f"the system refused{place}: {error.strerror or error}; free space or pass another place.")
    except KeyboardInterrupt:
        return fail("stopped; nothing was left half written.", status=130)
    except Exception as error:
        if os.environ.get(DEBUG):
            raise
        if isinstance(error, MemoryError) or re.search("out of memory|allocate memory", str(error)):
            return fail("the memory is used up: pass a smaller --max-tokens or --batch-size, or fewer --sites.")
        first = str(error).partition("\n")[0]
        return fail(f"{type(error).__name__}: {first}; this should not happen: {DEBUG}=1 shows where.", status=1)
    return 0


def is_first_process() -> bool:
    """Whether this process speaks for its job: of those that `torchrun` starts the first, whose mistakes are theirs."""
    return os.environ.get("RANK", "0") == "0"


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """A request of the system to end is answered like one of the keyboard."""

    def stop(number: int, frame: object) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    former = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, former)


def fail(message: str, status: int = 2) -> int:
    """One line on standard error, and the exit status."""
    print(f"infodil: {' '.join(message.split())}", file=sys.stderr)
    return status


def parser() -> Parser:
    """The parser of all commands and their options."""
    whole = Parser(
        prog="infodil",
        description="How much of the past a sequence model's state still holds, in bits, with intervals.",
    )
    whole.add_argument("--version", action="version", version=f"infodil {__version__}")
    whole.set_defaults(command=whole)
    add_completion(whole)
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    add_recoverability(commands)
    add_demo(commands)
    add_compare(commands)
    add_page(commands)
    add_dpi(commands)
    add_depth(commands)
    add_lm(commands)
    add_roles(commands)
    add_claims(commands)
    add_figures(commands)
    return whole


def add_completion(whole: Parser) -> None:
    """The option `--print-completion`, which prints the completion script of a shell."""
    import shtab

    shtab.add_argument_to(whole, "--print-completion", help="print the completion script of a shell")


def add_demo(commands: argparse._SubParsersAction) -> None:
    """`infodil demo`."""
    words = "train two small models on the built-in text and compare what six states hold; no network"
    command = add_command(commands, "demo", words)
    add_output(command, "demo", "report.json, report.html and recoverability.png")
    add_seed(command)
    command.set_defaults(run=run_demo)


def run_demo(options: argparse.Namespace) -> None:
    """Train, measure, write, print."""
    from infodil.cli.arguments import check_folder

    check_folder(options.out)
    progress = shows_progress(options)
    from infodil.cli.files import write_report
    from infodil.demonstration import demo, training_lines

    report = demo(seed=options.seed, progress=progress)
    write_report(options, report, training_lines(report))
