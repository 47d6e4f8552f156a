"""The names that a registry knows, read from its source, so that a typo is answered before torch is imported."""

__all__ = ["encoder_names", "encoder_options", "precision_names", "probe_summaries"]

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


def encoder_options(name: str) -> list[str] | None:
    """The options of a built-in encoder, which `--set` passes; None for an encoder of the caller's own."""
    loading = _source("encoders/loading.py")
    table = _assigned("encoders/loading.py", "ENCODERS")
    makers = {ast.literal_eval(key): value for key, value in zip(table.keys, table.values, strict=True)}
    if name not in makers:
        return None
    maker = makers[name]
    if isinstance(maker, ast.Call):  # a function that makes the maker, which is the function inside it
        outer = next(
            node for node in _imported(loading, maker.func.id).body if getattr(node, "name", "") == maker.func.id
        )
        found = _names(next(node for node in outer.body if isinstance(node, ast.FunctionDef)))
    else:
        found = _parameters(loading, maker.id)
    return [option for option in found if option not in ("vocabulary", "seed", "device")]


def precision_names() -> list[str]:
    """Names of the precisions; any `snr=<number>dB` comes beside them."""
    return list(ast.literal_eval(_assigned("precision/formats.py", "PRECISIONS")))


def probe_summaries() -> dict[str, str]:
    """The probes by name, weakest first, each with the noun phrase that describes it."""
    loaded = _loaded("infodil.probes")
    if loaded is not None:
        return {name: probe.summary for name, probe in loaded.PROBES.items()}
    registry = _source("probes/registry.py")
    made = [node.func.id for node in ast.walk(_assigned("probes/registry.py", "PROBES")) if isinstance(node, ast.Call)]
    probes = [_class_literals(_imported(registry, name), name) for name in made]
    return {probe["name"]: probe["summary"] for probe in probes}


def _loaded(module: str) -> ModuleType | None:
    """A module that is imported already: its registry may have entries of the caller's own."""
    return sys.modules.get(module)


def _source(path: str) -> ast.Module:
    return ast.parse(files("infodil").joinpath(path).read_text(encoding="utf-8"))


def _assigned(path: str, name: str) -> ast.expr:
    """The expression that a module assigns to a name."""
    return next(node.value for node in _source(path).body if _target(node) == name)


def _imported(source: ast.Module, name: str) -> ast.Module:
    """The module that a name is imported from."""
    nodes = (node for node in source.body if isinstance(node, ast.ImportFrom))
    home = next(node.module for node in nodes if name in [alias.name for alias in node.names])
    return _source(f"{home.removeprefix('infodil.').replace('.', '/')}.py")


def _names(function: ast.FunctionDef) -> list[str]:
    """The parameters of a function that have names."""
    arguments = function.args
    return [each.arg for each in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]


def _parameters(source: ast.Module, name: str) -> list[str]:
    """The parameters of a function or class, with those of the call that it passes further ones on to."""
    kinds = (ast.FunctionDef, ast.ClassDef)
    node = next((node for node in source.body if isinstance(node, kinds) and node.name == name), None)
    if node is None:
        return _parameters(_imported(source, name), name)
    if isinstance(node, ast.ClassDef):
        node = next(part for part in node.body if isinstance(part, ast.FunctionDef) and part.name == "__init__")
    names = _names(node)
    if node.args.kwarg is not None:
        call = next(each.value for each in ast.walk(node) if isinstance(each, ast.Return))
        passed = _parameters(source, call.func.id)
        names += [each for each in passed if each not in names and each not in _positional(passed, call)]
    return [each for each in names if each != "self"]


def _positional(parameters: list[str], call: ast.Call) -> list[str]:
    """The parameters that a call fills by position."""
    return parameters[: len(call.args)]


def _target(node: ast.stmt) -> str | None:
    """The name that a statement assigns to; None for any other statement."""
    if isinstance(node, ast.Assign):
        target = node.targets[0]
    elif isinstance(node, ast.AnnAssign):
        target = node.target
    else:
        return None
    return target.id if isinstance(target, ast.Name) else None


def _class_literals(source: ast.Module, name: str) -> dict[str, object]:
    """The literals that the body of a class assigns."""
    body = next(node.body for node in source.body if isinstance(node, ast.ClassDef) and node.name == name)
    return {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
