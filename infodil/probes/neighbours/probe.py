"""The nearest-neighbour probe, for states of few dims, in a learned metric."""

__all__ = ["Neighbours", "NeighboursFit"]

from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from infodil.probes.calibration import LEAST_GAIN_NATS
from infodil.probes.neighbours.components import ComponentOptions, fit_components
from infodil.probes.probe import ProbeFit, ProbeSpec
from infodil.probes.subsampled import LocalProbe, SubsampledFit


@dataclass(frozen=True)
class Votes:
    """The fitted votes of one target: metric, tree of training states, and how neighbours are counted."""

    metric: Float[Tensor, "dim axes"]
    tree: cKDTree
    labels: Int[ndarray, "rows"]
    below: Float[ndarray, "rows classes"]
    """Posterior of the weaker probe at each training row."""
    number: int
    sharpness: float
    strength: float


@dataclass(frozen=True)
class Neighbours(LocalProbe):
    r"""Votes of the nearest training states, which correct the prediction of the weaker probe.

    Where the weaker probe expects :math:`e_c` of the k nearest states to be of class c, and :math:`o_c` are,

    .. math:: q(c \mid h) \propto p(c \mid h) \, \frac{o_c + a\,p(c \mid h)}{e_c + a\,p(c \mid h)}

    the posterior mean of a factor for each class whose prior counts for `a` states. Neighbours are near in a metric
    learned by neighbourhood components analysis; a Gaussian kernel weighs them, and their number is that of as many
    equal votes. Number, kernel and strength are chosen on the calibration rows. Small traces need this: the posterior
    of an old token is a function of the state that goes up and down many times, which affine probes and small
    perceptrons miss.

    Reference:
        Fix and Hodges (1951), Discriminatory analysis, for the votes; Goldberger et al. (2004), Neighbourhood
        components analysis, for the metric.
    """

    name = "neighbours"
    summary = "votes of nearest neighbours in a learned metric, for states of at most 8 dims and 32 types"
    slow = True

    max_dims: int = 8
    """Numbers in a state, at most: in more dims too few neighbours are near enough to say anything of each class."""

    numbers: tuple[int, ...] = (16, 64, 256)
    """Numbers of neighbours tried, ascending: fewer are nearer, more vote with less noise."""
    sharpness: tuple[float, ...] = (0.0, 0.7, 1.0)
    """Inverse bandwidths tried for the kernel that weighs neighbours, in units of the learned metric; zero is flat."""
    strengths: tuple[float, ...] = (0.3, 1.0, 3.0, 10.0, 30.0, 100.0)
    """Numbers of neighbours that the prediction of the weaker probe counts for, tried on the calibration rows."""
    components: ComponentOptions = ComponentOptions()
    """Search for the metric."""
    jitter: float = 1e-6
    """Noise added to states that are about one: a tree of many equal points would search all of them."""
    block_rows: int = 2**13
    """States whose neighbours are looked up at once: what memory allows."""

    @property
    def choices(self) -> list[tuple[int, float, float]]:
        """Every number, sharpness and strength that is tried, in the order of the trials."""
        return list(product(self.numbers, self.sharpness, self.strengths))

    @property
    def required_gain_nats(self) -> float:
        """Gain of the best of so many choices on all calibration rows, below which the weaker probe predicts alone."""
        return LEAST_GAIN_NATS + float(np.log(len(self.choices)))

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "NeighboursFit":
        """A fit that has seen no rows; its votes correct what the weaker probe says."""
        return NeighboursFit(self, spec, base)


class NeighboursFit(SubsampledFit):
    """For each target a metric, a tree of training states, and how their votes are counted."""

    def __init__(self, probe: Neighbours, spec: ProbeSpec, base: ProbeFit | None) -> None:
        super().__init__(probe, spec)
        self.base = base

    def learn(self, target: int, known: tuple[Tensor, Tensor], held_out: tuple[Tensor, Tensor]) -> Votes | None:
        """The number, sharpness and strength of least loss on some calibration rows; None where none gains enough."""
        (known, known_labels), (states, labels) = known, held_out
        options = self.probe
        if len(known) <= max(options.numbers) or len(labels) == 0:
            return None
        known_labels = known_labels.numpy()
        generator = torch.Generator().manual_seed(self.spec.seed)
        moved = known.double() + options.jitter * torch.randn(known.shape, generator=generator, dtype=torch.float64)
        metric = fit_components(moved, known_labels, self.spec.classes.number, self.spec.seed, options.components)
        tree, below = cKDTree(measured(moved, metric)), self.posterior(known.to(states.device), target)
        prediction, truth = self.posterior(states, target), labels.cpu().numpy()
        distance, index = tree.query(measured(states, metric), k=max(options.numbers), workers=torch.get_num_threads())
        losses = []
        for number, sharpness in product(options.numbers, options.sharpness):
            votes = count_votes(distance[:, :number], index[:, :number], sharpness, known_labels, below)
            losses += [
                -corrected(prediction, *votes, strength)[np.arange(len(truth)), truth].sum()
                for strength in options.strengths
            ]
        best = int(np.argmin(losses))
        gain = -np.log(prediction[np.arange(len(truth)), truth]).sum() - losses[best]
        return (
            Votes(metric, tree, known_labels, below, *options.choices[best])
            if gain > options.required_gain_nats
            else None
        )

    def posterior(self, states: Float[Tensor, "rows dim"], target: int) -> Float[ndarray, "rows classes"]:
        """The posterior of the weaker probe, or the prior."""
        parts = [
            torch.softmax(self.spec.classes.class_log_prior + self.evidence(some, target), 1)
            for some in states.split(self.probe.block_rows)
        ]
        return torch.cat(parts).clamp(min=1e-12).cpu().numpy()

    def evidence(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """The evidence of the weaker probe times its temperature."""
        temperature = 0.0 if self.base is None else self.base.temperatures[target]
        if temperature == 0.0:
            return states.new_zeros(len(states), self.spec.classes.number)
        return temperature * self.base.scores(self.base.prepare(states), target)

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class: the corrected log-posterior less the log-prior, nats before the temperature."""
        fitted = self.learned[target]
        if fitted is None:
            return self.evidence(states, target)
        parts = []
        for some in states.split(self.probe.block_rows):
            points, workers = measured(some, fitted.metric), torch.get_num_threads()
            distance, index = fitted.tree.query(points, k=fitted.number, workers=workers)
            votes = count_votes(distance, index, fitted.sharpness, fitted.labels, fitted.below)
            parts.append(torch.from_numpy(corrected(self.posterior(some, target), *votes, fitted.strength)))
        return torch.cat(parts).to(states) - self.spec.classes.class_log_prior


def measured(states: Float[Tensor, "rows dim"], metric: Float[Tensor, "dim axes"]) -> Float[ndarray, "rows axes"]:
    """Coordinates in which distance is Euclidean."""
    return (states.cpu().double() @ metric).numpy()


def count_votes(
    distance: Float[ndarray, "rows number"],
    index: Int[ndarray, "rows number"],
    sharpness: float,
    labels: Int[ndarray, "train"],
    below: Float[ndarray, "train classes"],
) -> tuple[Float[ndarray, "rows classes"], Float[ndarray, "rows classes"]]:
    """How many neighbours of each class there are, and how many the weaker probe expects; weighed by the kernel."""
    energy = 0.5 * np.square(sharpness * distance)
    weight = np.exp(energy.min(1, keepdims=True) - energy)
    weight *= weight.sum(1, keepdims=True) / np.square(weight).sum(1, keepdims=True)
    rows, classes = len(index), below.shape[1]
    cell = np.arange(rows)[:, None] * classes + labels[index]
    votes = np.bincount(cell.ravel(), weight.ravel(), minlength=rows * classes).reshape(rows, classes)
    return votes, np.einsum("rn,rnc->rc", weight, below[index])


def corrected(
    prediction: Float[ndarray, "rows classes"],
    votes: Float[ndarray, "rows classes"],
    expected: Float[ndarray, "rows classes"],
    strength: float,
) -> Float[ndarray, "rows classes"]:
    """Log-posterior after the votes, nats."""
    log = np.log(prediction * (votes + strength * prediction) / (expected + strength * prediction))
    return log - np.log(np.exp(log).sum(1, keepdims=True))
