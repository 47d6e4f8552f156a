"""Attention over depth: each layer's stream is a softmax-weighted mean of the messages so far."""

__all__ = ["Attention"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError, check_seed, check_whole
from infodil.depth.rules.rule import Rule


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
        dim = keys.shape[2]
        generator = torch.Generator().manual_seed(self.seed)
        queries = torch.randn(depth, dim, generator=generator, dtype=torch.float64).to(keys) / dim**0.5
        unit = keys * keys.square().mean(2, keepdim=True).clamp(min=torch.finfo(keys.dtype).tiny).rsqrt()
        return self.gain * torch.einsum("Ld,rld->rLl", queries, unit)
