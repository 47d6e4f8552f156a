"""The engine of a study: the source of its script and of every module of this repository that the script imports.

Imports are read from the syntax trees, those inside functions too, so that the engine is known before anything runs:
it is part of the name under which a result is kept (`analyses.cells`). Which of these modules decided a table is known
when it has been made (`analyses.executed`).
"""

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from analyses.sources import PACKAGES, Source, digest

__all__ = ["ROOT", "Engine", "file_of"]

ROOT = Path(__file__).resolve().parents[1]
MACHINERY = frozenset(
    f"analyses/{name}.py"
    for name in ("cells", "engine", "executed", "provenance", "results", "sources", "status", "studies")
)
"""These run and record studies and compute none of their numbers."""


@dataclass(frozen=True)
class Engine:
    """The files that a script runs, and two hashes of them.

    Args:
        script: Path of the script below the root of the repository.
        files: Paths of all files, the script among them, sorted.
        source: Hash of the bytes of all files, or of those in the rooms.
        code: Hash of their syntax trees without docstrings; comments and layout leave it as it is.
        rooms: Beginnings of the paths of the files that are hashed; all where there are none.
    """

    script: str
    files: tuple[str, ...]
    source: str
    code: str
    rooms: tuple[str, ...] = ()

    @classmethod
    def of(cls, script: str | Path, root: Path = ROOT, rooms: Sequence[str] = ()) -> "Engine":
        """Engine of a script, from the files as they are now.

        Args:
            script: Path of the script, absolute or below `root`.
            root: Root of the repository.
            rooms: Beginnings of the paths of the files that decide the numbers of a study of many hours, so that a
                change elsewhere does not begin it anew.

        Raises:
            FileNotFoundError: If the script is no longer there.
        """
        start = (root / script).resolve()
        # Hundreds of files import the same modules: each is looked for once.
        find = functools.cache(functools.partial(file_of, root=root))
        found, waiting = set(), [start, *_packages_of(start, root)]
        while waiting:
            path = waiting.pop()
            if path in found:
                continue
            found.add(path)
            waiting += _imported(Source.of(path.read_bytes()).modules, find)
        names = {path.relative_to(root).as_posix(): path.read_bytes() for path in found}
        kept = {name: names[name] for name in sorted(names) if name not in MACHINERY}
        hashed = {name: source for name, source in kept.items() if _decides(name, tuple(rooms))}
        return cls(
            start.relative_to(root).as_posix(),
            tuple(kept),
            _joint_hash((name, digest(source)) for name, source in hashed.items()),
            _joint_hash((name, Source.of(source).hash()) for name, source in hashed.items()),
            tuple(rooms),
        )

    @property
    def record(self) -> dict:
        """The engine as the record of a result has it where it is not known what was called."""
        return {"code": self.code, "source": self.source} | ({"rooms": self.rooms} if self.rooms else {})

    @property
    def is_followed(self) -> bool:
        """Whether calls are followed: a benchmark times what it runs, or starts processes of its own."""
        return not self.script.startswith("analyses/benchmarks/")

    def is_decided_by(self, name: str) -> bool:
        """Whether the file of this path computes numbers of the study."""
        return _decides(name, self.rooms)

    def check_loaded(self, known: frozenset[str] = frozenset(), root: Path = ROOT) -> None:
        """Refuse modules that were loaded but are no part of the engine.

        Args:
            known: Names of modules that were loaded before the study began, for reasons of their own.
            root: Root of the repository.

        Raises:
            RuntimeError: If a module of the repository outside the engine was loaded, or one of another checkout.
        """
        for name, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)
            if name in known or name.partition(".")[0] not in PACKAGES or file is None:
                continue
            path = Path(file).resolve()
            if not path.is_relative_to(root):
                raise RuntimeError(f"{name} was loaded from outside this checkout: set PYTHONPATH to its root")
            relative = path.relative_to(root).as_posix()
            if relative not in self.files and relative not in MACHINERY:
                raise RuntimeError(f"{self.script} loaded {relative}, which none of its import statements names")


def _decides(name: str, rooms: tuple[str, ...]) -> bool:
    return name not in MACHINERY and (not rooms or name.startswith(rooms))


def _joint_hash(pairs: Iterator[tuple[str, str]]) -> str:
    return digest(json.dumps(list(pairs)).encode())


def _imported(modules: Iterable[str], find: Callable[[str], Path | None]) -> set[Path]:
    """Files of modules that are imported, and of the packages that these lie in."""
    files = set()
    for module in modules:
        package, _, name = module.rpartition(".")
        parts = module.split(".")
        files.update(find(".".join(parts[:end])) for end in range(1, len(parts) + 1))
        face = find(package)
        home = Source.of(face.read_bytes()).homes.get(name) if face else None
        files |= _imported([home], find) if home else set()
    return files - {None}


def _packages_of(path: Path, root: Path) -> list[Path]:
    """The `__init__` files above a file."""
    folders = [folder for folder in path.parents if folder.is_relative_to(root) and folder != root]
    return [folder / "__init__.py" for folder in folders if (folder / "__init__.py").exists()]


def file_of(module: str, root: Path) -> Path | None:
    if module.partition(".")[0] not in PACKAGES:
        return None
    place = root.joinpath(*module.split("."))
    return next((file for file in (place / "__init__.py", place.with_suffix(".py")) if file.exists()), None)
