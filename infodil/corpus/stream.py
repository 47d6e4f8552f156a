"""From documents to token ids on disk, once through: the ids, the lengths, the hashes, then one file a split."""

import hashlib
import shutil
import tempfile
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from infodil.checks import UserError
from infodil.corpus.files import as_ids
from infodil.corpus.splitting import FEW, SPLITS, assign_splits, cut_stretches, open_gaps
from infodil.corpus.tokens import Split, Tokens, cut_sequences
from infodil.progress import progress_bar

__all__ = ["RawTokens", "write_stream", "split_stream"]

IDS = np.dtype("<i4")
TEXTS_AT_ONCE = 256
CHARACTERS_AT_ONCE = 1_000_000
"""Longer texts are encoded piece by piece, cut where a line ends."""


@dataclass
class RawTokens:
    """The tokens of a corpus in the order they were read."""

    folder: Path
    """A temporary folder with the file; whoever holds this removes it."""
    ids: np.ndarray
    """`[tokens]`, mapped from disk."""
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
    place = Path(tempfile.mkdtemp(prefix="infodil-", dir=folder))
    try:
        return _write(documents, encode, vocabulary, max_tokens, place, progress, name)
    except BaseException:
        shutil.rmtree(place, ignore_errors=True)
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
    total, largest, path = 0, -1, place / "all.int32"
    bar = progress_bar(words="reading tokens", shown=progress, total=max_tokens, unit="token")
    with path.open("wb") as file, bar:
        for number, ids in _ids(documents(), encode):
            ids = ids if max_tokens is None else ids[: max_tokens - total]
            low, high = int(ids.min()), int(ids.max())
            if low < 0 or high >= min(2**31, 2**31 if vocabulary is None else vocabulary):
                _refuse(name, number, low if low < 0 else high, vocabulary)
            data = ids.astype(IDS, copy=False).tobytes()
            file.write(data)
            digest.update(data)
            lengths.append(len(ids))
            keys.append(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little"))
            total, largest = total + len(ids), max(largest, high)
            bar.update(len(ids))
            if max_tokens is not None and total >= max_tokens:
                break
    if total == 0:
        raise UserError(f"`corpus` {name!r} is empty: pass at least one document that is not blank.")
    digest.update(np.asarray(lengths, dtype="<i8").tobytes())
    warnings: tuple[str, ...] = ()
    if vocabulary is None:
        vocabulary = largest + 1
        warnings = (
            f"The vocabulary was not given and is taken to be {vocabulary}: one more than the largest token id.",
        )
    return RawTokens(
        folder=place,
        ids=np.memmap(path, dtype=IDS, mode="r"),
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


def _ids(
    documents: Iterable[Any], encode: Callable[[list[str]], list[list[int]]] | None
) -> Iterator[tuple[int, np.ndarray]]:
    """The number of each document that is not empty, and its ids."""
    if encode is None:
        for number, value in enumerate(documents):
            ids = as_ids(value, f"document {number}")
            if len(ids):
                yield number, ids
        return
    for numbers, texts in _together(documents):
        # One long text is encoded in pieces: an encoder's own records take a hundred bytes a token.
        pieces = [_pieces(text) for text in texts]
        whole = [piece for parts in pieces for piece in parts]
        encoded = encode(whole)
        if len(encoded) != len(whole):
            raise UserError(
                f"`tokenizer` gave {len(encoded)} lists of ids for {len(whole)} texts: it must give one for each."
            )
        flat = iter(encoded)
        for number, parts in zip(numbers, pieces, strict=True):
            ids = np.array([token for _ in parts for token in next(flat)], dtype=np.int64)
            if len(ids):
                yield number, ids


def _together(documents: Iterable[str]) -> Iterator[tuple[list[int], list[str]]]:
    numbers: list[int] = []
    texts: list[str] = []
    characters = 0
    for number, text in enumerate(documents):
        if not isinstance(text, str):
            raise UserError(f"`corpus` document {number} is {type(text).__name__}, not a text: make it a string.")
        if not text.strip():
            continue
        numbers.append(number)
        texts.append(_whole(text))
        characters += len(text)
        if len(texts) >= TEXTS_AT_ONCE or characters >= CHARACTERS_AT_ONCE:
            yield numbers, texts
            numbers, texts, characters = [], [], 0
    if texts:
        yield numbers, texts


def _whole(text: str) -> str:
    """The text with half characters (lone surrogates, which JSON lets through) replaced."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def _pieces(text: str) -> list[str]:
    pieces, begin = [], 0
    while len(text) - begin > CHARACTERS_AT_ONCE:
        # Before a newline, or else a space: there nearly every tokenizer starts a new token anyway.
        limit = begin + CHARACTERS_AT_ONCE
        ends = (text.rfind(character, begin + 1, limit) for character in "\n ")
        end = next((end for end in ends if end > begin), limit)
        pieces.append(text[begin:end])
        begin = end
    return [*pieces, text[begin:]]


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
            keys = _keys(raw.ids, starts, lengths)
        split, place = assign_splits(lengths, keys, fractions, seed)
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
            _copy(raw.ids, starts[members], lengths[members], path)
            if folder is not None:
                path = path.replace(folder / f"{raw.sha256[:12]}-{settings[:8]}-{side}.int32")
            splits[side] = _split(path, lengths[members], max_length, pack)
            counts[side] = len(members)
            places[side] = starts[members], lengths[members]
    except BaseException:
        shutil.rmtree(raw.folder, ignore_errors=True)
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
    raw.ids = np.zeros(0, dtype=IDS)  # unmap before the file goes: some systems refuse otherwise
    if folder is None:
        (raw.folder / "all.int32").unlink()
        tokens.remove_with_self(raw.folder)
    else:
        shutil.rmtree(raw.folder, ignore_errors=True)
    return tokens


def _few_sentence(distinct: int, stretches: int) -> str:
    documents = "one document" if distinct == 1 else f"{distinct} distinct documents"
    return (
        f"The corpus has only {documents}: {stretches} contiguous stretches were split instead, so train and test "
        "come from the same documents and intervals cannot speak for others."
    )


def _keys(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    digests = (
        hashlib.blake2b(ids[start : start + length].tobytes(), digest_size=8).digest()
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True)
    )
    return np.fromiter((int.from_bytes(digest, "little") for digest in digests), dtype=np.uint64, count=len(starts))


def _copy(ids: np.ndarray, starts: np.ndarray, lengths: np.ndarray, path: Path) -> None:
    with path.open("wb", buffering=1 << 20) as file:
        for start, length in zip(starts.tolist(), lengths.tolist(), strict=True):
            file.write(ids[start : start + length].tobytes())


def _split(path: Path, lengths: np.ndarray, max_length: int, pack: bool) -> Split:
    ids = np.memmap(path, dtype=IDS, mode="r")
    # Packed, the whole split is cut as if it were one document, and each window stands for itself.
    starts, runs, document = cut_sequences(np.array([lengths.sum()]) if pack else lengths, max_length)
    return Split(ids, starts, runs, np.arange(len(starts)) if pack else document, max_length)
