"""Run the cells of a study, a file each, so that a run that was killed takes up where it stopped."""

import json
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from tqdm.auto import tqdm

from infodil.checks import write_whole

__all__ = ["run_cells"]


def run_cells(
    cells: Sequence[Any], work: Callable[[Any], list[dict]], names: Sequence[str], folder: Path, workers: int
) -> list[dict]:
    """Rows of every cell, from its file where it was run before; each is written as soon as it is there."""
    paths = [folder / f"{name}.json" for name in names]
    wanted = [(cell, path) for cell, path in zip(cells, paths, strict=True) if not path.exists()]
    with ProcessPoolExecutor(workers) as pool:
        done = pool.map(work, [cell for cell, _ in wanted])
        for rows, (_, path) in zip(tqdm(done, total=len(wanted), unit="cell"), wanted, strict=True):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(rows))
    return [row for path in paths for row in json.loads(path.read_text(encoding="utf-8"))]
