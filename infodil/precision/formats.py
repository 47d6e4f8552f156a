"""The precisions by name, and rounding to the grid of a float format."""

import math
import re
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, near_matches, spell

__all__ = [
    "FORMATS",
    "PRECISIONS",
    "check_floating",
    "check_precision",
    "decibels_of",
    "detect",
    "round_to",
    "spacing_of",
    "widen",
]

PRECISIONS = ("float64", "float32", "float16", "bfloat16", "float8_e4m3", "float8_e5m2", "int8")
"""The formats; besides them any `snr=<number>dB`, such as `snr=20dB`."""

DECIBELS = 300
"""Largest signal-to-noise ratio either way: beyond it a float64 (53 bits, 319 dB) cannot hold signal and noise."""


@dataclass(frozen=True)
class Format:
    """A float format: its dtype, significant bits, exponent of its least normal number, and largest number."""

    dtype: torch.dtype
    bits: int
    least: int
    largest: float

    @classmethod
    def of(cls, dtype: torch.dtype) -> "Format":
        """The format of a dtype, by what torch says of it."""
        limits = torch.finfo(dtype)
        return cls(dtype, 1 - round(math.log2(limits.eps)), round(math.log2(limits.smallest_normal)), limits.max)


FORMATS = {
    name: Format.of(getattr(torch, {"float8_e4m3": "float8_e4m3fn"}.get(name, name)))
    for name in PRECISIONS
    if name != "int8"
}


def check_precision(name: object) -> None:
    """Check that a name is one of `PRECISIONS` or `snr=<number>dB`, -300 to 300 dB.

    Args:
        name: Precision that a caller passed.

    Raises:
        UserError: There is no such precision.

    Example:
        >>> check_precision("int4")
        Traceback (most recent call last):
        ...
        infodil.checks.UserError: `precision` must be one of 'float64', 'float32', 'float16', 'bfloat16', \
'float8_e4m3', 'float8_e5m2', 'int8' or 'snr=<number>dB', got 'int4': did you mean 'int8'?
    """
    decibels = decibels_of(name)
    if name in PRECISIONS or (decibels is not None and abs(decibels) <= DECIBELS):
        return
    if decibels is not None:
        raise UserError(
            f"`precision` must have a ratio of -{DECIBELS} to {DECIBELS} dB, got {name!r}: pass one such as 'snr=20dB'."
        )
    number = re.search(r"[+-]?\d+(\.\d+)?", str(name))
    meant = f"snr={number.group() if number else 20}dB"
    options = spell([*PRECISIONS, "snr=<number>dB"])
    raise UserError(f"`precision` must be one of {options}, got {name!r}{near_matches(name, [*PRECISIONS, meant])}")


def decibels_of(name: object) -> float | None:
    """Signal-to-noise ratio that `snr=<number>dB` names, in decibels.

    Args:
        name: Name of a precision.

    Returns:
        The ratio, or None where the name is of another form.
    """
    found = re.fullmatch(r"snr=([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+))dB", name) if isinstance(name, str) else None
    return float(found.group(1)) if found else None


def detect(states: Tensor) -> str:
    """The coarsest float format that holds these numbers exactly: what they have already been rounded to.

    Coarsest first: float8_e5m2, float8_e4m3, bfloat16, float16, float32, float64, without scales, so float8 with a
    scale that is a power of two is found only as far as its numbers fit unscaled, and int8 not at all. Few numbers may
    lie on a coarse grid by chance (one-hot states lie on every grid). Zeros alone tell nothing: float32.

    Args:
        states: States of any floating dtype.

    Returns:
        The name of the format, one of `FORMATS`.

    Raises:
        UserError: `states` are not floating point.

    Example:
        >>> detect(torch.tensor([1 / 3]).bfloat16().float()), detect(torch.tensor([1 / 3]))
        ('bfloat16', 'float32')
    """
    check_floating(states)
    if not states.any():
        return "float32"
    wide = states if states.dtype == torch.float64 else states.float()
    coarsest_first = sorted(FORMATS, key=lambda name: FORMATS[name].bits)
    held = (name for name in coarsest_first[:-1] if torch.equal(round_to(wide, FORMATS[name]).to(wide.dtype), wide))
    return next(held, "float64")


def round_to(states: Float[Tensor, "*shape"], form: Format) -> Float[Tensor, "*shape"]:
    """States rounded to the nearest number of a format, ties to even, and saturated at its largest one.

    Args:
        states: States of any floating dtype; float64 is rounded once, not by way of float32.
        form: Format to round to.

    Returns:
        float32 that holds the rounded numbers.
    """
    held = states.clamp(-form.largest, form.largest)
    if held.dtype == torch.float64:
        held = _round_to_odd(held) if form.dtype != torch.float32 else held.float()
    return held.to(form.dtype).float()


def spacing_of(states: Float[Tensor, "*shape"], form: Format) -> Float[Tensor, "*shape"]:
    """Distance of neighbouring numbers of the format in the binade of each state; subnormals have the least one.

    Args:
        states: States of any floating dtype.
        form: Format whose neighbouring numbers are compared.

    Returns:
        A distance for each state, in the unit and dtype of the states.
    """
    mantissa, exponent = torch.frexp(states)  # mantissa in [1/2, 1): one above the exponent of IEEE 754
    binade = torch.where(mantissa == 0, form.least, exponent - 1).clamp(min=form.least)
    return torch.exp2((binade - (form.bits - 1)).to(states.dtype))


def widen(states: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """States in float64, on the same device unless that is Metal, which has no float64.

    Args:
        states: States of any dtype.

    Returns:
        The same numbers, detached from the graph of gradients.
    """
    return states.detach().cpu().double() if states.device.type == "mps" else states.detach().double()


def check_floating(states: Tensor) -> None:
    """Check that states are floating point.

    Args:
        states: States that a caller passed.

    Raises:
        UserError: They are of another kind.
    """
    if not states.is_floating_point():
        raise UserError(f"`states` must be floating point, got {states.dtype}: convert them with .float().")


def _round_to_odd(wide: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """float32 between float64 and a narrow format, so that the narrow rounding is the only one.

    Rounded to nearest twice, a number beside a tie ends on the wrong side. An inexact number is sent to the neighbour
    with an odd last bit instead, which is never a tie of a format of at most 22 bits (Boldo and Melquiond, 2008,
    Emulation of a FMA and correctly rounded sums, IEEE Trans. Computers 57(4)).
    """
    near = wide.float()
    beyond = torch.where(wide > near.double(), math.inf, -math.inf).to(near)
    even = near.view(torch.int32) % 2 == 0
    return torch.where((near.double() != wide) & even, torch.nextafter(near, beyond), near)
