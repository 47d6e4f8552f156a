"""A block of causal attention, as GPT-2 lays it out."""

__all__ = ["AttentionBlock"]

from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.feed_forward import FeedForward


class AttentionBlock(nn.Module):
    """Attention, then a feed-forward layer, each normalised before and added after.

    Positions are learned vectors added to the token vectors, by the model around the block.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners.
    """

    sites = ()

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.before_attention = nn.LayerNorm(config.dim)
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.before_feed_forward = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config.dim, config.feed_forward)

    def forward(
        self,
        stream: Float[Tensor, "documents tokens dim"],
        vectors: Float[Tensor, "documents tokens dim"],
        keep: dict[str, Tensor],
    ) -> Float[Tensor, "documents tokens dim"]:
        """The stream that the block leaves; its own states are put into `keep`."""
        documents, tokens, dim = stream.shape
        mixed = self.query_key_value(self.before_attention(stream)).view(documents, tokens, 3, self.heads, -1)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # [documents, heads, tokens, dim / heads] each
        read = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.out(read.transpose(1, 2).reshape(documents, tokens, dim))
        return stream + self.feed_forward(self.before_feed_forward(stream))
