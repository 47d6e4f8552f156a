"""Which lag each found token has: sets of lags whose weights add up to its coefficient, weighed against each other."""

__all__ = ["LagBeliefs"]

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.probes.superposition.deep_lags import Tail, tail_of
from infodil.probes.superposition.subset_sums import expand_ranges

WINDOW = 5.0
"""Standard errors by which a sum may miss a coefficient."""

RARE = 0.05
"""A type expected less often than this among the deep lags has its deep lags enumerated; others have them as a tail."""

MOST_SETS = 256
"""Sets of one size kept for one token; where more fit, the size says nothing and its Gaussian speaks for it."""

LARGEST = 3
ROUNDS = 12
DAMPING = 0.5
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


class LagBeliefs:
    r"""Loopy belief propagation between tokens and lags.

    Token v has coefficient :math:`c_v = \sum_{k \in S_v} w_k` up to its error, and every lag belongs to one token. Each
    token lists the sets :math:`S_v` of one to three lags that fit, weighs them by the prior and by what the other
    tokens leave free, and tells every lag the odds that it is there; what is not listed (larger sets) weighs as a
    Gaussian sum of independent lags and tells the lags nothing.

    Args:
        sample: The state each token was found in, ascending.
        coefficient: Of each token, in each scale.
        error: Standard error of the coefficients.
        log_prior: Of each token's type.
        weights: Of every lag, in each scale; the last scale is the one that is searched.
        relative: Relative error of a weight, as the states have it.
        sharp: Lags told apart from their neighbours by this error.
        seen: Lags that show at all.
        past: How many tokens each state has seen, at least and at most.
        taken: Lags whose token is known: they are no one's here.

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
    ) -> None:
        self.sample, self.coefficient, self.error, self.log_prior = sample, coefficient, error, log_prior
        self.all_weights, self.relative, self.sharp, self.seen, self.past = weights, relative, sharp, seen, past
        self.weights, self.taken = weights[:, :seen], taken
        self.nodes, self.samples = len(sample), len(past)
        device, probability = sample.device, log_prior.exp()
        typical = error.median(0).values
        # The slowest scale is searched, the last; faster ones have had their say and only have to agree.
        self.key = len(weights) - 1
        self.rare = probability * (seen - sharp) < RARE
        everyone = torch.arange(self.nodes, device=device)
        self.tail = self.tail_beyond(torch.where(self.rare, seen, sharp), everyone, probability[:, None])
        self.log_odds = torch.zeros(self.nodes, seen, dtype=torch.float64, device=device)
        self.listed = torch.full((self.nodes,), LARGEST, device=device)
        present = torch.zeros(self.samples, dtype=torch.float64, device=device).index_add_(0, sample, probability)
        # A token that was not found: the likelier the smaller its weight against the noise; sure before the beginning.
        strength = (self.weights / typical[:, None]).pow(2).sum(0).sqrt()
        self.elsewhere = (1.0 - present.clamp(max=1.0 - 1e-9)).log()[:, None] + torch.special.log_ndtr(4.0 - strength)
        lag = torch.arange(seen, device=device)
        self.elsewhere = torch.where(lag >= past[:, :1], 0.0, self.elsewhere)  # there may be no token
        self.elsewhere = torch.where((lag >= past[:, 1:]) | taken, 50.0, self.elsewhere)
        self.list_sets()

    def full_error(self, node: Int[Tensor, "some"]) -> Float[Tensor, "some scales"]:
        """Standard error of coefficients, what the weights err by included."""
        return (self.error[node].pow(2) + (self.relative * self.coefficient[node]).pow(2)).sqrt()

    def tail_beyond(
        self, cut: Int[Tensor, "some"], node: Int[Tensor, "some"], chance: Float[Tensor, "some #tokens"]
    ) -> Tail:
        """What some tokens may add from lags beyond the first `cut`, given their chance to be at each."""
        lag = torch.arange(self.all_weights.shape[1], device=node.device)
        deep = (lag >= cut[:, None]) & (lag < self.past[self.sample[node], 1:])
        return tail_of(self.all_weights, torch.where(deep, chance, 0.0), self.full_error(node), self.key)

    def chances(self, node: Int[Tensor, "some"]) -> Float[Tensor, "some tokens"]:
        """That each lag is a token's: by the prior and what others claim, as far as lags show; by the prior beyond."""
        chance = self.log_prior[node].exp()[:, None].repeat(1, self.all_weights.shape[1])
        chance[:, : self.seen] = torch.sigmoid(self.free()[node])
        return chance

    def log_density(
        self,
        node: Int[Tensor, "sets"],
        sums: Float[Tensor, "sets scales"],
        tail: Tail,
        row: Int[Tensor, "sets"],
    ) -> Float[Tensor, "sets"]:
        """Log-likelihood of each token's coefficient if the enumerated lags add up to `sums`; -inf where it cannot be.

        What is left is error and deep lags. The key scale gives a density; the others only how well they agree, for a
        token's scales are one event: there what is left is error, or one to a few deep lags, log-uniform up to their
        reach. `row` is the place of each token in the tail.
        """
        left = self.coefficient[node] - sums
        own = tail.log_density(row, left[:, self.key])
        if left.shape[1] == 1:
            return own
        error = self.full_error(node)
        none, reach = tail.log_none[row][:, None], torch.maximum(tail.reach[row], 2.0 * error)
        exact = none - 0.5 * (left / error).pow(2) - error.log() - HALF_LOG_TWO_PI
        some = torch.log((-torch.expm1(none)).clamp(min=1e-300))
        some = some - torch.maximum(left, error).log() - (1.0 + (reach / error).log()).log()
        some = torch.where((left > -2.0 * error) & (left < reach), some, -1e3)
        agree = torch.logaddexp(exact, some) - (none - error.log() - HALF_LOG_TWO_PI)
        fits = (agree > -25.0).all(1)
        return torch.where(fits, own + agree.sum(1) - agree[:, self.key], -torch.inf)

    def window(self, node: Int[Tensor, "some"]) -> tuple[Float[Tensor, "some"], Float[Tensor, "some"]]:
        """Least and greatest sum that may be a token's coefficient in the key scale."""
        coefficient, error = self.coefficient[node, self.key], self.full_error(node)[:, self.key]
        return coefficient - torch.maximum(
            self.tail.reach[node, self.key], WINDOW * error
        ), coefficient + WINDOW * error

    def list_sets(self) -> None:
        """List all sets of one, two and three lags that fit each token."""
        found: list[tuple[Tensor, Tensor]] = []
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
                found.append((some[which], torch.nn.functional.pad(free[order[place]][:, None], (0, 2), value=-1)))
                which, place = self.between(some, pair, low[:, None], high[:, None], 2)
                two = torch.stack([free[first[place]], free[second[place]], torch.full_like(place, -1)], 1)
                found.append((some[which], two))
                which, place = self.between(some, pair, low[:, None] - weight, high[:, None] - weight, 3)
                third = which % lags
                once = third < first[place]
                three = free[torch.stack([third, first[place], second[place]], 1)[once]]
                found.append((some[which[once] // lags], three))
        self.node, self.sets = (torch.cat(part) for part in zip(*found, strict=True))
        use = self.sets >= 0
        weight = self.weights[:, self.sets.clamp(min=0)] * use
        self.density = self.log_density(self.node, weight.sum(2).T, self.tail, self.node)
        self.keep(torch.isfinite(self.density) & (self.size() <= self.listed[self.node]))

    def between(
        self, nodes: Tensor, sums: Tensor, low: Tensor, high: Tensor, size: int
    ) -> tuple[Int[Tensor, "pairs"], Int[Tensor, "pairs"]]:
        """(query, place in `sums`) of all sums between the bounds; a token with too many has this size unlisted."""
        begin, end = torch.searchsorted(sums, low.contiguous()), torch.searchsorted(sums, high.contiguous(), right=True)
        crowded = (end - begin).sum(1) > MOST_SETS
        self.listed[nodes[crowded]] = self.listed[nodes[crowded]].clamp(max=size - 1)
        return expand_ranges(begin, torch.where(crowded[:, None], begin, end))

    def size(self) -> Int[Tensor, "sets"]:
        """How many lags each listed set has."""
        return (self.sets >= 0).sum(1)

    def keep(self, chosen: Bool[Tensor, "sets"]) -> None:
        """Forget the other sets."""
        self.node, self.sets, self.density = self.node[chosen], self.sets[chosen], self.density[chosen]

    def shares(self) -> tuple[Float[Tensor, "nodes lags"], Float[Tensor, "samples lags"]]:
        """Log of each token's claim on each lag, and of the claims of all and of tokens not found."""
        own = self.log_prior[:, None] + self.log_odds
        index = self.sample[:, None].expand_as(own)
        top = self.elsewhere.scatter_reduce(0, index, own, "amax")
        total = (self.elsewhere - top).exp().index_add_(0, self.sample, (own - top[self.sample]).exp())
        return own, total.log() + top

    def free(self) -> Float[Tensor, "nodes lags"]:
        """Log-odds that a lag is a token's, by the prior and all other tokens' claims."""
        own, _ = self.shares()
        index = self.sample[:, None].expand_as(own)
        top = self.elsewhere.scatter_reduce(0, index, own, "amax")
        scaled = (own - top[self.sample]).exp()
        rest = (self.elsewhere - top).exp()
        total = rest.index_add(0, self.sample, scaled)[self.sample]
        # The rest of a claim that is nearly all there is, without cancelling.
        small = rest.index_add(0, self.sample, torch.where(scaled > 0.999 * total, 0.0, scaled))[self.sample]
        rest = torch.where(scaled > 0.999 * total, small, total - scaled).clamp(min=1e-30)
        return (self.log_prior[:, None] - rest.log() - top[self.sample]).clamp(-40.0, 40.0)

    def update(self, damping: float = DAMPING, soft: bool = False) -> None:
        """One round of messages; `soft` lets the unlisted sets speak by their Gaussian, for a last word."""
        odds = self.free()
        chance = torch.sigmoid(odds)
        none = torch.nn.functional.logsigmoid(-odds).sum(1)
        use = self.sets >= 0
        picked = torch.where(use, odds[self.node[:, None], self.sets.clamp(min=0)], 0.0).sum(1)
        listed = picked + self.density + none[self.node]
        weight, coefficient = self.weights[self.key], self.coefficient[:, self.key]
        mean = (chance * weight).sum(1)
        variance = (chance * (1.0 - chance) * weight**2).sum(1)
        variance = variance + self.error[:, self.key] ** 2 + (self.tail.reach[:, self.key] / 3.0) ** 2
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
        # Where others hold a lag beyond doubt nothing was learned about it; deep lags of a frequent token are its tail.
        message = torch.where((inside < 1e-12 * total[:, None]) & (odds < -30.0), 0.0, message)
        deep = torch.arange(self.seen, device=odds.device) >= self.sharp
        message = torch.where(deep & ~self.rare[:, None], 0.0, message)
        self.log_odds = damping * message + (1.0 - damping) * self.log_odds
        self.unlisted = other / total
        self.keep(listed > top[self.node] - 25.0)

    def solve(self) -> tuple[Float[Tensor, "nodes lags"], Float[Tensor, "nodes lags"]]:
        """Beliefs that each lag is each token's: from listed sets alone, and with the last word of the unlisted."""
        self.update(damping=1.0)
        for _ in range(ROUNDS - 1):
            self.update()
        firm, unlisted = self.beliefs(), self.unlisted
        self.update(damping=1.0, soft=True)
        soft = self.beliefs()
        self.unlisted = unlisted
        return firm, soft

    def beliefs(self) -> Float[Tensor, "nodes lags"]:
        """Probability that each lag is each token's."""
        own, total = self.shares()
        return (own - total[self.sample]).exp()
