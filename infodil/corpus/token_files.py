"""Files of token ids, read a block at a time: .npy arrays, and .bin files of plain numbers."""

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import numpy as np

from infodil.checks import UserError, near_matches, spell
from infodil.corpus.pieces import PIECE, LongDocuments
from infodil.corpus.rows import Reading

__all__ = ["TOKEN_FILES", "read_token_file"]

TOKEN_FILES = {".npy", ".bin"}
DTYPES = ("uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64")
HEADER = 256
"""Whole numbers of four bytes in front of the ids in a file of llm.c."""
HEADER_DTYPES = {20240520: "uint16", 20240801: "uint32"}
"""Type of the ids by the first number of that header."""


def read_token_file(path: Path, *, dtype: str | None, separator: str | int | None) -> Reading:
    """Token ids of a file as one document, one a row, or one between marks.

    Args:
        path: A .npy file of whole numbers with one or two axes, or a .bin file.
        dtype: Type of the numbers of a .bin file; None where its header says it.
        separator: Id of the mark between documents, as text or number.

    Raises:
        UserError: The file is not there, is damaged, or holds something else.
    """
    if path.suffix.lower() == ".npy":
        if dtype is not None:
            raise UserError(f"`dtype` is for .bin files, and {path.name!r} says its own: leave it out.")
        open_array = partial(_open_npy, path)
    else:
        open_array = partial(_open_bin, path, *_layout(path, dtype))
    array = open_array()
    if array.dtype.kind not in "iu" or array.ndim not in (1, 2):
        raise UserError(
            f"`source` file {path.name!r} holds {array.dtype} of shape {array.shape}, and token ids are whole numbers "
            "in one row or in a row for each document: save them so."
        )
    if array.size == 0:
        raise UserError(f"`source` file {path.name!r} is empty: pass one with token ids.")
    pieces = partial(_pieces, open_array) if separator is None else partial(_between, open_array, _mark(separator))
    return Reading("tokens", LongDocuments(pieces))


def _mark(separator: str | int) -> int:
    if not str(separator).isdecimal():
        raise UserError(f"`separator` of token ids must be the id between documents, got {separator!r}: pass it.")
    return int(separator)


def _open_npy(path: Path) -> np.ndarray:
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except Exception as error:  # numpy reads the header as it finds it: any of a dozen kinds
        reason = str(error).partition("\n")[0].rstrip(".")[:200]
        raise UserError(
            f"`source` file {path.name!r} is not a .npy file of numbers ({reason}): save it by numpy.save."
        ) from None


def _open_bin(path: Path, dtype: str, offset: int) -> np.ndarray:
    return np.memmap(path, np.dtype(dtype).newbyteorder("<"), "r", offset)


def _layout(path: Path, dtype: str | None) -> tuple[str, int]:
    """The type of the numbers of a .bin file, and the bytes in front of them."""
    if dtype is not None and str(dtype) not in DTYPES:
        raise UserError(f"`dtype` must be one of {spell(DTYPES)}, got {str(dtype)!r}{near_matches(dtype, DTYPES)}")
    size = path.stat().st_size
    with path.open("rb") as file:
        header = np.frombuffer(file.read(4 * HEADER), "<i4") if size >= 4 * HEADER else np.zeros(3, "<i4")
    stated = HEADER_DTYPES.get(int(header[0]))
    if stated is not None and 4 * HEADER + int(header[2]) * np.dtype(stated).itemsize == size:
        if dtype not in (None, stated):
            raise UserError(f"`dtype` is {dtype!r}, and the header of {path.name!r} says {stated!r}: leave it out.")
        return stated, 4 * HEADER
    if dtype is None:
        raise UserError(
            f"`dtype` must be given for the token ids of {path.name!r}, which do not say it: pass such as 'uint16'."
        )
    if size == 0 or size % np.dtype(dtype).itemsize:
        raise UserError(
            f"`source` file {path.name!r} has {size} bytes, which are no whole numbers of type {dtype}: pass another "
            "dtype, or the whole file."
        )
    return str(dtype), 0


def _pieces(open_array: Callable[[], np.ndarray]) -> Iterator[tuple[int, np.ndarray]]:
    """Copies of about a million ids with their row; the file is opened anew for each, so that no page of it is kept."""
    shape = open_array().shape
    if len(shape) == 1:
        yield from ((0, np.array(open_array()[begin : begin + PIECE])) for begin in range(0, shape[0], PIECE))
        return
    step = max(1, PIECE // shape[1])
    for row in range(0, shape[0], step):
        for begin in range(0, shape[1], PIECE):
            block = np.array(open_array()[row : row + step, begin : begin + PIECE])
            yield from ((row + number, ids) for number, ids in enumerate(block))


def _between(open_array: Callable[[], np.ndarray], mark: int) -> Iterator[tuple[int, np.ndarray]]:
    """The ids between marks; a row that ends is none."""
    number = 0
    for _, ids in _pieces(open_array):
        begin = 0
        for end in np.flatnonzero(ids == mark).tolist():
            yield number, ids[begin:end]
            number, begin = number + 1, end + 1
        yield number, ids[begin:]
