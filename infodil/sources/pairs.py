"""What a source of two variables gives: samples, the groups they come in, and the truth in bits."""

__all__ = ["Pair", "Recall", "separate"]

from dataclasses import dataclass

import torch
from jaxtyping import Float64, Int64
from torch import Tensor

from infodil.checks import UserError

Samples = Int64[Tensor, "samples"] | Float64[Tensor, "samples _"]
"""A discrete variable as integers, a continuous one as vectors."""


@dataclass(frozen=True, eq=False)
class Pair:
    """Samples of two variables whose mutual information is known.

    Example:
        >>> pair = Pair(torch.tensor([0, 1]), torch.tensor([1, 0]), torch.arange(2), truth_bits=1.0)
        >>> len(pair), pair.is_exact
        (2, True)
    """

    x: Samples
    y: Samples
    groups: Int64[Tensor, "samples"]
    """Samples of one group depend on one another; groups do not."""
    truth_bits: float
    standard_error_bits: float = 0.0
    """Standard error of the truth, where it is a Monte Carlo mean; 0 where it is exact."""

    def __len__(self) -> int:
        """Number of samples."""
        return len(self.groups)

    @property
    def is_exact(self) -> bool:
        """Whether the truth is known to rounding."""
        return self.standard_error_bits == 0.0


@dataclass(frozen=True, eq=False)
class Recall:
    """States, the tokens at several lags behind each, and how many bits of each token a state holds."""

    states: Float64[Tensor, "samples dim"]
    tokens: Int64[Tensor, "samples lags"]
    groups: Int64[Tensor, "samples"]
    """The document of each state."""
    lags: tuple[int, ...]
    truth_bits: tuple[float, ...]
    """Mutual information at each lag."""
    standard_error_bits: tuple[float, ...]
    """Standard error of each truth, where it is a Monte Carlo mean; 0 where it is exact."""

    def at(self, lag: int) -> Pair:
        """Token and state at one lag.

        Raises:
            UserError: `lag` is not among `lags`.
        """
        if lag not in self.lags:
            raise UserError(f"`lag` must be one of {list(self.lags)}, got {lag}: ask the source for more lags.")
        column = self.lags.index(lag)
        truth, error = self.truth_bits[column], self.standard_error_bits[column]
        return Pair(self.tokens[:, column], self.states, self.groups, truth, error)


def separate(samples: int) -> Int64[Tensor, "samples"]:
    """Groups of independent samples: each its own.

    Args:
        samples: How many samples there are.

    Returns:
        A group for each sample.
    """
    return torch.arange(samples)
