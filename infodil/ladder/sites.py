"""The measured sites of an encoder, and the same sites of its copy with random weights."""

__all__ = ["MeasuredSites", "control_of", "is_control", "site_of"]

from collections.abc import Collection
from dataclasses import dataclass, field

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError
from infodil.encoders import Encoder, EncoderInParts, check_states, self_test

CONTROL = "random weights of "
"""Prefix that names the site of the copy with random weights."""


def control_of(site: str) -> str:
    """The name of the same site of the encoder with random weights.

    Args:
        site: Name of a measured site.

    Returns:
        A name that no encoder gives.
    """
    return CONTROL + site


def is_control(site: str) -> bool:
    """Whether a site is one of the encoder with random weights.

    Args:
        site: Name of a measured site, or one of `control_of`.

    Returns:
        True for the names of `control_of`.
    """
    return site.startswith(CONTROL)


def site_of(name: str) -> str:
    """The site that a name stands for, the prefix of a control taken off."""
    return name.removeprefix(CONTROL)


@dataclass(frozen=True, eq=False)
class MeasuredSites:
    """An encoder with the dims of its measured sites, and its copy with random weights where there is one."""

    encoder: EncoderInParts
    dims: dict[str, int]
    """Numbers that are read of a state, by site: all, or those of its sketch."""
    control: EncoderInParts | None = None
    """The encoder with random weights."""
    control_dims: dict[str, int] = field(default_factory=dict)
    """Numbers in a state of the control, by the names of `control_of`."""

    @classmethod
    def of(
        cls,
        encoder: Encoder,
        control: Encoder | None = None,
        length: int = 6,
        sketch_dims: int | None = None,
        seed: int = 0,
    ) -> "MeasuredSites":
        """All sites of an encoder, which is tested on random tokens.

        States that are sketched are tested twice: each of their numbers on a few tokens, and their sketch on as many
        tokens as the corpus has.

        Args:
            encoder: The encoder to measure.
            control: The same encoder with random weights, where there is one.
            length: Number of tokens of the longest document that will be measured.
            sketch_dims: Numbers of the sketch of wider states; None to read all states whole.
            seed: Seed of the sketch.

        Returns:
            The sites with their dims.

        Raises:
            UserError: The encoder sees later tokens or other documents, or a site has the name of a control.
        """
        read = EncoderInParts(encoder, sketch_dims, seed)
        if sketch_dims is not None:
            with torch.no_grad():
                read.encode(torch.zeros(1, min(2, length, encoder.longest or length), dtype=torch.long))
        if read.sketched:
            self_test(EncoderInParts(encoder))
        dims = self_test(read, length)
        taken = next(filter(is_control, dims), None)
        if taken is not None:
            raise UserError(f"`model` has a site {taken!r}, a name that reports give to a control: rename it.")
        if control is None:
            return cls(read, dims)
        other = EncoderInParts(control, sketch_dims, seed)
        random = self_test(other)
        return cls(read, dims, other, {control_of(site): random[site] for site in dims if site in random})

    @torch.no_grad()
    def encode(
        self, tokens: Int[Tensor, "documents tokens"], wanted: Collection[str] | None = None
    ) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """States of the measured sites, and of their controls unless `wanted` names none of them."""
        shape = tuple(tokens.shape)
        encoded = self.encoder.encode(tokens)
        states = {site: encoded[site] for site in self.dims if site in encoded}
        check_states(states, shape, dict(self.dims))
        if self.control is None or not (wanted is None or any(map(is_control, wanted))):
            return states
        random = self.control.encode(tokens)
        control = {name: random[site_of(name)] for name in self.control_dims if site_of(name) in random}
        check_states(control, shape, dict(self.control_dims))
        return states | control
