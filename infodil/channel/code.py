"""A linear code, and the posterior that a decoder of it gives for each state and lag."""

__all__ = ["Code", "Decoding", "rounding_sigma"]

from dataclasses import dataclass
from typing import NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError


class Code(NamedTuple):
    r"""Token vectors and weights of states that are weighted sums: :math:`h_{t,s} = \sum_k w_{s,k}\, e(x_{t-k})`.

    A pair, so that an encoder's `superposition(site)` may return either a `Code` or a plain `(embedding, weights)`.
    """

    embedding: Float[Tensor, "vocabulary dim"]
    """One vector a type."""
    weights: Float[Tensor, "scales tokens"]
    """One weight for each scale and each lag from 0 on, float64; later lags weigh nothing."""


def rounding_sigma(code: Code, dtype: torch.dtype) -> float:
    """Unit in the last place of a typical number of a state of independent tokens: the default noise level.

    A single rounding errs by about a quarter of it; a trace is rounded at every step.
    """
    embedding, weights = code.embedding.double(), code.weights.double().to(code.embedding.device)
    mean = embedding.mean(0)
    varied = (weights**2).sum(1).mean() * (embedding - mean).square().mean()
    return torch.finfo(dtype).eps * float((varied + weights.sum(1).square().mean() * mean.square().mean()).sqrt())


@dataclass(frozen=True)
class Decoding:
    r"""A posterior over tokens for each state and lag: masses of a few candidate types, and the prior for the rest.

    .. math:: q(v) = m_v + \Big(1 - \sum_u m_u\Big)\, p(v)

    with mass :math:`m_v` of type v (zero unless v is a candidate) and prior p: every row is normalised over the whole
    vocabulary.
    """

    lags: tuple[int, ...]
    candidates: Int[Tensor, "samples lags candidates"]
    """Types, distinct within a row; -1 fills an unused place."""
    mass: Float[Tensor, "samples lags candidates"]
    """Probability of each candidate beyond its share of the rest; the sum over a row is at most 1."""
    log_prior: Float[Tensor, "vocabulary"]
    """Log-probability of each type before any state is seen, nats."""

    def __len__(self) -> int:
        """Number of decoded states."""
        return len(self.candidates)

    def __getitem__(self, rows: Tensor | slice) -> "Decoding":
        """The decoding of a selection of the states."""
        return Decoding(self.lags, self.candidates[rows], self.mass[rows], self.log_prior)

    @property
    def rest(self) -> Float[Tensor, "samples lags"]:
        """Probability mass that is spread in proportion to the prior."""
        return (1.0 - self.mass.sum(2)).clamp(min=0.0)

    @property
    def tokens(self) -> Int[Tensor, "samples lags"]:
        """Most probable type at each lag."""
        prior = self.log_prior.exp()
        spread = self.rest[..., None] * prior[self.candidates.clamp(min=0)]
        probability = torch.where(self.candidates >= 0, self.mass + spread, -1.0)
        best, place = probability.max(2)
        candidate = self.candidates.gather(2, place[..., None]).squeeze(2)
        commonest = int(prior.argmax())
        return torch.where(self.rest * prior[commonest] > best, commonest, candidate)

    def log_probs(self, tokens: Int[Tensor, "samples lags"]) -> Float[Tensor, "samples lags"]:
        """Log-probability of given tokens at each lag, nats.

        Args:
            tokens: One token id for each state and lag.

        Raises:
            UserError: `tokens` of another shape than `[samples, lags]`.
        """
        if tuple(tokens.shape) != tuple(self.candidates.shape[:2]):
            raise UserError(
                f"`tokens` must have shape {list(self.candidates.shape[:2])}, got {list(tokens.shape)}: "
                "pass one token for each sample and lag."
            )
        tokens = tokens.to(self.candidates.device)
        mass = torch.where(self.candidates == tokens[..., None], self.mass, 0.0).sum(2)
        return torch.log(mass + self.rest * self.log_prior[tokens].exp())

    def posterior(self, column: int) -> Float[Tensor, "samples vocabulary"]:
        """Probability of every type at the lag `lags[column]`."""
        dense = self.rest[:, column, None] * self.log_prior.exp()
        return dense.scatter_add(1, self.candidates[:, column].clamp(min=0), self.mass[:, column])
