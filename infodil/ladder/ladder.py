"""The ladder of probes: which are fitted, on what each rests, and which one predicts each target."""

__all__ = ["EXHAUSTIVE", "AutoSearch", "FittedLadder", "fit_ladder", "probes_to_fit"]

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from infodil.ladder.data import LadderData
from infodil.ladder.fit import FittedProbe, fit_probe
from infodil.ladder.selection import adds, read_by_all, select
from infodil.probes import Probe, ProbeChoice, control_probe


@dataclass(frozen=True)
class AutoSearch:
    """The probes that `auto` fits; which of them predicts a target is another question (`select`)."""

    until_nothing_added: bool = True
    """Whether the search ends at a probe whose gain over the best weaker one, summed over lags, is not above zero by
    its interval: each further probe is another pass over all states. False tries every probe that applies, for a
    nonlinear code may show nothing to the first ones."""
    least_open_nats: float = 0.0
    """Cross-entropy on the calibration rows below which nothing is left to be read and the search ends."""
    most_flops: float = float("inf")
    """Operations of training above which a probe is left out and named in `left_out`."""
    slow_last: bool = False
    """Whether slow probes come last, rather than in their place on the ladder: they may then not be needed."""


EXHAUSTIVE = AutoSearch(until_nothing_added=False, least_open_nats=0.003, most_flops=2e12, slow_last=True)
"""Every probe that applies, for rows in memory: a minute on one core for a probe of one fold, at most."""


@dataclass(frozen=True, eq=False)
class FittedLadder:
    """Fitted probes of every site, and the one selected for each target."""

    fitted: dict[str, dict[str, FittedProbe]]
    """`fitted[site][probe]`, weakest first; also probes that are not reported but that stronger ones rest on."""
    probes: tuple[str, ...]
    """The probes to report, weakest first."""
    control: dict[str, FittedProbe]
    """The closed-form probe of the sites with random weights, under the names of `control_of`."""
    selected: dict[str, dict[str, list[str]]]
    """`selected[site][probe][target]`: the probe whose prediction is used, the probe itself or a weaker one."""
    left_out: tuple[str, ...] = ()
    """Probes that `auto` left out for what they cost."""

    def entries(self) -> list[tuple[str, str]]:
        """Site and probe of what is reported."""
        return [(site, probe) for site, fitted in self.fitted.items() for probe in self.probes if probe in fitted]

    def predictor(self, site: str, probe: str, target: int) -> FittedProbe:
        """The fitted probe whose prediction is used for a target."""
        return self.fitted[site][self.selected[site][probe][target]]

    def gain(self, site: str, probe: str) -> Float[ndarray, "targets"]:
        """Total gain over the prior of each target, over the calibration rows that every probe has read, nats."""
        fitted = self.fitted[site]
        rows = read_by_all(fitted)
        totals = {name: fitted[name].gain_on(rows).numpy() for name in set(self.selected[site][probe])}
        return np.array([totals[name][target] for target, name in enumerate(self.selected[site][probe])])

    def best(self, site: str) -> list[str]:
        """For each target, the reported probe of greatest gain; of equal ones the weakest."""
        probes = [probe for probe in self.probes if probe in self.fitted[site]]
        places = np.array([self.gain(site, probe) for probe in probes]).argmax(0)
        return [probes[place] for place in places]

    def strongest(self, site: str) -> str:
        """The reported probe of greatest gain over all lags; one that reads whole splits where there is one."""
        probes = [probe for probe in self.probes if probe in self.fitted[site]]
        whole = [probe for probe in probes if self.fitted[site][probe].probe.max_rows is None]
        return max(whole or probes, key=lambda probe: self.gain(site, probe)[1:].sum())


def fit_ladder(
    data: LadderData, choice: ProbeChoice, search: AutoSearch | None = None, confidence: float = 0.95
) -> FittedLadder:
    """Fit the probes asked for and those that they rest on, calibrate them, and select one for each target.

    A trained probe starts from the one before it. A probe that requires a superposition rests on none, and `auto` fits
    it wherever it applies.

    Args:
        data: Training and calibration rows.
        choice: The probes that are asked for, or `auto`.
        search: How far `auto` goes.
        confidence: Confidence level of the interval beyond which a probe must add something.

    Returns:
        Every fitted probe, and the selected one of each target.

    Raises:
        UserError: A probe that was asked for applies to none of the sites.
    """
    search = search or AutoSearch()
    check_places(data, choice)
    fitted, control, left_out = fit_in_turn(data, choice, search, confidence)
    if data.controls and not control:
        control = fit_probe(data, choice.available[control_probe()], data.controls, {})
    fitted = {site: {name: one[name] for name in choice.available if name in one} for site, one in fitted.items()}
    names = [name for name in choice.available if choice.wants(name) and any(name in one for one in fitted.values())]
    selected = {site: select(one) for site, one in fitted.items()}
    return FittedLadder(fitted, tuple(names), control, selected, tuple(left_out))


Fitted = dict[str, dict[str, FittedProbe]]


def fit_in_turn(
    data: LadderData, choice: ProbeChoice, search: AutoSearch, confidence: float
) -> tuple[Fitted, dict[str, FittedProbe], list[str]]:
    """Fitted probes by site, those of sites with random weights, and names of the probes left out for their cost."""
    automatic = choice.requested is None
    fitted: Fitted = {site: {} for site in data.sites}
    control: dict[str, FittedProbe] = {}
    base: dict[str, FittedProbe] = {}
    left_out, ended = [], False
    for probe in in_turn(choice, search) if automatic else needed(choice):
        sites = data.sites_for(probe)
        if not sites or (ended and not probe.requires_superposition):
            continue
        if automatic and max(probe.flops(data.specs[site]) for site in sites) > search.most_flops:
            left_out.append(probe.name)
            continue
        controls = data.controls if probe.name == control_probe() else []
        found = fit_probe(data, probe, [*sites, *controls], base)
        control |= {site: found.pop(site) for site in controls}
        if automatic and search.until_nothing_added and ends_search(probe, choice):
            ended = not any(improves(data, fitted[site], found[site], confidence) for site in found)
        for site, one in found.items():
            fitted[site][probe.name] = one
        ended = ended or (automatic and nothing_open(data, fitted, search.least_open_nats))
        if not (probe.requires_superposition or probe.independent_of_base):
            base = base | found
    return fitted, control, left_out


def probes_to_fit(choice: ProbeChoice) -> list[Probe]:
    """The probes that are surely fitted, weakest first: all that those asked for need, or what `auto` begins with.

    Args:
        choice: The probes that are asked for, or `auto`.

    Returns:
        The probes with their options.
    """
    if choice.requested is None:
        return [probe for probe in choice.available.values() if probe.closed_form]
    return needed(choice)


def in_turn(choice: ProbeChoice, search: AutoSearch) -> list[Probe]:
    """All probes, weakest first, slow ones last where the search says so."""
    return sorted(choice.available.values(), key=lambda probe: search.slow_last and probe.slow)


def needed(choice: ProbeChoice) -> list[Probe]:
    """The probes asked for, the prior, and the trained ones below the strongest trained one, weakest first."""
    trained = choice.trained
    top = max((trained.index(name) for name in choice.requested if name in trained), default=0)
    return [probe for name, probe in choice.available.items() if name in choice.requested or name in trained[: top + 1]]


def check_places(data: LadderData, choice: ProbeChoice) -> None:
    """Raise `UserError` where a probe that was asked for applies to no site, in the probe's own words."""
    for name in choice.requested or ():
        if not data.sites_for(choice.available[name]):
            choice.available[name].start_fit(data.specs[data.sites[0]])


def ends_search(probe: Probe, choice: ProbeChoice) -> bool:
    """Whether `auto` may end at a probe that adds nothing.

    Not at the prior, nor at a probe of the family of the one below it, nor at one that no stronger probe starts from.
    """
    never = probe.requires_superposition or probe.independent_of_base or probe.same_family_as_base
    return probe.name != choice.weakest and not never


def improves(data: LadderData, weaker: Mapping[str, FittedProbe], fitted: FittedProbe, confidence: float) -> bool:
    """Whether a probe adds something to the weaker ones of its site."""
    calibration = data.calibration
    return adds(list(weaker.values()), fitted, calibration.cluster, calibration.documents, confidence)


def nothing_open(data: LadderData, fitted: Mapping[str, Mapping[str, FittedProbe]], least_nats: float) -> bool:
    """Whether the selected probes leave no more cross-entropy than this beside smoothing, at every site and target."""
    if least_nats <= 0.0 or not all(fitted.values()):
        return False
    labels, prior = data.calibration.labels, data.classes.class_log_prior
    losses = []
    for probes in fitted.values():
        best = list(select(probes).values())[-1]
        for target, name in enumerate(best):
            label = labels[target][labels[target] >= 0]
            surprise = -float(prior[label].double().sum())
            left = (surprise - float(probes[name].gain[target].sum())) / len(label)
            losses.append(left - probes[name].smoothing_nats(target))
    return max(losses) < least_nats
