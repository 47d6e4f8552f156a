"""What a caller passed to a bound, checked and made float64 on the CPU."""

__all__ = ["check_noise", "noise_steps", "probabilities", "wide_matrix"]

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_not_masked, check_one_of


def check_noise(noise: str) -> None:
    """Raise `UserError` unless the law of the noise is known."""
    check_one_of("noise", noise, ("gaussian", "uniform"))


def wide_matrix(argument: str, values: Tensor | np.ndarray, shape: str) -> Float[Tensor, "rows numbers"]:
    """A matrix of finite numbers; raise `UserError` where it is none."""
    check_not_masked(argument, values)
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
