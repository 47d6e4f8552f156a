"""Checks of a command line that need nothing but the words typed: a mistake is answered before torch is imported."""

__all__ = [
    "check_corpus",
    "check_device_name",
    "check_folder",
    "check_measurement",
    "check_precision_name",
    "read_kinds",
    "read_lags",
    "read_options",
    "read_sketch_dims",
]

import argparse
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from infodil.checks import (
    UserError,
    check_confidence,
    check_not_empty,
    check_one_of,
    check_seed,
    check_whole,
    check_writable,
    is_there,
    near_matches,
)
from infodil.cli.names import encoder_names, encoder_options, precision_names, probe_summaries

NO_FILES = "-"
"""In place of a folder: no file is written."""

PRECISION_NICKNAMES = {
    "fp64": "float64", "double": "float64", "fp32": "float32", "float": "float32", "single": "float32",
    "fp16": "float16", "half": "float16", "bf16": "bfloat16", "fp8": "float8_e4m3", "float8": "float8_e4m3",
    "int": "int8",
}  # fmt: skip
"""Common names of precisions under other names here."""

FLOATING = ("float64", "float32", "float16", "bfloat16")
"""Types of the weights of a model."""

CONTEXT_NAMES = ("ngram", "lm")
"""Context models that have a name."""

KIND_NAMES = ("frequency", "surface")
"""Kinds of hidden token that have a name."""

DEVICES = ("cpu", "cuda", "mps", "xpu", "hpu", "npu", "xla", "ipu", "mtia", "privateuseone")
"""Types of devices that some build of torch knows."""


def check_folder(folder: str, needed: bool = False) -> None:
    """Refuse a folder that cannot be written, by writing into it, before hours are spent.

    Args:
        folder: The folder typed after `--out`; what has to be made for the test is removed again.
        needed: Whether the command cannot do without a folder.

    Raises:
        UserError: Where the folder cannot be made or written.
    """
    if folder == NO_FILES and not needed:
        return
    if folder == NO_FILES:
        raise UserError(f"`--out` {folder!r} keeps no files, and this command needs them: pass a folder.")
    check_writable("--out", folder)


def read_lags(text: str) -> list[int]:
    """Lags from text.

    Args:
        text: Whole numbers and ranges, separated by commas.

    Returns:
        The lags.

    Raises:
        UserError: Where the text is something else.

    Example:
        >>> read_lags("0-3,8")
        [0, 1, 2, 3, 8]
    """
    lags: list[int] = []
    for part in text.split(","):
        first, dash, last = part.strip().partition("-")
        if not first.isdecimal() or (dash and not (last.isdecimal() and int(first) <= int(last))):
            raise UserError(f"`--lags` must be whole numbers and ranges, got {text!r}: pass such as 0-16 or 0,1,2,4.")
        lags.extend(range(int(first), int(last) + 1) if dash else [int(first)])
    return lags


def read_sketch_dims(text: str) -> int | None:
    """Numbers of a sketch from text; None from `none`.

    Args:
        text: A whole number of at least one, or `none`.

    Returns:
        The number, or None.

    Raises:
        UserError: Where the text is something else.
    """
    if text.strip().lower() == "none":
        return None
    if not text.strip().isdecimal() or int(text) < 1:
        raise UserError(
            f"`--sketch-dims` must be a whole number of at least 1, got {text!r}: pass such as 4096, or none."
        )
    return int(text)


def read_options(given: Sequence[str]) -> dict[str, Any]:
    """Options of a model from text, each value as JSON reads it, else as it is.

    Args:
        given: Items such as `alpha=0.5`.

    Returns:
        The values by name.

    Raises:
        UserError: Where an item is not a name and a value.

    Example:
        >>> read_options(["alpha=0.5", "alphas=[0.5, 0.1]"])
        {'alpha': 0.5, 'alphas': [0.5, 0.1]}
    """
    options: dict[str, Any] = {}
    for item in given:
        name, equals, value = item.partition("=")
        if not equals or not name.isidentifier():
            raise UserError(f"`--set` must be NAME=VALUE, got {item!r}: pass such as alpha=0.5.")
        try:
            options[name] = json.loads(value)
        except json.JSONDecodeError:
            options[name] = value
    return options


def read_kinds(given: str | None) -> str | dict[int | str, str] | None:
    """Kinds of hidden token by name, or from a JSON file that holds an object from token text, or id, to a name.

    Args:
        given: What was typed after `--by`, or None.

    Returns:
        A name or a mapping; keys that are whole numbers are ids.

    Raises:
        UserError: Where the name is none, or the file is not such an object.

    Example:
        >>> read_kinds("surface")
        'surface'
    """
    if given is None or given in KIND_NAMES:
        return given
    if not Path(given).is_file():
        raise UserError(f"`--by` {given!r} is no kind and no file{near_matches(given, KIND_NAMES)}")
    try:
        named = json.loads(Path(given).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(
            f"`--by` {Path(given).name!r} is no JSON ({str(error).splitlines()[0]}): pass one object."
        ) from None
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise UserError(f'`--by` {Path(given).name!r} must hold an object such as {{"he": "pronoun"}}: pass one.')
    return {int(key) if key.isdecimal() else key: name for key, name in named.items()}


def check_measurement(options: argparse.Namespace) -> None:
    """Refuse options of a measurement that no model and no text could make right.

    Args:
        options: The parsed options of `infodil recoverability`.

    Raises:
        UserError: For the first option that is wrong.
    """
    check_folder(options.out)
    if options.cache_dir is not None:
        check_writable("cache_dir", options.cache_dir)
    if options.states is None:
        check_model(options.model)
        check_options(options.model, read_options(options.set))
        check_corpus(options.corpus)
    check_probes(options.probes)
    check_precision_name(options.precision)
    check_dtype_name(options.dtype)
    check_device_name(options.device)
    check_one_of("context", options.context, CONTEXT_NAMES)
    check_confidence(options.confidence)
    check_seed(options.seed)
    check_whole("batch_size", options.batch_size, 1, "pass 1 or more")
    check_whole("max_tokens", options.max_tokens, 1, "pass the number of tokens to read")
    check_whole("max_length", options.max_length, 2, "a sequence needs a past and a present: pass 2 or more")
    if options.vocabulary is not None:
        check_whole("vocabulary", options.vocabulary, 1, "pass the number of token ids")


def check_model(model: str) -> None:
    """Refuse a name that is nearly that of a built-in encoder."""
    names = encoder_names()
    if model not in names and "/" not in model and not is_there(model):
        advice = near_matches(model, names)
        if advice != ".":
            raise UserError(f"`model` {model!r} is no built-in name{advice}")


def check_options(model: str, given: Mapping[str, Any]) -> None:
    """Refuse an option that a built-in encoder does not have."""
    known = encoder_options(model)
    for name in given if known is not None else ():
        if name not in known:
            raise UserError(
                f"`--set` {name!r} is none that {model!r} has (it has {', '.join(known)}){near_matches(name, known)}"
            )


def check_corpus(corpus: str) -> None:
    """Refuse a text that is nearly the name of the built-in one or of a file, without asking a hub for it."""
    if corpus == "sample" or is_there(corpus) or "/" in corpus:
        return
    advice = near_matches(corpus, ["sample", *(path.name for path in Path().iterdir() if path.name != corpus)])
    if advice != ".":
        raise UserError(f"`corpus` {corpus!r} is not there{advice}")


def check_probes(probes: Sequence[str]) -> None:
    """Refuse a probe that is not registered."""
    names = list(probe_summaries())
    check_not_empty("probes", probes, f"pass some of {', '.join(names)}, or 'auto'")
    for probe in probes:
        check_one_of("probes", probe, [*names, "auto"])


def check_precision_name(precision: str) -> None:
    """Refuse a precision that is neither a format nor a signal-to-noise ratio."""
    names = precision_names()
    if precision in names or re.fullmatch(r"snr=.+dB", precision):
        return
    nickname = PRECISION_NICKNAMES.get(precision.lower())
    advice = f": did you mean {nickname!r}?" if nickname else near_matches(precision, names)
    formats = ", ".join(map(repr, names))
    advice = ": pass one of these, such as 'float32'." if advice == "." else advice
    raise UserError(f"`precision` must be one of {formats} or 'snr=<number>dB', got {precision!r}{advice}")


def check_dtype_name(dtype: str | None) -> None:
    """Refuse weights of a type that is not floating-point."""
    if dtype is not None and dtype not in FLOATING:
        nickname = PRECISION_NICKNAMES.get(dtype.lower())
        advice = f"did you mean {nickname!r}?" if nickname in FLOATING else "try 'bfloat16'."
        raise UserError(f"`dtype` must be a floating-point torch dtype or its name, got {dtype!r}: {advice}")


def check_device_name(device: str | None) -> None:
    """Refuse a device that no torch has."""
    if device is not None and device.partition(":")[0] not in DEVICES:
        raise UserError(f"`device` {device!r} is not there: pass 'cpu' or one that torch can see.")
