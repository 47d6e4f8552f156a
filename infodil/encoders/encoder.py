"""What an encoder is: tokens in, one state a position out."""

__all__ = ["Encoder", "check_states", "choose_sites", "fingerprint", "self_test", "superposition"]

import fnmatch
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from infodil.checks import UserError, check_not_empty, near_matches


@runtime_checkable
class Encoder(Protocol):
    """Anything with a vocabulary that turns token ids into states.

    States are causal: the state at position t depends on the tokens up to and including t of its own document.
    An encoder may also have `sites` (the names it can give, cheaper to ask for than to encode), `tokenizer`,
    `longest` (the most tokens of a document it can read at once), `costly` (`False` says that encoding again is
    cheaper than keeping the states on disk), `superposition(site)` (token vectors `[vocabulary, dim]` and weights
    `[scales, lags]` where the states are weighted sums of the vectors, else None), and `randomised(seed)` (the same
    encoder with random weights, or None).
    """

    vocabulary: int

    def encode(self, tokens: Tensor) -> dict[str, Tensor]:
        """Token ids `[documents, tokens]` to site name -> states `[documents, tokens, dim]`."""
        ...


def choose_sites(wanted: str | int | Iterable[str | int] | None, offered: Sequence[str]) -> list[str]:
    """The offered names that match: exact names, shell patterns, or whole numbers counting from either end.

    Raises:
        UserError: A name or pattern matches nothing; the message has the near matches.

    Example:
        >>> choose_sites(["layer.*", 0], ["embedding", "layer.1", "layer.2"])
        ['embedding', 'layer.1', 'layer.2']
    """
    if wanted is None:
        return list(offered)
    wanted = [wanted] if isinstance(wanted, str | int) else list(wanted)
    check_not_empty("sites", wanted, "pass at least one name, or leave it out for all that the model offers")
    chosen = set()
    for site in wanted:
        if isinstance(site, int):
            found = [offered[site]] if -len(offered) <= site < len(offered) else []
        else:
            found = [site] if site in offered else fnmatch.filter(offered, site)
        if not found:
            close = near_matches(site, offered)
            hint = (
                close
                if "did you mean" in close
                else f": there are {', '.join(map(repr, offered[:8]))}"
                + (f" and {len(offered) - 8} more." if len(offered) > 8 else ".")
            )
            raise UserError(f"`sites` has {site!r}, which the model does not have{hint}")
        chosen.update(found)
    return [site for site in offered if site in chosen]


def check_states(states: Any, shape: tuple[int, int], dims: dict[str, int]) -> None:
    """Raise `UserError` unless the states have the shape of their tokens, the usual dims, and finite values.

    `dims` is filled at the first call and compared with later.
    """
    if not isinstance(states, Mapping) or not states or not all(isinstance(s, Tensor) for s in states.values()):
        got = sorted({type(s).__name__ for s in states.values()}) if isinstance(states, Mapping) else None
        raise UserError(
            f"`model` gave {type(states).__name__ if got is None else f'a dictionary of {got}'} in place of states: "
            "an encoder must give a dictionary of tensors, {site: [documents, tokens, dim]}."
        )
    if dims and set(dims) != set(states):
        raise UserError(
            f"`model` gave the sites {sorted(states)} after {sorted(dims)}: an encoder must give the same every time."
        )
    for site, state in states.items():
        if state.dim() != 3 or tuple(state.shape[:2]) != shape:
            raise UserError(
                f"`model` gave states of shape {tuple(state.shape)} at {site!r} for tokens of shape {shape}: "
                "an encoder must give [documents, tokens, dim]."
            )
        if dims.setdefault(site, state.shape[2]) != state.shape[2]:
            raise UserError(
                f"`model` gave states of {state.shape[2]} dims at {site!r} after {dims[site]}: "
                "an encoder must keep the shape of its states."
            )
        if not torch.isfinite(state).all():
            raise UserError(
                f"`model` gave states that are not finite at {site!r}: "
                "check its weights, or leave the site out with `sites`."
            )


@torch.no_grad()
def self_test(encoder: Encoder, length: int = 6, seed: int = 0) -> dict[str, int]:
    """The dims of every site; raises `UserError` if a state sees a later token or another document.

    Three random documents are encoded together, then with the outer two changed, then with the end of the middle one
    changed. The first states of the middle one may move by rounding only. It stands in the middle because a model
    that takes documents for time carries the one before into it, and not into the first.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(length, getattr(encoder, "longest", None) or length)
    tokens = torch.randint(encoder.vocabulary, (3, length), generator=generator)
    changed = tokens.clone()
    changed[[0, 2]] = (tokens[[0, 2]] + 1) % encoder.vocabulary
    kept = max(1, length // 2)
    dims: dict[str, int] = {}
    first = encoder.encode(tokens.clone())
    check_states(first, tuple(tokens.shape), dims)
    before = {site: state.clone() for site, state in first.items()}
    for what, other in (("another document", changed), ("a later token", late(tokens, kept, encoder.vocabulary))):
        after = encoder.encode(other)
        check_states(after, tuple(tokens.shape), dims)
        for site, state in before.items():
            scale = float(state[1].abs().max())
            moved = float((state[1, :kept] - after[site][1, :kept]).abs().max())
            # Different shapes of the same arithmetic differ by rounding, half precision included.
            if moved > 0.02 * scale:
                raise UserError(
                    f"`model` gives states at {site!r} that change by {moved:.2g} with {what}: "
                    "pass a causal model that reads [documents, tokens] (batch_first=True)."
                )
    return dims


def late(tokens: Tensor, kept: int, vocabulary: int) -> Tensor:
    """The same tokens with another end of the middle document."""
    other = tokens.clone()
    other[1, kept:] = (tokens[1, kept:] + 1) % vocabulary
    return other


def superposition(encoder: Encoder, site: str) -> tuple[Tensor, Tensor] | None:
    """Token vectors `[vocabulary, dim]` and weights `[scales, lags]` where an encoder says that a site sums them."""
    told = getattr(encoder, "superposition", None)
    return told(site) if told is not None else None


def fingerprint(encoder: Encoder) -> str | None:
    """A hash of what an encoder computes, to name stored states by; None where it cannot be known."""
    described = getattr(encoder, "fingerprint", None)
    if described is not None:
        return described()
    module = encoder if isinstance(encoder, nn.Module) else getattr(encoder, "module", None)
    return hash_tensors(module.state_dict(), repr(module)) if isinstance(module, nn.Module) else None


def hash_tensors(tensors: dict[str, Tensor], words: str) -> str:
    """A hash of named tensors and of some words."""
    digest = hashlib.sha256(words.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().reshape(-1).contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
