"""An exponential trace as a model of states: likely tokens behind each, and a round of the fit to them."""

__all__ = ["FEWEST_NAMED", "TraceModel", "likelihood", "positive"]

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

LEAST, MOST = 0.01, 0.995
"""Decays that are taken to be possible."""

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

SEARCHED = 2**12
"""States searched behind at once."""


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

    def searches(
        self, states: Float[Tensor, "rows dim"], keep: int, labels: Int[Tensor, "rows"] | None = None
    ) -> Iterator[tuple[Int[Tensor, "rows sequences named"], Float[Tensor, "rows sequences"]]]:
        """Likely sequences behind each state, newest token first, with one more token named each time.

        With each comes the log-probability of both together, nats. Each sequence is continued by every type (by the
        label alone, where that is given), scored with what is then older as noise, and the best are kept (Anderson and
        Mohan 1984, the M-algorithm).
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
            yield found, score + float(white.diagonal().log().sum())

    def search(
        self, states: Float[Tensor, "rows dim"], keep: int, labels: Int[Tensor, "rows"] | None = None
    ) -> tuple[Int[Tensor, "rows sequences depth"], Float[Tensor, "rows sequences"]]:
        """Likely sequences of all named tokens, and the log-probability of each together with its state, nats."""
        *_, last = self.searches(states, keep, labels)
        return last

    def posterior(self, states: Float[Tensor, "rows dim"], keep: int) -> Float[Tensor, "rows classes"]:
        """Probability of each class at the lag."""
        parts = [torch.zeros(0, len(self.code), dtype=torch.float32)]
        for some in states.split(SEARCHED):
            found, score = self.search(some, keep)
            parts.append(self.of_types(found[..., self.lag], score))
        return torch.cat(parts)

    def of_types(
        self, tokens: Int[Tensor, "rows sequences"], score: Float[Tensor, "rows sequences"]
    ) -> Float[Tensor, "rows classes"]:
        """Probability of each type at one lag, by the sequences of a search that have it there."""
        share = score.softmax(1)
        return share.new_zeros(len(share), len(self.code)).scatter_add_(1, tokens, share)

    def asked(self, lag: int) -> "TraceModel":
        """The same trace, asked for the token at another lag, and no more tokens named than that needs."""
        return replace(self.deepened(max(lag + 1, FEWEST_NAMED)), lag=lag)

    def improved(
        self,
        states: Float[Tensor, "rows dim"],
        labels: Int[Tensor, "rows"] | None,
        behind: tuple[Int[Tensor, "rows sequences depth"], Float[Tensor, "rows sequences"]],
    ) -> "TraceModel":
        """The model after one round of expectation and maximisation; without labels the prior is fitted as well.

        What is `behind` the states was searched with the same labels.
        """
        found, score = behind
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
        begun = self if labels is not None else self.with_prior(weighed.sum(0).double().view(depth, classes).mean(0))
        model = begun
        for _ in range(ALTERNATIONS):
            model = model.with_code(products, cross).with_decay(products, cross)
        decay = self.decay + FURTHER * (model.decay - self.decay)
        model = replace(model, code=torch.lerp(begun.code, model.code, FURTHER), decay=min(max(decay, LEAST), MOST))
        vectors = (model.decay ** torch.arange(depth).to(centred)[:, None, None] * model.code).flatten(0, 1)
        mean = centred.mean(0) - vectors.T @ weighed.sum(0).double() / len(states)
        noise = centred.T @ centred - vectors.T @ cross - cross.T @ vectors + vectors.T @ products @ vectors
        noise = positive(noise / len(states) - torch.outer(mean, mean))
        return replace(model, mean=self.mean + mean, noise=noise)

    def with_prior(self, counts: Num[Tensor, "classes"]) -> "TraceModel":
        """The model with shares of the types in proportion to these counts."""
        prior = counts.double() / counts.sum()
        return replace(self, prior=prior, code=self.code - prior @ self.code)

    def renamed(self, order: list[int], counts: Num[Tensor, "classes"]) -> "TraceModel":
        """The model with its types in another order, and their shares in proportion to these counts."""
        return replace(self, code=self.code[order]).with_prior(counts)

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
            size = float(fade @ square @ fade)
            return float(fade @ met) ** 2 / size if size > 0.0 else 0.0

        if not explained(self.decay) > 0.0:
            return self  # all vectors are alike: nothing fades

        decay, reach = self.decay, 0.1
        for _ in range(NARROWINGS):
            grid = np.linspace(decay - reach, decay + reach, 21).clip(LEAST, MOST)
            decay, reach = float(max(grid, key=explained)), reach / NARROWER
        fade = decay ** np.arange(self.depth)
        return replace(self, decay=decay, code=self.code * float(fade @ met / (fade @ square @ fade)))


def likelihood(score: Float[Tensor, "rows sequences"]) -> float:
    """Mean log-probability of states, and of the labels that were given, by what a search found; nats."""
    return float(torch.logsumexp(score, 1).double().mean())


def positive(covariance: Float[Tensor, "dim dim"], least: float = LEAST_NOISE) -> Float[Tensor, "dim dim"]:
    """The covariance with no eigenvalue below the least."""
    spread, axes = torch.linalg.eigh((covariance + covariance.T) / 2.0)
    return (axes * spread.clamp(min=least)) @ axes.T
