"""The test of an encoder before a measurement: shapes, causality, and independence of the documents."""

__all__ = ["self_test"]

import torch
from torch import Tensor

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.sites import check_states

LARGEST_SHARE = 0.02
"""Largest change allowed, as a share of a site's largest absolute state: rounding in half precision stays below it."""


@torch.no_grad()
def self_test(encoder: Encoder, length: int = 6, seed: int = 0) -> dict[str, int]:
    """Numbers in a state at every site of an encoder that is causal and keeps documents apart.

    Three random documents are encoded together, then with the outer two changed, then with the end of the middle one
    changed. The first states of the middle one may move by rounding only. It stands in the middle because a model
    that takes documents for time carries the one before into it, and not into the first.

    Args:
        encoder: Encoder to test.
        length: Number of tokens of each document.
        seed: Seed of the random tokens.

    Returns:
        Site name to the length of its states.

    Raises:
        UserError: States of a wrong shape, or a state that moves with a later token or another document.
    """
    generator = torch.Generator().manual_seed(seed)
    length = min(length, encoder.longest or length)
    tokens = torch.randint(encoder.vocabulary, (3, length), generator=generator)
    changed = tokens.clone()
    changed[[0, 2]] = (tokens[[0, 2]] + 1) % encoder.vocabulary
    kept = max(1, length // 2)
    dims: dict[str, int] = {}
    first = encoder.encode(tokens.clone())
    check_states(first, tuple(tokens.shape), dims)
    before = {site: state.clone() for site, state in first.items()}
    for what, other in (
        ("another document", changed),
        ("a later token", with_other_end(tokens, kept, encoder.vocabulary)),
    ):
        after = encoder.encode(other)
        check_states(after, tuple(tokens.shape), dims)
        for site, state in before.items():
            scale = float(state[1].abs().max())
            moved = float((state[1, :kept] - after[site][1, :kept]).abs().max())
            if moved > LARGEST_SHARE * scale:
                raise UserError(
                    f"`model` gives states at {site!r} that change by {moved:.2g} with {what}: "
                    "pass a causal model that reads [documents, tokens] (batch_first=True)."
                )
    return dims


def with_other_end(tokens: Tensor, kept: int, vocabulary: int) -> Tensor:
    """The same tokens with another end of the middle document."""
    other = tokens.clone()
    other[1, kept:] = (tokens[1, kept:] + 1) % vocabulary
    return other
