"""Tokens older than can be enumerated, one lag at a time, after the likeliest sequences of the newer ones."""

__all__ = ["further_lags", "search"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel.enumeration import log_joint, sequence_prior, superpose
from infodil.channel.posterior import Channel

BEAMS = 256
"""Sequences kept for each state."""

MOST_LAGS = 24
SMALLEST = 0.5
"""Tokens that cannot move a state by this share of its noise are not asked for: as Gaussian noise they lose nothing."""

LOST = 1e-3
"""Probability that the right sequence is taken to have been dropped."""

ROWS = 2**22
"""Sequences held at once."""


def further_lags(channel: Channel) -> tuple[int, ...]:
    """Lags beyond the window that still weigh against the noise; none for a chain, or where all are in the window."""
    if channel.chain or channel.is_exact:
        return ()
    first = channel.window[-1] + 1
    largest = channel.vectors.norm(dim=1).max()
    loud = channel.weights[:, first : channel.reach].norm(dim=0) * largest >= SMALLEST * channel.sigma
    return tuple(range(first, first + min(MOST_LAGS, int(loud.long().cumprod(0).sum()))))


def search(
    channel: Channel, states: Float[Tensor, "samples scales dim"], seen: int, further: tuple[int, ...]
) -> dict[int, Float[Tensor, "samples vocabulary"]]:
    """Log-posterior at each lag of the window and the further ones, for states with so many tokens behind them.

    The window is enumerated with all older tokens as Gaussian noise; its likeliest sequences are kept, continued by
    every type of the next older token, scored with what is then older as noise, and cut again (Anderson and Mohan 1984,
    the M-algorithm). Where the noise lets newer tokens be told, few sequences hold nearly all of the probability, and
    where it does not, older ones hardly count. What is dropped is taken to be as the prior has it.
    """
    further = tuple(lag for lag in further if lag < seen)
    found = []
    for some in states.split(max(1, ROWS // len(channel.prior) ** len(channel.window))):
        sequences, log = first_beams(channel, some, seen)
        raw = ((some - torch.outer(channel.weights[:, :seen].sum(1), channel.mean)) @ channel.basis).flatten(1)
        left = raw[:, None] - explained(channel, sequences)
        prior = channel.prior.log()
        chosen = prior[sequences].sum(2)
        for lag in further:
            axes, scale = channel.whiten_older(lag + 1, seen)
            left = left[:, :, None] - channel.contribution(lag)
            chosen = chosen[..., None] + prior
            score = chosen - 0.5 * ((left @ axes) * scale).square().sum(3)
            log, place = score.flatten(1).topk(min(BEAMS, score[0].numel()), dim=1)
            beam, token = place // len(prior), place % len(prior)
            kept = sequences.gather(1, beam[..., None].expand(-1, -1, sequences.shape[2]))
            sequences = torch.cat([kept, token[..., None]], 2)
            left = left.flatten(1, 2).gather(1, place[..., None].expand(-1, -1, left.shape[-1]))
            chosen = chosen.flatten(1).gather(1, place)
        share = log.softmax(1)
        masses = [
            torch.zeros(len(some), len(prior)).to(share).scatter_add_(1, types, share) for types in sequences.unbind(2)
        ]
        found.append([((1.0 - LOST) * mass + LOST * channel.prior).log() for mass in masses])
    lags = (*channel.window, *further)
    return {lag: torch.cat(parts) for lag, parts in zip(lags, zip(*found, strict=True), strict=True)}


def first_beams(
    channel: Channel, states: Float[Tensor, "samples scales dim"], seen: int
) -> tuple[Int[Tensor, "samples beams tokens"], Float[Tensor, "samples beams"]]:
    """The likeliest sequences of the window, newest token first, with all older ones as noise."""
    window = list(channel.window)
    axes, scale = channel.whiten_older(window[-1] + 1, seen)
    offset = torch.outer(channel.weights[:, :seen].sum(1), channel.mean)
    white = ((states - offset) @ channel.basis).flatten(1) @ axes * scale
    parts = [(channel.contribution(lag) @ axes) * scale for lag in window]
    half = (len(window) + 1) // 2
    heads, tails = superpose(parts[:half], white), superpose(parts[half:], white)
    prior = sequence_prior(channel.prior, channel.follow, len(window)).view(len(heads), len(tails))
    log, place = log_joint(white, heads, tails, prior).flatten(1).topk(min(BEAMS, prior.numel()), dim=1)
    types = len(channel.prior)
    digits = [place // types ** (len(window) - 1 - number) % types for number in range(len(window))]
    return torch.stack(digits, 2), log


def explained(
    channel: Channel, sequences: Int[Tensor, "samples beams tokens"]
) -> Float[Tensor, "samples beams numbers"]:
    """What the tokens of each sequence add to the coordinates of a state."""
    return sum(channel.contribution(lag)[types] for lag, types in zip(channel.window, sequences.unbind(2), strict=True))
