"""A linear code with declared noise: the posterior over its tokens, by enumerating the sequences that it could hold."""

__all__ = ["MOST_SEQUENCES", "Channel", "longest_window", "rounding"]

import math
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.channel.enumeration import log_joint, marginals, sequence_prior, superpose
from infodil.channel.markov_chain import normalized_transition, stationary_distribution
from infodil.channel.probabilities import log_prior_of
from infodil.checks import UserError, check_whole

MOST_SEQUENCES = 2**20
"""Sequences enumerated for one state at most: the answer costs time in proportion."""

NUMBERS = {"cpu": 2**20, "accelerator": 2**25}
"""Log-likelihoods held at once, in float64."""

NEGLIGIBLE = 1e-9
"""Tokens that all together cannot move a state by this share of its noise count as absent."""

EARLY = 1e-3
"""Prior odds of one early position of a document against all late ones, where nobody says which a state has."""


class Channel:
    r"""A linear code, its noise and the law of its tokens: :math:`h_s = \sum_k w_{s,k}\, e(x_{t-k}) + \sigma n_s`.

    All sequences of the newest tokens, the *window*, are enumerated. Older tokens enter as one Gaussian vector with
    their true mean and covariance over all scales and dimensions: an approximation, and `is_exact` says whether there
    are any. States are read in coordinates within the span of the differences between token vectors, for nothing else
    tells types apart, and are whitened there: noise and older tokens together become white.

    Args:
        embedding: One vector a type.
        weights: One weight for each scale and lag from 0 on; lags beyond the last weigh nothing.
        sigma: Standard deviation of the noise of each number of a state; no less than what float64 rounds.
        prior: Weights or probabilities of the types of independent tokens; uniform by default.
        transition: `transition[i, j]` is the probability that type `j` follows `i` in a stationary Markov chain.
        window: How many tokens to enumerate; by default as many as `most` sequences allow.
        most: Sequences at most.
        device: Where to compute.

    Raises:
        UserError: see `exact`.
    """

    def __init__(
        self,
        embedding: Float[Tensor, "vocabulary dim"],
        weights: Float[Tensor, "scales tokens"],
        sigma: float,
        *,
        prior: Float[Tensor, "vocabulary"] | Sequence[float] | None = None,
        transition: Float[Tensor, "vocabulary vocabulary"] | np.ndarray | Sequence[Sequence[float]] | None = None,
        window: int | None = None,
        most: int = MOST_SEQUENCES,
        device: torch.device | str | None = None,
    ) -> None:
        check_code(embedding, weights, most)
        longest = check_window(window, len(embedding), most)
        device = torch.device(device or embedding.device)
        embedding, self.weights = (part.detach().to(device, torch.float64) for part in (embedding, weights))

        self.prior, self.follow, self.back = token_law(prior, transition, len(embedding), device)
        self.chain = transition is not None

        largest = float(embedding.norm(dim=1).max())
        floor = 8 * torch.finfo(torch.float64).eps * largest * float(self.weights.abs().sum(1).max())
        self.sigma = max(float(sigma), floor)

        self.mean = self.prior @ embedding
        _, stretch, axes = torch.linalg.svd(embedding - self.mean, full_matrices=False)
        self.basis = axes[stretch > 1e-12 * stretch[0]].T
        self.vectors = (embedding - self.mean) @ self.basis
        # Every type is as far along the normal as any other: what is found there counts tokens, and names none.
        normal = self.mean - self.basis @ (self.basis.T @ self.mean)
        self.height = float(normal.norm()) if float(normal.norm()) > 1e-6 * largest else 0.0
        self.normal = normal / self.height if self.height else torch.zeros_like(normal)

        left = self.weights.abs().sum(0).flip(0).cumsum(0).flip(0) * largest
        self.reach = max(1, int((left > NEGLIGIBLE * self.sigma).sum()))
        # A token of a chain is known in part by its neighbours even where it weighs nothing itself.
        active = [lag for lag in range(self.reach) if self.chain or bool(self.weights[:, lag].any())]
        self.window = tuple(active[:longest])
        self.is_exact = len(self.window) == len(active)

    def log_posterior(
        self,
        states: Float[Tensor, "samples scales dim"],
        lags: Sequence[int],
        seen: Int[Tensor, "samples"] | None = None,
    ) -> tuple[Float[Tensor, "samples lags vocabulary"], Bool[Tensor, "samples lags"]]:
        """Log-probability of each type at each lag, nats, and where the state was asked: elsewhere it is the prior's.

        Args:
            states: As observed.
            lags: Steps back.
            seen: Tokens behind each state, its own included; by default all that the weights reach.
        """
        device = self.weights.device
        states = states.to(device, torch.float64)
        answer = self.prior.log().repeat(len(states), len(lags), 1)
        asked = torch.zeros(len(states), len(lags), dtype=torch.bool, device=device)
        seen = torch.full((len(states),), 1 + max((self.reach, *lags))) if seen is None else seen
        seen = seen.to(device)
        for count in seen.clamp(max=self.reach).unique().tolist():
            rows = torch.nonzero(seen.clamp(max=self.reach) == count).squeeze(1)
            found, _ = self.enumerate(states[rows], count)
            for column, lag in enumerate(lags):
                if lag in found:
                    answer[rows, column], asked[rows, column] = found[lag], True
                elif self.chain and found and lag > max(found):
                    there = rows[seen[rows] > lag]
                    older = torch.linalg.matrix_power(self.back, lag - max(found))
                    answer[there, column] = (found[max(found)].exp() @ older).log()[seen[rows] > lag]
                    asked[there, column] = True
        return answer, asked

    def enumerate(
        self, states: Float[Tensor, "samples scales dim"], seen: int
    ) -> tuple[dict[int, Float[Tensor, "samples vocabulary"]], Float[Tensor, "samples"]]:
        """Log-posterior at each lag of the window, and the log-likelihood of each state up to a constant, nats."""
        window = [lag for lag in self.window if lag < seen]
        axes, scale, shift = self.whiten(window, seen)
        offset = torch.outer(self.weights[:, :seen].sum(1), self.mean)
        white = ((states - offset) @ self.basis).flatten(1) @ axes * scale
        parts = [(self.contribution(lag) @ axes) * scale for lag in window]
        if parts:
            parts[-1] = parts[-1] + shift @ axes * scale
        half = (len(window) + 1) // 2
        heads, tails = superpose(parts[:half], white), superpose(parts[half:], white)
        prior = sequence_prior(self.prior, self.follow, len(window)).view(len(heads), len(tails))

        numbers = NUMBERS["cpu" if white.device.type == "cpu" else "accelerator"]
        totals, answers, types = [], [], len(self.prior)
        for some in white.split(max(1, numbers // prior.numel())):
            joint = log_joint(some, heads, tails, prior)
            newer, older = torch.logsumexp(joint, 2), torch.logsumexp(joint, 1)
            total = torch.logsumexp(newer, 1)
            totals.append(total)
            answers.append([part - total[:, None] for part in (*marginals(newer, types), *marginals(older, types))])
        found = [torch.cat(parts) for parts in zip(*answers, strict=True)]
        return dict(zip(window, found, strict=True)), torch.cat(totals) + scale.log().sum()

    def contribution(self, lag: int) -> Float[Tensor, "vocabulary numbers"]:
        """What each type adds to the coordinates of a state, all scales side by side."""
        return (self.weights[:, lag, None] * self.vectors[:, None]).flatten(1)

    def whiten(self, window: Sequence[int], seen: int) -> tuple[Tensor, Tensor, Tensor]:
        """Axes and scales that make noise and the tokens older than the window white, and the mean of those tokens.

        The covariance of independent tokens is a product of that of their weights and that of their vectors. What is
        decomposed is a factor F of the covariance, for its singular values keep digits that the covariance loses.
        """
        first = window[-1] + 1 if window and len(window) == len(self.window) else seen
        numbers = len(self.weights) * self.basis.shape[1]
        if first == seen:
            scale = self.vectors.new_full((numbers,), 1.0 / self.sigma)
            return torch.eye(numbers).to(scale), scale, scale.new_zeros(1, numbers)
        if self.chain:
            factor, mean = self.older_chain(first, seen)
            spread, axes = singular(factor)
        else:
            axes, scale = self.whiten_older(first, seen)
            return axes, scale, scale.new_zeros(1, numbers)
        return axes, (spread**2 + self.sigma**2).rsqrt(), mean

    def whiten_older(self, first: int, seen: int) -> tuple[Tensor, Tensor]:
        """Axes and scales that make the noise and the independent tokens from lag `first` on white."""
        over_scales, scale_axes = singular(self.weights[:, first:seen].T)
        over_types, type_axes = singular(self.prior.sqrt()[:, None] * self.vectors)
        spread, axes = torch.outer(over_scales, over_types).flatten(), torch.kron(scale_axes, type_axes)
        return axes, (spread**2 + self.sigma**2).rsqrt()

    def left_out(self) -> float:
        """The largest standard deviation of the tokens that are not enumerated, in any direction, in units of sigma."""
        _, scale, _ = self.whiten(self.window, self.reach)
        return math.sqrt(max(0.0, float((scale * self.sigma).pow(-2).max()) - 1.0))

    def older_chain(
        self, first: int, seen: int
    ) -> tuple[Float[Tensor, "rows numbers"], Float[Tensor, "vocabulary numbers"]]:
        r"""A factor of the covariance of a chain's tokens from lag `first` on, and their mean for each type before it.

        Let :math:`g_k(x)` be the expected sum of the tokens from lag k on, given that the one at lag k is x. Going
        back in time, the sum is its mean given the window plus the martingale differences
        :math:`g_k(x_k) - E[g_k(x_k) | x_{k-1}]`, which are uncorrelated: their rows, one under another, are a factor.
        The mean depends on the oldest token of the window, the covariance is averaged over it.
        """
        expected = factor = self.vectors.new_zeros(len(self.prior), len(self.weights) * self.basis.shape[1])
        odds = (self.prior[:, None] * self.back).sqrt()
        for lag in reversed(range(first, seen)):
            summed = self.contribution(lag) + expected
            expected = self.back @ summed
            rows = odds[..., None] * (summed - expected[:, None])
            factor = torch.linalg.qr(torch.cat([factor, rows.flatten(0, 1)])).R
        return factor, expected

    def count_seen(self, states: Float[Tensor, "samples scales dim"]) -> Int[Tensor, "samples"]:
        """How many tokens most probably lie behind each state, one early position of a document being rare.

        All types reach equally far along the normal of their span, so the state there says how much weight has been
        added up. Where there is no normal (as many types as dimensions, or more), the likelihood of the whole state
        decides between the first tokens of a document and all that the weights reach.
        """
        states = states.to(self.weights.device, torch.float64)
        options = list(range(1, self.reach + 1))
        if self.height:
            summed = self.height * self.weights[:, : self.reach].cumsum(1)
            away = (states @ self.normal)[..., None] - summed
            fit = -0.5 * (away / self.sigma).square().sum(1)
        else:
            options = [*range(1, min(self.reach, len(self.window) + 1)), self.reach]
            fit = torch.stack([self.enumerate(states, count)[1] for count in options], 1)
        fit[:, :-1] += math.log(EARLY)
        return torch.tensor(options, device=states.device)[fit.argmax(1)]


def singular(
    factor: Float[Tensor, "rows numbers"],
) -> tuple[Float[Tensor, "numbers"], Float[Tensor, "numbers numbers"]]:
    """Singular values and right singular vectors (as columns), as many as there are columns."""
    padded = torch.cat([factor, factor.new_zeros(factor.shape[1], factor.shape[1])])
    _, values, vectors = torch.linalg.svd(padded, full_matrices=False)
    return values, vectors.T


def token_law(
    prior: Float[Tensor, "vocabulary"] | Sequence[float] | None,
    transition: Float[Tensor, "vocabulary vocabulary"] | np.ndarray | Sequence[Sequence[float]] | None,
    vocabulary: int,
    device: torch.device,
) -> tuple[Float[Tensor, "vocabulary"], Float[Tensor, "vocabulary vocabulary"], Float[Tensor, "before vocabulary"]]:
    """Probability of each type, of each type after another, and before another (one row where it does not matter)."""
    if transition is None:
        probability = log_prior_of(prior, vocabulary).softmax(0).to(device)
        return probability, probability.expand(vocabulary, -1), probability[None]
    if prior is not None:
        raise UserError("`prior` must not be given beside `transition`, which has its own: pass one of them.")
    transition = torch.as_tensor(transition, dtype=torch.float64).cpu()
    if tuple(transition.shape) != (vocabulary, vocabulary):
        raise UserError(
            f"`transition` must have shape {[vocabulary, vocabulary]}, got {list(transition.shape)}: "
            "pass one row and one column a type."
        )
    matrix = normalized_transition(transition.numpy())
    follow = torch.from_numpy(matrix).to(device)
    probability = torch.from_numpy(stationary_distribution(matrix)).to(device)
    back = (probability[:, None] * follow).T / probability[:, None]
    # A type that never occurs needs some past, or what is no number would spoil the rest.
    return probability, follow, torch.where(probability[:, None] > 0, back, probability)


def rounding(embedding: Float[Tensor, "vocabulary dim"], weights: Tensor, dtype: torch.dtype) -> float:
    """A unit in the last place of a typical number of a state of independent tokens: the noise where none is named.

    A single rounding errs by about a quarter of that; a trace is rounded at every step.
    """
    embedding, weights = embedding.double(), weights.double().to(embedding.device)
    mean = embedding.mean(0)
    varied = (weights**2).sum(1).mean() * (embedding - mean).square().mean()
    return torch.finfo(dtype).eps * float((varied + weights.sum(1).square().mean() * mean.square().mean()).sqrt())


def longest_window(vocabulary: int, most: int = MOST_SEQUENCES) -> int:
    """The most tokens whose sequences number no more than `most`."""
    tokens = 0
    while vocabulary ** (tokens + 1) <= most:
        tokens += 1
    return tokens


def check_code(embedding: Float[Tensor, "vocabulary dim"], weights: Float[Tensor, "scales tokens"], most: int) -> None:
    """Raise `UserError` unless a state of this code can be read by enumeration."""
    if embedding.dim() != 2 or len(embedding) < 2:
        raise UserError(
            f"`embedding` must be [vocabulary, dim] of at least 2 types, got shape {list(embedding.shape)}."
        )
    if len(embedding) > most:
        raise UserError(
            f"`embedding` must have at most {most} types to be enumerated, got {len(embedding)}: "
            "pass a smaller vocabulary, or use a reader that does not enumerate."
        )
    for name, value in {"embedding": embedding, "weights": weights}.items():
        if not torch.isfinite(value).all():
            raise UserError(f"`{name}` must be finite, got NaN or infinity: mend or leave out such values.")
    if not weights.any():
        raise UserError("`weights` must not be zero everywhere: pass the weight of the token at each lag.")


def check_window(window: int | None, vocabulary: int, most: int) -> int:
    """The window asked for, or the longest there is; raise `UserError` where it is longer."""
    longest = longest_window(vocabulary, most)
    if window is None:
        return longest
    check_whole("window", window, 1, "pass how many tokens to enumerate")
    if window > longest:
        raise UserError(
            f"`window` must be at most {longest} for {vocabulary} types, got {window}: "
            f"{vocabulary}**{window} sequences are more than {most}."
        )
    return window
