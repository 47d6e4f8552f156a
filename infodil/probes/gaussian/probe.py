"""The closed-form Gaussian probe: class means and a shared covariance, from sums and a few rows of one pass."""

__all__ = ["Gaussian", "GaussianFit"]

from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.calibration import cross_entropy_nats, fit_temperature
from infodil.probes.gaussian.class_sums import ClassSums, Moments
from infodil.probes.gaussian.covariance_contrasts import ContrastSearch, find_contrasts, reproduced, root_of, unbiased
from infodil.probes.gaussian.discriminant import Discriminant
from infodil.probes.gaussian.learning_curve import CurveOptions, LearningCurve, Solution
from infodil.probes.gaussian.quadratic_discriminant import Quadratic, QuadraticOptions, fit_quadratic
from infodil.probes.probe import Calibration, LinearScores, Probe, ProbeFit, ProbeSpec
from infodil.probes.reservoir import Reservoir

SOLUTION_MATRICES = 12
"""Matrices of dims by dims, float64, that the solution of a target holds at once."""


@dataclass(frozen=True)
class Gaussian(Probe):
    r"""Linear discriminant analysis with shrunk covariance and shrunk means, calibrated by a temperature.

    The within-class covariance :math:`W = T - B` is exact from the sums. In the basis that makes
    :math:`W_\lambda = (1-\lambda) W + \lambda\,\mathrm{tr}(T)/\mathrm{dim}\; I` the identity, the mean of a class with
    :math:`n_c` rows is shrunk along axis j by :math:`n_c b_j / (1 + n_c b_j)`, its posterior mean when class means
    have variance :math:`b_j` there, and the evidence for class c is :math:`m_c^\top z - |m_c|^2 / 2`.

    Where the covariances of the classes differ too, in a few directions and by more than chance on a sample of the
    rows, quadratic evidence is added (`Quadratic`); elsewhere the evidence is affine.

    Reference:
        Fisher (1936) and Rao (1948) for the discriminant; Friedman (1989), Regularized Discriminant Analysis, for
        the shrunk covariance; Efron and Morris (1973) for the shrunk means.
    """

    name = "gaussian"
    summary = "the closed-form Gaussian discriminant"
    closed_form = True

    shrinkages: tuple[float, ...] = (1e-6, 1e-3, 1e-2, 0.1, 0.3)
    """Shares of a sphere mixed into the within-class covariance, ascending, tried on the calibration split."""
    shrinkage_rows: int = 512
    """Calibration rows that choose the shrinkage; the temperature, chosen last, sees all of them."""
    sample_rows: int = 8192
    """Training rows kept for what sums cannot tell beforehand: the covariances of classes."""
    sample_step: int = 5
    """One training row in so many is kept, up to `sample_rows`: few rows must not be searched for long."""
    search_rows: int = 2048
    """Rows of the sample, at most half of it, in which directions are searched; the others test what was found."""
    contrasts: ContrastSearch = ContrastSearch()
    """Search for directions in which the classes differ in covariance."""
    quadratic: QuadraticOptions = QuadraticOptions()
    """Fit of the quadratic evidence along those directions."""
    curve: CurveOptions = CurveOptions()
    """Learning curve, where it is asked for."""

    def memory_bytes(self, spec: ProbeSpec) -> float:
        """Bytes of sums, second moments, their copies for the learning curve, and the solution of one target."""
        dim, rows = spec.dim, spec.train_rows
        heads, copies = 4.0 * spec.targets * dim * spec.classes.number, 4 if spec.learning_curve else 0
        kept = 4.0 * rows * dim
        if rows < dim:
            return heads + 6.0 * kept + 4.0 * SOLUTION_MATRICES * rows**2
        matrices = (8.0 * (1 + SOLUTION_MATRICES) + 4.0 * copies) * dim**2
        return heads + min(heads, kept) + min(copies * heads, kept) + matrices

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "GaussianFit":
        """A fit that has seen no rows; closed form, so it starts from nothing."""
        del base
        return GaussianFit(self, spec)


class GaussianFit(ProbeFit):
    """Class sums and a sample of rows, collected in one pass and solved at its end."""

    def __init__(self, probe: Gaussian, spec: ProbeSpec) -> None:
        super().__init__(probe, spec)
        self.collected: ClassSums | None = ClassSums(spec.dim, spec.targets, spec.classes.number, spec.device)
        sampled = max(1, min(probe.sample_rows, spec.train_rows // probe.sample_step))
        self.sample: Reservoir | None = Reservoir(
            sampled, spec.train_rows, spec.dim, spec.targets, spec.seed, spec.device
        )
        self.curve: LearningCurve | None = LearningCurve(spec, probe.curve) if spec.learning_curve else None
        self.quadratic: list[Quadratic | None] = []

    def update(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "targets rows"]) -> None:
        """Add training rows."""
        self.sample.update(states, labels)
        for piece in self.curve.pieces(states, labels) if self.curve else [(states, labels)]:
            self.collected.update(*piece)
            if self.curve:
                self.curve.update(*piece, self.collected)

    def end_pass(self, calibration: Calibration) -> None:
        """Solve every target in closed form; shrinkage and temperature by calibration cross-entropy.

        Where rows are fewer than dims all is done in coordinates of their span.
        """
        spec, base = self.spec, self.spec.classes.class_log_prior
        weight = torch.zeros(spec.targets, spec.dim, spec.classes.number, dtype=torch.float32, device=spec.device)
        bias = torch.zeros(spec.targets, spec.classes.number, dtype=torch.float32, device=spec.device)
        self.linear = LinearScores(weight, bias)
        collected, self.span = self.collected.reduced
        self.kept = self.inside(self.sample.states), self.sample.labels
        held_out, whole = self.inside(calibration.states), []
        for target in range(spec.targets):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            states, labels = held_out[rows], labels[rows]
            moments = collected.compute(target)
            if target == 0:
                # The covariance of all rows is kept for probes that start here, too.
                self.total = moments.total
                root = root_of(self.total, self.probe.contrasts.ridge_share)
                searched = min(self.probe.search_rows, len(self.kept[0]) // 2)
                shifted = self.kept[0][:searched] - moments.centre.float()
                white = torch.linalg.solve_triangular(root.T, shifted, upper=True, left=False)
            solution = self.choose(Discriminant(moments), states, labels)
            weight[target], bias[target] = self.outside(solution.direction), solution.offset
            evidence = torch.addmm(solution.offset, states, solution.direction)
            temperature, nats = fit_temperature(base, evidence, labels)
            whole.append(Solution(nats, temperature, solution.shrinkage, weight[target], bias[target]))
            directions = self.contrasting(target, moments, white, root)
            fitted = None
            if directions is not None:
                # Affine evidence of temperature zero is left out: its noise must not enter the quadratic evidence.
                used = float(temperature > 0.0)
                affine = (used * solution.direction, solution.shrinkage, temperature)
                known = (states, labels, used * evidence)
                options = (self.probe.contrasts, self.probe.quadratic)
                fitted = fit_quadratic(directions, moments, self.sampled(target), affine, base, known, *options)
            quadratic = replace(fitted[0], directions=self.outside(fitted[0].directions)) if fitted else None
            self.quadratic.append(quadratic)
            self.temperatures.append(fitted[1] if fitted else temperature)
        if self.curve:
            self.learning = self.curve.finish(self.collected, whole, self.solve_prefix, calibration)
        for target, solution in enumerate(whole):
            if self.quadratic[target] and solution.temperature == 0.0:
                weight[target], bias[target] = 0.0, 0.0
        self.collected = self.sample = self.kept = self.curve = None

    def inside(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows inputs"]:
        """States in the coordinates that are solved in."""
        return states if self.span is None else states @ self.span

    def outside(self, directions: Float[Tensor, "inputs some"]) -> Float[Tensor, "dim some"]:
        """Directions of those coordinates, as directions of states."""
        return directions if self.span is None else self.span @ directions

    def choose(
        self,
        discriminant: "Discriminant",
        states: Float[Tensor, "rows dim"],
        labels: Int[Tensor, "rows"],
    ) -> Solution:
        """The solution whose shrinkage has the least cross-entropy on the first few of some calibration rows."""
        base, few, trials = self.spec.classes.class_log_prior, slice(0, self.probe.shrinkage_rows), []
        for shrinkage in self.probe.shrinkages:
            direction, offset = discriminant.shrunk(shrinkage)
            evidence = torch.addmm(offset, states[few], direction)
            temperature, nats = fit_temperature(base, evidence, labels[few], 0.0)
            trials.append(Solution(nats, temperature, shrinkage, direction, offset))
        return min(trials, key=lambda trial: trial.nats)

    def solve_prefix(self, sums: ClassSums, target: int, longer: Solution, states: Tensor, labels: Tensor) -> Solution:
        """The solution for a prefix of the rows: the shrinkage of the next longer prefix, or the next larger one.

        Both are compared at the temperature of the longer prefix, and only the better one is calibrated, so that four
        prefixes cost less than the whole.
        """
        base, trials = self.spec.classes.class_log_prior, []
        shrinkages, (sums, span) = self.probe.shrinkages, sums.reduced
        discriminant, first = Discriminant(sums.compute(target), torch.float32), shrinkages.index(longer.shrinkage)
        for shrinkage in shrinkages[first : first + 2]:
            direction, offset = discriminant.shrunk(shrinkage)
            direction = direction if span is None else span @ direction
            evidence = torch.addmm(offset, states, direction)
            nats = cross_entropy_nats(base + longer.temperature * evidence, labels)
            trials.append((nats, shrinkage, direction, offset, evidence))
        _, shrinkage, direction, offset, evidence = min(trials, key=lambda trial: trial[0])
        temperature, nats = fit_temperature(base, evidence, labels, 0.0)
        return Solution(nats, temperature, shrinkage, direction, offset)

    def sampled(self, target: int, rows: slice = slice(None)) -> tuple[Tensor, Tensor]:
        """Sampled rows that have a label for a target, and the labels."""
        states, labels = self.kept[0][rows], self.kept[1][target, rows]
        labelled = labels >= 0
        return (states, labels) if bool(labelled.all()) else (states[labelled], labels[labelled])

    def contrasting(self, target: int, moments: Moments, white: Tensor, root: Tensor) -> Tensor | None:
        """Directions in which the classes of a target have different covariances; None where that is not significant.

        They are found on one part of the sample and tested on the other.
        """
        searched, classes = len(white), self.spec.classes.number
        options, generator = self.probe.contrasts, torch.Generator().manual_seed(self.spec.seed)
        contrasts = find_contrasts(white, self.kept[1][target, :searched], classes, generator, options)
        if contrasts is None:
            return None
        directions = torch.linalg.solve_triangular(root.T, contrasts, upper=True)
        shift = (moments.means + moments.centre).float() @ directions
        scale = unbiased(moments.counts).float()
        residuals = []
        for part in (slice(0, searched), slice(searched, None)):
            states, labels = self.sampled(target, part)
            residual = (states @ directions - shift[labels]) * scale[labels, None]
            residuals.append((residual.clamp(-options.max_deviations, options.max_deviations), labels))
        chosen = reproduced(*residuals, classes, options)
        return None if chosen is None else directions @ chosen

    def scores(self, states: Float[Tensor, "rows dim"], target: int) -> Float[Tensor, "rows classes"]:
        """Evidence for each class, nats before the temperature."""
        evidence = self.linear.scores(states, target)
        quadratic = self.quadratic[target]
        return quadratic.add_to(evidence, states) if quadratic else evidence
