"""Which of an encoder's states are read, and whether they are states at all."""

__all__ = ["ChosenSites", "check_states", "choose_by_depth", "choose_sites"]

import fnmatch
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from infodil.checks import UserError, check_not_empty, near_matches
from infodil.encoder import Encoder
from infodil.encoders.wrapped import WrappedEncoder

SMALLEST, LARGEST = 1e-36, 1e36
"""Largest number of states that can be standardized in float32."""


def choose_sites(
    wanted: str | int | Iterable[str | int] | None, offered: Sequence[str], *, by_part: bool = False
) -> list[str]:
    """The offered names that match: exact names, shell patterns, or whole numbers counting from either end.

    Args:
        wanted: Names, patterns or numbers; None for all.
        offered: Names of the sites that there are.
        by_part: Whether `*` stands for one part of a name between its dots, so that `layer.*` is not `layer.1.mixer`.

    Returns:
        The chosen names in the order in which they are offered.

    Raises:
        UserError: A name or pattern matches nothing; the message has the near matches.

    Example:
        >>> choose_sites(["layer.*", 0], ["embedding", "layer.1", "layer.2"])
        ['embedding', 'layer.1', 'layer.2']
    """
    if wanted is None:
        return list(offered)
    wanted = as_list(wanted)
    chosen = set()
    for site in wanted:
        if isinstance(site, int):
            found = [offered[site]] if -len(offered) <= site < len(offered) else []
        else:
            found = [site] if site in offered else matches(site, offered, by_part)
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


def choose_by_depth(
    wanted: str | int | Iterable[str | int], depths: Sequence[str], offered: Sequence[str]
) -> list[str]:
    """The offered sites of a model of blocks that are wanted.

    Args:
        wanted: Names, patterns or numbers: a number counts depths, `*` alone stands for all depths and `**` for all
            sites, and a star in a pattern for one part of a name between its dots.
        depths: Names of the residual stream, from the embedding on.
        offered: Names of all sites.

    Returns:
        The chosen names in the order in which they are offered.

    Raises:
        UserError: A name, pattern or number matches nothing.
    """
    wanted = as_list(wanted)
    named: list[str] = []
    for site in wanted:
        named += depths if site == "*" else choose_sites(site, depths) if isinstance(site, int) else [site]
    return choose_sites(named, offered, by_part=True)


def as_list(wanted: Any) -> list[str | int]:
    """Names, patterns and numbers as a list; `UserError` for anything else."""
    if isinstance(wanted, str | int):
        return [wanted]
    sites = list(wanted) if isinstance(wanted, Iterable) else [wanted]
    check_not_empty("sites", sites, "pass at least one name, or leave it out for the usual ones")
    other = next((site for site in sites if not isinstance(site, str | int) or isinstance(site, bool)), None)
    if sites and (other is not None or None in sites):
        raise UserError(
            f"`sites` must be names, patterns or whole numbers, got {other!r}: pass such as ['layer.1'] or [0, 1]."
        )
    return sites


def matches(pattern: str, offered: Sequence[str], by_part: bool) -> list[str]:
    """The offered names that a shell pattern matches, as a whole or part by part; two stars match all."""
    if not by_part or pattern == "**":
        return fnmatch.filter(offered, pattern)
    parts = pattern.split(".")
    split = [(name, name.split(".")) for name in offered]
    return [name for name, own in split if len(own) == len(parts) and all(map(fnmatch.fnmatchcase, own, parts))]


def check_states(states: Any, shape: tuple[int, int], dims: dict[str, int]) -> None:
    """Check that states have the shape of their tokens, the same dims at every call, and finite values.

    Args:
        states: What an encoder gave: site name to states.
        shape: Number of documents and of tokens.
        dims: Site name to length of the states; filled at the first call and compared with later.

    Raises:
        UserError: The states are of another kind or shape, or not finite.
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
        check_form(site, state)
        if dims.setdefault(site, state.shape[2]) != state.shape[2]:
            raise UserError(
                f"`model` gave states of {state.shape[2]} dims at {site!r} after {dims[site]}: "
                "an encoder must keep the shape of its states."
            )
    for site, largest in largest_numbers(states).items():
        if not math.isfinite(largest):
            raise UserError(
                f"`model` gave states that are not finite at {site!r}: "
                "check its weights, or leave the site out with `sites`."
            )
        if largest and not SMALLEST < largest < LARGEST:
            raise UserError(
                f"`model` gave states at {site!r} whose largest number is {largest:.1e}, and their squares are beyond "
                "the numbers of float32: multiply them by a constant."
            )


def check_form(site: str, state: Tensor) -> None:
    """Raise `UserError` for states that are no dense floating-point numbers."""
    if state.layout != torch.strided:
        raise UserError(f"`model` gave sparse states at {site!r}: make them dense by .to_dense().")
    if not state.is_floating_point():
        way_out = "torch.view_as_real(states).flatten(2)" if state.is_complex() else "states.float()"
        raise UserError(f"`model` gave states of {state.dtype} at {site!r}: give floating-point numbers, by {way_out}.")
    if state.shape[2] == 0:
        raise UserError(f"`model` gave states without a number at {site!r}: leave the site out with `sites`.")


def largest_numbers(states: Mapping[str, Tensor]) -> dict[str, float]:
    """The largest magnitude at each site, not finite where any number is not: one copy to the host a device."""
    found = dict.fromkeys(states, 0.0)
    on_device: dict[torch.device, dict[str, Tensor]] = {}
    for site, state in states.items():
        if state.numel():
            # Neither the least nor the greatest of numbers is finite where one of them is nan.
            bounds = torch.stack((state if state.element_size() > 1 else state.float()).detach().aminmax())
            exact = torch.float32 if state.device.type == "mps" else torch.float64
            on_device.setdefault(state.device, {})[site] = bounds.to(exact).abs().amax()
    for largest in on_device.values():
        found |= zip(largest, torch.stack(list(largest.values())).tolist(), strict=True)
    return found


class ChosenSites(WrappedEncoder):
    """An encoder that gives some of another one's sites.

    Args:
        encoder: Encoder to choose from.
        wanted: Names, patterns or numbers as in `choose_sites`.

    Raises:
        UserError: A name or pattern matches nothing.
    """

    def __init__(self, encoder: Encoder, wanted: str | int | Iterable[str | int]) -> None:
        super().__init__(encoder)
        self.wanted = as_list(wanted)
        self.sites = None if encoder.sites is None else tuple(choose_sites(self.wanted, encoder.sites))

    def encode(self, tokens: Tensor) -> Any:
        """The states of the chosen sites."""
        states = self.encoder.encode(tokens)
        if not isinstance(states, Mapping):
            return states  # `check_states` says what is wrong with it
        return {site: states[site] for site in choose_sites(self.wanted, list(states))}

    def fingerprint(self) -> str | None:
        """Hash of the encoder behind and of the choice."""
        known = self.encoder.fingerprint()
        return None if known is None else f"{known} {self.wanted}"
