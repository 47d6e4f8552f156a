"""Where a number comes from: commit, engine, versions, machine and date, as they are when it is measured."""

import csv
import io
import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from analyses.engine import ROOT, Engine
from analyses.sources import digest
from infodil.checks import UserError, check_not_empty, write_whole

__all__ = ["check_clean", "files_in", "read_record", "read_table", "stamp", "table_files", "write_table"]


def stamp(engine: Engine, device: str = "cpu", root: Path = ROOT) -> dict:
    """Origin of whatever this process measures from now on; nothing in it names a folder or a person.

    Args:
        engine: Source that the process runs.
        device: Device whose name is recorded.
        root: Root of the repository.
    """
    return {
        "commit": _git(root, "rev-parse", "HEAD") or None,
        "dirty": is_dirty(root),
        "engine": engine.record,
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in ("torch", "numpy", "infodil")},
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def is_dirty(root: Path = ROOT) -> bool:
    """Whether any file but the figures and their tables differs from the commit.

    A table or figure made a moment ago does not change the code; a table that is read is recorded by its hash.
    """
    return bool(_git(root, "status", "--porcelain", "--", ".", ":!paper_figures"))


def check_clean(root: Path = ROOT) -> None:
    """Refuse a tree that is not a commit, as nobody could find again what a study ran.

    Raises:
        UserError: If there is no commit, or the tree differs from it.
    """
    if not _git(root, "rev-parse", "HEAD"):
        raise UserError("a study needs a Git checkout, to record its commit: clone the repository, or pass --smoke.")
    if is_dirty(root):
        raise UserError("a study runs committed code only, and this tree has changes: commit them, or pass --smoke.")


def write_table(folder: Path, name: str, rows: Sequence[dict], record: dict) -> Path:
    """Write `<name>.csv` and its record `<name>.json`, each whole or not at all.

    Args:
        folder: Folder of both files.
        name: Name of the table.
        rows: One dictionary a row; columns are in order of appearance.
        record: Where the rows come from, as plain JSON values.

    Returns:
        Path of the CSV.
    """
    check_not_empty("rows", rows, "pass one dictionary for each measurement")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    content = table.getvalue()
    # Made before either file is touched: a record that is not JSON leaves the old pair as it was.
    record = {"name": name, "rows": len(rows), "sha256": digest(content.encode()), **record}
    text = json.dumps(record, indent=2) + "\n"
    path = write_whole(folder / f"{name}.csv", content)
    write_whole(folder / f"{name}.json", text)
    return path


def table_files(*names: str, root: Path = ROOT) -> dict[str, Path]:
    """Committed tables that a study reads, by the name under which their hash is recorded."""
    return {f"paper_figures/data/{name}.csv": root / "paper_figures" / "data" / f"{name}.csv" for name in names}


def files_in(data: Path, *names: str) -> dict[str, Path]:
    """Corpora and models that a study reads from a folder, by the name under which their hash is recorded."""
    return {f"data/{name}": data / name for name in names}


def read_table(path: Path) -> list[dict]:
    """Rows of a table, every value as it is spelled."""
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def read_record(path: Path) -> dict:
    """Where a table comes from."""
    return json.loads(path.read_text(encoding="utf-8"))


def _git(root: Path, *words: str) -> str:
    try:
        answer = subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return ""  # no git, or no repository: an unpacked archive
    return answer.stdout.strip()


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        # Run from a checkout that was never installed.
        return __import__(name).__version__


def _device_name(device: str) -> str:
    if torch.device(device).type == "cuda":
        return torch.cuda.get_device_name(device)
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text(encoding="utf-8").splitlines() if cpuinfo.exists() else []
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{models[0] if models else platform.machine()}, {os.cpu_count()} cores"
