"""Documents in pieces: nothing that reads a corpus holds the longest of its documents."""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import Any

import numpy as np

from infodil.checks import UserError

__all__ = ["LongDocuments", "cut_ids", "cut_texts", "read_pieces"]

PIECE = 1 << 20
"""Characters, or token ids, of the longest piece."""
BLANK_PIECES = 8
"""A document that is still blank after so many pieces is taken as it is."""


@dataclass(frozen=True)
class LongDocuments:
    """Documents that may be too long to hold.

    Each call goes through them anew, whole; `pieces` goes through them in pieces, each with the number of its document.
    """

    pieces: Callable[[], Iterator[tuple[int, Any]]]
    """Numbers and pieces of documents in order, one piece at least for each document."""

    def __call__(self) -> Iterator[Any]:
        """The documents, each put together."""
        for _, pieces in itertools.groupby(self.pieces(), key=itemgetter(0)):
            parts = [piece for _, piece in pieces]
            yield "".join(parts) if isinstance(parts[0], str) else np.concatenate(parts)


def read_pieces(documents: Callable[[], Iterator[Any]]) -> Iterator[tuple[int, Any]]:
    """Numbers and pieces of documents: whole documents where they are not read in pieces.

    Args:
        documents: Function that goes through the documents anew at each call.

    Returns:
        The number of a document and a piece of it, in order.

    Example:
        >>> list(read_pieces(lambda: iter(["one", "two"])))
        [(0, 'one'), (1, 'two')]
    """
    return documents.pieces() if isinstance(documents, LongDocuments) else enumerate(documents())


def cut_texts(pieces: Iterator[tuple[int, Any]]) -> Iterator[tuple[int, str]]:
    """Texts in pieces as tokenizers read them, cut where a line or a word ends; blank documents are left out.

    Half characters (lone surrogates, which JSON lets through) are replaced by question marks.

    Args:
        pieces: Numbers and pieces of documents.

    Raises:
        UserError: A document is not a text.
    """
    for number, parts in itertools.groupby(pieces, key=itemgetter(0)):
        held: list[str] | None = []
        for text in _cut(number, (part for _, part in parts)):
            if held is None:
                yield number, text
                continue
            held.append(text)
            if text.strip() or len(held) > BLANK_PIECES:
                yield from ((number, each) for each in held)
                held = None


def _cut(number: int, parts: Iterator[Any]) -> Iterator[str]:
    rest = ""
    for part in parts:
        if not isinstance(part, str):
            raise UserError(f"`corpus` document {number} is {type(part).__name__}, not a text: make it a string.")
        text, begin = rest + part, 0
        while len(text) - begin > PIECE:
            # Before a newline, or else a space: there nearly every tokenizer starts a new token anyway.
            limit = begin + PIECE
            ends = (text.rfind(character, begin + 1, limit) for character in "\n ")
            end = next((end for end in ends if end > begin), limit)
            yield _whole(text[begin:end])
            begin = end
        rest = text[begin:]
    yield _whole(rest)


def _whole(text: str) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace").decode("utf-8")
    return text


def cut_ids(
    pieces: Iterator[tuple[int, Any]], as_ids: Callable[[Any, str], np.ndarray]
) -> Iterator[tuple[int, np.ndarray]]:
    """Token ids in pieces; empty documents are left out.

    Args:
        pieces: Numbers and pieces of documents.
        as_ids: Function of a piece and of the words for its place to its ids.
    """
    for number, piece in pieces:
        ids = as_ids(piece, f"document {number}")
        for begin in range(0, len(ids), PIECE):
            yield number, ids[begin : begin + PIECE]
