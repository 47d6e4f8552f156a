"""How many states there can be, which is certified, and how many were seen, which is an estimate."""

__all__ = ["DistinctStates", "distinct_states", "levels_of"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from infodil.bounds.codebook import group_rows
from infodil.checks import UserError
from infodil.entropy import chao1, entropy_nats
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.precision import FORMATS, check_precision, detect
from infodil.report import SavedResult

INT8_LEVELS = 255
"""Symmetric, -127 to 127, as `infodil.precision.Quantizer` rounds."""


@dataclass(frozen=True)
class DistinctStates(SavedResult):
    """Number of different states that a site can be in.

    Only `possible` bounds information: a state that was not seen may still come. The rest says how far the samples are
    from having shown all of them.
    """

    possible: Estimate
    """Upper bound: log2 of the product of the levels of all numbers."""
    seen: int
    """Distinct states among the samples."""
    samples: int
    richness: float
    """Estimate of how many there are, itself from below (Chao 1984): no bound."""
    unseen_mass: float
    """Estimated probability that the next state is one not yet seen (Good 1953)."""
    plug_in_bits: float
    """Entropy of the samples' own distribution: below that of the states, at most log2 of the samples."""

    def __float__(self) -> float:
        return self.possible.value_bits


def distinct_states(
    states: Shaped[Tensor, "rows dim"] | Shaped[np.ndarray, "rows dim"], precision: str | None = None
) -> DistinctStates:
    r"""Upper bound on the information in a quantised state from how many states there are, in bits.

    .. math:: I(X; H) \le H(H) \le \log_2 \prod_j L_j

    for states of deterministic rounding too, which a noise model only approximates. The number of distinct states seen
    is no bound, however many samples there are, and is reported as what it is.

    Args:
        states: States as observed: floats that were rounded, or integers.
        precision: Format that the states were rounded to, as in `infodil.precision.Quantizer`; by default that of their
            dtype where it is of whole numbers, else the coarsest float that holds all of these samples.

    Returns:
        The bound, and how many states the samples have shown.

    Raises:
        UserError: The precision is unknown or adds noise, or the states are no matrix or not finite.

    Reference:
        Good (1953), Biometrika 40, equation 9; for the number of states see `infodil.entropy.chao1`.

    Example:
        >>> found = distinct_states(torch.tensor([[1, -1], [1, -1], [0, 1]], dtype=torch.int8))
        >>> float(found), found.seen  # two numbers of 256 levels
        (16.0, 2)
    """
    values = torch.as_tensor(states).detach().cpu()
    if values.dim() != 2 or values.numel() == 0:
        raise UserError(f"`states` must be [rows, dim] and not empty, got shape {list(values.shape)}: pass a matrix.")
    if values.is_floating_point() and not values.isfinite().all():
        raise UserError("`states` must be finite, got NaN or infinity: leave such states out.")
    rows, dim = values.shape
    warnings: tuple[str, ...] = ()
    if precision is not None:
        levels = levels_of(precision)
    elif values.is_floating_point():
        precision = detect(values)
        levels = levels_of(precision)
        warnings = (f"The format {precision} was found in these samples: a state off its grid would void the bound.",)
    else:
        levels = 2 if values.dtype == torch.bool else 2 ** torch.iinfo(values.dtype).bits
    bits = dim * math.log2(levels)
    wide = values.double() + 0.0 if values.is_floating_point() else values.long()
    _, group = group_rows(wide.numpy().view(np.int64))
    count = np.bincount(group)
    return DistinctStates(
        possible=Estimate(
            bits, bits, bits, kind="upper bound", samples=rows, method=f"{levels:,} levels a number", warnings=warnings
        ),
        seen=len(count),
        samples=rows,
        richness=float(chao1(count)),
        unseen_mass=int((count == 1).sum()) / rows,
        plug_in_bits=float(entropy_nats(count, "plug-in")) * BITS_PER_NAT,
    )


def levels_of(precision: str) -> int:
    """Number of different values that a format has: finite ones, zero counted once.

    Args:
        precision: Format, one of `infodil.precision.PRECISIONS`.

    Returns:
        The number of values.

    Raises:
        UserError: The precision is unknown, or adds noise and so has no levels.

    Example:
        >>> levels_of("int8"), levels_of("float8_e4m3"), levels_of("bfloat16")
        (255, 253, 65279)
    """
    check_precision(precision)
    if precision == "int8":
        return INT8_LEVELS
    if precision not in FORMATS:
        raise UserError(f"`precision` {precision!r} adds noise and has no levels: use infodil.bounds.budget.")
    form = FORMATS[precision]
    # Positive numbers of a float are numbered by their bits, up to the largest.
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}[form.dtype.itemsize]
    return 2 * int(torch.tensor(form.largest, dtype=torch.float64).to(form.dtype).view(width)) + 1
