"""What a decoder that knows the code answers: a posterior over all types, for each state and lag."""

__all__ = ["Code", "Decoding"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError


@dataclass(frozen=True)
class Code:
    r"""A state that is a weighted sum of token vectors: :math:`h_{t,s} = \sum_k w_{s,k}\, e(x_{t-k})` for scale s."""

    embedding: Float[Tensor, "vocabulary dim"]
    weights: Float[Tensor, "scales tokens"]
    """One weight for each lag from 0 on, float64; lags beyond the last weigh nothing."""


@dataclass(frozen=True)
class Decoding:
    """A posterior over tokens for each state and lag: a few candidates by name, the rest as likely as the prior has it.

    The mass that the candidates leave is spread over all types (candidates too) in proportion to the prior, so that
    every row is a normalised distribution over the vocabulary.
    """

    lags: tuple[int, ...]
    candidates: Int[Tensor, "samples lags candidates"]
    """Types, distinct within a row; -1 fills a place that is not used."""
    mass: Float[Tensor, "samples lags candidates"]
    """Probability given to each candidate beyond its share of the rest; at most 1 in a row."""
    log_prior: Float[Tensor, "vocabulary"]

    def __len__(self) -> int:
        """How many states were decoded."""
        return len(self.candidates)

    def __getitem__(self, rows: Tensor | slice) -> "Decoding":
        """The decoding of some of the states."""
        return Decoding(self.lags, self.candidates[rows], self.mass[rows], self.log_prior)

    @property
    def rest(self) -> Float[Tensor, "samples lags"]:
        """The mass that is spread as the prior has it."""
        return (1.0 - self.mass.sum(2)).clamp(min=0.0)

    @property
    def tokens(self) -> Int[Tensor, "samples lags"]:
        """The likeliest type at each lag."""
        prior = self.log_prior.exp()
        spread = self.rest[..., None] * prior[self.candidates.clamp(min=0)]
        named = torch.where(self.candidates >= 0, self.mass + spread, -1.0)
        best, place = named.max(2)
        found = self.candidates.gather(2, place[..., None]).squeeze(2)
        likeliest = int(prior.argmax())
        return torch.where(self.rest * prior[likeliest] > best, likeliest, found)

    def log_probs(self, tokens: Int[Tensor, "samples lags"]) -> Float[Tensor, "samples lags"]:
        """Log-probability of these tokens at each lag, nats.

        Raises:
            UserError: `tokens` of another shape than `[samples, lags]`.
        """
        if tuple(tokens.shape) != tuple(self.candidates.shape[:2]):
            raise UserError(
                f"`tokens` must have shape {list(self.candidates.shape[:2])}, got {list(tokens.shape)}: "
                "pass one token for each sample and lag."
            )
        tokens = tokens.to(self.candidates.device)
        own = torch.where(self.candidates == tokens[..., None], self.mass, 0.0).sum(2)
        return torch.log(own + self.rest * self.log_prior[tokens].exp())

    def posterior(self, column: int) -> Float[Tensor, "samples vocabulary"]:
        """Probability of every type at the lag `lags[column]`."""
        dense = self.rest[:, column, None] * self.log_prior.exp()
        return dense.scatter_add(1, self.candidates[:, column].clamp(min=0), self.mass[:, column])
