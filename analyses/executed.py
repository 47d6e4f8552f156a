"""The functions of this repository that a piece of work calls, and the code that decides what it comes to.

What a script imports is known before anything runs. It is more than what decides a result: a study of estimators
imports the package, and so every encoder. While a cell runs, each Python function that is called leaves its name here,
those that a dataclass generates too. What decides a module's part is then the code of these functions and whatever else
stands in the module but other functions: constants, fields of classes, imports. To the modules whose functions are
called are added, from the syntax trees, those whose constants they import and those that they call as they are loaded.
"""

import functools
import inspect
import sys
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import CodeType, FrameType
from typing import ClassVar

from analyses.engine import ROOT, Engine, file_of
from analyses.sources import Function, Source

__all__ = ["Executed", "changed_modules", "code_executed", "deciding", "joined"]

ALL = "*"
"""In place of the names of functions: every function of the module decides."""
MADE = ("__init__", "__new__", "__post_init__", "__init_subclass__", "__set_name__", "__call__")
"""Methods that run when a class is called, derived from or used as a decorator while a module is loaded."""

Functions = Mapping[str, frozenset[str]]
"""From the path of a module below the root to the names of its functions that decide a result."""


class Executed:
    """Functions that are called inside this context, in this thread and those it starts.

    A context inside another one has its calls to itself. Where a debugger or a coverage tool follows the calls already,
    nothing is known.
    """

    _inner: ClassVar["Executed | None"] = None

    def __init__(self) -> None:
        self.known = True
        self._seen: dict[int, tuple[CodeType, str, str]] = {}
        self._outer: Executed | None = None

    def __enter__(self) -> "Executed":
        self._outer, self._before = Executed._inner, sys.gettrace()
        if self._before is not None and self._outer is None:
            self.known = False
            return self
        seen = self._seen

        def note(frame: FrameType, event: str, argument: object) -> None:
            # The answer None says that single lines are not asked for. The code is kept, so that its number stays its.
            # What is no function is the body of a module or class that is being loaded.
            code = frame.f_code
            if id(code) not in seen and code.co_flags & inspect.CO_OPTIMIZED:
                seen[id(code)] = (code, str(frame.f_globals.get("__name__")), _name(frame))

        Executed._inner = self
        threading.settrace(note)
        sys.settrace(note)
        return self

    def __exit__(self, *_: object) -> None:
        if self.known:
            Executed._inner = self._outer
            sys.settrace(self._before)
            threading.settrace(self._before)

    @property
    def functions(self) -> dict[str, frozenset[str]]:
        """Names of the functions that were called, by module; those inside a function go by its name."""
        called: dict[str, set[str]] = {}
        for _, module, name in list(self._seen.values()):
            called.setdefault(module, set()).add(name)
        return {module: frozenset(names) for module, names in called.items()}


def _name(frame: FrameType) -> str:
    """Name of a function as its module has it; of one that a dataclass generates, with the class."""
    code = frame.f_code
    if code.co_qualname.startswith("__create_fn__") and code.co_argcount:
        return f"{type(frame.f_locals.get(code.co_varnames[0])).__qualname__}.{code.co_name}"
    return code.co_qualname.partition(".<")[0]


def code_executed(executed: Executed | None, engine: Engine, root: Path = ROOT) -> dict[str, list[str]] | None:
    """The code that decided a result; None where it could not be followed.

    Args:
        executed: What was called; None where it was not followed.
        engine: Engine of the script, all of which decides.
        root: Root of the repository.

    Returns:
        By path of a module, 16 digits of the hash of what decides in it, and the names of the functions among that.
    """
    if executed is None or not executed.known:
        return None
    called = {engine.script: frozenset({ALL})}
    for module, names in executed.functions.items():
        file = file_of(module, root)
        if file is not None:
            name = file.relative_to(root).as_posix()
            called[name] = called.get(name, frozenset()) | names
    functions = deciding(called, root)
    return _recorded({name: names for name, names in functions.items() if engine.is_decided_by(name)}, root)


def changed_modules(recorded: dict, script: str, root: Path = ROOT) -> tuple[str, ...]:
    """Modules whose code is not what made a result; the script alone where only its imports are known.

    Args:
        recorded: The code that made it, as a record has it: `files` of `code_executed`, or `code` of an `Engine`.
        script: Path of the script below the root.
        root: Root of the repository.
    """
    if "files" in recorded:
        return tuple(
            name
            for name, (code, functions) in recorded["files"].items()
            if _hash(root / name, frozenset(functions.split())) != code
        )
    if not recorded:
        return ()
    known = (root / script).is_file() and Engine.of(script, root, recorded.get("rooms", ())).code == recorded["code"]
    return () if known else (script,)


def joined(parts: Sequence[dict[str, list[str]]], root: Path = ROOT) -> dict[str, list[str]]:
    """The code that decided any of several results; of a module that has changed since, what it was.

    Args:
        parts: Code of each, of `code_executed`.
        root: Root of the repository.
    """
    functions: dict[str, frozenset[str]] = {}
    for part in parts:
        for name, (_, names) in part.items():
            functions[name] = functions.get(name, frozenset()) | frozenset(names.split())
    was = {name: part[name] for part in parts for name in changed_modules({"files": part}, "", root)}
    return _recorded(functions, root) | was


def deciding(called: Functions, root: Path = ROOT) -> dict[str, frozenset[str]]:
    """Functions that were called, with the modules whose constants they import and what these call as they are loaded.

    Args:
        called: Functions that were called.
        root: Root of the repository.
    """
    found: dict[str, frozenset[str]] = {}
    waiting = list(called.items())
    while waiting:
        name, functions = waiting.pop()
        if name not in found:
            own, homes = _on_loading((root / name).read_bytes(), root)
            found[name] = own
            waiting += [(home.relative_to(root).as_posix(), used) for home, used in homes]
        found[name] |= functions
    return found


@functools.cache
def _on_loading(source: bytes, root: Path) -> tuple[frozenset[str], frozenset[tuple[Path, frozenset[str]]]]:
    """Functions of a module that it calls as it is loaded, and other modules that decide it with theirs."""
    facts = Source.of(source)
    own = frozenset().union(*(_made(facts, name) for name in facts.called))
    homes = set()
    for module, *names in facts.imports:
        home = file_of(module, root)
        if not names:
            homes.add((home, frozenset()))
        elif home is not None:
            name, known_as = names
            facts_of_home = Source.of(home.read_bytes())
            if name not in facts_of_home.defined:
                # A constant, what that module imports itself, or a module inside a package.
                homes |= {(home, frozenset()), (file_of(f"{module}.{name}", root), frozenset())}
            elif known_as in facts.called:
                homes.add((home, _made(facts_of_home, name)))
    return own, frozenset((home, used) for home, used in homes if home is not None)


def _made(source: Source, name: str) -> frozenset[str]:
    """What runs where a name of a module is called: all that a function may call there, or the making of a class."""
    kind = source.defined.get(name)
    if kind is None:
        return frozenset()
    return frozenset({ALL}) if issubclass(kind, Function) else frozenset(f"{name}.{method}" for method in MADE)


@functools.cache
def _hash_of(source: bytes, functions: frozenset[str]) -> str:
    return Source.of(source).hash(None if ALL in functions else functions)[:16]


def _recorded(functions: Functions, root: Path) -> dict[str, list[str]]:
    """Code of each module as a record has it, sorted."""
    return {
        name: [_hash(root / name, functions[name]), " ".join(sorted(functions[name]))] for name in sorted(functions)
    }


def _hash(file: Path, functions: frozenset[str]) -> str:
    return _hash_of(file.read_bytes(), functions) if file.is_file() else "gone"
