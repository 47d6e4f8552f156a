"""The superposition decoder as a probe of the ladder: evidence about each class from its posterior."""

__all__ = ["Pursuit", "PursuitFit"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel import Decoding, log_prior_of
from infodil.probes.calibration import LEAST_GAIN_NATS, cross_entropy_nats, fit_temperature
from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec
from infodil.probes.superposition.decoder import SuperpositionDecoder
from infodil.probes.superposition.options import DecoderOptions


@dataclass(frozen=True)
class Pursuit(Probe):
    """The superposition decoder (`pursuit`) on states whose code (token vectors and weights) the encoder declares.

    Nothing is trained. A state may take seconds to decode, so a sample of `max_rows` positions of each split is
    decoded; `samples` in the report is their number.
    """

    name = "pursuit"
    summary = "the superposition decoder, where the encoder says how its states sum token vectors"
    requires_superposition = True
    names_types = True

    max_rows: int | None = 512
    """Rows of each split that are decoded, None for all: with some ten thousand types a state takes seconds."""

    decoder: DecoderOptions = DecoderOptions()
    """Options of the decoder's steps."""

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "PursuitFit":
        """A fit that only its temperatures are missing from."""
        del base
        return PursuitFit(self, spec)

    def applies(self, spec: ProbeSpec) -> bool:
        """Whether the states' code is known."""
        return spec.code is not None

    @property
    def requirement(self) -> str:
        """What the encoder must say."""
        return (
            "the model does not say how its states sum token vectors; leave it out, or give the encoder a method "
            "superposition(site) -> (embedding, weights)"
        )


class PursuitFit(ProbeFit):
    """The decoder of one site, and the temperature of each lag."""

    raw = True

    def __init__(self, probe: Pursuit, spec: ProbeSpec) -> None:
        super().__init__(probe, spec)
        self.decoder: SuperpositionDecoder | None = None

    def end_pass(self, calibration: Calibration) -> None:
        """Choice of each lag's temperature: 1, as Bayes' rule has it, unless the calibration rows contradict it."""
        base = self.spec.classes.class_log_prior
        prepared = calibration.prepare(self)
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(labels >= 0).squeeze(1)
            evidence = self.scores(prepared[rows], target)
            temperature, loss = fit_temperature(base, evidence, labels[rows])
            if temperature:
                against = (cross_entropy_nats(base + evidence, labels[rows]) - loss) * len(rows)
                temperature = temperature if against > LEAST_GAIN_NATS else 1.0
            self.temperatures.append(temperature)

    @torch.no_grad()
    def prepare(self, states: Float[Tensor, "rows dim"]) -> Decoding:
        """The posterior of all lags."""
        spec, code = self.spec, self.spec.code
        if self.decoder is None:
            embedding = code.embedding[: len(spec.classes.of_type)]
            log_prior = log_prior_of(spec.classes.log_prior.double().exp(), len(embedding))
            self.decoder = SuperpositionDecoder(embedding, code.weights, log_prior, spec.device, self.probe.decoder)
        return self.decoder.decode(states.unflatten(1, (len(code.weights), -1)), tuple(spec.lags))

    def scores(self, prepared: Decoding, target: int) -> Float[Tensor, "rows classes"]:
        """Log-ratio of posterior to prior of each class, nats; zero for the control."""
        classes = self.spec.classes
        evidence = torch.zeros(len(prepared), classes.number, dtype=torch.float64, device=self.spec.device)
        if target:
            named, mass = prepared.candidates[:, target - 1], prepared.mass[:, target - 1]
            of_candidate = classes.of_type[named.clamp(min=0)]
            gain = mass / classes.class_log_prior.double().exp()[of_candidate]
            evidence += prepared.rest[:, target - 1, None]
            evidence = evidence.scatter_add(1, of_candidate, gain).log()
        return evidence.float()

    def answer(
        self, prepared: Decoding, target: int, types: Int[Tensor, "rows"]
    ) -> tuple[Float[Tensor, "rows"], Float[Tensor, "rows"], Float[Tensor, "rows"]]:
        """Log-probability of each type itself, and the numbers of types that are likelier and equally likely.

        The decoder names types that were too rare in training for a class of their own. Its posterior is
        `q(type) ~ p(type) ratio^temperature`, where the ratio of posterior to prior is the same for all types but the
        candidates: the sum over all types has a closed form.
        """
        log_prior, temperature = self.spec.classes.log_prior.double(), self.temperatures[target]
        if not target or not temperature:
            own, named, share = log_prior[types], None, None
            normal = torch.zeros_like(own)
        else:
            column = target - 1
            candidates, mass = prepared.candidates[:, column], prepared.mass[:, column]
            rest = prepared.rest[:, column].clamp(min=1e-300)
            there = candidates >= 0
            prior = torch.where(there, log_prior[candidates.clamp(min=0)].exp(), 0.0)
            ratio = rest[:, None] + mass / prior.clamp(min=1e-300)
            named = candidates
            share = torch.where(there, prior.log() + temperature * ratio.log(), -torch.inf)
            others = (1.0 - prior.sum(1)).clamp(min=0.0).log() + temperature * rest.log()
            normal = torch.logaddexp(torch.logsumexp(share, 1), others)
            mine = candidates == types[:, None]
            own = torch.where(mine, share, -torch.inf).amax(1)
            own = torch.where(mine.any(1), own, log_prior[types] + temperature * rest.log())
        ascending = torch.sort(log_prior).values
        bar = own if named is None else own - temperature * rest.log()
        # A type compared with itself must not lose to rounding.
        above = len(ascending) - torch.searchsorted(ascending, bar + 1e-9, right=True)
        as_likely = len(ascending) - torch.searchsorted(ascending, bar - 1e-9) - above
        if named is not None:
            # Candidates are ranked by their posterior, not by their prior.
            listed = torch.where(named >= 0, log_prior[named.clamp(min=0)], -torch.inf)
            above = above - (listed > bar[:, None] + 1e-9).sum(1) + (share > own[:, None] + 1e-9).sum(1)
            near = (listed - bar[:, None]).abs() <= 1e-9
            as_likely = as_likely - near.sum(1) + ((share - own[:, None]).abs() <= 1e-9).sum(1)
        return (own - normal).float(), above.float(), as_likely.clamp(min=1).float()
