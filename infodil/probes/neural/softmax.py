"""Softmax heads of all targets in batched matrix products, and the weaker evidence that they start from."""

__all__ = ["BaseEvidence", "SoftmaxHeads", "learning_rate", "product_dtype"]

import math
from collections.abc import Callable, Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.probe import ProbeFit, ProbeSpec

WARM_STEPS = 20
"""Steps of the linear warm-up: Adam's second moments are known to a few per cent after so many."""

ALIGNED = 8
"""Inputs come in multiples of this: matrix products in half precision run on fast units only then."""

FLATTEST = 1e-4
"""Variance, as a share of the mean variance, below which whitening stretches a direction no further."""

QUIET = 1.0
"""The same for hidden layers, whose first weights are as large for all directions: stretched fully, the many quiet ones
drown the few that hold most. The perceptron then reads up to .26 bits less, and nowhere more than .005 bits more (GRU,
traces, a trained transformer; 13,500 to 71,000 rows of 64 to 256 dims)."""


def learning_rate(step: int, progress: float, peak: float) -> float:
    """Linear warm-up over 20 steps, and half a cosine down to zero at a `progress` of one."""
    return peak * min(1.0, (step + 1) / WARM_STEPS) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, progress)))


def product_dtype(device: torch.device) -> torch.dtype:
    """The format of matrix products: bfloat16 with float32 sums on a GPU that has it, float32 elsewhere."""
    return torch.bfloat16 if device.type == "cuda" and torch.cuda.is_bf16_supported() else torch.float32


class BaseEvidence:
    """Calibrated evidence of the weaker probe, from which heads start; zero where no affine probe is weaker.

    Attributes:
        fit: Fit of the weaker probe, None where there is none.
        temperatures: Temperature of each target's evidence, on the device of the states.
        quadratic: Evidence of each target beyond an affine function of the state, None where there is none.
        total: Covariance of the training states, where it is known.
        span: Basis of the training states where they span less than the whole space, else None.
        whiten: Matrix `[dim, inputs]` that makes standardized states white, the identity where the covariance is not
            known; of states beyond the span nothing is read.
        unwhiten: Inverse of `whiten`, `[inputs, dim]`, on the span.
        flatten: The same as `whiten`, but directions of less than the mean variance are stretched no more than others.
    """

    def __init__(self, base: ProbeFit | None, spec: ProbeSpec) -> None:
        self.fit = base if base is not None and base.linear is not None else None
        self.classes = spec.classes
        known = [1.0] * spec.targets if self.fit is None else self.fit.temperatures
        self.temperatures = torch.tensor(known, dtype=torch.float32, device=spec.device)
        quadratic = None if self.fit is None else self.fit.quadratic
        self.quadratic = [None] * spec.targets if quadratic is None else quadratic
        self.total = None if self.fit is None else self.fit.total
        self.span = None if self.fit is None else self.fit.span
        if self.total is None:
            self.whiten = self.unwhiten = self.flatten = torch.eye(spec.dim, dtype=torch.float32, device=spec.device)
        else:
            variance, axes = torch.linalg.eigh(self.total)
            mean = float(variance.sum()) / spec.dim
            axes = axes if self.span is None else self.span.double() @ axes
            spread = variance.clamp(min=FLATTEST * mean).sqrt()
            self.whiten, self.unwhiten = (axes / spread).float(), (axes * spread).T.float()
            self.flatten = (axes / variance.clamp(min=QUIET * mean).sqrt()).float()

    @property
    def curved(self) -> list[bool]:
        """Whether the evidence of each target is more than an affine function of the state."""
        return [part is not None for part in self.quadratic]

    def evidence(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """All evidence of the weaker probe at its temperature, nats."""
        if self.fit is None:
            return states.new_zeros(len(states), self.classes.number)
        return self.fit.temperatures[target] * self.fit.scores(states, target)

    def bias(self, target: int) -> Float[Tensor, "classes"]:
        """Logits at a state of zero: the log-prior, and the affine evidence where it is the whole evidence."""
        if self.fit is None or self.curved[target]:
            return self.classes.class_log_prior
        return self.classes.class_log_prior + self.fit.temperatures[target] * self.fit.linear.bias[target]


class SoftmaxHeads:
    """Multinomial logistic regressions by Adam, one for each target, on inputs that all of them share.

    The gradient of the softmax is written out, so that there is no graph, and the logits of a few heads at a time are
    turned into it in place: no logits are kept. A head costs `4 inputs classes` flops a row in matrix products
    (`6 inputs classes` where the inputs learn too). On a CPU this takes about nine tenths of the time of
    `torch.nn.functional.linear_cross_entropy`, in chunks or not. Weights and Adam's moments are float32 whatever the
    products are.

    Args:
        targets: Number of heads.
        inputs: Number of features.
        classes: Number of classes.
        device: Device of the weights.
        epsilon: Floor of the root mean square gradient that Adam divides by.

    Attributes:
        weight: `[targets, inputs, classes]`; the row after the caller's inputs is the bias (that input is always one),
            and rows of zeros fill up to a multiple of eight.
        gradient: `[targets, inputs, classes]`, the gradient of each head's loss by its weight.
        training: Heads that still learn; the others are left alone.
        logit_bytes: Memory for logits: those of as many heads as fit into it are made in one product.
    """

    logit_bytes = 64 * 2**20

    def __init__(self, targets: int, inputs: int, classes: int, device: torch.device, epsilon: float = 1e-8) -> None:
        self.inputs = inputs
        height = -(-(inputs + 1) // ALIGNED) * ALIGNED
        self.weight = torch.zeros(targets, height, classes, dtype=torch.float32, device=device)
        self.gradient = torch.zeros_like(self.weight)
        self.training = list(range(targets))
        self.dtype = product_dtype(device)
        # One parameter a head, each a view of the stack: a head without a gradient is left out of Adam's step.
        self.parameters = list(self.weight)
        self.optimizer = torch.optim.Adam(self.parameters, betas=(0.9, 0.99), eps=epsilon, fused=True)
        self.buffer = torch.empty(0, device=device, dtype=self.dtype)

    def compute_gradient(
        self,
        inputs: Float[Tensor, "rows inputs"],
        labels: Int[Tensor, "targets rows"],
        write_offset: Callable[[slice, Tensor], bool] = lambda some, buffer: False,
        input_gradient: Float[Tensor, "rows inputs"] | None = None,
    ) -> None:
        """The gradient of each head's mean cross-entropy over its labelled rows, left in `gradient`.

        Args:
            inputs: Features that the heads read.
            labels: True classes, -1 for none.
            write_offset: Function that writes what is added to the logits of some heads into the tensor it is given;
                it returns False if nothing is added.
            input_gradient: Tensor to which the gradient of the sum of the heads' losses by the inputs is added, where
                the inputs learn too.
        """
        rows = len(inputs)
        padded = torch.zeros(rows, self.weight.shape[1], device=inputs.device, dtype=self.dtype)
        padded[:, : self.inputs] = inputs
        padded[:, self.inputs] = 1.0
        labelled = (labels >= 0).float()
        share = (labelled / labelled.sum(1, keepdim=True).clamp(min=1.0)).to(self.dtype)
        for some in self.groups(rows):
            number = some.stop - some.start
            weight = self.weight[some].to(self.dtype)
            slope = self.logits(number, rows)
            if write_offset(some, slope):
                slope.baddbmm_(padded.expand(number, -1, -1), weight)
            else:
                torch.bmm(padded.expand(number, -1, -1), weight, out=slope)
            torch.softmax(slope, 2, out=slope)
            own = labels[some].clamp(min=0)[..., None]
            slope.scatter_add_(2, own, slope.new_full(own.shape, -1.0))
            # Rows without a label weigh nothing; weighing the inputs is cheaper than weighing the logits.
            weighed = padded.T * share[some, None]
            if self.dtype == torch.float32:
                torch.bmm(weighed, slope, out=self.gradient[some])
            else:
                self.gradient[some] = torch.bmm(weighed, slope)
            if input_gradient is not None:
                part = torch.bmm(slope, weight[:, : self.inputs].mT)
                input_gradient += (part * share[some, :, None]).sum(0)

    def groups(self, rows: int) -> Iterator[slice]:
        """Neighbouring heads that learn, as many at a time as have their logits fit into `logit_bytes`."""
        together = max(1, self.logit_bytes // (self.dtype.itemsize * rows * self.weight.shape[2]))
        first = last = None
        for head in [*self.training, None]:
            if first is not None and (head != last + 1 or head - first == together):
                yield slice(first, last + 1)
                first = None
            first, last = (head if first is None else first), head

    def logits(self, number: int, rows: int) -> Float[Tensor, "number rows classes"]:
        """Memory for the logits of some heads, the same each time: fresh pages cost more than a softmax."""
        size = number * rows * self.weight.shape[2]
        if len(self.buffer) < size:
            self.buffer = self.buffer.new_empty(size)
        return self.buffer[:size].view(number, rows, -1)

    def step(self, rate: float) -> None:
        """One step of Adam for the heads that learn."""
        for head, parameter in enumerate(self.parameters):
            parameter.grad = self.gradient[head] if head in self.training else None
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        self.optimizer.step()

    def stop(self, head: int) -> None:
        """The end of the training of one head, whose moments are dropped."""
        self.training.remove(head)
        self.optimizer.state.pop(self.parameters[head], None)

    def release(self) -> None:
        """The end of all training: what only that needs is dropped."""
        del self.optimizer, self.parameters, self.gradient, self.buffer
