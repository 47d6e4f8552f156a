"""States kept on disk between passes, so that a costly encoder runs once and a killed run resumes."""

__all__ = ["load_states", "open_store", "save_states"]

import contextlib
import hashlib
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor


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
    """
    if not costly:
        yield None
    elif cache_dir is not None and key is not None:
        store = Path(cache_dir) / hashlib.sha256(key.encode()).hexdigest()[:24]
        store.mkdir(parents=True, exist_ok=True)
        yield store
    elif needed_bytes > shutil.disk_usage(tempfile.gettempdir()).free // 2:
        yield None
    else:
        with tempfile.TemporaryDirectory(prefix="infodil-states-") as folder:
            yield Path(folder)


def save_states(path: Path, states: Mapping[str, Tensor]) -> None:
    """Write one folder of plain arrays, renamed into place when it is complete."""
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, (name, state) in enumerate(states.items()):
        np.save(partial / f"{number}.npy", state.cpu().numpy(), allow_pickle=False)
        (partial / f"{number}.txt").write_text(name, encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    partial.rename(path)


def load_states(path: Path, names: Collection[str] | None = None) -> dict[str, Tensor]:
    """The arrays that `save_states` wrote, all of them or those of some names."""
    numbers = sorted(int(file.stem) for file in path.glob("*.txt"))
    places = {(path / f"{number}.txt").read_text(encoding="utf-8"): number for number in numbers}
    return {
        name: torch.from_numpy(np.load(path / f"{number}.npy", allow_pickle=False))
        for name, number in places.items()
        if names is None or name in names
    }
