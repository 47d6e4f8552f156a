"""Climb the ladder of readers: which rungs are fitted, which one answers for which, and when to stop."""

__all__ = ["FittedLadder", "fit_ladder"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError
from infodil.ladder.fit import FittedProbe, LadderFitter
from infodil.probes import ProbeChoice, control_probe
from infodil.statistics import bootstrap_interval, bootstrap_weights, correlation_length, merge_cells

REPLICATES = 1000
MUCH = 1e6
"""Nats that stand for a gain that is not finite."""


@dataclass(frozen=True)
class FittedLadder:
    """All that was fitted."""

    fitted: dict[str, dict[str, FittedProbe]]
    """`fitted[site][probe]`, weakest first; also rungs that are not reported but that stronger ones rest on."""
    probes: tuple[str, ...]
    """The rungs to report, weakest first."""
    control: dict[str, FittedProbe]
    """The Gaussian reader of the sites with random weights, under the names of `control_of`."""
    answers: dict[str, dict[str, list[str]]]
    """`answers[site][probe][target]`: the rung whose evidence is used, the probe itself or a weaker one.

    A stronger family contains the weaker ones, so that where a weaker rung does better on the calibration rows, the
    stronger rung's fit has failed, and the stronger family's best known member is the weaker rung.
    """

    def entries(self) -> list[tuple[str, str]]:
        """Site and probe of what is reported."""
        return [(site, probe) for site, rungs in self.fitted.items() for probe in self.probes if probe in rungs]

    def nats(self, site: str, probe: str) -> list[float]:
        """Calibration loss of each target under the rung that answers, over the rows that every rung has read, nats."""
        rungs, answering = self.fitted[site], self.answers[site][probe]
        losses = {rung: losses_on(rungs[rung], read_by_all(rungs)) for rung in set(answering)}
        return [losses[rung][target] for target, rung in enumerate(answering)]

    def strongest(self, site: str) -> str:
        """The reported probe with the least calibration cross-entropy over all lags: the one the text view shows.

        A reader too slow to read a whole split is too slow for a passage; one that reads all is shown where there is.
        """
        probes = [probe for probe in self.probes if probe in self.fitted[site]]
        quick = [probe for probe in probes if self.fitted[site][probe].reader.probe.max_rows is None]
        probes = quick or probes
        return min(probes, key=lambda probe: sum(self.nats(site, probe)[1:]))


def fit_ladder(
    fitting: LadderFitter, choice: ProbeChoice, units: Int[ndarray, "rows"], documents: bool, confidence: float
) -> FittedLadder:
    """Fit the rungs that were asked for and those that they rest on; with `auto` as many as add something.

    A trained rung starts from the one below it. Rungs that know the code rest on none, and are tried wherever they
    apply.

    Args:
        fitting: What fitting needs.
        choice: The probes that are asked for.
        units: The document, or the cell of a long text, that each calibration row is from.
        documents: Whether the units are documents.
        confidence: Of the interval beyond which a rung must add something.

    Raises:
        UserError: A rung that was asked for by name applies to none of the sites.
    """
    fitted: dict[str, dict[str, FittedProbe]] = {site: {} for site in fitting.sites}
    control: dict[str, FittedProbe] = {}
    weaker: dict[str, FittedProbe] = {}
    done = False
    auto, followed = choice.requested is None, control_probe()
    planned = list(choice.available) if auto else needed(choice)
    places = {probe: fitting.where(probe) for probe in planned}
    check_places(fitting, choice.requested or (), places)
    for probe in planned:
        options = choice.available[probe]
        trained = not options.requires_superposition
        if not places[probe] or (done and trained):
            continue
        also = fitting.control_sites if probe == followed else []
        found = fitting.fit(probe, [*places[probe], *also], weaker)
        control |= {site: found.pop(site) for site in also}
        if auto and trained and probe != choice.weakest and not options.same_family_as_base:
            done = not any(
                adds(list(fitted[site].values()), found[site], units, documents, confidence, fitting.seed)
                for site in found
            )
        for site, fit in found.items():
            fitted[site][probe] = fit
        weaker = weaker | found if trained else weaker
    if fitting.control_sites and not control:
        control = fitting.fit(followed, fitting.control_sites, {})
    climbed = [probe for probe in planned if any(probe in rungs for rungs in fitted.values())]
    answers = {site: answering(rungs) for site, rungs in fitted.items()}
    return FittedLadder(fitted, tuple(climbed if auto else choice.requested), control, answers)


def needed(choice: ProbeChoice) -> list[str]:
    """The rungs asked for and the trained ones below the strongest trained one of them."""
    asked, trained = choice.requested, choice.trained
    top = max((trained.index(probe) for probe in asked if probe in trained), default=-1)
    return [probe for probe in choice.available if probe in asked or probe in trained[: top + 1]]


def check_places(fitting: LadderFitter, asked: Sequence[str], places: Mapping[str, list[str]]) -> None:
    """Raise `UserError` where a rung applies to no site, in the rung's own words."""
    for probe in asked:
        if not places[probe]:
            fitting.make(probe, fitting.sites[0], None)
            raise UserError(f"`probes` has {probe!r}, which applies to none of the sites: leave it out.")


def answering(rungs: Mapping[str, FittedProbe]) -> dict[str, list[str]]:
    """For each rung and target, the rung of least calibration cross-entropy among itself and the weaker ones."""
    answers: dict[str, list[str]] = {}
    best: list[str] = []
    losses = {probe: losses_on(fit, read_by_all(rungs)) for probe, fit in rungs.items()}
    for probe in rungs:
        best = [
            weak if losses[weak][target] < losses[probe][target] else probe
            for target, weak in enumerate(best or [probe] * len(losses[probe]))
        ]
        answers[probe] = best
    return answers


def read_by_all(rungs: Mapping[str, FittedProbe]) -> Bool[Tensor, "rows"]:
    """The calibration rows that every rung of a site has read: rungs are compared on the same rows."""
    return torch.stack([fit.read for fit in rungs.values()]).all(0)


def losses_on(fit: FittedProbe, rows: Bool[Tensor, "rows"]) -> list[float]:
    """For each target, the loss summed over some calibration rows, nats; infinite if it is not a number."""
    nats = -fit.calibration_log[:, rows].double().sum(1)
    return torch.where(nats.isnan(), torch.inf, nats).tolist()


def adds(
    weaker: Sequence[FittedProbe],
    fit: FittedProbe,
    units: Int[ndarray, "rows"],
    documents: bool,
    confidence: float,
    seed: int,
) -> bool:
    """Whether a rung says more than the best weaker one: the sum over lags, beyond its interval.

    Where a rung is worse than a weaker one, the weaker one answers for it; but lags that were picked for their gain
    show some gain even if there is none. They are picked on one half of the units for the other half, therefore.
    """
    nats = torch.tensor([each.calibration_nats for each in weaker])
    best = nats.argmin(0).tolist()
    old = torch.stack([weaker[place].calibration_log[target] for target, place in enumerate(best)])
    gain = (fit.calibration_log - old)[1:].nan_to_num(-MUCH, MUCH, -MUCH).double().cpu().numpy()
    unit = np.unique(units, return_inverse=True)[1]
    low = cross_picked_low(gain, in_blocks(gain, unit) if not documents else unit, confidence, seed)
    return low > 0.0


def in_blocks(gain: Float[ndarray, "lags rows"], unit: Int[ndarray, "rows"]) -> Int[ndarray, "rows"]:
    """Cells of a long text merged into blocks of about ten correlation times of the gain."""
    number = int(unit.max()) + 1
    series = np.stack([np.bincount(unit, each, minlength=number) for each in gain], 1)
    series /= np.bincount(unit, minlength=number)[:, None]
    return merge_cells(number, correlation_length(series))[unit]


def cross_picked_low(
    gain: Float[ndarray, "lags rows"], unit: Int[ndarray, "rows"], confidence: float, seed: int
) -> float:
    """Low end of the mean gain of a row over the lags that gain on the half of the units that the row is not in."""
    half, number = unit % 2, int(unit.max()) + 1
    if number < 4:
        return -np.inf
    kept = np.stack([gain[:, half != side].sum(1) > 0.0 for side in (0, 1)])
    total = np.where(kept[half].T, gain, 0.0).sum(0)
    sums, counts = (np.bincount(unit, each, minlength=number) for each in (total, np.ones(len(unit))))
    weights = bootstrap_weights(number, REPLICATES, seed)
    return float(bootstrap_interval((weights @ sums) / (weights @ counts), number, confidence)[0])
