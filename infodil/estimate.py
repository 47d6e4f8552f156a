"""The one number type: a quantity of information in bits, with its interval and its side of the truth."""

import math
from dataclasses import dataclass
from typing import Literal

from infodil.checks import check_between, check_one_of

__all__ = ["Estimate", "Kind", "BITS_PER_NAT"]

Kind = Literal["estimate", "lower bound", "upper bound"]

BITS_PER_NAT = 1.0 / math.log(2.0)
"""Nats inside, bits where a person looks: the only conversion in the package."""


@dataclass(frozen=True)
class Estimate:
    """A quantity in bits.

    Nothing is clipped: a certified lower bound may be negative, which says no more than "at least nothing".

    Example:
        >>> bits = Estimate(1.5, 1.4, 1.6, kind="lower bound", samples=4000, method="gaussian")
        >>> float(bits)
        1.5
        >>> print(bits)
        1.500 bits [1.400, 1.600] (lower bound, 95% interval, 4,000 samples, gaussian)
    """

    value_bits: float
    low_bits: float
    high_bits: float
    confidence: float = 0.95
    kind: Kind = "estimate"
    samples: int = 0
    method: str = ""
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check_between("confidence", self.confidence, 0, 1, open_low=True)
        check_one_of("kind", self.kind, ["estimate", "lower bound", "upper bound"])

    def __float__(self) -> float:
        return float(self.value_bits)

    def __str__(self) -> str:
        words = [self.kind, f"{self.confidence:.0%} interval", f"{self.samples:,} samples", self.method]
        interval = f"[{self.low_bits:.3f}, {self.high_bits:.3f}]"
        return f"{self.value_bits:.3f} bits {interval} ({', '.join(word for word in words if word)})"
