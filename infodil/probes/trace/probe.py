"""The fitted-trace probe: Bayes' rule in an exponential trace whose embedding, decay and target lag are estimated."""

__all__ = ["Trace", "FittedTrace"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.probes.probe import ProbeFit, ProbeSpec
from infodil.probes.standardizer import whitening
from infodil.probes.subsampled import LocalProbe, SubsampledFit
from infodil.probes.trace.fit import TraceOptions, fit_trace
from infodil.probes.trace.model import TraceModel


@dataclass(frozen=True)
class Trace(LocalProbe):
    r"""Bayes' rule in a fitted model :math:`h = \mu + \sum_k q^k\, e(x_k) + n` of unknown embedding, decay and lag.

    To decode an old token of a small trace, the newer ones must be subtracted first, which a probe without a model must
    learn as one function of very many pieces. Where states are no such trace, the model says little and calibration
    gives it little weight.

    Reference:
        Shannon (1948) for Bayes' rule in a channel; see `infodil.probes.trace.fit` for the fit.
    """

    name = "trace"
    summary = "a fitted model of an exponential trace, for states of at most 16 dims and 32 types"
    independent_of_base = True

    estimation: TraceOptions = TraceOptions()
    """Options of the estimation of the trace."""
    min_rows: int = 256
    """Training rows without which no trace is fitted."""
    depths: tuple[int, ...] = (1, 2)
    """Numbers of searched tokens that are tried, counted from the target lag, beside that of the fit."""
    beams: tuple[int, ...] = (64, 192)
    """Numbers of kept sequences that are tried."""
    min_gain_nats: float = 0.002
    """Gain in cross-entropy for which a more expensive search is chosen."""
    choice_rows: int = 2048
    """Calibration rows on which the search is chosen."""
    dropped: float = 1e-3
    """Probability that the true sequence left the beam: this share of every posterior is the prior."""

    @property
    def enough_rows(self) -> int:
        """Rows that the last stage of the fit reads."""
        return self.estimation.max_rows

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "FittedTrace":
        """A fit that has seen no rows; it uses nothing of the weaker probe."""
        del base
        return FittedTrace(self, spec)


class FittedTrace(SubsampledFit):
    """For each target the map that makes states white, a model of these, and how many sequences are kept."""

    def learn(
        self, target: int, known: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, TraceModel, int] | None:
        """The whitening map, the model of white states and the number of kept sequences; None where nothing fits."""
        options = self.probe
        (states, labels), (held_out_states, held_out_labels) = known, held_out
        if len(states) < options.min_rows or len(held_out_states) == 0:
            return None
        white = whitening(states)
        white_states = (states.double() @ white).float()
        models = fit_trace(white_states, labels, self.spec.classes.number, self.spec.seed, options.estimation)
        searches = [
            (model.with_depth(depth), keep)
            for model in models
            for depth in self.depths(model)
            for keep in options.beams
        ]  # cheapest first
        best, lowest = None, float("inf")
        for model, keep in searches:
            log_posterior = self.log_posterior(held_out_states[: options.choice_rows], white, model, keep)
            loss = float(torch.nn.functional.nll_loss(log_posterior, held_out_labels[: options.choice_rows].cpu()))
            if loss < lowest - options.min_gain_nats:
                best, lowest = (white, model, keep), loss
        return best

    def depths(self, model: TraceModel) -> list[int]:
        """Numbers of searched tokens that are tried, fewest first: some beyond the target lag, and that of the fit."""
        beyond = self.probe.depths
        return sorted({*(model.lag + more for more in beyond), max(model.lag + max(beyond), model.depth)})

    def log_posterior(
        self, states: Float[Tensor, "rows dim"], white: Tensor, model: TraceModel, keep: int
    ) -> Float[Tensor, "rows classes"]:
        """Log-posterior of each class, nats."""
        posterior = model.posterior((states.cpu().double() @ white).float(), keep)
        dropped = self.probe.dropped
        return torch.log((1.0 - dropped) * posterior + dropped * model.prior.float().clamp(min=1e-9))

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the log-posterior minus the log-prior, nats before the temperature."""
        if self.learned[target] is None:
            return states.new_zeros(len(states), self.spec.classes.number)
        return self.log_posterior(states, *self.learned[target]).to(states) - self.spec.classes.class_log_prior
