"""Temporary folders that go with the process that made them, and with the next one where that process was killed."""

__all__ = ["remove_scratch", "scratch_folder"]

import contextlib
import os
import shutil
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # not on this system: nothing is known of other processes, and their folders stay
    fcntl = None

PREFIX = "infodil-scratch-"
YOUNG_SECONDS = 60.0
"""A folder younger than this may be another process's that has not locked it yet."""

LOCKS: dict[Path, int] = {}
"""The open file by which this process holds each of its folders; the system lets go of it when the process ends."""


def scratch_folder(parent: str | Path | None = None) -> Path:
    """A new temporary folder; those of processes that were killed are removed first.

    Args:
        parent: Folder to make it in; by default that of the system.

    Returns:
        The folder, which `remove_scratch` removes.
    """
    parent = Path(tempfile.gettempdir() if parent is None else parent)
    remove_abandoned(parent)
    folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=parent))
    lock = locked(folder)
    if lock is not None:
        LOCKS[folder] = lock
    return folder


def remove_scratch(folder: Path) -> None:
    """Remove a folder of `scratch_folder`, whatever is left in it."""
    shutil.rmtree(folder, ignore_errors=True)
    lock = LOCKS.pop(folder, None)
    if lock is not None:
        os.close(lock)


def remove_abandoned(parent: Path) -> None:
    """Remove the temporary folders of processes that have ended."""
    for folder in parent.glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError):  # gone, or another user's
            if time.time() - folder.stat().st_mtime < YOUNG_SECONDS:
                continue
            lock = locked(folder)
            if lock is not None:
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)


def locked(folder: Path) -> int | None:
    """An open file that holds a folder; None where another process does, or the system has no such locks."""
    if fcntl is None:
        return None
    file = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        return None
    return file
