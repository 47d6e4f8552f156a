"""The prior as a probe: the unigram distribution, which does not look at the state."""

__all__ = ["Prior"]

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor

from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec


@dataclass(frozen=True)
class Prior(Probe):
    """The smoothed unigram distribution of the training split: no evidence for any class."""

    name = "prior"
    summary = "the unigram distribution, which does not look at the state"

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "PriorFit":
        """The finished fit: there is nothing to learn."""
        del base
        return PriorFit(self, spec)


class PriorFit(ProbeFit):
    """Zero evidence for every class and target."""

    passes = 0

    def __init__(self, probe: Prior, spec: ProbeSpec) -> None:
        super().__init__(probe, spec)
        self.temperatures = [0.0] * spec.targets

    def end_pass(self, calibration: Calibration) -> None:
        """Nothing to choose."""
        del calibration

    def scores(self, prepared: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Zero for every class."""
        del target
        return prepared.new_zeros(len(prepared), self.spec.classes.number)
