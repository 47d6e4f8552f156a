"""Quantities of information in bits, each with its interval and its side of the truth."""

import json
import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from infodil.checks import UserError, check_between, check_one_of, write_whole

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Bounds", "Estimate", "Kind", "BITS_PER_NAT"]

Kind = Literal["estimate", "lower bound", "upper bound"]

BITS_PER_NAT = 1.0 / math.log(2.0)
"""Nats inside, bits where a person looks: the only conversion in the package."""


@dataclass(frozen=True)
class Estimate:
    """A quantity of information in bits.

    Nothing is clipped: a certified lower bound may be negative, which says no more than "at least nothing".

    Attributes:
        value_bits: The figure itself.
        low_bits: Low end of the interval.
        high_bits: High end of the interval.
        confidence: Confidence level of the interval.
        kind: Side of the truth: `"estimate"`, `"lower bound"` or `"upper bound"`.
        samples: Number of data rows, or of Monte Carlo draws where nothing was measured.
        method: Name of the estimator or bound.
        warnings: Sentences about what the figure does not hold.

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

    def to_frame(self) -> "pd.DataFrame":
        """Table of one row, a column for each attribute.

        Example:
            >>> Estimate(1.5, 1.4, 1.6).to_frame()[["value_bits", "low_bits"]].values.tolist()
            [[1.5, 1.4]]
        """
        import pandas as pd

        return pd.DataFrame([{**asdict(self), "warnings": " ".join(self.warnings)}])

    def save(self, path: str | Path) -> Path:
        """Write the estimate as JSON.

        Args:
            path: File to write.

        Returns:
            The path of the file.
        """
        return write_whole(path, json.dumps(asdict(self), indent=1) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> "Estimate":
        """Read an estimate that `save` wrote.

        Args:
            path: File to read.

        Raises:
            UserError: There is no such file, or it holds no estimate.
        """
        try:
            fields = json.loads(Path(path).read_text(encoding="utf-8"))
            return cls(**{**fields, "warnings": tuple(fields["warnings"])})
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise UserError(
                f"`path` {str(path)!r} holds no estimate ({type(error).__name__}): "
                "pass a file that Estimate.save wrote."
            ) from None


class Bounds(NamedTuple):
    """A lower and an upper bound on one quantity; unpacks like a pair.

    Attributes:
        lower: The truth is above its low end with its confidence.
        upper: The truth is below its high end with its confidence.

    Example:
        >>> lower, upper = bounds = Bounds(Estimate(1.0, 0.9, 1.1, kind="lower bound"), Estimate(2.0, 1.9, 2.2))
        >>> print(bounds)
        from 0.900 to 2.200 bits
    """

    lower: Estimate
    upper: Estimate

    def __str__(self) -> str:
        return f"from {self.lower.low_bits:.3f} to {self.upper.high_bits:.3f} bits"

    def to_frame(self) -> "pd.DataFrame":
        """Table of two rows, the lower bound first."""
        import pandas as pd

        return pd.concat([self.lower.to_frame(), self.upper.to_frame()], ignore_index=True)
