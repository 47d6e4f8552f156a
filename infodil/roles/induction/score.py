"""Clusters of arguments against gold roles, verb by verb: purity, collocation and F1."""

__all__ = ["Induction", "score_induction"]

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import UserError, check_not_empty


@dataclass(frozen=True, eq=False)
class Induction:
    r"""How well clusters of arguments are gold roles, verb by verb.

    With :math:`C_i` the clusters and :math:`G_j` the gold roles of one verb and N arguments in all,

    .. math::
        PU = \frac{1}{N} \sum_v \sum_i \max_j |G_j \cap C_i| \qquad CO = \frac{1}{N} \sum_v \sum_j \max_i |G_j \cap C_i|
        \qquad F_1 = \frac{2\, PU\, CO}{PU + CO}

    Purity is 1 for a cluster an argument, collocation is 1 for a single cluster: neither says much alone.

    Reference:
        Lang and Lapata (2014), Similarity-driven semantic role induction via graph partitioning, Computational
        Linguistics 40(3): their purity, collocation and F1 of each verb, weighted by its arguments.
    """

    verbs: tuple[str, ...]
    arguments: Int[ndarray, "verbs"]
    """Number of arguments of each verb."""
    pure: Int[ndarray, "verbs"]
    """Arguments that have the commonest role of their cluster."""
    collocated: Int[ndarray, "verbs"]
    """Arguments that are in the commonest cluster of their role."""
    clusters: Int[ndarray, "verbs"]
    """Number of clusters of each verb."""

    @property
    def purity(self) -> float:
        """Share of the arguments that have the commonest role of their cluster."""
        return float(self.pure.sum() / self.arguments.sum())

    @property
    def collocation(self) -> float:
        """Share of the arguments that are in the commonest cluster of their role."""
        return float(self.collocated.sum() / self.arguments.sum())

    @property
    def f1(self) -> float:
        """Harmonic mean of purity and collocation."""
        return 2.0 * self.purity * self.collocation / (self.purity + self.collocation)


def score_induction(clusters: Sequence[Hashable], roles: Sequence[Hashable], verbs: Sequence[str]) -> Induction:
    """Clusters of arguments against their roles.

    Args:
        clusters: Cluster of each argument; the same name in two verbs is two clusters.
        roles: Gold role of each argument.
        verbs: Verb of each argument.

    Returns:
        What each verb adds to purity and collocation.

    Raises:
        UserError: No argument, or lists of different lengths.

    Example:
        >>> score = score_induction([1, 1, 2], ["ARG0", "ARG1", "ARG1"], ["see"] * 3)
        >>> round(score.purity, 3), round(score.collocation, 3), round(score.f1, 3)
        (0.667, 0.667, 0.667)
    """
    check_not_empty("clusters", clusters, "pass the cluster of at least one argument")
    if not len(clusters) == len(roles) == len(verbs):
        raise UserError(
            f"`clusters` must have one entry for each role and verb, got {len(clusters)} clusters, {len(roles)} roles "
            f"and {len(verbs)} verbs: pass as many."
        )
    tables: dict[str, Counter] = defaultdict(Counter)
    for cluster, role, verb in zip(clusters, roles, verbs, strict=True):
        tables[verb][cluster, role] += 1
    counts = [
        (table.total(), largest(table, 0), largest(table, 1), len({cluster for cluster, _ in table}))
        for table in tables.values()
    ]
    return Induction(tuple(tables), *np.array(counts).T)


def largest(table: Mapping[tuple, int], place: int) -> int:
    """The sum, over all entries at one place of the pair, of their largest count."""
    most: dict[Hashable, int] = {}
    for pair, count in table.items():
        most[pair[place]] = max(count, most.get(pair[place], 0))
    return sum(most.values())
