"""Documents from files, folders and lists, one at a time: nothing here holds a corpus in memory."""

import gzip
import io
import json
import re
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from infodil.checks import UserError, near_matches, spell

__all__ = ["Reading", "read_path", "read_list", "read_rows", "looks_like_a_path", "as_ids", "TABLES"]

END_OF_TEXT = "<|endoftext|>"
TEXT_SUFFIXES = {".txt", ".text", ".md", ".rst", ".tokens", ".raw"}
LINE_SUFFIXES = {".jsonl", ".ndjson"}
TABLES = {".parquet": "parquet", ".arrow": "arrow", ".csv": "csv", ".json": "json"}
"""Files left to the datasets library, and what it calls their kind."""
KNOWN_SUFFIXES = TEXT_SUFFIXES | LINE_SUFFIXES | set(TABLES) | {".gz", ".tsv", ".html", ".xml"}
TOKEN_COLUMNS = ("input_ids", "tokens", "token_ids", "ids")
READ_CHARACTERS = 1 << 20
"""Characters of a text file read at once."""


class Reading:
    """Documents of a source: their kind, a function that goes through them anew at each call, and remarks."""

    def __init__(self, kind: str, documents: Callable[[], Iterator[Any]], warnings: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.documents = documents
        self.warnings = warnings


def looks_like_a_path(source: str) -> bool:
    """Whether a string that names no file was meant to: dataset ids have at most one slash and no such ending."""
    return (
        source.startswith((".", "/", "~"))
        or "\\" in source
        or source.count("/") > 1
        or Path(source).suffix.lower() in KNOWN_SUFFIXES
    )


def suffix_of(path: Path) -> str:
    """The ending that tells a file's kind: `.txt` of both a.txt and a.txt.gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_path(path: Path, *, text_column: str, separator: str | None) -> Reading:
    """A text file, a file of JSON lines, or a folder of them.

    Raises:
        UserError: The path is not there, or a file in it is not what its ending says.
    """
    if not path.exists():
        others = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        close = near_matches(path.name, others)
        way_out = close if close != "." else ": pass the path of a file or folder that exists, or a dataset id."
        raise UserError(f"`source` {str(path)!r} is not there{way_out}")
    if path.is_dir():
        return _read_folder(path, text_column=text_column, separator=separator)
    if suffix_of(path) in LINE_SUFFIXES:
        return _read_lines(path, text_column)
    return Reading("text", lambda: _texts(path, separator))


def files_in(folder: Path) -> list[Path]:
    """Every file below a folder in sorted order, hidden ones left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _read_folder(path: Path, *, text_column: str, separator: str | None) -> Reading:
    files = [file for file in files_in(path) if suffix_of(file) in TEXT_SUFFIXES | LINE_SUFFIXES]
    about = [file for file in files if file.stem.lower() in ("readme", "license", "licence")]
    files = [file for file in files if file not in about]
    if not files:
        raise UserError(
            f"`source` folder {path.name!r} holds no text: put .txt, .jsonl or .parquet files there, or pass a file."
        )
    readings = [read_path(file, text_column=text_column, separator=separator) for file in files]
    kinds = {reading.kind for reading in readings}
    if len(kinds) > 1:
        raise UserError(f"`source` folder {path.name!r} holds both texts and token ids: keep one of them in it.")

    def documents() -> Iterator[Any]:
        for reading in readings:
            yield from reading.documents()

    left_out = tuple(f"The file {file.name} in the folder was taken for a description and left out." for file in about)
    return Reading(kinds.pop(), documents, left_out)


def _open(path: Path) -> io.TextIOBase:
    if path.suffix.lower() == ".gz":
        return gzip.open(path, "rt", encoding="utf-8-sig")
    return path.open(encoding="utf-8-sig")


def _readable(path: Path, read: Callable[[], str]) -> str:
    """What `read` gives, or one sentence where the file is not text."""
    try:
        return read()
    except (UnicodeDecodeError, gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise UserError(
            f"`source` file {path.name!r} cannot be read as UTF-8 text ({error}): convert it, or pass a text file."
        ) from None


def _texts(path: Path, separator: str | None) -> Iterator[str]:
    """The documents of a text file: between end-of-text marks, else between matches of `separator`, else one."""
    with _open(path) as file:
        if _has_mark(path):
            # Marks stand on lines of their own as often as not: the line ends around them are not text.
            yield from (text.strip("\n") for text in _between_marks(path, file))
            return
        text = _readable(path, file.read)
    if separator is None:
        yield text
        return
    # Not re.split: groups in the caller's expression would come back as documents.
    end = 0
    for match in re.finditer(separator, text):
        if match.end() > match.start():
            yield text[end : match.start()]
            end = match.end()
    yield text[end:]


def _has_mark(path: Path) -> bool:
    tail = ""
    with _open(path) as file:
        while chunk := _readable(path, lambda: file.read(READ_CHARACTERS)):
            if END_OF_TEXT in tail + chunk:
                return True
            tail = (tail + chunk)[-len(END_OF_TEXT) :]
    return False


def _between_marks(path: Path, file: io.TextIOBase) -> Iterator[str]:
    held: list[str] = []
    rest = ""
    while chunk := _readable(path, lambda: file.read(READ_CHARACTERS)):
        *whole, rest = (rest + chunk).split(END_OF_TEXT)
        for text in whole:
            yield "".join([*held, text])
            held = []
        # A mark may be cut by the chunk's end: keep that much back, hand the rest on.
        keep = len(END_OF_TEXT)
        held.append(rest[:-keep])
        rest = rest[-keep:]
    yield "".join([*held, rest])


def _read_lines(path: Path, text_column: str) -> Reading:
    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        return ((f"line {number} of {path.name!r}", row) for number, row in _json_lines(path))

    return read_rows(rows, text_column, f"the file {path.name!r}")


def _json_lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with _open(path) as file:
        number = 0
        while line := _readable(path, file.readline):
            number += 1
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except (ValueError, RecursionError) as error:
                raise UserError(
                    f"`source` line {number} of {path.name!r} is not JSON ({error}): write one JSON object a line."
                ) from None
            if not isinstance(row, dict):
                raise UserError(
                    f"`source` line {number} of {path.name!r} is a {type(row).__name__}: write one JSON object a line."
                )
            yield number, row


def read_rows(rows: Callable[[], Iterator[tuple[str, dict[str, Any]]]], text_column: str, where: str) -> Reading:
    """Rows of named columns, each with the words for its place: the text column, or a column of token ids.

    Raises:
        UserError: There is no such column, or it holds neither texts nor lists of token ids.
    """
    column, kind = _column((row for _, row in rows()), text_column, where)

    def documents() -> Iterator[Any]:
        for place, row in rows():
            if column not in row:
                raise UserError(
                    f"`text_column` {column!r} is missing from {place}: give every row that key, or pass another."
                )
            yield _value(row[column], kind, place)

    return Reading(kind, documents)


def _is_token_list(value: Any) -> bool:
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.ndim == 1 and "int" in str(value.dtype)
    return isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], int | np.integer)


def _column(rows: Iterable[dict[str, Any]], text_column: str, where: str) -> tuple[str, str]:
    """The column to read and whether it holds texts or token ids, told from the first row where it holds anything."""
    first: dict[str, Any] | None = None
    for row in rows:
        first = row if first is None else first
        if text_column not in first:
            break
        value = row.get(text_column)
        if isinstance(value, str):
            return text_column, "text"
        if _is_token_list(value):
            return text_column, "tokens"
        if value is not None and not (isinstance(value, list | tuple) and not value):
            raise UserError(
                f"`text_column` {text_column!r} of {where} holds {type(value).__name__}, neither texts nor lists of "
                f"token ids: pass another column of {spell(row)}."
            )
    if not first or text_column in first:
        raise UserError(f"`source` is empty: {where} has no text in it, so pass another or another text_column.")
    listed = [name for name, value in first.items() if _is_token_list(value)]
    for name in (*TOKEN_COLUMNS, *listed):
        if name in listed and text_column == "text":
            return name, "tokens"
    close = near_matches(text_column, first)
    way_out = close if close != "." else ": pass text_column= with one of them."
    raise UserError(f"`text_column` {text_column!r} is not a column of {where}, which has {spell(first)}{way_out}")


def _value(value: Any, kind: str, place: str) -> Any:
    if value is None:
        return "" if kind == "text" else np.zeros(0, dtype=np.int64)
    if kind == "text":
        if not isinstance(value, str):
            raise UserError(f"`source` {place} is {type(value).__name__}, not a text: make it a string.")
        return value
    if isinstance(value, str):
        raise UserError(f"`source` {place} is a text among token ids: pass texts alone or token ids alone.")
    return as_ids(value, place)


def as_ids(value: Any, place: str) -> np.ndarray:
    """Token ids as a one-dimensional integer array.

    Raises:
        UserError: They are not whole numbers in one dimension.
    """
    try:
        ids = np.asarray(value.detach().cpu() if isinstance(value, torch.Tensor) else value)
    except (ValueError, TypeError, OverflowError):
        ids = np.zeros(1, dtype=object)  # ragged, or of a type that numpy does not have
    if ids.ndim == 1 and len(ids) == 0:
        return np.zeros(0, dtype=np.int64)
    if ids.ndim != 1 or ids.dtype.kind not in "iu":
        raise UserError(f"`source` {place} is not a list of token ids: pass whole numbers in one dimension.")
    return ids


def read_list(source: Any) -> Reading:
    """Texts or token arrays that are in memory already; one array of one axis is one document.

    Raises:
        UserError: There is no document, or the array has more than two axes.
    """
    if isinstance(source, np.ndarray | torch.Tensor):
        if source.ndim not in (1, 2):
            raise UserError(
                f"`source` must have one document a row, got an array with {source.ndim} axes: pass a 2-D integer one."
            )
        alone = source.ndim == 1 and "int" in str(source.dtype)
    else:
        alone = len(source) > 0 and all(isinstance(value, int | np.integer) for value in source)
    rows = [source] if alone else source
    first = next((row for row in rows if row is not None), None)
    if first is None:
        raise UserError("`source` must not be empty: pass at least one document.")
    kind = "text" if isinstance(first, str) else "tokens"
    return Reading(kind, lambda: (_value(row, kind, f"document {number}") for number, row in enumerate(rows)))
