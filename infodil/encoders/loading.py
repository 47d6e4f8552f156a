"""From what a person types to an encoder, and the registry of built-in ones."""

__all__ = ["ENCODERS", "load_encoder"]

import fnmatch
from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from infodil.checks import UserError, is_there, near_matches
from infodil.encoder import Encoder, EncodesTokens
from infodil.encoders.custom import as_encoder
from infodil.encoders.huggingface import HuggingFaceEncoder
from infodil.encoders.huggingface_files import load_huggingface
from infodil.encoders.language_models import attention, gru
from infodil.encoders.module import ModuleEncoder
from infodil.encoders.reference.model import reference
from infodil.encoders.rwkv5 import is_rwkv5, load_rwkv5
from infodil.encoders.shift_register import ShiftRegisterEncoder
from infodil.encoders.sites import ChosenSites
from infodil.encoders.trace import TraceEncoder


def ema(vocabulary: int, alpha: float = 0.1, **options: object) -> TraceEncoder:
    """One EMA trace."""
    return TraceEncoder(vocabulary, (alpha,), **options)


def ema_bank(vocabulary: int, alphas: Iterable[float] = (0.5, 0.1, 0.02), **options: object) -> TraceEncoder:
    """EMA traces at several time scales; the defaults are those of arXiv 2604.08556."""
    return TraceEncoder(vocabulary, tuple(alphas), **options)


ENCODERS: dict[str, Callable[..., EncodesTokens]] = {
    "ema": ema,
    "ema_bank": ema_bank,
    "shift_register": ShiftRegisterEncoder,
    "gru": gru,
    "attention": attention,
    "fofe": reference("fofe"),
    "lmu": reference("lmu"),
    "hippo": reference("hippo"),
    "echo_state": reference("echo_state"),
    "lstm": reference("lstm"),
    "gated_linear_attention": reference("gated_linear_attention"),
    "selective_ssm": reference("selective_ssm"),
    "delta_rule": reference("delta_rule"),
    "window_attention": reference("window_attention"),
}
"""Built-in encoders by name, each called with `vocabulary`, `seed`, `device` and its own options.

One line adds an encoder: `load_encoder`, `recoverability` and the command line read this table.
"""


MODULE_OPTIONS = ("tokenizer", "inputs", "forward_options")
"""Options of a torch module that is passed in."""


def load_encoder(
    model: object,
    *,
    vocabulary: int | None = None,
    sites: str | int | Iterable[str | int] | None = None,
    seed: int = 0,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    **options: object,
) -> Encoder:
    """An encoder from a built-in name, an encoder, a torch module, or a Hugging Face id or folder.

    Args:
        model: A built-in name (`ema`, `ema_bank`, `shift_register`, `gru`, `attention`: the last two with random
            weights), an `Encoder` or any object with `vocabulary` and `encode`, a `torch.nn.Module` with `sites`, or
            the id or local folder of a Hugging Face causal language model.
        vocabulary: Number of token types, for built-in encoders; others are asked for it.
        sites: Names, patterns or numbers of the states to give; the submodules to listen to of a torch module; the
            depths, or submodules, of a Hugging Face model.
        seed: Seed of random weights and token vectors.
        device: Device of a model made here; a module that is passed in stays where it is.
        dtype: Type of the weights of a model loaded here.
        options: Options of the built-in encoder (`alpha`, `alphas`, `dim`, `window`, ...), of `load_huggingface`, or of
            a torch module (`inputs`, `forward_options`, `tokenizer`; see `ModuleEncoder`).

    Returns:
        An encoder with every member of `Encoder`, which gives the chosen sites alone.

    Raises:
        UserError: The model is none of these, lacks a vocabulary or sites, or cannot be loaded.

    Example:
        >>> load_encoder("ema", vocabulary=100, alpha=0.5, dim=8).sites
        ('ema',)
    """
    if isinstance(model, str) and model in ENCODERS:
        if vocabulary is None:
            raise UserError(f"`vocabulary` must be given for the built-in model {model!r}, got None.")
        try:
            encoder = as_encoder(ENCODERS[model](vocabulary, seed=seed, device=device, **options))
        except UserError:
            raise
        except (TypeError, ValueError) as error:
            words = str(error).split(") ")[-1].split("\n")[0].rstrip(".")
            raise UserError(f"`model` {model!r} does not take these options: {words}.") from None
        return encoder if sites is None else ChosenSites(encoder, sites)
    if isinstance(model, str | Path):
        if "/" not in str(model) and not is_there(model) and "did you" in near_matches(model, ENCODERS):
            raise UserError(f"`model` {model!r} is no built-in name{near_matches(model, ENCODERS)}")
        if is_rwkv5(Path(model)):
            check_options(model, options, ())
            return load_rwkv5(Path(model), sites, device=device, dtype=dtype)
        return load_huggingface(model, sites, device=device, dtype=dtype, **options)
    if isinstance(model, EncodesTokens):
        check_options(model, options, ())
        return as_encoder(model) if sites is None else ChosenSites(as_encoder(model), sites)
    if isinstance(model, nn.Module):
        check_options(model, options, MODULE_OPTIONS)
        if hasattr(model, "get_input_embeddings") and hasattr(model, "config"):
            return from_memory(model, sites, vocabulary, **options)
        return ModuleEncoder(model, sites, vocabulary, **options)
    raise UserError(
        f"`model` must be a name, an Encoder or a torch.nn.Module, got {type(model).__name__}: "
        "give it `vocabulary` and `encode(tokens)`."
    )


def check_options(model: object, options: Iterable[str], known: Iterable[str]) -> None:
    """Raise `UserError` for an option of a model that is made already: a misspelt argument must not be lost."""
    for name in options:
        if name not in known:
            raise UserError(
                f"`{name}` is an option of a model loaded by its name, and `model` is a {type(model).__name__} made "
                "already: leave it out, or check its spelling."
            )


def from_memory(
    model: nn.Module, sites: str | int | Iterable[str | int] | None, vocabulary: int | None, **options: object
) -> Encoder:
    """A Hugging Face model at the sites that are named by block, or at submodules where all names are of these."""
    sites = list(sites) if isinstance(sites, Iterable) and not isinstance(sites, str) else sites
    wanted = sites if isinstance(sites, list) else [sites]
    if not options.keys() & {"inputs", "forward_options"}:
        try:
            return HuggingFaceEncoder(model, sites, **options)
        except UserError:
            names = [name for name, _ in model.named_modules()]
            if not all(isinstance(site, str) and fnmatch.filter(names, site.partition("[")[0]) for site in wanted):
                raise
    # No cache of keys and values, and no head where every site is inside the model that the head stands on.
    options["forward_options"] = {"use_cache": False} | dict(options.get("forward_options") or {})
    inner = f"{model.base_model_prefix}."
    if model.base_model is not model and all(isinstance(site, str) and site.startswith(inner) for site in wanted):
        options["prefix"] = inner
    return ModuleEncoder(model, sites, vocabulary, **options)
