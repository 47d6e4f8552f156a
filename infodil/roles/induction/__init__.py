"""Role induction where the arguments are known: those of a treebank, scores of clusters, and the usual baselines."""

__all__ = [
    "Argument",
    "Induction",
    "by_function",
    "by_linking",
    "merge_clusters",
    "read_arguments",
    "score_induction",
]

from infodil.roles.induction.arguments import Argument, read_arguments
from infodil.roles.induction.baselines import by_function, by_linking, merge_clusters
from infodil.roles.induction.score import Induction, score_induction
