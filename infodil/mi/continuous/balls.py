"""Balls of nearest neighbours: their radii, what lies within them, and what each row adds to an estimate from them."""

__all__ = ["INSIDE", "Balls", "Terms", "count_within", "find_balls"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from scipy.special import digamma, zeta

INSIDE = 1.0 - 1e-6
"""Share of the distance to the k-th neighbour that counts as strictly nearer, whatever a sum of floats rounds to."""


@dataclass(frozen=True, eq=False)
class Balls:
    """The ball around each row that reaches to its k-th neighbour, in the maximum norm.

    Attributes:
        radius: Distance to the k-th neighbour.
        next_radius: Distance to the neighbour after it; infinite where there is none.
        members: Number, in the pool, of each of the k neighbours.
    """

    radius: Float[ndarray, "query"]
    next_radius: Float[ndarray, "query"]
    members: Int[ndarray, "query k"]


def find_balls(query: Float[ndarray, "query dim"], pool: Float[ndarray, "pool dim"], k: int, own: bool) -> Balls:
    """Balls around rows that reach to their k-th neighbour.

    Args:
        query: Rows whose neighbours are looked for.
        pool: Rows among which they are looked for.
        k: Rank of the neighbour.
        own: Whether each row is in the pool, too, and is not its own neighbour.
    """
    ranks = np.arange(own, k + 1 + own) + 1
    distance, place = cKDTree(pool).query(query, k=ranks, p=np.inf)
    return Balls(distance[:, k - 1], distance[:, k], np.minimum(place[:, :k], len(pool) - 1))


def count_within(query: ndarray, pool: ndarray, radius: Float[ndarray, "query"]) -> Int[ndarray, "query"]:
    """Number of rows of the pool within a radius of each row, boundary included.

    Args:
        query: Rows around which is counted.
        pool: Rows that are counted.
        radius: Radius around each row.
    """
    if pool.shape[1] == 1:  # sorted numbers are faster than a tree, whose answer for a dense column is long
        ordered = np.sort(pool[:, 0])
        high = np.searchsorted(ordered, query[:, 0] + radius, side="right")
        return high - np.searchsorted(ordered, query[:, 0] - radius, side="left")
    return cKDTree(pool).query_ball_point(query, radius, p=np.inf, return_length=True)


@dataclass(frozen=True, eq=False)
class Terms:
    r"""What each row adds to an estimate that is a mean of :math:`\psi(N) + \psi(k) - \sum_s \psi(n_s)`.

    Attributes:
        values: Term of each row.
        ball_variance: Share of the variance of each term that comes from where its ball ends.
        influence: What each row adds to the terms of others by lying in their balls.
    """

    values: Float[ndarray, "rows"]
    ball_variance: Float[ndarray, "rows"]
    influence: Float[ndarray, "rows"]

    @classmethod
    def empty(cls, rows: int) -> "Terms":
        """Terms that are not known yet.

        Args:
            rows: Number of rows.
        """
        return cls(np.full(rows, np.nan), np.zeros(rows), np.zeros(rows))

    def set(
        self, rows: Int[ndarray, "some"], pool: int, k: int | Int[ndarray, "some"], near: Sequence[Int[ndarray, "some"]]
    ) -> None:
        """Terms of some rows.

        The share of the rows near on one variable that are in the ball has a beta distribution, whose logarithm varies
        by the difference of two trigamma functions.

        Args:
            rows: Rows that the terms are of.
            pool: Number of rows that neighbours were looked for among.
            k: Number of neighbours in a ball.
            near: Number of rows, the row itself included, that are as near as the ball reaches, on each variable.
        """
        self.values[rows] = digamma(pool) + digamma(k) - sum(map(digamma, near))
        self.ball_variance[rows] = np.maximum(zeta(2.0, k) - sum(zeta(2.0, counts) for counts in near), 0.0)

    def add_influence(
        self,
        members: Int[ndarray, "some k"],
        near: Sequence[Int[ndarray, "some"]],
        next_near: Sequence[Int[ndarray, "some"]],
    ) -> None:
        """What rows add to the terms of others: without one of them, a ball would reach to the next neighbour.

        Args:
            members: Rows in the ball of each of some rows.
            near: Number of rows as near as the ball reaches, on each variable.
            next_near: Number of rows as near as the next neighbour, on each variable.
        """
        held = sum(digamma(after) - digamma(before) for before, after in zip(near, next_near, strict=True))
        weights = np.repeat(held, members.shape[1])
        self.influence[:] += np.bincount(members.reshape(-1), weights, minlength=len(self.influence))
