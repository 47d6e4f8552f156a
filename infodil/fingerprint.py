"""Hashes of Python objects that name what they compute: their values, their code, and the versions of libraries."""

__all__ = ["Unknown", "code_version", "fingerprint", "structure"]

import enum
import functools
import hashlib
import importlib.metadata
import pathlib
import struct
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

NAMED = (torch.dtype, torch.device, torch.Size, torch.layout, torch.memory_format, pathlib.PurePath)
"""Types whose values are told by their names."""

LIBRARIES = tuple(
    str(pathlib.Path(path).resolve())
    for path in {sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")}
)
"""Folders of installed code, which its version identifies; code elsewhere is hashed itself."""

COMPUTING = ("encoder.py", "encoders", "lm", "traces.py")
"""Rooms of infodil whose code computes states and weights."""

NOT_COMPUTED_WITH = {
    "_name_or_path",
    "name_or_path",
    "_commit_hash",
    "transformers_version",
    "generation_config",
    "tokenizer",
}
"""Attributes that say where a model came from or what is done around it: states of given ids do not depend on them."""

REPEATED = {"_flat_weights", "_flat_weight_refs", "_parameters", "_buffers", "_modules", "_compiled_call_impl"}
"""Attributes of a torch module that hold what is hashed by its name anyway, or a compiled copy of it."""


class Unknown(Exception):
    """An object whose value cannot be told, such as an open file or a compiled extension's own type."""


def fingerprint(*objects: Any) -> str | None:
    """SHA-256 of objects by value: numbers, tensors, modules with buffers, attributes and code, functions, classes.

    Two objects with one fingerprint compute the same in one environment, as far as Python can see: files that a
    function opens and the clock are not seen. Nothing depends on addresses or on the order of sets.

    Args:
        objects: What decides a result.

    Returns:
        The hash in hexadecimal, or None where a value cannot be known.

    Example:
        >>> fingerprint({"a": 1, "b": torch.ones(2)}) == fingerprint({"b": torch.ones(2), "a": 1})
        True
        >>> fingerprint(nn.Linear(2, 2)) == fingerprint(nn.Linear(2, 2))
        False
        >>> fingerprint(token for token in "ab") is None
        True
    """
    try:
        return Digest().of(objects)
    except Unknown:
        return None


def structure(module: nn.Module) -> str | None:
    """SHA-256 of a module without the values of its weights: code, attributes, names and shapes of tensors.

    Args:
        module: Model, before or after training.

    Returns:
        The hash in hexadecimal, or None where an attribute cannot be known.

    Example:
        >>> structure(nn.Linear(2, 2)) == structure(nn.Linear(2, 2)) != structure(nn.Linear(2, 3))
        True
    """
    try:
        return Digest(weights=False).of(module)
    except Unknown:
        return None


class Digest:
    """A walk over objects, each of which is visited once.

    Args:
        weights: Whether the values of parameters and buffers count, and the mode of modules.
    """

    def __init__(self, weights: bool = True) -> None:
        self.weights = weights
        self.visited: dict[int, int] = {}
        self.alive: list[Any] = []  # so that no address is used twice during the walk

    def of(self, value: Any) -> str:
        """The hash of one object.

        Raises:
            Unknown: A part of it cannot be told.
        """
        return hashlib.sha256(self.encoded(value)).hexdigest()

    def encoded(self, value: Any) -> bytes:
        """A value as bytes, prefix-free."""
        plain = encoded_plain(value)
        if plain is not None:
            return plain
        if id(value) in self.visited:
            return packed("seen", str(self.visited[id(value)]).encode())
        self.visited[id(value)] = len(self.visited)
        self.alive.append(value)
        return packed(type(value).__qualname__, *self.parts(value))

    def parts(self, value: Any) -> Iterator[bytes]:
        """The bytes of the parts of a container, module, function, class or plain object."""
        if isinstance(value, tuple | list):
            yield from map(self.encoded, value)
        elif isinstance(value, set | frozenset):
            yield from sorted(Digest().encoded(item) for item in value)
        elif isinstance(value, dict | types.MappingProxyType):
            pairs = [(Digest().encoded(key), item) for key, item in value.items()]
            for key, item in sorted(pairs, key=lambda pair: pair[0]):
                yield key
                yield self.encoded(item)
        elif isinstance(value, types.ModuleType):
            yield module_version(value).encode()
        elif isinstance(value, type):
            yield from self.class_parts(value)
        elif isinstance(value, types.MethodType):
            yield from map(self.encoded, (value.__func__, value.__self__))
        elif isinstance(value, functools.partial):
            yield from map(self.encoded, (value.func, value.args, value.keywords))
        elif callable(value) and hasattr(value, "__code__"):
            yield from self.function_parts(value)
        elif isinstance(value, types.BuiltinFunctionType | types.MethodDescriptorType | types.WrapperDescriptorType):
            yield f"{getattr(value, '__module__', None)}.{value.__qualname__}".encode()
        elif isinstance(value, property):
            yield from map(self.encoded, (value.fget, value.fset))
        elif isinstance(value, staticmethod | classmethod):
            yield self.encoded(value.__func__)
        else:
            yield from self.object_parts(value)

    def object_parts(self, value: Any) -> Iterator[bytes]:
        """The class of an object and its state: that of a torch module, or what pickle would keep of any other."""
        if type(value).__name__ == "OptimizedModule":  # of torch.compile
            yield self.encoded(value._orig_mod)
            return
        yield self.encoded(type(value))
        if isinstance(value, torch.jit.ScriptModule | torch.jit.ScriptFunction):
            raise Unknown("compiled TorchScript")
        if isinstance(value, nn.Module):
            for name in ("_parameters", "_buffers", "_modules"):
                part = dict(vars(value)[name])
                if not self.weights and name != "_modules":
                    part = {key: None if each is None else (each.dtype, each.shape) for key, each in part.items()}
                yield self.encoded(part)
            left_out = REPEATED if self.weights else REPEATED | {"training"}
            yield from self.attribute_parts(value, {n: v for n, v in vars(value).items() if n not in left_out})
            return
        try:
            made, arguments, state, *items = (*value.__reduce_ex__(2), None, None, None)[:5]
        except Exception as error:  # whatever a foreign type raises, its state is not to be had
            raise Unknown(f"{type(value).__name__}: {error}") from None
        yield from map(self.encoded, (made, arguments, *(None if each is None else list(each) for each in items)))
        if isinstance(state, dict):
            yield from self.attribute_parts(value, state)
        else:
            yield self.encoded(state)

    def attribute_parts(self, owner: Any, attributes: dict[str, Any]) -> Iterator[bytes]:
        """Attributes by name; a library's own handles that cannot be told are left out."""
        for name in sorted(attributes, key=str):
            if name in NOT_COMPUTED_WITH:
                continue
            try:
                part = self.encoded(attributes[name])
            except Unknown:
                if str(name).startswith("_") and is_library(type(owner).__module__):
                    continue
                raise
            yield str(name).encode()
            yield part

    def class_parts(self, value: type) -> Iterator[bytes]:
        """The name of a class, and its code where no library's version stands for it."""
        yield f"{value.__module__}.{value.__qualname__}".encode()
        if is_library(value.__module__):
            yield library_version(value.__module__).encode()
            return
        yield from map(self.encoded, value.__bases__)
        for name, member in sorted(vars(value).items()):
            if name in ("__dict__", "__weakref__", "__doc__", "__module__", "__firstlineno__", "__slotnames__"):
                continue
            if name.startswith(("_abc_", "__static", "__annotat", "__jaxtyping", "__match_args__", "__dataclass")):
                continue
            yield name.encode()
            yield self.encoded(member)

    def function_parts(self, value: Callable) -> Iterator[bytes]:
        """The code of a function, what it closes over, and the values of the globals that it names."""
        yield f"{value.__module__}.{value.__qualname__}".encode()
        if is_library(value.__module__):
            yield library_version(value.__module__).encode()
            return
        yield encoded_code(value.__code__)
        yield self.encoded((value.__defaults__, value.__kwdefaults__))
        for cell in value.__closure__ or ():
            try:
                yield self.encoded(cell.cell_contents)
            except ValueError:  # not yet filled
                yield b"empty"
        for name in sorted(names_in(value.__code__)):
            if name in value.__globals__:
                yield name.encode()
                yield self.encoded(value.__globals__[name])


def packed(kind: str, *parts: bytes) -> bytes:
    """Parts with their kind and lengths, hashed where they are long."""
    lines = b"".join(struct.pack("<q", len(part)) + part for part in (kind.encode(), *parts))
    return lines if len(lines) <= 256 else b"#" + hashlib.sha256(lines).digest()


def encoded_plain(value: Any) -> bytes | None:
    """Numbers, strings, dtypes, tensors and arrays as bytes; None for other objects."""
    if value is None or value is Ellipsis or isinstance(value, bool | int | float | complex | str | range | slice):
        return packed(type(value).__name__, repr(value).encode("utf-8", "surrogatepass"))
    if isinstance(value, bytes | bytearray):
        return packed("bytes", bytes(value))
    if isinstance(value, enum.Enum):
        return packed("enum", f"{type(value).__qualname__}.{value.name}".encode())
    if isinstance(
        value, torch.dtype | torch.device | torch.Size | torch.layout | torch.memory_format | pathlib.PurePath
    ):
        return packed(type(value).__name__, str(value).encode())
    if isinstance(value, torch.Generator):
        return packed("generator", value.get_state().numpy().tobytes())
    if isinstance(value, Tensor):
        return encoded_tensor(value)
    if isinstance(value, np.ndarray | np.generic):
        if value.dtype.hasobject:
            raise Unknown("an array of objects")
        return packed(
            "array", str(value.dtype).encode(), str(value.shape).encode(), np.ascontiguousarray(value).tobytes()
        )
    if isinstance(value, np.dtype):
        return packed("dtype", str(value).encode())
    return None


def encoded_tensor(value: Tensor) -> bytes:
    """A tensor's dtype, shape and bytes; `Unknown` where it has none of its own."""
    if value.device.type == "meta" or value.layout != torch.strided:
        raise Unknown(f"a tensor on {value.device} of layout {value.layout}")
    held = value.detach().cpu().resolve_conj().resolve_neg().contiguous()
    content = held.reshape(-1).view(torch.uint8).numpy().tobytes() if held.numel() else b""
    return packed(
        "tensor", str(value.dtype).encode(), str(tuple(value.shape)).encode(), hashlib.sha256(content).digest()
    )


def encoded_code(code: types.CodeType) -> bytes:
    """Instructions, constants and names of compiled code, without file and line."""
    constants = [
        encoded_code(constant) if isinstance(constant, types.CodeType) else repr_of_constant(constant)
        for constant in code.co_consts
    ]
    names = [str(part).encode() for part in (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars)]
    return packed("code", code.co_code, *constants, *names)


def repr_of_constant(constant: Any) -> bytes:
    """A constant of compiled code; sets in one order."""
    return repr(sorted(constant, key=repr) if isinstance(constant, frozenset) else constant).encode("utf-8", "replace")


def names_in(code: types.CodeType) -> set[str]:
    """Names that code looks up, in functions inside it too."""
    inner = [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    return set(code.co_names).union(*map(names_in, inner))


@functools.cache
def is_library(module: str | None) -> bool:
    """Whether code comes from the standard library, an installed package, or infodil itself."""
    top = (module or "builtins").partition(".")[0]
    if top == "infodil" or top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return top != "__main__"
    file = getattr(sys.modules.get(top), "__file__", None)
    return file is not None and str(pathlib.Path(file).resolve()).startswith(LIBRARIES)


@functools.cache
def library_version(module: str | None) -> str:
    """The version of an installed package; of infodil, a hash of its code."""
    top = (module or "builtins").partition(".")[0]
    if top == "infodil":
        return code_version(*COMPUTING)
    if top in sys.builtin_module_names or top in sys.stdlib_module_names:
        return sys.version
    try:
        distributions = importlib.metadata.packages_distributions().get(top, [top])
        return " ".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(distributions)))
    except importlib.metadata.PackageNotFoundError:
        return str(getattr(sys.modules.get(top), "__version__", "unknown"))


def module_version(module: types.ModuleType) -> str:
    """The name of a module and its version, or a hash of its file where it belongs to no library."""
    if is_library(module.__name__):
        return f"{module.__name__} {library_version(module.__name__)}"
    file = getattr(module, "__file__", None)
    if file is None:
        raise Unknown(f"the module {module.__name__}")
    return f"{module.__name__} {hashlib.sha256(pathlib.Path(file).read_bytes()).hexdigest()}"


@functools.cache
def code_version(*rooms: str) -> str:
    """A hash of infodil's own code.

    Args:
        rooms: Files and folders of the package that count; all by default.

    Returns:
        The hash in hexadecimal.
    """
    root = pathlib.Path(__file__).parent
    total = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        if not rooms or path.relative_to(root).parts[0] in rooms:
            total.update(str(path.relative_to(root)).encode() + path.read_bytes())
    return total.hexdigest()
