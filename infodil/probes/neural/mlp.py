"""The multilayer perceptron: one trunk for all targets of a site, a softmax head for each, above the linear rung."""

__all__ = ["MLP", "MLPFit"]

import math
from dataclasses import dataclass
from itertools import pairwise

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import check_whole
from infodil.probes.neural.softmax import LOGIT_BYTES, BaseEvidence, SoftmaxHeads, calibrate_temperature, rate
from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec

ROWS_WANTED = 400_000
MOST_PASSES = 6
FEWEST_STEP_ROWS = 128
MOST_STEP_ROWS = 4096
STEPS_WANTED = 1200

TRUNK_RATE = 0.08
"""Of a step at its peak, in standard deviations of the weights that the layer was begun with."""

HEAD_RATE = 2e-2
"""Of a step at its peak, for heads that read 512 features; that of others goes with the root of how many."""

WEIGHT_DECAY = 0.1


@dataclass(frozen=True)
class MLP(Probe):
    r"""A perceptron of one or two hidden layers on whitened states, trained for all targets of a site at once.

    The logits of target k are :math:`\log p + s_k(h) + V_k\,\phi(h)`: the evidence :math:`s_k` of the rung below,
    fixed, and a head on the features :math:`\phi` that the targets share (GELU of affine maps). The heads begin at
    zero, so training begins at the rung below; at the end the calibration rows say how much of what a head learned is
    used, nothing included, so that no target is worse there than the rung below. A head that is worth nothing once
    half of the passes are done leaves the others, and the trunk, alone.

    In matrix products a row costs `6 width classes` flops for each target in the heads, `2 dim classes` in the rung
    below, and `6 (dim + (hidden_layers - 1) width) width` once in the trunk: at 768 dims, 4,096 classes and 17 targets
    0.32 Gflop, so 400,000 rows take about a quarter of an hour at 140 Gflop/s.

    Reference:
        Hendrycks and Gimpel (2016), Gaussian error linear units; He et al. (2015), Delving deep into rectifiers, for
        the weights the trunk begins with; Loshchilov and Hutter (2019), Decoupled weight decay.
    """

    name = "mlp"
    summary = "a multilayer perceptron"
    slow = True

    hidden_layers: int = 1
    """Hidden layers, at least one: more hardly ever read more, and cost `6 width width` flops a row each."""
    width: int = 512
    """Hidden units in each layer, at least one."""

    def __post_init__(self) -> None:
        check_whole("hidden_layers", self.hidden_layers, 1, "pass 1 or 2")
        check_whole("width", self.width, 1, "pass the number of hidden units, such as 512")

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "MLPFit":
        """A fit that has seen no rows; its logits start at those of the weaker probe, or at the prior."""
        return MLPFit(self, spec, base)

    def training_passes(self, spec: ProbeSpec) -> int:
        """Passes over the training rows, so that enough rows are seen."""
        return max(1, min(MOST_PASSES, math.ceil(ROWS_WANTED / max(1, spec.train_rows))))

    def flops(self, spec: ProbeSpec) -> float:
        """Floating-point operations in the heads, most of all that training costs where there are many classes."""
        rows = self.training_passes(spec) * max(1, spec.train_rows)
        return 6.0 * rows * spec.targets * self.width * spec.classes.number


class MLPFit(ProbeFit):
    """The trunk and the heads of all targets at one site."""

    def __init__(self, probe: MLP, spec: ProbeSpec, base: ProbeFit | None) -> None:
        super().__init__(probe, spec)
        hidden_layers, width = probe.hidden_layers, probe.width
        self.below = BaseEvidence(base, spec)
        self.passes = probe.training_passes(spec)
        self.lasting = self.passes // 2
        self.planned = self.passes * max(1, spec.train_rows)
        self.step_rows = min(MOST_STEP_ROWS, max(FEWEST_STEP_ROWS, self.planned // STEPS_WANTED))
        self.seen = self.steps = 0
        self.idle: set[int] = set()
        """LagLabels of which the trunk has nothing to say."""
        self.temperatures = [1.0] * spec.targets
        self.generator = torch.Generator(device="cpu").manual_seed(spec.seed)

        self.layers: list[tuple[Tensor, Tensor]] = []
        groups = []
        for inputs, outputs in pairwise([spec.dim] + [width] * hidden_layers):
            spread = math.sqrt(2.0 / inputs)
            weight = (spread * torch.randn(inputs, outputs, generator=self.generator)).to(spec.device)
            layer = weight.requires_grad_(), torch.zeros(outputs, device=spec.device, requires_grad=True)
            self.layers.append(layer)
            groups.append({"params": layer, "peak": TRUNK_RATE * spread})
        self.optimizer = torch.optim.AdamW(groups, betas=(0.9, 0.99), weight_decay=WEIGHT_DECAY, fused=True)
        self.heads = SoftmaxHeads(spec.targets, width, spec.classes.number, spec.device)
        for target in range(spec.targets):
            self.heads.weight[target, width] = self.below.bias(target)

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Take an optimiser step for about every `step_rows` rows, in random order."""
        if not self.heads.training:
            return
        order = torch.randperm(len(states), generator=self.generator).to(states.device)
        for chosen in order.tensor_split(max(1, round(len(order) / self.step_rows))):
            self.step(states[chosen], labels[:, chosen])

    def step(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """One step on one set of rows: a graph for the trunk alone, into which the heads send back their gradient."""
        with torch.enable_grad():
            features = self.features(states)
        back = torch.zeros_like(features)
        self.heads.slopes(
            features.detach(), labels, LOGIT_BYTES, lambda some, room: self.begin(states, some, room), back
        )
        features.backward(back)
        for group in self.optimizer.param_groups:
            group["lr"] = rate(self.steps, self.seen / self.planned, group["peak"])
        self.optimizer.step()
        self.optimizer.zero_grad()
        peak = HEAD_RATE * math.sqrt(512 / self.heads.inputs)
        self.heads.descend(rate(self.steps, self.seen / self.planned, peak))
        self.steps += 1
        self.seen += len(states)

    def begin(self, states: Float[Tensor, "rows dim"], some: slice, room: Float[Tensor, "some rows classes"]) -> bool:
        """Write the logits that some heads begin with, less the bias that they hold; say if there are any."""
        reader = self.below.reader
        if reader is None:
            return False
        weight = torch.tensor(reader.temperatures[some], device=states.device)[:, None, None]
        torch.bmm((weight * states).to(room.dtype), reader.linear.weight[some].to(room.dtype), out=room)
        for head, place in enumerate(room, start=some.start):
            if self.below.bent[head]:
                place.copy_(self.below.evidence(states, head))
        return True

    def features(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows width"]:
        """The last hidden layer."""
        hidden = states @ self.below.whiten
        for weight, bias in self.layers:
            hidden = torch.nn.functional.gelu(torch.addmm(bias, hidden, weight))
        return hidden

    def end_pass(self, calibration: Calibration) -> None:
        """After half of the passes, dismiss heads that are worth nothing; after the last, weigh what was learned."""
        self.passes -= 1
        if self.passes > self.lasting:
            return
        base, width = self.spec.classes.class_log_prior, self.heads.inputs
        prepared = self.prepare(calibration.states)
        for target in list(self.heads.training):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            start = base + self.below.evidence(calibration.states[rows], target)
            head = self.heads.weight[target]
            learned = torch.addmm(head[width] - self.below.bias(target), prepared[rows, -width:], head[:width])
            share = calibrate_temperature(start, learned, labels[rows])
            if self.passes and share > 0.0:
                continue
            self.heads.retire(target)
            if share == 0.0:
                self.idle.add(target)
            head[width] -= self.below.bias(target)
            head *= share
        if self.passes:
            return
        self.heads.finish()
        self.optimizer = None
        self.layers = [(weight.detach(), bias.detach()) for weight, bias in self.layers]
        prepared = self.prepare(calibration.states)
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(labels >= 0).squeeze(1)
            evidence = self.scores(prepared[rows], target)
            self.temperatures[target] = calibrate_temperature(base, evidence, labels[rows])

    @torch.no_grad()
    def prepare(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim_and_width"]:
        """States and features side by side."""
        return torch.cat([states, self.features(states)], 1)

    def scores(self, prepared: Float[Tensor, "rows dim_and_width"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the logits less the log-prior, nats before the temperature."""
        dim, width = self.spec.dim, self.heads.inputs
        head = self.heads.weight[target]
        evidence = self.below.evidence(prepared[:, :dim], target)
        if target in self.idle:  # what was learned may not even be a number
            return evidence
        return evidence.add_(torch.addmm(head[width], prepared[:, dim:], head[:width]))
