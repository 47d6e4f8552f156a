"""Which lag each found token has: sets of lags whose weights add up to its coefficient, weighed against each other."""

__all__ = ["LagBeliefs", "Tail", "tail_of"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from infodil.probes.subsets import expand_ranges

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


@dataclass(frozen=True)
class Tail:
    """What a token may add to its coefficient from lags that are not enumerated."""

    log_none: Float[Tensor, "nodes"]
    """Log-probability that it is at none of them."""
    reach: Float[Tensor, "nodes scales"]
    """The most it plausibly adds."""


def tail_of(
    weights: Float[Tensor, "scales tokens"],
    cut: int,
    probability: Float[Tensor, "nodes"],
    error: Float[Tensor, "nodes scales"],
) -> Tail:
    """The tail beyond the first `cut` lags for tokens of these prior probabilities."""
    deep = weights[:, cut:].abs()
    if deep.shape[1] == 0:
        return Tail(torch.zeros_like(probability), torch.zeros_like(error))
    noticed = (deep > 1e-3 * error.median(0).values[:, None]).any(0).sum()
    spread = (probability[:, None] * deep.pow(2).sum(1)).sqrt()
    return Tail(-probability * noticed, deep.amax(1) + probability[:, None] * deep.sum(1) + 3.0 * spread)


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
        weights: Of every lag, in each scale.
        relative: Relative error of a weight, as the states have it.
        sharp: Lags told apart from their neighbours by this error.
        seen: Lags that show at all.
        past: How many tokens each state has seen.

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
        past: Int[Tensor, "samples"],
    ) -> None:
        self.sample, self.coefficient, self.error, self.log_prior = sample, coefficient, error, log_prior
        self.all_weights, self.relative, self.sharp, self.seen = weights, relative, sharp, seen
        self.weights = weights[:, :seen]
        self.nodes, self.samples = len(sample), len(past)
        device, probability = sample.device, log_prior.exp()
        typical = error.median(0).values
        # The scale whose lags stand highest above its errors is searched; the others only have to agree.
        self.key = int((self.weights.abs() / typical[:, None]).clamp(min=1.0).log().sum(1).argmax())
        self.rare = probability * (seen - sharp) < RARE
        shallow, deep = (tail_of(weights, cut, probability, error) for cut in (sharp, seen))
        self.tail = Tail(
            torch.where(self.rare, deep.log_none, shallow.log_none),
            torch.where(self.rare[:, None], deep.reach, shallow.reach),
        )
        self.log_odds = torch.zeros(self.nodes, seen, dtype=torch.float64, device=device)
        self.listed = torch.full((self.nodes,), LARGEST, device=device)
        present = torch.zeros(self.samples, dtype=torch.float64, device=device).index_add_(0, sample, probability)
        # A token that was not found: the likelier the smaller its weight against the noise; sure before the beginning.
        strength = (self.weights / typical[:, None]).pow(2).sum(0).sqrt()
        self.elsewhere = (1.0 - present.clamp(max=1.0 - 1e-9)).log()[:, None] + torch.special.log_ndtr(4.0 - strength)
        self.elsewhere = torch.where(torch.arange(seen, device=device) >= past[:, None], 50.0, self.elsewhere)
        self.list_sets()

    def log_density(
        self,
        node: Int[Tensor, "sets"],
        sums: Float[Tensor, "sets scales"],
        squares: Float[Tensor, "sets scales"],
        tail: Tail,
    ) -> Float[Tensor, "sets"]:
        """Log-likelihood of each token's coefficient if the enumerated lags add up to `sums`; -inf where it cannot be.

        What is left is either error, or one to a few deep lags, log-uniform up to their reach. The key scale gives a
        density; the others only how well they agree, for a token's scales are one event.
        """
        error = (self.error[node].pow(2) + self.relative**2 * squares).sqrt()
        left = self.coefficient[node] - sums
        none, reach = tail.log_none[node][:, None], torch.maximum(tail.reach[node], 2.0 * error)
        exact = none - 0.5 * (left / error).pow(2) - error.log() - HALF_LOG_TWO_PI
        some = torch.log((-torch.expm1(none)).clamp(min=1e-300))
        some = some - torch.maximum(left, error).log() - (1.0 + (reach / error).log()).log()
        some = torch.where((left > -2.0 * error) & (left < reach), some, -1e3)
        each = torch.logaddexp(exact, some)
        best = none - error.log() - HALF_LOG_TWO_PI
        fits = (each > best - 25.0).all(1)
        agree = (each - best).sum(1) - (each - best)[:, self.key]
        return torch.where(fits, each[:, self.key] + agree, -torch.inf)

    def window(self, node: Int[Tensor, "some"]) -> tuple[Float[Tensor, "some"], Float[Tensor, "some"]]:
        """Least and greatest sum that may be a token's coefficient in the key scale."""
        coefficient = self.coefficient[node, self.key]
        error = (self.error[node, self.key].pow(2) + (self.relative * coefficient).pow(2)).sqrt()
        return coefficient - torch.maximum(
            self.tail.reach[node, self.key], WINDOW * error
        ), coefficient + WINDOW * error

    def list_sets(self) -> None:
        """List all sets of one, two and three lags that fit each token."""
        found: list[tuple[Tensor, Tensor]] = []
        for rare in (True, False):
            nodes = (self.rare == rare).nonzero().squeeze(1)
            lags = self.seen if rare else self.sharp
            weight = self.weights[self.key, :lags]
            first, second = torch.triu_indices(lags, lags, 1, device=weight.device)
            pair, order = (weight[first] + weight[second]).sort()
            first, second = first[order], second[order]
            single, order = weight.sort()
            for some in nodes.split(2048):
                low, high = self.window(some)
                which, place = self.between(some, single, low[:, None], high[:, None], 1)
                found.append((some[which], torch.nn.functional.pad(order[place][:, None], (0, 2), value=-1)))
                which, place = self.between(some, pair, low[:, None], high[:, None], 2)
                two = torch.stack([first[place], second[place], torch.full_like(place, -1)], 1)
                found.append((some[which], two))
                which, place = self.between(some, pair, low[:, None] - weight, high[:, None] - weight, 3)
                third = which % lags
                once = third < first[place]
                three = torch.stack([third, first[place], second[place]], 1)[once]
                found.append((some[which[once] // lags], three))
        self.node, self.sets = (torch.cat(part) for part in zip(*found, strict=True))
        use = self.sets >= 0
        weight = self.weights[:, self.sets.clamp(min=0)] * use
        self.density = self.log_density(self.node, weight.sum(2).T, weight.pow(2).sum(2).T, self.tail)
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
