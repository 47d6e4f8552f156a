"""What the source of one module says: the modules it imports, the names it defines, and its code, function by function.

The syntax tree is built once for each source and let go; what is kept are texts and names.
"""

import ast
import functools
import hashlib
import json
import threading
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

__all__ = ["PACKAGES", "Function", "Source", "digest", "parsed"]

PACKAGES = ("infodil", "analyses")
PASS = '["Pass"]'
Function = ast.FunctionDef | ast.AsyncFunctionDef
_ONE_TREE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Source:
    """One module, without its docstrings, comments and layout.

    Args:
        body: Its statements.
        imports: For each `from module import name as other` the module, the name and the other name; of `import module`
            the module alone.
        modules: Modules of this repository that it names in imports or uses as attributes of their package.
        homes: Home of each name that a package loads when it is first used: its imports for type checkers say so.
        defined: Its functions and classes.
        called: Names that are called, or stand as decorators or base classes, while it is loaded.
    """

    body: "_Body"
    imports: tuple[tuple[str, ...], ...]
    modules: frozenset[str]
    homes: dict[str, str]
    defined: dict[str, type]
    called: frozenset[str]

    @staticmethod
    @functools.cache
    def of(source: bytes) -> "Source":
        """What a source says.

        Args:
            source: The bytes of the file.
        """
        tree = parsed(source)
        return Source(
            _body(tree),
            tuple(_imports(tree)),
            _modules_named(tree),
            _loaded_when_used(tree),
            {node.name: type(node) for node in tree.body if isinstance(node, Function | ast.ClassDef)},
            frozenset(name.id for name in _called_on_loading(tree.body)),
        )

    def hash(self, functions: Container[str] | None = None) -> str:
        """Hash of its code.

        Args:
            functions: Functions and methods that count, as in `Class.method`, beside all that is no function; all of
                them where none are given.
        """
        return digest(self.body.text(functions).encode())


@dataclass(frozen=True)
class _Body:
    """A module or class as JSON: what stands before and behind its statements, and these with their names.

    A statement is a text, or the body of a class; functions alone have names; of documentation the text is empty.
    """

    before: str
    parts: tuple[tuple[str | None, "str | _Body"], ...]
    after: str
    empty: str

    def text(self, functions: Container[str] | None) -> str:
        """The JSON of the statements that count."""
        texts = [
            part.text(functions) if isinstance(part, _Body) else part
            for name, part in self.parts
            if name is None or functions is None or name in functions
        ]
        return self.before + (", ".join(filter(None, texts)) if texts else self.empty) + self.after


def digest(content: bytes | Path) -> str:
    """SHA-256 of bytes, or of a file's."""
    return hashlib.sha256(content.read_bytes() if isinstance(content, Path) else content).hexdigest()


def parsed(source: bytes | str) -> ast.Module:
    """The syntax tree of a source, made by one thread at a time.

    In CPython 3.11 all threads share the count of a tree's depth, and two that build trees at once get a `SystemError`
    (python/cpython issue 106905).
    """
    with _ONE_TREE_AT_A_TIME:
        return ast.parse(source)


def _body(node: ast.Module | ast.ClassDef, place: str = "") -> _Body:
    parts = []
    for part in node.body:
        if isinstance(part, ast.ClassDef):
            parts.append((None, _body(part, f"{place}{part.name}.")))
        else:
            # A string that stands alone documents what is above it; it computes nothing.
            text = "" if _is_documentation(part) else json.dumps(_shape(part))
            parts.append((f"{place}{part.name}" if isinstance(part, Function) else None, text))
    before, after = [], []
    for name, value in ast.iter_fields(node):
        if name != "body" and value is not None and value != []:
            (before if isinstance(node, ast.ClassDef) and name in BEFORE_BODY else after).append(
                json.dumps([name, _shape(value)])
            )
    opening = ", ".join([json.dumps(type(node).__name__), *before, '["body", ['])
    closing = "".join(f", {field}" for field in after)
    return _Body(f"[{opening}", tuple(parts), f"]]{closing}]", PASS if isinstance(node, ast.ClassDef) else "")


BEFORE_BODY = ("name", "bases", "keywords")
"""Fields of a class that Python lists before its body."""


def _shape(node: Any) -> Any:
    """A syntax tree as lists, without docstrings, places and empty fields (which differ between Python's versions)."""
    if isinstance(node, list):
        return [_shape(element) for element in node]
    if not isinstance(node, ast.AST):
        return repr(node)
    fields = {name: value for name, value in ast.iter_fields(node) if value is not None and value != []}
    if isinstance(node, ast.ClassDef | Function):
        fields["body"] = [statement for statement in node.body if not _is_documentation(statement)]
    return [type(node).__name__, *([name, _shape(value)] for name, value in fields.items())]


def _is_documentation(statement: ast.stmt) -> bool:
    alone = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    return alone and isinstance(statement.value.value, str)


def _imports(tree: ast.Module) -> Iterator[tuple[str, ...]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name,) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.module, alias.name, alias.asname or alias.name) for alias in node.names)


def _modules_named(tree: ast.Module) -> frozenset[str]:
    """Modules that a source imports; of `from a import b` both `a` and `a.b`, whether or not `b` is a module."""
    names = set()
    for node in _executed(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            names.update([node.module, *(f"{node.module}.{alias.name}" for alias in node.names)])
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in PACKAGES:
            names.add(f"{node.value.id}.{node.attr}")  # `infodil.mi`, which the package loads when it is first used
    return frozenset(name for name in names if name.partition(".")[0] in PACKAGES)


def _executed(tree: ast.AST) -> Iterator[ast.AST]:
    """All nodes but those under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if not _is_for_type_checkers(node):
            yield node
            yield from _executed(node)


def _loaded_when_used(tree: ast.Module) -> dict[str, str]:
    blocks = [block for block in tree.body if _is_for_type_checkers(block)]
    return {
        alias.asname or alias.name: node.module
        for block in blocks
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def _is_for_type_checkers(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def _called_on_loading(statements: list[ast.stmt]) -> Iterator[ast.Name]:
    """Names that are called, or stand as decorators or base classes, while statements are loaded."""
    for node in statements:
        if isinstance(node, Function | ast.ClassDef):
            outside = [*node.decorator_list, *getattr(node, "bases", ())]
            yield from (name for root in outside for name in ast.walk(root) if isinstance(name, ast.Name))
            if isinstance(node, ast.ClassDef):
                yield from _called_on_loading(node.body)
        else:
            calls = [call.func for call in ast.walk(node) if isinstance(call, ast.Call)]
            yield from (name for call in calls for name in ast.walk(call) if isinstance(name, ast.Name))
