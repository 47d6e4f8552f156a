"""The exact posterior as a probe: every token's posterior by enumeration, for small vocabularies and short memories."""

__all__ = ["Exact", "ExactFit", "exact"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.channel import (
    BeamSearch,
    Channel,
    Code,
    Decoding,
    Transition,
    check_lags,
    check_sigma,
    longest_window,
    rounding_sigma,
)
from infodil.checks import UserError
from infodil.probes.calibration import LEAST_GAIN_NATS, cross_entropy_nats, fit_temperature
from infodil.probes.probe import Calibration, Probe, ProbeFit, ProbeSpec

MIN_EVIDENCE_NATS = -1e8
"""Evidence below this, against the likeliest class, is cut: its square must stay finite in float32."""


@torch.no_grad()
def exact(
    states: Float[Tensor, "samples *scales dim"],
    embedding: Float[Tensor, "vocabulary dim"],
    weights: Float[Tensor, "*scales tokens"],
    *,
    lags: Sequence[int],
    prior: Float[Tensor, "vocabulary"] | Sequence[float] | None = None,
    sigma: float | None = None,
    transition: Transition | None = None,
    seen: Int[Tensor, "samples"] | Sequence[int] | None = None,
    window: int | None = None,
    device: torch.device | str | None = None,
) -> Decoding:
    r"""Posterior of the token at each lag, given a state that is a noisy weighted sum of token vectors.

    .. math:: p(x_{t-k} \mid h_t) \propto \sum_{x} p(x)\, \exp\Big(-\frac{1}{2\sigma^2}
              \sum_s \big|h_{t,s} - \sum_j w_{s,j}\, e(x_{t-j})\big|^2\Big)

    The sum goes over all sequences of the tokens that carry weight, if there are at most 2**20 of them; then the answer
    is Bayes' rule itself. Otherwise the sequences of the newest tokens are enumerated, and older ones enter as one
    Gaussian vector of their own mean and covariance: an approximation, and `Channel(...).is_exact` says which it is.
    At lags older than the sequences the answer is the prior, or for a chain the prior given the oldest token read.
    Computed in float64; tokens that together move a state by less than 1e-9 of its noise count as absent.

    Args:
        states: `[samples, dim]`, or `[samples, scales, dim]` for several sums of the same tokens.
        embedding: One vector a type.
        weights: `[tokens]`, or `[scales, tokens]`: one weight for each lag from 0 on; later lags weigh nothing.
        lags: Which tokens are asked for, steps back.
        prior: Weights or probabilities of the types of independent tokens; uniform by default.
        sigma: Standard deviation of the noise of each number of a state, in the units of the states; by default a unit
            in the last place of the states' dtype. Zero is what float64 rounds.
        transition: `transition[i, j]` is the probability that type j follows i in a stationary Markov chain, which
            takes the place of `prior`.
        seen: Tokens behind each state, its own included, where it was made from a start of zero; by default all that
            the weights reach. A lag that a state has not seen gets the prior.
        window: How many tokens to enumerate; by default as many as there may be.
        device: Where to compute; by default where the states are.

    Returns:
        All types as candidates in their order, with their probabilities in float64; where the state says nothing at
        all (`rest` is 1) no candidate has any.

    Raises:
        UserError: An argument of the wrong shape, not finite or out of range; more than 2**20 types; both `prior` and
            `transition`.

    Reference:
        Cover & Thomas, Elements of Information Theory (2006), section 2.10: no predictor loses less.

    Example:
        >>> embedding, weights = torch.eye(3), torch.tensor([0.5, 0.25])
        >>> state = 0.5 * embedding[2] + 0.25 * embedding[0]
        >>> exact(state[None], embedding, weights, lags=[0, 1], sigma=0.01).tokens
        tensor([[2, 0]])
    """
    lags = check_lags(lags)
    if weights.dim() == 1:
        states, weights = states.unsqueeze(1), weights[None]
    check_states(states, embedding, weights)
    if sigma is None:
        sigma = rounding_sigma(Code(embedding, weights), states.dtype)
    check_sigma(sigma)
    channel = Channel(
        Code(embedding, weights),
        sigma,
        prior=prior,
        transition=transition,
        window=window,
        device=device or states.device,
    )
    seen = None if seen is None else check_seen(seen, len(states))
    posterior, asked = channel.log_posterior(states, lags, seen)
    types = torch.arange(len(embedding), device=posterior.device).expand(posterior.shape)
    return Decoding(lags, types, posterior.exp() * asked[..., None], channel.law.prior.log())


@dataclass(frozen=True)
class Exact(Probe):
    """Bayes' rule for a known code, with the unigram prior for every token and older tokens taken as Gaussian noise.

    Tokens older than can be enumerated, where they still weigh against the noise, are searched for after the likeliest
    sequences of the newer ones (`infodil.channel.beam`); each target's answer is that of whichever, with the search or
    without, does better on the calibration rows.

    Nothing is learned but the temperatures. A state is not told its position: how many tokens lie behind
    it is read off the state (`Channel.count_seen`). The weaker probe is not used: where it reads more on the
    calibration rows, whoever holds both chooses it.
    """

    name = "exact"
    summary = "the posterior by enumeration, where the encoder says how its states sum vectors of few types"
    requires_superposition = True

    sequences: int = 2**14
    """Sequences of tokens enumerated for each of the many states of a split, at most."""
    beam: BeamSearch = BeamSearch()
    """Search for tokens older than can be enumerated."""

    def start_fit(self, spec: ProbeSpec, base: ProbeFit | None = None) -> "ExactFit":
        """A fit whose temperatures are still to be chosen."""
        del base
        return ExactFit(self, spec)

    def applies(self, spec: ProbeSpec) -> bool:
        """Whether the code is known, and two tokens or all that the weights reach can be enumerated."""
        if spec.code is None or len(spec.code.embedding) < len(spec.classes.of_type):
            return False
        vocabulary = len(spec.classes.of_type)
        if not 2 <= vocabulary <= self.sequences:
            return False
        return longest_window(vocabulary, self.sequences) >= 2 or channel_of(spec, self.sequences).is_exact

    @property
    def requirement(self) -> str:
        """What states it needs."""
        return (
            f"pass states that are weighted sums of known token vectors, of {math.isqrt(self.sequences)} types at most"
        )


class ExactFit(ProbeFit):
    """The channel of one site, and the temperature of each lag."""

    raw = True

    def __init__(self, probe: Exact, spec: ProbeSpec) -> None:
        super().__init__(probe, spec)
        self.channel = channel_of(spec, probe.sequences)
        self.beam = probe.beam
        self.further = self.beam.lags(self.channel)
        # A lag that is not enumerated or searched for keeps the prior: it needs no room.
        window = self.channel.window
        self.lags = tuple(lag for lag in spec.lags if lag in window)
        reached = tuple(lag for lag in spec.lags if lag in (*window, *self.further))
        self.searched = reached if self.further else ()
        self.by_search = [True] * spec.targets

    def end_pass(self, calibration: Calibration) -> None:
        """Choose each target's temperature."""
        prepared = calibration.prepare(self)
        for target in range(self.spec.targets):
            labels = calibration.labels[target]
            rows = torch.nonzero(labels >= 0).squeeze(1)
            fits = {}
            for searched in (False, True):
                self.by_search[target] = searched
                fits[searched] = self.calibrate_temperature(self.scores(prepared[rows], target), labels[rows])
            self.by_search[target] = fits[True][1] < fits[False][1]
            self.temperatures.append(fits[self.by_search[target]][0])

    def calibrate_temperature(
        self, evidence: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]
    ) -> tuple[float, float]:
        """The temperature of evidence, and the cross-entropy at it, nats."""
        base = self.spec.classes.class_log_prior
        temperature, loss = fit_temperature(base, evidence, labels)
        if temperature:
            # Bayes' own temperature of one, unless the rows speak against it: a few without error ask for any.
            plain = cross_entropy_nats(base + evidence, labels)
            if (plain - loss) * len(labels) <= LEAST_GAIN_NATS:
                return 1.0, plain
        return temperature, loss

    @torch.no_grad()
    def prepare(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows answers classes"]:
        """Evidence at each lag that is enumerated, then at each with the search: log of posterior over prior, nats.

        One column a lag for each way; the best class is at zero.
        """
        classes, channel = self.spec.classes, self.channel
        states = states.unflatten(1, (len(channel.code.weights), -1)).to(channel.code.weights)
        seen = channel.count_seen(states)
        posterior, _ = channel.log_posterior(states, self.lags, seen)
        if self.searched:
            posterior = torch.cat([posterior, self.search(states, seen)], 1)
        order = torch.argsort(classes.of_type, stable=True).to(posterior.device)
        named, pooled = order[: classes.modelled], order[classes.modelled :]
        evidence = posterior[..., named]
        if len(pooled):
            evidence = torch.cat([evidence, posterior[..., pooled].logsumexp(2, keepdim=True)], 2)
        evidence = evidence - classes.class_log_prior.to(evidence)
        evidence = evidence - evidence.amax(2, keepdim=True)
        return evidence.clamp(min=MIN_EVIDENCE_NATS).float()

    def search(
        self, states: Float[Tensor, "rows scales dim"], seen: Int[Tensor, "rows"]
    ) -> Float[Tensor, "rows lags vocabulary"]:
        """Log-posterior at the lags that are searched for; without a search where all that was seen is enumerated."""
        channel = self.channel
        answer, _ = channel.log_posterior(states, self.searched, seen)
        counts = seen.clamp(max=channel.memory)
        for count in counts[counts > channel.window[-1] + 1].unique().tolist():
            rows = torch.nonzero(counts == count).squeeze(1)
            by_lag = self.beam.log_posterior(channel, states[rows], count)
            for column, lag in enumerate(self.searched):
                if lag in by_lag:
                    answer[rows, column] = by_lag[lag]
        return answer

    def scores(self, prepared: Float[Tensor, "rows answers classes"], target: int) -> Float[Tensor, "rows classes"]:
        """The evidence of one target; none for the control, or at a lag that is neither enumerated nor searched for."""
        lag = self.spec.lags[target - 1] if target else None
        if self.by_search[target] and lag in self.searched:
            return prepared[:, len(self.lags) + self.searched.index(lag)]
        if lag in self.lags:
            return prepared[:, self.lags.index(lag)]
        return prepared.new_zeros(len(prepared), self.spec.classes.number)


def channel_of(spec: ProbeSpec, sequences: int) -> Channel:
    """The channel of a site; where no noise is named, float32 rounds the states."""
    classes, code = spec.classes, spec.code
    code = Code(code.embedding[: len(classes.of_type)], code.weights)
    return Channel(
        code,
        spec.sigma or rounding_sigma(code, torch.float32),
        prior=classes.log_prior.double().exp(),
        max_sequences=sequences,
        device=spec.device,
    )


def check_states(states: Tensor, embedding: Tensor, weights: Tensor) -> None:
    """Raise `UserError` unless the states could be sums of these vectors, one for each row of weights."""
    expected = [len(weights), embedding.shape[1]]
    if list(states.shape[1:]) != expected:
        raise UserError(
            f"`states` must have shape [samples, scales, dim] with scales and dim {expected} (no scales beside weights "
            f"of one axis), got {list(states.shape)}: pass states made of these weights and vectors."
        )
    if not states.is_floating_point():
        raise UserError(f"`states` must be floating point, got {states.dtype}: convert them with .double().")
    if not torch.isfinite(states).all():
        raise UserError("`states` must be finite, got NaN or infinity: leave such states out.")


def check_seen(seen: Int[Tensor, "samples"] | Sequence[int], samples: int) -> Int[Tensor, "samples"]:
    """The counts as a tensor; raise `UserError` unless there is one of at least 1 for each state."""
    seen = torch.as_tensor(seen)
    if tuple(seen.shape) != (samples,) or seen.is_floating_point() or bool((seen < 1).any()):
        raise UserError(
            f"`seen` must have {samples} whole numbers of at least 1, got shape {list(seen.shape)}"
            f"{f' with {seen.min()}' if seen.numel() else ''}: count each state's own token too."
        )
    return seen
