"""Rows of text tables, one at a time: JSON lines, JSON, comma- and tab-separated values."""

import csv
import itertools
import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from infodil.checks import UserError
from infodil.corpus.rows import Reading, read_rows
from infodil.corpus.text_files import LONGEST_LINE, READ_CHARACTERS, lines_of, opened

__all__ = ["LINES", "TEXT_TABLES", "read_text_table"]

SPACES = re.compile(r"[ \t\r\n]*")
DELIMITERS = ",;\t"
"""What may stand between the columns of a .csv file: the first of these that its header has."""

Row = tuple[str, dict[str, Any]]


def read_text_table(path: Path, text_column: str) -> Reading:
    """The text column of a .jsonl, .json, .csv or .tsv file, or a column of token ids.

    Args:
        path: The file, which may end in .gz.
        text_column: Name of the column.

    Raises:
        UserError: There is no such column, or the file is not what its ending says.
    """
    rows = TEXT_TABLES[Path(path.name.lower().removesuffix(".gz")).suffix]
    return read_rows(partial(rows, path), text_column, f"the file {path.name!r}")


def json_lines(path: Path) -> Iterator[Row]:
    """One JSON object a line."""
    for number, line in lines_of(path):
        if not line.strip():
            continue
        place = f"line {number} of {path.name!r}"
        try:
            row = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise UserError(f"`source` {place} is not JSON ({error}): write one JSON object a line.") from None
        if not isinstance(row, dict):
            raise UserError(f"`source` {place} is a {type(row).__name__}: write one JSON object a line.")
        yield place, row


def json_values(path: Path) -> Iterator[Row]:
    """The objects of a JSON array, or objects one after the other, without reading the file whole."""
    decoder, number, text, here = json.JSONDecoder(), 0, "", 0
    opening, closed = False, False
    with opened(path) as read:
        while True:
            here = SPACES.match(text, here).end()
            if here == len(text):
                text, here = read(READ_CHARACTERS), 0
                if not text:
                    break
                continue
            if text[here] in "[,]" and _is_punctuation(text[here], number, opening, closed):
                opening, closed, here = True, text[here] == "]", here + 1
                continue
            place = f"entry {number} of {path.name!r}"
            try:
                if closed:
                    raise ValueError("there is more after the end of the array")
                value, here = decoder.raw_decode(text, here)
            except (ValueError, RecursionError) as error:
                # As much again as is held: a long value is not parsed over and over.
                more = "" if closed or len(text) - here > LONGEST_LINE else read(max(READ_CHARACTERS, len(text) - here))
                if not more:
                    raise UserError(
                        f"`source` {place} is not JSON ({error}): write an array of JSON objects."
                    ) from None
                text, here = text[here:] + more, 0
                continue
            if not isinstance(value, dict):
                raise UserError(f"`source` {place} is a {type(value).__name__}: write an array of JSON objects.")
            yield place, value
            number += 1
    if opening and not closed:
        raise UserError(f"`source` file {path.name!r} ends within its array: pass the whole file.")


def _is_punctuation(mark: str, number: int, opening: bool, closed: bool) -> bool:
    """Whether a mark belongs to the array of all rows."""
    if mark == "[":
        return not opening and number == 0
    return opening and not closed and (mark == "]" or number > 0)


def comma_separated(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns; fields in quotes may hold delimiters and line ends."""
    header: list[str] | None = None
    lines = (line for _, line in lines_of(path))
    first = next(lines, "")
    delimiter = next((mark for mark in DELIMITERS if mark in first), ",")
    # The limit on a field is one for the whole process.
    csv.field_size_limit(max(LONGEST_LINE, csv.field_size_limit()))
    rows = csv.reader(itertools.chain([first], lines), delimiter=delimiter, strict=True)
    while True:
        place = f"line {rows.line_num + 1} of {path.name!r}"
        try:
            fields = next(rows, None)
        except csv.Error as error:
            raise UserError(f"`source` {place} is not a row of a table ({error}): mend its quotes.") from None
        if fields is None:
            return
        if not any(fields):
            continue
        if header is None:
            header = _named(fields, path)
            continue
        if len(fields) > len(header):
            raise UserError(_uneven(place, fields, header, "put fields that hold the delimiter in quotes"))
        yield place, dict(zip(header, [*fields, *[None] * (len(header) - len(fields))], strict=True))


def tab_separated(path: Path) -> Iterator[Row]:
    """Rows of a file whose first line names the columns: tabs between fields, one row a line."""
    header: list[str] | None = None
    for number, line in lines_of(path):
        fields = [_unquoted(field) for field in line.rstrip("\n").split("\t")]
        if not any(fields):
            continue
        if header is None:
            header = _named(fields, path)
            continue
        place = f"line {number} of {path.name!r}"
        if len(fields) != len(header):
            raise UserError(_uneven(place, fields, header, "save it as .csv if fields hold tabs or line ends"))
        yield place, dict(zip(header, fields, strict=True))


def _named(fields: list[str], path: Path) -> list[str]:
    """The header; `UserError` where two columns have one name."""
    twice = sorted({name for name in fields if name and fields.count(name) > 1})
    if twice:
        raise UserError(
            f"`source` file {path.name!r} has two columns {twice[0]!r}: give each column a name of its own."
        )
    return fields


def _unquoted(field: str) -> str:
    """A field without the quotes around it, in which quotes are written twice."""
    inner = field[1:-1]
    quoted = len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner.replace('""', "")
    return inner.replace('""', '"') if quoted else field


def _uneven(place: str, fields: list[str], header: list[str], way_out: str) -> str:
    return f"`source` {place} has {len(fields)} fields and the first row {len(header)}: {way_out}."


LINES = {".jsonl": json_lines, ".ndjson": json_lines}
TEXT_TABLES = LINES | {".json": json_values, ".csv": comma_separated, ".tsv": tab_separated, ".tab": tab_separated}
"""How rows are read from a file, by its ending."""
