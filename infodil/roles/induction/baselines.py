"""Usual baselines of role induction, which read a parse: syntactic functions and positions, and positions merged."""

__all__ = ["by_function", "by_linking", "merge_clusters"]

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float
from numpy import ndarray

from infodil.checks import UserError, check_between, check_whole
from infodil.roles.induction.arguments import Argument

MOST_FUNCTIONS = 20
"""Syntactic functions that are a cluster each in the baseline of Lang and Lapata."""

STRICTEST, STEP = 0.95, 0.05
"""Least likeness of parts of speech and of separate clauses that merging begins with, and by which it is lowered."""


def by_function(arguments: Sequence[Argument], most: int = MOST_FUNCTIONS) -> list[str]:
    """The syntactic function of each argument; those beyond the most frequent ones are one.

    Reference:
        Lang and Lapata (2014), the baseline of their comparison: 20 functions, and one cluster for all others.
    """
    check_whole("most", most, 1, "pass how many functions are told apart")
    common = {name for name, _ in Counter(argument.function for argument in arguments).most_common(most)}
    return [argument.function if argument.function in common else "" for argument in arguments]


def by_linking(arguments: Sequence[Argument]) -> list[tuple]:
    """The syntactic position of each argument: voice of the verb, side, function, and preposition.

    Reference:
        Lang and Lapata (2011), Unsupervised semantic role induction via split-merge clustering, ACL, and (2014), for
        the clusters that they begin with: arguments of one verb in one position have one role.
    """
    return [(one.passive, one.side, one.function, one.marker) for one in arguments]


@dataclass(frozen=True, eq=False)
class _Cluster:
    """Sums over the arguments of one cluster."""

    members: tuple[int, ...]
    words: Float[ndarray, "dim"]
    categories: Counter
    clauses: Counter

    def __add__(self, other: "_Cluster") -> "_Cluster":
        return _Cluster(
            self.members + other.members,
            self.words + other.words,
            self.categories + other.categories,
            self.clauses + other.clauses,
        )

    def likeness(self, other: "_Cluster", least: float) -> float:
        """Cosine of the words, or 0 where parts of speech differ or both stand in the same clauses too often."""
        kinds = sorted({*self.categories, *other.categories})
        mine, theirs = (
            np.array([counts[kind] for kind in kinds], float) for counts in (self.categories, other.categories)
        )
        shared = sum(min(count, other.clauses[clause]) for clause, count in self.clauses.items())
        apart = 1.0 - 2.0 * shared / (len(self.members) + len(other.members))
        return 0.0 if min(cosine(mine, theirs), apart) < least else cosine(self.words, other.words)


def cosine(first: Float[ndarray, "dim"], second: Float[ndarray, "dim"]) -> float:
    """Cosine of the angle; 0 where a vector is none."""
    norms = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(first @ second) / norms if norms > 0.0 else 0.0


def merge_clusters(
    arguments: Sequence[Argument],
    vectors: Float[ndarray, "arguments dim"],
    *,
    lexical: float = 0.5,
    least: float = 0.5,
) -> list[tuple[str, int]]:
    """Clusters of syntactic positions, merged verb by verb while their words and parts of speech are alike.

    Clusters of a verb are gone through from the largest to the smallest; each joins the larger one whose words are
    most alike, if they are alike enough, if parts of speech are, and if the two rarely stand in one clause, for two
    arguments of a clause have different roles. Parts of speech and clauses are first asked for strictly, and then
    less and less so.

    Args:
        arguments: Arguments of verbs.
        vectors: Vector of the word of each argument.
        lexical: Least cosine of the words of clusters that merge.
        least: Least likeness of parts of speech and share of separate clauses at the end.

    Returns:
        The cluster of each argument: its verb, and a number within it.

    Raises:
        UserError: A number of vectors that is not that of the arguments, or a threshold outside 0 and 1.

    Reference:
        Lang and Lapata (2011, 2014): their agglomerative algorithm, with a layer of words, one of parts of speech and
        one of clauses. Words are compared by their vectors here, as a small treebank seldom repeats them.
    """
    check_between("lexical", lexical, 0.0, 1.0)
    check_between("least", least, 0.0, 1.0)
    if len(vectors) != len(arguments):
        raise UserError(f"`vectors` must have a row for each of {len(arguments)} arguments, got {len(vectors)}.")
    begun: dict[str, dict[tuple, _Cluster]] = defaultdict(dict)
    for number, (one, key) in enumerate(zip(arguments, by_linking(arguments), strict=True)):
        clause = Counter([(one.sentence, one.predicate)])
        new = _Cluster((number,), vectors[number], Counter([one.category]), clause)
        known = begun[one.lemma].get(key)
        begun[one.lemma][key] = new if known is None else known + new
    answer: list[tuple[str, int]] = [("", 0)] * len(arguments)
    steps = max(0, round((STRICTEST - least) / STEP))
    for verb, clusters in begun.items():
        kept = list(clusters.values())
        for step in range(steps + 1):
            kept = merge_once(kept, STRICTEST - STEP * step, lexical)
        for number, cluster in enumerate(kept):
            for member in cluster.members:
                answer[member] = (verb, number)
    return answer


def merge_once(clusters: Sequence[_Cluster], least: float, lexical: float) -> list[_Cluster]:
    """One pass, from the largest cluster to the smallest."""
    kept: list[_Cluster] = []
    for cluster in sorted(clusters, key=lambda one: (-len(one.members), one.members)):
        alike = [other.likeness(cluster, least) for other in kept]
        best = int(np.argmax(alike)) if alike else -1
        if best >= 0 and alike[best] >= lexical and alike[best] > 0.0:
            kept[best] = kept[best] + cluster
        else:
            kept.append(cluster)
    return kept
