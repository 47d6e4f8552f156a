"""Blocks of gated recurrent units: GRU and LSTM in the layout of the attention block."""

__all__ = ["GRUBlock", "LSTMBlock"]

from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.feed_forward import FeedForward


class RecurrentBlock(nn.Module):
    """A recurrent layer, then a feed-forward layer, each normalised before and added after."""

    sites = ("hidden",)

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.before_recurrence = nn.LayerNorm(config.dim)
        self.recurrence = self.layer(config.dim, config.dim, batch_first=True)
        self.before_feed_forward = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config.dim, config.feed_forward)

    def forward(
        self,
        stream: Float[Tensor, "documents tokens dim"],
        vectors: Float[Tensor, "documents tokens dim"],
        keep: dict[str, Tensor],
    ) -> Float[Tensor, "documents tokens dim"]:
        """The stream that the block leaves; its own states are put into `keep`."""
        hidden = keep["hidden"] = self.recurrence(self.before_recurrence(stream))[0]
        stream = stream + hidden
        return stream + self.feed_forward(self.before_feed_forward(stream))


class GRUBlock(RecurrentBlock):
    """Cho et al. (2014), arXiv 1406.1078."""

    layer = nn.GRU


class LSTMBlock(RecurrentBlock):
    """Hochreiter and Schmidhuber (1997). The site `hidden` is the output; torch does not give the cell at each step."""

    layer = nn.LSTM
