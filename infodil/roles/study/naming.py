"""Name units by roles after they were learned, and score the names."""

__all__ = ["Naming", "name_units"]

from dataclasses import dataclass

import torch
from jaxtyping import Int64
from scipy.optimize import linear_sum_assignment
from sklearn.metrics import v_measure_score
from torch import Tensor

from infodil.checks import UserError, check_whole

UNNAMED = -1


@dataclass(frozen=True, eq=False)
class Naming:
    """A role for each unit, two ways."""

    many_to_one: Int64[Tensor, "units"]
    """The role that most of a unit's tokens have; -1 for a unit that never won."""
    one_to_one: Int64[Tensor, "units"]
    """At most one unit a role, so that most tokens are right (Kuhn 1955); the other units are -1."""
    v_measure: float
    """Harmonic mean of homogeneity and completeness, 0 to 1; needs no names (Rosenberg and Hirschberg 2007)."""
    chance: float
    """Share of tokens that many-to-one names get right when units are dealt to tokens at random."""


def name_units(
    units: Int64[Tensor, "*shape"], roles: Int64[Tensor, "*shape"], *, number: int, role_number: int, seed: int = 0
) -> Naming:
    """Names of units by the roles of training text.

    Args:
        units: Unit of each token; negative for no token.
        roles: Role of each token; negative for one that has none and gives no name.
        number: Number of units.
        role_number: Number of roles.
        seed: Seed of the chance control.

    Returns:
        The names and their scores.

    Raises:
        UserError: No token with a unit and a role.

    Example:
        >>> naming = name_units(torch.tensor([0, 0, 1, 2]), torch.tensor([1, 1, 0, 0]), number=3, role_number=2)
        >>> naming.many_to_one.tolist(), naming.one_to_one.tolist()
        ([1, 0, 0], [1, 0, -1])
    """
    check_whole("number", number, 1, "pass how many units there are")
    here = (units >= 0) & (roles >= 0)
    if not bool(here.any()):
        raise UserError(
            "`units` must have at least one token with a role, got padding alone: pass the units of a text."
        )
    won, role = units[here], roles[here]
    counts = tally(won, role, number, role_number)
    many = torch.where(counts.sum(1) > 0, counts.argmax(1), UNNAMED)
    one = torch.full((number,), UNNAMED)
    rows, columns = linear_sum_assignment(counts.numpy(), maximize=True)
    one[rows] = torch.from_numpy(columns)
    dealt = won[torch.randperm(len(won), generator=torch.Generator().manual_seed(seed))]
    chance = float(tally(dealt, role, number, role_number).max(1).values.sum() / len(won))
    return Naming(many, one, float(v_measure_score(role.numpy(), won.numpy())), chance)


def tally(units: Tensor, roles: Tensor, number: int, role_number: int) -> Int64[Tensor, "units roles"]:
    """How often each unit won a token of each role."""
    return torch.bincount(units * role_number + roles, minlength=number * role_number).view(number, role_number)
