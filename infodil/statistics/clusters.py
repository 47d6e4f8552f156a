"""Clusters of rows that may depend on each other: what folds hold out together and intervals resample together."""

__all__ = ["FEWEST_RESAMPLED", "Clusters", "few_clusters"]

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from scipy.sparse import coo_array

from infodil.statistics.blocks import MOST_CLUSTERS
from infodil.statistics.cluster_means import cluster_deviations, cluster_quantile, equal_clusters
from infodil.statistics.folds import balanced_folds
from infodil.statistics.student import skewed_addition, t_quantile

FEWEST_RESAMPLED = 4
"""Fewest clusters that an interval is computed from: from fewer it would be wider than anything it could say."""

FEWEST_WORTH = 4.0
"""Equal clusters below which an interval is said to be a guess: with three, Student's quantile is twice the normal."""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The cluster of each row: one group, or one block of neighbouring rows, or one row."""

    index: Int[ndarray, "rows"]
    """Number of the cluster of each row, from 0."""
    dependent: bool
    """Whether rows of one cluster may depend on each other, so that they must be held out together."""
    blocks: bool = False
    """Whether clusters are blocks of one series, found in the order of the rows."""

    @property
    def number(self) -> int:
        """Number of clusters."""
        return int(self.index.max()) + 1

    @property
    def sizes(self) -> Int[ndarray, "clusters"]:
        """Rows of each cluster."""
        return np.bincount(self.index)

    def folds(self, folds: int, seed: int) -> Int[ndarray, "rows"]:
        """Fold of each row, whole clusters together, folds of about as many rows each.

        Args:
            folds: Number of folds.
            seed: Seed of the order in which clusters are dealt out.

        Returns:
            The number of the fold of each row, from 0.

        Example:
            >>> Clusters(np.array([0, 0, 1, 1]), True).folds(2, seed=0).tolist() in ([0, 0, 1, 1], [1, 1, 0, 0])
            True
        """
        order = np.random.default_rng([seed, 0xF01D]).permutation(self.number)
        fold = np.empty(self.number, dtype=np.int64)
        fold[order] = balanced_folds(self.sizes[order], folds)
        return fold[self.index]

    def subsample(self, most: int, seed: int) -> Int[ndarray, "kept"]:
        """Rows of clusters drawn at random, in their order, at most `most`; all rows if they are no more.

        Args:
            most: Greatest number of rows.
            seed: Seed of the draw.

        Returns:
            The rows, in their order.
        """
        if len(self.index) <= most:
            return np.arange(len(self.index))
        order = np.random.default_rng([seed, 0x7417]).permutation(self.number)
        sizes = np.cumsum(self.sizes[order])
        kept = np.zeros(self.number, dtype=bool)
        kept[order[: max(FEWEST_RESAMPLED, int(np.searchsorted(sizes, most, side="right")))]] = True
        return np.flatnonzero(kept[self.index])

    def select(self, rows: Bool[ndarray, "rows"] | Int[ndarray, "chosen"]) -> "Clusters":
        """Clusters of some of the rows.

        Args:
            rows: Rows that are kept, by number or by a mask.
        """
        return replace(self, index=np.unique(self.index[rows], return_inverse=True)[1])

    def coarsen(self, most: int = MOST_CLUSTERS) -> "Clusters":
        """Several clusters joined into one where they are more than `most`; independent rows stay as they are.

        Args:
            most: Greatest number of clusters.
        """
        if not self.dependent or self.number <= most:
            return self
        return replace(self, index=self.index % most)

    def sums(self, terms: Float[ndarray, "rows *shape"]) -> Float[ndarray, "clusters *shape"]:
        """Sum of the terms of each cluster.

        Args:
            terms: Terms of each row.
        """
        if terms.ndim == 1:
            return np.bincount(self.index, terms, minlength=self.number)
        total = np.zeros((self.number, *terms.shape[1:]))
        np.add.at(total, self.index, terms)
        return total

    def standard_error(self, terms: Float[ndarray, "rows"]) -> float:
        """Standard error of the mean of `terms`, clusters drawn independently; see `cluster_deviations`.

        Args:
            terms: One term a row.

        Example:
            >>> rows = Clusters(np.arange(4), dependent=False)
            >>> round(rows.standard_error(np.array([1.0, 2.0, 3.0, 4.0])), 4)  # sqrt(5 / 3 / 4)
            0.6455
        """
        return float(np.linalg.norm(cluster_deviations(self.sums(terms - terms.mean()), self.sizes)))

    @cached_property
    def worth(self) -> float:
        """Number of clusters of equal size that give as wide an interval: fewer than there are where sizes differ.

        Example:
            >>> round(Clusters(np.repeat([0, 1, 2], [2, 5, 8]), True).worth, 1)
            2.7
        """
        return equal_clusters(self.sizes)

    def quantile(self, confidence: float) -> float:
        """Standard errors on either side of a mean that its interval spans; see `cluster_quantile`.

        Args:
            confidence: Confidence level of the interval.
        """
        return cluster_quantile(self.sizes, confidence)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Warnings about an interval from blocks of a series, from few clusters, or from ones of very unequal size."""
        few = few_clusters(self.number, self.worth) if self.dependent else ()
        return (*slow_rows(len(self.index) / self.number), *few) if self.blocks else few

    def half_width(self, terms: Float[ndarray, "rows"], confidence: float) -> float:
        """Half the width of the interval of the mean of `terms`: Student's where clusters have as many rows.

        Args:
            terms: One term a row.
            confidence: Confidence level of the interval.

        Example:
            >>> round(Clusters(np.arange(3), False).half_width(np.array([1.0, 2.0, 3.0]), 0.95), 3)  # 4.303 / sqrt(3)
            2.484
        """
        return self.quantile(confidence) * self.standard_error(terms)

    def skewed_quantiles(self, terms: Float[ndarray, "rows"], confidence: float) -> tuple[float, float]:
        """Standard errors that an interval of the mean of skewed `terms` spans below and above.

        A mean of terms with a long upper tail is more often far too low than far too high, and looks more certain where
        it is: the upper end moves by the skewness term of the Student statistic. With a long lower tail, as gains of
        predictions have, the lower end does. The other end stays.

        Args:
            terms: One term a row.
            confidence: Confidence level of the interval.

        Returns:
            The quantile below and the quantile above.

        Reference:
            Johnson (1978), Journal of the American Statistical Association 73; Hall (1992), The Bootstrap and
            Edgeworth Expansion, section 2.6.

        Example:
            >>> rows = Clusters(np.arange(4), dependent=False)
            >>> [round(each, 2) for each in rows.skewed_quantiles(np.array([0.0, 0.0, 0.0, 1.0]), 0.95)]
            [3.18, 5.23]
        """
        sums = self.sums(terms - terms.mean())
        spread = math.sqrt(float((sums**2).mean()))
        skewness = float((sums**3).mean()) / spread**3 if spread > 0 else 0.0
        # Student's quantile: the wider one of unequal clusters allows for what few of them may share, not for tails.
        quantile, student = self.quantile(confidence), t_quantile(max(1, len(sums) - 1), confidence)
        below, above = (quantile + skewed_addition(side * skewness, student, len(sums)) for side in (-1.0, 1.0))
        return below, above

    def design_effect(self, codes: Int[ndarray, "rows"]) -> float:
        r"""Number of rows that are worth one independent row, by the spread of the frequencies of `codes`.

        The variance of the frequencies over clusters, against that of independent draws, averaged over categories with
        the weights of a chi-square statistic; at least 1:

        .. math:: \frac{N}{K - 1} \sum_i \frac{1}{\hat p_i}
                  \sum_g \frac{1}{1 - n_g / N} \Big(\frac{n_{ig} - n_g \hat p_i}{N}\Big)^2

        Args:
            codes: Category of each row, from 0.

        Returns:
            The number of rows, at least 1.

        Reference:
            Rao & Scott (1981), Journal of the American Statistical Association 76, section 3.

        Example:
            >>> codes = np.array([0, 0, 1, 1])
            >>> Clusters(codes, True).design_effect(codes)  # each cluster says one thing, twice
            4.0
        """
        if not self.dependent or codes.max() == 0:
            return 1.0
        rows, sizes = len(codes), self.sizes
        inflation = 1.0 / (1.0 - sizes / rows)
        p = np.bincount(codes) / rows
        table = coo_array((np.ones(rows), (codes, self.index))).tocsr()
        table.sum_duplicates()
        # The sum over clusters of (n_ig - n_g p_i)^2, without the dense table.
        spread = (table**2) @ inflation - 2 * p * (table @ (inflation * sizes)) + p**2 * (inflation @ sizes**2)
        effect = (spread / p).sum() / rows / (len(p) - 1)
        return max(1.0, float(effect))


def few_clusters(number: int, worth: float) -> tuple[str, ...]:
    """Warning about an interval that rests on few clusters, or on clusters of very unequal size; none elsewhere.

    Args:
        number: Number of clusters.
        worth: Number of clusters of equal size that they are worth.

    Returns:
        One sentence, or none.
    """
    if worth >= FEWEST_WORTH:
        return ()
    what = f"The interval rests on {number} clusters of rows worth about {worth:.1f} of equal size"
    return (f"{what}: it is wide, and a guess.",)


def slow_rows(length: float) -> tuple[str]:
    """Warning about rows that were taken as one series.

    Args:
        length: Rows of a block.

    Returns:
        One sentence.
    """
    return (
        f"Rows move slowly in their order: the interval resamples blocks of about {length:.0f}; pass `groups` if they "
        "are not one series.",
    )
