"""The superposition decoder as a rung of the ladder: evidence about each class from its posterior."""

__all__ = ["PursuitReader"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError
from infodil.probes.decoding import Decoding
from infodil.probes.reader import LEAST_GAIN_NATS, Calibration, Setting, cross_entropy_nats, fit_temperature
from infodil.probes.superposition import pursuit


class PursuitReader:
    """`pursuit` on states whose code (token vectors and weights) the encoder tells.

    Nothing is trained. A state may take seconds to decode, so that a sample of `most_rows` positions of each split is
    read; `samples` in the report says how many.
    """

    name = "pursuit"
    raw = True
    most_rows = 512

    def __init__(self, setting: Setting, weaker: object = None) -> None:
        del weaker  # nothing is trained: nothing to start from
        if not self.applies(setting):
            raise UserError(
                "`probes` has 'pursuit', but the model does not say how its states sum token vectors: leave it out, or "
                "give the encoder a method superposition(site) -> (embedding, weights)."
            )
        self.setting = setting
        self.passes = 1
        self.temperatures: list[float] = []

    @staticmethod
    def applies(setting: Setting) -> bool:
        """Whether the states' code is known."""
        return setting.code is not None

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Nothing is learned from training rows."""
        del states, labels

    def end_pass(self, calibration: Calibration) -> None:
        """How far each lag's posterior is trusted, on the calibration rows: one, Bayes' own, unless they object."""
        base = self.setting.classes.class_log_prior
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
        """All lags decoded."""
        setting, code = self.setting, self.setting.code
        embedding = code.embedding[: len(setting.classes.of_type)].to(setting.device)
        prior = setting.classes.log_prior.double().exp()
        return pursuit(
            states.unflatten(1, (len(code.weights), -1)), embedding, code.weights, lags=setting.lags, prior=prior
        )

    def scores(self, prepared: Decoding, target: int) -> Float[Tensor, "rows classes"]:
        """Log of posterior over prior of each class, nats; none for the control."""
        classes = self.setting.classes
        evidence = torch.zeros(len(prepared), classes.number, dtype=torch.float64, device=self.setting.device)
        if target:
            named, mass = prepared.candidates[:, target - 1], prepared.mass[:, target - 1]
            own = classes.of_type[named.clamp(min=0)]
            gain = mass / classes.class_log_prior.double().exp()[own]
            evidence += prepared.rest[:, target - 1, None]
            evidence = evidence.scatter_add(1, own, gain).log()
        return evidence.float()
