"""Results that are frozen dataclasses: saved as JSON and loaded again by the types of their fields."""

import dataclasses
import math
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from infodil.checks import UserError
from infodil.report.saved import read_result, write_result

if TYPE_CHECKING:
    import pandas

__all__ = ["SavedResult", "from_values", "to_values"]

Result = TypeVar("Result", bound="SavedResult")


class SavedResult:
    """The frame, file and loading of a frozen dataclass whose fields are numbers, text, arrays, or such dataclasses."""

    def to_frame(self) -> "pandas.DataFrame":
        """Table of one row, a column for each number or text; those of a field that is itself a result have its name.

        Results of many rows have tables of their own.
        """
        import pandas

        return pandas.DataFrame([dict(_columns(self))])

    def save(self, path: str | Path) -> Path:
        """Write the result as JSON; the same result gives the same bytes.

        Args:
            path: The file to write.

        Returns:
            The path.
        """
        return write_result(path, {"format": _format(type(self)), "result": to_values(self)})

    @classmethod
    def load(cls: type[Result], path: str | Path) -> Result:
        """The result that `save` wrote.

        Args:
            path: The JSON file.

        Returns:
            The result.

        Raises:
            UserError: Where the file is not a saved result of this kind, or is damaged.
        """
        content = read_result(path, _format(cls), f"{cls.__name__} result")
        try:
            return from_values(cls, content["result"])
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(
                f"`path` must be a whole result, got {str(path)!r}, which is damaged ({error}): compute it again."
            ) from None


def _columns(result: Any, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Names and values of a row."""
    for field in dataclasses.fields(result):
        value = getattr(result, field.name)
        if dataclasses.is_dataclass(value):
            yield from _columns(value, f"{prefix}{field.name}_")
        else:
            yield prefix + field.name, " ".join(value) if field.name == "warnings" else value


def _format(kind: type) -> str:
    return f"infodil.{kind.__name__}"


def to_values(value: Any) -> Any:
    """A field as plain JSON values, from which `from_values` gives it back.

    Args:
        value: A number, text, array, tuple, mapping or dataclass.

    Returns:
        Plain values; a mapping whose keys are not text becomes a list of pairs.
    """
    if dataclasses.is_dataclass(value):
        return {field.name: to_values(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if hasattr(value, "dtype"):
        if getattr(value, "ndim", 0) == 0:
            return to_values(value.item())
        return {"dtype": str(value.dtype).removeprefix("torch."), "values": to_values(value.tolist())}
    if isinstance(value, dict):
        return [[to_values(key), to_values(inner)] for key, inner in value.items()]
    if isinstance(value, tuple | list):
        return [to_values(inner) for inner in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value


def from_values(kind: Any, value: Any) -> Any:
    """The field of a type from the plain values that `to_values` made of it.

    Args:
        kind: The type.
        value: The plain values.

    Returns:
        The field.
    """
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind)
        return kind(**{field.name: from_values(hints[field.name], value[field.name]) for field in _made(kind)})
    if isinstance(value, dict) and set(value) == {"dtype", "values"}:
        import numpy as np

        return np.asarray(value["values"], dtype=value["dtype"])
    if origin is dict:
        return {from_values(arguments[0], key): from_values(arguments[1], inner) for key, inner in value}
    if origin is tuple:
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        return tuple(from_values(each, inner) for each, inner in zip(kinds, value, strict=True))
    if origin in (typing.Union, types.UnionType):
        return None if value is None else from_values(next(each for each in arguments if each is not type(None)), value)
    return float(value) if kind is float else value


def _made(kind: Any) -> list[dataclasses.Field]:
    """The fields that a dataclass is made from."""
    return [field for field in dataclasses.fields(kind) if field.init]
