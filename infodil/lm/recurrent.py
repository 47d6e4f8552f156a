"""Gated recurrent units, GRU and LSTM, as mixers of tokens."""

__all__ = ["GRU", "LSTM"]

from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig


class Recurrence(nn.Module):
    """A recurrent layer as wide as the stream, from a state of zero."""

    sites = ("hidden",)

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.recurrence = self.layer(config.dim, config.dim, batch_first=True)

    def forward(
        self, x: Float[Tensor, "documents tokens dim"], keep: dict[str, Tensor]
    ) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream, which is also the state."""
        hidden = keep["hidden"] = self.recurrence(x)[0]
        return hidden


class GRU(Recurrence):
    """Cho et al. (2014), arXiv 1406.1078."""

    layer = nn.GRU


class LSTM(Recurrence):
    """Hochreiter and Schmidhuber (1997). The site `hidden` is the output; torch does not give the cell at each step."""

    layer = nn.LSTM
