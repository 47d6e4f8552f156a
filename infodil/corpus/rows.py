"""Rows of named columns, and lists in memory: which column is read, and whether it holds texts or token ids."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import torch

from infodil.checks import UserError, check_not_masked, near_matches, spell

__all__ = ["Reading", "Rows", "as_ids", "read_list", "read_rows"]

Rows = Callable[[], Iterator[tuple[str, dict[str, Any]]]]
"""Goes through rows anew at each call, each with the words for its place."""

TOKEN_COLUMNS = ("input_ids", "tokens", "token_ids", "ids")
SEARCHED = 100
"""Rows in which a column that the first one lacks is looked for."""
LONGEST_NAME = 40
"""Characters of a column's name that a message shows: a table without a header has texts there."""


class Reading:
    """Documents of a source: their kind, a function that goes through them anew at each call, and remarks."""

    def __init__(self, kind: str, documents: Callable[[], Iterator[Any]], warnings: tuple[str, ...] = ()) -> None:
        self.kind = kind
        self.documents = documents
        self.warnings = warnings


def read_rows(rows: Rows, text_column: str, where: str) -> Reading:
    """The text column of rows, or a column of token ids.

    Args:
        rows: Function that goes through the rows anew.
        text_column: Name of the column; `a.b` is the entry `b` of the column `a`.
        where: Words for the source.

    Raises:
        UserError: There is no such column, or it holds neither texts nor lists of token ids.
    """
    column, kind = _column(rows(), text_column, where)

    def documents() -> Iterator[Any]:
        for place, row in rows():
            found, value = _entry(row, column)
            if not found:
                raise UserError(_missing(column, place))
            yield _value(value, kind, place)

    return Reading(kind, documents)


def _entry(row: Mapping[str, Any], column: str) -> tuple[bool, Any]:
    """Whether a row has the column, and what it holds there; None inside a nested column that is empty."""
    if column in row:
        return True, row[column]
    first, dot, rest = column.partition(".")
    if not dot or first not in row:
        return False, None
    inner = row[first]
    return _entry(inner, rest) if isinstance(inner, Mapping) else (inner is None, None)


def _is_token_list(value: Any) -> bool:
    if isinstance(value, np.ndarray | torch.Tensor):
        return value.ndim == 1 and "int" in str(value.dtype)
    whole = isinstance(value, list | tuple) and len(value) > 0 and isinstance(value[0], int | np.integer)
    return whole and not isinstance(value[0], bool)


def _column(rows: Iterable[tuple[str, dict[str, Any]]], text_column: str, where: str) -> tuple[str, str]:
    """The column to read and whether it holds texts or token ids, told from the first row where it holds anything."""
    first: tuple[str, dict[str, Any]] | None = None
    for number, (place, row) in enumerate(rows):
        first = (place, row) if first is None else first
        found, value = _entry(row, text_column)
        if found and not _entry(first[1], text_column)[0]:
            raise UserError(_missing(text_column, first[0]))
        if not found and number == SEARCHED:
            break
        if isinstance(value, str):
            return text_column, "text"
        if _is_token_list(value):
            return text_column, "tokens"
        if value is not None and not (isinstance(value, list | tuple) and not value):
            raise UserError(_no_texts(value, text_column, row, where))
    if first is None or _entry(first[1], text_column)[0]:
        raise UserError(f"`source` is empty: {where} has no text in it, so pass another or another text_column.")
    listed = [name for name, value in first[1].items() if _is_token_list(value)]
    for name in (*TOKEN_COLUMNS, *listed):
        if name in listed and text_column == "text":
            return name, "tokens"
    shown = [_shortened(str(name)) for name in first[1]] or ["no column"]
    close = near_matches(text_column, shown)
    way_out = close if close != "." else ": pass text_column= with one of them, or name the columns in the first row."
    raise UserError(f"`text_column` {text_column!r} is not a column of {where}, which has {spell(shown)}{way_out}")


def _missing(column: str, place: str) -> str:
    return f"`text_column` {column!r} is missing from {place}: give every row that key, or pass another."


def _no_texts(value: Any, column: str, row: Mapping[str, Any], where: str) -> str:
    """The sentence for a column that holds something else, with the columns that would do."""
    texts = [name for name, other in row.items() if isinstance(other, str)]
    texts += [f"{column}.{name}" for name in (value if isinstance(value, Mapping) else ())]
    others = [name for name in row if name != column]
    way_out = f"pass text_column= with one of {spell(texts or others)}" if texts or others else "pass another file"
    return (
        f"`text_column` {column!r} of {where} holds {type(value).__name__}, neither texts nor lists of token ids: "
        f"{way_out}."
    )


def _shortened(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[:LONGEST_NAME]}..."


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
    check_not_masked("source", value)
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
