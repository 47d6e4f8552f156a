"""The tokenizer that a caller names, a byte-level BPE trained here, and how many bytes each id stands for."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from operator import itemgetter
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64

from infodil.checks import UserError, check_whole, is_there
from infodil.corpus.adapters import (
    ByteTokenizer,
    CharacterTokenizer,
    FastTokenizer,
    FunctionTokenizer,
    HuggingFaceTokenizer,
    Tokenizer,
    bytes_by_character,
)
from infodil.progress import progress_bar

__all__ = ["as_tokenizer", "token_bytes", "train_bpe"]

BPE_CHARACTERS = 20_000_000
"""Merges are learned from about this many characters, the first ones."""
HOLES, LARGEST_HOLE = 10, 1 << 20
"""Ids that may be missing: so many for each symbol, and so many at all events."""


def as_tokenizer(
    source: Any, *, vocabulary: int | None = None, texts: Callable[[], Iterable[str]] | None = None
) -> Tokenizer:
    """The tokenizer that `source` is or names.

    Args:
        source: A `Tokenizer`; a `tokenizers.Tokenizer`; a tokenizer of the transformers library; the path of a
            tokenizer.json or of a folder that has one; `"bytes"`; `"characters"` (the alphabet of the corpus);
            `"bpe"` (merges learned from the corpus); or a function from a text to its ids.
        vocabulary: The number of token ids: needed with a function, and the size aimed at with `"bpe"`.
        texts: Gives the corpus's texts, for `"characters"` and `"bpe"`.

    Returns:
        The tokenizer.

    Raises:
        UserError: `source` is none of these, or names a file that is not there.
    """
    if isinstance(source, str) and source in ("bytes", "characters", "bpe"):
        return _named(source, vocabulary, texts)
    if isinstance(source, str | Path):
        return _from_file(Path(source))
    if hasattr(source, "encode_batch") and hasattr(source, "get_vocab_size"):
        return _from_backend(getattr(source, "_tokenizer", source))
    if hasattr(source, "convert_ids_to_tokens") and hasattr(source, "get_vocab"):
        name = str(getattr(source, "name_or_path", "") or type(source).__name__)
        # A local folder says where it is on this machine, which no record should.
        name = Path(name).name if is_there(name) else name
        return HuggingFaceTokenizer(source, name, _size(source.get_vocab()))
    if isinstance(source, Tokenizer):
        return source
    if callable(source):
        if vocabulary is None:
            raise UserError("`vocabulary` must be given with a function as tokenizer: pass the number of token ids.")
        return FunctionTokenizer(source, vocabulary, getattr(source, "__name__", "function"))
    way_out = "pass one of these"
    if hasattr(source, "encode"):
        way_out = "pass its method encode, with vocabulary="
    elif isinstance(source, Mapping):
        way_out = "pass a function such as lambda text: [ids[word] for word in text.split()], with vocabulary="
    raise UserError(
        f"`tokenizer` must be a tokenizer, a tokenizer.json, 'bytes', 'characters', 'bpe' or a function, "
        f"got {type(source).__name__}: {way_out}."
    )


def token_bytes(tokenizer: Tokenizer) -> Int64[np.ndarray, "vocabulary"] | None:
    """Number of UTF-8 bytes that each id stands for, so that bits per byte do not depend on the tokenizer.

    None where a tokenizer does not spell its symbols. A symbol that is not of a byte-level table, such as an
    end-of-text mark, counts as the text it is written as; a sentence-piece `<0x0A>` is one byte.

    Args:
        tokenizer: Tokenizer whose symbols are measured.

    Returns:
        Number of bytes of each id, or None.

    Example:
        >>> token_bytes(CharacterTokenizer("aé")).tolist()
        [1, 2]
    """
    ids = list(range(tokenizer.vocabulary))
    if isinstance(tokenizer, ByteTokenizer):
        return np.ones(len(ids), dtype=np.int64)
    if isinstance(tokenizer, CharacterTokenizer):
        return np.array([len(letter.encode("utf-8")) for letter in tokenizer.alphabet], dtype=np.int64)
    if not hasattr(tokenizer, "pieces"):
        return None
    table = bytes_by_character() if tokenizer.byte_level else {}
    sizes = []
    for piece in tokenizer.pieces(ids):
        if piece is None:
            sizes.append(0)
        elif table and all(character in table for character in piece):
            sizes.append(len(piece))
        elif re.fullmatch(r"<0x[0-9A-F]{2}>", piece):
            sizes.append(1)
        else:
            sizes.append(len(piece.replace("\u2581", " ").encode("utf-8", "replace")))
    return np.array(sizes, dtype=np.int64)


def train_bpe(texts: Iterable[str], vocabulary: int = 4096) -> FastTokenizer:
    """A byte-level BPE learned from the first 20 million characters of `texts`.

    The same texts give the same merges, and the name ends in a hash of them; ten million characters take about ten
    seconds on one core. Every text can be encoded: 256 of the symbols are the bytes.

    Args:
        texts: The documents, read once and no further than needed.
        vocabulary: Symbols aimed at; few texts give fewer.

    Returns:
        The tokenizer.

    Raises:
        UserError: `vocabulary` is below 256, or there is no text.
    """
    import tokenizers

    check_whole("vocabulary", vocabulary, 256, "pass at least 256, one symbol for each byte")
    backend = tokenizers.Tokenizer(tokenizers.models.BPE())
    backend.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = tokenizers.decoders.ByteLevel()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=vocabulary,
        show_progress=False,
        initial_alphabet=sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet()),
    )
    seen = 0

    def beginning() -> Iterable[str]:
        nonlocal seen
        for text in progress_bar(texts, "learning merges", shown=True, unit="text"):
            yield text[: BPE_CHARACTERS - seen].encode("utf-8", "replace").decode("utf-8")
            seen += len(text)
            if seen >= BPE_CHARACTERS:
                return

    backend.train_from_iterator(beginning(), trainer)
    if seen == 0:
        raise UserError("`texts` must not be empty: pass at least one text to learn merges from.")
    return _from_backend(backend)


def _named(name: str, vocabulary: int | None, texts: Callable[[], Iterable[str]] | None) -> Tokenizer:
    if name == "bytes":
        return ByteTokenizer()
    if texts is None:
        raise UserError(f"`tokenizer` {name!r} is made from texts: pass a corpus of texts with it.")
    if name == "bpe":
        return train_bpe(texts(), 4096 if vocabulary is None else vocabulary)
    alphabet: set[str] = set()
    for text in texts():
        alphabet.update(text)
    letters = "".join(sorted(alphabet))
    return CharacterTokenizer(letters, f"characters-{len(letters)}")


def _from_file(path: Path) -> FastTokenizer:
    import tokenizers

    path = path / "tokenizer.json" if is_there(path) and path.is_dir() else path
    if not is_there(path) or not path.is_file():
        raise UserError(
            f"`tokenizer` {str(path)!r} is not a file: pass the path of a tokenizer.json or a folder with one."
        )
    try:
        backend = tokenizers.Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # the library raises bare Exception for a file it cannot read
        reason = str(error).splitlines()[0]
        raise UserError(
            f"`tokenizer` {path.name!r} is not a tokenizer.json ({reason}): pass one saved by tokenizers."
        ) from None
    return _from_backend(backend)


def _from_backend(backend: Any) -> FastTokenizer:
    state = json.loads(backend.to_str())
    if state.get("truncation") or state.get("padding"):
        # A copy: the caller's own keeps its settings.
        state |= {"truncation": None, "padding": None}
        backend = type(backend).from_str(json.dumps(state))
    digest = hashlib.sha256(json.dumps(state, sort_keys=True).encode()).hexdigest()[:8]
    vocabulary = _size(backend.get_vocab(with_added_tokens=True))
    return FastTokenizer(backend, f"{state['model']['type'].lower()}-{vocabulary}-{digest}", vocabulary)


def _size(vocabulary: Mapping[str, int]) -> int:
    """One more than the largest id, since ids need not follow each other.

    Raises:
        UserError: One id is so large that it alone makes the vocabulary.
    """
    symbol, largest = max(vocabulary.items(), key=itemgetter(1), default=("", -1))
    if largest > LARGEST_HOLE + HOLES * len(vocabulary):
        raise UserError(
            f"`tokenizer` gives {symbol!r} the id {largest}, and has {len(vocabulary)} symbols: number them from 0."
        )
    return largest + 1
