"""States kept on disk between passes, so that a costly encoder runs once and a killed run resumes."""

__all__ = ["load_states", "open_store", "save_states"]

import contextlib
import hashlib
import io
import json
import os
import platform
import shutil
import tempfile
import uuid
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from infodil.processes import current
from infodil.scratch import remove_scratch, scratch_folder

INDEX = "index.json"
"""File of an entry that names its arrays, with their checksums and its own in the first line."""
PARTIAL = ".partial"
"""End of the name of an entry that is being written; the machine and the process that write it come before."""


@contextlib.contextmanager
def open_store(cache_dir: str | Path | None, key: str | None, needed_bytes: int, costly: bool) -> Iterator[Path | None]:
    """The folder for the states of a costly encoder; None where states are encoded anew in every pass.

    In `cache_dir` the folder is named by a hash of `key` and stays. Without it the folder is temporary, and there is
    one only if the states take at most half of the free disk.

    Args:
        cache_dir: Folder that outlives the run.
        key: Text that names encoder, corpus and settings; None where the encoder cannot be named.
        needed_bytes: Size of all states of one pass.
        costly: Whether encoding takes longer than reading the states from disk.

    Yields:
        The folder, or None.
    """
    if not costly:
        yield None
    elif cache_dir is not None and key is not None:
        store = Path(cache_dir) / hashlib.sha256(key.encode()).hexdigest()[:24]
        store.mkdir(parents=True, exist_ok=True)
        remove_leftovers(store)
        yield store
    elif current().first(lambda: needed_bytes > shutil.disk_usage(tempfile.gettempdir()).free // 2):
        yield None
    else:
        folder = current().first(scratch_folder)  # one for all processes of a machine
        try:
            yield folder
        finally:
            if current().is_first:
                remove_scratch(folder)


def save_states(path: Path, states: Mapping[str, Tensor]) -> None:
    """One folder of plain arrays with their checksums, written under a name of its own and renamed when complete.

    Runs may share a folder: the first to finish an entry keeps it.
    """
    partial = path.with_name(f"{path.name}.{platform.node()}.{os.getpid()}.{uuid.uuid4().hex[:8]}{PARTIAL}")
    try:
        partial.mkdir(parents=True)
        index = {}
        for number, (name, state) in enumerate(states.items()):
            file = partial / f"{number}.npy"
            np.save(file, state.cpu().numpy(), allow_pickle=False)
            index[name] = {"file": file.name, "sha256": hash_file(file)}
        text = json.dumps(index)
        (partial / INDEX).write_text(f"{hashlib.sha256(text.encode()).hexdigest()}\n{text}", encoding="utf-8")
        with contextlib.suppress(OSError):  # another run was first
            partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def load_states(path: Path, names: Collection[str] | None = None) -> dict[str, Tensor] | None:
    """The arrays that `save_states` wrote, all of them or those of some names.

    None where there is no entry. An entry that is damaged is removed, so that it is made anew, and gives None too.
    """
    try:
        checksum, _, text = (path / INDEX).read_text(encoding="utf-8").partition("\n")
        if hashlib.sha256(text.encode()).hexdigest() != checksum:
            raise ValueError("the index is not the one that was written")
        states = {}
        for name, entry in json.loads(text).items():
            if names is not None and name not in names:
                continue
            content = (path / entry["file"]).read_bytes()
            if hashlib.sha256(content).hexdigest() != entry["sha256"]:
                raise ValueError(f"{entry['file']} is not what was written")
            states[name] = torch.from_numpy(np.load(io.BytesIO(content), allow_pickle=False))
        return states
    except (OSError, ValueError, KeyError, TypeError):
        if path.exists():
            shutil.rmtree(path, ignore_errors=True)
        return None


def hash_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def remove_leftovers(store: Path) -> None:
    """Remove unfinished entries of processes of this machine that have ended."""
    for partial in store.glob(f"*{PARTIAL}"):
        machine, process = partial.name.removesuffix(PARTIAL).rsplit(".", 3)[1:3]
        if machine == platform.node() and process.isdecimal() and not is_running(int(process)):
            shutil.rmtree(partial, ignore_errors=True)


def is_running(process: int) -> bool:
    """Whether there is a process of this number."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:  # another user's
        return True
    return True
