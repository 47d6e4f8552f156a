"""The accumulators of the test split: pointwise terms summed within clusters, which processes add up."""

__all__ = ["Cells", "EntrySums", "ScoreSums", "SplitSums", "given_context", "of_context"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

FIT_TERMS = ("probe", "top1", "top5")
ROW_TERMS = ("count", "prior", "plug_in", "type_plug_in", "type_prior")

WAITING_TERMS = 2**20
"""Terms that wait on the device of the probes until they are copied to the host together: 8 MB in float64. Each copy
waits for all that the device has been given to do."""

Terms = Mapping[str, Float[ndarray, "rows"] | Float[Tensor, "rows"]]


def of_context(name: str) -> str:
    """The term of a context model alone."""
    return f"context {name}"


def given_context(name: str) -> str:
    """The term of a probe beside a context model."""
    return f"given context {name}"


@dataclass(frozen=True, eq=False)
class EntrySums:
    """Sums of pointwise terms in nats within clusters, for each reported entry: a site and a probe.

    `probe[term]` is `[entries, targets, clusters]` for the log-probability of the true class by the selected probe, the
    same given the context (`given_context`), and the two hit rates. `rows[term]` is alike, over the rows that this
    probe read: their count; the log-probability of the true class under the prior, the plug-in distribution of the test
    labels, and each context model (`of_context`); and that of the true type under the plug-in distribution and the
    prior (`type_plug_in`, `type_prior`).
    """

    probe: dict[str, ndarray]
    rows: dict[str, ndarray]
    whole: dict[str, Float[ndarray, "targets clusters"]]
    """As `rows`, over all rows."""
    names_types: Bool[ndarray, "entries targets"]
    """Where the log-probability is that of the type, by a probe that names types."""

    @property
    def contexts(self) -> list[str]:
        """Names of the context models."""
        return [term.removeprefix(of_context("")) for term in self.rows if term.startswith(of_context(""))]

    @property
    def clusters(self) -> int:
        """Number of clusters."""
        return self.whole["count"].shape[-1]

    def base(self, term: str) -> Float[ndarray, "entries targets clusters"]:
        """The prior or the plug-in distribution (`prior`, `plug_in`), of types where the probe names types."""
        return np.where(self.names_types[..., None], self.rows[f"type_{term}"], self.rows[term])

    @classmethod
    def together(cls, parts: Sequence["EntrySums"]) -> "EntrySums":
        """The sums over several parts of the rows."""

        def total(terms: Sequence[dict[str, ndarray]]) -> dict[str, ndarray]:
            return {name: sum(values[name] for values in terms) for name in terms[0]}

        return cls(
            total([part.probe for part in parts]),
            total([part.rows for part in parts]),
            total([part.whole for part in parts]),
            parts[0].names_types,
        )

    def grouped(self, first: Int[ndarray, "groups"]) -> "EntrySums":
        """Neighbouring clusters added up; `first` has the first cluster of each group."""
        parts = [
            {term: np.add.reduceat(values, first, axis=-1) for term, values in terms.items()}
            for terms in (self.probe, self.rows, self.whole)
        ]
        return EntrySums(*parts, self.names_types)


@dataclass(frozen=True, eq=False)
class SplitSums:
    """The sums of each part of the test positions: kinds of hidden token, before and after the longest lag."""

    parts: Sequence[EntrySums]
    """Kind by kind for the positions before the longest lag, then for those that have every lag behind them."""

    @property
    def kinds(self) -> int:
        """Number of kinds of token."""
        return len(self.parts) // 2

    @property
    def whole(self) -> EntrySums:
        """The sums over all positions."""
        return EntrySums.together(self.parts)

    @property
    def deep(self) -> EntrySums:
        """The sums over the positions that have every lag behind them: each lag is a mean over the same states."""
        return EntrySums.together(self.parts[self.kinds :])

    def of_kind(self, kind: int) -> EntrySums:
        """The sums over the positions whose hidden token is of one kind."""
        return EntrySums.together(self.parts[kind :: self.kinds])


@dataclass(frozen=True, eq=False)
class ScoreSums:
    """The additive statistics of the test split: `update` with rows, `merge` with other documents, then `compute`.

    Every array is a sum over rows within clusters whose numbers depend on the split alone, so that merging is adding,
    in any order and on any number of processes.
    """

    probe: dict[str, Float[ndarray, "fits targets parts clusters"]]
    rows: dict[str, Float[ndarray, "samples targets parts clusters"]]
    """Over all rows, then over the subsample that slow probes read."""
    waiting: list[tuple[Float[Tensor, "terms"], list["Addition"]]] = field(default_factory=list)
    """Terms on the device of the probes that are in no sum yet."""

    @classmethod
    def zeros(
        cls, fits: int, targets: int, parts: int, clusters: int, contexts: Sequence[str] = ("ngram",)
    ) -> "ScoreSums":
        """The sums of no rows."""
        fit_terms = (*FIT_TERMS, *map(given_context, contexts))
        row_terms = (*ROW_TERMS, *map(of_context, contexts))
        return cls(
            {term: np.zeros((fits, targets, parts, clusters)) for term in fit_terms},
            {term: np.zeros((2, targets, parts, clusters)) for term in row_terms},
        )

    def update_rows(self, target: int, cells: "Cells", terms: Terms, subsampled: Int[ndarray, "few"]) -> None:
        """Add terms that do not depend on a probe.

        Args:
            target: Number of the target.
            cells: Part and cluster of each row.
            terms: Terms of each row by name.
            subsampled: Places of the rows that slow probes read.
        """
        few = cells.at(subsampled)
        for name, values in terms.items():
            whole, part = self.rows[name][:, target]
            self.add(values, [Addition(whole, cells), Addition(part, few, subsampled)])

    def update_probe(self, fit: int, target: int, cells: "Cells", terms: Terms) -> None:
        """Add terms of one fitted probe.

        Args:
            fit: Number of the fitted probe.
            target: Number of the target.
            cells: Part and cluster of each row.
            terms: Terms of each row by name.
        """
        for name, values in terms.items():
            self.add(values, [Addition(self.probe[name][fit, target], cells)])

    def add(self, values: ndarray | Tensor, additions: list["Addition"]) -> None:
        """Add terms to some sums: those of the host at once, those of a device once there are many."""
        if not isinstance(values, Tensor):
            for addition in additions:
                addition.carry_out(values)
            return
        self.waiting.append((values.double(), additions))
        if sum(len(terms) for terms, _ in self.waiting) >= WAITING_TERMS:
            self.fetch()

    def fetch(self) -> None:
        """Add the terms that wait, in the order in which they came."""
        if not self.waiting:
            return
        terms = torch.cat([terms for terms, _ in self.waiting]).cpu().numpy()
        ends = np.cumsum([len(terms) for terms, _ in self.waiting])[:-1]
        for values, (_, additions) in zip(np.split(terms, ends), self.waiting, strict=True):
            for addition in additions:
                addition.carry_out(values)
        self.waiting.clear()

    @property
    def arrays(self) -> list[ndarray]:
        """Every array of sums, nothing waiting."""
        self.fetch()
        return [*self.probe.values(), *self.rows.values()]

    def merge(self, other: "ScoreSums") -> None:
        """Add the sums of documents tested elsewhere."""
        for mine, theirs in zip(self.arrays, other.arrays, strict=True):
            mine += theirs

    def compute(
        self,
        selected: Int[ndarray, "entries targets"],
        subsampled: Bool[ndarray, "fits"],
        names_types: Bool[ndarray, "fits"],
    ) -> list[EntrySums]:
        """The sums of each entry, part by part: those of its selected probe, and of the rows that it read.

        Args:
            selected: Number of the selected fitted probe of each entry and target.
            subsampled: Whether a fitted probe reads the subsample only.
            names_types: Whether a fitted probe names types.
        """
        self.fetch()
        target, read = np.arange(selected.shape[1]), subsampled[selected].astype(int)
        return [
            EntrySums(
                {term: values[selected, target, part] for term, values in self.probe.items()},
                {term: values[read, target, part] for term, values in self.rows.items()},
                {term: values[0, :, part] for term, values in self.rows.items()},
                names_types[selected],
            )
            for part in range(self.rows["count"].shape[2])
        ]


@dataclass(frozen=True, eq=False)
class Cells:
    """Where the terms of some rows are added."""

    part: Int[ndarray, "rows"]
    """Part of the positions (`SplitSums`)."""
    cluster: Int[ndarray, "rows"]

    def at(self, places: Int[ndarray, "few"]) -> "Cells":
        """Those of some of the rows."""
        return Cells(self.part[places], self.cluster[places])


@dataclass(frozen=True, eq=False)
class Addition:
    """Where some terms are to be added."""

    sums: Float[ndarray, "parts clusters"]
    """Changed in place."""
    cells: Cells
    places: Int[ndarray, "few"] | None = None
    """The terms that are added; None for all."""

    def carry_out(self, terms: Float[ndarray, "rows"]) -> None:
        """Add the terms to the sums of their cells."""
        values = terms if self.places is None else terms[self.places]
        place = self.cells.part * self.sums.shape[1] + self.cells.cluster
        self.sums[...] += np.bincount(place, values, minlength=self.sums.size).reshape(self.sums.shape)
