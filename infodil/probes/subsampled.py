"""What readers that learn from a sample of the training rows have in common, target by target."""

__all__ = ["SubsampledProbe"]

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError
from infodil.probes.neural.softmax import calibrate_temperature
from infodil.probes.probe import Calibration, ProbeSpec, StandardizedProbe
from infodil.probes.reservoir import Reservoir

MOST_ROWS = 2**18
"""Training rows kept."""


class SubsampledProbe(StandardizedProbe):
    """Keeps training rows, learns each target from them and the calibration rows, and weighs what it learned there."""

    passes = 1
    most_dims: int
    most_classes: int

    def __init__(self, spec: ProbeSpec) -> None:
        if not self.applies(spec):
            raise UserError(
                f"`probes` cannot have {self.name!r} here: pass states of at most {self.most_dims} dims and tokens of "
                f"at most {self.most_classes} types, or leave it out."
            )
        self.spec = spec
        most = min(MOST_ROWS, max(1, spec.train_rows))
        self.sample: Reservoir | None = Reservoir(most, spec.train_rows, spec.dim, spec.targets, spec.seed, spec.device)
        self.learned: list[Any] = []
        """Of each target; None where nothing."""
        self.temperatures: list[float] = []

    @classmethod
    def applies(cls, spec: ProbeSpec) -> bool:
        """Whether the dims and the classes are few enough."""
        return spec.dim <= cls.most_dims and spec.classes.number <= cls.most_classes

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Keep training rows."""
        self.sample.update(states, labels)

    def end_pass(self, calibration: Calibration) -> None:
        """Learn each target, and how far it is trusted."""
        base = self.spec.classes.class_log_prior
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(labels >= 0).squeeze(1)
            states, labels = calibration.states[rows], labels[rows]
            there = self.sample.labels[target] >= 0
            known = self.sample.states[there].cpu(), self.sample.labels[target, there].cpu()
            self.learned.append(self.learn(target, known, (states, labels)))
            self.temperatures.append(calibrate_temperature(base, self.scores(states, target), labels))
        self.sample = None

    def learn(self, target: int, known: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> Any:
        """What training rows and labels, and calibration rows and labels, say of a target; None if nothing."""
        raise NotImplementedError
