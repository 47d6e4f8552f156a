"""Language models of `infodil.lm` with random weights as encoders: a GRU and causal attention."""

__all__ = ["LanguageModelEncoder", "attention", "gru"]

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError, check_whole
from infodil.encoder import Encoder, random_copy
from infodil.lm import GRULanguageModel, LanguageModel, LanguageModelConfig


class LanguageModelEncoder(Encoder):
    """Some states of a language model; the model itself is `module`, which can be trained.

    Args:
        module: Language model with random or trained weights.
        states: Token ids and the module to the states of each site.
        sites: Names of the states.
        kind: Kind of all sites.
    """

    costly = False

    def __init__(
        self,
        module: nn.Module,
        states: Callable[[nn.Module, Tensor], list[Tensor]],
        sites: tuple[str, ...],
        kind: str,
    ) -> None:
        self.module, self.states, self.sites, self.kind = module, states, sites, kind
        self.vocabulary = module.vocabulary
        self.name = type(module).__name__

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The states of each site."""
        return dict(zip(self.sites, self.states(self.module, tokens), strict=True))

    def kind_of_site(self, site: str) -> str:
        """Kind of all sites."""
        return self.kind

    def randomised(self, seed: int) -> "LanguageModelEncoder":
        """The same states of a copy of the model with its weights drawn anew."""
        return LanguageModelEncoder(random_copy(self.module, seed), self.states, self.sites, self.kind)


def gru(
    vocabulary: int, dim: int = 128, *, seed: int = 0, device: str | torch.device | None = None
) -> LanguageModelEncoder:
    """Hidden state of a GRU language model with random weights.

    Args:
        vocabulary: Number of token types.
        dim: Width of the state.
        seed: Seed of the weights.
        device: Device of the model.

    Returns:
        Encoder whose one site `gru` is the hidden state.
    """
    model = GRULanguageModel(vocabulary, dim, seed=seed, device=device)
    return LanguageModelEncoder(model, hidden_states, ("gru",), "recurrent")


def hidden_states(model: GRULanguageModel, tokens: Tensor) -> list[Tensor]:
    """The hidden state after each token."""
    return [model.states(tokens)]


def attention(
    vocabulary: int,
    dim: int = 128,
    *,
    layers: int = 1,
    heads: int = 4,
    every_block: bool = True,
    seed: int = 0,
    device: str | torch.device | None = None,
) -> LanguageModelEncoder:
    """Residual stream of a causal-attention language model with rotary positions and random weights.

    The sites are `block.1` to `block.N`, the stream after each block and before the last normalisation; or the one
    site `attention`, the stream after the last block.

    Args:
        vocabulary: Number of token types.
        dim: Width of the residual stream.
        layers: Number of blocks.
        heads: Number of attention heads of a block.
        every_block: Whether each block is a site, where there are several.
        seed: Seed of the weights.
        device: Device of the model.

    Returns:
        Encoder of the streams.

    Raises:
        UserError: A size that is not a whole number of at least 1, or a width that the heads cannot share.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners; Su et al. (2021), arXiv 2104.09864.
    """
    check_whole("vocabulary", vocabulary, 2, "a token must tell something")
    check_whole("dim", dim, 1, "pass the width of the residual stream")
    check_whole("layers", layers, 1, "pass the number of blocks")
    check_whole("heads", heads, 1, "pass how many parts of the stream are attended to apart")
    if dim % (2 * heads):
        raise UserError(f"`dim` must be a multiple of 2 x heads = {2 * heads}, got {dim}: pass another width.")
    config = LanguageModelConfig(
        "attention", vocabulary, dim=dim, layers=layers, heads=heads, feed_forward=4 * dim, positions="rotary",
        biases="uniform",
    )  # fmt: skip
    model = LanguageModel(config, seed=seed, device=device)
    if every_block and layers > 1:
        return LanguageModelEncoder(model, block_streams, tuple(model.sites[1:]), "residual")
    return LanguageModelEncoder(model, last_stream, ("attention",), "residual")


def block_streams(model: LanguageModel, tokens: Tensor) -> list[Tensor]:
    """The residual stream after each block."""
    return list(model.encode(tokens).values())[1:]


def last_stream(model: LanguageModel, tokens: Tensor) -> list[Tensor]:
    """The residual stream after the last block."""
    return [model.streams(tokens)]
