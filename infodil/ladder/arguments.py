"""Checks of tokens, states and groups in memory, made before anything is computed."""

__all__ = ["check_groups", "check_states", "check_tokens"]

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError
from infodil.statistics import number_groups, read_array

LEAST_SAMPLES = 100
"""With fewer rows than this, too few are left to train, select and test on."""

FEWEST_GROUPS = 10
"""Some groups are held out from training, some from selection."""


def check_tokens(tokens: Any) -> Int[ndarray, "samples"]:
    """The types numbered from zero on.

    Args:
        tokens: Token ids, one for each row.

    Returns:
        Ids without gaps.

    Raises:
        UserError: Ids that are not whole numbers, fewer than 100 samples, or one type only.
    """
    tokens = whole_numbers("tokens", tokens, "pass token ids, such as tokens.astype(int)")
    if len(tokens) < LEAST_SAMPLES:
        raise UserError(
            f"`tokens` has {len(tokens)} samples, too few to train, choose and test on: pass at least {LEAST_SAMPLES}."
        )
    types, numbered = np.unique(tokens, return_inverse=True)
    if len(types) < 2:
        raise UserError(
            f"`tokens` has one type only, {types[0]}: pass tokens of at least two, else nothing is unknown."
        )
    return numbered


def check_states(states: Any, samples: int) -> Float[Tensor, "samples dim"]:
    """The states as a tensor of two axes.

    Args:
        states: One state for each token.
        samples: Number of tokens.

    Returns:
        Floating-point states on the CPU.

    Raises:
        UserError: Another shape or number of states, or numbers that are not floating or not finite.
    """
    states = torch.from_numpy(read_array("states", states)[0])
    states = states[:, None] if states.dim() == 1 else states
    if states.dim() != 2 or states.shape[1] == 0:
        raise UserError(f"`states` must be [samples, dim], got shape {list(states.shape)}: put the samples first.")
    if len(states) != samples:
        raise UserError(f"`states` has {len(states)} rows for {samples} tokens: pass one state for each token.")
    if not states.is_floating_point():
        raise UserError(f"`states` must be floating point, got {states.dtype}: convert them with .astype(float).")
    if not bool(states.isfinite().all()):
        raise UserError("`states` must be finite, got NaN or infinity: leave such rows out.")
    return states


def check_groups(groups: Any, rows: int) -> Int[ndarray, "rows"] | None:
    """The groups numbered from 0; None without groups.

    Args:
        groups: One label a row, or None.
        rows: Number of rows.

    Returns:
        The number of the group of each row.

    Raises:
        UserError: Not one label a row, or fewer than ten groups.
    """
    return None if groups is None else number_groups(groups, rows, FEWEST_GROUPS)


def whole_numbers(name: str, values: Any, way_out: str) -> Int[ndarray, "samples"]:
    """The values as one axis of integers."""
    values = read_array(name, values)[0]
    if values.ndim != 1:
        raise UserError(f"`{name}` must be [samples], got shape {list(values.shape)}: pass one id for each row.")
    if not np.issubdtype(values.dtype, np.integer):
        raise UserError(f"`{name}` must be whole numbers, got {values.dtype}: {way_out}.")
    return values
