"""The posterior over the tokens of a noisy linear code, by enumeration of the token sequences that a state may hold."""

__all__ = ["Channel"]

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.channel.arguments import check_code
from infodil.channel.code import Code
from infodil.channel.enumeration import log_joint, marginals, sequence_prior, superpose
from infodil.channel.probabilities import Prior
from infodil.channel.token_law import TokenLaw, Transition
from infodil.channel.window import MAX_SEQUENCES, check_window

NUMBERS_AT_ONCE = {"cpu": 2**20, "accelerator": 2**25}
"""Log-likelihoods held in memory at once, float64."""

NEGLIGIBLE = 1e-9
"""Tokens that together move a state by less than this share of its noise count as absent."""

EARLY_ODDS = 1e-3
"""Prior odds of one early position of a document against all late ones, where a state's position is unknown."""


class Channel:
    r"""A linear code with its noise and the law of its tokens: :math:`h_s = \sum_k w_{s,k}\, e(x_{t-k}) + \sigma n_s`.

    All sequences of the newest tokens, the *window*, are enumerated. Older tokens enter as one Gaussian vector with
    their true mean and covariance over all scales and dimensions: an approximation, and `is_exact` is False where there
    are any. States are read in coordinates within the span of the differences between token vectors, for nothing else
    tells types apart, and are whitened there: noise and older tokens together become white.

    Args:
        code: Token vectors, and one weight for each scale and lag from 0 on; later lags weigh nothing.
        sigma: Standard deviation of the noise of each number of a state; raised to what float64 rounds.
        prior: Weights or probabilities of the types of independent tokens; uniform by default.
        transition: `transition[i, j]` is the probability that type `j` follows `i` in a stationary Markov chain.
        window: Number of tokens to enumerate; by default as many as `max_sequences` allow.
        max_sequences: Largest number of enumerated sequences.
        device: Device of the computation; by default that of the token vectors.

    Raises:
        UserError: An argument is of the wrong shape, not finite or out of range; the types are more than
            `max_sequences`; or both `prior` and `transition` are given.
    """

    def __init__(
        self,
        code: Code,
        sigma: float,
        *,
        prior: Prior | None = None,
        transition: Transition | None = None,
        window: int | None = None,
        max_sequences: int = MAX_SEQUENCES,
        device: torch.device | str | None = None,
    ) -> None:
        check_code(code, max_sequences)
        longest = check_window(window, len(code.embedding), max_sequences)
        device = torch.device(device or code.embedding.device)
        self.code = Code(*(part.detach().to(device, torch.float64) for part in code))
        embedding, weights = self.code
        self.law = TokenLaw.of(prior, transition, len(embedding), device)

        largest = float(embedding.norm(dim=1).max())
        floor = 8 * torch.finfo(torch.float64).eps * largest * float(weights.abs().sum(1).max())
        self.sigma = max(float(sigma), floor)

        self.mean = self.law.prior @ embedding
        _, stretch, axes = torch.linalg.svd(embedding - self.mean, full_matrices=False)
        self.basis = axes[stretch > 1e-12 * stretch[0]].T
        self.vectors = (embedding - self.mean) @ self.basis
        # All types have the same component along the normal of their span: it counts tokens and tells no type.
        normal = self.mean - self.basis @ (self.basis.T @ self.mean)
        self.height = float(normal.norm()) if float(normal.norm()) > 1e-6 * largest else 0.0
        self.normal = normal / self.height if self.height else torch.zeros_like(normal)

        remaining = weights.abs().sum(0).flip(0).cumsum(0).flip(0) * largest
        self.memory = max(1, int((remaining > NEGLIGIBLE * self.sigma).sum()))
        # A token of a chain is known in part by its neighbours even where it weighs nothing itself.
        active = [lag for lag in range(self.memory) if self.law.is_chain or bool(weights[:, lag].any())]
        self.window = tuple(active[:longest])
        self.is_exact = len(self.window) == len(active)

    def log_posterior(
        self,
        states: Float[Tensor, "samples scales dim"],
        lags: Sequence[int],
        seen: Int[Tensor, "samples"] | None = None,
    ) -> tuple[Float[Tensor, "samples lags vocabulary"], Bool[Tensor, "samples lags"]]:
        """Log-probability of each type at each lag, nats, and where the state informed it: elsewhere it is the prior.

        Args:
            states: Noisy sums of token vectors.
            lags: Lags of the tokens, steps back.
            seen: Number of tokens behind each state, its own included; by default the whole memory.
        """
        device = self.code.weights.device
        states = states.to(device, torch.float64)
        answer = self.law.prior.log().repeat(len(states), len(lags), 1)
        informed = torch.zeros(len(states), len(lags), dtype=torch.bool, device=device)
        seen = torch.full((len(states),), 1 + max((self.memory, *lags))) if seen is None else seen
        seen = seen.to(device)
        for count in seen.clamp(max=self.memory).unique().tolist():
            rows = torch.nonzero(seen.clamp(max=self.memory) == count).squeeze(1)
            posterior, _ = self.enumerate(states[rows], count)
            for column, lag in enumerate(lags):
                if lag in posterior:
                    answer[rows, column], informed[rows, column] = posterior[lag], True
                elif self.law.is_chain and posterior and lag > max(posterior):
                    longer = rows[seen[rows] > lag]
                    steps = torch.linalg.matrix_power(self.law.back, lag - max(posterior))
                    answer[longer, column] = (posterior[max(posterior)].exp() @ steps).log()[seen[rows] > lag]
                    informed[longer, column] = True
        return answer, informed

    def enumerate(
        self, states: Float[Tensor, "samples scales dim"], seen: int
    ) -> tuple[dict[int, Float[Tensor, "samples vocabulary"]], Float[Tensor, "samples"]]:
        """Log-posterior at each lag of the window, and log-likelihood of each state up to a constant, nats.

        Args:
            states: States with the same number of tokens behind them.
            seen: That number.
        """
        window = [lag for lag in self.window if lag < seen]
        axes, scale, shift = self.whiten(window, seen)
        white = self.coordinates(states, seen) @ axes * scale
        parts = [(self.contribution(lag) @ axes) * scale for lag in window]
        if parts:
            parts[-1] = parts[-1] + shift @ axes * scale
        half = (len(window) + 1) // 2
        heads, tails = superpose(parts[:half], white), superpose(parts[half:], white)
        prior = sequence_prior(self.law.prior, self.law.follow, len(window)).view(len(heads), len(tails))

        numbers = NUMBERS_AT_ONCE["cpu" if white.device.type == "cpu" else "accelerator"]
        totals, tables, types = [], [], len(self.law.prior)
        for batch in white.split(max(1, numbers // prior.numel())):
            joint = log_joint(batch, heads, tails, prior)
            newer, older = torch.logsumexp(joint, 2), torch.logsumexp(joint, 1)
            total = torch.logsumexp(newer, 1)
            totals.append(total)
            tables.append([part - total[:, None] for part in (*marginals(newer, types), *marginals(older, types))])
        posterior = [torch.cat(parts) for parts in zip(*tables, strict=True)]
        return dict(zip(window, posterior, strict=True)), torch.cat(totals) + scale.log().sum()

    def coordinates(self, states: Float[Tensor, "samples scales dim"], seen: int) -> Float[Tensor, "samples numbers"]:
        """Coordinates of states about their mean, within the span of the token vectors, all scales side by side."""
        offset = torch.outer(self.code.weights[:, :seen].sum(1), self.mean)
        return ((states - offset) @ self.basis).flatten(1)

    def contribution(self, lag: int) -> Float[Tensor, "vocabulary numbers"]:
        """Contribution of each type at one lag to the coordinates of a state, all scales side by side."""
        return (self.code.weights[:, lag, None] * self.vectors[:, None]).flatten(1)

    def whiten(self, window: Sequence[int], seen: int) -> tuple[Tensor, Tensor, Tensor]:
        """Axes and scales that make noise and the tokens older than the window white, and the mean of those tokens.

        The covariance of independent tokens is the Kronecker product of that of their weights and that of their
        vectors. A factor F of the covariance is decomposed: its singular values keep digits that the covariance loses.
        """
        first = window[-1] + 1 if window and len(window) == len(self.window) else seen
        numbers = len(self.code.weights) * self.basis.shape[1]
        if first == seen:
            scale = self.vectors.new_full((numbers,), 1.0 / self.sigma)
            return torch.eye(numbers).to(scale), scale, scale.new_zeros(1, numbers)
        if self.law.is_chain:
            factor, mean = self.older_chain(first, seen)
            spread, axes = right_singular(factor)
            return axes, (spread**2 + self.sigma**2).rsqrt(), mean
        axes, scale = self.whiten_older(first, seen)
        return axes, scale, scale.new_zeros(1, numbers)

    def whiten_older(self, first: int, seen: int) -> tuple[Tensor, Tensor]:
        """Axes and scales that make the noise and the independent tokens from lag `first` on white."""
        over_scales, scale_axes = right_singular(self.code.weights[:, first:seen].T)
        over_types, type_axes = right_singular(self.law.prior.sqrt()[:, None] * self.vectors)
        spread, axes = torch.outer(over_scales, over_types).flatten(), torch.kron(scale_axes, type_axes)
        return axes, (spread**2 + self.sigma**2).rsqrt()

    def older_deviation(self) -> float:
        """Largest standard deviation of the tokens that are not enumerated, over all directions, in units of sigma."""
        _, scale, _ = self.whiten(self.window, self.memory)
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
        expected = factor = self.vectors.new_zeros(len(self.law.prior), len(self.code.weights) * self.basis.shape[1])
        odds = (self.law.prior[:, None] * self.law.back).sqrt()
        for lag in reversed(range(first, seen)):
            summed = self.contribution(lag) + expected
            expected = self.law.back @ summed
            rows = odds[..., None] * (summed - expected[:, None])
            factor = torch.linalg.qr(torch.cat([factor, rows.flatten(0, 1)])).R
        return factor, expected

    def count_seen(self, states: Float[Tensor, "samples scales dim"]) -> Int[Tensor, "samples"]:
        """Most probable number of tokens behind each state, with `EARLY_ODDS` for each early position of a document.

        All types reach equally far along the normal of their span, so the state there shows how much weight has been
        added up. Where there is no normal (as many types as dimensions, or more), the likelihood of the whole state
        decides between the first tokens of a document and the whole memory.
        """
        states = states.to(self.code.weights.device, torch.float64)
        options = list(range(1, self.memory + 1))
        if self.height:
            summed = self.height * self.code.weights[:, : self.memory].cumsum(1)
            distance = (states @ self.normal)[..., None] - summed
            log_likelihood = -0.5 * (distance / self.sigma).square().sum(1)
        else:
            options = [*range(1, min(self.memory, len(self.window) + 1)), self.memory]
            log_likelihood = torch.stack([self.enumerate(states, count)[1] for count in options], 1)
        log_likelihood[:, :-1] += math.log(EARLY_ODDS)
        return torch.tensor(options, device=states.device)[log_likelihood.argmax(1)]


def right_singular(
    factor: Float[Tensor, "rows numbers"],
) -> tuple[Float[Tensor, "numbers"], Float[Tensor, "numbers numbers"]]:
    """Singular values and right singular vectors (as columns), as many as there are columns."""
    padded = torch.cat([factor, factor.new_zeros(factor.shape[1], factor.shape[1])])
    _, values, vectors = torch.linalg.svd(padded, full_matrices=False)
    return values, vectors.T
