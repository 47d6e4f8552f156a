"""A causal-attention language model whose residual stream is the encoder's state."""

__all__ = ["AttentionEncoder"]

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError, check_whole

LONGEST_WAVE = 1000.0
"""Of the turning of queries and keys."""


class Block(nn.Module):
    """Attention and a feed-forward layer, each normalised before and added after (GPT-2's layout).

    Queries and keys are turned by an angle that grows with their place, so that only distance matters (Su et al.
    2021, arXiv 2104.09864).
    """

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
        read = nn.functional.scaled_dot_product_attention(turned(query), turned(key), value, is_causal=True)
        stream = stream + self.out(read.transpose(1, 2).reshape(documents, tokens, dim))
        return stream + self.feed_forward(self.before_feed_forward(stream))


def turned(vectors: Float[Tensor, "documents heads tokens dim"]) -> Float[Tensor, "documents heads tokens dim"]:
    """Each pair of dims turned by its place times its own frequency, from 1 down to nearly 1 / 1,000 a token."""
    tokens, pairs = vectors.shape[2], vectors.shape[3] // 2
    frequency = LONGEST_WAVE ** (-torch.arange(pairs, device=vectors.device) / pairs)
    angle = (torch.arange(tokens, device=vectors.device)[:, None] * frequency).to(vectors.dtype)
    first, second = vectors.chunk(2, 3)
    cos, sin = angle.cos(), angle.sin()
    return torch.cat([first * cos - second * sin, first * sin + second * cos], 3)


class AttentionEncoder(nn.Module):
    """Token vectors -> blocks of causal attention -> next-token logits by the same token vectors.

    Weights are random from `seed` until it is trained; random weights are a control. Each matrix begins with a spread
    of one over the root of its inputs: GPT-2's fixed 0.02 suits a width of about 2,000 and learns far slower here.

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
        every_block: bool = True,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("dim", dim, 1, "pass the width of the residual stream")
        check_whole("layers", layers, 1, "pass the number of blocks")
        check_whole("heads", heads, 1, "pass how many parts of the stream are attended to apart")
        if dim % (2 * heads):
            raise UserError(f"`dim` must be a multiple of 2 x heads = {2 * heads}, got {dim}: pass another width.")
        self.vocabulary = vocabulary
        apart = every_block and layers > 1
        self.sites = tuple(f"block.{layer + 1}" for layer in range(layers)) if apart else ("attention",)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding = nn.Embedding(vocabulary, dim)
            self.blocks = nn.ModuleList(Block(dim, heads) for _ in range(layers))
            self.last_norm = nn.LayerNorm(dim)
            self.reset_parameters()
        self.to(device)

    def reset_parameters(self) -> None:
        """Draw all matrices anew, with this model's own spreads."""
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("out.weight", "feed_forward.2.weight"))
                inputs = parameter.shape[1] * (2 * len(self.blocks) if residual else 1)
                nn.init.normal_(parameter, std=inputs**-0.5)

    def streams(self, tokens: Int[Tensor, "documents tokens"]) -> list[Float[Tensor, "documents tokens dim"]]:
        """The residual stream after each block."""
        stream = self.embedding(tokens.to(self.embedding.weight.device))
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
        """The residual stream after each block (or the last alone), before the last normalisation."""
        return dict(zip(self.sites, self.streams(tokens)[-len(self.sites) :], strict=True))
