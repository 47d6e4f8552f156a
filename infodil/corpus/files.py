"""Paths of files and folders, by the ending of their names: nothing here holds a corpus in memory."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from infodil.checks import UserError, is_there, near_matches, spell
from infodil.corpus.pieces import LongDocuments, read_pieces
from infodil.corpus.rows import Reading
from infodil.corpus.tables import LINES, TEXT_TABLES, read_text_table
from infodil.corpus.text_files import check_file, check_regular, text_pieces
from infodil.corpus.token_files import TOKEN_FILES, read_token_file

__all__ = ["TABLES", "files_in", "looks_like_a_path", "read_path", "suffix_of", "takes_separator"]

TEXT_SUFFIXES = {".txt", ".text", ".md", ".rst", ".tokens", ".raw"}
TABLES = {".parquet": "parquet", ".arrow": "arrow"}
"""Files left to the datasets library, and what it calls their kind."""
REFUSED = {
    ".npz": "pass one of its arrays, such as numpy.load(path)['ids']",
    ".pt": "pass the tensor itself, such as torch.load(path)",
    ".pth": "pass the tensor itself, such as torch.load(path)",
    ".safetensors": "pass the tensor itself",
    ".pkl": "load it yourself and pass what is in it, since unpickling runs code",
    ".pickle": "load it yourself and pass what is in it, since unpickling runs code",
    ".feather": "save it as .parquet",
    ".h5": "pass one of its arrays",
    ".hdf5": "pass one of its arrays",
    ".pdf": "save its text as .txt",
    ".docx": "save its text as .txt",
    ".zip": "unpack it and pass the folder",
    ".tar": "unpack it and pass the folder",
    ".tgz": "unpack it and pass the folder",
    ".7z": "unpack it and pass the folder",
    ".xz": "unpack it, or compress it as .gz",
    ".bz2": "unpack it, or compress it as .gz",
    ".zst": "unpack it, or compress it as .gz",
    ".xls": "save it as .csv",
    ".xlsx": "save it as .csv",
}
"""Endings of files that are not read, and the way out."""
IN_FOLDERS = (TEXT_SUFFIXES | set(LINES), {".csv", ".tsv", ".tab"}, {".npy"}, {".bin"})
"""What a folder is searched for: the first of these kinds that it holds is read."""
KNOWN_SUFFIXES = TEXT_SUFFIXES | set(TEXT_TABLES) | set(TABLES) | TOKEN_FILES | set(REFUSED) | {".gz", ".html", ".xml"}


def _is_link(path: Path) -> bool:
    try:
        return path.is_symlink()
    except (OSError, ValueError):  # no file can have that name
        return False


def looks_like_a_path(source: str) -> bool:
    """Whether a string that names no file was meant to: dataset ids have at most one slash and no such ending."""
    return (
        source.startswith((".", "/", "~"))
        or "\\" in source
        or source.count("/") > 1
        or Path(source).suffix.lower() in KNOWN_SUFFIXES
        or _is_link(Path(source))
    )


def suffix_of(path: Path) -> str:
    """The ending that tells a file's kind: `.txt` of both a.txt and a.txt.gz."""
    return Path(path.name.lower().removesuffix(".gz")).suffix


def takes_separator(path: Path) -> bool:
    """Whether a file or folder is divided into documents by marks: text, and token ids."""
    return path.is_dir() or suffix_of(path) not in set(TEXT_TABLES) | set(TABLES)


def read_path(path: Path, *, text_column: str, separator: str | int | None, dtype: str | None) -> Reading:
    """A text file, a table, a file of token ids, or a folder of them.

    Args:
        path: The file or folder.
        text_column: Column of a table.
        separator: Expression between the documents of a text file, or id between those of a file of token ids.
        dtype: Type of the numbers of a .bin file.

    Raises:
        UserError: The path is not there, or a file in it is not what its ending says.
    """
    if not is_there(path):
        raise UserError(_not_there(path))
    try:
        if path.is_dir():
            return _read_folder(path, text_column=text_column, separator=separator, dtype=dtype)
        check_regular(path)
        return _read_file(path, text_column=text_column, separator=separator, dtype=dtype)
    except OSError as error:
        raise UserError(
            f"`source` {path.name!r} cannot be read ({error.strerror or error}): pass one that can."
        ) from None


def _not_there(path: Path) -> str:
    if _is_link(path):
        return f"`source` {str(path)!r} is a link to what is not there: pass the path of a file or folder that exists."
    try:
        others = [other.name for other in path.parent.iterdir()]
    except OSError:
        others = []
    close = near_matches(path.name, others)
    way_out = close if close != "." else ": pass the path of a file or folder that exists, or a dataset id."
    return f"`source` {str(path)!r} is not there{way_out}"


def _read_file(path: Path, *, text_column: str, separator: str | int | None, dtype: str | None) -> Reading:
    suffix = suffix_of(path)
    if suffix in REFUSED:
        raise UserError(f"`source` file {path.name!r} is of a kind that is not read: {REFUSED[suffix]}.")
    if suffix in TOKEN_FILES and suffix == path.suffix.lower():
        return read_token_file(path, dtype=dtype, separator=separator)
    if dtype is not None:
        raise UserError(
            f"`dtype` is the type of the token ids in a .bin file, and {path.name!r} is none: leave it out."
        )
    if suffix in TEXT_TABLES:
        return read_text_table(path, text_column)
    check_file(path, known=suffix in TEXT_SUFFIXES)
    return Reading("text", LongDocuments(partial(text_pieces, path, separator)))


def files_in(folder: Path) -> list[Path]:
    """Every file below a folder in sorted order, hidden ones left out."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)
    )


def _read_folder(path: Path, **options: str | None) -> Reading:
    files = files_in(path)
    about = [file for file in files if file.stem.lower() in ("readme", "license", "licence")]
    kinds_in = [[file for file in files if suffix_of(file) in kind and file not in about] for kind in IN_FOLDERS]
    files = next((found for found in kinds_in if found), [])
    if not files:
        raise UserError(
            f"`source` folder {path.name!r} holds no text: put .txt, .jsonl or .parquet files there, or pass a file."
        )
    readings = [_read_file(file, **options) for file in files]
    kinds = {reading.kind for reading in readings}
    if len(kinds) > 1:
        raise UserError(f"`source` folder {path.name!r} holds both texts and token ids: keep one of them in it.")
    about = [file for file in about if suffix_of(file) in IN_FOLDERS[0]]
    left_out = [f"The file {file.name} in the folder was taken for a description and left out." for file in about]
    others = [suffix_of(found[0]) for found in kinds_in if found and found is not files]
    if others:
        left_out.append(f"Files of other kinds in the folder ({spell(others)}, ...) were left out.")
    return Reading(kinds.pop(), LongDocuments(partial(_one_after_another, readings)), tuple(left_out))


def _one_after_another(readings: list[Reading]) -> Iterator[tuple[int, Any]]:
    first = 0
    for reading in readings:
        number = -1
        for number, piece in read_pieces(reading.documents):
            yield first + number, piece
        first += number + 1
