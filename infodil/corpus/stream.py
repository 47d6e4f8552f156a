"""From documents to token ids on disk, once through: the ids, the lengths, the hashes, then one file a split."""

import hashlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from infodil.checks import UserError
from infodil.corpus.pieces import cut_ids, cut_texts, read_pieces
from infodil.corpus.rows import as_ids
from infodil.corpus.splitting import FEW, SPLITS, assign_splits, cut_stretches, open_gaps
from infodil.corpus.tokens import Split, Tokens, cut_sequences
from infodil.progress import progress_bar
from infodil.scratch import remove_scratch, scratch_folder

__all__ = ["RawTokens", "write_stream", "split_stream"]

IDS = np.dtype("<i4")
WHOLE = "all.int32"
"""File of the ids in the order they were read."""
TEXTS_AT_ONCE = 256
CHARACTERS_AT_ONCE = 1_000_000
"""Texts are handed to a tokenizer so many, or of so many characters, at a time: its own records take a hundred bytes a
token."""
LARGEST_GUESS = 1 << 20
"""Largest vocabulary that is told from the ids: probes hold numbers for each type, and one stray id adds millions."""
COPIED_IDS = 1 << 20
"""Token ids that are copied at once."""


@dataclass
class RawTokens:
    """The tokens of a corpus in the order they were read."""

    folder: Path
    """A temporary folder with the file; whoever holds this removes it."""
    lengths: np.ndarray
    """`[documents]`."""
    keys: np.ndarray
    """`[documents]`, a hash of each document's content."""
    vocabulary: int
    sha256: str
    warnings: tuple[str, ...]


def write_stream(
    documents: Callable[[], Iterable[Any]],
    *,
    encode: Callable[[list[str]], list[list[int]]] | None,
    vocabulary: int | None,
    max_tokens: int | None,
    folder: Path | None,
    progress: bool,
    name: str,
) -> RawTokens:
    """Append every document's ids to one file, checking them on the way."""
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
    place = scratch_folder(folder)
    try:
        return _write(documents, encode, vocabulary, max_tokens, place, progress, name)
    except BaseException:
        remove_scratch(place)
        raise


def _write(
    documents: Callable[[], Iterable[Any]],
    encode: Callable[[list[str]], list[list[int]]] | None,
    vocabulary: int | None,
    max_tokens: int | None,
    place: Path,
    progress: bool,
    name: str,
) -> RawTokens:
    lengths, keys, digest = array("q"), array("Q"), hashlib.sha256()
    total, largest = 0, (-1, 0)
    bar = progress_bar(words="reading tokens", shown=progress, total=max_tokens, unit="token")
    with (place / WHOLE).open("wb") as file, bar:
        current, key = -1, hashlib.blake2b(digest_size=8)
        for number, piece in _ids(documents, encode):
            ids = piece if max_tokens is None else piece[: max_tokens - total]
            low, high = int(ids.min()), int(ids.max())
            if low < 0 or high >= min(2**31, 2**31 if vocabulary is None else vocabulary):
                _refuse(name, number, low if low < 0 else high, vocabulary)
            if number != current:
                current, key = number, hashlib.blake2b(digest_size=8)
                lengths.append(0)
                keys.append(0)
            data = ids.astype(IDS, copy=False).tobytes()
            file.write(data)
            digest.update(data)
            key.update(data)
            lengths[-1] += len(ids)
            keys[-1] = int.from_bytes(key.digest(), "little")
            total, largest = total + len(ids), max(largest, (high, -number))
            bar.update(len(ids))
            if max_tokens is not None and total >= max_tokens:
                break
    if total == 0:
        raise UserError(f"`corpus` {name!r} is empty: pass at least one document that is not blank.")
    digest.update(np.asarray(lengths, dtype="<i8").tobytes())
    warnings: tuple[str, ...] = ()
    if vocabulary is None:
        vocabulary = _guessed(name, *largest)
        warnings = (
            f"The vocabulary was not given and is taken to be {vocabulary}: one more than the largest token id.",
        )
    return RawTokens(
        folder=place,
        lengths=np.frombuffer(lengths, dtype=np.int64),
        keys=np.frombuffer(keys, dtype=np.uint64),
        vocabulary=vocabulary,
        sha256=digest.hexdigest(),
        warnings=warnings,
    )


def _refuse(name: str, number: int, bad: int, vocabulary: int | None) -> None:
    limit = "2**31 - 1" if vocabulary is None else f"{vocabulary - 1}"
    raise UserError(
        f"`corpus` {name!r} has the token id {bad} in document {number}, outside 0 to {limit}: "
        "pass the vocabulary and tokenizer the ids were made with."
    )


def _guessed(name: str, largest: int, minus_number: int) -> int:
    """The vocabulary that ids tell; `UserError` where one of them makes it larger than any tokenizer's."""
    if largest >= LARGEST_GUESS:
        raise UserError(
            f"`corpus` {name!r} has the token id {largest} in document {-minus_number}, and the vocabulary was not "
            "given: mend the id, or pass vocabulary= with the number of token ids if it is so large."
        )
    return largest + 1


def _ids(
    documents: Callable[[], Iterable[Any]], encode: Callable[[list[str]], list[list[int]]] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """Ids in pieces, none of them empty, each with the number of its document."""
    if encode is None:
        yield from cut_ids(read_pieces(documents), as_ids)
        return
    for numbers, texts in _together(cut_texts(read_pieces(documents))):
        for number, tokens in zip(numbers, _encoded(encode, texts), strict=True):
            ids = _checked(tokens, number)
            if len(ids):
                yield number, ids


def _encoded(encode: Callable[[list[str]], list[list[int]]], texts: list[str]) -> list[Any]:
    try:
        encoded = list(encode(texts))
    except UserError:
        raise
    except Exception as error:  # a caller's own, or a foreign library: whatever it raises
        reason = str(error).partition("\n")[0].rstrip(".")
        raise UserError(
            f"`tokenizer` failed on the texts ({type(error).__name__}: {reason}): pass one that takes every text."
        ) from error
    if len(encoded) != len(texts):
        raise UserError(
            f"`tokenizer` gave {len(encoded)} lists of ids for {len(texts)} texts: it must give one for each."
        )
    return encoded


def _checked(tokens: Any, number: int) -> np.ndarray:
    try:
        return as_ids(tokens, "")
    except UserError:
        raise UserError(
            f"`tokenizer` gave {type(tokens).__name__} for document {number}, and not a list of whole numbers: return "
            "the ids alone, such as result['input_ids']."
        ) from None


def _together(pieces: Iterable[tuple[int, str]]) -> Iterator[tuple[list[int], list[str]]]:
    numbers: list[int] = []
    texts: list[str] = []
    characters = 0
    for number, text in pieces:
        numbers.append(number)
        texts.append(text)
        characters += len(text)
        if len(texts) >= TEXTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield numbers, texts
            numbers, texts, characters = [], [], 0
    if texts:
        yield numbers, texts


def split_stream(
    raw: RawTokens,
    *,
    name: str,
    max_length: int,
    pack: bool,
    fractions: Sequence[float],
    seed: int,
    folder: Path | None,
    tokenizer: Any,
    warnings: tuple[str, ...],
    origin: dict[str, Any],
    independent: bool = False,
) -> Tokens:
    """Three splits of what was read, each in a file of its own; the file of the whole goes."""
    try:
        first = np.unique(raw.keys, return_index=True)[1]
        few = len(first) < FEW
        starts, lengths, keys = np.cumsum(raw.lengths) - raw.lengths, raw.lengths, raw.keys
        if few:
            starts, lengths, document = cut_stretches(raw.lengths, int(raw.lengths[first].sum()), max_length)
            keys = _keys(raw.folder / WHOLE, starts, lengths)
        split, place = assign_splits(lengths, keys, fractions, seed)
        if len(first) < len(raw.keys):
            warnings = (*warnings, _copies_sentence(len(raw.keys), len(first)))
        if few:
            starts, lengths = open_gaps(starts, lengths, document, split)
            place = np.arange(len(starts))
            warnings = (*warnings, _few_sentence(len(first), len(starts)))
        splits, counts, places = {}, {}, {}
        settings = hashlib.sha256(repr((seed, tuple(fractions), max_length)).encode()).hexdigest()
        for number, side in enumerate(SPLITS):
            members = np.flatnonzero(split == number)
            members = members[np.argsort(place[members], kind="stable")]
            path = raw.folder / f"{side}.int32"
            _copy(raw.folder / WHOLE, starts[members], lengths[members], path)
            if folder is not None:
                path = path.replace(folder / f"{raw.sha256[:12]}-{settings[:8]}-{side}.int32")
            splits[side] = _split(path, lengths[members], max_length, pack)
            counts[side] = len(members)
            places[side] = starts[members], lengths[members]
    except BaseException:
        remove_scratch(raw.folder)
        raise
    tokens = Tokens(
        name=name,
        vocabulary=raw.vocabulary,
        documents=len(raw.lengths),
        total=int(raw.lengths.sum()),
        sha256=raw.sha256,
        few_documents=few,
        splits=splits,
        split_documents=counts,
        max_length=max_length,
        pack=pack,
        tokenizer=tokenizer,
        independent=independent,
        warnings=(*warnings, *raw.warnings),
        origin=origin,
        places=places,
    )
    if folder is None:
        (raw.folder / WHOLE).unlink()
        tokens.remove_with_self(raw.folder)
    else:
        remove_scratch(raw.folder)
    return tokens


def _copies_sentence(documents: int, distinct: int) -> str:
    return (
        f"{documents - distinct} of {documents} documents are exact copies of others: copies share a split, and count "
        "as one document where intervals are taken."
    )


def _few_sentence(distinct: int, stretches: int) -> str:
    documents = "one document" if distinct == 1 else f"{distinct} distinct documents"
    return (
        f"The corpus has only {documents}: {stretches} contiguous stretches were split instead, so train and test "
        "come from the same documents and intervals cannot speak for others."
    )


def _keys(whole: Path, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    keys = np.zeros(len(starts), dtype=np.uint64)
    with whole.open("rb") as file:
        for number, (start, length) in enumerate(zip(starts.tolist(), lengths.tolist(), strict=True)):
            key = hashlib.blake2b(digest_size=8)
            for data in _parts(file, start, length):
                key.update(data)
            keys[number] = int.from_bytes(key.digest(), "little")
    return keys


def _copy(whole: Path, starts: np.ndarray, lengths: np.ndarray, path: Path) -> None:
    with whole.open("rb") as source, path.open("wb", buffering=1 << 20) as file:
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            for data in _parts(source, start, length):
                file.write(data)


def _parts(file: BinaryIO, start: int, length: int) -> Iterator[bytes]:
    """The bytes of some ids, a bounded number at a time: a mapped file would count as memory as far as it is read."""
    file.seek(start * IDS.itemsize)
    for begin in range(0, length, COPIED_IDS):
        yield file.read(min(COPIED_IDS, length - begin) * IDS.itemsize)


def _split(path: Path, lengths: np.ndarray, max_length: int, pack: bool) -> Split:
    ids = np.memmap(path, dtype=IDS, mode="r")
    # Packed, the whole split is cut as if it were one document, and each window stands for itself.
    starts, runs, document = cut_sequences(np.array([lengths.sum()]) if pack else lengths, max_length)
    return Split(ids, starts, runs, np.arange(len(starts)) if pack else document, max_length)
