"""The linear softmax reader: all targets trained together in the same passes over the states."""

__all__ = ["LinearReader"]

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.reader import Calibration, FramedReader, LinearScores, Setting, fit_temperature

STEP_ROWS = 512
PEAK_RATE = 8e-3
WARM_STEPS = 20
ROWS_WANTED = 150_000
MOST_PASSES = 3
LOGIT_BYTES = 64 * 2**20
"""Logits of as many targets as fit into this are made in one product, and none are kept."""


class LinearReader(FramedReader):
    """Multinomial logistic regression by Adam on whitened states, one head for each target.

    It starts at the closed-form Gaussian solution where one was fitted, so that training can only add to it, and
    each target keeps whichever of start and end has the lower calibration cross-entropy. The gradient of the
    softmax is written out: two matrix products a step and target, no graph and no logits kept.
    """

    name = "linear"

    def __init__(self, setting: Setting, weaker: object = None) -> None:
        self.setting = setting
        self.passes = max(1, min(MOST_PASSES, math.ceil(ROWS_WANTED / max(1, setting.train_rows))))
        self.steps = 0
        self.planned = self.passes * max(1, setting.train_rows // STEP_ROWS)
        self.temperatures = [1.0] * setting.targets
        self.generator = torch.Generator(device="cpu").manual_seed(setting.seed)
        device, classes = setting.device, setting.classes
        weight = torch.zeros(setting.targets, setting.dim, classes.number, device=device)
        bias = classes.class_log_prior.repeat(setting.targets, 1)
        whiten = torch.eye(setting.dim, device=device)
        if hasattr(weaker, "linear"):
            spread, axes = torch.linalg.eigh(weaker.total)
            spread = spread.clamp(min=1e-4 * float(spread.mean()))
            whiten = (axes / spread.sqrt()).float()
            undo = (axes * spread.sqrt()).T.float()
            temperatures = torch.tensor(weaker.temperatures, device=device)
            weight = undo @ (weaker.linear.weight * temperatures[:, None, None])
            bias = bias + weaker.linear.bias * temperatures[:, None]
        self.whiten = whiten
        self.linear = LinearScores(weight, bias)
        self.start = LinearScores(weight.clone(), bias.clone())
        parameters = [self.linear.weight, self.linear.bias]
        self.optimizer = torch.optim.Adam(parameters, lr=PEAK_RATE, betas=(0.9, 0.99), fused=True)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Take one optimiser step for every `STEP_ROWS` rows, in random order."""
        order = torch.randperm(len(states), generator=self.generator).to(states.device)
        white = states @ self.whiten
        for chosen in order.split(STEP_ROWS):
            if len(chosen) >= STEP_ROWS // 2 or len(order) < STEP_ROWS:
                self.step(white[chosen], labels[:, chosen])

    def step(self, white: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """One step on one set of rows, for every target."""
        weight, bias = self.linear.weight, self.linear.bias
        if weight.grad is None:
            weight.grad, bias.grad = torch.empty_like(weight), torch.empty_like(bias)
        together = max(1, LOGIT_BYTES // (4 * len(white) * weight.shape[2]))
        for first in range(0, len(labels), together):
            some = slice(first, first + together)
            label = labels[some]
            states = white.expand(len(label), -1, -1)
            slope = torch.softmax(torch.baddbmm(bias[some, None], states, weight[some]), 2)
            there = label >= 0
            slope.scatter_add_(2, label.clamp(min=0)[..., None], slope.new_full((*label.shape, 1), -1.0))
            slope *= (there / there.sum(1, keepdim=True).clamp(min=1))[..., None]
            torch.bmm(states.transpose(1, 2), slope, out=weight.grad[some])
            torch.sum(slope, 1, out=bias.grad[some])
        progress = min(1.0, self.steps / self.planned)
        warm = min(1.0, (self.steps + 1) / WARM_STEPS)
        for group in self.optimizer.param_groups:
            group["lr"] = PEAK_RATE * warm * 0.5 * (1.0 + math.cos(math.pi * progress))
        self.optimizer.step()
        self.steps += 1

    def end_pass(self, calibration: Calibration) -> None:
        """After the last pass: keep the better of start and end for each target, and weigh it."""
        self.passes -= 1
        if self.passes:
            return
        base = self.setting.classes.class_log_prior
        white = calibration.states @ self.whiten
        for target in range(self.setting.targets):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            trials = []
            for trial in (self.start, self.linear):
                evidence = trial.scores(white[rows], target) - base
                temperature, loss = fit_temperature(base, evidence, labels[rows])
                trials.append((loss, temperature, trial))
            _, self.temperatures[target], kept = min(trials, key=lambda trial: trial[0])
            self.linear.weight[target] = kept.weight[target]
            self.linear.bias[target] = kept.bias[target]
        self.linear = LinearScores(self.whiten @ self.linear.weight, self.linear.bias - base)
        self.start = self.optimizer = None

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the logits less the log-prior, nats before the temperature."""
        return self.linear.scores(states, target)
