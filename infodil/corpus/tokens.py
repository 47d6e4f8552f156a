"""Tokens on disk, split by document, and the batches an encoder reads. Every quantity is a number of tokens."""

import weakref
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Int32, Int64
from torch import Tensor

from infodil.checks import check_whole
from infodil.scratch import remove_scratch

__all__ = ["Tokens", "Split", "Batch", "cut_sequences"]


@dataclass(frozen=True)
class Batch:
    """Some sequences of a split, padded on the right with token 0 to the longest of them."""

    tokens: Int64[Tensor, "documents tokens"]
    """Token ids; what lies at or past a row's length is padding."""
    lengths: Int64[Tensor, "documents"]
    """Tokens of each row that are real."""
    starts: Int64[Tensor, "documents"]
    """Where each row's first token stands in `Split.tokens`."""
    document: Int64[Tensor, "documents"]
    """The document each row is from: `Split.document` of that row."""


@dataclass(frozen=True, eq=False)
class Split:
    """One of the three disjoint parts of a corpus: token ids on disk and the sequences they are cut into.

    A sequence is a run of at most `max_length` tokens of one document. In a packed corpus it is a window over the
    documents laid end to end, and counts as a document of its own.
    """

    tokens: Int32[np.ndarray, "tokens"]
    """Read-only, mapped from disk; each document is contiguous."""
    starts: Int64[np.ndarray, "sequences"]
    """Where each sequence begins in `tokens`."""
    lengths: Int64[np.ndarray, "sequences"]
    """Tokens of each sequence, from 1 to `max_length`."""
    document: Int64[np.ndarray, "sequences"]
    """The document each sequence is from, numbered from 0 within this split: what an interval resamples."""
    max_length: int
    """The longest a sequence may be."""

    @property
    def documents(self) -> int:
        """The number of documents (windows, in a packed corpus): one more than the last of `document`."""
        return int(self.document[-1]) + 1 if len(self.document) else 0

    def __repr__(self) -> str:
        sizes = f"{len(self.tokens):,} tokens, {len(self.starts):,} sequences, {self.documents:,} documents"
        return f"Split({sizes})"

    def number_of_batches(self, batch_size: int) -> int:
        """How many batches `batches(batch_size)` yields."""
        return len(self._bounds(self._by_length(), batch_size)) - 1

    def batches(self, batch_size: int, *, generator: torch.Generator | None = None) -> Iterator[Batch]:
        """Every sequence exactly once, in batches of similar lengths.

        Sequences are sorted by length, longest first and ties in order, and cut into batches of at most
        `batch_size * max_length` tokens, padding included: short sequences come many to a batch.

        Args:
            batch_size: Sequences of full length in a batch.
            generator: Shuffles the order of the batches; without it, a batch comes where its earliest sequence does.

        Raises:
            UserError: `batch_size` is not a whole number of at least 1.
        """
        sequences = self._by_length()
        bounds = self._bounds(sequences, batch_size)
        count = len(bounds) - 1
        if generator is not None:
            order = torch.randperm(count, generator=generator, device=generator.device).tolist()
        else:
            order = np.argsort(np.minimum.reduceat(sequences, bounds[:-1]), kind="stable").tolist() if count else []
        return (self._batch(sequences[bounds[number] : bounds[number + 1]]) for number in order)

    def _by_length(self) -> Int64[np.ndarray, "sequences"]:
        return np.argsort(-self.lengths, kind="stable")

    def _bounds(self, sequences: Int64[np.ndarray, "sequences"], batch_size: int) -> np.ndarray:
        """Where each batch begins among the sorted sequences, and the end of the last."""
        check_whole("batch_size", batch_size, 1, "pass 1 or more")
        room, bounds = batch_size * self.max_length, [0]
        while bounds[-1] < len(sequences):
            rows = room // int(self.lengths[sequences[bounds[-1]]])
            bounds.append(min(bounds[-1] + rows, len(sequences)))
        return np.array(bounds)

    def _batch(self, rows: Int64[np.ndarray, "documents"]) -> Batch:
        starts, lengths = self.starts[rows], self.lengths[rows]
        columns = np.arange(int(lengths.max()))
        inside = columns < lengths[:, None]
        ids = self.tokens[np.where(inside, starts[:, None] + columns, 0)]
        tokens = torch.from_numpy(np.where(inside, ids, 0).astype(np.int64))
        return Batch(tokens, *(torch.from_numpy(values) for values in (lengths, starts, self.document[rows])))


@dataclass(eq=False)
class Tokens:
    """A tokenized corpus: three splits, disjoint by document, whose token ids stay on disk.

    The files go when this object is closed or collected, unless the caller named their folder. Use it in a `with`
    statement to decide when.
    """

    name: str
    """The corpus's name."""
    vocabulary: int
    """Token ids are below it."""
    documents: int
    """Documents read, empty ones left out."""
    total: int
    """Tokens read; the splits hold all of them, less the gaps cut where `few_documents` is true."""
    sha256: str
    """Of the token ids (little-endian int32) followed by the document lengths (little-endian int64)."""
    few_documents: bool
    """Fewer than ten distinct documents: stretches of them were split, and stand in their original order."""
    splits: dict[str, Split]
    """`"train"`, `"calibration"` and `"test"`."""
    split_documents: dict[str, int]
    """Documents in each split (stretches, where `few_documents` is true)."""
    max_length: int
    """The longest sequence."""
    pack: bool
    """Whether sequences are windows over documents laid end to end."""
    tokenizer: Any = None
    """What made the ids, where it is known."""
    independent: bool = False
    """Whether each token was drawn for itself: declared, never found."""
    warnings: tuple[str, ...] = ()
    """Remarks for whoever uses the results."""
    origin: dict[str, Any] = field(default_factory=dict, repr=False)
    """Where the documents came from."""
    places: dict[str, tuple[Int64[np.ndarray, "parts"], Int64[np.ndarray, "parts"]]] = field(
        default_factory=dict, repr=False
    )
    """First position in the corpus, and length, of each contiguous part of a split, in the order of the split."""

    def __post_init__(self) -> None:
        self._clean = None

    def remove_with_self(self, folder: Path) -> None:
        """Let `folder` go when this object does."""
        # Not a TemporaryDirectory: that one warns when it is collected before it is closed.
        self._clean = weakref.finalize(self, remove_scratch, folder)

    def position_splits(self) -> dict[str, Split]:
        """The splits with the position of each token in the corpus in place of its id.

        Positions count the tokens that were read, from 0, documents end to end; empty documents have none.
        """
        splits = {}
        for side, split in self.splits.items():
            starts, lengths = self.places[side]
            positions = np.repeat(starts - (np.cumsum(lengths) - lengths), lengths) + np.arange(int(lengths.sum()))
            splits[side] = replace(split, tokens=positions.astype(np.int32))
        return splits

    def close(self) -> None:
        """Forget the splits and remove their files, unless the caller named their folder."""
        self.splits.clear()
        if self._clean is not None:
            self._clean()

    def __enter__(self) -> "Tokens":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def provenance(self) -> dict[str, Any]:
        """What a report records of the corpus: names, counts and the hash, as JSON would hold them."""
        return {
            "name": self.name,
            "origin": self.origin,
            "documents": self.documents,
            "tokens": self.total,
            "sha256": self.sha256,
            "vocabulary": self.vocabulary,
            "few_documents": self.few_documents,
            "splits": {
                name: {"tokens": len(split.tokens), "documents": self.split_documents[name]}
                for name, split in self.splits.items()
            },
            "max_length": self.max_length,
            "pack": self.pack,
            "independent": self.independent,
            "tokenizer": None if self.tokenizer is None else self.tokenizer.name,
        }

    def token_texts(self, ids: Iterable[SupportsIndex]) -> list[str]:
        """A readable text for each id: spaces are spaces; the number itself where no tokenizer is known."""
        numbers = [int(number) for number in ids]
        texts = {number: str(number) for number in numbers}
        known = [number for number in texts if 0 <= number < self.vocabulary]
        if self.tokenizer is not None:
            texts.update(zip(known, self.tokenizer.texts(known), strict=True))
        return [texts[number] for number in numbers]


def cut_sequences(
    lengths: Int64[np.ndarray, "documents"], max_length: int
) -> tuple[Int64[np.ndarray, "sequences"], Int64[np.ndarray, "sequences"], Int64[np.ndarray, "sequences"]]:
    """Starts, lengths and document of the runs of at most `max_length` tokens of contiguous documents.

    Example:
        >>> starts, lengths, document = cut_sequences(np.array([5, 2]), max_length=3)
        >>> starts.tolist(), lengths.tolist(), document.tolist()
        ([0, 3, 5], [3, 2, 2], [0, 0, 1])
    """
    pieces = -(-lengths // max_length)
    document = np.repeat(np.arange(len(lengths)), pieces)
    piece = np.arange(len(document)) - np.repeat(np.cumsum(pieces) - pieces, pieces)
    begin = np.cumsum(lengths) - lengths
    return (
        begin[document] + piece * max_length,
        np.minimum(lengths[document] - piece * max_length, max_length),
        document,
    )
