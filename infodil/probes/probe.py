"""The contract of a probe: its options, its fit to the states of one site, and what both are given."""

__all__ = ["Calibration", "Learning", "LinearScores", "Probe", "ProbeFit", "ProbeSpec"]

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel import Code
from infodil.checks import UserError
from infodil.probes.class_map import ClassMap


@dataclass(frozen=True)
class ProbeSpec:
    """What a probe is told of the site that it is fitted to; a *target* is a lag, or the shuffled control."""

    dim: int
    targets: int
    classes: ClassMap
    train_rows: int
    device: torch.device
    seed: int
    code: Code | None = None
    """How the states superpose token vectors, where the encoder says so."""
    sigma: float = 0.0
    """Root mean square error of a number of the quantized states: rounding or added noise."""
    lags: tuple[int, ...] = ()
    """The lag of each target from the first on: target `1 + i` is lag `lags[i]`, target 0 the shuffled control."""
    learning_curve: bool = False
    """Whether a probe that can tell its learning curve is asked for it (`ProbeFit.learning`)."""


@dataclass(frozen=True)
class Calibration:
    """Held-out rows of one site on which every choice is made; the test split is never looked at.

    `labels` holds the class of each target's token, -1 where a row has no such token (too few predecessors).
    """

    states: Float[Tensor, "rows dim"]
    labels: Int[Tensor, "targets rows"]
    prepared: list = field(default_factory=list, repr=False, compare=False)

    def prepare(self, fit: "ProbeFit") -> Any:
        """`fit.prepare(states)`, computed once: for the last `end_pass` of a fit and for who calibrates it after."""
        if not self.prepared:
            self.prepared.append(fit.prepare(self.states))
        return self.prepared[0]


@dataclass
class LinearScores:
    """Evidence that is an affine function of the state, one for each target."""

    weight: Float[Tensor, "targets dim classes"]
    bias: Float[Tensor, "targets classes"]

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """`states @ weight + bias` of one target."""
        return torch.addmm(self.bias[target], states, self.weight[target])


@dataclass(frozen=True)
class Learning:
    """The learning curve of one target and the length of its online code, bits a label beyond the unigram prior."""

    train_rows: tuple[int, ...]
    """Training rows with a label, from a sixteenth of all to all, about doubling."""
    bits: tuple[float, ...]
    """What a fit on so many rows says beyond the prior on the calibration rows."""
    extrapolated_bits: float | None
    """Where the curve tends with ever more rows: extrapolated, not measured. None where no such law fits it."""
    online_code_bits: float
    """Length of the code of the training labels when every block is coded by the fit to all blocks before it."""
    compression_bits: float
    """How much shorter that is than the code of the unigram prior, which also codes the first block."""


@dataclass(frozen=True)
class Probe(ABC):
    """A family of predictors of past tokens: its options are the fields of the subclass, a frozen dataclass.

    Subclasses set what differs from the defaults below and define `start_fit`. An instance with default options in
    `infodil.probes.PROBES` makes the probe known to every measurement, the command line and the report.
    """

    name: ClassVar[str]
    """What the probe is called in arguments, reports and figures."""
    summary: ClassVar[str]
    """One noun phrase that says what the probe is, shown by the command line."""
    requires_superposition: ClassVar[bool] = False
    """Whether the probe needs to know how the encoder sums token vectors; it then starts from no weaker probe."""
    independent_of_base: ClassVar[bool] = False
    """Whether the probe uses nothing of the weaker probe, and no stronger one starts from it."""
    same_family_as_base: ClassVar[bool] = False
    """Whether the weaker probe predicts from functions of the same form, so that a tie with it does not say that still
    stronger probes add nothing."""
    closed_form: ClassVar[bool] = False
    """Whether the fit is one pass and one solution, cheap enough to be repeated for controls and learning curves."""
    slow: ClassVar[bool] = False
    """Whether the probe is fitted after all others, and only where they leave something to be read."""
    costly: ClassVar[bool] = False
    """Whether cross-fitting fits it only where a pilot shows that it adds something."""
    names_types: ClassVar[bool] = False
    """Whether its answer is about types themselves, not classes of types (`ProbeFit.answer`)."""
    max_rows: ClassVar[int | None] = None
    """Rows of each split that are read; None for all."""

    @abstractmethod
    def start_fit(self, spec: ProbeSpec, base: "ProbeFit | None" = None) -> "ProbeFit":
        """A fit that has seen no rows.

        Args:
            spec: What is known of the site.
            base: The finished fit of the weaker probe at the same site, which this one may start from.

        Raises:
            UserError: The probe does not apply to the site.
        """

    def applies(self, spec: ProbeSpec) -> bool:
        """Whether the probe can be fitted to such states."""
        del spec
        return True

    @property
    def enough_rows(self) -> int | None:
        """Training rows from which on more of them do not change the fit; None where every row counts."""
        return None

    @property
    def requirement(self) -> str:
        """What to do where the probe does not apply: the end of the sentence that says so."""
        return "leave it out"

    def memory_bytes(self, spec: ProbeSpec) -> float:
        """Bytes that a fit holds at once, about; zero where they are too few to matter."""
        del spec
        return 0.0

    def flops(self, spec: ProbeSpec) -> float:
        """Floating-point operations of training; zero where they are too few to matter."""
        del spec
        return 0.0


class ProbeFit(ABC):
    """A probe at one site: trained by passes over the training rows, calibrated on held-out rows, then asked.

    The caller streams the training rows `passes` times through `update`, closing each pass with `end_pass`; then
    `scores(prepare(states))` gives evidence, and the prediction is `q(class | state) ~ p(class) exp(temperature
    score)`, smoothed with the prior (`log_predictive`). Temperature zero is the prior, so every family contains it.

    Args:
        probe: Options of the probe.
        spec: What is known of the site.

    Raises:
        UserError: The probe does not apply to the site.
    """

    raw: bool = False
    """Whether states come as they were quantized, rather than standardized."""
    passes: int = 1
    """How many times the training rows are streamed through `update`."""
    linear: LinearScores | None = None
    """Evidence that is affine in the state, where a stronger probe can start from it."""
    quadratic: Sequence[Any] | None = None
    """For each target, evidence beyond the affine part; None for a target without any."""
    total: Float[Tensor, "inputs inputs"] | None = None
    """Covariance of the training states, where it is known, in coordinates of `span` where there is one."""
    span: Float[Tensor, "dim inputs"] | None = None
    """Orthonormal basis of the training states, where these are fewer than their numbers; None for all of the space."""
    learning: Sequence[Learning] | None = None
    """The learning of each target, where it was asked for and can be told."""

    def __init__(self, probe: Probe, spec: ProbeSpec) -> None:
        if not probe.applies(spec):
            raise UserError(f"`probes` cannot have {probe.name!r} here: {probe.requirement}.")
        self.probe, self.spec = probe, spec
        self.temperatures: list[float] = []
        """For each target, the factor of its evidence: chosen on the calibration rows at the last `end_pass`."""

    @property
    def name(self) -> str:
        """The name of the probe."""
        return self.probe.name

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Learn from some training rows, of which a label of -1 is no label; by default nothing is learned."""
        del states, labels

    @abstractmethod
    def end_pass(self, calibration: Calibration) -> None:
        """Close one pass over the training rows; the last time, fix the temperatures on the calibration rows."""

    def prepare(self, states: Float[Tensor, "rows dim"]) -> Any:
        """What all targets share, computed once, its rows picked with an index tensor; by default the states."""
        return states

    @abstractmethod
    def scores(self, prepared: Any, target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class up to a constant of the row, nats, from (some rows of) `prepare`."""

    def answer(
        self, prepared: Any, target: int, types: Int[Tensor, "rows"]
    ) -> tuple[Float[Tensor, "rows"], Float[Tensor, "rows"], Float[Tensor, "rows"]] | None:
        """Log-probability of each true type, how many types are likelier, and how many as likely.

        None, the default, where the probe tells classes apart and the prior speaks within a class.
        """
        del prepared, target, types
        return None
