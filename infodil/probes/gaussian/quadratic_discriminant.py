"""Quadratic evidence: the covariance of a class, where it differs from the others' in a few directions."""

__all__ = ["Quadratic", "QuadraticOptions", "fit_quadratic"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.probes.calibration import LEAST_GAIN_NATS, cross_entropy_nats, fit_temperature
from infodil.probes.gaussian.class_sums import Moments
from infodil.probes.gaussian.covariance_contrasts import ContrastSearch, products, scatter, unbiased


@dataclass(frozen=True)
class QuadraticOptions:
    """Options of the fit of quadratic evidence to directions that were found."""

    max_steps: int = 6
    """Newton steps to the directions of greatest likelihood, at most; they start near."""
    min_rise_nats: float = 1e-3
    """Nats a row by which a step must raise twice the log-likelihood for another to follow."""
    choice_rows: int = 1024
    """Calibration rows that choose among `prior_rows`, about: two weights a step apart differ on so many."""
    prior_rows: tuple[float, ...] = (0.5, 4.0, 32.0, 512.0)
    """Rows' worth of the shared covariance mixed into the covariance of each class, tried on the calibration split."""


@dataclass(frozen=True)
class Quadratic:
    r"""Evidence of one target that is quadratic in a few projections u of the state, added to the affine evidence.

    Where the classes share their covariance but for the directions of u, standardised so that the shared one is the
    identity there, the evidence gains
    :math:`-\frac12 \log\det W_c - \frac12 (u - m_c)^\top (W_c^{-1} - I) (u - m_c)`, which is affine in u and its
    products. A projection is clipped at a few standard deviations of all rows (`ContrastSearch.max_deviations`): too
    little is known farther out for its square to be trusted.
    """

    directions: Float[Tensor, "dim directions"]
    offset: Float[Tensor, "directions"]
    farthest: Float[Tensor, "directions"]
    coefficients: Float[Tensor, "features classes"]
    affine: float
    """Weight of the affine evidence in the sum."""

    def add_to(
        self, evidence: Float[Tensor, "rows classes"], states: Float[Tensor, "rows dim"]
    ) -> Float[Tensor, "rows classes"]:
        """All evidence, from the affine evidence and the states."""
        features = expand(states @ self.directions - self.offset, self.farthest)
        return torch.addmm(evidence, features, self.coefficients, beta=self.affine)


def expand(
    u: Float[Tensor, "rows directions"], farthest: Float[Tensor, "directions"]
) -> Float[Tensor, "rows features"]:
    """One, the projections (no farther than so far) and their products."""
    u = u.clamp(-farthest, farthest)
    return torch.cat([u.new_ones(len(u), 1), u, products(u)], 1)


def coefficients(
    sums: Float[Tensor, "classes directions directions"],
    counts: Float[Tensor, "classes"],
    means: Float[Tensor, "classes directions"],
    prior_rows: float,
) -> Float[Tensor, "features classes"]:
    """Weights of the features, with so many rows' worth of the identity mixed into each covariance; float32.

    Reference:
        Friedman (1989), Regularized Discriminant Analysis, for the mixture.
    """
    eye = torch.eye(means.shape[1], dtype=sums.dtype, device=sums.device)
    factor = torch.linalg.cholesky((sums + prior_rows * eye) / (counts + prior_rows)[:, None, None])
    bend = 0.5 * (eye - torch.cholesky_inverse(factor))
    slope = -2.0 * torch.einsum("cij,cj->ci", bend, means)
    constant = torch.einsum("cij,ci,cj->c", bend, means, means) - factor.diagonal(dim1=1, dim2=2).log().sum(1)
    first, second = torch.triu_indices(*eye.shape, device=eye.device)
    # A product of two different projections stands twice in the quadratic form and once among the features.
    bend = bend[:, first, second] * (2.0 - (first == second).to(bend.dtype))
    return torch.cat([constant[:, None], slope, bend], 1).T.float()


def refine(
    directions: Float[Tensor, "dim directions"],
    moments: Moments,
    within: Float[Tensor, "dim dim"],
    sample: tuple[Float[Tensor, "rows dim"], Int[Tensor, "rows"]],
    search: ContrastSearch,
    options: QuadraticOptions,
) -> Float[Tensor, "dim directions"]:
    r"""The directions of greatest likelihood, from good ones by Newton steps, standardised by the shared covariance.

    They maximise :math:`-\frac12 \sum_c n_c \log\det V^\top S_c V` under :math:`V^\top W V = I`; the curvature is taken
    as if the classes had the shared covariance elsewhere, which makes it a matrix of directions by directions.

    Reference:
        Kumar and Andreou (1998), Heteroscedastic discriminant analysis; Cook and Forzani (2009), Likelihood-based
        sufficient dimension reduction.
    """
    counts, centre, means = moments[:3]
    states, labels = sample
    within, factor = positive_definite(within, search.ridge_share)
    means = means + centre
    scale = unbiased(counts).float()[labels, None]
    eye = torch.eye(directions.shape[1], dtype=torch.float64, device=directions.device)
    v = best = whiten_directions(directions.double(), within)
    least = math.inf
    for _ in range(options.max_steps):
        p = (states @ v.float() - (means @ v).float()[labels]) * scale
        p = p.clamp(-search.max_deviations, search.max_deviations)
        sums, sampled = scatter(p, labels, len(counts))
        covariance = (sums + search.shared_rows * eye) / (sampled + search.shared_rows)[:, None, None]
        volume = float(torch.logdet(covariance) @ sampled)
        if not volume < least - options.min_rise_nats * len(labels):
            break
        least, best, inverse = volume, v, torch.linalg.inv(covariance)
        q = (inverse.float()[labels] @ p[:, :, None]).squeeze(2) * scale
        of_class = q.new_zeros(len(counts), q.shape[1]).index_add_(0, labels, q)
        pulled = ((q.T @ states).T.double() - means.T @ of_class.double()) / len(labels)
        curvature = (inverse * (sampled / len(labels))[:, None, None]).sum(0) - eye
        aside = torch.cholesky_solve(pulled, factor) - v @ (v.T @ pulled)
        v = whiten_directions(v - aside @ torch.linalg.inv(curvature + (len(v) / len(labels)) ** 0.5 * eye), within)
    return best


def positive_definite(
    covariance: Float[Tensor, "dim dim"], ridge_share: float
) -> tuple[Float[Tensor, "dim dim"], Float[Tensor, "dim dim"]]:
    """The nearest matrix whose least eigenvalue is not below a share of the mean one, and its lower Cholesky factor.

    A covariance within classes is the difference of two moments. Where the state tells the class exactly it is zero,
    and what is left, of either sign, is the rounding of the sums: up to a millionth of the largest variance, which a
    ridge that goes by the mean variance need not cover. A matrix that has a factor stays as it is.

    Reference:
        Higham (1988), Computing a nearest symmetric positive semidefinite matrix, theorem 2.1.
    """
    factor, failed = torch.linalg.cholesky_ex(covariance)
    if failed:
        values, axes = torch.linalg.eigh(covariance)
        least = (ridge_share * values.abs().mean()).clamp(min=torch.finfo(torch.float32).tiny)
        covariance = (axes * values.clamp(min=least)) @ axes.T
        factor = torch.linalg.cholesky(covariance)
    return covariance, factor


def whiten_directions(
    v: Float[Tensor, "dim directions"], within: Float[Tensor, "dim dim"]
) -> Float[Tensor, "dim directions"]:
    """Combinations of the directions along which the within-class covariance is the identity."""
    square = v.T @ within @ v
    sphere = square.diagonal().mean() * torch.eye(len(square), dtype=square.dtype, device=square.device)
    root = torch.linalg.cholesky(square + 1e-9 * sphere)
    return torch.linalg.solve_triangular(root, v.T, upper=False).T


def fit_quadratic(
    directions: Float[Tensor, "dim directions"],
    moments: Moments,
    sample: tuple[Float[Tensor, "rows dim"], Int[Tensor, "rows"]],
    affine: tuple[Float[Tensor, "dim classes"], float, float],
    base: Float[Tensor, "classes"],
    held_out: tuple[Float[Tensor, "held dim"], Int[Tensor, "held"], Float[Tensor, "held classes"]],
    search: ContrastSearch,
    options: QuadraticOptions,
) -> tuple[Quadratic, float] | None:
    """The quadratic evidence of one target and the temperature of all its evidence; None where it does not help.

    Rows of the first half of the calibration split (other documents than the second's) choose how much of the shared
    covariance is mixed in; the second half must then gain `LEAST_GAIN_NATS` over the affine evidence alone.

    Args:
        directions: Directions along which the covariances may differ.
        moments: Moments of the target (`ClassSums.compute`).
        sample: Training rows and their labels, for the covariances.
        affine: Direction of the affine evidence, its shrinkage and its temperature.
        base: Log-prior of the classes, nats.
        held_out: Calibration states, labels and affine evidence.
        search: Options with which the directions were found.
        options: Options of the fit.

    Returns:
        The quadratic evidence and the temperature, or None.
    """
    counts, centre, means, total, sphere_variance = moments
    weight, shrinkage, temperature = affine
    rows = counts.sum()
    freedom = rows / (rows - (counts > 0).sum()).clamp(min=1.0)
    within = (total - (means * (counts / rows)[:, None]).T @ means) * freedom
    sphere = sphere_variance * torch.eye(len(total), dtype=total.dtype, device=total.device)
    v = refine(directions, moments, within + search.ridge_share * sphere, sample, search, options)
    # The shrunk means of the affine evidence: its direction, taken back through the covariance it was made with.
    shrunk_means = weight.double().T @ (((1.0 - shrinkage) * within + shrinkage * sphere) @ v)

    states, labels = sample
    # Along a direction without variance the sum is rounding, of either sign.
    farthest = search.max_deviations * ((total @ v) * v).sum(0).clamp(min=0.0).sqrt()
    u = (states @ v.float() - (centre @ v).float()).double().clamp(-farthest, farthest)
    sums, sampled = scatter(unbiased(counts)[labels, None] * (u - (means @ v)[labels]), labels, len(counts))

    states, labels, evidence = held_out
    features = expand(states @ v.float() - (centre @ v).float(), farthest.float())
    half = len(labels) // 2
    first, second = slice(0, half, max(1, half // options.choice_rows)), slice(half, None)
    trials = []
    for prior_rows in options.prior_rows:
        weights = coefficients(sums, sampled, shrunk_means, prior_rows)
        whole = torch.addmm(evidence[first], features[first], weights)
        trials.append((*fit_temperature(base, whole, labels[first], 0.0)[::-1], weights))
    _, temperature_of_all, weights = min(trials, key=lambda trial: trial[0])
    whole = torch.addmm(evidence, features, weights)
    gain = cross_entropy_nats(base + temperature * evidence[second], labels[second])
    gain -= cross_entropy_nats(base + temperature_of_all * whole[second], labels[second])
    temperature_of_all = fit_temperature(base, whole, labels)[0]
    if not gain * (len(labels) - half) > LEAST_GAIN_NATS or temperature_of_all == 0.0:
        return None
    # A temperature that the affine evidence had stays what it was: probes that start here go by it.
    share = temperature_of_all / temperature if temperature else 1.0
    quadratic = Quadratic(v.float(), (centre @ v).float(), farthest.float(), share * weights, share)
    return quadratic, temperature or temperature_of_all
