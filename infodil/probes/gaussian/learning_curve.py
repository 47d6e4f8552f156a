"""Learning curve and online code length: bits at growing numbers of training rows (Voita and Titov 2020)."""

__all__ = ["CurveOptions", "LearningCurve", "Solution", "extrapolate"]

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.estimate import BITS_PER_NAT
from infodil.probes.calibration import LEAST_GAIN_NATS, cross_entropy_nats
from infodil.probes.probe import Calibration, Learning, ProbeSpec
from infodil.probes.reservoir import Reservoir


@dataclass(frozen=True)
class CurveOptions:
    """Options of the learning curve and of its extrapolation."""

    halvings: int = 4
    """Times the training rows are halved: the smallest number that is fitted is a sixteenth of them."""
    block_rows: int = 1024
    """Rows sampled from each block, which stand for all of it in the code length."""
    calibration_rows: int = 512
    """Calibration rows on which a prefix is compared with the whole: few are enough, as both read the same ones."""
    min_points: int = 4
    """Points that a law is fitted to, at least: it has three numbers."""
    exponents: tuple[float, ...] = tuple(0.25 * 6.0 ** (step / 40) for step in range(41))
    """Powers of the number of rows tried for what is still missing: 0.25 to 1.5."""
    exponent_penalty: float = 3e-3
    """Square bits by which an exponent e times too large or too small counts as a worse fit.

    With five points that have errors, the exponent of a fit is hardly known; one is what theory gives a model whose
    parameters each rest on many rows. The figure is the square of a usual error of a point, 0.05 bits.
    """


class Solution(NamedTuple):
    """The discriminant fitted on some rows, weighed on the calibration rows."""

    nats: float
    """Cross-entropy of those calibration rows."""
    temperature: float
    shrinkage: float
    direction: Float[Tensor, "dim classes"]
    offset: Float[Tensor, "classes"]


@runtime_checkable
class Sums(Protocol):
    """What is collected in one pass: `ClassSums`."""

    counts: Tensor

    def copy(self) -> "Sums":
        """The sums so far, which later rows do not change."""
        ...


class LearningCurve:
    r"""The sums at doubling numbers of rows and some rows of each block between them, kept in the one pass.

    The code of Voita and Titov (2020): the first block, a sixteenth of the rows, is coded by the unigram prior (they
    use a uniform code), every later one, as long as all rows before it, by the discriminant fitted on those rows:
    :math:`\sum_b n_b \, \overline{-\log_2 q_{<b}}`. Prior, shrinkage and temperature are choices of the fit and
    not part of the code. Takes four times the memory of the sums where these are no longer the rows themselves.

    Reference:
        Voita and Titov (2020), Information-theoretic probing with minimum description length. Cortes et al. (1993),
        Learning curves: asymptotic values and rate of convergence, and Hestness et al. (2017) for the power law.
    """

    def __init__(self, spec: ProbeSpec, options: CurveOptions) -> None:
        self.spec, self.options = spec, options
        self.ends = sorted({spec.train_rows >> halving for halving in range(1, options.halvings + 1)} - {0})
        self.seen = 0
        self.prefixes: list[Sums] = []
        self.blocks: list[Reservoir] = []

    def pieces(
        self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """The rows cut where a block ends."""
        cuts = [end - self.seen for end in self.ends if self.seen < end < self.seen + len(states)]
        for first, last in zip([0, *cuts], [*cuts, len(states)], strict=True):
            yield states[first:last], labels[:, first:last]

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"], collected: Sums) -> None:
        """Count one piece, whose rows the sums already hold, and keep the sums where a block ends."""
        self.seen += len(states)
        if self.blocks:
            self.blocks[-1].update(states, labels)
        spec, ended = self.spec, len(self.prefixes)
        if ended < len(self.ends) and self.seen == self.ends[ended]:
            self.prefixes.append(collected.copy())
            after = [*self.ends, spec.train_rows][ended + 1] - self.seen
            most, seed = min(self.options.block_rows, after), spec.seed + 7919 * (ended + 1)
            self.blocks.append(Reservoir(most, after, spec.dim, spec.targets, seed, spec.device))

    def finish(
        self,
        collected: Sums,
        whole: Sequence[Solution],
        solve: Callable[[Sums, int, Solution, Tensor, Tensor], Solution],
        calibration: Calibration,
    ) -> list[Learning]:
        """One curve for each target.

        Args:
            collected: The sums of all rows.
            whole: The solution of all rows, for each target.
            solve: A function of the sums of a prefix, the target, the solution for about twice as many rows, and
                calibration states with their labels; it gives a solution whose choices are made on those rows.
            calibration: The rows on which the fit made its choices.
        """
        return [self.learn(target, collected, whole[target], solve, calibration) for target in range(len(whole))]

    def learn(
        self, target: int, collected: Sums, solution: Solution, solve: Callable, calibration: Calibration
    ) -> Learning:
        """The curve of one target, from the whole back to the smallest prefix."""
        base = self.spec.classes.class_log_prior
        rows = torch.nonzero(calibration.labels[target] >= 0).squeeze(1)
        labels = calibration.labels[target, rows]
        entropy = float(-base[labels].mean()) if len(labels) else 0.0
        at_end = entropy - solution.nats if solution.temperature else 0.0
        few = self.options.calibration_rows
        states, labels = calibration.states[rows[:few]], labels[:few]
        # The same few rows are read before and after: their ratio has much less error than either.
        read = self.gain(solution, states, labels)
        ratio = at_end / read if read * len(labels) > LEAST_GAIN_NATS else 1.0
        counts = collected.counts[target]
        number, nats, saved, following = [round(float(counts.sum()))], [at_end], 0.0, counts.sum()
        for prefix, block in zip(reversed(self.prefixes), reversed(self.blocks), strict=True):
            gain, seen = 0.0, prefix.counts[target].sum()
            if solution.temperature:  # where all rows teach nothing, fewer teach nothing
                solution = solve(prefix, target, solution, states, labels)
                gain = float(-base[labels].mean()) - solution.nats
                if not gain * len(labels) > LEAST_GAIN_NATS:
                    gain, solution = 0.0, solution._replace(temperature=0.0)
            number.append(round(float(seen)))
            nats.append(ratio * gain)
            labelled = block.labels[target] >= 0
            saved += float(following - seen) * self.gain(
                solution, block.states[labelled], block.labels[target, labelled]
            )
            following = seen
        sizes, bits = tuple(number[::-1]), tuple(value * BITS_PER_NAT for value in nats[::-1])
        compression = saved * BITS_PER_NAT / max(1, number[0])
        plain = -float(counts @ base.double()) * BITS_PER_NAT / max(1, number[0])
        limit = extrapolate(sizes, bits, entropy * BITS_PER_NAT, self.options)
        return Learning(sizes, bits, limit, plain - compression, compression)

    def gain(self, solution: Solution, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]) -> float:
        """Mean nats by which a solution says more than the prior on some rows."""
        if solution.temperature == 0.0 or len(labels) == 0:
            return 0.0
        base = self.spec.classes.class_log_prior
        logits = base + solution.temperature * torch.addmm(solution.offset, states, solution.direction)
        return float(-base[labels].mean()) - cross_entropy_nats(logits, labels)


def extrapolate(
    train_rows: Sequence[int], bits: Sequence[float], most: float = math.inf, options: CurveOptions = CurveOptions()
) -> float | None:
    """Where bits tend as rows grow without end, by the law `bits = limit - a rows ** -b`; None where it does not fit.

    By least squares of residuals times rows (the law is one of many rows: what it leaves out goes down like one over
    them), b drawn towards one (`exponent_penalty`). None with fewer than four points, where the bits do not grow, and
    where the three numbers of the law leave more variance for each degree of freedom than a constant does.

    Args:
        train_rows: Rows of each point, ascending.
        bits: Bits of each point.
        most: Bits that the limit cannot exceed.
        options: Options of the fit.

    Example:
        >>> round(extrapolate([100, 200, 400, 800], [3.0 - 50.0 / rows for rows in (100, 200, 400, 800)]), 3)
        3.0
    """
    size, value = np.asarray(train_rows, dtype=float), np.asarray(bits, dtype=float)
    points = len(value)
    if points < options.min_points or len(set(train_rows)) < points or size[0] == 0 or not value[-1] > value[0]:
        return None
    size = size / size[-1]
    constant = float(np.square(size * (value - np.average(value, weights=size**2))).sum())
    best, limit = math.inf, None
    for exponent in options.exponents:
        missing = size**-exponent
        slope, level = np.polyfit(missing, value, 1, w=size)
        residual = float(np.square(size * (value - level - slope * missing)).sum())
        cost = residual + options.exponent_penalty * math.log(exponent) ** 2
        if slope < 0.0 and cost < best and residual / (points - 3) < constant / (points - 1):
            best, limit = cost, float(level)
    return None if limit is None else min(limit, most)
