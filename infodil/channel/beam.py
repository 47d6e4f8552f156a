"""Beam search over token sequences: one more token at a time, after the likeliest sequences of the newer ones."""

__all__ = ["Beam", "BeamSearch"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel.enumeration import log_joint, sequence_prior, superpose
from infodil.channel.posterior import Channel


@dataclass(frozen=True)
class Beam:
    """The likeliest token sequences behind each state, newest token first.

    Reference:
        Anderson and Mohan (1984), Sequential coding algorithms: a survey and cost analysis (the M-algorithm).
    """

    sequences: Int[Tensor, "states beams tokens"]
    residual: Float[Tensor, "states beams numbers"]
    """Each state less the contribution of every token of the sequence."""
    log_prior: Float[Tensor, "states beams"]
    """Log-probability of each sequence, nats."""
    log_joint: Float[Tensor, "states beams"]
    """Log-probability of each sequence together with its state, nats, up to a constant."""

    def best(
        self, log_joint: Float[Tensor, "states beams types"], keep: int
    ) -> tuple[Int[Tensor, "states kept"], Int[Tensor, "states kept"], Float[Tensor, "states kept"]]:
        """The likeliest continuations: the beam and the type of each, and its joint log-probability.

        Args:
            log_joint: Log-probability of every sequence continued by every type, together with the state, nats.
            keep: Number of continuations kept for each state.
        """
        score, place = log_joint.flatten(1).topk(min(keep, log_joint[0].numel()), dim=1)
        return place // log_joint.shape[2], place % log_joint.shape[2], score

    def continued(
        self,
        parent: Int[Tensor, "states kept"],
        token: Int[Tensor, "states kept"],
        score: Float[Tensor, "states kept"],
        contributions: Float[Tensor, "types numbers"],
        log_prior: Float[Tensor, "types"],
    ) -> "Beam":
        """The beam with one older token: sequence `parent` of each state followed by `token`.

        Args:
            parent: The beam that each new sequence continues.
            token: The type that it is continued by.
            score: Joint log-probability of each new sequence and its state.
            contributions: What each type adds to a state at the new lag.
            log_prior: Log-probability of each type.
        """
        sequences = self.sequences.gather(1, parent[..., None].expand(-1, -1, self.sequences.shape[2]))
        residual = self.residual.gather(1, parent[..., None].expand(-1, -1, self.residual.shape[2]))
        return Beam(
            torch.cat([sequences, token[..., None]], 2),
            residual - contributions[token],
            self.log_prior.gather(1, parent) + log_prior[token],
            score,
        )


@dataclass(frozen=True)
class BeamSearch:
    """Posterior of tokens older than a channel's window, by a beam over what the window holds.

    The window is enumerated with all older tokens as Gaussian noise; its likeliest sequences are continued by every
    type of the next older token, scored with what is then older as noise, and cut to `beams` again. Where noise lets
    the newer tokens be told apart, few sequences hold nearly all of the probability; where it does not, older tokens
    hardly matter.
    """

    beams: int = 256
    """Sequences kept for each state."""
    max_lags: int = 24
    """Lags searched beyond the window: time grows in proportion."""
    min_share: float = 0.5
    """Least contribution of a token, as a share of sigma: smaller ones are Gaussian noise without loss."""
    dropped: float = 1e-3
    """Probability that the true sequence left the beam: this share of every posterior is the prior."""
    max_sequences: int = 2**22
    """Sequences held in memory at once."""

    def lags(self, channel: Channel) -> tuple[int, ...]:
        """Lags beyond the window with a noticeable weight; none for a chain, or where the window holds all tokens."""
        if channel.law.is_chain or channel.is_exact:
            return ()
        first = channel.window[-1] + 1
        largest = channel.vectors.norm(dim=1).max()
        sizes = channel.code.weights[:, first : channel.memory].norm(dim=0) * largest
        noticeable = int((sizes >= self.min_share * channel.sigma).long().cumprod(0).sum())
        return tuple(range(first, first + min(self.max_lags, noticeable)))

    def log_posterior(
        self, channel: Channel, states: Float[Tensor, "samples scales dim"], seen: int
    ) -> dict[int, Float[Tensor, "samples vocabulary"]]:
        """Log-posterior at each lag of the window and at each searched lag, nats.

        Args:
            channel: The code, its noise and the law of independent tokens.
            states: States with the same number of tokens behind them.
            seen: That number.
        """
        searched = tuple(lag for lag in self.lags(channel) if lag < seen)
        at_once = max(1, self.max_sequences // len(channel.law.prior) ** len(channel.window))
        parts = []
        for batch in states.split(at_once):
            beam = self.start(channel, batch, seen)
            for lag in searched:
                beam = self.extend(channel, beam, lag, seen)
            parts.append(self.marginals(channel, beam))
        lags = (*channel.window, *searched)
        return {lag: torch.cat(tables) for lag, tables in zip(lags, zip(*parts, strict=True), strict=True)}

    def start(self, channel: Channel, states: Float[Tensor, "samples scales dim"], seen: int) -> Beam:
        """The likeliest sequences of the window, with all older tokens as Gaussian noise."""
        window, law = list(channel.window), channel.law
        axes, scale = channel.whiten_older(window[-1] + 1, seen)
        flat = channel.coordinates(states, seen)
        white = flat @ axes * scale
        parts = [(channel.contribution(lag) @ axes) * scale for lag in window]
        half = (len(window) + 1) // 2
        heads, tails = superpose(parts[:half], white), superpose(parts[half:], white)
        prior = sequence_prior(law.prior, law.follow, len(window)).view(len(heads), len(tails))
        score, place = log_joint(white, heads, tails, prior).flatten(1).topk(min(self.beams, prior.numel()), dim=1)
        types = len(law.prior)
        tokens = [place // types ** (len(window) - 1 - number) % types for number in range(len(window))]
        explained = sum(channel.contribution(lag)[token] for lag, token in zip(window, tokens, strict=True))
        sequences = torch.stack(tokens, 2)
        return Beam(sequences, flat[:, None] - explained, law.prior.log()[sequences].sum(2), score)

    def extend(self, channel: Channel, beam: Beam, lag: int, seen: int) -> Beam:
        """The beam with the token of one more lag, and all older ones as Gaussian noise."""
        axes, scale = channel.whiten_older(lag + 1, seen)
        contributions, log_prior = channel.contribution(lag), channel.law.prior.log()
        residual = beam.residual[:, :, None] - contributions
        score = beam.log_prior[..., None] + log_prior - 0.5 * ((residual @ axes) * scale).square().sum(3)
        return beam.continued(*beam.best(score, self.beams), contributions, log_prior)

    def marginals(self, channel: Channel, beam: Beam) -> list[Float[Tensor, "samples vocabulary"]]:
        """Log-posterior of each type at each token of the sequences, with the dropped mass given to the prior."""
        share, prior = beam.log_joint.softmax(1), channel.law.prior
        empty = torch.zeros(len(share), len(prior)).to(share)
        masses = [empty.scatter_add(1, tokens, share) for tokens in beam.sequences.unbind(2)]
        return [((1.0 - self.dropped) * mass + self.dropped * prior).log() for mass in masses]
