"""Texts to token ids: one small protocol, adapters to what people have, and a byte-level BPE trained here."""

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int64

from infodil.checks import UserError, check_whole

__all__ = ["Tokenizer", "as_tokenizer", "token_bytes", "train_bpe"]

BPE_CHARACTERS = 20_000_000
"""Merges are learned from about this many characters, the first ones."""


@runtime_checkable
class Tokenizer(Protocol):
    """What turns texts into token ids."""

    name: str
    vocabulary: int

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, no special tokens added."""
        ...

    def texts(self, ids: list[int]) -> list[str]:
        """A readable text for each id."""
        ...


@dataclass(frozen=True)
class ByteTokenizer:
    """The UTF-8 bytes themselves: 256 symbols, nothing to learn.

    Example:
        >>> ByteTokenizer().encode(["hé"])
        [[104, 195, 169]]
    """

    name: str = "bytes"
    vocabulary: int = 256

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The bytes of each text."""
        return [list(text.encode("utf-8")) for text in texts]

    def texts(self, ids: list[int]) -> list[str]:
        """ASCII as it is, other bytes as `\\xNN`."""
        return [chr(number) if number < 128 else f"\\x{number:02x}" for number in ids]


@dataclass(frozen=True)
class CharacterTokenizer:
    """One symbol for each character of an alphabet.

    Example:
        >>> CharacterTokenizer("abc").encode(["cab"])
        [[2, 0, 1]]
    """

    alphabet: str = field(repr=False)
    name: str = "characters"
    numbers: dict[str, int] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "numbers", {character: number for number, character in enumerate(self.alphabet)})

    @property
    def vocabulary(self) -> int:
        """The number of characters."""
        return len(self.alphabet)

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The number of each character.

        Raises:
            UserError: A character is not in the alphabet.
        """
        try:
            return [[self.numbers[character] for character in text] for text in texts]
        except KeyError as error:
            raise UserError(
                f"`tokenizer` has no symbol for the character {error.args[0]!r}: "
                "make its alphabet from the same texts, or pass tokenizer='bytes'."
            ) from None

    def texts(self, ids: list[int]) -> list[str]:
        """The characters."""
        return [self.alphabet[number] if number < len(self.alphabet) else str(number) for number in ids]


@dataclass(frozen=True)
class FunctionTokenizer:
    """A caller's own function from a text to its ids."""

    function: Callable[[str], Iterable[int]]
    vocabulary: int
    name: str = "function"

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The function's answer for each text."""
        return [[int(number) for number in self.function(text)] for text in texts]

    def texts(self, ids: list[int]) -> list[str]:
        """The numbers themselves."""
        return [str(number) for number in ids]


@dataclass(frozen=True, eq=False)
class FastTokenizer:
    """A `tokenizers.Tokenizer`."""

    backend: Any = field(repr=False)
    name: str
    vocabulary: int

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, no special tokens added."""
        return [encoding.ids for encoding in self.backend.encode_batch_fast(texts, add_special_tokens=False)]

    def texts(self, ids: list[int]) -> list[str]:
        """The pieces, their markers undone."""
        return _readable(self.pieces(ids), ids, self.byte_level)

    def pieces(self, ids: list[int]) -> list[str | None]:
        """The symbols as the tokenizer spells them; None where there is none."""
        return [self.backend.id_to_token(number) for number in ids]

    @property
    def byte_level(self) -> bool:
        """Whether each character of a symbol stands for a byte."""
        return _is_byte_level(self.backend)


@dataclass(frozen=True, eq=False)
class HuggingFaceTokenizer:
    """A tokenizer of the transformers library, known by its methods alone."""

    backend: Any = field(repr=False)
    name: str
    vocabulary: int

    def encode(self, texts: list[str]) -> list[list[int]]:
        """The ids of each text, no special tokens added and no warning that a text is long."""
        return self.backend(texts, add_special_tokens=False, verbose=False)["input_ids"]

    def texts(self, ids: list[int]) -> list[str]:
        """The pieces, their markers undone."""
        return _readable(self.pieces(ids), ids, self.byte_level)

    def pieces(self, ids: list[int]) -> list[str | None]:
        """The symbols as the tokenizer spells them; None where there is none."""
        return [self.backend.convert_ids_to_tokens(number) if number < self.vocabulary else None for number in ids]

    @property
    def byte_level(self) -> bool:
        """Whether each character of a symbol stands for a byte."""
        fast = getattr(self.backend, "backend_tokenizer", None)
        # Slow byte-level tokenizers keep the table that maps bytes to printable characters.
        return _is_byte_level(fast) if fast is not None else hasattr(self.backend, "byte_encoder")


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

    Raises:
        UserError: `source` is none of these, or names a file that is not there.
    """
    if isinstance(source, str) and source in ("bytes", "characters", "bpe"):
        return _named(source, vocabulary, texts)
    if isinstance(source, str | Path):
        return _from_file(Path(source))
    if hasattr(source, "encode_batch") and hasattr(source, "get_vocab_size"):
        return _from_backend(source)
    if hasattr(source, "convert_ids_to_tokens") and hasattr(source, "get_vocab"):
        name = str(getattr(source, "name_or_path", "") or type(source).__name__)
        # A local folder says where it is on this machine, which no record should.
        return HuggingFaceTokenizer(source, Path(name).name if Path(name).exists() else name, len(source))
    if isinstance(source, Tokenizer):
        return source
    if callable(source):
        if vocabulary is None:
            raise UserError("`vocabulary` must be given with a function as tokenizer: pass the number of token ids.")
        return FunctionTokenizer(source, vocabulary, getattr(source, "__name__", "function"))
    raise UserError(
        f"`tokenizer` must be a tokenizer, a tokenizer.json, 'bytes', 'characters', 'bpe' or a function, "
        f"got {type(source).__name__}: pass one of these."
    )


def token_bytes(tokenizer: Tokenizer) -> Int64[np.ndarray, "vocabulary"] | None:
    """How many UTF-8 bytes each id stands for, so that bits per byte do not depend on the tokenizer.

    None where a tokenizer does not spell its symbols. A symbol that is not of a byte-level table, such as an
    end-of-text mark, counts as the text it is written as; a sentence-piece `<0x0A>` is one byte.

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
    table = _bytes_by_character() if tokenizer.byte_level else {}
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
    seconds on one core. Every text can be encoded: 256 of the
    symbols are the bytes.

    Args:
        texts: The documents, read once and no further than needed.
        vocabulary: Symbols aimed at; few texts give fewer.

    Raises:
        UserError: `vocabulary` is below 256, or there is no text.
    """
    import tokenizers
    from tqdm.auto import tqdm

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
        for text in tqdm(texts, "learning merges", leave=False, disable=None, unit="text"):
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

    path = path / "tokenizer.json" if path.is_dir() else path
    if not path.is_file():
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
    # Ids need not be consecutive: the vocabulary ends after the largest.
    vocabulary = max(backend.get_vocab(with_added_tokens=True).values(), default=-1) + 1
    return FastTokenizer(backend, f"{state['model']['type'].lower()}-{vocabulary}-{digest}", vocabulary)


def _is_byte_level(backend: Any) -> bool:
    return "ByteLevel" in f"{backend.decoder!r} {backend.pre_tokenizer!r}"


def _readable(pieces: list[str | None], ids: list[int], byte_level: bool) -> list[str]:
    """Pieces as a person reads them: bytes decoded, the mark of a leading space a space."""
    texts = []
    for piece, number in zip(pieces, ids, strict=True):
        if piece is None:
            texts.append(str(number))
        elif byte_level:
            table = _bytes_by_character()
            known = all(character in table for character in piece)
            texts.append(bytes(table[character] for character in piece).decode("utf-8", "replace") if known else piece)
        else:
            texts.append(piece.replace("\u2581", " "))
    return texts


@lru_cache(maxsize=1)
def _bytes_by_character() -> dict[str, int]:
    """The byte that each character of a byte-level BPE stands for: GPT-2's table, the other way round."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
