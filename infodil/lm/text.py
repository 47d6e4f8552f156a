"""A tokenised corpus in the folder of a run: made once, read again by a resumed run and by every process."""

__all__ = ["RunText", "load_text", "prepare_text"]

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import UserError, write_whole
from infodil.corpus import (
    Corpus,
    LongDocuments,
    Split,
    Tokenizer,
    Tokens,
    as_tokenizer,
    read_pieces,
    token_bytes,
)
from infodil.fingerprint import fingerprint

SIDES = ("train", "calibration", "test")


@dataclass(frozen=True, eq=False)
class RunText:
    """Three splits by document and what made their ids."""

    splits: dict[str, Split]
    """Train; calibration, on which choices are made; test, on which losses are reported."""
    vocabulary: int
    tokenizer: Tokenizer | None
    """None where the ids came without one, or with one that cannot be stored."""
    bytes_of: Int[ndarray, "vocabulary"] | None
    """Bytes that each id stands for, where the tokenizer says."""
    provenance: dict[str, Any]
    """Names, counts and the hash of the ids."""


def prepare_text(
    corpus: Corpus,
    folder: str | Path,
    *,
    max_tokens: int | None = None,
    fractions: Sequence[float] = (0.9, 0.05, 0.05),
    seed: int = 0,
    progress: bool = True,
) -> RunText:
    """The tokens of a corpus in a folder, made there unless that is done already.

    Args:
        corpus: Text or token ids.
        folder: Folder of the tokens.
        max_tokens: Most tokens read from the corpus.
        fractions: Shares of the tokens for training, calibration and test.
        seed: Seed of the split by document.
        progress: Whether a bar is shown.

    Returns:
        The three splits.

    Raises:
        UserError: The folder has the tokens of another corpus, or of other choices.
    """
    folder = Path(folder)
    choices = {
        "kind": corpus.kind,
        "tokenizer": described_tokenizer(corpus.tokenizer),
        "vocabulary": corpus.vocabulary,
        "max_length": corpus.max_length,
        "pack": corpus.pack,
        "max_tokens": max_tokens,
        "fractions": [float(share) for share in fractions],
        "seed": seed,
    }
    stored = read_header(folder)
    if stored is not None:
        check_same_text(folder, stored["made_from"], choices, corpus)
        try:
            return load_text(folder)
        except UserError:
            pass  # damaged: made anew below, from the same corpus
    documents = HashedDocuments(corpus.documents)
    tokens = replace(corpus, documents=LongDocuments(documents.pieces)).tokenize(
        max_tokens=max_tokens, fractions=tuple(fractions), seed=seed, folder=folder, progress=progress
    )
    write_text(folder, tokens, choices | {"documents": documents.read, "sha256": documents.sha256})
    return load_text(folder)


class HashedDocuments:
    """Documents that are hashed as they are read.

    Args:
        documents: Function that goes through the documents anew.
    """

    def __init__(self, documents: Callable[[], Iterator[Any]]) -> None:
        self.documents, self.read, self.digest = documents, 0, hashlib.sha256()

    def pieces(self) -> Iterator[tuple[int, Any]]:
        """Numbers and pieces of the documents; `read` counts the pieces of the last time, which are hashed."""
        self.read, self.digest, last = 0, hashlib.sha256(), -1
        for number, piece in read_pieces(self.documents):
            self.read += 1
            content = piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else ids_of(piece)
            self.digest.update(f"{'+' if number == last else ''}{len(content)} ".encode() + content)
            last = number
            yield number, piece

    @property
    def sha256(self) -> str:
        """The hash of the pieces read so far, in hexadecimal."""
        return self.digest.hexdigest()


def ids_of(document: Any) -> bytes:
    """Token ids as bytes, whatever holds them."""
    return np.asarray(document, dtype="<i8").tobytes()


def described_tokenizer(tokenizer: Any) -> str | None:
    """What decides a tokenizer's ids, as a string."""
    if isinstance(tokenizer, str | Path) and Path(tokenizer).is_file():
        return f"{Path(tokenizer).name} {hash_file(Path(tokenizer))[:16]}"
    if tokenizer is None or isinstance(tokenizer, str | Path):
        return None if tokenizer is None else str(tokenizer)
    name = str(getattr(tokenizer, "name", type(tokenizer).__name__))
    known = fingerprint(tokenizer)
    return name if known is None else f"{name} {known[:16]}"


def check_same_text(folder: Path, before: dict[str, Any], choices: dict[str, Any], corpus: Corpus) -> None:
    """Raise `UserError` unless a folder's text was made of the same documents by the same choices."""
    for name, value in choices.items():
        if before[name] != value:
            raise UserError(
                f"`{name}` is {value!r}, and the text in the folder {folder.name!r} was made with {before[name]!r}: "
                "pass that, or another folder."
            )
    documents = HashedDocuments(corpus.documents)
    for _ in islice(documents.pieces(), before["documents"]):
        pass
    if documents.sha256 != before["sha256"]:
        raise UserError(
            f"`corpus` {corpus.name!r} has other documents (SHA-256 {documents.sha256[:12]}) than the text in the "
            f"folder {folder.name!r} was made of ({before['sha256'][:12]}): pass those, or another folder."
        )


def write_text(folder: Path, tokens: Tokens, made_from: dict[str, Any]) -> None:
    """Tokenizer, splits and header of a text whose ids are in the folder; the header comes last."""
    backend = getattr(tokens.tokenizer, "backend", None)
    spelled = backend.to_str() if hasattr(backend, "to_str") else None
    if spelled is not None:
        write_whole(folder / "tokenizer.json", spelled)
    sizes = None if tokens.tokenizer is None else token_bytes(tokens.tokenizer)
    arrays = {} if sizes is None else {"bytes_of": sizes}
    for side in SIDES:
        split = tokens.splits[side]
        arrays |= {f"{side}.{name}": getattr(split, name) for name in ("starts", "lengths", "document")}
    write_arrays(folder / "splits.safetensors", arrays)
    files = {side: Path(tokens.splits[side].tokens.filename).name for side in SIDES}
    kept = [*files.values(), "splits.safetensors", *(["tokenizer.json"] if spelled is not None else [])]
    header = {
        "files": files,
        "provenance": tokens.provenance(),
        "tokenizer": tokens.tokenizer.name if tokens.tokenizer is not None and spelled is None else None,
        "made_from": made_from,
        "sha256": {name: hash_file(folder / name) for name in kept},
    }
    header["header_sha256"] = hash_header(header)
    write_whole(folder / "text.json", json.dumps(header, indent=2))  # last: a kill before leaves no text at all


def read_header(folder: Path) -> dict[str, Any] | None:
    """The header of a folder's text; None where there is none or it is damaged, so that the text is made anew."""
    try:
        header = json.loads((folder / "text.json").read_text(encoding="utf-8"))
        return header if header["header_sha256"] == hash_header(header) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def hash_header(header: dict[str, Any]) -> str:
    """SHA-256 of a header without its own hash."""
    rest = {name: value for name, value in header.items() if name != "header_sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def hash_file(path: Path) -> str:
    """SHA-256 of a file, read piece by piece."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load_text(folder: str | Path) -> RunText:
    """The text that `prepare_text` left.

    Args:
        folder: Folder of the tokens.

    Returns:
        The three splits.

    Raises:
        UserError: It is not there, or is damaged.
    """
    folder = Path(folder)
    try:
        header = json.loads((folder / "text.json").read_text(encoding="utf-8"))
        if header["header_sha256"] != hash_header(header):
            raise ValueError("its header is not the one that was written")
        for name, expected in header["sha256"].items():
            if hash_file(folder / name) != expected:
                raise ValueError(f"{name} is not what was written")
        arrays = read_arrays(folder / "splits.safetensors")
        splits = {}
        for side in SIDES:
            ids = np.memmap(folder / header["files"][side], dtype="<i4", mode="r")
            cut = (arrays[f"{side}.{name}"] for name in ("starts", "lengths", "document"))
            splits[side] = Split(ids, *cut, header["provenance"]["max_length"])
            if len(ids) != header["provenance"]["splits"][side]["tokens"]:
                raise ValueError(f"{side} has {len(ids)} tokens")
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"`text` in {folder.name!r} is not there or damaged ({type(error).__name__}: {error}): remove the folder "
            "and it is made anew."
        ) from None
    tokenizer = None
    if (folder / "tokenizer.json").exists():
        tokenizer = as_tokenizer(folder / "tokenizer.json")
    elif header["tokenizer"] == "bytes":
        tokenizer = as_tokenizer("bytes")
    return RunText(splits, header["provenance"]["vocabulary"], tokenizer, arrays.get("bytes_of"), header["provenance"])


def write_arrays(path: Path, arrays: dict[str, ndarray]) -> None:
    """Numpy arrays by name, as safetensors."""
    from safetensors.numpy import save

    write_whole(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def read_arrays(path: Path) -> dict[str, ndarray]:
    """What `write_arrays` wrote; `ValueError` where it is damaged."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(str(error)) from None
