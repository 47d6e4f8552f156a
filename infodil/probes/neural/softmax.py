"""What readers trained by gradient share: softmax heads of all targets in batched products, and where they start."""

__all__ = ["LOGIT_BYTES", "BaseEvidence", "SoftmaxHeads", "rate", "calibrate_temperature"]

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.calibration import fit_temperature
from infodil.probes.probe import ProbeFit, ProbeSpec

LOGIT_BYTES = 64 * 2**20
"""Logits of as many heads as fit into this are made in one product, and none are kept."""

WARM_STEPS = 20
ALIGNED = 8
"""Inputs come in multiples of this: matrix products in half precision run on fast units only then."""


def rate(step: int, progress: float, peak: float) -> float:
    """Linear warm-up over 20 steps, and half a cosine down to zero at a `progress` of one."""
    return peak * min(1.0, (step + 1) / WARM_STEPS) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def calibrate_temperature(
    base: Float[Tensor, "*some classes"], scores: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]
) -> float:
    """The temperature of `fit_temperature`, but no further above one than a reader that errs once more would go.

    Rows that are all read right would have what was learned trusted without limit, and a wrong row of the test split
    would cost hundreds of nats. Above one the fit therefore has a row added: that of middle margin, with the runner-up
    for its label. The loss is convex in the temperature, so what comes back is no worse than one is.
    """
    found, _ = fit_temperature(base, scores, labels)
    if found <= 1.0:
        return found
    best, order = (base + scores).topk(2, dim=1)
    middle = torch.argsort(best[:, 0] - best[:, 1])[len(labels) // 2]
    more = torch.cat([scores, scores[middle, None]]), torch.cat([labels, order[middle, 1:]])
    if base.dim() == 2:
        base = torch.cat([base, base[middle, None]])
    return min(found, max(1.0, fit_temperature(base, *more)[0]))


def product_dtype(device: torch.device) -> torch.dtype:
    """What matrix products are made in: bfloat16 with float32 sums on a GPU that has it, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


class BaseEvidence:
    """The evidence of the rung below, weighed, on which heads build; nothing where no affine rung is below.

    Attributes:
        quadratic: For each target, what that evidence is beyond an affine function of the state; None where nothing.
        total: Covariance of the training states, where it is known.
        whiten: What framed states are multiplied by to be white, the identity where the covariance is not known.
        undo: Its inverse.
    """

    def __init__(self, base: ProbeFit | None, spec: ProbeSpec) -> None:
        self.reader = reader = base if base is not None and base.linear is not None else None
        self.classes = spec.classes
        self.quadratic = [None] * spec.targets if reader is None or reader.quadratic is None else reader.quadratic
        self.total = None if reader is None else reader.total
        self.whiten = self.undo = torch.eye(spec.dim, device=spec.device)
        if self.total is not None:
            spread, axes = torch.linalg.eigh(self.total)
            spread = spread.clamp(min=1e-4 * float(spread.mean())).sqrt()
            self.whiten, self.undo = (axes / spread).float(), (axes * spread).T.float()

    @property
    def bent(self) -> list[bool]:
        """For each target, whether its evidence is more than an affine function of the state."""
        return [part is not None for part in self.quadratic]

    def evidence(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """All of it, nats."""
        if self.reader is None:
            return states.new_zeros(len(states), self.classes.number)
        return self.reader.temperatures[target] * self.reader.scores(states, target)

    def bias(self, target: int) -> Float[Tensor, "classes"]:
        """The logits at a state of zero: the log-prior, and the affine evidence where it is the whole evidence."""
        if self.reader is None or self.bent[target]:
            return self.classes.class_log_prior
        return self.classes.class_log_prior + self.reader.temperatures[target] * self.reader.linear.bias[target]


class SoftmaxHeads:
    """Multinomial logistic regressions by Adam, one for each target, on inputs that all of them share.

    The gradient of the softmax is written out, so that there is no graph, and the logits of a few heads at a time are
    turned into it in place: no logits are kept. A head costs `4 inputs classes` flops a row in matrix products
    (`6 inputs classes` where the inputs learn too). On a CPU this takes about nine tenths of the time of
    `torch.nn.functional.linear_cross_entropy`, in chunks or not. Weights and Adam's moments are float32 whatever the
    products are.

    Attributes:
        weight: `[targets, inputs, classes]`; the row after the caller's inputs is the bias (that input is always one),
            and rows of zeros fill up to a multiple of eight.
        gradient: Of the same shape.
        training: The heads that still learn; the others are left alone.
    """

    def __init__(self, targets: int, inputs: int, classes: int, device: torch.device) -> None:
        self.inputs = inputs
        height = -(-(inputs + 1) // ALIGNED) * ALIGNED
        self.weight = torch.zeros(targets, height, classes, device=device)
        self.gradient = torch.zeros_like(self.weight)
        self.training = list(range(targets))
        self.dtype = product_dtype(device)
        # One parameter a head, each a view of the stack: a head without a gradient is left out of Adam's step.
        self.parameters = list(self.weight)
        self.optimizer = torch.optim.Adam(self.parameters, betas=(0.9, 0.99), fused=True)
        self.room = torch.empty(0, device=device, dtype=self.dtype)

    def slopes(
        self,
        inputs: Float[Tensor, "rows inputs"],
        labels: Int[Tensor, "targets rows"],
        logit_bytes: int,
        offset: Callable[[slice, Tensor], bool] = lambda some, room: False,
        back: Float[Tensor, "rows inputs"] | None = None,
    ) -> None:
        """The gradient of each head's mean cross-entropy over its labelled rows, left in `gradient`.

        Args:
            inputs: What the heads read.
            labels: The true classes, -1 for none.
            logit_bytes: Memory for logits.
            offset: Writes what is added to the logits of some heads into the tensor it is given; False if nothing is.
            back: Here the gradient of the sum of the heads' losses by the inputs is added, where they learn too.
        """
        rows = len(inputs)
        left = torch.zeros(rows, self.weight.shape[1], device=inputs.device, dtype=self.dtype)
        left[:, : self.inputs] = inputs
        left[:, self.inputs] = 1.0
        there = (labels >= 0).float()
        share = (there / there.sum(1, keepdim=True).clamp(min=1.0)).to(self.dtype)
        for some in self.groups(rows, logit_bytes):
            number = some.stop - some.start
            weight = self.weight[some].to(self.dtype)
            slope = self.logits(number, rows)
            if offset(some, slope):
                slope.baddbmm_(left.expand(number, -1, -1), weight)
            else:
                torch.bmm(left.expand(number, -1, -1), weight, out=slope)
            torch.softmax(slope, 2, out=slope)
            own = labels[some].clamp(min=0)[..., None]
            slope.scatter_add_(2, own, slope.new_full(own.shape, -1.0))
            # Rows without a label weigh nothing; weighing the inputs is cheaper than weighing the logits.
            weighed = left.T * share[some, None]
            if self.dtype == torch.float32:
                torch.bmm(weighed, slope, out=self.gradient[some])
            else:
                self.gradient[some] = torch.bmm(weighed, slope)
            if back is not None:
                part = torch.bmm(slope, weight[:, : self.inputs].mT)
                back += (part * share[some, :, None]).sum(0)

    def groups(self, rows: int, logit_bytes: int) -> Iterator[slice]:
        """Neighbouring heads that learn, as many at a time as have their logits fit into `logit_bytes`."""
        together = max(1, logit_bytes // (self.dtype.itemsize * rows * self.weight.shape[2]))
        first = last = None
        for head in [*self.training, None]:
            if first is not None and (head != last + 1 or head - first == together):
                yield slice(first, last + 1)
                first = None
            first, last = (head if first is None else first), head

    def logits(self, number: int, rows: int) -> Float[Tensor, "number rows classes"]:
        """Room for the logits of some heads, the same memory each time: fresh pages cost more than a softmax."""
        size = number * rows * self.weight.shape[2]
        if len(self.room) < size:
            self.room = self.room.new_empty(size)
        return self.room[:size].view(number, rows, -1)

    def descend(self, rate: float) -> None:
        """One step of Adam for the heads that learn."""
        for head, parameter in enumerate(self.parameters):
            parameter.grad = self.gradient[head] if head in self.training else None
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def retire(self, head: int) -> None:
        """A head learns no more; its moments are dropped."""
        self.training.remove(head)
        self.optimizer.state.pop(self.parameters[head], None)

    def finish(self) -> None:
        """Drop what only training needs."""
        del self.optimizer, self.parameters, self.gradient, self.room
