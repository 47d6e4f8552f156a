"""The linear softmax reader: all targets trained together in the same passes over the states."""

__all__ = ["Linear", "LinearFit"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.neural.softmax import LOGIT_BYTES, BaseEvidence, SoftmaxHeads, calibrate_temperature, rate
from infodil.probes.probe import Calibration, LinearScores, Probe, ProbeFit, ProbeSpec

ROWS_WANTED = 150_000
MOST_PASSES = 3
FEWEST_STEP_ROWS = 512
MOST_STEP_ROWS = 4096
STEPS_WANTED = 160

PEAK_RATE = 2e-3
PEAK_RATE_ALONE = 8e-3
"""Of a step of the fewest rows, from the Gaussian solution and from nothing. The gradient of more rows is surer, and
their step longer by the root of how many more."""

LEAST_SHARE = 0.8
"""A head of whose learning the calibration rows want less than this has learned enough: more passes would overfit."""


@dataclass(frozen=True)
class Linear(Probe):
    """Multinomial logistic regression by Adam on whitened states, one head for each target.

    It starts at the closed-form Gaussian solution where one was fitted. After each pass the calibration rows say what
    share of the way from that start each head should have gone (the loss is convex along it); a head that went too
    far goes back there and leaves the passes to come, and after the last pass every head goes there, so that none is
    worse than its start on the calibration rows. Training costs `4 dim classes` flops a row and head.

    For a target whose Gaussian evidence is not affine (its classes differ in spread) that evidence is carried along as
    it is, a fixed part of the logits, and the head learns what is to be added: each rung contains the one below it.

    Reference:
        Kingma and Ba (2015), Adam; Loshchilov and Hutter (2017), SGDR, for the cosine of the learning rate.
    """

    name = "linear"
    summary = "multinomial logistic regression"
    same_family_as_base = True

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "LinearFit":
        """A fit that has seen no rows; it starts at the affine evidence of the weaker probe."""
        return LinearFit(self, spec, base)


class LinearFit(ProbeFit):
    """The heads of all targets at one site."""

    def __init__(self, probe: Linear, spec: ProbeSpec, base: ProbeFit | None) -> None:
        super().__init__(probe, spec)
        self.below = BaseEvidence(base, spec)
        self.quadratic, self.total = self.below.quadratic, self.below.total  # for readers that start here
        self.passes = max(1, min(MOST_PASSES, math.ceil(ROWS_WANTED / max(1, spec.train_rows))))
        self.planned = self.passes * max(1, spec.train_rows)
        self.step_rows = min(MOST_STEP_ROWS, max(FEWEST_STEP_ROWS, self.planned // STEPS_WANTED))
        self.peak = PEAK_RATE_ALONE if self.below.reader is None else PEAK_RATE
        self.peak *= math.sqrt(self.step_rows / FEWEST_STEP_ROWS)
        self.seen = self.steps = 0
        self.temperatures = [1.0] * spec.targets
        self.generator = torch.Generator(device="cpu").manual_seed(spec.seed)

        dim = spec.dim
        self.heads = SoftmaxHeads(spec.targets, dim, spec.classes.number, spec.device)
        self.linear = LinearScores(self.heads.weight[:, :dim], self.heads.weight[:, dim])
        gradient = self.heads.gradient
        self.linear.weight.grad, self.linear.bias.grad = gradient[:, :dim], gradient[:, dim]
        for target in range(spec.targets):
            self.linear.weight[target], self.linear.bias[target] = self.start(target)

    def start(self, target: int) -> tuple[Float[Tensor, "dim classes"], Float[Tensor, "classes"]]:
        """Weight and bias of a head before training, on whitened states; made anew rather than kept."""
        reader = self.below.reader
        if reader is None or self.below.bent[target]:
            weight = torch.zeros_like(self.linear.weight[target])
        else:
            weight = (reader.temperatures[target] * self.below.undo) @ reader.linear.weight[target]
        return weight, self.below.bias(target)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Take an optimiser step for about every `step_rows` rows, in random order."""
        if not self.heads.training:
            return
        order = torch.randperm(len(states), generator=self.generator).to(states.device)
        white = states @ self.below.whiten
        for chosen in order.tensor_split(max(1, round(len(order) / self.step_rows))):
            self.step(white[chosen], labels[:, chosen])

    def step(self, white: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """One step on one set of rows, for every target that still learns."""
        bent = self.below.bent
        states = white @ self.below.undo if any(bent) else white

        def carry(some: slice, room: Tensor) -> bool:
            for head, place in enumerate(room, start=some.start):
                place.copy_(self.below.evidence(states, head)) if bent[head] else place.zero_()
            return True

        self.heads.slopes(white, labels, LOGIT_BYTES, lambda some, room: any(bent[some]) and carry(some, room))
        self.heads.descend(rate(self.steps, self.seen / self.planned, self.peak))
        self.steps += 1
        self.seen += len(white)

    def end_pass(self, calibration: Calibration) -> None:
        """Let each head go back as far as the calibration rows want; after the last pass, weigh its evidence."""
        self.passes -= 1
        base = self.spec.classes.class_log_prior
        white = calibration.states @ self.below.whiten
        for target in list(self.heads.training):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            weight, bias = self.start(target)
            start = torch.addmm(bias, white[rows], weight)
            learned = self.linear.scores(white[rows], target) - start
            if self.below.bent[target]:
                start += self.below.evidence(calibration.states[rows], target)
            share = calibrate_temperature(start, learned, labels[rows])
            if self.passes and share >= LEAST_SHARE:
                continue
            self.heads.retire(target)
            if share == 0.0:  # copied, not weighed: what was learned may not even be a number
                self.linear.weight[target], self.linear.bias[target] = weight, bias
            else:
                self.linear.weight[target].lerp_(weight, 1.0 - share)
                self.linear.bias[target].lerp_(bias, 1.0 - share)
        if self.passes:
            return
        self.linear.weight.grad = self.linear.bias.grad = None
        self.heads.finish()
        for target, labels in enumerate(calibration.labels):
            self.linear.weight[target] = self.below.whiten @ self.linear.weight[target]
            self.linear.bias[target] -= base
            rows = torch.nonzero(labels >= 0).squeeze(1)
            evidence = self.scores(calibration.states[rows], target)
            self.temperatures[target] = calibrate_temperature(base, evidence, labels[rows])

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the logits less the log-prior, nats before the temperature."""
        evidence = self.linear.scores(states, target)
        return evidence + self.below.evidence(states, target) if self.below.bent[target] else evidence
