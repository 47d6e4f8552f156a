"""The law of the tokens of a channel: independent draws, or a stationary Markov chain of order 1."""

__all__ = ["TokenLaw", "Transition"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from infodil.channel.markov_chain import normalized_transition, stationary_distribution
from infodil.channel.probabilities import Prior, log_prior_of
from infodil.checks import UserError

Transition = Float[Tensor, "vocabulary vocabulary"] | np.ndarray | Sequence[Sequence[float]]
"""Transition matrix of a Markov chain, one row a type."""


@dataclass(frozen=True, eq=False)
class TokenLaw:
    """Distribution of a token, and of a token given the one before or after it."""

    prior: Float[Tensor, "vocabulary"]
    """Probability of each type, float64."""
    follow: Float[Tensor, "vocabulary vocabulary"]
    """`follow[i, j]` is the probability that type j comes after type i."""
    back: Float[Tensor, "before vocabulary"]
    """`back[j, i]` is the probability that type i came before type j; one row where tokens are independent."""
    is_chain: bool
    """Whether tokens depend on one another."""

    @classmethod
    def of(
        cls, prior: Prior | None, transition: Transition | None, vocabulary: int, device: torch.device | str = "cpu"
    ) -> "TokenLaw":
        """The law that a caller describes by a prior or by a transition matrix.

        Args:
            prior: Weights or probabilities of independent tokens; uniform by default.
            transition: Transition matrix of a stationary Markov chain, in place of `prior`.
            vocabulary: Number of types.
            device: Device of the tensors.

        Raises:
            UserError: Both are given, one is malformed, or the chain has more than one stationary distribution.

        Example:
            >>> TokenLaw.of(None, [[0.9, 0.1], [0.3, 0.7]], 2).prior.numpy().round(4).tolist()
            [0.75, 0.25]
        """
        if transition is None:
            probability = log_prior_of(prior, vocabulary).softmax(0).to(device)
            return cls(probability, probability.expand(vocabulary, -1), probability[None], is_chain=False)
        if prior is not None:
            raise UserError("`prior` must not be given beside `transition`, which has its own: pass one of them.")
        transition = torch.as_tensor(transition, dtype=torch.float64).cpu()
        if tuple(transition.shape) != (vocabulary, vocabulary):
            raise UserError(
                f"`transition` must have shape {[vocabulary, vocabulary]}, got {list(transition.shape)}: "
                "pass one row and one column a type."
            )
        matrix = normalized_transition(transition.numpy())
        follow = torch.from_numpy(matrix).to(device)
        probability = torch.from_numpy(stationary_distribution(matrix)).to(device)
        back = (probability[:, None] * follow).T / probability[:, None]
        # A type of probability zero gets the prior as its past: 0 / 0 would spread to the other types.
        return cls(probability, follow, torch.where(probability[:, None] > 0, back, probability), is_chain=True)
