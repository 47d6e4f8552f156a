"""The registry of probes, weakest first, and what a caller asks of it."""

__all__ = ["AUTO", "PROBES", "ProbeChoice", "choose_probes", "control_probe", "describe_probes"]

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from infodil.checks import UserError, check_not_empty, check_one_of
from infodil.probes.exact import Exact
from infodil.probes.gaussian.probe import Gaussian
from infodil.probes.neighbours.probe import Neighbours
from infodil.probes.neural.linear import Linear
from infodil.probes.neural.mlp import MLP
from infodil.probes.prior import Prior
from infodil.probes.probe import Probe
from infodil.probes.superposition.probe import Pursuit
from infodil.probes.trace.probe import Trace

AUTO = "auto"
"""In place of a probe: as many as add something."""

PROBES: dict[str, Probe] = {
    probe.name: probe for probe in (Prior(), Gaussian(), Linear(), MLP(), Neighbours(), Trace(), Pursuit(), Exact())
}
"""Name to probe with its default options, weakest first: one entry makes a probe known everywhere."""


@dataclass(frozen=True)
class ProbeChoice:
    """The probes that a caller asked for, among all that there are."""

    available: Mapping[str, Probe]
    """All probes by name, weakest first, with the caller's options in place of the defaults."""
    requested: tuple[str, ...] | None
    """Names of those asked for, weakest first; None for as many as add something."""

    @property
    def trained(self) -> list[str]:
        """Names of the probes that need nothing but states, weakest first."""
        return [name for name, probe in self.available.items() if not probe.requires_superposition]

    @property
    def weakest(self) -> str:
        """The name of the prior."""
        return next(iter(self.available))

    def wants(self, name: str) -> bool:
        """Whether a probe may be reported."""
        return self.requested is None or name in self.requested

    def record(self) -> dict[str, object]:
        """The choice as plain values for a report: names, and the options that are not the defaults."""
        options = {name: changed_options(self.available[name]) for name in self.requested or ()}
        options = {name: changed for name, changed in options.items() if changed}
        names = AUTO if self.requested is None else list(self.requested)
        return {"probes": names} | ({"probe_options": options} if options else {})


def choose_probes(probes: str | Probe | Iterable[str | Probe], argument: str = "probes") -> ProbeChoice:
    """Probes by name or with options of their own, or `auto`.

    Args:
        probes: Names of `PROBES`, instances such as `MLP(width=256)`, or `"auto"`. A probe that is not in `PROBES`
            counts as the strongest.
        argument: Name of the caller's argument, for messages.

    Returns:
        All probes with the caller's options, and the names of those asked for.

    Raises:
        UserError: Nothing at all, an unknown name, a probe twice, or `auto` beside others.
    """
    probes = list(probes) if isinstance(probes, Iterable) and not isinstance(probes, str | Probe) else [probes]
    check_not_empty(argument, probes, f"pass some of {', '.join(PROBES)}, or {AUTO!r}")
    if probes == [AUTO]:
        return ProbeChoice(dict(PROBES), None)
    available: dict[str, Probe] = dict(PROBES)
    requested: list[str] = []
    for probe in probes:
        if probe == AUTO:
            raise UserError(f"`{argument}` must be {AUTO!r} alone or probes by name, got both: leave one of them out.")
        if isinstance(probe, Probe):
            if probe.name in requested and available[probe.name] != probe:
                raise UserError(f"`{argument}` has {probe.name!r} twice with different options: measure them in turn.")
            available[probe.name] = probe
        else:
            check_one_of(argument, probe, [*PROBES, AUTO])
        requested.append(probe if isinstance(probe, str) else probe.name)
    return ProbeChoice(available, tuple(name for name in available if name in requested))


def changed_options(probe: Probe) -> dict[str, object]:
    """The options of a probe that differ from its defaults."""
    return {
        field.name: getattr(probe, field.name)
        for field in dataclasses.fields(probe)
        if getattr(probe, field.name) != field.default
    }


def control_probe() -> str:
    """The name of the probe of the random-weight control and of the learning curve: the first in closed form.

    Returns:
        A name of `PROBES`.
    """
    return next(name for name, probe in PROBES.items() if probe.closed_form)


def describe_probes() -> str:
    """All probes, weakest first, each with its summary.

    Returns:
        One line, for the help of the command line.
    """
    return "; ".join(f"{name}: {probe.summary}" for name, probe in PROBES.items())
