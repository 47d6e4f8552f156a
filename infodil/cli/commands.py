"""How a command is announced: the same words in the list of commands and at the head of its own help."""

__all__ = ["add_command"]

import argparse


def add_command(commands: argparse._SubParsersAction, name: str, words: str) -> argparse.ArgumentParser:
    """A command by name; its own help opens with the words as a sentence."""
    return commands.add_parser(name, help=words, description=f"{words[0].upper()}{words[1:]}.")
