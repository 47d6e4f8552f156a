"""Attention over depth: each layer's stream is a softmax-weighted mean of the messages so far."""

__all__ = ["Attention"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.accumulation.accumulator import Accumulator
from infodil.accumulation.rule import Rule, learned_vectors
from infodil.checks import UserError, check_seed, check_whole


@dataclass(frozen=True, eq=False)
class Attention(Rule):
    r"""Attention residuals: :math:`h_L = \sum_{l \le L} \mathrm{softmax}_l(g\, q_L^\top \hat v_l)\, v_l`.

    The query of a layer is a learned vector; keys are messages normalised to unit root mean square. With `block`, the
    messages of so many consecutive layers are summed first and attention goes over the sums.

    Reference:
        Attention Residuals (2026), https://arxiv.org/abs/2603.15031
    """

    name = "attention"
    summary = "attention over the messages of all layers so far, or over sums of blocks of them"
    kind = "input"

    scores: Float[Tensor, "*rows layers layers"] | None = None
    """Logits of each message at each depth, in place of queries and keys; minus infinity leaves a message out."""
    gain: float = 1.0
    """Standard deviation of a logit; 0 is the initialisation of zero queries, a plain mean."""
    block: int | None = None
    """Layers of a block; by default each layer is attended by itself."""
    seed: int = 0
    """Seed of the random queries, which stand for trained ones."""
    queries: Float[Tensor, "layers dim"] | None = None
    """Trained queries, the gain included; random ones by default."""

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if self.block is not None:
            check_whole("block", self.block, 1, "pass the number of layers of a block")
            if self.scores is not None:
                raise UserError("`scores` must not be given beside `block`: pass scores of single layers, or a block.")

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The attended messages at each depth."""
        if self.scores is not None:
            return self.attend(messages, self.explicit_scores(messages), messages)
        if self.block is None:
            return self.attend(messages, self.query_scores(messages, messages.shape[1]), messages)
        states = []
        for layer in range(messages.shape[1]):
            sums = torch.stack([part.sum(1) for part in messages[:, : layer + 1].split(self.block, dim=1)], 1)
            share = self.query_scores(sums, messages.shape[1])[:, layer].softmax(1)
            states.append(torch.einsum("rl,rld->rd", share, sums))
        return torch.stack(states, 1)

    def attend(
        self, messages: Tensor, scores: Float[Tensor, "rows layers layers"], values: Float[Tensor, "rows layers dim"]
    ) -> Float[Tensor, "rows layers dim"]:
        """The mean of the values so far by the softmax of their scores."""
        layers = messages.shape[1]
        later = torch.ones(layers, layers, dtype=torch.bool, device=messages.device).triu(1)
        share = scores.masked_fill(later, -math.inf).softmax(2)
        return torch.einsum("rLl,rld->rLd", share, values)

    def explicit_scores(self, messages: Tensor) -> Float[Tensor, "rows layers layers"]:
        """The given scores, one table a row."""
        rows, layers, _ = messages.shape
        scores = self.scores.to(messages)
        if tuple(scores.shape) not in ((layers, layers), (rows, layers, layers)):
            raise UserError(
                f"`scores` must have shape {[layers, layers]} or {[rows, layers, layers]}, got {list(scores.shape)}: "
                "pass one row a depth."
            )
        later = torch.ones(layers, layers, dtype=torch.bool, device=scores.device).triu(1)
        if not bool((scores.masked_fill(later, -math.inf) > -math.inf).any(-1).all()):
            raise UserError("`scores` must leave some message at every depth: pass a finite logit for one of them.")
        return scores.expand(rows, -1, -1)

    def query_scores(
        self, keys: Float[Tensor, "rows messages dim"], depth: int
    ) -> Float[Tensor, "rows depth messages"]:
        """Logits of random queries, one a depth, with keys of unit root mean square."""
        queries = learned_vectors("queries", self.queries, depth, keys.shape[2], self.seed, self.gain)
        return torch.einsum("Ld,rld->rLl", queries.to(keys), unit_size(keys))

    def trainable(self, layers: int, dim: int) -> "AttentionAccumulator":
        """A query for each layer but the first, from zero: a plain mean of the messages."""
        return AttentionAccumulator(layers, dim, self.block)


class AttentionAccumulator(Accumulator):
    """Queries as parameters; keeps all messages, or their sums by blocks of layers.

    Args:
        layers: Number of messages.
        dim: Numbers of a message.
        block: Layers of a block; None where each layer is attended by itself.
    """

    def __init__(self, layers: int, dim: int, block: int | None) -> None:
        super().__init__()
        self.block = block
        self.queries = nn.Parameter(torch.zeros(layers - 1, dim))

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: list[tuple[Tensor, Tensor]] | None
    ) -> tuple[Float[Tensor, "*rows dim"], list[tuple[Tensor, Tensor]]]:
        """The attended messages; each message or sum so far with its scores at every depth."""
        parts = list(memory or [])
        if self.block is not None and layer % self.block:
            message = parts.pop()[0] + message
        # All later layers score a message as it is written: one product, and no key is kept.
        parts.append((message, unit_size(message) @ self.queries.T))
        if layer == 0:
            return message, parts
        scores = torch.stack([score[..., layer - 1] for _, score in parts], -1)
        values = torch.stack([value for value, _ in parts], -2)
        return (scores.softmax(-1)[..., None, :] @ values).squeeze(-2), parts

    def rule(self) -> Attention:
        """The learned queries."""
        return Attention(block=self.block, queries=nn.functional.pad(self.queries.detach(), (0, 0, 1, 0)))


def unit_size(vectors: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows dim"]:
    """Vectors divided by their root mean square."""
    return vectors * vectors.square().mean(-1, keepdim=True).clamp(min=torch.finfo(vectors.dtype).tiny).rsqrt()
