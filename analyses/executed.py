"""The modules of this repository that a piece of work executes, and the code that they have.

What a script imports decides under which name a result is kept, for it is known before anything runs. It is more than
what decides the result: a study of estimators imports the package, and so every encoder. While a cell runs, each call
of a Python function leaves the name of its module here, those of generated functions (a dataclass's) too. To these are
added, from the syntax trees, the modules whose constants they import, and those whose functions they call as they are
loaded. A table is stale once one of these has other code.
"""

import ast
import functools
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import ClassVar

from analyses.engine import PACKAGES, ROOT, Engine, code_hash, file_of

__all__ = ["Executed", "changed_modules", "code_executed", "with_constants"]


class Executed:
    """Names of the modules whose functions were called inside this context, in this thread and those it starts.

    A context inside another one has its calls to itself. Where a debugger or a coverage tool follows the calls already,
    nothing is known, and `names` is None.
    """

    _inner: ClassVar["Executed | None"] = None

    def __init__(self) -> None:
        self.names: set[str] | None = set()
        self._outer: Executed | None = None

    def __enter__(self) -> "Executed":
        self._outer, self._before = Executed._inner, sys.gettrace()
        if self._before is not None and self._outer is None:
            self.names = None
            return self
        names = self.names

        def note(frame: FrameType, event: str, argument: object) -> None:
            # The answer None says that single lines are not asked for.
            names.add(frame.f_globals.get("__name__"))

        Executed._inner = self
        threading.settrace(note)
        sys.settrace(note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.names is not None:
            Executed._inner = self._outer
            sys.settrace(self._before)
            threading.settrace(self._before)


def code_executed(executed: Executed, engine: Engine, root: Path = ROOT) -> dict[str, str] | None:
    """Hash of the code of each module that decided a result; None where it could not be followed.

    Args:
        executed: What was called.
        engine: Engine of the script, which belongs to it.
        root: Root of the repository.

    Returns:
        By path, 16 digits of the hash of the code without docstrings, comments and layout.
    """
    if executed.names is None:
        return None
    called = {file_of(name, root) for name in executed.names if name and name.partition(".")[0] in PACKAGES}
    files = {file.relative_to(root).as_posix() for file in called if file is not None}
    decisive = [name for name in with_constants(files | {engine.script}, root) if engine.is_decided_by(name)]
    return {name: _short_code_hash(root / name) for name in sorted(decisive)}


def changed_modules(recorded: dict, script: str, root: Path = ROOT) -> tuple[str, ...]:
    """Modules whose code is not what made a result; the script alone where only its imports are known.

    Args:
        recorded: The code that made it, as a record has it: `files` of `code_executed`, or `code` of an `Engine`.
        script: Path of the script below the root.
        root: Root of the repository.
    """
    if "files" in recorded:
        now = {name: root / name for name in recorded["files"]}
        return tuple(
            name
            for name, file in now.items()
            if not file.is_file() or _short_code_hash(file) != recorded["files"][name]
        )
    if not recorded:
        return ()
    known = (root / script).is_file() and Engine.of(script, root, recorded.get("rooms", ())).code == recorded["code"]
    return () if known else (script,)


def _short_code_hash(file: Path) -> str:
    """First 16 digits of the hash of a module's code."""
    return code_hash(file.read_bytes())[:16]


def with_constants(files: set[str], root: Path = ROOT) -> set[str]:
    """Files, those whose constants or modules they import, and those whose functions they call as they are loaded.

    Args:
        files: Paths below the root of modules that were executed.
        root: Root of the repository.
    """
    found, waiting = set(), sorted(files)
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            homes = _homes((root / name).read_bytes(), root)
            waiting += [home.relative_to(root).as_posix() for home in homes]
    return found


@functools.cache
def _homes(source: bytes, root: Path) -> frozenset[Path]:
    tree = ast.parse(source)
    called = {name.id for name in _called_on_loading(tree.body)}
    homes = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            homes |= {file_of(alias.name, root) for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            home = file_of(node.module, root)
            for alias in node.names if home else ():
                if alias.asname in called or alias.name in called or alias.name not in _defined(home.read_bytes()):
                    # A constant, what the module imports itself, or a module inside a package.
                    homes |= {home, file_of(f"{node.module}.{alias.name}", root)}
    return frozenset(homes - {None})


def _called_on_loading(statements: list[ast.stmt]) -> Iterator[ast.Name]:
    """Names that are called, or stand as decorators or base classes, while a module is loaded."""
    for node in statements:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            outside = [*node.decorator_list, *getattr(node, "bases", ())]
            yield from (name for root in outside for name in ast.walk(root) if isinstance(name, ast.Name))
            if isinstance(node, ast.ClassDef):
                yield from _called_on_loading(node.body)
        else:
            calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
            yield from (name for call in calls for name in ast.walk(call) if isinstance(name, ast.Name))


@functools.cache
def _defined(source: bytes) -> frozenset[str]:
    """Functions and classes of a module: what is executed of them is noticed when they are called."""
    kinds = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    return frozenset(node.name for node in ast.parse(source).body if isinstance(node, kinds))
