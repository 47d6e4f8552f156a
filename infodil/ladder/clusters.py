"""The resampling clusters of a text: documents, or cells of one long text."""

__all__ = ["TextClusters"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Int
from numpy import ndarray

from infodil.corpus import Split
from infodil.statistics import MOST_CLUSTERS, cut_cells

FEWEST_DOCUMENTS = 4
"""With fewer documents than this, probes are compared over blocks of positions instead."""


@dataclass(frozen=True, eq=False)
class TextClusters:
    """The cluster of each token of a split, numbered in the order of the text.

    Edges are a function of the split alone, so that processes that read different documents agree on the numbers.
    """

    edges: Int[ndarray, "clusters"]
    """First place of each cluster in `Split.tokens`."""
    documents: bool
    """Whether clusters are whole documents (or groups of them) rather than cells of one long text."""

    @classmethod
    def of(cls, split: Split, few_documents: bool, fewest: int = FEWEST_DOCUMENTS) -> "TextClusters":
        """Different documents, grouped to at most 1,024; cells of 64 tokens or more where documents are few.

        Args:
            split: Tokens of the split.
            few_documents: Whether stretches of few documents were split, which say nothing of other documents.
            fewest: Documents from which on they are the clusters: two are enough for an interval, a very wide one.
        """
        starts = split.starts[np.flatnonzero(np.diff(split.document, prepend=-1))]
        starts = starts[~repeats_last(split.tokens, starts)]
        if few_documents or len(starts) < fewest:
            return cls(cut_cells(len(split.tokens)), documents=False)
        wanted = np.linspace(0, len(split.tokens), MOST_CLUSTERS, endpoint=False)
        kept = np.unique(np.searchsorted(starts, wanted, side="right") - 1)
        return cls(starts if len(starts) <= MOST_CLUSTERS else starts[kept], documents=True)

    @property
    def number(self) -> int:
        """Number of clusters."""
        return len(self.edges)

    def index(self, index: Int[ndarray, "rows"]) -> Int[ndarray, "rows"]:
        """The cluster of each token."""
        return np.searchsorted(self.edges, index, side="right") - 1


def repeats_last(tokens: Int[ndarray, "tokens"], starts: Int[ndarray, "documents"]) -> Bool[ndarray, "documents"]:
    """Whether each document is an exact copy of the one before it; copies lie side by side in a split.

    Args:
        tokens: Documents end to end.
        starts: Place of the first token of each.
    """
    lengths = np.diff(starts, append=len(tokens))
    repeats = np.diff(lengths, prepend=-1) == 0
    for document in np.flatnonzero(repeats):
        first, length = starts[document], lengths[document]
        repeats[document] = np.array_equal(tokens[first : first + length], tokens[first - length : first])
    return repeats
