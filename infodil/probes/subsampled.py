"""Probes for small states that are fitted to a sample of the training rows, target by target."""

__all__ = ["LocalProbe", "SubsampledFit"]

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.calibration import calibrate_temperature
from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec
from infodil.probes.reservoir import Reservoir


@dataclass(frozen=True)
class LocalProbe(Probe):
    """A probe for states of few dims and tokens of few classes, fitted to a sample of the training rows."""

    costly = True

    max_dims: int = 16
    """Numbers in a state, at most."""
    max_classes: int = 32
    """Classes of tokens, at most."""
    sample_rows: int = 2**18
    """Training rows kept, drawn at random where there are more: what memory allows."""

    def applies(self, spec: ProbeSpec) -> bool:
        """Whether dims and classes are few enough."""
        return spec.dim <= self.max_dims and spec.classes.number <= self.max_classes

    @property
    def requirement(self) -> str:
        """What states it needs."""
        return (
            f"pass states of at most {self.max_dims} dims and tokens of at most {self.max_classes} types, "
            "or leave it out"
        )


class SubsampledFit(ProbeFit):
    """A sample of the training rows, from which each target is learned and then calibrated on held-out rows."""

    def __init__(self, probe: LocalProbe, spec: ProbeSpec) -> None:
        super().__init__(probe, spec)
        most = min(probe.sample_rows, max(1, spec.train_rows))
        self.sample: Reservoir | None = Reservoir(most, spec.train_rows, spec.dim, spec.targets, spec.seed, spec.device)
        self.learned: list[Any] = []
        """What was learned of each target; None where nothing."""

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Keep training rows."""
        self.sample.update(states, labels)

    def end_pass(self, calibration: Calibration) -> None:
        """Learn each target, and calibrate its temperature."""
        base = self.spec.classes.class_log_prior
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(labels >= 0).squeeze(1)
            states, labels = calibration.states[rows], labels[rows]
            labelled = self.sample.labels[target] >= 0
            train = self.sample.states[labelled].cpu(), self.sample.labels[target, labelled].cpu()
            self.learned.append(self.learn(target, train, (states, labels)))
            self.temperatures.append(calibrate_temperature(base, self.scores(states, target), labels))
        self.sample = None

    @abstractmethod
    def learn(self, target: int, known: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> Any:
        """What training rows and labels, and calibration rows and labels, say of a target; None if nothing."""
