"""What the test split is summed up in: pointwise terms within resampling units."""

__all__ = ["Sums", "Units"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from infodil.corpus import Split
from infodil.statistics import MOST_CLUSTERS, cut_cells

FEWEST_DOCUMENTS = 20
"""With fewer test documents than this, blocks of positions are resampled instead."""

TERMS = ("reader", "given_context", "top1", "top5")
SHARED = ("count", "prior", "plug_in", "context", "type_plug_in", "type_prior")


@dataclass(frozen=True)
class Units:
    """Which resampling unit each token of the test split belongs to, numbered in the order of the text."""

    edges: Int[ndarray, "units"]
    """Where each unit begins in `Split.tokens`."""
    documents: bool
    """Whether units are whole documents (or groups of them) rather than cells of one long text."""

    @classmethod
    def of(cls, split: Split, few_documents: bool) -> "Units":
        """Documents, grouped to at most 1,024; cells of 64 tokens or more where documents are few."""
        if few_documents or split.documents < FEWEST_DOCUMENTS:
            return cls(cut_cells(len(split.tokens)), documents=False)
        first = np.flatnonzero(np.diff(split.document, prepend=-1))
        begins = split.starts[first]
        wanted = np.linspace(0, len(split.tokens), MOST_CLUSTERS, endpoint=False)
        kept = np.unique(np.searchsorted(begins, wanted, side="right") - 1)
        return cls(begins if len(begins) <= MOST_CLUSTERS else begins[kept], documents=True)

    @property
    def number(self) -> int:
        """How many units."""
        return len(self.edges)

    def index(self, index: Int[ndarray, "rows"]) -> Int[ndarray, "rows"]:
        """The unit of each token."""
        return np.searchsorted(self.edges, index, side="right") - 1


@dataclass(frozen=True)
class Sums:
    """Sums of pointwise terms in nats within units; the additive statistics of the test split.

    `reader[term]` is `[readers, targets, units]` for the log-probability of the class under the reader, the same beside
    the context, and the two hit rates; `shared[term]` is `[samples, targets, units]` for the counts, the
    log-probability of the class under the prior, the plug-in distribution of the test labels and the context reader,
    and that of the type itself under the plug-in distribution and the prior (`type_plug_in`, `type_prior`): once over
    all rows, once over those that slow readers read. After `answered` it is `[entries, targets, units]`, over the rows
    of each.
    """

    reader: dict[str, ndarray]
    shared: dict[str, ndarray]
    named: Bool[ndarray, "entries targets"] | None = None
    """Where the answer is about types themselves, by a reader that needs no classes (`answer`)."""

    @classmethod
    def zeros(cls, readers: int, targets: int, units: int) -> "Sums":
        """Nothing read yet."""
        return cls(
            {term: np.zeros((readers, targets, units)) for term in TERMS},
            {term: np.zeros((2, targets, units)) for term in SHARED},
        )

    def answered(
        self, by: Int[ndarray, "entries targets"], slow: Bool[ndarray, "readers"], named: Bool[ndarray, "readers"]
    ) -> "Sums":
        """For each entry and target the sums of the reader that answers, by its number, and of the rows it read."""
        target = np.arange(by.shape[1])
        reader = {term: values[by, target] for term, values in self.reader.items()}
        shared = {term: values[slow[by].astype(int), target] for term, values in self.shared.items()}
        return Sums(reader, shared, named[by])

    def base(self, of: str) -> Float[ndarray, "entries targets units"]:
        """The prior or the plug-in distribution (`prior`, `plug_in`), of types where the answer names types."""
        return np.where(self.named[..., None], self.shared[f"type_{of}"], self.shared[of])

    def grouped(self, first: Int[ndarray, "groups"]) -> "Sums":
        """Neighbouring units added up; `first` is where each group begins."""
        parts = [
            {term: np.add.reduceat(values, first, axis=-1) for term, values in terms.items()}
            for terms in (self.reader, self.shared)
        ]
        return Sums(*parts, self.named)

    def merge(self, other: "Sums") -> None:
        """Add the sums of documents tested elsewhere."""
        for mine, theirs in ((self.reader, other.reader), (self.shared, other.shared)):
            for term in mine:
                mine[term] += theirs[term]
