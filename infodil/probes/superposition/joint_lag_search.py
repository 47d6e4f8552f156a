"""All unsettled tokens of one state at once: how the free lags are divided among them."""

__all__ = ["divide_lags"]

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from infodil.probes.superposition.lag_beliefs import WINDOW, LagBeliefs
from infodil.probes.superposition.subset_sums import MOST_IN_A_HALF, matching_subsets

MOST_LAGS = 62
"""A division is a whole number of 63 bits."""

MOST_TOKENS = 20
"""With more open tokens than this the coefficients leave too much open for a search to be worth its time."""

MOST_DIVISIONS = 4096
MOST_SETS = 20_000
MOST_ALONE = 16
PAIRS_AT_ONCE = 1 << 22
WORSE = 25.0
"""Divisions and sets less likely by this many nats than the best are dropped."""


def divide_lags(
    beliefs: LagBeliefs,
    nodes: Int[ndarray, "unsettled"],
    taken: Bool[ndarray, "lags"],
    least: int,
    most: int,
) -> Float[ndarray, "unsettled lags"] | None:
    """Posterior of how the lags that no settled token holds are divided among the unsettled tokens of one state.

    Token by token, rarest first, every division of the lags so far is extended by every set of still free lags that
    fits the token's coefficient; the last token takes what is left and must fit too. Divisions are weighed by the
    prior and by the fit of every coefficient, and the best are kept (a beam).

    Args:
        beliefs: The tokens of all states, with their coefficients.
        nodes: The unsettled tokens of this state.
        taken: Lags held by settled tokens, among the sharp ones.
        least: How many tokens the state has seen at least.
        most: How many at most.

    Returns:
        Probability that each sharp lag is each token's, or None where too many divisions fit to list them.
    """
    free = np.flatnonzero(~taken)
    free = free[free < most]
    cut = beliefs.sharp if len(free) <= MOST_LAGS else int(free[MOST_LAGS])
    free = free[:MOST_LAGS]
    if len(free) == 0 or not 0 < len(nodes) <= MOST_TOKENS:
        return None
    order = nodes[np.argsort(beliefs.log_prior[nodes].cpu().numpy(), kind="stable")]
    least = max(least, 1 + int(np.flatnonzero(taken).max(initial=-1)))
    problem = Division(beliefs, order, free, cut, least, most)
    for step in range(len(order) - 1):
        if not problem.extend(step):
            return None
    problem.close()
    return problem.posterior(nodes, len(taken))


class Division:
    """The beam: divisions of the free lags among the tokens considered so far."""

    def __init__(
        self,
        beliefs: LagBeliefs,
        order: Int[ndarray, "tokens"],
        free: Int[ndarray, "free"],
        cut: int,
        least: int,
        most: int,
    ) -> None:
        self.beliefs, self.order, self.free = beliefs, order, free
        self.log_prior = beliefs.log_prior[order].cpu().numpy()
        weights = beliefs.weights[:, free].cpu().numpy()
        self.weights, self.key = weights, weights[beliefs.key]
        index = torch.from_numpy(order).to(beliefs.sample.device)
        self.tail = tail = beliefs.tail_beyond(torch.full_like(index, cut), index, beliefs.chances(index))
        coefficient = beliefs.coefficient[index, beliefs.key]
        error = beliefs.full_error(index)[:, beliefs.key]
        low = coefficient - torch.maximum(tail.reach[:, beliefs.key], WINDOW * error)
        self.low, self.high = low.cpu().numpy(), (coefficient + WINDOW * error).cpu().numpy()
        self.bits = np.uint64(1) << np.arange(len(free), dtype=np.uint64)
        # One division for each number of tokens there may have been: lags before the first token are no one's.
        last = int(free[-1])
        pasts = np.arange(min(least, last + 1), min(most, last + 1) + 1)
        before = free >= pasts[:, None]
        # All numbers are as likely, and beyond the last free lag they are not told apart.
        chance = np.where(pasts > last, max(1, most - last), 1)
        self.used, first = np.unique((before * self.bits).sum(1, dtype=np.uint64), return_index=True)
        self.score = np.log(chance[first])
        self.owner = np.full((len(first), len(free)), -1, dtype=np.int64)

    def density(self, token: int, sets: Bool[ndarray, "sets free"]) -> Float[ndarray, "sets"]:
        """Log-likelihood of the token's coefficient for each set of free lags."""
        device = self.beliefs.sample.device
        members = sets.astype(np.float64)  # a product with truth values would not be a fast one
        node = torch.full((len(sets),), int(self.order[token]), device=device)
        sums = torch.from_numpy(members @ self.weights.T).to(device)
        return self.beliefs.log_density(node, sums, self.tail, torch.full_like(node, token)).cpu().numpy()

    def sets_for(
        self, step: int, open_lags: Int[ndarray, "open"], typical: float
    ) -> tuple[Bool[ndarray, "sets free"], Float[ndarray, "sets"]] | None:
        """Sets of open lags that fit the token, and what each adds to the score; None if they are too many.

        `typical` is how many lags are open in one division: `open_lags` may be those of several.
        """
        rest = np.exp(self.log_prior[step + 1 :]).sum()
        own = math.exp(self.log_prior[step])
        mean = max(1.0, typical * own / (own + rest))
        found = matching_subsets(self.key[open_lags], self.low[step], self.high[step], mean)
        if found is None:
            return None
        sets = np.zeros((len(found), len(self.free)), dtype=bool)
        sets[:, open_lags] = found
        # A lag is held by this token rather than by one of those still to come.
        gain = self.density(step, sets) + sets.sum(1) * (self.log_prior[step] - math.log(rest))
        best = np.argsort(-gain, kind="stable")[:MOST_SETS]
        best = best[gain[best] > max(gain[best[0]] - 30.0, -1e300)] if len(best) else best
        return sets[best], gain[best]

    def extend(self, step: int) -> bool:
        """Give the token its lags in every division; False where no division or too many are left."""
        still = (self.used[:, None] & self.bits) == 0
        own, rest = np.exp(self.log_prior[step]), np.exp(self.log_prior[step + 1 :]).sum()
        # An open lag is this token's or a later one's, and divisions differ in how many are open.
        self.score = self.score + still.sum(1) * math.log(rest / (own + rest))
        together = np.flatnonzero(still.any(0))
        listed = self.sets_for(step, together, float(still.sum(1).mean()))
        parts = [] if listed is None else [self.combine(np.arange(len(self.used)), *listed)]
        if listed is None or 2 ** (len(together) // 2) > MOST_IN_A_HALF:
            # Not everything that fits the lags open in some division was listed: the best are gone through alone.
            for row in range(min(MOST_ALONE, len(self.used))):
                alone = np.flatnonzero(still[row])
                listed = self.sets_for(step, alone, float(len(alone)))
                if listed is None:
                    break  # nor will fewer fit the next: what is left open is beyond the precision of the states
                parts.append(self.combine(np.array([row]), *listed))
        parts = [part for part in parts if len(part[0])]
        if not parts:
            return False
        row = np.concatenate([part[0] for part in parts])
        chosen = np.concatenate([part[1] for part in parts])
        score = np.concatenate([part[2] for part in parts])
        best = np.argsort(-score, kind="stable")
        # A division found both ways counts once.
        used = self.used[row[best]] | (chosen[best] * self.bits).sum(1, dtype=np.uint64)
        _, first = np.unique(np.stack([row[best].astype(np.uint64), used], 1), axis=0, return_index=True)
        best = best[np.sort(first)][:MOST_DIVISIONS]
        best = best[score[best] > score[best[0]] - WORSE]
        row, chosen, self.score = row[best], chosen[best], score[best]
        self.used = self.used[row] | (chosen * self.bits).sum(1, dtype=np.uint64)
        self.owner = np.where(chosen, step, self.owner[row])
        return True

    def combine(
        self, rows: Int[ndarray, "divisions"], sets: Bool[ndarray, "sets free"], gain: Float[ndarray, "sets"]
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Every division with every set disjoint from it: the division, the set, the score; the best of each part."""
        mask = (sets * self.bits).sum(1, dtype=np.uint64)
        kept = []
        for some in np.array_split(rows, max(1, len(rows) * len(mask) // PAIRS_AT_ONCE)):
            row, column = np.nonzero((self.used[some, None] & mask) == 0)
            score = self.score[some[row]] + gain[column]
            if len(score) > MOST_DIVISIONS:
                best = np.argpartition(-score, MOST_DIVISIONS)[:MOST_DIVISIONS]
                row, column, score = row[best], column[best], score[best]
            kept.append((some[row], column, score))
        row, column, score = (np.concatenate(part) for part in zip(*kept, strict=True))
        if len(score) > MOST_DIVISIONS:
            best = np.argpartition(-score, MOST_DIVISIONS)[:MOST_DIVISIONS]
            row, column, score = row[best], column[best], score[best]
        return row, sets[column], score

    def close(self) -> None:
        """The last token takes every lag that is left."""
        last = len(self.order) - 1
        left = (self.used[:, None] & self.bits) == 0
        fit = self.density(last, left)
        # Coefficients and weights have the same sum, so what is left fits unless a token was missed altogether.
        self.score = self.score + np.maximum(fit, -1e3)
        self.owner = np.where(left, last, self.owner)

    def posterior(self, nodes: Int[ndarray, "unsettled"], lags: int) -> Float[ndarray, "unsettled lags"]:
        """Share of the divisions' weight in which each lag is each token's."""
        weight = np.exp(self.score - self.score.max())
        weight /= weight.sum()
        by_token = np.zeros((len(self.order) + 1, lags))  # the last row for lags that are no one's
        for place, lag in enumerate(self.free):
            np.add.at(by_token[:, lag], self.owner[:, place], weight)
        back = np.empty(len(nodes), dtype=np.int64)
        back[np.argsort(self.beliefs.log_prior[nodes].cpu().numpy(), kind="stable")] = np.arange(len(nodes))
        return by_token[:-1][back]
