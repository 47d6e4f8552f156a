"""A causal-attention language model whose residual stream is the encoder's state."""

__all__ = ["AttentionEncoder"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError, check_whole


class Block(nn.Module):
    """Attention and a feed-forward layer, each normalised before and added after (GPT-2's layout)."""

    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(dim)
        self.query_key_value = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.before_feed_forward = nn.LayerNorm(dim)
        self.feed_forward = nn.Sequential(nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim))

    def forward(self, stream: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "documents tokens dim"]:
        documents, tokens, dim = stream.shape
        mixed = self.query_key_value(self.before_attention(stream))
        query, key, value = mixed.view(documents, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        read = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
        stream = stream + self.out(read.transpose(1, 2).reshape(documents, tokens, dim))
        return stream + self.feed_forward(self.before_feed_forward(stream))


class AttentionEncoder(nn.Module):
    """Token and place vectors -> blocks of causal attention -> next-token logits by the same token vectors.

    Weights are random from `seed` until it is trained; random weights are a control.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners.
    """

    costly = False

    def __init__(
        self,
        vocabulary: int,
        dim: int = 128,
        *,
        layers: int = 1,
        heads: int = 4,
        longest: int = 512,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("dim", dim, 1, "pass the width of the residual stream")
        check_whole("layers", layers, 1, "pass the number of blocks")
        check_whole("heads", heads, 1, "pass how many parts of the stream are attended to apart")
        check_whole("longest", longest, 1, "pass how many places there are")
        if dim % heads:
            raise UserError(f"`dim` must be a multiple of heads = {heads}, got {dim}: pass another width.")
        self.vocabulary, self.longest = vocabulary, longest
        self.sites = ("attention",) if layers == 1 else tuple(f"block.{layer + 1}" for layer in range(layers))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary, dim)
            self.place = nn.Embedding(longest, dim)
            self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
            self.last_norm = nn.LayerNorm(dim)
            for name, parameter in self.named_parameters():
                if parameter.dim() == 2:
                    residual = name.endswith(("out.weight", "feed_forward.2.weight"))
                    nn.init.normal_(parameter, std=0.02 / (2 * layers) ** 0.5 if residual else 0.02)
        self.to(device)

    def streams(self, tokens: Int[Tensor, "documents tokens"]) -> list[Float[Tensor, "documents tokens dim"]]:
        """The residual stream after each block."""
        tokens = tokens.to(self.place.weight.device)
        if tokens.shape[1] > self.longest:
            raise UserError(
                f"`tokens` are {tokens.shape[1]} to a document, more than this model's {self.longest} places: "
                "pass a corpus with a smaller max_length."
            )
        stream = self.embedding(tokens) + self.place.weight[: tokens.shape[1]]
        streams = []
        for block in self.blocks:
            stream = block(stream)
            streams.append(stream)
        return streams

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        return nn.functional.linear(self.last_norm(self.streams(tokens)[-1]), self.embedding.weight)

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The residual stream after each block, before the last normalisation."""
        return dict(zip(self.sites, self.streams(tokens), strict=True))
