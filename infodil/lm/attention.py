"""Causal softmax attention with learned or rotary positions."""

__all__ = ["Attention"]

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig

LONGEST_WAVE = 1000.0
"""Ratio of the fastest to the slowest rotation of queries and keys; the fastest turns by one radian a token."""


class Attention(nn.Module):
    """Causal softmax attention over all positions so far; the past streams are its only memory.

    Learned positions are vectors that the model adds to the token vectors before the first block. Rotary positions
    turn queries and keys here, so that a score depends on the distance of two tokens alone.

    Args:
        config: Configuration of the model.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners; Su et al. (2021), RoFormer, arXiv
        2104.09864, for rotary positions.
    """

    sites = ()

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.rotary = config.positions == "rotary"
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(
        self, x: Float[Tensor, "documents tokens dim"], keep: dict[str, Tensor] | None
    ) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream."""
        mixed = self.query_key_value(x).unflatten(2, (3, self.heads, -1))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # [documents, heads, tokens, dim / heads] each
        if self.rotary:
            query, key = rotated(query), rotated(key)
        return self.out(attend(query, key, value).transpose(1, 2).flatten(2))


def attend(
    query: Float[Tensor, "documents heads tokens width"],
    key: Float[Tensor, "documents heads tokens width"],
    value: Float[Tensor, "documents heads tokens width"],
) -> Float[Tensor, "documents heads tokens width"]:
    """Causal softmax attention; no less than single precision on a CPU, where its gradient is slow in half."""
    if query.device.type != "cpu":
        return nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
    wide = torch.promote_types(query.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        query_key_value = (each.to(wide) for each in (query, key, value))
        read = nn.functional.scaled_dot_product_attention(*query_key_value, is_causal=True)
    return read.to(query.dtype)


def rotated(vectors: Float[Tensor, "documents heads tokens dim"]) -> Float[Tensor, "documents heads tokens dim"]:
    """Each pair of dims turned by its position times its own frequency, from 1 down to nearly 1 / 1,000 a token."""
    tokens, pairs = vectors.shape[2], vectors.shape[3] // 2
    frequency = LONGEST_WAVE ** (-torch.arange(pairs, device=vectors.device) / pairs)
    angle = (torch.arange(tokens, device=vectors.device)[:, None] * frequency).to(vectors.dtype)
    first, second = vectors.chunk(2, 3)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], 3)
