"""Checks whose message names the argument, the value and the way out. Imports nothing heavy."""

import difflib
import functools
import math
import numbers
import operator
import tempfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path
from typing import Any, SupportsIndex

__all__ = [
    "ProcessLost",
    "UserError",
    "accepts_former_name",
    "check_between",
    "check_confidence",
    "check_not_empty",
    "check_not_masked",
    "check_one_of",
    "check_seed",
    "check_whole",
    "check_writable",
    "is_there",
    "near_matches",
    "write_whole",
]


SEEDS = 1 << 62
"""Number of seeds: torch takes 64 bits with a sign, and further seeds are derived from one."""


class UserError(ValueError):
    """A mistake the caller can mend: the message is one sentence with the argument, the value and the way out."""


class ProcessLost(UserError):
    """Another process of the same job has ended, and this one with it."""


def check_one_of(argument: str, value: object, options: Collection[str]) -> None:
    """Raise `UserError` unless `value` is one of `options`.

    Example:
        >>> check_one_of("probe", "linaer", ["gaussian", "linear"])
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `probe` must be one of 'gaussian' or 'linear', got 'linaer': did you mean 'linear'?
    """
    if value in options:
        return
    raise UserError(f"`{argument}` must be one of {spell(options)}, got {value!r}{near_matches(value, options)}")


def check_not_masked(argument: str, values: object) -> None:
    """Raise `UserError` where some values of a masked array are masked: what lies below a mask is no value.

    Args:
        argument: Name of the argument, for complaints.
        values: Whatever the caller passed.

    Raises:
        UserError: Masked values.

    Example:
        >>> import numpy as np
        >>> check_not_masked("x", np.ma.masked_equal([1, 2], 2))
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `x` has masked values: drop their rows from all arguments.
    """
    import numpy as np

    if isinstance(values, np.ma.MaskedArray) and np.ma.getmaskarray(values).any():
        raise UserError(f"`{argument}` has masked values: drop their rows from all arguments.")


def check_whole(argument: str, value: object, least: int, way_out: str) -> None:
    """Raise `UserError` unless `value` is a whole number of at least `least`.

    Example:
        >>> check_whole("max_length", 1, 2, "pass 2 or more")
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `max_length` must be a whole number of at least 2, got 1: pass 2 or more.
    """
    whole = hasattr(value, "__index__") and getattr(value, "shape", ()) == () and not isinstance(value, bool)
    if not whole or value < least:
        raise UserError(f"`{argument}` must be a whole number of at least {least}, got {value!r}: {way_out}.")


def check_between(
    argument: str, value: float | int, low: float | int, high: float | int, *, open_low: bool = False
) -> None:
    """Raise `UserError` unless `low <= value <= high` (`low < value` with `open_low`).

    Example:
        >>> check_between("alpha", 0.0, 0, 1, open_low=True)
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `alpha` must be above 0 and at most 1, got 0.0: pass a value in (0, 1].
    """
    inside = (low < value if open_low else low <= value) and value <= high
    if not inside or math.isnan(value):
        words, bracket = ("above", "(") if open_low else ("at least", "[")
        raise UserError(
            f"`{argument}` must be {words} {low} and at most {high}, got {value}: "
            f"pass a value in {bracket}{low}, {high}]."
        )


def check_confidence(confidence: float | int) -> None:
    """Raise `UserError` unless an interval can have this confidence level: at least one half and below one.

    Example:
        >>> check_confidence(95)
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `confidence` must be at least 0.5 and below 1, got 95: pass a level such as 0.95.
    """
    number = isinstance(confidence, numbers.Real) or hasattr(confidence, "__float__")
    if not number or not 0.5 <= confidence < 1.0:
        raise UserError(
            f"`confidence` must be at least 0.5 and below 1, got {confidence!r}: pass a level such as 0.95."
        )


def check_seed(seed: SupportsIndex) -> int:
    """A seed as `int`; raise `UserError` unless it is a whole number of at least 0 that torch can take.

    Example:
        >>> check_seed(-1)
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `seed` must be a whole number of at least 0, got -1: pass one such as 0.
    """
    check_whole("seed", seed, 0, "pass one such as 0")
    if operator.index(seed) >= SEEDS:
        raise UserError(f"`seed` must be below 2**62, got {seed}: pass one such as 0.")
    return operator.index(seed)


def check_not_empty(argument: str, values: Collection, way_out: str) -> None:
    """Raise `UserError` if `values` has no element.

    Example:
        >>> check_not_empty("lags", [], "pass at least one lag, such as lags=range(8)")
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `lags` must not be empty: pass at least one lag, such as lags=range(8).
    """
    if len(values) == 0:
        raise UserError(f"`{argument}` must not be empty: {way_out}.")


def check_writable(argument: str, folder: str | Path) -> None:
    """Raise `UserError` for a folder that cannot be made or written, by writing into it; what was made is removed."""
    path = Path(folder).absolute()
    made: list[Path] = []
    try:
        existing = next(part for part in (path, *path.parents) if part.exists() or part.is_symlink())
        if not existing.is_dir():
            what = "is" if existing == path else f"lies under {existing.name!r}, which is"
            kind = "a file" if existing.exists() else "a link to what is not there"
            raise UserError(f"`{argument}` {str(folder)!r} {what} {kind}: pass a folder.")
        for part in reversed([part for part in (path, *path.parents) if not part.exists()]):
            part.mkdir()
            made.insert(0, part)
        with tempfile.TemporaryFile(dir=path) as file:
            file.write(b"infodil")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        why = getattr(error, "strerror", None) or str(error)
        raise UserError(f"`{argument}` {str(folder)!r} cannot be written ({why}): pass a folder of your own.") from None
    finally:
        for part in made:
            part.rmdir()


def is_there(path: str | Path) -> bool:
    """Whether a path leads somewhere: False for a name that no file can have, True for a place that may not be seen."""
    try:
        return Path(path).exists()
    except PermissionError:
        return True
    except OSError:  # too long
        return False


def near_matches(value: object, options: Iterable[str]) -> str:
    """The end of a message: the options spelled like `value`, or a full stop where none is.

    Example:
        >>> near_matches("layer.13", ["layer.1", "layer.12", "embedding"])
        ": did you mean 'layer.1' or 'layer.12'?"
    """
    close = difflib.get_close_matches(str(value), list(options), n=3, cutoff=0.6)
    return f": did you mean {spell(sorted(close))}?" if close else "."


def spell(options: Iterable[str]) -> str:
    """`'a', 'b' or 'c'`."""
    quoted = [repr(option) for option in options]
    return quoted[0] if len(quoted) == 1 else f"{', '.join(quoted[:-1])} or {quoted[-1]}"


def write_whole(path: str | Path, content: str | bytes) -> Path:
    """Write a file under a temporary name, then rename it: another process never meets half a file."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.partial")
    try:
        if isinstance(content, bytes):
            temporary.write_bytes(content)
        else:
            temporary.write_text(content, encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def accepts_former_name(**names: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Decorator of a function whose keyword arguments were renamed: calls by the former names go on to work.

    Args:
        names: Name of today by former name.

    Example:
        >>> @accepts_former_name(samples="draws")
        ... def twice(*, draws: int) -> int:
        ...     return 2 * draws
        >>> twice(samples=3), twice(draws=3)
        (6, 6)
    """

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(function)
        def call(*values: Any, **options: Any) -> Any:
            return function(*values, **{names.get(name, name): value for name, value in options.items()})

        return call

    return decorate
