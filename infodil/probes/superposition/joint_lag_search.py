"""Joint lag search: a beam over divisions of the free lags among all unsettled tokens of one state."""

__all__ = ["divide_lags"]

import math

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray

from infodil.probes.superposition.lag_beliefs import LagBeliefs
from infodil.probes.superposition.subset_sums import matching_subsets

MASK_LAGS = 62
"""Lags of one division at most: a division is a mask of 63 bits."""

PAIRS_AT_ONCE = 1 << 22
"""Pairs of a division and a set compared at once: memory in proportion."""


def divide_lags(
    beliefs: LagBeliefs,
    nodes: Int[ndarray, "unsettled"],
    taken: Bool[ndarray, "lags"],
    least: int,
    most: int,
) -> Float[ndarray, "unsettled lags"] | None:
    """Posterior of each unsettled token of one state at each lag that no settled token holds.

    Token by token, rarest first, every division of the lags so far is extended by every set of still free lags that
    fits the token's coefficient; the last token takes what is left and must fit too. Divisions are weighed by the
    prior and by the fit of every coefficient, and the best are kept (a beam).

    Args:
        beliefs: The tokens of all states, with their coefficients.
        nodes: The unsettled tokens of this state.
        taken: Lags held by settled tokens, among the sharp ones.
        least: Smallest number of tokens behind the state.
        most: Largest number of tokens behind the state.

    Returns:
        Probability of each token at each sharp lag, or None where too many divisions fit to list them.
    """
    free = np.flatnonzero(~taken)
    free = free[free < most]
    cut = beliefs.sharp if len(free) <= MASK_LAGS else int(free[MASK_LAGS])
    free = free[:MASK_LAGS]
    if len(free) == 0 or not 0 < len(nodes) <= beliefs.options.max_joint_tokens:
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
    """The beam: divisions of the free lags among the tokens considered so far.

    Args:
        beliefs: The tokens of all states, with their coefficients.
        order: The unsettled tokens of this state, rarest first.
        free: Lags that no settled token holds.
        cut: First lag that is too deep to be divided.
        least: Smallest number of tokens behind the state.
        most: Largest number of tokens behind the state.
    """

    def __init__(
        self,
        beliefs: LagBeliefs,
        order: Int[ndarray, "tokens"],
        free: Int[ndarray, "free"],
        cut: int,
        least: int,
        most: int,
    ) -> None:
        self.beliefs, self.order, self.free, self.options = beliefs, order, free, beliefs.options
        self.log_prior = beliefs.log_prior[order].cpu().numpy()
        weights = beliefs.weights[:, free].cpu().numpy()
        self.weights, self.key = weights, weights[beliefs.key]
        index = torch.from_numpy(order).to(beliefs.sample.device)
        self.deep = deep = beliefs.deep_lags(torch.full_like(index, cut), index, beliefs.chances(index))
        coefficient = beliefs.coefficient[index, beliefs.key]
        window = self.options.window_errors * beliefs.full_error(index)[:, beliefs.key]
        low = coefficient - torch.maximum(deep.reach[:, beliefs.key], window)
        self.low, self.high = low.cpu().numpy(), (coefficient + window).cpu().numpy()
        self.bits = np.uint64(1) << np.arange(len(free), dtype=np.uint64)
        # One division for each possible number of tokens: lags before the first token belong to none.
        last = int(free[-1])
        pasts = np.arange(min(least, last + 1), min(most, last + 1) + 1)
        before = free >= pasts[:, None]
        # All numbers are equally likely, and those beyond the last free lag make one division.
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
        return self.beliefs.log_density(node, sums, self.deep, torch.full_like(node, token)).cpu().numpy()

    def sets_for(
        self, step: int, open_lags: Int[ndarray, "open"], typical: float
    ) -> tuple[Bool[ndarray, "sets free"], Float[ndarray, "sets"]] | None:
        """Sets of open lags that fit the token and their gain in log-probability; None if they are too many.

        Args:
            step: Place of the token in the order.
            open_lags: Lags that are open in some division.
            typical: Number of lags that are open in one division.
        """
        rest = np.exp(self.log_prior[step + 1 :]).sum()
        share = math.exp(self.log_prior[step])
        mean = max(1.0, typical * share / (share + rest))
        subsets = matching_subsets(self.key[open_lags], self.low[step], self.high[step], mean, self.options)
        if subsets is None:
            return None
        sets = np.zeros((len(subsets), len(self.free)), dtype=bool)
        sets[:, open_lags] = subsets
        # A lag of this token is not one of a later token.
        gain = self.density(step, sets) + sets.sum(1) * (self.log_prior[step] - math.log(rest))
        best = np.argsort(-gain, kind="stable")[: self.options.max_joint_sets]
        best = best[gain[best] > max(gain[best[0]] - 30.0, -1e300)] if len(best) else best
        return sets[best], gain[best]

    def extend(self, step: int) -> bool:
        """Extension of every division by the lags of the next token; False where none remains, or too many.

        Args:
            step: Place of the token in the order.
        """
        still = (self.used[:, None] & self.bits) == 0
        share, rest = np.exp(self.log_prior[step]), np.exp(self.log_prior[step + 1 :]).sum()
        # An open lag belongs to this token or a later one, and divisions differ in the number of open lags.
        self.score = self.score + still.sum(1) * math.log(rest / (share + rest))
        together = np.flatnonzero(still.any(0))
        listed = self.sets_for(step, together, float(still.sum(1).mean()))
        parts = [] if listed is None else [self.combine(np.arange(len(self.used)), *listed)]
        if listed is None or 2 ** (len(together) // 2) > self.options.max_half_sums:
            # Not every set that fits the open lags of some division was listed: the best are extended one by one.
            for row in range(min(self.options.max_single_divisions, len(self.used))):
                single = np.flatnonzero(still[row])
                listed = self.sets_for(step, single, float(len(single)))
                if listed is None:
                    break  # nor would fewer sets fit the next: the states are not precise enough
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
        best = best[np.sort(first)][: self.options.max_divisions]
        best = best[score[best] > score[best[0]] - self.options.max_loss_nats]
        row, chosen, self.score = row[best], chosen[best], score[best]
        self.used = self.used[row] | (chosen * self.bits).sum(1, dtype=np.uint64)
        self.owner = np.where(chosen, step, self.owner[row])
        return True

    def combine(
        self, rows: Int[ndarray, "divisions"], sets: Bool[ndarray, "sets free"], gain: Float[ndarray, "sets"]
    ) -> tuple[ndarray, ndarray, ndarray]:
        """Pairs of a division and a set disjoint from it, with their score; the best of each part.

        Args:
            rows: The divisions.
            sets: Sets of free lags.
            gain: Gain of each set in log-probability.
        """
        mask = (sets * self.bits).sum(1, dtype=np.uint64)
        kept = []
        for some in np.array_split(rows, max(1, len(rows) * len(mask) // PAIRS_AT_ONCE)):
            row, column = np.nonzero((self.used[some, None] & mask) == 0)
            score = self.score[some[row]] + gain[column]
            if len(score) > self.options.max_divisions:
                best = np.argpartition(-score, self.options.max_divisions)[: self.options.max_divisions]
                row, column, score = row[best], column[best], score[best]
            kept.append((some[row], column, score))
        row, column, score = (np.concatenate(part) for part in zip(*kept, strict=True))
        if len(score) > self.options.max_divisions:
            best = np.argpartition(-score, self.options.max_divisions)[: self.options.max_divisions]
            row, column, score = row[best], column[best], score[best]
        return row, sets[column], score

    def close(self) -> None:
        """Assignment of every open lag to the last token."""
        last = len(self.order) - 1
        still = (self.used[:, None] & self.bits) == 0
        fit = self.density(last, still)
        # Coefficients and weights have the same sum, so the open lags fit unless a token was missed altogether.
        self.score = self.score + np.maximum(fit, -1e3)
        self.owner = np.where(still, last, self.owner)

    def posterior(self, nodes: Int[ndarray, "unsettled"], lags: int) -> Float[ndarray, "unsettled lags"]:
        """Share of the divisions' weight in which each lag belongs to each token."""
        weight = np.exp(self.score - self.score.max())
        weight /= weight.sum()
        by_token = np.zeros((len(self.order) + 1, lags))  # the last row: lags without a token
        for place, lag in enumerate(self.free):
            np.add.at(by_token[:, lag], self.owner[:, place], weight)
        back = np.empty(len(nodes), dtype=np.int64)
        back[np.argsort(self.beliefs.log_prior[nodes].cpu().numpy(), kind="stable")] = np.arange(len(nodes))
        return by_token[:-1][back]
