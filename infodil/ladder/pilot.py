"""Choice of costly probes on a pilot: rows that are not tested by what is chosen on them."""

__all__ = ["Pilot", "costly_apply", "run_pilot"]

from dataclasses import dataclass, replace

import torch

from infodil.ladder.data import STATES, LadderData
from infodil.ladder.fit import FittedProbe
from infodil.ladder.ladder import FittedLadder
from infodil.ladder.selection import is_significant, read_by_all
from infodil.probes import ClassMap, ProbeChoice, ProbeSpec


@dataclass(frozen=True, eq=False)
class Pilot:
    """What a ladder fitted to few rows says about fits to more of them."""

    choice: ProbeChoice
    """The probes that are worth fitting: all but the costly ones that add nothing."""
    fitted: tuple[LadderData, FittedProbe] | None
    """The probe that predicts, where more rows would not change its fit."""


def run_pilot(data: LadderData, ladder: FittedLadder, choice: ProbeChoice, train_rows: int) -> Pilot:
    """The costly probe that is worth fitting to more rows, if any.

    Args:
        data: Rows of the pilot.
        ladder: All probes, fitted to them.
        choice: The probes that may be fitted.
        train_rows: Training rows of the pilot.
    """
    fitted = ladder.fitted[STATES]
    rows = read_by_all(fitted)
    gains = {name: probe.gain[0, rows].numpy() for name, probe in fitted.items()}
    cheap = max((gain for name, gain in gains.items() if not fitted[name].probe.costly), key=lambda gain: gain.sum())
    added = {name: gain - cheap for name, gain in gains.items() if fitted[name].probe.costly}
    best = max(added, key=lambda name: added[name].sum(), default=None)
    if best is not None and not is_significant(added[best]):
        best = None
    worth = {name: probe for name, probe in choice.available.items() if not probe.costly or name == best}
    enough = None if best is None else fitted[best].probe.enough_rows
    shared = enough is not None and train_rows >= enough
    return Pilot(replace(choice, available=worth), (data, fitted[best]) if shared else None)


def costly_apply(choice: ProbeChoice, dim: int, classes: ClassMap) -> bool:
    """Whether some costly probe could be fitted to states of so many dims.

    Args:
        choice: The probes that may be fitted.
        dim: Numbers in a state.
        classes: What probes tell apart.
    """
    spec = ProbeSpec(dim, 1, classes, 0, torch.device("cpu"), 0)
    return any(probe.costly and probe.applies(spec) for probe in choice.available.values())
