"""From what a person types to an encoder."""

__all__ = ["BUILT_IN", "load_encoder"]

from collections.abc import Callable, Iterable
from pathlib import Path

import torch
from torch import nn

from infodil.checks import UserError, near_matches
from infodil.encoders.attention import AttentionEncoder
from infodil.encoders.encoder import Encoder
from infodil.encoders.gated import GRUEncoder
from infodil.encoders.huggingface import HuggingFaceEncoder, load_huggingface
from infodil.encoders.module import ModuleEncoder
from infodil.encoders.shift_register import ShiftRegisterEncoder
from infodil.encoders.trace import TraceEncoder


def ema(vocabulary: int, alpha: float = 0.1, **options: object) -> TraceEncoder:
    """One EMA trace."""
    return TraceEncoder(vocabulary, (alpha,), **options)


def ema_bank(vocabulary: int, alphas: Iterable[float] = (0.5, 0.1, 0.02), **options: object) -> TraceEncoder:
    """EMA traces at several time scales; the defaults are those of arXiv 2604.08556."""
    return TraceEncoder(vocabulary, tuple(alphas), **options)


BUILT_IN: dict[str, Callable[..., Encoder]] = {
    "ema": ema,
    "ema_bank": ema_bank,
    "shift_register": ShiftRegisterEncoder,
    "gru": GRUEncoder,
    "attention": AttentionEncoder,
}
"""Name to encoder, made with `vocabulary`, `seed`, `device` and the options of each."""


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
            weights), an `Encoder`, a `torch.nn.Module` with `sites`, or the id or local folder of a Hugging Face
            causal language model.
        vocabulary: How many types; needed by the built-in ones, else read off the model.
        sites: For a torch module the submodules to listen to, for a Hugging Face model the depths (or, where it is
            passed in, its submodules).
        seed: Of random weights and token vectors.
        device: Where a model loaded here runs. A module that is passed in stays where it is.
        dtype: Of the weights of a model loaded here.
        options: Of the built-in encoder (`alpha`, `alphas`, `dim`, `window`, ...), or of `load_huggingface`.

    Raises:
        UserError: The model is none of these, lacks a vocabulary or sites, or cannot be loaded.

    Example:
        >>> load_encoder("ema", vocabulary=100, alpha=0.5, dim=8).sites
        ('ema',)
    """
    if isinstance(model, str) and model in BUILT_IN:
        if vocabulary is None:
            raise UserError(f"`vocabulary` must be given for the built-in model {model!r}, got None.")
        try:
            return BUILT_IN[model](vocabulary, seed=seed, device=device, **options)
        except UserError:
            raise
        except (TypeError, ValueError) as error:
            words = str(error).split(") ")[-1].split("\n")[0].rstrip(".")
            raise UserError(f"`model` {model!r} does not take these options: {words}.") from None
    if isinstance(model, str | Path):
        if "/" not in str(model) and not Path(model).exists() and "did you" in near_matches(model, BUILT_IN):
            raise UserError(f"`model` {model!r} is no built-in name{near_matches(model, BUILT_IN)}")
        return load_huggingface(model, sites, device=device, dtype=dtype, **options)
    if isinstance(model, Encoder):
        check_options(model, options, ())
        return model
    if isinstance(model, nn.Module):
        check_options(model, options, ("tokenizer",))
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
    """A Hugging Face model at the depths named by `sites`, else at the submodules of these names."""
    sites = list(sites) if isinstance(sites, Iterable) and not isinstance(sites, str) else sites
    try:
        return HuggingFaceEncoder(model, sites, **options)
    except UserError:
        if sites is None or isinstance(sites, int) or (isinstance(sites, list) and not all(map(is_name, sites))):
            raise
    return ModuleEncoder(model, sites, vocabulary, **options)


def is_name(site: object) -> bool:
    """Whether a site is named rather than numbered."""
    return isinstance(site, str)
