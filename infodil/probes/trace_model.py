"""An exponential trace whose code nobody told: vectors, decay and noise, from states and the tokens at one lag."""

__all__ = ["TraceModel", "beginnings", "fit_trace", "settled"]

from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_LAG = 12
DECAYS = np.linspace(0.02, 0.98, 481)
LEAST, MOST = 0.01, 0.995
"""Decays that are taken to be possible; the grid is for a beginning."""

NEAR_MISS = 0.5
"""A lag is tried, too, at the decay that fits best where none explains the share of its token, up to this error."""

SURE = 4.0
"""Standard deviations of chance by which the means of the types must differ, all together."""

FIRST_NOISE = 3e-3
"""Share of the variance in any direction that is taken for noise at the beginning, at the least."""

FEWEST_NAMED = 2
LEAST_NOISE = 1e-9
LEAST_ALONE = 0.1
"""Share of what was noise that is left when more tokens are named, at the least: what is left by subtraction errs."""

NARROWER, NARROWINGS = 8.0, 6
"""How the decay is searched: by a grid around the best so far, this much narrower each time."""

ALTERNATIONS = 3
FURTHER = 1.8
"""How much farther a round goes than expectation and maximisation alone, which crawls where tokens are hard to tell
apart; below 2 it ends at the same place."""

HARDLY = 1e-3
"""Sequences of less probability, given a state, are left out of the fit."""

STAGES = ((1024, 2, 6), (2048, 4, 3), (4096, 3, 1))
"""Rows, rounds, and how many of the models go on that are likeliest then; the true one may be slow to show itself."""

KEEP = 32
"""Sequences kept for each state while a model is fitted."""

MOST_ROUNDS = 20
BETTER = 2e-3
"""Nats a state by which it must be explained better for another round, or for one more named token."""

ROWS = 2**13
"""States that the last rounds look at."""

SEARCHED = 2**12
"""States searched behind at once."""

NEAR_LAGS = 2
"""How far from its own lag a model that explains the states may find that of the labels."""


@dataclass(frozen=True)
class TraceModel:
    r"""What a state is taken for: :math:`h = \mu + \sum_{k < K} q^k\, e(x_k) + n`, all tokens independent.

    The noise is Gaussian with any covariance, and tokens from lag K on are part of it.
    """

    mean: Float[Tensor, "dim"]
    code: Float[Tensor, "classes dim"]
    """Vectors of the newest token; their mean under the prior is zero."""
    decay: float
    noise: Float[Tensor, "dim dim"]
    depth: int
    lag: int
    """That of the tokens that are asked for."""
    prior: Float[Tensor, "classes"]

    def older(self, depth: int) -> Float[Tensor, "dim dim"]:
        """Covariance of all tokens from a lag on."""
        spread = (self.code * self.prior[:, None]).T @ self.code
        return self.decay ** (2 * depth) / (1.0 - self.decay**2) * spread

    def white(self, lag: int) -> Float[Tensor, "dim dim"]:
        """What makes the noise and the named tokens older than a lag white."""
        covariance = self.noise + self.older(lag + 1) - self.older(self.depth)
        return torch.linalg.inv(torch.linalg.cholesky(covariance)).T

    def deepened(self, depth: int) -> "TraceModel":
        """The same model with so many tokens named."""
        root = torch.linalg.cholesky(self.noise)
        share = torch.linalg.solve_triangular(root, self.older(self.depth) - self.older(depth), upper=False)
        share = torch.linalg.solve_triangular(root, share.T, upper=False)
        noise = root @ positive(torch.eye(len(root)).to(share) - share, LEAST_ALONE) @ root.T
        return replace(self, noise=noise, depth=depth)

    def search(
        self, states: Float[Tensor, "rows dim"], keep: int, labels: Int[Tensor, "rows"] | None = None
    ) -> tuple[Int[Tensor, "rows sequences depth"], Float[Tensor, "rows sequences"]]:
        """Likely sequences behind each state, newest token first, and the log-probability of both together, nats.

        Newest token first, each sequence is continued by every type (by the label alone, where that is given), scored
        with what is then older as noise, and the best are kept (Anderson and Mohan 1984, the M-algorithm).
        """
        left = (states.double() - self.mean).float()[:, None]
        rows, _, dim = left.shape
        code, log_prior = self.code.float(), self.prior.clamp(min=LEAST_NOISE).log().float()
        chosen, found = left.new_zeros(rows, 1), torch.empty(rows, 1, 0, dtype=torch.long)
        for lag in range(self.depth):
            white, vectors = self.white(lag).float(), self.decay**lag * code
            seen, known = left @ white, vectors @ white
            score = (chosen - 0.5 * seen.square().sum(2))[..., None] + seen @ known.T
            score += log_prior - 0.5 * known.square().sum(1)
            if labels is not None and lag == self.lag:
                score = score.gather(2, labels[:, None, None].expand(-1, score.shape[1], 1))
                place = torch.arange(score.shape[1]).expand(rows, -1)
                score, parent, token = score.flatten(1), place, labels[:, None].expand_as(place)
            else:
                score, place = score.flatten(1).topk(min(keep, score[0].numel()), dim=1)
                parent, token = place // len(code), place % len(code)
            found = torch.cat([found.gather(1, parent[..., None].expand(-1, -1, lag)), token[..., None]], 2)
            left = left.gather(1, parent[..., None].expand(-1, -1, dim)) - vectors[token]
            chosen = chosen.gather(1, parent) + log_prior[token]
        return found, score + float(white.diagonal().log().sum())

    def posterior(self, states: Float[Tensor, "rows dim"], keep: int) -> Float[Tensor, "rows classes"]:
        """Probability of each class at the lag."""
        parts = [torch.zeros(0, len(self.code), dtype=torch.float32)]
        for some in states.split(SEARCHED):
            found, score = self.search(some, keep)
            share = score.softmax(1)
            parts.append(share.new_zeros(len(some), len(self.code)).scatter_add_(1, found[..., self.lag], share))
        return torch.cat(parts)

    def likelihood(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], keep: int) -> float:
        """Mean log-probability of states and labels together, nats up to a constant."""
        return float(torch.logsumexp(self.search(states, keep, labels)[1], 1).double().mean())

    def asked(self, lag: int) -> "TraceModel":
        """The same trace, asked for the token at another lag, and no more tokens named than that needs."""
        return replace(self.deepened(max(lag + 1, FEWEST_NAMED)), lag=lag)

    def likeliest_lag(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]) -> int:
        """The lag at which tokens that are read without a look at the labels tell most of them.

        By Brier's score (1950): with some sequences dropped, what is read is too sure of itself, and that costs a
        bounded price there.
        """
        near = range(max(0, self.lag - NEAR_LAGS), min(MOST_LAG, self.lag + NEAR_LAGS) + 1)
        found, score = self.deepened(max(self.depth, near[-1] + 1)).search(states, 8 * KEEP)
        share = score.softmax(1)
        read = torch.zeros(len(near), len(states), len(self.code))
        for place, lag in enumerate(near):
            read[place].scatter_add_(1, found[..., lag], share)
        told = 2.0 * read.gather(2, labels.expand(len(near), -1)[..., None]).squeeze(2) - read.square().sum(2)
        return near[int(told.mean(1).argmax())]

    def improved(self, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], keep: int) -> "TraceModel":
        """The model after one round of expectation and maximisation."""
        found, score = self.search(states, keep, labels)
        share = score.softmax(1)
        share = torch.where(share > HARDLY, share, 0.0)
        share /= share.sum(1, keepdim=True)
        row, place = torch.nonzero(share, as_tuple=True)
        weight, tokens = share[row, place, None], found[row, place]
        centred = states.double() - self.mean
        classes, depth = len(self.code), self.depth
        named = score.new_zeros(len(row), depth * classes).scatter_(1, tokens + classes * torch.arange(depth), 1.0)
        weighed = named * weight
        products = (weighed.T @ named).double()
        cross = (weighed.T @ centred[row].float()).double()
        model = self
        for _ in range(ALTERNATIONS):
            model = model.with_code(products, cross).with_decay(products, cross)
        decay = self.decay + FURTHER * (model.decay - self.decay)
        model = replace(model, code=torch.lerp(self.code, model.code, FURTHER), decay=min(max(decay, LEAST), MOST))
        vectors = (model.decay ** torch.arange(depth).to(centred)[:, None, None] * model.code).flatten(0, 1)
        mean = centred.mean(0) - vectors.T @ weighed.sum(0).double() / len(states)
        noise = centred.T @ centred - vectors.T @ cross - cross.T @ vectors + vectors.T @ products @ vectors
        noise = positive(noise / len(states) - torch.outer(mean, mean))
        return replace(model, mean=self.mean + mean, noise=noise)

    def with_code(self, products: Tensor, cross: Tensor) -> "TraceModel":
        """Token vectors by least squares, the decay held."""
        fade, classes = self.decay ** torch.arange(self.depth).to(self.code), len(self.code)
        gram = torch.einsum("kvjw,k,j->vw", products.view(self.depth, classes, self.depth, classes), fade, fade)
        gram += LEAST_NOISE * gram.diagonal().mean() * torch.eye(classes).to(gram)
        code = torch.linalg.solve(gram, torch.einsum("kvd,k->vd", cross.view(self.depth, classes, -1), fade))
        return replace(self, code=code - self.prior @ code)

    def with_decay(self, products: Tensor, cross: Tensor) -> "TraceModel":
        """The decay by least squares in the metric of the noise, and the length of the vectors with it."""
        classes = len(self.code)
        measured = torch.linalg.solve(self.noise, self.code.T).T
        met = torch.einsum("kvd,vd->k", cross.view(self.depth, classes, -1), measured).numpy()
        shape = (self.depth, classes, self.depth, classes)
        square = torch.einsum("kvjw,vw->kj", products.view(shape), self.code @ measured.T).numpy()

        def explained(decay: float) -> float:
            fade = decay ** np.arange(self.depth)
            return float((fade @ met) ** 2 / (fade @ square @ fade))

        decay, reach = self.decay, 0.1
        for _ in range(NARROWINGS):
            grid = np.linspace(decay - reach, decay + reach, 21).clip(LEAST, MOST)
            decay, reach = float(max(grid, key=explained)), reach / NARROWER
        fade = decay ** np.arange(self.depth)
        return replace(self, decay=decay, code=self.code * float(fade @ met / (fade @ square @ fade)))


def fit_trace(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int, seed: int
) -> list[TraceModel]:
    r"""The trace that explains states best together with their tokens at a lag that nobody told; none if there is none.

    The mean states of the types are their vectors, faded: :math:`E[h \mid x_k] - E[h] = q^k e(x_k)`. They have a share
    :math:`q^{2k} (1 - q^2)` of the variance of all tokens together, which leaves at most two decays for each lag. Every
    such pair is a beginning; some rounds of expectation and maximisation, in which the label is known, show which of
    them explains the states, and it is fitted on more rows. Where the labels then fit better at another lag than the
    one that was begun with, a second model has that; which of the two reads more is for held-out rows to say.

    Args:
        states: Training rows, white: their covariance is the identity.
        labels: Their classes.
        classes: How many.
        seed: Which rows are looked at.

    Reference:
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm; Salakhutdinov
        and Roweis (2003), Adaptive overrelaxed bound optimization methods, for the longer steps.
    """
    order = torch.randperm(len(states), generator=torch.Generator().manual_seed(seed))
    models = beginnings(states.double(), labels, classes)
    for rows, rounds, best in STAGES:
        some = states[order[:rows]], labels[order[:rows]]
        for _ in range(rounds):
            models = [model.improved(*some, KEEP) for model in models]
        models = [model for model in models if bool(model.code.isfinite().all())]
        if len(models) > best:
            depth = max(model.depth for model in models)
            likely = [model.deepened(depth if best == 1 else model.depth).likelihood(*some, KEEP) for model in models]
            models = [models[place] for place in np.argsort(-np.array(likely), kind="stable")[:best]]
    if not models:
        return []
    some = states[order[:ROWS]], labels[order[:ROWS]]
    model = settled(models[0], *some)
    lag = model.likeliest_lag(states[order[: STAGES[0][0]]], labels[order[: STAGES[0][0]]])
    return [model] if lag == model.lag else [model, settled(model.asked(lag), *some)]


def settled(model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]) -> TraceModel:
    """The model with one more token named at a time, and fitted anew, for as long as states are explained better."""
    found, best, deeper = model, model.likelihood(states, labels, KEEP), 1
    for _ in range(MOST_ROUNDS):
        trial = found.deepened(found.depth + deeper)
        for _ in range(1 + deeper):
            trial = trial.improved(states, labels, KEEP)
        likelihood = trial.likelihood(states, labels, KEEP)
        if likelihood > best + BETTER:
            found, best = trial, likelihood
        elif not deeper:
            break
        else:
            deeper = 0  # deep enough: from here on it is only fitted
    return found


def beginnings(states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int) -> list[TraceModel]:
    """A model for each lag and each decay that the share of the token's variance allows; none where means are alike."""
    counts = torch.bincount(labels, minlength=classes).double()
    prior, mean, (rows, dim) = counts / counts.sum(), states.mean(0), states.shape
    means = torch.zeros(classes, dim, dtype=torch.float64).index_add_(0, labels, states - mean)
    means = means / counts.clamp(min=1.0)[:, None]
    total = torch.cov(states.T).reshape(dim, dim)
    between = (means * prior[:, None]).T @ means - (classes - 1) / rows * total
    freedom = dim * (classes - 1)
    if rows * float(between.trace()) < SURE * (2.0 * freedom) ** 0.5:
        return []
    shares = torch.linalg.eigvalsh(between)
    strongest = shares[-max(1, (min(dim, classes - 1) + 1) // 2) :]
    ratio = 1.0 / float(strongest.mean())
    found = []
    for lag in range(MOST_LAG + 1):
        wanted = DECAYS ** (-2.0 * lag) / (1.0 - DECAYS**2) - ratio
        fitting = np.flatnonzero(wanted[1:] * wanted[:-1] < 0)
        if not len(fitting) and np.abs(wanted).min() < NEAR_MISS * ratio:
            fitting = [np.abs(wanted).argmin()]
        for decay in DECAYS[fitting].tolist():
            model = TraceModel(mean, means * decay**-lag, decay, total, 0, lag, prior)
            noise = positive(total - model.older(0), FIRST_NOISE)
            depth = max(lag + 1, FEWEST_NAMED)
            found.append(replace(model, noise=noise + model.older(depth), depth=depth))
    return found


def positive(covariance: Float[Tensor, "dim dim"], least: float = LEAST_NOISE) -> Float[Tensor, "dim dim"]:
    """The covariance with no eigenvalue below the least."""
    spread, axes = torch.linalg.eigh((covariance + covariance.T) / 2.0)
    return (axes * spread.clamp(min=least)) @ axes.T
