"""A gated recurrent language model whose hidden state is the encoder's state."""

__all__ = ["GRUEncoder"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import check_whole


class GRUEncoder(nn.Module):
    """Token vectors -> GRU -> next-token logits by the same token vectors (tied, as GPT-2 ties them).

    Weights are random from `seed` until it is trained; random weights are a control.

    Reference:
        Cho et al. (2014), arXiv 1406.1078.
    """

    costly = False
    sites = ("gru",)

    def __init__(
        self, vocabulary: int, dim: int = 128, *, seed: int = 0, device: str | torch.device | None = None
    ) -> None:
        super().__init__()
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("dim", dim, 1, "pass the width of the state")
        self.vocabulary = vocabulary
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
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
        """The hidden state after each token."""
        # A token vector of unit length is small beside the gates' biases: its entries are brought to unit variance.
        vectors = self.embedding(tokens.to(self.bias.device)) * self.embedding.embedding_dim**0.5
        return self.gru(vectors)[0]

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        return nn.functional.linear(self.states(tokens), self.embedding.weight, self.bias)

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The hidden state after each token, from a state of zero."""
        return {self.sites[0]: self.states(tokens)}
