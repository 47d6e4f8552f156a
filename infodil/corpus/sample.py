"""The built-in corpus: the docstrings of four scientific packages, read from their sources, with no network."""

import ast
import gc
import hashlib
import importlib.metadata
import importlib.util
import inspect
import random
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from infodil.progress import progress_bar

__all__ = ["read_sample"]

PACKAGES = {"numpy": "numpy", "scipy": "scipy", "sklearn": "scikit-learn", "matplotlib": "matplotlib"}
SHORTEST = 20
"""Words of the shortest document kept."""


@lru_cache(maxsize=1)
def read_sample() -> tuple[tuple[str, ...], dict[str, Any]]:
    """The documents in a fixed shuffled order, and where they came from: versions and a sha256 of the texts."""
    texts: set[str] = set()
    collecting = gc.isenabled()
    gc.disable()  # syntax trees have no cycles, and looking for some in them takes half of the time
    try:
        sources = [path for package in PACKAGES for path in _sources(package)]
        for path in progress_bar(sources, "reading docstrings", shown=True, unit="file"):
            texts.update(_docstrings(path))
    finally:
        if collecting:
            gc.enable()
    documents = sorted(texts)
    random.Random(0).shuffle(documents)
    digest = hashlib.sha256("\0".join(documents).encode("utf-8", "replace")).hexdigest()
    versions = {name: importlib.metadata.version(name) for name in PACKAGES.values()}
    origin = {"source": "built-in", "from": "docstrings of installed packages", "versions": versions, "sha256": digest}
    return tuple(documents), origin


def _sources(package: str) -> list[Path]:
    found = importlib.util.find_spec(package)  # locates a top-level package without importing it
    if found is None or not found.submodule_search_locations:
        return []
    root = Path(found.submodule_search_locations[0])
    return sorted(path for path in root.rglob("*.py") if not {"tests", "testing"} & set(path.relative_to(root).parts))


def _docstrings(path: Path) -> Iterator[str]:
    source = path.read_text(encoding="utf-8", errors="replace")
    if '"""' not in source and "'''" not in source:
        return
    for text in _strings(ast.parse(source)):
        clean = inspect.cleandoc(text)
        if len(clean.split()) >= SHORTEST:
            yield clean


def _strings(node: Any) -> Iterator[str]:
    """The docstring of a module, class or function, those inside it, and those it adds to compiled functions."""
    for number, child in enumerate(node.body):
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef | ast.If | ast.Try | ast.With):
            yield from _strings(child)
        elif not isinstance(child, ast.Expr):
            continue
        elif isinstance(child.value, ast.Constant) and isinstance(child.value.value, str) and number == 0:
            yield child.value.value
        elif isinstance(child.value, ast.Call) and _name(child.value.func) == "add_newdoc" and child.value.args:
            # numpy and scipy document their compiled functions so: add_newdoc(place, name, text or (method, text)).
            for constant in ast.walk(child.value.args[-1]):
                if isinstance(constant, ast.Constant) and isinstance(constant.value, str):
                    yield constant.value


def _name(function: ast.expr) -> str:
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
