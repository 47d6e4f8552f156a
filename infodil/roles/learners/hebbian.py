"""Roles without labels: traces of the words around a word, a Hebbian guess at what fits there, competing units."""

__all__ = ["Architecture", "HebbianRoles"]

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor

from infodil.checks import UserError, check_between, check_not_empty, check_whole
from infodil.roles.learners.competition import Competition
from infodil.roles.learners.context import context_traces, sentence_batches
from infodil.roles.learners.synapses import CoActivity, leading_directions

MOST_KNOWN = 500
"""So many of the most frequent words are known one by one: as company of others, and as what is expected."""

LEADING = 32
"""Directions of expectation in which units compete: beyond these there is nothing but noise."""

LEAST_SPREAD = 1e-4
"""Variance below which a direction of the traces is not blown up by decorrelation."""


@dataclass(frozen=True)
class Architecture:
    """Every choice of the learner; the defaults are those of the headline."""

    dim: int = 16
    """Numbers in a word vector, where it is learned."""
    near: tuple[float, ...] = (0.8, 0.5)
    """Decay rates of the traces whose average around a word makes its vector."""
    alphas: tuple[float, ...] = (0.8, 0.5, 0.2)
    """Decay rates of the traces of word vectors."""
    backward: bool = True
    """Whether traces also run from the end of the sentence to its beginning, so that whole sentences are read."""
    hidden: int = 1500
    """Units of the fixed random layer above the traces; none where it is 0."""
    units: int = 32
    """Role units: four for each of eight roles."""
    restraint: float = 1e-3
    """Inhibition of a hidden unit by itself, as a share of the mean squared activity."""
    passes: int = 8
    """Number of passes of each competition over the text."""
    restarts: int = 16
    """Competitions from different first units; the one that represents its inputs best stays."""

    def __post_init__(self) -> None:
        for name in ("dim", "units", "passes", "restarts"):
            check_whole(name, getattr(self, name), 1, "pass 1 or more")
        check_whole("hidden", self.hidden, 0, "pass 0 or more")
        check_not_empty("alphas", self.alphas, "pass at least one decay rate, such as (0.8, 0.5, 0.2)")
        check_between("restraint", self.restraint, 0.0, 1.0, open_low=True)


class HebbianRoles:
    r"""Role units learned from words alone, layer by layer, each layer by local Hebbian learning.

    1. *Word vectors*. Each word is associated with the fast traces of the words around it (the sum of traces at its
       occurrences is what a Hebbian synapse between word and trace accumulates); the associations, relative to
       independence, are reduced to their leading directions, the fixed point of Sanger's generalised Hebbian rule.
    2. *Context*. Multi-timescale traces of word vectors before and after each word, decorrelated by lateral inhibition
       (Plumbley 1993), feed a fixed random layer of rectified units. The word itself is not in its own context.
    3. *Expectation*. Hidden units inhibit each other with strength :math:`C = E[hh^\top] + \lambda I`, learned by
       anti-Hebbian co-activity, so that they settle at :math:`z = C^{-1} h`; Hebbian synapses
       :math:`B = E[y h^\top]` from hidden units to the word that stands there then expect :math:`\hat y = B z`. A word
       y is worth :math:`p(y)^{-1/2}`, so that the rare are not lost beside the frequent. The leading directions of the
       expectations (Sanger's rule again) go on.
    4. *Roles*. Units compete for expectations (`Competition`): places in a sentence where the same words would fit are
       one unit. Agents and patients part because their fillers do; without preferences they need not.

    Every synapse learns from the two units that it joins; no error is sent back through a layer, and no label is
    asked for. Linear networks are not iterated but put at their fixed points, which is exact and quick: the tests
    hold them to the iterated local rules.

    Args:
        vocabulary: Number of word ids.
        architecture: Sizes, decay rates and passes; those of the headline by default.
        vectors: Word vectors to take instead of learning them, one row for each id of `inputs` in `learn`.
        own: Vectors of the words themselves. With them a word has a say in its own unit: units compete for these beside
            the direction of what was expected, whose length is one.
        seed: Seed of the random layer and the first units.

    Reference:
        Singh (2026), arXiv 2604.08556, for Hebbian roles from multi-timescale traces (its architecture for roles is
        not published; this one is ours); Sanger (1989), Neural Networks 2; Plumbley (1993), Network 4; Kohonen and
        Ruohonen (1973), IEEE Trans. Comput. C-22, for the optimal associative memory; Rumelhart and Zipser (1985).

    Example:
        >>> from infodil.roles import grammar
        >>> text = grammar("A").sample(300, seed=0)
        >>> learner = HebbianRoles(len(text.vocabulary), Architecture(hidden=100, units=12)).learn(text.words)
        >>> learner.units(text.words).shape == text.words.shape
        True
    """

    def __init__(
        self,
        vocabulary: int,
        architecture: Architecture | None = None,
        *,
        vectors: Float[Tensor, "inputs dim"] | None = None,
        own: Float[Tensor, "vocabulary own"] | None = None,
        seed: int = 0,
    ) -> None:
        check_whole("vocabulary", vocabulary, 2, "a word must tell something")
        self.vocabulary = vocabulary
        self.architecture = architecture or Architecture()
        self.vectors = None if vectors is None else vectors.float()
        self.learned_vectors = vectors is None
        if own is not None and len(own) != vocabulary:
            raise UserError(f"`own` must have a row for each of {vocabulary} words, got {len(own)}: pass them all.")
        self.own = own
        self.seed = seed
        self.roles: Competition | None = None

    def learn(
        self,
        words: Int64[Tensor, "documents tokens"],
        inputs: Int64[Tensor, "documents tokens"] | None = None,
    ) -> "HebbianRoles":
        """Learn all layers, the lower before the upper, from word ids padded with -1.

        Args:
            words: What is expected at each place.
            inputs: What leaves traces, where that is not the words: ids into `vectors`, padded alike.

        Raises:
            UserError: No word, an id that is out of range, or inputs without vectors.
        """
        self.prepare(words, inputs)
        self.learn_expectation(words, inputs)
        self.roles = self.compete(torch.cat([*self.contested(words, inputs)]))
        return self

    def prepare(self, words: Tensor, inputs: Tensor | None = None) -> None:
        """Learn word vectors and decorrelate their traces, and no more."""
        self.check(words, inputs)
        self.frequency = torch.bincount(words[words >= 0], minlength=self.vocabulary).float()
        self.frequency /= self.frequency.sum()
        self.known = self.frequency.topk(min(MOST_KNOWN, self.vocabulary)).indices.sort().values
        if self.learned_vectors:
            self.vectors = self.learn_vectors(words)
        self.learn_context(words, inputs)

    def word_states(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "samples dim"]:
        """The vector of each word, in the order of the text."""
        return self.vectors[words[words >= 0]]

    def trace_states(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "samples traces"]:
        """The decorrelated traces around each word, in the order of the text."""
        return (self.traces_around(words)[words >= 0] - self.shift) @ self.decorrelate

    def expected_states(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "samples leading"]:
        """The leading directions of what is expected in the place of each word, in the order of the text."""
        return self.hidden(self.traces_around(words)[words >= 0]) @ self.expect

    def check(self, words: Tensor, inputs: Tensor | None) -> None:
        """Refuse ids that no layer has."""
        if not bool((words >= 0).any()):
            raise UserError("`words` must hold at least one word, got padding alone: pass sentences of word ids.")
        if int(words.max()) >= self.vocabulary:
            raise UserError(
                f"`words` must be below the vocabulary of {self.vocabulary}, got {int(words.max())}: pass its size."
            )
        if inputs is not None and self.learned_vectors:
            raise UserError("`inputs` need vectors, got none: pass vectors=... with a row for each input id.")
        if inputs is not None and (inputs.shape != words.shape or not torch.equal(inputs >= 0, words >= 0)):
            raise UserError(
                f"`inputs` must be padded as `words` are, got {int((inputs >= 0).sum())} inputs for "
                f"{int((words >= 0).sum())} words: pass one input a word."
            )
        most = int((words if inputs is None else inputs).max())
        if self.vectors is not None and most >= len(self.vectors):
            raise UserError(f"`vectors` must have a row for input {most}, got {len(self.vectors)} rows: pass them all.")

    def learn_vectors(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "vocabulary dim"]:
        """The leading directions of the associations between words and the traces around them."""
        near = self.architecture.near
        company = torch.eye(self.vocabulary)[:, self.known]
        association = torch.zeros(self.vocabulary, 2 * len(near) * company.shape[1])
        for _, batch in sentence_batches(words):
            here = batch >= 0
            association.index_add_(0, batch[here], context_traces(company[batch] * here[..., None], near)[here])
        association /= int((words >= 0).sum())
        independent = torch.outer(self.frequency, association.sum(0))
        # Each entry relative to its spread by chance: the residuals of correspondence analysis.
        residual = torch.where(independent > 0, (association - independent) / independent.sqrt(), 0.0)
        # The directions among words, by way of those among traces, of which there are fewer in a large vocabulary.
        among = leading_directions(residual.T @ residual, self.architecture.dim)
        leading = torch.nn.functional.normalize(residual @ among, dim=0)
        return torch.where(self.frequency > 0, self.frequency, 1.0).rsqrt()[:, None] * leading

    def inputs_of(self, ids: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens dim"]:
        """Vectors, and a one beside them, whose trace tells how near the ends of the sentence are."""
        vectors = torch.cat([self.vectors, torch.ones(len(self.vectors), 1)], dim=1)
        return vectors[ids] * (ids >= 0)[..., None]

    def traces_around(self, ids: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens traces"]:
        """Traces before and after each word, as they are."""
        return context_traces(self.inputs_of(ids), self.architecture.alphas, self.architecture.backward)

    def traces(
        self, words: Int64[Tensor, "documents tokens"], inputs: Int64[Tensor, "documents tokens"] | None = None
    ) -> Iterator[tuple[Int64[Tensor, "samples"], Float[Tensor, "samples traces"]]]:
        """Batch by batch, the words that are there and the traces around them."""
        for rows, batch in sentence_batches(words):
            here = batch if inputs is None else inputs[rows, : batch.shape[1]]
            yield batch[batch >= 0], self.traces_around(here)[batch >= 0]

    def learn_context(self, words: Tensor, inputs: Tensor | None) -> None:
        """Decorrelate the traces; draw the random layer."""
        sums = None
        for _, traces in self.traces(words, inputs):
            sums = sums or CoActivity(traces.shape[1])
            sums.update(traces)
        spread, directions = torch.linalg.eigh(sums.covariance())
        self.shift = sums.mean().float()
        # The symmetric root, which no choice of signs or order of the directions can change.
        self.decorrelate = ((directions * (spread.clamp(min=0) + LEAST_SPREAD).rsqrt()) @ directions.T).float()
        generator = torch.Generator().manual_seed(self.seed)
        dim, hidden = len(self.shift), self.architecture.hidden
        self.random = torch.randn(dim, hidden, generator=generator) / math.sqrt(dim)
        self.threshold = 0.5 * torch.randn(hidden, generator=generator)

    def hidden(self, traces: Float[Tensor, "samples traces"]) -> Float[Tensor, "samples hidden"]:
        """Random rectified features of the decorrelated traces, these themselves, and a one."""
        calm = (traces - self.shift) @ self.decorrelate
        features = (calm @ self.random - self.threshold).relu()
        return torch.cat([features, calm, torch.ones(len(calm), 1)], dim=1)

    def learn_expectation(self, words: Tensor, inputs: Tensor | None) -> None:
        """Hebbian synapses to the word that is there, and anti-Hebbian ones among the hidden units."""
        lateral = CoActivity(self.architecture.hidden + len(self.shift) + 1)
        forward = torch.zeros(self.vocabulary, len(lateral.sums), dtype=torch.float64)
        for here, traces in self.traces(words, inputs):
            activity = self.hidden(traces)
            lateral.update(activity)
            forward.index_add_(0, here, activity.double())
        worth = torch.where(self.frequency > 0, self.frequency, 1.0).rsqrt().double()[self.known]
        inhibition = lateral.products / lateral.rows
        inhibition += self.architecture.restraint * inhibition.diagonal().mean() * torch.eye(len(inhibition)).double()
        hebbian = forward[self.known] / lateral.rows * worth[:, None]
        # What the settled hidden units send, B C^-1 h, as one matrix.
        expect = torch.linalg.solve(inhibition, hebbian.T)
        self.leading = leading_directions(expect.T @ lateral.covariance() @ expect, LEADING)
        self.expect = expect.float() @ self.leading

    def expectations(
        self, words: Int64[Tensor, "documents tokens"], inputs: Int64[Tensor, "documents tokens"] | None = None
    ) -> Iterator[tuple[Int64[Tensor, "samples"], Float[Tensor, "samples leading"]]]:
        """Batch by batch, the words that are there and the leading directions of what was expected in their place."""
        for here, traces in self.traces(words, inputs):
            yield here, self.hidden(traces) @ self.expect

    def contested(self, words: Tensor, inputs: Tensor | None) -> Iterator[Float[Tensor, "samples dim"]]:
        """Batch by batch, what units compete for: expectations, or their directions beside the words themselves."""
        for here, expected in self.expectations(words, inputs):
            own = None if self.own is None else [torch.nn.functional.normalize(expected, dim=1), self.own[here]]
            yield expected if own is None else torch.cat(own, dim=1)

    def compete(self, rows: Float[Tensor, "samples dim"]) -> Competition:
        """The best of several competitions."""
        chosen = self.architecture
        batches = rows.split(2048)
        tried = [
            Competition(chosen.units, seed=1000 * self.seed + start).recruit(rows).learn(batches, chosen.passes)
            for start in range(chosen.restarts)
        ]
        return min(tried, key=lambda competition: competition.error(rows))

    def units(
        self, words: Int64[Tensor, "documents tokens"], inputs: Int64[Tensor, "documents tokens"] | None = None
    ) -> Int64[Tensor, "documents tokens"]:
        """The unit that wins at each word; -1 where there is none.

        Raises:
            UserError: Nothing was learned, or as `learn`.
        """
        if self.roles is None:
            raise UserError("`units` must be asked of a learner that has learned, got none: call learn(words) first.")
        self.check(words, inputs)
        answer = torch.full_like(words, -1)
        for (rows, batch), contested in zip(sentence_batches(words), self.contested(words, inputs), strict=True):
            won = torch.full_like(batch, -1)
            won[batch >= 0] = self.roles.winners(contested)
            answer[rows, : batch.shape[1]] = won
        return answer
