"""What turns texts into token ids: one small protocol, and adapters to what people have."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Protocol, runtime_checkable

from infodil.checks import UserError

__all__ = [
    "ByteTokenizer",
    "CharacterTokenizer",
    "FastTokenizer",
    "FunctionTokenizer",
    "HuggingFaceTokenizer",
    "Tokenizer",
    "bytes_by_character",
]


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
        found = [self.function(text) for text in texts]
        return [list(ids) if isinstance(ids, Iterator) else ids for ids in found]

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
        symbols = {number: symbol for symbol, number in self.backend.get_vocab().items()}
        return [symbols.get(number) for number in ids]

    @property
    def byte_level(self) -> bool:
        """Whether each character of a symbol stands for a byte."""
        fast = getattr(self.backend, "backend_tokenizer", None)
        # Slow byte-level tokenizers keep the table that maps bytes to printable characters.
        return _is_byte_level(fast) if fast is not None else hasattr(self.backend, "byte_encoder")


def _is_byte_level(backend: Any) -> bool:
    return "ByteLevel" in f"{backend.decoder!r} {backend.pre_tokenizer!r}"


def _readable(pieces: list[str | None], ids: list[int], byte_level: bool) -> list[str]:
    """Pieces as a person reads them: bytes decoded, the mark of a leading space a space."""
    texts = []
    for piece, number in zip(pieces, ids, strict=True):
        if piece is None:
            texts.append(str(number))
        elif byte_level:
            table = bytes_by_character()
            known = all(character in table for character in piece)
            texts.append(bytes(table[character] for character in piece).decode("utf-8", "replace") if known else piece)
        else:
            texts.append(piece.replace("\u2581", " "))
    return texts


@lru_cache(maxsize=1)
def bytes_by_character() -> dict[str, int]:
    """The byte that each character of a byte-level BPE stands for: GPT-2's table, the other way round."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + place): byte for place, byte in enumerate(hidden)}
