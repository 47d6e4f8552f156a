"""Synthetic token sequences whose entropy and mutual information are known exactly. All values are in bits."""

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from infodil.channel import draw_chain, entropy_bits, normalized_transition, stationary_distribution, zipf
from infodil.checks import UserError, check_one_of, check_seed, check_whole
from infodil.sources.pairs import Pair

__all__ = ["iid", "markov", "IID", "Markov"]


@dataclass(frozen=True, eq=False)
class IID:
    """Independent tokens, and what is known of them."""

    tokens: Int64[Tensor, "documents tokens"]
    """Token ids."""
    probabilities: Float64[np.ndarray, "vocab"]
    """Probability of each token id."""
    independent: ClassVar[bool] = True
    """Each token is drawn for itself."""

    @property
    def vocabulary(self) -> int:
        """The number of token ids."""
        return len(self.probabilities)

    def pair(self, lag: int) -> Pair:
        """Pairs of the token `lag` steps back, as `x`, and the token itself, as `y`; documents are the groups."""
        return _lagged(self.tokens, lag, self.mutual_information_bits(lag))

    @property
    def entropy_bits(self) -> float:
        """Entropy of one token."""
        return entropy_bits(self.probabilities)

    @property
    def entropy_rate_bits(self) -> float:
        """Entropy of one token given all before it: the same, for they tell nothing."""
        return self.entropy_bits

    def mutual_information_bits(self, lag: int) -> float:
        """Mutual information between the token `lag` steps back and this one: the entropy at lag 0, else 0."""
        check_whole("lag", lag, 0, "pass 0 or more")
        return self.entropy_bits if lag == 0 else 0.0


@dataclass(frozen=True, eq=False)
class Markov:
    """A stationary Markov chain of order 1, and what is known of it."""

    tokens: Int64[Tensor, "documents tokens"]
    """Token ids."""
    transition: Float64[np.ndarray, "vocab vocab"]
    """`transition[i, j]` is the probability that `j` follows `i`."""
    stationary: Float64[np.ndarray, "vocab"]
    """Probability of each token id at any position: the first token of a document is drawn from it."""
    independent: ClassVar[bool] = False
    """A token tells of its neighbours."""

    @property
    def vocabulary(self) -> int:
        """The number of token ids."""
        return len(self.stationary)

    def pair(self, lag: int) -> Pair:
        """Pairs of the token `lag` steps back, as `x`, and the token itself, as `y`; documents are the groups.

        Raises:
            UserError: `lag` is below 0, or no document is as long.

        Example:
            >>> markov([[0.0, 1.0], [1.0, 0.0]], documents=2, tokens=3).pair(1).groups.tolist()
            [0, 0, 1, 1]
        """
        return _lagged(self.tokens, lag, self.mutual_information_bits(lag))

    @property
    def entropy_bits(self) -> float:
        """Entropy of one token: that of the stationary distribution."""
        return entropy_bits(self.stationary)

    @property
    def entropy_rate_bits(self) -> float:
        r"""Entropy of one token given all before it.

        .. math:: H = -\sum_i \mu_i \sum_j P_{ij} \log_2 P_{ij}

        Reference:
            Cover & Thomas, Elements of Information Theory (2006), theorem 4.2.4.
        """
        return float(self.stationary @ [entropy_bits(row) for row in self.transition])

    def mutual_information_bits(self, lag: int) -> float:
        r"""Mutual information between the token `lag` steps back and this one; it never rises with `lag`.

        .. math:: I(X_{t-k}; X_t) = H(X_t) - \sum_i \mu_i H\big((P^k)_{i\cdot}\big)

        That it never rises is the data-processing inequality: Cover & Thomas, sections 2.8 and 4.4.

        Raises:
            UserError: `lag` is not a whole number of at least 0.

        Example:
            >>> chain = markov([[0.5, 0.5], [0.5, 0.5]], documents=1, tokens=4)  # a fair coin
            >>> [round(chain.mutual_information_bits(lag), 9) for lag in range(3)]
            [1.0, 0.0, 0.0]
        """
        check_whole("lag", lag, 0, "pass 0 or more")
        after = np.linalg.matrix_power(self.transition, lag)
        joint = self.stationary[:, None] * after
        # The sum of p log(p / q) over pairs: no difference of two entropies, which would lose the small values.
        seen = joint > 0
        independent = np.outer(self.stationary, self.stationary)
        return float(np.sum(joint[seen] * np.log2(joint[seen] / independent[seen])))


def iid(
    vocabulary: int = 64,
    documents: int = 100,
    tokens: int = 256,
    *,
    distribution: Literal["uniform", "zipf"] = "uniform",
    exponent: float = 1.0,
    seed: int = 0,
) -> IID:
    r"""Tokens drawn independently, all from one distribution.

    ::

        p --> x_1    p --> x_2    p --> x_3   ...

    .. math:: H = -\sum_i p_i \log_2 p_i, \qquad p_i = 1/V \text{ or } p_i \propto (i + 1)^{-s}

    Args:
        vocabulary: The number of token ids, `V`.
        documents: Rows drawn.
        tokens: Tokens of each row.
        distribution: `"uniform"`, or `"zipf"`, where token 0 is the commonest.
        exponent: The `s` of Zipf's law; 0 is uniform.
        seed: The same seed gives the same tokens.

    Returns:
        The tokens and the distribution that they are drawn from.

    Raises:
        UserError: A count is below 1, the exponent is not finite or is negative, or the distribution is unknown.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.1.

    Example:
        >>> source = iid(vocabulary=8, documents=2, tokens=5)
        >>> source.entropy_bits, tuple(source.tokens.shape)
        (3.0, (2, 5))
    """
    _check_counts(vocabulary=vocabulary, documents=documents, tokens=tokens, seed=seed)
    check_one_of("distribution", distribution, ("uniform", "zipf"))
    probabilities = zipf(vocabulary, exponent if distribution == "zipf" else 0.0)
    drawn = np.random.default_rng(seed).choice(vocabulary, size=(documents, tokens), p=probabilities)
    return IID(torch.from_numpy(drawn.astype(np.int64)), probabilities)


def markov(
    transition: Float[np.ndarray, "vocab vocab"] | Float[Tensor, "vocab vocab"] | list | None = None,
    *,
    vocabulary: int = 8,
    documents: int = 100,
    tokens: int = 256,
    concentration: float = 0.5,
    seed: int = 0,
) -> Markov:
    r"""Stationary Markov chain of order 1: each token depends on the one before it alone.

    ::

        mu --> x_1 --P--> x_2 --P--> x_3 --P--> ...

    The stationary distribution solves :math:`\mu P = \mu`; each document starts in it, so every position has it.

    Args:
        transition: Rows of probabilities, `transition[i, j]` that `j` follows `i`; by default rows drawn from a
            symmetric Dirichlet distribution.
        vocabulary: The number of token ids of a drawn matrix.
        documents: Rows drawn.
        tokens: Tokens of each row.
        concentration: Concentration of the Dirichlet distribution: near 0 each token nearly decides the next, and large
            values make the chain nearly independent.
        seed: The same seed gives the same matrix and tokens.

    Returns:
        The tokens, the transition matrix and its stationary distribution.

    Raises:
        UserError: A count is below 1, a row is not a probability distribution, or the chain has more than one
            stationary distribution.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), sections 4.1 and 4.2.

    Example:
        >>> chain = markov([[0.9, 0.1], [0.3, 0.7]], documents=2, tokens=5)
        >>> [round(float(p), 4) for p in chain.stationary], round(chain.entropy_bits, 4)
        ([0.75, 0.25], 0.8113)
    """
    _check_counts(vocabulary=vocabulary, documents=documents, tokens=tokens, seed=seed)
    rng = np.random.default_rng(seed)
    if transition is None:
        if not 0 < concentration < float("inf"):
            raise UserError(f"`concentration` must be finite and above 0, got {concentration}: pass one such as 0.5.")
        matrix = rng.dirichlet(np.full(vocabulary, concentration), size=vocabulary)
    else:
        matrix = np.asarray(transition, dtype=np.float64)
    matrix = normalized_transition(matrix)
    stationary = stationary_distribution(matrix)
    drawn = draw_chain(matrix, stationary, documents, tokens, rng)
    return Markov(torch.from_numpy(drawn), matrix, stationary)


def _lagged(tokens: Int64[Tensor, "documents tokens"], lag: int, truth_bits: float) -> Pair:
    documents, length = tokens.shape
    if lag >= length:
        raise UserError(f"`lag` must be below the {length} tokens of a document, got {lag}: draw longer documents.")
    groups = torch.arange(documents).repeat_interleave(length - lag)
    return Pair(tokens[:, : length - lag].flatten(), tokens[:, lag:].flatten(), groups, truth_bits)


def _check_counts(*, vocabulary: int, documents: int, tokens: int, seed: int) -> None:
    for name, value in {"vocabulary": vocabulary, "documents": documents, "tokens": tokens}.items():
        check_whole(name, value, 1, "pass 1 or more")
    check_seed(seed)
