"""The weakest rung: a reader that does not look at the state."""

__all__ = ["PriorProbe"]

from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.probe import Calibration, ProbeSpec, StandardizedProbe


class PriorProbe(StandardizedProbe):
    """The smoothed unigram distribution of the training split: no evidence for any class."""

    name = "prior"
    passes = 0

    def __init__(self, spec: ProbeSpec, weaker: object = None) -> None:
        del weaker
        self.spec = spec
        self.temperatures = [0.0] * spec.targets

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Nothing is learned from a state."""
        del states, labels

    def end_pass(self, calibration: Calibration) -> None:
        """Nothing to choose."""
        del calibration

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Zero for every class."""
        del target
        return states.new_zeros(len(states), self.spec.classes.number)
