"""Causal softmax attention, as GPT-2 has it."""

__all__ = ["Attention"]

from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig


class Attention(nn.Module):
    """Each position reads all positions so far. It keeps no state but the streams of the past.

    Positions are learned vectors added to the token vectors, by the model around the blocks.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners.
    """

    sites = ()

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)

    def forward(
        self, x: Float[Tensor, "documents tokens dim"], keep: dict[str, Tensor]
    ) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream."""
        mixed = self.query_key_value(x).unflatten(2, (3, self.heads, -1))
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # [documents, heads, tokens, dim / heads] each
        read = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        return self.out(read.transpose(1, 2).flatten(2))
