"""One corpus from anything that holds texts or token ids, and its tokens in three splits disjoint by document."""

import datetime
import importlib.metadata
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from infodil.checks import UserError, check_one_of, check_seed, check_whole, is_there
from infodil.corpus import files, hub, rows, sample, stream
from infodil.corpus.adapters import Tokenizer
from infodil.corpus.pieces import cut_texts, read_pieces
from infodil.corpus.splitting import check_fractions
from infodil.corpus.tokenizers import as_tokenizer
from infodil.corpus.tokens import Tokens

__all__ = ["Corpus", "load_corpus"]

BUILT_IN = ("sample",)


@dataclass(frozen=True)
class Corpus:
    """Documents that can be gone through again and again, and what it takes to make tokens of them.

    Example:
        >>> corpus = load_corpus([[0, 1, 2], [1, 1], [2, 0], [0, 2, 2, 1]], vocabulary=3, max_length=2)
        >>> with corpus.tokenize() as tokens:
        ...     print(tokens.documents, tokens.total, sorted(tokens.splits))
        4 11 ['calibration', 'test', 'train']
    """

    name: str
    """What a report calls it."""
    kind: Literal["text", "tokens"]
    """Whether `documents` gives texts or integer arrays."""
    documents: Callable[[], Iterator[Any]]
    """Starts over at each call; those of files are `LongDocuments`, read in pieces."""
    tokenizer: Any = None
    """As `load_corpus` takes it; None leaves it to the encoder that reads the corpus."""
    vocabulary: int | None = None
    """The number of token ids, where it is known beforehand."""
    max_length: int = 512
    """Tokens of the longest sequence."""
    pack: bool = False
    """Whether sequences are windows of exactly `max_length` over documents laid end to end."""
    independent: bool = False
    """Whether each token was drawn for itself, knowing nothing of the others: declared, never found."""
    warnings: tuple[str, ...] = ()
    """Remarks for whoever uses the results."""
    origin: dict[str, Any] = field(default_factory=dict)
    """Where the documents came from, as JSON would hold it; no path of this machine."""

    def __post_init__(self) -> None:
        check_one_of("kind", self.kind, ("text", "tokens"))
        check_whole("max_length", self.max_length, 2, "a sequence needs a past and a present: pass 2 or more")
        if self.vocabulary is not None:
            check_whole("vocabulary", self.vocabulary, 1, "pass the number of token ids")
        for name in ("pack", "independent"):
            if not isinstance(getattr(self, name), bool):
                raise UserError(f"`{name}` must be True or False, got {getattr(self, name)!r}: pass one of them.")

    def tokenize(
        self,
        tokenizer: Any = None,
        *,
        max_tokens: int | None = None,
        seed: int = 0,
        fractions: Sequence[float] = (0.7, 0.1, 0.2),
        folder: str | Path | None = None,
        progress: bool = False,
    ) -> Tokens:
        """Stream the documents to a file of token ids and split them by document.

        Documents of identical content share a split; groups of them fill the test set, the calibration set and the
        training set in a random order. With fewer than ten distinct documents, contiguous stretches of them are split
        instead, with a gap of dropped tokens wherever the split changes, and `Tokens.few_documents` says so.
        Memory grows by 16 bytes a document, and does not hold their tokens; long documents are read and encoded in
        pieces of about a million characters, no further than `max_tokens`.

        Args:
            tokenizer: Used in place of the corpus's own; see `as_tokenizer`. On a corpus of token ids it only gives
                the vocabulary and the texts shown.
            max_tokens: Stop after this many; the last document may be cut.
            seed: Decides which document goes where.
            fractions: Shares of the tokens for train, calibration and test.
            folder: Keep the files there; by default they go with the `Tokens`.
            progress: Show a bar.

        Raises:
            UserError: The corpus is empty, of text without a tokenizer, or too small for three splits; or a token id
                is negative or not below the vocabulary.
        """
        check_fractions(fractions)
        folder = None if folder is None else Path(folder)
        check_seed(seed)
        if max_tokens is not None:
            check_whole("max_tokens", max_tokens, 1, "pass 1 or more, or None for the whole corpus")
        chosen = self._tokenizer(tokenizer)
        vocabulary = self.vocabulary if self.vocabulary is not None or chosen is None else chosen.vocabulary
        raw = stream.write_stream(
            self.documents,
            encode=None if self.kind == "tokens" else chosen.encode,
            vocabulary=vocabulary,
            max_tokens=max_tokens,
            folder=folder,
            progress=progress,
            name=self.name,
        )
        return stream.split_stream(
            raw,
            name=self.name,
            max_length=self.max_length,
            pack=self.pack,
            fractions=fractions,
            seed=seed,
            folder=folder,
            tokenizer=chosen,
            warnings=self.warnings,
            origin=self.origin,
            independent=self.independent,
        )

    def _tokenizer(self, tokenizer: Any) -> Tokenizer | None:
        chosen = self.tokenizer if tokenizer is None else tokenizer
        if chosen is None:
            if self.kind == "text":
                raise UserError(
                    f"`tokenizer` is needed for the texts of corpus {self.name!r}: pass a tokenizer, the path of a "
                    "tokenizer.json, 'bytes', 'characters' or 'bpe'."
                )
            return None
        return as_tokenizer(chosen, vocabulary=self.vocabulary, texts=self._texts if self.kind == "text" else None)

    def _texts(self) -> Iterator[str]:
        """The texts in the pieces in which they are encoded."""
        return (text for _, text in cut_texts(read_pieces(self.documents)))


def load_corpus(
    source: Any,
    *,
    name: str | None = None,
    split: str | None = None,
    text_column: str = "text",
    separator: str | int | None = None,
    dtype: str | None = None,
    tokenizer: Any = None,
    vocabulary: int | None = None,
    max_length: int = 512,
    pack: bool = False,
    independent: bool = False,
) -> Corpus:
    """A corpus from a file, a folder, a dataset, texts or token ids. Nothing is tokenized yet.

    Args:
        source: A `Corpus`; the built-in name `"sample"`; the path of a text file, of a table (.jsonl, .json, .csv,
            .tsv, .parquet, .arrow; one document a row), of token ids (.npy with one document or one a row, .bin as
            nanoGPT and llm.c write them), or of a folder of them, .gz included; a dataset id; a list of texts; a list
            of token arrays or a 2-D integer array with one document a row; a source of tokens of `infodil.sources`; a
            `datasets.Dataset` or `IterableDataset`.
        name: The configuration of a dataset id; otherwise what a report calls the corpus.
        split: The split of a dataset; `"train"` by default.
        text_column: The column or JSON key that holds the texts, or lists of token ids; `text.en` is the entry `en` of
            a column of records.
        separator: A regular expression between the documents of a text file that has no `<|endoftext|>` marks; without
            either, the file is one document. Of a file of token ids, the id of the mark between documents.
        dtype: Type of the numbers of a .bin file, such as `"uint16"`; llm.c's files say it themselves.
        tokenizer: See `as_tokenizer`; by default the encoder that reads the corpus brings its own.
        vocabulary: The number of token ids, for a corpus of token ids or a function as tokenizer.
        max_length: Tokens of the longest sequence.
        pack: Lay the documents end to end and cut windows of exactly `max_length`.
        independent: Declare that each token was drawn for itself, as no language does: some upper bounds hold for such
            tokens only. A source of `infodil.sources` declares it itself.

    Returns:
        The corpus, whose documents are read when they are first used.

    Raises:
        UserError: The source is not there, is of no known kind, or does not have the column asked for.
    """
    if is_token_source(source):
        vocabulary = source.vocabulary if vocabulary is None else vocabulary
        independent, name = independent or bool(source.independent), name or type(source).__name__.lower()
        source = source.tokens
    options = dict(
        tokenizer=tokenizer, vocabulary=vocabulary, max_length=max_length, pack=pack, independent=independent
    )
    if isinstance(source, Corpus):
        _refuse_options(name=name, split=split, text_column=text_column, separator=separator, dtype=dtype, **options)
        return source
    if isinstance(source, str) and source in BUILT_IN:
        _check_fits(source, split, separator)
        _check_dtype(dtype, source)
        texts, origin = sample.read_sample()
        return Corpus(name or source, "text", lambda: iter(texts), origin=origin, **options)
    if isinstance(source, str | Path):
        return _from_name(source, name, split, text_column, separator, dtype, options)
    _check_dtype(dtype, "the source")
    if hub.is_dataset(source):
        _check_fits("a dataset in memory", split, separator)
        reading, origin = hub.read_dataset(source, text_column), _dataset_origin(source)
        title = name or origin["dataset_name"] or "dataset"
    elif isinstance(source, Sequence | np.ndarray | torch.Tensor) and not isinstance(source, bytes):
        _check_fits("a list in memory", split, separator)
        reading, origin = rows.read_list(source), {"source": "memory"}
        title = name or reading.kind
    else:
        raise UserError(
            "`source` must be a corpus, a name, a path, a dataset, a list of texts or of token ids, "
            f"got {type(source).__name__}: {_hint(source)}."
        )
    return Corpus(title, reading.kind, reading.documents, origin=origin, **options)


def is_token_source(source: Any) -> bool:
    """Whether this is drawn by a synthetic source: tokens, their vocabulary, and whether they are independent."""
    return all(hasattr(source, name) for name in ("tokens", "vocabulary", "independent", "entropy_bits"))


def _refuse_options(**options: Any) -> None:
    default = dict(text_column="text", max_length=512, pack=False, independent=False)
    given = [option for option, value in options.items() if value != default.get(option)]
    if given:
        raise UserError(f"`{given[0]}` cannot change a Corpus already made: pass it where the source is first loaded.")


def _check_fits(what: str, split: str | None, separator: str | int | None, *, dataset: bool = False) -> None:
    """Raise `UserError` on an option that would go unheard."""
    if split is not None and not dataset:
        raise UserError(f"`split` names a part of a dataset, and {what} has none: leave it out, or pass that part.")
    if separator is not None:
        raise UserError(f"`separator` divides a text file, and {what} has its documents apart: leave it out.")


def _check_dtype(dtype: str | None, what: str) -> None:
    """Raise `UserError` on a type of numbers where no file is read that needs one."""
    if dtype is not None:
        raise UserError(f"`dtype` is the type of the token ids in a .bin file, and {what} is none: leave it out.")


def _hint(source: Any) -> str:
    if isinstance(source, dict):
        return f"pass one part of it, such as source[{next(iter(source), 'train')!r}]"
    if hasattr(source, "__next__"):
        return "a generator can be read only once, so pass list(source)"
    return "pass a list of texts" if hasattr(source, "__iter__") else "pass one of these"


def _from_name(
    source: str | Path,
    name: str | None,
    split: str | None,
    text_column: str,
    separator: str | int | None,
    dtype: str | None,
    options: dict,
) -> Corpus:
    text = str(source)
    path = _expanded(text)
    there = is_there(path)
    if isinstance(source, str) and not there and (not text.strip() or "\n" in text or len(text) > 255):
        raise UserError("`source` is a text, not the name of one: pass a list of texts, such as [text].")
    if isinstance(source, Path) or there or files.looks_like_a_path(text):
        title = _printable(path.resolve().name if there else path.name)
        if there and hub.is_table(path):
            _check_fits(repr(title), split, separator, dataset=True)
            _check_dtype(dtype, repr(title))
            reading = hub.read_table(path, text_column, split)
        else:
            _check_fits(repr(title), split, separator if there and not files.takes_separator(path) else None)
            _check_separator(separator)
            reading = files.read_path(path, text_column=text_column, separator=separator, dtype=dtype)
        origin = {"source": "folder" if there and path.is_dir() else "file", "file": title, "split": split}
        title = name or title
    else:
        _check_fits(repr(text), split, separator, dataset=True)
        _check_dtype(dtype, repr(text))
        reading, configuration = hub.read_id(text, name, split, text_column)
        origin = _id_origin(text, configuration, split or "train")
        title = text if configuration is None else f"{text}/{configuration}"
    return Corpus(title, reading.kind, reading.documents, warnings=reading.warnings, origin=origin, **options)


def _expanded(text: str) -> Path:
    try:
        return Path(text).expanduser()
    except RuntimeError:  # no such user
        return Path(text)


def _printable(name: str) -> str:
    """A file's name as it can be shown and saved: line ends, control characters and undecodable bytes replaced."""
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in name)


def _check_separator(separator: str | int | None) -> None:
    try:
        re.compile(str(separator or ""))
    except re.error as error:
        raise UserError(
            f"`separator` {separator!r} is not a regular expression ({error}): escape its special characters."
        ) from None


def _id_origin(source: str, configuration: str | None, split: str) -> dict[str, Any]:
    return {
        "source": "dataset",
        "id": source,
        "configuration": configuration,
        "split": split,
        "datasets_version": importlib.metadata.version("datasets"),
        "read_on": datetime.date.today().isoformat(),
    }


def _dataset_origin(source: Any) -> dict[str, Any]:
    about = getattr(source, "info", None)
    return {
        "source": "dataset in memory",
        "dataset_name": getattr(about, "dataset_name", None),
        "configuration": getattr(about, "config_name", None),
        "split": None if source.split is None else str(source.split),
    }
