"""What a caller passed to a bound, checked and made float64 on the CPU; and the spread of a mean over documents."""

__all__ = [
    "check_confidence",
    "check_noise",
    "mean_variance",
    "noise_steps",
    "probabilities",
    "reaches",
    "wide_matrix",
]

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.stats import t as student
from torch import Tensor

from infodil.checks import UserError, check_between, check_one_of


def check_confidence(confidence: float) -> None:
    """Raise `UserError` unless an interval can have it."""
    check_between("confidence", confidence, 0.5, 0.9999)


def check_noise(noise: str) -> None:
    """Raise `UserError` unless the law of the noise is known."""
    check_one_of("noise", noise, ("gaussian", "uniform"))


def wide_matrix(argument: str, values: Tensor | np.ndarray, shape: str) -> Float[Tensor, "rows numbers"]:
    """A matrix of finite numbers; raise `UserError` where it is none."""
    found = torch.as_tensor(values).detach()
    if found.dim() != 2 or found.numel() == 0 or found.is_complex():
        raise UserError(f"`{argument}` must be {shape} and not empty, got shape {list(found.shape)}: pass a matrix.")
    found = found.cpu().double()
    if not found.isfinite().all():
        raise UserError(f"`{argument}` must be finite, got NaN or infinity: mend or leave out such rows.")
    return found


def noise_steps(sigma: float | int | Tensor | np.ndarray, scales: int, dim: int) -> Float[Tensor, "scales dim"]:
    """The size of the noise of each number; raise `UserError` unless it is positive and fits."""
    found = torch.as_tensor(sigma).detach().cpu().double()
    fits = [[], [dim], [scales, dim]]
    if list(found.shape) not in fits:
        raise UserError(
            f"`sigma` must be one number, [dim] or [scales, dim] of {[scales, dim]}, got shape {list(found.shape)}: "
            "pass the noise of each number of a state."
        )
    if not (found.isfinite() & (found > 0)).all():
        raise UserError(
            f"`sigma` must be finite and above 0, got {float(found.min())}: without noise a state may tell everything, "
            "and H(X) is the bound."
        )
    return found.expand(scales, dim)


def probabilities(prior: Tensor | np.ndarray | Sequence[float] | None, vocabulary: int) -> Float[Tensor, "vocabulary"]:
    """Probabilities of the types from weights; uniform where none are given."""
    if prior is None:
        return torch.full((vocabulary,), 1.0 / vocabulary, dtype=torch.float64)
    found = torch.as_tensor(prior).detach().cpu().double()
    if list(found.shape) != [vocabulary]:
        raise UserError(f"`prior` must have shape [{vocabulary}], got {list(found.shape)}: pass one weight a type.")
    if not (found.isfinite() & (found >= 0)).all() or float(found.sum()) <= 0:
        raise UserError("`prior` must be finite, at least zero and not zero everywhere: pass counts or probabilities.")
    return found / found.sum()


def mean_variance(terms: Float[np.ndarray, "rows"], group: Int[np.ndarray, "rows"]) -> float:
    """Variance of the mean of terms that depend on each other within groups only."""
    sums = np.bincount(group, terms - terms.mean())
    return float((sums**2).sum()) * len(sums) / (len(sums) - 1) / len(terms) ** 2


def reaches(terms: Float[np.ndarray, "rows"], group: Int[np.ndarray, "rows"], confidence: float) -> tuple[float, float]:
    """How many standard errors the interval of the mean reaches down and up: Student's t, and further up where skewed.

    A mean of terms with a long upper tail is more often far too low than far too high, and looks more certain where it
    is: the upper end moves by the skewness term of the Student statistic (Johnson 1978, JASA 73; Hall 1992, The
    Bootstrap and Edgeworth Expansion, section 2.6). The lower one stays, and errs on the side of less.
    """
    sums = np.bincount(group, terms - terms.mean())
    reach = float(student.ppf(0.5 + confidence / 2, len(sums) - 1))
    spread = float(np.sqrt((sums**2).mean()))
    skewness = float((sums**3).mean()) / spread**3 if spread > 0 else 0.0
    return reach, reach + max(0.0, skewness) * (2.0 * reach**2 + 1.0) / (6.0 * np.sqrt(len(sums)))
