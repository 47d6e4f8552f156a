"""Multilayer perceptron: hidden layers shared by all targets of a site, a softmax head for each, above `linear`."""

__all__ = ["MLP", "MLPFit"]

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import check_whole
from infodil.probes.calibration import calibrate_temperature
from infodil.probes.neural.softmax import BaseEvidence, SoftmaxHeads, learning_rate
from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec


@dataclass(frozen=True)
class MLP(Probe):
    r"""A perceptron of one or two hidden layers, trained for all targets of a site at once.

    The logits of target k are :math:`\log p + s_k(h) + w_k V_k\,\phi(h)`: the evidence :math:`s_k` of the weaker
    probe, fixed, and a head on the features :math:`\phi` that the targets share (GELU of affine maps). The heads begin
    at zero, so training begins at the weaker probe. The share :math:`w_k` of what a head learned is chosen by
    cross-entropy on the calibration rows, zero included, so that no target is worse there than under the weaker probe.
    A head whose share is zero after half of the passes learns no more.

    In matrix products a row costs `6 width classes` flops for each target in the heads, `2 dim classes` in the weaker
    probe, and `6 (dim + (hidden_layers - 1) width) width` once in the hidden layers: at 768 dims, 4,096 classes and 17
    targets 0.32 Gflop, so 400,000 rows take about a quarter of an hour at 140 Gflop/s.

    Reference:
        Hendrycks and Gimpel (2016), Gaussian error linear units; He et al. (2015), Delving deep into rectifiers, for
        the first weights of the hidden layers; Loshchilov and Hutter (2019), Decoupled weight decay.
    """

    name = "mlp"
    summary = "a multilayer perceptron"
    slow = True

    hidden_layers: int = 1
    """Hidden layers, at least one: more hardly ever read more, and cost `6 width width` flops a row each."""
    width: int = 512
    """Hidden units in each layer, at least one."""
    hidden_rate: float = 0.08
    """Peak rate of a step of the hidden layers, in standard deviations of the weights that a layer began with."""
    head_rate: float = 2e-2
    """Peak rate of a step of a head on 512 features; on others, by the root of how many times fewer there are."""
    weight_decay: float = 0.1
    """Decay of the hidden layers' weights a step, times the rate (AdamW)."""
    step_rows: int = 128
    """Rows of an optimiser step, at the least."""
    max_step_rows: int = 4096
    """Rows of an optimiser step, at the most."""
    steps: int = 1200
    """Optimiser steps, about: of more rows than `steps * step_rows` each step takes more."""
    training_rows: int = 400_000
    """Rows seen in all passes together, at the least, as far as `max_passes` reach."""
    max_passes: int = 6
    """Passes over the training rows, at the most: few rows are overfitted by more."""

    def __post_init__(self) -> None:
        check_whole("hidden_layers", self.hidden_layers, 1, "pass 1 or 2")
        check_whole("width", self.width, 1, "pass the number of hidden units, such as 512")

    def memory_bytes(self, spec: ProbeSpec) -> float:
        """Bytes of weights, gradients and Adam's moments of heads and hidden layers, and of the whitening."""
        inputs = min(spec.dim, max(1, spec.train_rows))
        heads, hidden = spec.targets * self.width * spec.classes.number, inputs * self.width
        return 16.0 * (heads + hidden) + 28.0 * spec.dim * inputs

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "MLPFit":
        """A fit that has seen no rows; its logits start at those of the weaker probe, or at the prior."""
        return MLPFit(self, spec, base)

    def training_passes(self, spec: ProbeSpec) -> int:
        """Passes over the training rows, so that enough rows are seen."""
        return max(1, min(self.max_passes, math.ceil(self.training_rows / max(1, spec.train_rows))))

    def flops(self, spec: ProbeSpec) -> float:
        """Floating-point operations in the heads, most of all that training costs where there are many classes."""
        rows = self.training_passes(spec) * max(1, spec.train_rows)
        return 6.0 * rows * spec.targets * self.width * spec.classes.number


class MLPFit(ProbeFit):
    """The hidden layers, and the heads of all targets, at one site."""

    def __init__(self, probe: MLP, spec: ProbeSpec, base: ProbeFit | None) -> None:
        super().__init__(probe, spec)
        hidden_layers, width = probe.hidden_layers, probe.width
        self.base = BaseEvidence(base, spec)
        self.passes = probe.training_passes(spec)
        self.passes_unjudged = self.passes - self.passes // 2
        """Passes until heads that learned nothing are stopped."""
        self.planned_rows = self.passes * max(1, spec.train_rows)
        self.step_rows = min(probe.max_step_rows, max(probe.step_rows, self.planned_rows // probe.steps))
        self.rows_seen = self.steps = 0
        self.unused: set[int] = set()
        """Targets of whose heads nothing is used."""
        self.temperatures = [1.0] * spec.targets
        self.generator = torch.Generator(device="cpu").manual_seed(spec.seed)

        self.layers: list[tuple[Tensor, Tensor]] = []
        groups = []
        for inputs, outputs in pairwise([self.base.flatten.shape[1]] + [width] * hidden_layers):
            spread = math.sqrt(2.0 / inputs)
            weight = (spread * torch.randn(inputs, outputs, dtype=torch.float32, generator=self.generator)).to(
                spec.device
            )
            layer = (
                weight.requires_grad_(),
                torch.zeros(outputs, dtype=torch.float32, device=spec.device, requires_grad=True),
            )
            self.layers.append(layer)
            groups.append({"params": layer, "peak": probe.hidden_rate * spread})
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=probe.weight_decay, fused=True)
        self.heads = SoftmaxHeads(spec.targets, width, spec.classes.number, spec.device)
        for target in range(spec.targets):
            self.heads.weight[target, width] = self.base.bias(target)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Take an optimiser step for about every `step_rows` rows, in random order."""
        if not self.heads.training:
            return
        order = torch.randperm(len(states), generator=self.generator).to(states.device)
        for chosen in order.tensor_split(max(1, round(len(order) / self.step_rows))):
            self.step(states[chosen], labels[:, chosen])

    def step(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """One step on one set of rows: a graph for the hidden layers alone, whose last gradient the heads compute."""
        with torch.enable_grad():
            features = self.features(states)
        gradient = torch.zeros_like(features)
        self.heads.compute_gradient(
            features.detach(), labels, lambda some, buffer: self.write_base_logits(states, some, buffer), gradient
        )
        features.backward(gradient)
        progress = self.rows_seen / self.planned_rows
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.steps, progress, group["peak"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        peak = self.probe.head_rate * math.sqrt(512 / self.heads.inputs)
        self.heads.step(learning_rate(self.steps, progress, peak))
        self.steps += 1
        self.rows_seen += len(states)

    def write_base_logits(
        self, states: Float[Tensor, "rows dim"], some: slice, buffer: Float[Tensor, "some rows classes"]
    ) -> bool:
        """Write the weaker probe's logits of some heads, less the bias that the heads hold; False if there are none."""
        weaker = self.base.fit
        if weaker is None:
            return False
        temperature = self.base.temperatures[some, None, None]
        torch.bmm((temperature * states).to(buffer.dtype), weaker.linear.weight[some].to(buffer.dtype), out=buffer)
        for head, logits in enumerate(buffer, start=some.start):
            if self.base.curved[head]:
                logits.copy_(self.base.evidence(states, head))
        return True

    def features(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows width"]:
        """The last hidden layer."""
        hidden = states @ self.base.flatten
        for weight, bias in self.layers:
            hidden = torch.nn.functional.gelu(torch.addmm(bias, hidden, weight))
        return hidden

    def end_pass(self, calibration: Calibration) -> None:
        """Stop the heads that learned nothing; after the last pass, choose the share and temperature of every head."""
        self.passes -= 1
        self.passes_unjudged -= 1
        if self.passes_unjudged > 0:
            return
        prepared = self.prepare(calibration.states)
        for target in list(self.heads.training):
            rows = torch.nonzero(calibration.labels[target] >= 0).squeeze(1)
            self.close_head(target, prepared[rows], calibration.labels[target, rows])
        if self.passes:
            return
        self.heads.release()
        self.optimizer = None
        self.layers = [(weight.detach(), bias.detach()) for weight, bias in self.layers]

    def close_head(
        self, target: int, prepared: Float[Tensor, "rows dim_and_width"], labels: Int[Tensor, "rows"]
    ) -> None:
        """Fix a head at a share of what it learned, unless passes are to come and it is on a good way."""
        base, width = self.spec.classes.class_log_prior, self.heads.inputs
        head = self.heads.weight[target]
        start = self.base.evidence(prepared[:, :-width], target).add_(base)
        learned = torch.addmm(head[width] - self.base.bias(target), prepared[:, -width:], head[:width])
        share = calibrate_temperature(start, learned, labels)
        if self.passes and share > 0.0:
            return
        self.heads.stop(target)
        evidence = start.sub_(base)
        if share == 0.0:  # left out, not weighed: what was learned may not even be a number
            self.unused.add(target)
        else:
            head[width] -= self.base.bias(target)
            head *= share
            evidence.add_(learned, alpha=share)
        self.temperatures[target] = calibrate_temperature(base, evidence, labels)

    @torch.no_grad()
    def prepare(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim_and_width"]:
        """States and features side by side."""
        return torch.cat([states, self.features(states)], 1)

    def scores(self, prepared: Float[Tensor, "rows dim_and_width"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the logits less the log-prior, nats before the temperature."""
        dim, width = self.spec.dim, self.heads.inputs
        head = self.heads.weight[target]
        evidence = self.base.evidence(prepared[:, :dim], target)
        if target in self.unused:
            return evidence
        return evidence.add_(torch.addmm(head[width], prepared[:, dim:], head[:width]))
