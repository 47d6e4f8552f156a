"""The test of an encoder before a measurement: its states are causal, of their own document, and the same again."""

__all__ = ["self_test"]


import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.checks import UserError
from infodil.encoder import Encoder
from infodil.encoders.sites import check_states

DOCUMENTS = 3
ROUNDING = 64
"""Units in the last place of a site's largest number by which rounding may move any number of it."""
LARGEST_SHARE = 0.02
"""Largest share of a site's largest number that counts as rounding, however coarse its type."""

States = dict[str, Tensor]

RANDOM_CAUSE = "a dropout or noise that ignores evaluation mode, which would be measured as if it were the state"
CALLS_CAUSE = "a cache or a state that is kept from one call to the next and not cloned or reset"
BATCH_CAUSE = (
    "documents and tokens are exchanged (batch_first=True is missing), a normalisation over the batch, or a cache that "
    "documents share"
)
FUTURE_CAUSE = "no causal mask, a bidirectional layer, a centred convolution, or a normalisation over tokens"
LENGTH_CAUSE = "positions counted from the end, a normalisation by the length, or padding that is read"


@torch.no_grad()
def self_test(encoder: Encoder, length: int = 6, seed: int = 0) -> dict[str, int]:
    r"""Numbers in a state at every site of an encoder that keeps the contract.

    Random documents are encoded several times: under another random state, after other documents, beside other
    documents, with other tokens from several places on, and cut short. No number of a state may move by more than
    :math:`\max(\sqrt\epsilon\, \sigma_d,\ 64\, \epsilon\, m)`, where :math:`\epsilon` is the precision of its type,
    :math:`\sigma_d` the spread of this number over positions and m the largest number of the site: rounding stays
    below, and a leak into one number is not hidden by others that are larger.

    Args:
        encoder: Encoder to test.
        length: Number of tokens of each document; as many as the corpus has show what depends on the length.
        seed: Seed of the random tokens.

    Returns:
        Site name to the length of its states.

    Raises:
        UserError: States of a wrong shape, or that are random, or depend on a later token, another document or an
            earlier call; the message names the likely cause.
    """
    if encoder.reads_positions:  # states that are given: there is no model to test
        dims: dict[str, int] = {}
        check_states(encoder.encode(torch.zeros(1, 1, dtype=torch.long)), (1, 1), dims)
        return dims
    generator = torch.Generator().manual_seed(seed)
    length = max(1, min(length, encoder.longest or length))
    tokens = torch.randint(encoder.vocabulary, (DOCUMENTS, length), generator=generator)
    dims = {}

    def encode(batch: Int[Tensor, "documents tokens"], state: int = 0) -> States:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(state)
            found = encoder.encode(batch.clone())
        check_states(found, tuple(batch.shape), dims)
        return {site: states.detach().clone() for site, states in found.items()}

    first = encode(tokens)
    limits = {site: largest_change(states) for site, states in first.items()}

    def compare(states: States, same: Bool[Tensor, "documents tokens"], words: str, cause: str) -> None:
        for site, expected in first.items():
            shared = states[site].shape[1]
            moved = (states[site] - expected[:, :shared]).abs()[same[:, :shared].to(expected.device)]
            excess = moved - limits[site].to(moved.dtype)
            if moved.numel() and float(excess.max()) > 0:
                change = float(moved.flatten()[int(excess.argmax())])
                raise UserError(
                    f"`model` gives states at {site!r} that change by {change:.2g} with {words}: pass a causal model "
                    f"that reads [documents, tokens]; likely cause: {cause}."
                )

    everything = torch.ones(DOCUMENTS, length, dtype=torch.bool)
    compare(encode(tokens, state=1), everything, "another random state", RANDOM_CAUSE)
    middle = torch.arange(DOCUMENTS)[:, None] == 1
    # The middle one: a model that takes documents for time carries the one before into it, and not into the first.
    compare(
        encode(other_tokens(tokens, ~middle, encoder.vocabulary)), middle & everything, "another document", BATCH_CAUSE
    )
    for cuts in places(length):
        later = torch.arange(length) >= cuts[:, None]
        compare(encode(other_tokens(tokens, later, encoder.vocabulary)), ~later, "a later token", FUTURE_CAUSE)
    compare(encode(tokens), everything, "an earlier call", CALLS_CAUSE)
    if length > 1:
        compare(encode(tokens[:, : length // 2]), everything, "the number of tokens", LENGTH_CAUSE)
    return dims


def largest_change(states: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "dim"]:
    """The change of each number that rounding may make."""
    epsilon = torch.finfo(states.dtype).eps
    values = states.flatten(0, 1).float() if states.dtype != torch.float64 else states.flatten(0, 1)
    spread = values.std(0, correction=0)
    return torch.maximum(epsilon**0.5 * spread, min(ROUNDING * epsilon, LARGEST_SHARE) * values.abs().max())


def places(length: int) -> list[Int[Tensor, "documents"]]:
    """Where the tokens of each document begin to differ: near, far, and at two places that follow each other.

    A leak within chunks of any length shows at one of two neighbouring places.
    """
    half = length // 2
    rows = [(1, half, length - 1), (2, half + 1, length * 3 // 4)]
    return [torch.tensor(row).clamp(1, max(1, length - 1)) for row in rows] if length > 1 else []


def other_tokens(
    tokens: Int[Tensor, "documents tokens"], where: Bool[Tensor, "documents #tokens"], vocabulary: int
) -> Int[Tensor, "documents tokens"]:
    """The same documents with other tokens in some places."""
    return torch.where(where.expand_as(tokens), (tokens + 1) % vocabulary, tokens)
