"""A tokenised corpus in the folder of a run: made once, read again by a resumed run and by every process."""

__all__ = ["RunText", "load_text", "prepare_text"]

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import UserError, write_whole
from infodil.corpus import Corpus, Split, Tokenizer, as_tokenizer, token_bytes

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
    """
    folder = Path(folder)
    if not (folder / "text.json").exists():
        tokens = corpus.tokenize(
            max_tokens=max_tokens, fractions=tuple(fractions), seed=seed, folder=folder, progress=progress
        )
        backend = getattr(tokens.tokenizer, "backend", None)
        stored = backend.to_str() if hasattr(backend, "to_str") else None
        if stored is not None:
            write_whole(folder / "tokenizer.json", stored)
        sizes = None if tokens.tokenizer is None else token_bytes(tokens.tokenizer)
        arrays = {} if sizes is None else {"bytes_of": sizes}
        for side in SIDES:
            split = tokens.splits[side]
            arrays |= {f"{side}.{name}": getattr(split, name) for name in ("starts", "lengths", "document")}
        write_arrays(folder / "splits.safetensors", arrays)
        files = {side: Path(tokens.splits[side].tokens.filename).name for side in SIDES}
        named = {"tokenizer": tokens.tokenizer.name if tokens.tokenizer is not None and stored is None else None}
        told = {"files": files, "provenance": tokens.provenance(), **named}
        write_whole(folder / "text.json", json.dumps(told, indent=2))  # last: a kill before leaves no text at all
    return load_text(folder)


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
        told = json.loads((folder / "text.json").read_text(encoding="utf-8"))
        arrays = read_arrays(folder / "splits.safetensors")
        splits = {}
        for side in SIDES:
            ids = np.memmap(folder / told["files"][side], dtype="<i4", mode="r")
            cut = (arrays[f"{side}.{name}"] for name in ("starts", "lengths", "document"))
            splits[side] = Split(ids, *cut, told["provenance"]["max_length"])
            if len(ids) != told["provenance"]["splits"][side]["tokens"]:
                raise ValueError(f"{side} has {len(ids)} tokens")
    except (OSError, KeyError, ValueError) as error:
        raise UserError(
            f"`text` in {folder.name!r} is not there or damaged ({type(error).__name__}: {error}): remove the folder "
            "and it is made anew."
        ) from None
    tokenizer = None
    if (folder / "tokenizer.json").exists():
        tokenizer = as_tokenizer(folder / "tokenizer.json")
    elif told["tokenizer"] == "bytes":
        tokenizer = as_tokenizer("bytes")
    return RunText(splits, told["provenance"]["vocabulary"], tokenizer, arrays.get("bytes_of"), told["provenance"])


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
