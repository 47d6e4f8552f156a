"""The exponential trace with Gaussian noise as a model of states: its posterior over tokens by beam search."""

__all__ = ["TraceModel", "mean_log_likelihood", "positive_definite"]

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from jaxtyping import Float, Int, Num
from torch import Tensor

from infodil.channel import Beam

MIN_PROBABILITY = MIN_EIGENVALUE = 1e-9
"""Floors of a probability and of the eigenvalues of a covariance of white states: neither may be zero in float32."""

FEWEST_SEARCHED = 2
"""Tokens searched for at least: one alone would leave the next, nearly as large one, to the Gaussian noise."""

MIN_NOISE_SHARE = 0.1
"""Least share of the noise that remains when a further token is taken out of it: the subtraction errs."""

STATES_AT_ONCE = 2**12


@dataclass(frozen=True)
class TraceModel:
    r"""An exponential trace of independent tokens: :math:`h = \mu + \sum_{k < K} q^k\, e(x_k) + n`.

    A channel (`infodil.channel.Channel`) of one scale whose weights are powers of the decay q, and whose noise n is
    Gaussian of any covariance. Tokens from lag K on, the depth, are part of the noise.
    """

    mean: Float[Tensor, "dim"]
    embedding: Float[Tensor, "classes dim"]
    """Vectors of the newest token; their mean under the prior is zero."""
    decay: float
    noise: Float[Tensor, "dim dim"]
    """Covariance of the noise, tokens from lag `depth` on included."""
    depth: int
    """Number of tokens that are searched for; all older ones are noise."""
    lag: int
    """Lag of the token whose posterior is wanted."""
    prior: Float[Tensor, "classes"]

    def older_covariance(self, first: int) -> Float[Tensor, "dim dim"]:
        r"""Covariance of all tokens from lag `first` on: :math:`q^{2 K} / (1 - q^2)` times that of a vector."""
        spread = (self.embedding * self.prior[:, None]).T @ self.embedding
        return self.decay ** (2 * first) / (1.0 - self.decay**2) * spread

    def whitening(self, lag: int) -> Float[Tensor, "dim dim"]:
        """The map that makes white the noise together with the searched tokens older than a lag."""
        covariance = self.noise + self.older_covariance(lag + 1) - self.older_covariance(self.depth)
        return torch.linalg.inv(torch.linalg.cholesky(covariance)).T

    def with_depth(self, depth: int) -> "TraceModel":
        """The same trace with another number of searched tokens; those added are taken out of the noise."""
        root = torch.linalg.cholesky(self.noise)
        change = self.older_covariance(self.depth) - self.older_covariance(depth)
        share = torch.linalg.solve_triangular(root, change, upper=False)
        share = torch.linalg.solve_triangular(root, share.T, upper=False)
        noise = root @ positive_definite(torch.eye(len(root)).to(share) - share, MIN_NOISE_SHARE) @ root.T
        return replace(self, noise=noise, depth=depth)

    def at_lag(self, lag: int) -> "TraceModel":
        """The same trace for the token at another lag, with no more searched tokens than that needs."""
        return replace(self.with_depth(max(lag + 1, FEWEST_SEARCHED)), lag=lag)

    def with_prior(self, counts: Num[Tensor, "classes"]) -> "TraceModel":
        """The model with a prior in proportion to these counts."""
        prior = counts.double() / counts.sum()
        return replace(self, prior=prior, embedding=self.embedding - prior @ self.embedding)

    def relabelled(self, order: list[int], counts: Num[Tensor, "classes"]) -> "TraceModel":
        """The model with its types in another order, and a prior in proportion to these counts."""
        return replace(self, embedding=self.embedding[order]).with_prior(counts)

    def beams(
        self, states: Float[Tensor, "rows dim"], keep: int, labels: Int[Tensor, "rows"] | None = None
    ) -> Iterator[Beam]:
        """The likeliest sequences behind each state, with one more, older, token in each step.

        Each sequence is continued by every type, or by the label alone at the lag of the labels, and scored with what
        is then older as noise.

        Args:
            states: States in the coordinates of the model.
            keep: Number of sequences kept for each state.
            labels: Known types of the tokens at `lag`, if any.
        """
        residual = (states.double() - self.mean).float()[:, None]
        none = residual.new_zeros(len(residual), 1)
        beam = Beam(torch.empty(len(residual), 1, 0, dtype=torch.long), residual, none, none)
        embedding, log_prior = self.embedding.float(), self.prior.clamp(min=MIN_PROBABILITY).log().float()
        for lag in range(self.depth):
            whitening, vectors = self.whitening(lag).float(), self.decay**lag * embedding
            white, white_vectors = beam.residual @ whitening, vectors @ whitening
            score = (beam.log_prior - 0.5 * white.square().sum(2))[..., None] + white @ white_vectors.T
            score += log_prior - 0.5 * white_vectors.square().sum(1)
            if labels is not None and lag == self.lag:
                score = score.gather(2, labels[:, None, None].expand(-1, score.shape[1], 1)).flatten(1)
                parent = torch.arange(score.shape[1]).expand(len(score), -1)
                token = labels[:, None].expand_as(parent)
            else:
                parent, token, score = beam.best(score, keep)
            beam = beam.continued(parent, token, score, vectors, log_prior)
            yield replace(beam, log_joint=score + float(whitening.diagonal().log().sum()))

    def search(self, states: Float[Tensor, "rows dim"], keep: int, labels: Int[Tensor, "rows"] | None = None) -> Beam:
        """The likeliest sequences of all searched tokens behind each state."""
        *_, beam = self.beams(states, keep, labels)
        return beam

    def posterior(self, states: Float[Tensor, "rows dim"], keep: int) -> Float[Tensor, "rows classes"]:
        """Probability of each class at `lag`, from so many sequences a state."""
        parts = [torch.zeros(0, len(self.embedding), dtype=torch.float32)]
        parts += [self.marginal(self.search(batch, keep), self.lag) for batch in states.split(STATES_AT_ONCE)]
        return torch.cat(parts)

    def marginal(self, beam: Beam, lag: int) -> Float[Tensor, "rows classes"]:
        """Probability of each class at one lag: the share of the sequences that have it there."""
        share = beam.log_joint.softmax(1)
        empty = share.new_zeros(len(share), len(self.embedding))
        return empty.scatter_add_(1, beam.sequences[..., lag], share)


def mean_log_likelihood(beam: Beam) -> float:
    """Mean log-probability of the states, and of the labels where they were given, over the found sequences; nats."""
    return float(torch.logsumexp(beam.log_joint, 1).double().mean())


def positive_definite(covariance: Float[Tensor, "dim dim"], least: float = MIN_EIGENVALUE) -> Tensor:
    """The symmetric matrix with every eigenvalue raised to at least `least`."""
    spread, axes = torch.linalg.eigh((covariance + covariance.T) / 2.0)
    return (axes * spread.clamp(min=least)) @ axes.T
