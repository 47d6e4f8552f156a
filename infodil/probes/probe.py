"""What every rung of the ladder is: evidence about each class, read from a state and weighed on held-out rows."""

__all__ = [
    "Calibration",
    "StandardizedProbe",
    "LinearScores",
    "Probe",
    "ProbeSpec",
    "predictive_logits",
    "cross_entropy_nats",
    "prior_smoothing",
    "fit_temperature",
    "log_predictive",
    "mix_with_prior",
]

import math
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel.code import Code
from infodil.probes.class_map import ClassMap

MOST_STEPS = 40
HOTTEST = 1e4

LEAST_PROMISE_NATS = 0.01
"""Where doubling the temperature, or adding one to it, cannot gain more than this on all rows together, it stays.

Evidence without a single error, which any higher temperature makes look still better, is not trusted without end.
"""

LEAST_GAIN_NATS = 4.0
"""Evidence must lower the cross-entropy of all calibration rows together by this much, or it is not used.

A reader of nothing gains half a chi-square of one degree of freedom by chance, four nats one time in four hundred; with
4,096 rows what is given up is 0.0014 bits at most. Without this, a reader of nothing would read slightly less than
nothing on the test split.
"""


@dataclass(frozen=True)
class Calibration:
    """Held-out rows of one site on which every choice is made; the test split is never looked at.

    `labels` holds the class of each target's token, -1 where a row has no such token (too few predecessors).
    """

    states: Float[Tensor, "rows dim"]
    labels: Int[Tensor, "targets rows"]
    prepared: list = field(default_factory=list, repr=False, compare=False)

    def prepare(self, reader: "Probe") -> Any:
        """`reader.prepare(states)`, computed once: for the last `end_pass` of a reader and whoever weighs it after."""
        if not self.prepared:
            self.prepared.append(reader.prepare(self.states))
        return self.prepared[0]


@dataclass(frozen=True)
class ProbeSpec:
    """What a reader is told when it is made."""

    dim: int
    targets: int
    classes: ClassMap
    train_rows: int
    device: torch.device
    seed: int
    code: Code | None = None
    """How the states superpose token vectors, where the encoder says so."""
    sigma: float = 0.0
    """Root mean square error of a number of the observed states: rounding or added noise."""
    lags: tuple[int, ...] = ()
    """The lag of each target from the first on: target `1 + i` is lag `lags[i]`, target 0 the shuffled control."""


@runtime_checkable
class Probe(Protocol):
    """A family of predictors of past tokens from one site's states; a *target* is a lag or a control.

    The caller streams the training rows `passes` times through `update`, closing each with `end_pass`; then
    `scores(prepare(states))` gives evidence, and the answer is `q(class | state) ~ p(class) exp(temperature score)`,
    with a little doubt (`log_predictive`): temperature zero is the prior, which therefore is in every family.
    """

    name: str
    raw: bool
    """Whether states come as they were observed, rather than shifted and scaled to about one."""
    passes: int
    temperatures: list[float]
    """For each target, how far its evidence is trusted: chosen on the calibration rows at the last `end_pass`."""

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Learn from some training rows; a label of -1 is no label."""
        ...

    def end_pass(self, calibration: Calibration) -> None:
        """All training rows have been seen once more."""
        ...

    def prepare(self, states: Float[Tensor, "rows dim"]) -> Any:
        """What all targets share, computed once: anything whose rows can be picked with an index tensor."""
        ...

    def scores(self, prepared: Any, target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class up to a constant of the row, nats, from (some rows of) `prepare`."""
        ...


class StandardizedProbe:
    """What most readers are: they read framed states as they come, target by target."""

    raw = False

    def prepare(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """The states themselves."""
        return states


@dataclass
class LinearScores:
    """Evidence that is an affine function of the state, one for each target."""

    weight: Float[Tensor, "targets dim classes"]
    bias: Float[Tensor, "targets classes"]

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """`states @ weight + bias` of one target."""
        return torch.addmm(self.bias[target], states, self.weight[target])


def cross_entropy_nats(logits: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]) -> float:
    """Mean negative log-probability of the labels' classes, nats."""
    return float(torch.nn.functional.cross_entropy(logits, labels))


def prior_smoothing(rows: int) -> float:
    """The prior's part in an answer that was calibrated on so many rows: one in `rows + 2`.

    A reader that never erred on them may err on the next row, where without doubt it would lose hundreds of bits.

    Reference:
        Laplace (1774), the rule of succession.
    """
    return 1.0 / (rows + 2.0)


def mix_with_prior(
    log: Float[Tensor, "rows"], log_prior: Float[Tensor, "rows"], smoothing: float
) -> Float[Tensor, "rows"]:
    """Log of `(1 - smoothing)` times one probability plus `smoothing` times another, nats in float64."""
    return torch.logaddexp(log.double() + math.log1p(-smoothing), log_prior.double() + math.log(smoothing))


def predictive_logits(
    base: Float[Tensor, "*some classes"], scores: Float[Tensor, "rows classes"], temperature: float
) -> Float[Tensor, "rows classes"]:
    """What is known without the scores plus what they say; at temperature zero the base, whatever the scores are."""
    return base + temperature * scores if temperature else base.expand_as(scores)


def log_predictive(
    base: Float[Tensor, "*some classes"],
    scores: Float[Tensor, "rows classes"],
    temperature: float,
    smoothing: float,
    labels: Int[Tensor, "rows"],
) -> Float[Tensor, "rows"]:
    """Log-probability of the labels' classes: the softmax of `base + temperature * scores`, in doubt the base.

    At temperature zero it is the base itself, exactly, even where the scores are no numbers.

    Args:
        base: Log-probabilities known without the scores, one line for all rows or one for each.
        scores: Evidence for each class, nats.
        temperature: How far it is trusted.
        doubt: The part of the answer that stays with the base, from zero to one (`prior_smoothing`).
        labels: The classes asked for.

    Returns:
        Nats, float64.
    """
    known = base.expand_as(scores).gather(1, labels[:, None]).squeeze(1).double()
    if not temperature:
        return known
    log = -torch.nn.functional.cross_entropy(predictive_logits(base, scores, temperature), labels, reduction="none")
    return mix_with_prior(log, known, smoothing)


def fit_temperature(
    base: Float[Tensor, "*some classes"],
    scores: Float[Tensor, "rows classes"],
    labels: Int[Tensor, "rows"],
    least_gain_nats: float = LEAST_GAIN_NATS,
) -> tuple[float, float]:
    """The temperature of least cross-entropy of `base + temperature * scores`, and that cross-entropy in nats.

    The loss is convex in the temperature (an exponential family in one parameter). Newton's steps kept inside a
    shrinking bracket find its minimum; where they are short, as they are from zero where most evidence is overwhelming,
    the scale of the temperature itself is searched. Zero, the base alone, is always allowed, and is the answer unless
    the rows together gain `least_gain_nats`.
    """
    if len(labels) == 0:
        return 0.0, float("nan")
    scores = scores - scores.amax(1, keepdim=True)
    own = scores.gather(1, labels[:, None]).double().mean()
    low, high, temperature, before = 0.0, float("inf"), 0.0, float("inf")
    for step in range(MOST_STEPS):
        q = torch.softmax(base + temperature * scores, 1)
        weighted = q * scores
        mean = weighted.sum(1).double()
        slope = float(mean.mean() - own)
        if step == 0 and slope >= 0:
            break
        if abs(slope) * len(labels) * max(1.0, temperature) <= LEAST_PROMISE_NATS:  # the loss is convex
            break
        curvature = float(((weighted * scores).sum(1).double() - mean**2).mean())
        low, high = (temperature, high) if slope < 0 else (low, temperature)
        following = temperature - slope / curvature if curvature > 0 else float("inf")
        short, before = abs(slope) > before / 2.0, abs(slope)
        if short or not low < following < high:
            if high == float("inf"):
                following = max(1.0, 4.0 * temperature)
            else:
                following = math.sqrt(low * high) if low else high / 4.0
        following = min(following, HOTTEST)
        if abs(following - temperature) <= 1e-3 * temperature:
            break
        temperature = following
    alone = cross_entropy_nats(base.expand_as(scores), labels)
    loss = cross_entropy_nats(base + temperature * scores, labels)
    # A loss that is not a number gains nothing either.
    return (temperature, loss) if (alone - loss) * len(labels) > least_gain_nats else (0.0, alone)
