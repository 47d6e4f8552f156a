"""The fit of one probe to some sites: passes over the training rows, then calibration on held-out rows."""

__all__ = ["FittedProbe", "fit_probe"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from infodil.ladder.data import LadderData
from infodil.probes import Calibration, Probe, ProbeFit, fit_temperature, log_predictive, prior_smoothing
from infodil.processes import current
from infodil.progress import progress_bar


@dataclass(frozen=True, eq=False)
class FittedProbe:
    """A probe fitted and calibrated at one site."""

    fit: ProbeFit
    given_context: list[dict[str, float]]
    """For each target and context model, the temperature of its evidence when it is added to what the context already
    says."""
    smoothings: list[float]
    """For each target, the share of the prediction that stays with the prior (`prior_smoothing`)."""
    gain: Float[Tensor, "targets rows"]
    """Log-probability of each calibration row's class beyond the prior's, nats; zero where a row has no label or was
    not read."""
    read: Bool[Tensor, "rows"]
    """The calibration rows that were read: all, but for slow probes."""

    @property
    def probe(self) -> Probe:
        """The probe with its options."""
        return self.fit.probe

    def smoothing_nats(self, target: int) -> float:
        """The most that smoothing takes from the log-probability of a row; zero where the prediction is the prior."""
        return -math.log1p(-self.smoothings[target]) if self.fit.temperatures[target] else 0.0

    def gain_on(self, rows: Bool[Tensor, "rows"]) -> Float[Tensor, "targets"]:
        """Total gain of each target over some calibration rows, nats; minus infinity where it is not a number."""
        total = self.gain[:, rows].sum(1)
        return torch.where(total.isnan(), -torch.inf, total)


def fit_probe(
    data: LadderData, probe: Probe, sites: Sequence[str], base: Mapping[str, FittedProbe]
) -> dict[str, FittedProbe]:
    """One probe fitted at some sites; all of them and all targets share each pass over the training rows.

    Each of several processes fits the probe at some of the sites, on all rows, and hands it to the others.

    Args:
        data: Training and calibration rows.
        probe: The probe with its options.
        sites: Where it is fitted.
        base: The fitted weaker probe of each site that has one, which this one may start from.

    Raises:
        UserError: The probe does not apply to a site.
    """
    fits = {site: probe.start_fit(data.specs[site], base[site].fit if site in base else None) for site in sites}
    passes = {site: fit.passes for site, fit in fits.items()}
    mine = {site: fit for place, (site, fit) in enumerate(fits.items()) if current().owns(place)}
    last: dict[str, Calibration] = {}
    for number in range(max(passes.values(), default=0)):
        wanted = [site for site in sites if number < passes[site]]
        training = {site: fit for site, fit in mine.items() if site in wanted}
        message = f"{probe.name}: pass {number + 1} of {max(passes.values())}"
        for rows in data.train.chunks(message, data.seed * 1009 + number, wanted):
            for site, fit in training.items():
                fit.update(data.view(site, rows.states[site], fit.raw), rows.labels)
        choosing = progress_bar(training.items(), f"{probe.name}: choosing", shown=data.progress, unit="site")
        for site, fit in choosing:
            last[site] = calibration_of(data, site, fit)
            fit.end_pass(last[site])
    fitted = {
        site: calibrate(data, fit, last.pop(site, None) or calibration_of(data, site, fit))
        for site, fit in mine.items()
    }
    return current().hand_round(fitted, sites, data.classes.class_log_prior.device)


def calibration_of(data: LadderData, site: str, fit: ProbeFit) -> Calibration:
    """The calibration rows that a probe reads at a site."""
    rows = data.calibration.chosen(fit.probe.max_rows)
    return Calibration(data.view(site, data.calibration.states[site][rows], fit.raw), data.calibration.labels[:, rows])


def calibrate(data: LadderData, fit: ProbeFit, calibration: Calibration) -> FittedProbe:
    """Temperatures beside the context, smoothing, and the gain over the prior on each calibration row."""
    base, rows = data.classes.class_log_prior, data.calibration.chosen(fit.probe.max_rows)
    labels, prepared = data.calibration.labels, calibration.prepare(fit)
    gain = torch.zeros(labels.shape, dtype=torch.float64)
    labelled = calibration.labels >= 0
    smoothings = [prior_smoothing(number) for number in labelled.sum(1).tolist()]
    given_context = []
    for target, context in enumerate(data.calibration.context):
        places = torch.nonzero(labelled[target]).squeeze(1)
        label, scores = calibration.labels[target, places], fit.scores(prepared[places], target)
        log = log_predictive(base, scores, fit.temperatures[target], smoothings[target], label)
        gain[target, rows[places].cpu()] = (log - base[label].double()).cpu()
        # The context is known for the rows with a label, in their order.
        known = (labels[target] >= 0).cumsum(0)[rows[places]] - 1
        given_context.append({name: fit_temperature(one[known], scores, label)[0] for name, one in context.items()})
    read = torch.zeros(labels.shape[1], dtype=torch.bool)
    read[rows.cpu()] = True
    return FittedProbe(fit, given_context, smoothings, gain, read)
