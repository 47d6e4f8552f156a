"""Text files, a piece at a time: opened, refused where they are no text, divided into documents."""

import gzip
import itertools
import re
import stat
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import TextIOWrapper
from operator import itemgetter
from pathlib import Path

from infodil.checks import UserError

__all__ = ["check_file", "lines_of", "opened", "text_pieces", "LONGEST_LINE"]

END_OF_TEXT = "<|endoftext|>"
READ_CHARACTERS = 1 << 20
"""Characters of a text file read at once."""
LONGEST_LINE = 1 << 25
"""Characters of the longest line of a table or value of a JSON file: it is parsed as a whole."""
MARGIN = 1 << 16
"""Characters of the longest match of a separator that is surely found where pieces meet."""
CONTEXT = 1 << 10
"""Characters before the place where a search goes on that an expression may look back at."""
PEEKED = 1 << 16
"""Characters looked at before a file is taken for text."""
CONTROLS = re.compile("[\x00-\x07\x0b\x0e-\x1a\x1c-\x1f]")
"""Characters that no text has, but numbers and compressed data do."""

Read = Callable[[int], str]
"""Reads so many characters of a file, fewer at its end only."""


def check_file(path: Path, known: bool) -> None:
    """Raise `UserError` where a file is none that can be read again and again, or is not text.

    Args:
        path: The file.
        known: Whether its ending is one of text.
    """
    check_regular(path)
    with opened(path) as read:
        beginning = read(PEEKED)
    found = None if known else CONTROLS.search(beginning)
    if found is not None:
        raise UserError(
            f"`source` file {path.name!r} is not text (it has the character {found[0]!r}), and its ending is not "
            "known: pass a text file, a table, or token ids as .npy or .bin."
        )


def check_regular(path: Path) -> None:
    """Raise `UserError` for a pipe, a device or a socket, which cannot be read twice."""
    mode = path.stat().st_mode
    kinds = {stat.S_ISFIFO: "a pipe", stat.S_ISCHR: "a device", stat.S_ISBLK: "a device", stat.S_ISSOCK: "a socket"}
    kind = next((words for test, words in kinds.items() if test(mode)), None)
    if kind is not None:
        raise UserError(
            f"`source` {str(path)!r} is {kind}, and a corpus is read more than once: write it to a file and pass that."
        )


@contextmanager
def opened(path: Path) -> Iterator[Read]:
    """A function that reads the next characters of a text file; what is no text is refused in one sentence."""
    with _one_sentence(path):
        file = _open(path)
    with file:

        def read(characters: int) -> str:
            with _one_sentence(path):
                return checked(path, file.read(characters))

        yield read


def lines_of(path: Path) -> Iterator[tuple[int, str]]:
    """The lines of a text file with their numbers from 1.

    Raises:
        UserError: A line is longer than `LONGEST_LINE`, or the file is not text.
    """
    with _one_sentence(path):
        file = _open(path)
    with file:
        for number in itertools.count(1):
            with _one_sentence(path):
                line = checked(path, file.readline(LONGEST_LINE + 1))
            if not line:
                return
            if len(line) > LONGEST_LINE:
                raise UserError(
                    f"`source` line {number} of {path.name!r} has more than {LONGEST_LINE:,} characters: divide its "
                    "document, or save it as a text file."
                )
            yield number, line


def checked(path: Path, text: str) -> str:
    """The text; `UserError` where it has NUL bytes."""
    if "\0" in text:
        raise UserError(
            f"`source` file {path.name!r} is not text (it has NUL bytes): pass a text file, or remove them."
        )
    return text


def _open(path: Path) -> TextIOWrapper:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


@contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"`source` file {path.name!r} cannot be read as UTF-8 text ({error}): convert it, or pass a text file."
        ) from None
    except OSError as error:
        raise UserError(
            f"`source` file {path.name!r} cannot be read ({error.strerror or error}): pass one that can."
        ) from None


def text_pieces(path: Path, separator: str | int | None) -> Iterator[tuple[int, str]]:
    """The documents of a text file in pieces: between end-of-text marks, else between matches of `separator`, else one.

    Args:
        path: The file.
        separator: Regular expression; a match of up to 65,536 characters is found wherever pieces meet.
    """
    marked = _has_mark(path)
    with opened(path) as read:
        if marked:
            # Marks stand on lines of their own as often as not: the line ends around them are not text.
            divided = between_matches(read, re.compile(re.escape(END_OF_TEXT)), len(END_OF_TEXT))
            for number, pieces in itertools.groupby(divided, key=itemgetter(0)):
                yield from ((number, text) for text in _stripped(text for _, text in pieces))
        elif separator is not None:
            yield from between_matches(read, re.compile(separator), MARGIN)
        else:
            while text := read(READ_CHARACTERS):
                yield 0, text
            yield 0, ""


def _has_mark(path: Path) -> bool:
    tail = ""
    with opened(path) as read:
        while text := read(READ_CHARACTERS):
            if END_OF_TEXT in tail + text:
                return True
            tail = (tail + text)[-len(END_OF_TEXT) :]
    return False


def between_matches(read: Read, pattern: re.Pattern[str], margin: int) -> Iterator[tuple[int, str]]:
    """What stands between the matches of an expression, in pieces, each with the number of its document.

    Args:
        read: Reads the next characters.
        pattern: Expression between documents; empty matches divide nothing.
        margin: Characters of its longest match: so many are held back until more of the text is known.
    """
    number, text, done, ended = 0, "", 0, False
    while not ended:
        # As much again as is held: an expression that matches more and more is not searched for ever.
        more = read(max(READ_CHARACTERS, len(text)))
        text, ended = text + more, not more
        last = len(text) if ended else len(text) - margin
        for match in pattern.finditer(text, done):
            if match.end() > last and not ended:
                last = min(last, match.start())
                break
            if match.end() > match.start():
                yield number, text[done : match.start()]
                number, done = number + 1, match.end()
        if last > done:
            yield number, text[done:last]
            done = last
        kept = max(done - CONTEXT, 0)
        text, done = text[kept:], done - kept
    yield number, ""


def _stripped(pieces: Iterator[str]) -> Iterator[str]:
    """A document without the line ends around it."""
    started, held = False, 0
    for piece in pieces:
        text = piece if started else piece.lstrip("\n")
        body = text.rstrip("\n")
        if body:
            for begin in range(0, held, READ_CHARACTERS):
                yield "\n" * min(READ_CHARACTERS, held - begin)
            yield body
            started, held = True, 0
        held += len(text) - len(body)
    yield ""
