"""Pairs of discrete variables whose mutual information follows from their joint table. Exact, in bits."""

__all__ = ["copied_pair", "discrete_channel", "discrete_pair", "information_bits", "sparse_pair"]

import numpy as np
import torch
from jaxtyping import Float, Float64
from scipy.sparse import coo_array
from torch import Tensor

from infodil.channel import zipf
from infodil.checks import UserError, check_between, check_seed, check_whole
from infodil.sources.pairs import Pair, separate

Table = Float[np.ndarray, "rows columns"] | Float[Tensor, "rows columns"] | list


def discrete_pair(joint: Table, samples: int = 10_000, *, seed: int = 0) -> Pair:
    r"""Independent draws from a joint table, dependent or (an outer product) independent.

    ::

        joint[i, j] -> (x, y) = (i, j)

    .. math:: I(X; Y) = \sum_{i,j} p_{ij} \log_2 \frac{p_{ij}}{p_{i\cdot}\, p_{\cdot j}}

    Args:
        joint: `joint[i, j]` is the probability of `x = i` and `y = j`.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `joint` is not a table of non-negative numbers whose sum is 1, or a count is too small.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), equation 2.28.

    Example:
        >>> discrete_pair([[0.5, 0.0], [0.0, 0.5]]).truth_bits
        1.0
    """
    table = _check_table("joint", joint)
    if abs(table.sum() - 1) > 1e-6:
        raise UserError(f"`joint` must sum to 1, got {table.sum():.6g}: divide it by its sum.")
    return _draw(coo_array(table), samples, seed)


def discrete_channel(
    channel: Table, prior: Float[np.ndarray, "rows"] | list | None = None, samples: int = 10_000, *, seed: int = 0
) -> Pair:
    r"""Discrete memoryless channel: symbols sent, and what arrives.

    ::

        x ~ prior --> channel[x] --> y

    Args:
        channel: `channel[i, j]` is the probability that `i` arrives as `j`.
        prior: Probability of each symbol sent; uniform by default.
        samples: Symbols sent.
        seed: The same seed gives the same pairs.

    Returns:
        The symbols sent, as `x`, and those that arrive, as `y`, with their mutual information in bits, exact to
        rounding.

    Raises:
        UserError: A row of `channel`, or `prior`, is not a probability distribution.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 7.1.

    Example:
        >>> noisy = discrete_channel([[0.89, 0.11], [0.11, 0.89]])  # capacity 1 - H(0.11), about one half
        >>> round(noisy.truth_bits, 3)
        0.5
    """
    rows = _check_table("channel", channel)
    if (np.abs(rows.sum(axis=1) - 1) > 1e-6).any():
        bad = int(np.argmax(np.abs(rows.sum(axis=1) - 1)))
        raise UserError(f"`channel` row {bad} must sum to 1, got {rows[bad].sum():.6g}: divide each row by its sum.")
    sent = np.full(len(rows), 1 / len(rows)) if prior is None else np.asarray(prior, dtype=np.float64)
    if sent.shape != (len(rows),) or not (sent >= 0).all() or abs(sent.sum() - 1) > 1e-6:
        raise UserError(
            f"`prior` must be {len(rows)} non-negative numbers whose sum is 1: pass one a row of `channel`."
        )
    return _draw(coo_array(sent[:, None] * rows), samples, seed)


def copied_pair(
    vocabulary: int = 64,
    copied: float | int = 0.5,
    samples: int = 10_000,
    *,
    exponent: float | int = 1.0,
    seed: int = 0,
) -> Pair:
    r"""Pair of a token and its copy, which is at times replaced by a fresh token: 0 is independence, 1 a perfect copy.

    ::

        x ~ Zipf --+-- with probability `copied` --> y = x
                   +-- otherwise               --> y ~ Zipf

    .. math:: p(x, y) = c\, p_x [x = y] + (1 - c)\, p_x p_y

    Args:
        vocabulary: How many token ids there are.
        copied: Probability `c` of a copy.
        samples: Pairs drawn.
        exponent: Exponent of Zipf's law; 0 makes all tokens equally likely.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: `copied` outside [0, 1], or a count is too small.

    Example:
        >>> copied_pair(8, 1.0, exponent=0.0).truth_bits, copied_pair(8, 0.0).truth_bits
        (3.0, 0.0)
    """
    check_whole("vocabulary", vocabulary, 1, "pass 1 or more")
    check_between("copied", copied, 0, 1)
    _check_draws(samples, seed)
    p = zipf(vocabulary, exponent)
    rng = np.random.default_rng(seed)
    x, fresh = rng.choice(vocabulary, size=(2, samples), p=p)
    y = np.where(rng.random(samples) < copied, x, fresh)
    same = p * (copied + (1 - copied) * p)
    bits = np.sum(same * np.log2(same / p**2))
    if copied < 1:
        bits += (1 - copied) * np.log2(1 - copied) * (1 - np.sum(p**2))
    return Pair(torch.from_numpy(x), torch.from_numpy(y), separate(samples), float(bits) + 0.0)


def sparse_pair(
    vocabulary: int = 10_000, degree: int = 4, samples: int = 10_000, *, exponent: float | int = 1.0, seed: int = 0
) -> Pair:
    """Pair with a large joint table of few cells: each token is followed by one of a few others, drawn once for all.

    ::

        x ~ Zipf --> one of `degree` tokens of its own, of Dirichlet(1) odds --> y

    Args:
        vocabulary: How many token ids there are.
        degree: How many successors each token has.
        samples: Pairs drawn.
        exponent: Exponent of Zipf's law; 0 makes all tokens equally likely.
        seed: The same seed gives the same table and the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: A count is too small, or there are fewer token ids than successors.

    Example:
        >>> pair = sparse_pair(100, 1, exponent=0.0)  # a function of x: all of H(Y)
        >>> 5.0 < pair.truth_bits < 6.7
        True
    """
    check_whole("vocabulary", vocabulary, 1, "pass 1 or more")
    check_whole("degree", degree, 1, "pass 1 or more")
    if degree > vocabulary:
        raise UserError(f"`degree` must be at most the vocabulary of {vocabulary}, got {degree}: pass fewer.")
    rng = np.random.default_rng(seed)
    odds = rng.dirichlet(np.ones(degree), size=vocabulary) * zipf(vocabulary, exponent)[:, None]
    # Distinct successors: a random start and distinct steps around the circle of tokens.
    steps = rng.choice(vocabulary, size=degree, replace=False)
    successors = (rng.integers(vocabulary, size=vocabulary)[:, None] + steps) % vocabulary
    tokens = np.repeat(np.arange(vocabulary), degree)
    table = coo_array((odds.ravel(), (tokens, successors.ravel())), shape=(vocabulary, vocabulary))
    return _draw(table, samples, seed)


def information_bits(joint: Table) -> float:
    """Mutual information of a joint table, in bits.

    Args:
        joint: `joint[i, j]` is the probability of `x = i` and `y = j`.

    Returns:
        Bits.

    Raises:
        UserError: `joint` is not a table of finite non-negative numbers.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), equation 2.28.

    Example:
        >>> information_bits(np.full((2, 2), 0.25))
        0.0
    """
    return _information(coo_array(_check_table("joint", joint)))


def _information(joint: coo_array) -> float:
    rows, columns = joint.coords
    p = joint.data
    x = np.bincount(rows, p, joint.shape[0])
    y = np.bincount(columns, p, joint.shape[1])
    seen = p > 0
    p = p[seen]
    # log(p / q) as one quotient: no difference of entropies, which would lose small values.
    return float(np.sum(p * np.log2(p / (x[rows[seen]] * y[columns[seen]])))) + 0.0


def _draw(joint: coo_array, samples: int, seed: int) -> Pair:
    _check_draws(samples, seed)
    cell = np.random.default_rng([seed, 1]).choice(len(joint.data), size=samples, p=joint.data / joint.data.sum())
    x, y = (torch.from_numpy(index[cell].astype(np.int64)) for index in joint.coords)
    return Pair(x, y, separate(samples), _information(joint))


def _check_draws(samples: int, seed: int) -> None:
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    check_seed(seed)


def _check_table(name: str, table: Table) -> Float64[np.ndarray, "rows columns"]:
    table = np.asarray(table, dtype=np.float64)
    if table.ndim != 2 or table.size == 0 or not np.isfinite(table).all() or (table < 0).any():
        raise UserError(f"`{name}` must be a table of finite non-negative numbers, got shape {table.shape}: mend it.")
    return table
