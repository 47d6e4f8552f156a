"""The parts that all commands share: how they are announced, their common options, and errors with near matches."""

__all__ = ["Parser", "add_command", "add_output", "add_seed", "add_seeds", "add_settings", "flags_of", "shows_progress"]

import argparse
import os
import re
import sys
from typing import NoReturn

from infodil.checks import near_matches


class Parser(argparse.ArgumentParser):
    """A parser whose errors name the commands and options spelled like the one that was typed."""

    def error(self, message: str) -> NoReturn:
        """Usage and the error with near matches on standard error; exit status 2."""
        choice = re.search(r"invalid choice: '(.*?)'", message)
        unknown = re.search(r"unrecognized arguments: (\S+)", message)
        ending = "."
        if choice:
            message = message[: choice.end()]
            known = [each for action in self._actions for each in action.choices or ()]
            ending = near_matches(choice[1], known)
            ending = f" (choose from {', '.join(known)})." if ending == "." else ending
        elif unknown:
            ending = near_matches(unknown[1].partition("=")[0], self._option_string_actions)
        super().error(f"{message}{ending}")


def add_command(commands: argparse._SubParsersAction, name: str, words: str) -> Parser:
    """A command by name; its own help opens with the words as a sentence."""
    command = commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
    command.set_defaults(command=command)
    return command


def add_output(command: argparse.ArgumentParser, default: str, files: str, json: bool = True) -> None:
    """The options `--out`, `--quiet` and, where the result has a JSON form, `--json`."""
    command.add_argument(
        "--out", default=default, metavar="FOLDER", help=f"folder for {files}; '-' writes none (default %(default)s)"
    )
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    if json:
        command.add_argument("--json", action="store_true", help="print the result as JSON in place of the table")


def add_seed(command: argparse._ActionsContainer) -> None:
    """The option `--seed`."""
    command.add_argument("--seed", type=int, default=0, help="seed of everything random (default %(default)s)")


def add_seeds(command: argparse._ActionsContainer, default: int) -> None:
    """The options `--seed` and `--seeds`, for a command whose result is a mean over seeds."""
    command.add_argument("--seed", type=int, default=0, help="the first seed (default %(default)s)")
    command.add_argument("--seeds", type=int, default=default, help="number of seeds (default %(default)s)")


def add_settings(command: argparse._ActionsContainer, words: str, metavar: str = "NAME=VALUE") -> None:
    """The option `--set`, once for each setting; its former name `--option` goes on to work."""
    common = {"dest": "set", "action": "append", "default": [], "metavar": metavar}
    command.add_argument("--set", help=words, **common)
    command.add_argument("--option", help=argparse.SUPPRESS, **common)


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether bars are drawn: on a terminal, unless `--quiet`; elsewhere those of libraries are silenced, too."""
    if not options.quiet and sys.stderr.isatty():
        return True
    for name in ("TQDM_DISABLE", "HF_HUB_DISABLE_PROGRESS_BARS", "HF_DATASETS_DISABLE_PROGRESS_BARS"):
        os.environ.setdefault(name, "1")
    return False


FORMER_NAMES = {"source": "corpus", "language": "grammar", "path": "reports"}
"""Arguments of public calls that a command takes under another name."""


def flags_of(command: argparse.ArgumentParser, message: str) -> str:
    """A message about arguments of Python as one about options of the command: `max_length` becomes `--max-length`.

    Args:
        command: The command that was typed.
        message: The message of a `UserError`.

    Returns:
        The message with flags for the names of arguments.
    """
    shown = [action for action in command._actions if action.option_strings and action.help is not argparse.SUPPRESS]
    flags = {action.dest: action.option_strings[-1] for action in shown}
    flags |= {name: flags[dest] for name, dest in FORMER_NAMES.items() if dest in flags and name not in flags}

    def flag(match: re.Match) -> str:
        return f"`{flags[match[1]]}`" if match[1] in flags else match[0]

    def assignment(match: re.Match) -> str:
        name, value = match[1], match[2]
        if name not in flags:
            return match[0]
        return flags[name] + value[4:] if value in ("True", "True.") else f"{flags[name]} {value}"

    message = re.sub(r"`(\w+)`", flag, message)
    message = re.sub(r"load_corpus\(\.\.\., (.*?)\)", r"\1", message)
    return re.sub(r"\b(\w+)=((?:'[^']*'|\[[^]]*\]|[^\s,:;)]+)?)", assignment, message)
