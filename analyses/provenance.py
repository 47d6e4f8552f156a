"""Write the rows of a study as tidy CSV, and beside it where they came from: the one door into `paper_figures/data`."""

import csv
import io
import json
import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from infodil.checks import check_not_empty, write_whole

__all__ = ["provenance", "write_results"]

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "paper_figures" / "data"


def write_results(name: str, rows: list[dict], config: dict, device: str = "cpu") -> Path:
    """Write `rows` to `<name>.csv` and their provenance to `<name>.json`, each whole or not at all.

    `config` holds every choice that made the rows, the seed among them, as plain JSON values. The path of the CSV comes
    back.
    """
    check_not_empty("rows", rows, "pass one dictionary for each measurement")
    columns = list(dict.fromkeys(column for row in rows for column in row))
    table = io.StringIO()
    writer = csv.DictWriter(table, columns, restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    # Made before either file is touched: a config that is not JSON leaves the old pair as it was.
    origin = json.dumps({"name": name, "rows": len(rows), "config": config, **provenance(device)}, indent=2) + "\n"
    path = write_whole(DATA / f"{name}.csv", table.getvalue())
    write_whole(DATA / f"{name}.json", origin)
    return path


def provenance(device: str = "cpu") -> dict:
    """Commit, versions, machine and date; nothing that names a folder or a person."""
    return {
        "commit": _git("rev-parse", "HEAD") or None,
        # Results written a moment ago do not make the code that wrote them dirty.
        "dirty": bool(_git("status", "--porcelain", "--", ".", ":!paper_figures/data")),
        "versions": {"python": platform.python_version()}
        | {name: _version(name) for name in ("torch", "numpy", "infodil")},
        "device": _device_name(device),
        "threads": torch.get_num_threads(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _git(*words: str) -> str:
    try:
        answer = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
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
