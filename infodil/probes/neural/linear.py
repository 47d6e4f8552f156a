"""Linear softmax probe: multinomial logistic regressions of all targets, trained in the same passes over the states."""

__all__ = ["Linear", "LinearFit"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.calibration import calibrate_temperature
from infodil.probes.neural.softmax import BaseEvidence, SoftmaxHeads, learning_rate
from infodil.probes.probe import Calibration, LinearScores, Probe, ProbeFit, ProbeSpec


@dataclass(frozen=True)
class Linear(Probe):
    r"""Multinomial logistic regression by Adam on white states, one head for each target.

    The logits of target k are :math:`\log p + s_k(h) + w_k (V_k z + b_k)`: the evidence :math:`s_k` of the weaker
    probe, where there is one, and what a head learns from the white state z. The step from the weaker probe to the end
    of training is taken by the share :math:`w_k` that has the least cross-entropy on the calibration rows. The loss is
    convex in the share, so no target is worse there than under the weaker probe; training that overfits is taken
    back in part, and training that was too short is carried on in its direction. A head whose share is zero after a
    pass learns no more.

    Where the weaker evidence is affine, it is where the head starts; where it is not, it stays a fixed part of the
    logits. Training costs `4 dim classes` flops a row and head.

    Reference:
        Kingma and Ba (2015), Adam; Loshchilov and Hutter (2017), SGDR, for the cosine of the learning rate.
    """

    name = "linear"
    summary = "multinomial logistic regression"
    same_family_as_base = True

    learning_rate: float = 1.2e-2
    """Peak rate of a step of `step_rows` rows on white states; of longer steps, by the root of how many times as
    many rows, for so much surer is their gradient."""
    epsilon: float = 3e-4
    """Floor of the root mean square gradient that Adam divides by, at `step_rows` rows; the noise of the gradient, and
    so the floor, shrinks with the root of more. Weights of classes seen once in 10,000 rows, whose gradient is below
    it, then move less than those of common classes, and are overfitted less."""
    step_rows: int = 512
    """Rows of an optimiser step, at the least: fewer learn no more a row, and pay for more updates of the weights."""
    max_step_rows: int = 4096
    """Rows of an optimiser step, at the most."""
    steps: int = 600
    """Optimiser steps, about: of more rows than `steps * step_rows` each step takes more."""
    training_rows: int = 150_000
    """Rows seen in all passes together, at the least, as far as `max_passes` reach."""
    max_passes: int = 3
    """Passes over the training rows, at the most: few rows are overfitted by more."""

    def memory_bytes(self, spec: ProbeSpec) -> float:
        """Bytes of weights, gradients and Adam's moments of the heads, and of the whitening."""
        inputs = min(spec.dim, max(1, spec.train_rows))
        return 16.0 * spec.targets * inputs * spec.classes.number + 28.0 * spec.dim * inputs

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "LinearFit":
        """A fit that has seen no rows; it starts at the evidence of the weaker probe."""
        return LinearFit(self, spec, base)


class LinearFit(ProbeFit):
    """The heads of all targets at one site."""

    def __init__(self, probe: Linear, spec: ProbeSpec, base: ProbeFit | None) -> None:
        super().__init__(probe, spec)
        self.base = BaseEvidence(base, spec)
        # For stronger probes that start here.
        self.quadratic, self.total, self.span = self.base.quadratic, self.base.total, self.base.span
        rows = max(1, spec.train_rows)
        self.passes = max(1, min(probe.max_passes, math.ceil(probe.training_rows / rows)))
        self.planned_rows = self.passes * rows
        self.step_rows = min(probe.max_step_rows, max(probe.step_rows, self.planned_rows // probe.steps))
        longer = math.sqrt(self.step_rows / probe.step_rows)
        self.peak_rate = probe.learning_rate * longer
        self.rows_seen = self.steps = 0
        self.temperatures = [1.0] * spec.targets
        self.generator = torch.Generator(device="cpu").manual_seed(spec.seed)

        dim = self.base.whiten.shape[1]
        self.heads = SoftmaxHeads(spec.targets, dim, spec.classes.number, spec.device, probe.epsilon / longer)
        self.linear = LinearScores(self.heads.weight[:, :dim], self.heads.weight[:, dim])
        gradient = self.heads.gradient
        self.linear.weight.grad, self.linear.bias.grad = gradient[:, :dim], gradient[:, dim]
        for target in range(spec.targets):
            self.linear.weight[target], self.linear.bias[target] = self.start(target)

    def start(self, target: int) -> tuple[Float[Tensor, "dim classes"], Float[Tensor, "classes"]]:
        """Weight and bias of a head before training, on white states; computed anew rather than kept."""
        weaker = self.base.fit
        if weaker is None or self.base.curved[target]:
            weight = torch.zeros_like(self.linear.weight[target])
        else:
            weight = (weaker.temperatures[target] * self.base.unwhiten) @ weaker.linear.weight[target]
        return weight, self.base.bias(target)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Take an optimiser step for about every `step_rows` rows, in random order."""
        if not self.heads.training:
            return
        order = torch.randperm(len(states), generator=self.generator).to(states.device)
        white = states @ self.base.whiten
        for chosen in order.tensor_split(max(1, round(len(order) / self.step_rows))):
            self.step(white[chosen], labels[:, chosen])

    def step(self, white: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """One step on one set of rows, for every target that still learns."""
        curved = self.base.curved
        states = white @ self.base.unwhiten if any(curved) else white

        def fixed_logits(some: slice, buffer: Tensor) -> bool:
            if not any(curved[some]):
                return False
            for head, logits in enumerate(buffer, start=some.start):
                logits.copy_(self.base.evidence(states, head)) if curved[head] else logits.zero_()
            return True

        self.heads.compute_gradient(white, labels, fixed_logits)
        self.heads.step(learning_rate(self.steps, self.rows_seen / self.planned_rows, self.peak_rate))
        self.steps += 1
        self.rows_seen += len(white)

    def end_pass(self, calibration: Calibration) -> None:
        """Stop the heads that learned nothing; after the last pass, choose the share and temperature of every head."""
        self.passes -= 1
        white = calibration.states @ self.base.whiten
        for target in list(self.heads.training):
            rows = torch.nonzero(calibration.labels[target] >= 0).squeeze(1)
            self.close_head(target, calibration.states[rows], white[rows], calibration.labels[target, rows])
        if self.passes:
            return
        self.linear.weight.grad = self.linear.bias.grad = None
        self.heads.release()
        weight = torch.stack([self.base.whiten @ white for white in self.linear.weight])
        self.linear = LinearScores(weight, self.linear.bias - self.spec.classes.class_log_prior)
        del self.heads

    def close_head(
        self,
        target: int,
        states: Float[Tensor, "rows dim"],
        white: Float[Tensor, "rows directions"],
        labels: Int[Tensor, "rows"],
    ) -> None:
        """Fix a head at its share of the way from its start, unless passes are to come and it is on a good way."""
        weight, bias = self.start(target)
        start = torch.addmm(bias, white, weight)
        learned = self.linear.scores(white, target).sub_(start)
        if self.base.curved[target]:
            start += self.base.evidence(states, target)
        share = calibrate_temperature(start, learned, labels)
        if self.passes and share > 0.0:
            return
        self.heads.stop(target)
        evidence = start.sub_(self.spec.classes.class_log_prior)
        if share == 0.0:  # copied, not interpolated: what was learned may not even be a number
            self.linear.weight[target], self.linear.bias[target] = weight, bias
        else:
            self.linear.weight[target].lerp_(weight, 1.0 - share)
            self.linear.bias[target].lerp_(bias, 1.0 - share)
            evidence.add_(learned, alpha=share)
        self.temperatures[target] = calibrate_temperature(self.spec.classes.class_log_prior, evidence, labels)

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the logits less the log-prior, nats before the temperature."""
        evidence = self.linear.scores(states, target)
        return evidence.add_(self.base.evidence(states, target)) if self.base.curved[target] else evidence
