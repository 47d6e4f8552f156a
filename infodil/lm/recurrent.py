"""Gated recurrent networks: GRU and LSTM as mixers of tokens, and a language model that is a GRU alone."""

__all__ = ["GRU", "LSTM", "GRULanguageModel"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import check_whole
from infodil.encoder import seeded
from infodil.lm.config import LanguageModelConfig


class Recurrence(nn.Module):
    """A recurrent layer as wide as the stream, from a state of zero."""

    sites = ("hidden",)

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.recurrence = self.layer(config.dim, config.dim, batch_first=True)

    def forward(
        self, x: Float[Tensor, "documents tokens dim"], keep: dict[str, Tensor] | None
    ) -> Float[Tensor, "documents tokens dim"]:
        """What is added to the stream, which is also the state."""
        hidden = self.recurrence(x)[0]
        if keep is not None:
            keep["hidden"] = hidden
        return hidden


class GRU(Recurrence):
    """Cho et al. (2014), arXiv 1406.1078."""

    layer = nn.GRU


class LSTM(Recurrence):
    """Hochreiter and Schmidhuber (1997). The site `hidden` is the output; torch does not give the cell at each step."""

    layer = nn.LSTM


class GRULanguageModel(nn.Module):
    r"""Token vectors -> GRU -> next-token logits by the same token vectors.

    :math:`h_t = \mathrm{GRU}(h_{t-1}, \sqrt{d}\, e_{x_t})` with logits :math:`e_y \cdot h_t + b_y` for each type y,
    read from the state with no residual stream, normalisation or feed-forward layer around it.

    Args:
        vocabulary: Number of token types.
        dim: Width of token vectors and state.
        seed: Seed of the weights.
        device: Device of the weights.

    Reference:
        Cho et al. (2014), arXiv 1406.1078; Press and Wolf (2017), arXiv 1608.05859, for tied token vectors.
    """

    def __init__(
        self, vocabulary: int, dim: int = 128, *, seed: int = 0, device: str | torch.device | None = None
    ) -> None:
        super().__init__()
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("dim", dim, 1, "pass the width of the state")
        self.vocabulary = vocabulary
        with seeded(seed):
            self.embedding = nn.Embedding(vocabulary, dim)
            self.gru = nn.GRU(dim, dim, batch_first=True)
            self.bias = nn.Parameter(torch.zeros(vocabulary))
            self.reset_parameters()
        self.to(device)

    def reset_parameters(self) -> None:
        """Draw the token vectors anew, as torch's own layers draw theirs, and take the bias back to zero."""
        nn.init.normal_(self.embedding.weight, std=self.embedding.embedding_dim**-0.5)
        nn.init.zeros_(self.bias)

    def states(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens dim"]:
        """The hidden state after each token, from a state of zero."""
        # A token vector of unit length is small beside the gates' biases: its entries are brought to unit variance.
        vectors = self.embedding(tokens.to(self.bias.device)) * self.embedding.embedding_dim**0.5
        return self.gru(vectors)[0]

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        return nn.functional.linear(self.states(tokens), self.embedding.weight, self.bias)
