"""The names that a registry knows, read from its source, so that a typo is answered before torch is imported."""

__all__ = ["encoder_names", "precision_names", "probe_summaries"]

import ast
import sys
from importlib.resources import files
from types import ModuleType


def encoder_names() -> list[str]:
    """Names of the built-in encoders."""
    loaded = _loaded("infodil.encoders")
    if loaded is not None:
        return list(loaded.ENCODERS)
    return [ast.literal_eval(key) for key in _assigned("encoders/loading.py", "ENCODERS").keys]


def precision_names() -> list[str]:
    """Names of the precisions; any `snr=<number>dB` comes beside them."""
    return list(ast.literal_eval(_assigned("precision/formats.py", "PRECISIONS")))


def probe_summaries() -> dict[str, str]:
    """The probes by name, weakest first, each with the noun phrase that describes it."""
    loaded = _loaded("infodil.probes")
    if loaded is not None:
        return {name: probe.summary for name, probe in loaded.PROBES.items()}
    registry = _source("probes/registry.py")
    homes = {
        alias.name: node.module for node in registry.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    made = [node.func.id for node in ast.walk(_assigned("probes/registry.py", "PROBES")) if isinstance(node, ast.Call)]
    probes = [_class_literals(homes[name], name) for name in made]
    return {probe["name"]: probe["summary"] for probe in probes}


def _loaded(module: str) -> ModuleType | None:
    """A module that is imported already: its registry may have entries of the caller's own."""
    return sys.modules.get(module)


def _source(path: str) -> ast.Module:
    return ast.parse(files("infodil").joinpath(path).read_text(encoding="utf-8"))


def _assigned(path: str, name: str) -> ast.expr:
    """The expression that a module assigns to a name."""
    return next(node.value for node in _source(path).body if _target(node) == name)


def _target(node: ast.stmt) -> str | None:
    """The name that a statement assigns to; None for any other statement."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _class_literals(module: str, name: str) -> dict[str, object]:
    """The literals that the body of a class assigns."""
    source = _source(f"{module.removeprefix('infodil.').replace('.', '/')}.py")
    body = next(node.body for node in source.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
