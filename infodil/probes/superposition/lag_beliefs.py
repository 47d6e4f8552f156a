"""Lag belief propagation: sets of lags whose weights sum to each token's coefficient, weighed against each other."""

__all__ = ["LagBeliefs"]

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.probes.superposition.deep_lags import DeepLagResidual, deep_lag_residual
from infodil.probes.superposition.options import DecoderOptions
from infodil.probes.superposition.subset_sums import expand_ranges

LARGEST_SET = 3
"""Size of the largest sets of lags that are listed: their number grows with the cube of the lags."""

HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class LagBeliefs:
    r"""Loopy belief propagation between tokens and lags.

    Token v has coefficient :math:`c_v = \sum_{k \in S_v} w_k` up to its error, and every lag belongs to one token. Each
    token lists the sets :math:`S_v` of one to three lags that fit, weighs them by the prior and by the beliefs of the
    other tokens, and sends every lag the odds that the token is there. Sets that are not listed (larger ones) weigh as
    a Gaussian sum of independent lags and send no message.

    Args:
        sample: Index of the state in which each token was found, ascending.
        coefficient: Coefficient of each token in each scale.
        error: Standard error of the coefficients.
        log_prior: Log-probability of each token's type, nats.
        weights: Weight of every lag in each scale; the last scale is the one that is searched.
        relative: Relative error of a weight in the precision of the states.
        sharp: Number of lags that are told apart from their neighbours at this error.
        seen: Number of lags that show at all.
        past: Smallest and largest number of tokens behind each state.
        taken: Lags whose token is settled: no token here holds them.
        options: Options of the decoder.

    Reference:
        Pearl (1988), Probabilistic Reasoning in Intelligent Systems, chapter 4; Kschischang, Frey and Loeliger (2001),
        Factor graphs and the sum-product algorithm.
    """

    def __init__(
        self,
        sample: Int[Tensor, "nodes"],
        coefficient: Float[Tensor, "nodes scales"],
        error: Float[Tensor, "nodes scales"],
        log_prior: Float[Tensor, "nodes"],
        weights: Float[Tensor, "scales tokens"],
        relative: float,
        sharp: int,
        seen: int,
        past: Int[Tensor, "samples bounds"],
        taken: Bool[Tensor, "samples seen"],
        options: DecoderOptions,
    ) -> None:
        self.options = options
        self.sample, self.coefficient, self.error, self.log_prior = sample, coefficient, error, log_prior
        self.all_weights, self.relative, self.sharp, self.seen, self.past = weights, relative, sharp, seen, past
        self.weights, self.taken = weights[:, :seen], taken
        self.nodes, self.samples = len(sample), len(past)
        device, probability = sample.device, log_prior.exp()
        typical = error.median(0).values
        # The last scale, the slowest, is searched; the faster ones were searched before and only have to agree.
        self.key = len(weights) - 1
        self.rare = probability * (seen - sharp) < options.rare_tokens
        every_node = torch.arange(self.nodes, device=device)
        self.deep = self.deep_lags(torch.where(self.rare, seen, sharp), every_node, probability[:, None])
        self.log_odds = torch.zeros(self.nodes, seen, dtype=torch.float64, device=device)
        self.listed = torch.full((self.nodes,), LARGEST_SET, device=device)
        present = torch.zeros(self.samples, dtype=torch.float64, device=device).index_add_(0, sample, probability)
        # A lag without a found token: likelier the smaller its weight, certain before the first token.
        strength = (self.weights / typical[:, None]).pow(2).sum(0).sqrt()
        self.elsewhere = (1.0 - present.clamp(max=1.0 - 1e-9)).log()[:, None] + torch.special.log_ndtr(4.0 - strength)
        lag = torch.arange(seen, device=device)
        self.elsewhere = torch.where(lag >= past[:, :1], 0.0, self.elsewhere)  # perhaps before the first token
        self.elsewhere = torch.where((lag >= past[:, 1:]) | taken, 50.0, self.elsewhere)
        self.list_sets()

    def full_error(self, node: Int[Tensor, "some"]) -> Float[Tensor, "some scales"]:
        """Standard error of coefficients, the error of the weights included."""
        return (self.error[node].pow(2) + (self.relative * self.coefficient[node]).pow(2)).sqrt()

    def deep_lags(
        self, cut: Int[Tensor, "some"], node: Int[Tensor, "some"], chance: Float[Tensor, "some #tokens"]
    ) -> DeepLagResidual:
        """Residual of some tokens from lags beyond the first `cut`, given their probability at each."""
        lag = torch.arange(self.all_weights.shape[1], device=node.device)
        deep = (lag >= cut[:, None]) & (lag < self.past[self.sample[node], 1:])
        chance = torch.where(deep, chance, 0.0)
        return deep_lag_residual(self.all_weights, chance, self.full_error(node), self.key, self.options)

    def chances(self, node: Int[Tensor, "some"]) -> Float[Tensor, "some tokens"]:
        """Probability of each token at each lag: given the other tokens' beliefs where lags show, the prior beyond."""
        chance = self.log_prior[node].exp()[:, None].repeat(1, self.all_weights.shape[1])
        chance[:, : self.seen] = torch.sigmoid(self.free()[node])
        return chance

    def log_density(
        self,
        node: Int[Tensor, "sets"],
        sums: Float[Tensor, "sets scales"],
        deep: DeepLagResidual,
        row: Int[Tensor, "sets"],
    ) -> Float[Tensor, "sets"]:
        r"""Log-likelihood of each token's coefficient if its enumerated lags add up to `sums`; -inf where impossible.

        The residual :math:`r = c_v - \sum w` has the deep-lag density in the searched scale. The other scales see the
        same event and only have to agree: there :math:`r` is a two-component mixture, Gaussian error with probability
        :math:`p_0` (no deep lag), else log-uniform between the error and the reach of the deep lags; the ratio of the
        mixture to its Gaussian peak is the agreement.

        Args:
            node: The token of each set.
            sums: Sum of the weights of each set, in each scale.
            deep: Deep-lag residuals.
            row: Place of each token among these residuals.
        """
        residual = self.coefficient[node] - sums
        density = deep.log_density(row, residual[:, self.key])
        if residual.shape[1] == 1:
            return density
        error = self.full_error(node)
        none, reach = deep.log_none[row][:, None], torch.maximum(deep.reach[row], 2.0 * error)
        exact = none - 0.5 * (residual / error).pow(2) - error.log() - HALF_LOG_TWO_PI
        some = torch.log((-torch.expm1(none)).clamp(min=1e-300))
        some = some - torch.maximum(residual, error).log() - (1.0 + (reach / error).log()).log()
        some = torch.where((residual > -2.0 * error) & (residual < reach), some, -1e3)
        agree = torch.logaddexp(exact, some) - (none - error.log() - HALF_LOG_TWO_PI)
        fits = (agree > -25.0).all(1)
        return torch.where(fits, density + agree.sum(1) - agree[:, self.key], -torch.inf)

    def window(self, node: Int[Tensor, "some"]) -> tuple[Float[Tensor, "some"], Float[Tensor, "some"]]:
        """Smallest and largest sum of weights that may be a token's coefficient in the searched scale."""
        coefficient, error = self.coefficient[node, self.key], self.full_error(node)[:, self.key]
        window = self.options.window_errors * error
        return coefficient - torch.maximum(self.deep.reach[node, self.key], window), coefficient + window

    def list_sets(self) -> None:
        """All sets of one, two and three lags that fit each token, with their log-likelihood."""
        listed: list[tuple[Tensor, Tensor]] = []
        for rare in (True, False):
            nodes = (self.rare == rare).nonzero().squeeze(1)
            free = (~self.taken[:, : self.seen if rare else self.sharp]).any(0).nonzero().squeeze(1)
            lags, weight = len(free), self.weights[self.key, free]
            first, second = torch.triu_indices(lags, lags, 1, device=weight.device)
            pair, order = (weight[first] + weight[second]).sort()
            first, second = first[order], second[order]
            single, order = weight.sort()
            for some in nodes.split(2048):
                low, high = self.window(some)
                which, place = self.between(some, single, low[:, None], high[:, None], 1)
                listed.append((some[which], torch.nn.functional.pad(free[order[place]][:, None], (0, 2), value=-1)))
                which, place = self.between(some, pair, low[:, None], high[:, None], 2)
                two = torch.stack([free[first[place]], free[second[place]], torch.full_like(place, -1)], 1)
                listed.append((some[which], two))
                which, place = self.between(some, pair, low[:, None] - weight, high[:, None] - weight, 3)
                third = which % lags
                once = third < first[place]
                three = free[torch.stack([third, first[place], second[place]], 1)[once]]
                listed.append((some[which[once] // lags], three))
        self.node, self.sets = (torch.cat(part) for part in zip(*listed, strict=True))
        use = self.sets >= 0
        weight = self.weights[:, self.sets.clamp(min=0)] * use
        self.density = self.log_density(self.node, weight.sum(2).T, self.deep, self.node)
        self.keep(torch.isfinite(self.density) & (self.size() <= self.listed[self.node]))

    def between(
        self, nodes: Tensor, sums: Tensor, low: Tensor, high: Tensor, size: int
    ) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
        """Pairs (query, place in `sums`) of the sums between the bounds; with too many, the size is left unlisted."""
        begin, end = torch.searchsorted(sums, low.contiguous()), torch.searchsorted(sums, high.contiguous(), right=True)
        crowded = (end - begin).sum(1) > self.options.max_sets
        self.listed[nodes[crowded]] = self.listed[nodes[crowded]].clamp(max=size - 1)
        return expand_ranges(begin, torch.where(crowded[:, None], begin, end))

    def size(self) -> Int[Tensor, "sets"]:
        """Number of lags of each listed set."""
        return (self.sets >= 0).sum(1)

    def keep(self, chosen: Bool[Tensor, "sets"]) -> None:
        """Removal of all sets but the chosen ones."""
        self.node, self.sets, self.density = self.node[chosen], self.sets[chosen], self.density[chosen]

    def shares(self) -> tuple[Float[Tensor, "nodes lags"], Float[Tensor, "samples lags"]]:
        """Log-weight of each token at each lag, and of all tokens together, those not found included."""
        own = self.log_prior[:, None] + self.log_odds
        index = self.sample[:, None].expand_as(own)
        top = self.elsewhere.scatter_reduce(0, index, own, "amax")
        total = (self.elsewhere - top).exp().index_add_(0, self.sample, (own - top[self.sample]).exp())
        return own, total.log() + top

    def free(self) -> Float[Tensor, "nodes lags"]:
        """Log-odds of each token at each lag from the prior and the beliefs of all other tokens."""
        own, _ = self.shares()
        index = self.sample[:, None].expand_as(own)
        top = self.elsewhere.scatter_reduce(0, index, own, "amax")
        scaled = (own - top[self.sample]).exp()
        rest = (self.elsewhere - top).exp()
        total = rest.index_add(0, self.sample, scaled)[self.sample]
        # The remainder beside a weight that is nearly everything, without cancellation.
        small = rest.index_add(0, self.sample, torch.where(scaled > 0.999 * total, 0.0, scaled))[self.sample]
        rest = torch.where(scaled > 0.999 * total, small, total - scaled).clamp(min=1e-30)
        return (self.log_prior[:, None] - rest.log() - top[self.sample]).clamp(-40.0, 40.0)

    def update(self, damping: float, soft: bool = False) -> None:
        """One round of messages.

        Args:
            damping: Share of the new message in the odds.
            soft: Whether unlisted sets send messages too, by their Gaussian.
        """
        odds = self.free()
        chance = torch.sigmoid(odds)
        none = torch.nn.functional.logsigmoid(-odds).sum(1)
        use = self.sets >= 0
        picked = torch.where(use, odds[self.node[:, None], self.sets.clamp(min=0)], 0.0).sum(1)
        listed = picked + self.density + none[self.node]
        weight, coefficient = self.weights[self.key], self.coefficient[:, self.key]
        mean = (chance * weight).sum(1)
        variance = (chance * (1.0 - chance) * weight**2).sum(1)
        variance = variance + self.error[:, self.key] ** 2 + (self.deep.reach[:, self.key] / 3.0) ** 2
        larger = torch.special.gammainc(self.listed.double() + 1.0, chance.sum(1).clamp(min=1e-12)).clamp(min=1e-30)
        other = larger.log() - 0.5 * (coefficient - mean) ** 2 / variance - 0.5 * variance.log() - HALF_LOG_TWO_PI
        top = other.scatter_reduce(0, self.node, listed, "amax")
        share, other = (listed - top[self.node]).exp(), (other - top).exp()
        total = other.index_add(0, self.node, share)

        inside = torch.zeros_like(odds)
        flat = (self.node[:, None] * self.seen + self.sets.clamp(min=0))[use]
        inside.view(-1).index_add_(0, flat, share[:, None].expand_as(self.sets)[use])
        if soft:
            rest = coefficient[:, None] - mean[:, None] + chance * weight
            width = variance[:, None] - chance * (1.0 - chance) * weight**2
            chance = torch.sigmoid(odds + (rest * weight - 0.5 * weight**2) / width)
        inside = inside + other[:, None] * chance
        outside = (total[:, None] - inside).clamp(min=1e-15 * float(total.max()))
        message = (inside.clamp(min=1e-30).log() - outside.log() - odds).clamp(-40.0, 40.0)
        # A lag that others hold for certain gets no message; deep lags of a frequent token are in its residual.
        message = torch.where((inside < 1e-12 * total[:, None]) & (odds < -30.0), 0.0, message)
        deep = torch.arange(self.seen, device=odds.device) >= self.sharp
        message = torch.where(deep & ~self.rare[:, None], 0.0, message)
        self.log_odds = damping * message + (1.0 - damping) * self.log_odds
        self.unlisted = other / total
        self.keep(listed > top[self.node] - self.options.max_loss_nats)

    def solve(self) -> tuple[Float[Tensor, "nodes lags"], Float[Tensor, "nodes lags"]]:
        """Beliefs of each token at each lag: from listed sets alone, and with a last round of the unlisted ones."""
        self.update(damping=1.0)
        for _ in range(self.options.rounds - 1):
            self.update(self.options.damping)
        listed, unlisted = self.beliefs(), self.unlisted
        self.update(damping=1.0, soft=True)
        soft = self.beliefs()
        self.unlisted = unlisted
        return listed, soft

    def beliefs(self) -> Float[Tensor, "nodes lags"]:
        """Probability of each token at each lag."""
        own, total = self.shares()
        return (own - total[self.sample]).exp()
