"""Results as JSON files: plain values in, a checked mapping out, and older files brought up to date."""

import json
import math
from collections.abc import Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

from infodil.checks import UserError, write_whole

__all__ = ["SCHEMA_VERSION", "plain_json", "read_result", "write_result"]

SCHEMA_VERSION = 2
"""Version 1 called the text view `passage`, and the selected probe `answered_by`."""


def plain_json(value: Any) -> Any:
    """A value as JSON has it: numpy scalars as Python's, tuples as lists, numbers that are not finite as None.

    Args:
        value: Anything; what JSON does not know becomes its text.

    Returns:
        The plain value; the keys of mappings are sorted as in a saved file, so that a report and its loaded copy
        print alike.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, Mapping):
        items = sorted(((str(key), inner) for key, inner in value.items()), key=itemgetter(0))
        return {key: plain_json(inner) for key, inner in items}
    if hasattr(value, "tolist"):  # numpy and torch, without importing either
        return plain_json(value.tolist())
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Iterable) and not isinstance(value, bytes):
        return [plain_json(inner) for inner in value]
    return str(value)


def write_result(path: str | Path, content: Mapping[str, Any]) -> Path:
    """Write a result as JSON; the same result gives the same bytes.

    Args:
        path: The file to write.
        content: The result as plain JSON values, with its `format`.

    Returns:
        The path.
    """
    text = json.dumps({"schema_version": SCHEMA_VERSION, **content}, sort_keys=True, indent=1, allow_nan=False)
    return write_whole(path, text + "\n")


def read_result(path: str | Path, kind: str, words: str) -> dict[str, Any]:
    """Read the JSON of a result, brought up to the newest schema version.

    Args:
        path: The file.
        kind: The `format` that the file must name.
        words: The result in words, its noun last.

    Returns:
        The content of the file.

    Raises:
        UserError: Where there is no such file, or it is not JSON, of another kind, or of a newer schema version.
    """
    path, noun = Path(path), words.split()[-1]
    try:
        content = json.loads(path.read_bytes().decode("utf-8"))
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        raise UserError(
            f"`path` must be the file of a saved {noun}, got {str(path)!r}, where there is no file: check the spelling."
        ) from None
    except (UnicodeDecodeError, json.JSONDecodeError, RecursionError) as error:
        raise UserError(
            f"`path` must be a saved {noun}, got {str(path)!r}, which is not JSON ({error}): "
            f"pass a file that {noun}.save wrote."
        ) from None
    if not isinstance(content, dict) or content.get("format") != kind:
        raise UserError(
            f"`path` must be a saved {noun}, got {str(path)!r}, which is JSON but not a {words}: "
            f"pass a file that {noun}.save wrote."
        )
    version = content.get("schema_version", SCHEMA_VERSION)
    if not isinstance(version, int) or isinstance(version, bool):
        raise UserError(
            f"`path` must be a saved {noun}, got {str(path)!r}, whose schema version {version!r} is no whole number: "
            f"pass a file that {noun}.save wrote."
        )
    if version > SCHEMA_VERSION:
        raise UserError(
            f"`path` must be a {noun} of schema version {SCHEMA_VERSION} or older, got {str(path)!r} "
            f"of version {version}: install a newer infodil."
        )
    return up_to_date(content)


def up_to_date(content: dict[str, Any]) -> dict[str, Any]:
    """A report of any schema version as one of the newest: version 1 differs by two names."""
    if content.get("schema_version") != 1:
        return content
    if "passage" in content:
        content["text_view"] = content.pop("passage")
    for row in content["rows"] if isinstance(content.get("rows"), list) else []:
        if isinstance(row, dict) and "answered_by" in row:
            row["selected_probe"] = row.pop("answered_by")
    return content
