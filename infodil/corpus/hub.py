"""Documents through the datasets library: dataset ids, tables on disk, datasets in memory. Remote code never runs."""

import glob
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infodil.checks import UserError, spell
from infodil.corpus.files import TABLES, files_in, suffix_of
from infodil.corpus.rows import Reading, read_rows

__all__ = ["is_dataset", "is_table", "read_dataset", "read_id", "read_table"]

SPLIT_WORDS = {
    "validation": {"validation", "valid", "dev", "val"},
    "test": {"test", "testing", "eval", "evaluation"},
    "train": {"train", "training"},
}
"""Words in the name of a file by which the datasets library takes it for a split."""


def is_dataset(source: Any) -> bool:
    """Whether `source` is a `datasets.Dataset` or `datasets.IterableDataset`."""
    return type(source).__module__.partition(".")[0] == "datasets" and hasattr(source, "features")


def is_table(path: Path) -> bool:
    """Whether a file, or a file in a folder, is left to the datasets library."""
    if path.is_dir():
        return any(suffix_of(file) in TABLES for file in files_in(path))
    return path.is_file() and suffix_of(path) in TABLES


def read_dataset(dataset: Any, text_column: str, name: str = "the dataset", *, fetched: bool = False) -> Reading:
    """The text column of a dataset, or a column of token ids.

    Args:
        dataset: The dataset.
        text_column: Name of the column.
        name: Words for the dataset.
        fetched: Whether it was opened here: then whatever its rows raise is a fault of the files, not of the caller.

    Raises:
        UserError: It has no such column, or its rows could not be fetched.
    """

    def rows() -> Iterator[tuple[str, dict[str, Any]]]:
        source = iter(dataset)
        number = 0
        while True:
            try:
                row = next(source)
            except StopIteration:
                return
            except Exception as error:
                if fetched or _from_outside(error):
                    raise _failure(name, error) from None
                raise
            yield f"document {number}", row
            number += 1

    return read_rows(rows, text_column, name)


def read_table(path: Path, text_column: str, split: str | None) -> Reading:
    """A parquet or arrow file, a folder of them, or a dataset that was saved to one."""
    if (path / "state.json").is_file() or (path / "dataset_dict.json").is_file():
        found = _from_disk(path)
        if isinstance(found, dict):
            wanted = split or "train"
            if wanted not in found:
                raise UserError(
                    f"`split` {wanted!r} is not in the dataset, which has {spell(found)}: pass split= with one of them."
                )
            found = found[wanted]
    elif path.is_dir() and glob.has_magic(str(path)):
        found = _fetch_files(path, split)
    elif path.is_dir():
        found = _fetch(str(path), None, split, shown=path.name)
    else:
        found = _fetch(TABLES[suffix_of(path)], None, split, shown=path.name, data_files=glob.escape(str(path)))
    return read_dataset(found, text_column, repr(path.name), fetched=True)


def _from_disk(path: Path) -> Any:
    import datasets

    try:
        return datasets.load_from_disk(str(path))
    except Exception as error:  # a foreign library on foreign files
        raise _failure(path.name, error) from None


def _fetch_files(folder: Path, split: str | None) -> Any:
    """The tables of one split in a folder whose name the datasets library would take for a pattern."""
    tables = [file for file in files_in(folder) if suffix_of(file) in TABLES]
    split_of = {file: _split_of(file.relative_to(folder)) for file in tables}
    known = sorted(set(split_of.values()))
    wanted = split or "train"
    if wanted not in known:
        raise UserError(
            f"`split` {wanted!r} is not in the folder {folder.name!r}, which has {spell(known)}: pass split= with "
            "one of them."
        )
    files = [file for file in tables if split_of[file] == wanted]
    kind = TABLES[suffix_of(files[0])]
    names = [glob.escape(str(file)) for file in files if TABLES[suffix_of(file)] == kind]
    return _fetch(kind, None, "train", shown=folder.name, data_files=names)


def _split_of(path: Path) -> str:
    """The split that a file is of by its name and folders, as the datasets library tells it; `train` by default."""
    words = set(re.split(r"[^a-z]+", str(path).lower()))
    return next((split for split, names in SPLIT_WORDS.items() if words & names), "train")


def read_id(source: str, name: str | None, split: str | None, text_column: str) -> tuple[Reading, str | None]:
    """A dataset by its id, streaming, and the configuration taken: the first one where several exist and none is named.

    Raises:
        UserError: There is no such dataset, configuration, split or column, or it could not be reached.
    """
    try:
        found = _fetch(source, name, split, shown=source)
        remark: tuple[str, ...] = ()
    except _NeedsConfiguration:
        names = _configurations(source)
        name = names[0]
        remark = (f"The dataset {source} has the configurations {spell(names)}: {name!r}, the first, was taken.",)
        found = _fetch(source, name, split, shown=source)
    reading = read_dataset(found, text_column, source, fetched=True)
    return Reading(reading.kind, reading.documents, remark), name


def _configurations(source: str) -> list[str]:
    import datasets

    try:
        return datasets.get_dataset_config_names(source)
    except Exception as error:  # hub, HTTP and builder errors share no base class
        raise _failure(source, error) from None


def _fetch(path: str, name: str | None, split: str | None, *, shown: str, **options: str | list[str]) -> Any:
    import datasets

    try:
        return datasets.load_dataset(path, name, split=split or "train", streaming=True, **options)
    except ValueError as error:
        if "Config name is missing" in str(error):
            raise _NeedsConfiguration from None
        raise _failure(shown, error) from None
    except Exception as error:  # hub, HTTP and builder errors share no base class
        raise _failure(shown, error) from None


class _NeedsConfiguration(Exception):
    """The dataset has several configurations and none was named."""


def _from_outside(error: Exception) -> bool:
    """Whether an error came from the network, the disk or the datasets library, not from this package."""
    outside = {"aiohttp", "datasets", "fsspec", "httpx", "huggingface_hub", "requests", "urllib3", "pyarrow"}
    return isinstance(error, OSError) or type(error).__module__.partition(".")[0] in outside


def _failure(source: str, error: Exception) -> UserError:
    lines = str(error).strip().splitlines() or [""]
    reason = f"{type(error).__name__}: {lines[0][:200]}".rstrip(".: ")
    return UserError(
        f"`source` {source!r} could not be loaded as a dataset ({reason}): "
        "check the id, the split and the network, or pass a local file."
    )
