"""The rung for exponential traces whose code nobody told: Bayes' rule in a model of the state that is fitted to it."""

__all__ = ["Trace", "TraceFit"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.probes.probe import ProbeFit, ProbeSpec
from infodil.probes.standardizer import whitening
from infodil.probes.subsampled import LocalProbe, SubsampledFit
from infodil.probes.trace.em import fit_trace
from infodil.probes.trace.model import TraceModel

FEWEST_ROWS = 256
"""Training rows that a model is fitted to."""

MORE, KEPT = (1, 2), (64, 192)
"""Tokens that are named, counted from the one asked for, beside as many as the fit named; sequences kept."""

SAME_NATS = 0.002
"""A way that costs more must lose less by this much."""

JUDGED = 2048
"""Calibration rows on which the way is chosen."""

LOST = 1e-3
"""Probability that the right sequence is taken to have been dropped."""


@dataclass(frozen=True)
class Trace(LocalProbe):
    r"""Bayes' rule in a fitted model :math:`h = \mu + \sum_k q^k\, e(x_k) + n`, whose lag, too, is found.

    Small traces need this: to read an old token the newer ones must be taken off first, which a reader that does not
    know how they were added must learn as one function of very many pieces. Where states are no such trace the model
    says little, and calibration finds that out. The rung below is taken and not used: where it reads more on the
    calibration rows, whoever holds both chooses it.

    Reference:
        Shannon (1948) for Bayes' rule in a channel; see `infodil.probes.trace.em` for the fit.
    """

    name = "trace"
    summary = "a fitted model of an exponential trace, for states of at most 16 dims and 32 types"
    independent_of_base = True

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "TraceFit":
        """A fit that has seen no rows; it uses nothing of the weaker probe."""
        del base
        return TraceFit(self, spec)


class TraceFit(SubsampledFit):
    """For each target the map that makes states white, a model of these, and how many sequences are kept."""

    def learn(
        self, target: int, known: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]
    ) -> tuple[Tensor, TraceModel, int] | None:
        """What makes states white, the model of these, and how many sequences are kept."""
        (states, labels), (judged, truth) = known, held_out
        if len(states) < FEWEST_ROWS or len(judged) == 0:
            return None
        white = whitening(states)
        models = fit_trace((states.double() @ white).float(), labels, self.spec.classes.number, self.spec.seed)
        best, least = None, float("inf")
        ways = [
            (model.deepened(depth), keep)
            for model in models
            for depth in sorted({*(model.lag + more for more in MORE), max(model.lag + max(MORE), model.depth)})
            for keep in KEPT
        ]  # what costs less first
        for model, keep in ways:
            found = white, model, keep
            loss = torch.nn.functional.nll_loss(self.log_posterior(judged[:JUDGED], *found), truth[:JUDGED].cpu())
            if float(loss) < least - SAME_NATS:
                best, least = found, float(loss)
        return best

    def log_posterior(
        self, states: Float[Tensor, "rows dim"], white: Tensor, model: TraceModel, keep: int
    ) -> Float[Tensor, "rows classes"]:
        """Log-probability of each class, nats."""
        found = model.posterior((states.cpu().double() @ white).float(), keep)
        return torch.log((1.0 - LOST) * found + LOST * model.prior.float().clamp(min=1e-9))

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the model's log-posterior less the log-prior, nats before the temperature."""
        if self.learned[target] is None:
            return states.new_zeros(len(states), self.spec.classes.number)
        return self.log_posterior(states, *self.learned[target]).to(states) - self.spec.classes.class_log_prior
