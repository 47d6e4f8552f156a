"""Expectation maximisation for an exponential trace: one round of it, and the step from one searched token to more."""

__all__ = ["EM", "em_round", "em_rounds", "fit_decay", "fit_depth"]

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel import Beam
from infodil.probes.trace.model import MIN_EIGENVALUE, TraceModel, mean_log_likelihood, positive_definite


@dataclass(frozen=True)
class EM:
    """Options of the expectation maximisation."""

    keep: int = 32
    """Sequences kept for each state."""
    min_posterior: float = 1e-3
    """Posterior below which a sequence is left out of the statistics."""
    decays: tuple[float, float] = (0.01, 0.995)
    """Range of the decay."""
    alternations: int = 3
    """Least-squares steps on vectors and on decay, in turn, in one maximisation."""
    over_relaxation: float = 1.8
    """Length of a step in units of the EM step, below 2 for convergence: plain EM crawls where tokens are hard to
    tell apart."""
    max_rounds: int = 20
    """Rounds at most while the depth grows."""
    min_gain_nats: float = 2e-3
    """Gain in mean log-likelihood for which another round or another searched token is worth its cost."""
    grid_reach: float = 0.1
    """Half-width of the first grid in the search for the decay."""
    grid_points: int = 21
    grids: int = 6
    """Grids of decays, each `grid_narrowing` times narrower: the decay is found to 1e-7."""
    grid_narrowing: float = 8.0


def em_rounds(
    model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"] | None, rounds: int, options: EM
) -> TraceModel:
    """The model after a number of rounds of expectation maximisation."""
    for _ in range(rounds):
        model = em_round(model, states, labels, model.search(states, options.keep, labels), options)
    return model


def fit_depth(
    model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"] | None, options: EM
) -> TraceModel:
    """The model with as many searched tokens as raise the likelihood, then fitted until it no longer rises.

    Args:
        model: Where the fit starts.
        states: White training rows.
        labels: Types of the tokens at the model's lag, or None to fit the prior as well.
        options: Options of the expectation maximisation.
    """
    beam, deepening = model.search(states, options.keep, labels), True
    for _ in range(options.max_rounds):
        if deepening:
            trial = em_rounds(model.with_depth(model.depth + 1), states, labels, 2, options)
        else:
            trial = em_round(model, states, labels, beam, options)
        trial_beam = trial.search(states, options.keep, labels)
        if mean_log_likelihood(trial_beam) > mean_log_likelihood(beam) + options.min_gain_nats:
            model, beam = trial, trial_beam
        elif not deepening:
            break
        else:
            deepening = False  # deep enough: from here on only the parameters are fitted
    return model


def em_round(
    model: TraceModel,
    states: Float[Tensor, "rows dim"],
    labels: Int[Tensor, "rows"] | None,
    beam: Beam,
    options: EM,
) -> TraceModel:
    """The model after one over-relaxed round of expectation and maximisation.

    Args:
        model: The model whose posterior is the expectation step.
        states: White training rows.
        labels: Types of the tokens at the model's lag, or None to fit the prior as well.
        beam: What `model.search` found for these states and labels.
        options: Options of the expectation maximisation.

    Reference:
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm; Salakhutdinov
        and Roweis (2003), Adaptive overrelaxed bound optimization methods.
    """
    share = beam.log_joint.softmax(1)
    share = torch.where(share > options.min_posterior, share, 0.0)
    share /= share.sum(1, keepdim=True)
    row, place = torch.nonzero(share, as_tuple=True)
    weight, tokens = share[row, place, None], beam.sequences[row, place]
    centred = states.double() - model.mean
    classes, depth = len(model.embedding), model.depth
    design = share.new_zeros(len(row), depth * classes).scatter_(1, tokens + classes * torch.arange(depth), 1.0)
    weighted = design * weight
    products = (weighted.T @ design).double()
    cross = (weighted.T @ centred[row].float()).double()
    counts = weighted.sum(0).double()
    start = model if labels is not None else model.with_prior(counts.view(depth, classes).mean(0))
    fitted = start
    for _ in range(options.alternations):
        fitted = fit_decay(fit_embedding(fitted, products, cross), products, cross, options)
    decay = model.decay + options.over_relaxation * (fitted.decay - model.decay)
    low, high = options.decays
    embedding = torch.lerp(start.embedding, fitted.embedding, options.over_relaxation)
    fitted = replace(fitted, embedding=embedding, decay=min(max(decay, low), high))
    fades = fitted.decay ** torch.arange(depth).to(centred)
    vectors = (fades[:, None, None] * fitted.embedding).flatten(0, 1)
    mean = centred.mean(0) - vectors.T @ counts / len(states)
    noise = centred.T @ centred - vectors.T @ cross - cross.T @ vectors + vectors.T @ products @ vectors
    noise = positive_definite(noise / len(states) - torch.outer(mean, mean))
    return replace(fitted, mean=model.mean + mean, noise=noise)


def fit_embedding(model: TraceModel, products: Tensor, cross: Tensor) -> TraceModel:
    """Token vectors by weighted least squares, the decay held.

    Args:
        model: The model whose decay is held.
        products: Expected co-occurrences of (lag, type) with (lag, type), `[depth classes, depth classes]`.
        cross: Expected products of (lag, type) with the centred states, `[depth classes, dim]`.
    """
    fade, classes = model.decay ** torch.arange(model.depth).to(model.embedding), len(model.embedding)
    gram = torch.einsum("kvjw,k,j->vw", products.view(model.depth, classes, model.depth, classes), fade, fade)
    gram += MIN_EIGENVALUE * gram.diagonal().mean() * torch.eye(classes).to(gram)
    embedding = torch.linalg.solve(gram, torch.einsum("kvd,k->vd", cross.view(model.depth, classes, -1), fade))
    return replace(model, embedding=embedding - model.prior @ embedding)


def fit_decay(model: TraceModel, products: Tensor, cross: Tensor, options: EM) -> TraceModel:
    """The decay, and with it the length of the vectors, by least squares in the metric of the noise.

    Args:
        model: The model whose vectors are held up to their length.
        products: Expected co-occurrences of (lag, type) with (lag, type), `[depth classes, depth classes]`.
        cross: Expected products of (lag, type) with the centred states, `[depth classes, dim]`.
        options: Options of the expectation maximisation.
    """
    classes, depth = len(model.embedding), model.depth
    measured = torch.linalg.solve(model.noise, model.embedding.T).T
    linear = torch.einsum("kvd,vd->k", cross.view(depth, classes, -1), measured).numpy()
    shape = (depth, classes, depth, classes)
    square = torch.einsum("kvjw,vw->kj", products.view(shape), model.embedding @ measured.T).numpy()

    def explained(decay: float) -> float:
        fade = decay ** np.arange(depth)
        size = float(fade @ square @ fade)
        return float(fade @ linear) ** 2 / size if size > 0.0 else 0.0

    if not explained(model.decay) > 0.0:
        return model  # all vectors are alike: nothing fades

    decay, reach = model.decay, options.grid_reach
    for _ in range(options.grids):
        grid = np.linspace(decay - reach, decay + reach, options.grid_points).clip(*options.decays)
        decay, reach = float(max(grid, key=explained)), reach / options.grid_narrowing
    fade = decay ** np.arange(depth)
    length = float(fade @ linear / (fade @ square @ fade))
    return replace(model, decay=decay, embedding=model.embedding * length)
