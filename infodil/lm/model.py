"""The language model around the blocks of any family, and models of named sizes with equal parameters."""

__all__ = ["LanguageModel", "count_parameters", "named_config"]

import dataclasses
from functools import partial
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.accumulation import make_rule
from infodil.checks import UserError, check_one_of
from infodil.encoder import Encoder, seeded
from infodil.lm.attention import Attention
from infodil.lm.blocks import MixingBlock
from infodil.lm.config import FAMILIES, SIZES, TRACED, LanguageModelConfig
from infodil.lm.gated_linear import GatedLinear
from infodil.lm.recurrent import GRU, LSTM
from infodil.lm.spen import SPENBlock
from infodil.traces import weights

BLOCKS = {
    "spen": SPENBlock,
    "gated_ema": SPENBlock,
    "attention": partial(MixingBlock, mixer=Attention),
    "gru": partial(MixingBlock, mixer=GRU),
    "lstm": partial(MixingBlock, mixer=LSTM),
    "gated_linear": partial(MixingBlock, mixer=GatedLinear),
}
TOLD_LAGS = 4096


class LanguageModel(nn.Module, Encoder):
    """Token vectors -> blocks -> normalisation -> next-token logits.

    Also an `Encoder`. Its sites are `embedding` (what the first block reads), for each block `block.N` (the stream it
    leaves) and its own state (`block.N.traces`, `block.N.hidden` or `block.N.state`; attention has none but the
    streams of the past).

    Each matrix begins with a spread of one over the root of its inputs; those that write to the stream with less, by
    the root of how many do, as in GPT-2, whose fixed 0.02 suits a width of about 2,000.

    Args:
        config: Configuration of the model.
        seed: Seed of the weights.
        tokenizer: Tokenizer for corpora of text.
        device: Device of the weights; `"meta"` makes none.

    Example:
        >>> model = LanguageModel(LanguageModelConfig("spen", vocabulary=50, dim=8, layers=1, feed_forward=32))
        >>> model(torch.tensor([[1, 2, 3]])).shape, model.sites
        (torch.Size([1, 3, 50]), ('embedding', 'block.1.traces', 'block.1'))
    """

    costly = False

    def __init__(
        self,
        config: LanguageModelConfig,
        *,
        seed: int = 0,
        tokenizer: object = None,
        device: str | torch.device | None = None,
    ) -> None:
        super().__init__()
        self.config, self.vocabulary, self.tokenizer = config, config.vocabulary, tokenizer
        self.longest = config.context if config.learns_positions or reads_history(config) else None
        with seeded(seed), torch.device(device or "cpu"):
            self.embedding = nn.Embedding(config.vocabulary, config.dim)
            if config.learns_positions:
                self.positions = nn.Embedding(config.context, config.dim)
            self.blocks = nn.ModuleList(BLOCKS[config.family](config) for _ in range(config.layers))
            self.accumulator = make_rule(config.accumulation).trainable(config.layers + 1, config.dim)
            if config.family in TRACED and config.bottleneck != "none":
                self.before_bottleneck = nn.LayerNorm(config.dim)
                narrow = config.bottleneck_dim
                self.bottleneck = nn.Sequential(nn.Linear(config.dim, narrow), nn.GELU(), nn.Linear(narrow, config.dim))
            self.last_norm = nn.LayerNorm(config.dim)
            if not config.tied:
                self.output = nn.Linear(config.dim, config.vocabulary, bias=False)
            self.reset_parameters()
        names = [f"block.{layer + 1}" for layer in range(config.layers)]
        inner = self.blocks[0].sites
        self.sites = ("embedding", *(site for name in names for site in (*(f"{name}.{own}" for own in inner), name)))

    def reset_parameters(self) -> None:
        """Draw the matrices anew; biases go to zero, but for those of decays."""
        writing = 2 * len(self.blocks)
        for name, part in self.named_modules():
            if isinstance(part, nn.Linear):
                residual = name.endswith((".feed_forward.out", "bottleneck.2")) or (
                    name.endswith(".out") and "predictor" not in name
                )
                nn.init.normal_(part.weight, std=(part.in_features * (writing if residual else 1)) ** -0.5)
                if part.bias is not None and self.config.biases == "zero":
                    nn.init.zeros_(part.bias)
            elif isinstance(part, nn.Embedding):
                nn.init.normal_(part.weight, std=part.embedding_dim**-0.5 * (0.1 if name == "positions" else 1.0))
            elif isinstance(part, nn.LayerNorm | nn.GRU | nn.LSTM):
                part.reset_parameters()
        for part in self.modules():
            if isinstance(part, GatedLinear):
                part.spread_decays()

    def streams(
        self, tokens: Int[Tensor, "documents tokens"], keep: dict[str, Tensor] | None = None
    ) -> Float[Tensor, "documents tokens dim"]:
        """The stream after the last block; every site's states, and each block's message, are put into `keep`."""
        vectors = self.embedding(tokens.to(self.embedding.weight.device))
        if self.config.learns_positions:
            if tokens.shape[1] > self.config.context:
                raise UserError(
                    f"`tokens` has sequences of {tokens.shape[1]} tokens, and the model learned {self.config.context} "
                    "positions: cut them shorter."
                )
            vectors = vectors + self.positions.weight[: tokens.shape[1]]
        stream, memory = self.accumulator(0, vectors, None)
        if keep is not None:
            keep["embedding"] = vectors
        for layer, block in enumerate(self.blocks, 1):
            own: dict[str, Tensor] | None = None if keep is None else {}
            message = block(stream, vectors, own)
            stream, memory = self.accumulator(layer, message, memory)
            if own is not None:
                own["message"] = message
                keep |= {f"block.{layer}": stream} | {f"block.{layer}.{name}": own[name] for name in own}
        return stream

    @property
    def output_vectors(self) -> Float[Tensor, "vocabulary dim"]:
        """What the output reads by: one vector a type."""
        return self.embedding.weight if self.config.tied else self.output.weight

    def readout(self, stream: Float[Tensor, "*rows dim"]) -> Float[Tensor, "*rows vocabulary"]:
        """Logits from the stream after the last block."""
        if self.config.family in TRACED and self.config.bottleneck != "none":
            narrow = self.bottleneck(self.before_bottleneck(stream))
            stream = stream + narrow if self.config.bottleneck == "residual" else narrow
        return nn.functional.linear(self.last_norm(stream), self.output_vectors)

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits at each position."""
        return self.readout(self.streams(tokens))

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The states at every site, from a state of zero."""
        found: dict[str, Tensor] = {}
        self.streams(tokens, found)
        return {site: found[site] for site in self.sites}

    def kind_of_site(self, site: str) -> str:
        """`embedding`, the `residual` stream, the `trace` of a block, or its `recurrent` state."""
        if site.endswith(".traces"):
            return "trace"
        if site.endswith((".hidden", ".state")):
            return "recurrent"
        return "embedding" if site == "embedding" else "residual"

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """Token vectors and weights where the states are their weighted sums: the first block's fixed traces."""
        config = self.config
        if site != "block.1.traces" or config.family != "spen":
            return None
        block = self.blocks[0]
        with torch.no_grad():
            own = config.trace_input == "embedding"
            vectors = self.embedding.weight
            first, _ = self.accumulator(0, vectors, None)
            vectors = nn.functional.layer_norm(vectors, vectors.shape[-1:]) if own else block.reads(first)
            alphas = block.alpha_logits.sigmoid().tolist() if config.learnable_alpha else config.alphas
            scaled = [1.0] * len(alphas) if config.trace_scale == "raw" else block.spread.flatten().tolist()
            told = torch.stack([weights(alpha, TOLD_LAGS) / by for alpha, by in zip(alphas, scaled, strict=True)])
        return vectors, told

    def randomised(self, seed: int) -> "LanguageModel":
        """The same model with random weights: a control."""
        device = self.embedding.weight.device
        return LanguageModel(self.config, seed=seed, tokenizer=self.tokenizer, device=device).eval()


def reads_history(config: LanguageModelConfig) -> bool:
    """Whether the predictor learned a score for each lag of the context."""
    return config.family in TRACED and config.predictor == "history_attention"


def count_parameters(config: LanguageModelConfig) -> int:
    """Number of parameters of a model, counted without making them.

    Args:
        config: Configuration of the model.

    Returns:
        The number.

    Example:
        >>> count_parameters(LanguageModelConfig("gru", vocabulary=10, dim=4, layers=1, feed_forward=16))
        332
    """
    return sum(parameter.numel() for parameter in LanguageModel(config, device="meta").parameters())


def named_config(family: str, size: str = "1m", **changes: Any) -> LanguageModelConfig:
    """The configuration of a family at a named size: the hidden units are set so that all families come out equal.

    Args:
        family: Family, one of `FAMILIES`.
        size: Size, one of `SIZES`.
        changes: Values of other fields, such as `vocabulary`, `predictor` or `layers`. The hidden units are set so that
            the parameters without the token vectors are those of the size, unless `feed_forward` is given.

    Returns:
        The configuration.

    Raises:
        UserError: A name is unknown, a field is misspelt, or no number of hidden units reaches the size.

    Example:
        >>> [f"{count_parameters(named_config(family, '1m')):.3g}" for family in ("spen", "attention", "gru")]
        ['1.05e+06', '1.05e+06', '1.05e+06']
    """
    check_one_of("family", family, FAMILIES)
    check_one_of("size", size, SIZES)
    for name in changes:
        check_one_of("changes", name, [field.name for field in dataclasses.fields(LanguageModelConfig)][1:])
    chosen = SIZES[size]
    shape = {name: getattr(chosen, name) for name in ("vocabulary", "dim", "layers", "heads", "context")}
    fields = shape | {"bottleneck_dim": chosen.dim // 2} | changes
    if "feed_forward" in changes:
        return LanguageModelConfig(family, **fields)
    target = chosen.parameters + (fields["vocabulary"] - chosen.vocabulary) * fields["dim"]
    one, two = (count_parameters(LanguageModelConfig(family, **fields, feed_forward=hidden)) for hidden in (1, 2))
    hidden = round((target - one) / (two - one)) + 1  # parameters are linear in the hidden units
    if hidden < 1:
        raise UserError(
            f"`size` {size!r} has {target:,} parameters, and {family!r} has {one:,} without a feed-forward layer: "
            "pass fewer `layers`, a smaller `dim` or a larger size."
        )
    return LanguageModelConfig(family, **fields, feed_forward=hidden)
