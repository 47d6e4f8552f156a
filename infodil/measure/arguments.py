"""Checks of the arguments of a measurement, made before anything is read."""

__all__ = [
    "check_cache",
    "check_device",
    "check_dtype",
    "check_fit",
    "check_lags",
    "check_numbers",
    "check_sites",
    "open_corpus",
]

from collections.abc import Iterable
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import torch

from infodil.checks import UserError, check_confidence, check_not_empty, check_seed, check_whole, check_writable
from infodil.corpus import Corpus, Tokens, load_corpus
from infodil.encoders import Encoder
from infodil.precision import check_precision


def check_numbers(precision: object, batch_size: object, seed: object, confidence: float, sketch_dims: object) -> None:
    """Raise `UserError` unless each is in its range."""
    check_precision(precision)
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    check_seed(seed)
    check_confidence(confidence)
    if sketch_dims is not None:
        check_whole("sketch_dims", sketch_dims, 1, "pass the numbers of a sketch, or None to read all states whole")


def open_corpus(corpus: object) -> Corpus:
    """`load_corpus`, its complaints in the words of this call."""
    try:
        return load_corpus(corpus)
    except UserError as error:
        raise UserError(str(error).replace("`source`", "`corpus`")) from None


def check_sites(sites: str | int | Iterable[str | int] | None) -> tuple[str | int, ...] | None:
    """The sites as a tuple; None for all."""
    if sites is None:
        return None
    return tuple(sites) if isinstance(sites, Iterable) and not isinstance(sites, str) else (sites,)


def check_cache(cache_dir: str | Path | None) -> None:
    """Refuse a folder that cannot be written, before anything is read."""
    if cache_dir is not None:
        check_writable("cache_dir", cache_dir)


def check_lags(lags: Iterable[SupportsIndex] | SupportsIndex) -> tuple[int, ...]:
    """Distinct whole numbers of at least zero, ascending."""
    lags = list(lags) if isinstance(lags, Iterable) else [lags]
    check_not_empty("lags", lags, "pass at least one, such as lags=range(17)")
    lags = [int(lag) if isinstance(lag, np.integer) else lag for lag in lags]
    for lag in lags:
        check_whole("lags", lag, 0, "a state is asked for tokens it has seen")
    return tuple(sorted(set(lags)))


def check_device(device: str | torch.device | None) -> torch.device:
    """The device, if it is there."""
    try:
        chosen = torch.device(device or "cpu")
        torch.empty(0, device=chosen).cpu()  # the meta device has no numbers to give
    except (RuntimeError, AssertionError, TypeError):
        raise UserError(f"`device` {str(device)!r} is not there: pass 'cpu' or one that torch can see.") from None
    return chosen


def check_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """A floating-point torch dtype, or its name."""
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if chosen is None and dtype is None:
        return None
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise UserError(f"`dtype` must be a floating-point torch dtype or its name, got {dtype!r}: try 'bfloat16'.")
    return chosen


def check_fit(encoder: Encoder, tokens: Tokens) -> None:
    """The encoder can read these tokens, and the sequences are long enough for the lags."""
    longest = encoder.longest
    if longest is not None and longest < tokens.max_length:
        needed = max(int(split.lengths.max()) for split in tokens.splits.values())
        if needed > longest:
            raise UserError(
                f"`corpus` has sequences of {needed} tokens, but the model reads at most {longest}: "
                f"pass load_corpus(..., max_length={longest})."
            )
    if tokens.tokenizer is not None and tokens.vocabulary > encoder.vocabulary:
        largest = max(int(split.tokens.max()) for split in tokens.splits.values())
        if largest >= encoder.vocabulary:
            raise UserError(
                f"`corpus` has the token id {largest}, but the model's vocabulary has {encoder.vocabulary}: "
                "tokenise with the model's own tokenizer."
            )
