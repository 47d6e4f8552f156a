"""Run the cells of a study, keep each with the code, configuration and inputs that decide it, and write tables.

A cell is one call of a function of the study's script. Its rows are kept in
`<out>/<script>/<hash of configuration and inputs>/<cell>.json`, with the commit, versions and date at which it ran, and
the code of the functions that it called: a study that was killed takes up where it stopped, another number or input
begins anew, and a cell runs anew once a function that it called has other code. So it is with tables: one is stale once
a function that its cells or its script called has other code.
"""

import argparse
import json
import re
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import asdict, dataclass, is_dataclass
from pathlib import Path
from typing import Any

import joblib
import torch
from tqdm.auto import tqdm

from analyses.engine import ROOT, Engine
from analyses.executed import Executed, changed_modules, code_executed, joined
from analyses.provenance import check_clean, stamp, write_table
from analyses.sources import digest
from infodil.checks import UserError, write_whole

__all__ = ["Finished", "Study", "options_parser"]

Work = Callable[[Any, Any], list[dict]]
"""From a cell and the configuration to rows of plain JSON values."""


def options_parser(documentation: str | None, *, data: bool = False) -> argparse.ArgumentParser:
    """Command line that all studies share: `--smoke`, `--out`, `--n-jobs`, and `--data` where files are read.

    Args:
        documentation: Docstring of the script.
        data: Whether the study reads corpora or models from a folder.
    """
    parser = argparse.ArgumentParser(
        description=documentation, formatter_class=argparse.RawDescriptionHelpFormatter, allow_abbrev=False
    )
    parser.add_argument("--smoke", action="store_true", help="a tiny version in seconds; tables go to --out alone")
    parser.add_argument("--out", type=Path, help="folder of the cells (out; with --smoke a temporary one)")
    parser.add_argument("--n-jobs", type=int, default=1, help="cells that run at once")
    if data:
        parser.add_argument("--data", type=Path, help="folder with the corpora and models")
    return parser


@dataclass(frozen=True)
class Finished:
    """What cells came to.

    Args:
        rows: Rows of all cells, in order.
        origins: Commit, engine, versions, date and seconds of each cell, as they were when it ran.
        inputs: Hash of each file that the cells read.
    """

    rows: list[dict]
    origins: list[dict]
    inputs: dict[str, str]

    def __add__(self, other: "Finished") -> "Finished":
        return Finished(self.rows + other.rows, self.origins + other.origins, self.inputs | other.inputs)


class Study:
    """One run of a script, as a context: what it may write, and where.

    Args:
        script: Path of the script, `__file__`.
        options: Parsed command line of `options_parser`.
        root: Root of the repository.
        rooms: Beginnings of the paths of the files whose code names the cells; all that the script imports if none.

    Raises:
        UserError: If the tree is dirty or no commit; `--smoke` runs all the same, and writes no table of the paper.
    """

    def __init__(self, script: str, options: argparse.Namespace, root: Path = ROOT, rooms: Sequence[str] = ()) -> None:
        if options.n_jobs < 1:
            raise UserError(f"`--n-jobs` must be at least 1, got {options.n_jobs}: pass how many cells run at once.")
        if getattr(options, "data", script) is None and not options.smoke:
            raise UserError("`--data` is missing: pass the folder that holds the corpora and models.")
        if not options.smoke:
            check_clean(root)
        self.smoke, self.n_jobs, self.root = options.smoke, options.n_jobs, root
        self.engine = Engine.of(script, root, rooms)
        self._contexts = ExitStack()
        temporary = options.smoke and options.out is None
        self.out = Path(
            self._contexts.enter_context(tempfile.TemporaryDirectory()) if temporary else options.out or "out"
        )
        self._executed = _follow(self.engine, options.smoke)
        # Under a test runner, modules of others were loaded before; alone, everything that is loaded is the study's.
        self._known = frozenset(sys.modules) if options.smoke else frozenset()

    def __enter__(self) -> "Study":
        if self._executed:
            self._contexts.enter_context(self._executed)
        return self

    def __exit__(self, *_: object) -> None:
        self._contexts.close()

    def run(
        self,
        work: Work,
        cells: Sequence[Any],
        config: Any,
        *,
        inputs: Mapping[str, Path] | None = None,
        threads: int = 1,
        device: str = "cpu",
    ) -> Finished:
        """Run every cell that was not run before with this code, configuration and these inputs.

        Args:
            work: Function of a cell and the configuration. A partial's arguments must follow from the configuration
                and the inputs, for they do not name the cell.
            cells: Cells, each of plain JSON values.
            config: Frozen dataclass with every number that matters.
            inputs: Files that the cells read, by the name under which their hash is recorded.
            threads: Threads of each cell.
            device: Device whose name is recorded.
        """
        key = self.key(config, inputs)
        folder = self._below({name: value for name, value in key.items() if name != "engine"})
        paths = [folder / f"{_file_name(work, cell)}.json" for cell in cells]
        if len(set(paths)) < len(paths):
            raise ValueError("two cells have one name")
        job = _Job(work, config, self.engine, self.root, self.smoke, self._known, threads, device)
        missing = [(cell, path) for cell, path in zip(cells, paths, strict=True) if not self._is_kept(path)]
        calls = (joblib.delayed(job.run)(cell, path, key) for cell, path in missing)
        done = joblib.Parallel(self.n_jobs, return_as="generator_unordered")(calls)
        for _ in tqdm(done, total=len(missing), unit="cell", disable=None):
            pass
        kept = [json.loads(path.read_text(encoding="utf-8")) for path in paths]
        return Finished(
            [row for cell in kept for row in cell["rows"]], [cell["origin"] for cell in kept], key["inputs"]
        )

    def folder(self, config: Any, inputs: Mapping[str, Path] | None = None) -> Path:
        """Folder of what half-finished cells keep: of all the code imported, the configuration and the inputs."""
        return self._below(self.key(config, inputs))

    def is_current(self, record: dict) -> bool:
        """Whether the code that made a cell or a table is that of now, from the record of its origin."""
        return not changed_modules(record["engine"], self.engine.script, self.root)

    def _is_kept(self, path: Path) -> bool:
        return path.exists() and self.is_current(json.loads(path.read_text(encoding="utf-8"))["origin"])

    def _below(self, key: dict) -> Path:
        name = digest(json.dumps(key, sort_keys=True).encode())[:16]
        return self.out / Path(self.engine.script).stem / name

    def key(self, config: Any, inputs: Mapping[str, Path] | None) -> dict:
        hashes = {name: digest(path) for name, path in sorted((inputs or {}).items())}
        return {"engine": self.engine.code, "config": plain(config), "inputs": hashes}

    def write(self, name: str, rows: Sequence[dict], config: Any, finished: Finished) -> Path:
        """Write a table and its record: into the data of the paper, or below `out` if this is a smoke run.

        Args:
            name: Name of the table.
            rows: Rows of the table, of the cells' or made from them.
            config: Configuration, a dataclass or a mapping.
            finished: Cells that the rows are made from.
        """
        if not self.smoke and any(origin["dirty"] for origin in finished.origins):
            raise UserError(f"cells of {name} were run on uncommitted code: pass another --out.")
        last = max(finished.origins, key=lambda origin: origin["date"])
        record = {
            "script": self.engine.script,
            "config": plain(config),
            "inputs": finished.inputs,
            **last,
            "engine": self._code(finished),
            "dirty": any(origin["dirty"] for origin in finished.origins),
            "commits": sorted({str(origin["commit"]) for origin in finished.origins}),
            "seconds": round(sum(origin.get("seconds", 0.0) for origin in finished.origins), 1),
        }
        path = write_table(
            self.out / "tables" if self.smoke else self.root / "paper_figures" / "data", name, rows, record
        )
        print(f"written: {path.name}")
        return path

    def _code(self, finished: Finished) -> dict:
        """Code that the cells or this script called, or the engine where that is not known."""
        own = code_executed(self._executed, self.engine, self.root)
        parts = [own, *(origin["engine"].get("files") for origin in finished.origins)]
        return self.engine.record if None in parts else {"files": joined(parts, self.root)}


@dataclass(frozen=True)
class _Job:
    """What a worker needs to run a cell and to say truthfully what it ran."""

    work: Work
    config: Any
    engine: Engine
    root: Path
    smoke: bool
    known: frozenset[str]
    threads: int
    device: str

    def run(self, cell: Any, path: Path, key: dict) -> None:
        if not self.smoke:
            check_clean(self.root)
        threads = torch.get_num_threads()
        torch.set_num_threads(self.threads)
        try:
            origin, begin = stamp(self.engine, self.device, self.root), time.perf_counter()
            executed = _follow(self.engine, self.smoke)
            with executed or nullcontext():
                rows = self.work(cell, self.config)
        finally:
            torch.set_num_threads(threads)
        self.engine.check_loaded(self.known, self.root)
        files = code_executed(executed, self.engine, self.root)
        if files is not None:
            origin["engine"] = {"files": files}
        if Engine.of(self.engine.script, self.root, self.engine.rooms).source != self.engine.source:
            raise RuntimeError(f"{self.engine.script} or what it imports was changed while it ran")
        origin["seconds"] = round(time.perf_counter() - begin, 1)
        content = {"cell": plain(cell), **key, "origin": origin, "rows": rows}
        write_whole(path, json.dumps(content))


def _follow(engine: Engine, smoke: bool) -> Executed | None:
    """What follows calls; None for a benchmark, and for a smoke run: it makes no table, and takes a third less so."""
    return Executed() if engine.is_followed and not smoke else None


def plain(value: Any) -> Any:
    """A configuration or cell as JSON has it."""
    if is_dataclass(value) and not isinstance(value, type):
        value = asdict(value)
    return json.loads(json.dumps(value))


def _file_name(work: Work, cell: Any) -> str:
    """A readable name of a cell: the function's name and the values, as a file can be called."""
    function = getattr(work, "func", work).__name__
    words = json.dumps(plain(cell))
    readable = re.sub(r"[^A-Za-z0-9.+-]+", "_", words).strip("_")[:80]
    return f"{function}-{readable}-{digest(words.encode())[:8]}"
