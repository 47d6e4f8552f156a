"""What a language model is made of: one frozen record for all families, and named sizes of equal parameters."""

__all__ = ["FAMILIES", "PREDICTORS", "SIZES", "LanguageModelConfig", "Size"]

from collections.abc import Sequence
from dataclasses import dataclass

from infodil.accumulation import RULES
from infodil.checks import UserError, check_between, check_not_empty, check_one_of, check_whole

FAMILIES = ("spen", "gated_ema", "attention", "gru", "lstm", "gated_linear")
PREDICTORS = ("linear", "mlp", "scale_attention", "window_attention", "history_attention", "ngram")
TRACED = ("spen", "gated_ema")
"""Families whose context is traces."""


@dataclass(frozen=True)
class LanguageModelConfig:
    """Every choice of a model. The fields from `alphas` on are read by the families `spen` and `gated_ema` alone.

    The public text of arXiv 2604.08556 gives figure 1 (token vector, three EMA traces at alpha .5, .1, .02, a
    predictor for each trace that estimates the token vector, prediction error, context mix, sparse top-k feed-forward
    layer with 6% active, residual; 12 blocks and a bottleneck) and 130M parameters. What it leaves open is an option
    here, and its default is the choice that helps the traces most, so that a gap cannot be blamed on it.
    """

    family: str
    """`spen`: fixed traces; `gated_ema`: the same block, each trace's alpha moved by the token (the smallest step from
    fixed to selective); `attention`: GPT-2's layout; `gru`, `lstm`; `gated_linear`: a linear recurrence whose decays
    are functions of the token."""
    vocabulary: int
    """Types of token."""
    dim: int = 128
    """Width of the residual stream (not public)."""
    layers: int = 4
    """Blocks; 12 in the paper."""
    context: int = 128
    """Longest sequence (not public). Attention learns one vector a position and reads no further; the others can."""
    feed_forward: int = 512
    """Hidden units of each block's feed-forward layer (not public): what is set to make parameters equal."""
    heads: int = 4
    """Of attention, in the model or in the predictor."""
    activation: str = "gelu"
    """Of the hidden units: GPT-2's, or `relu`, under which fewer than the active ones may be above zero (not
    public)."""
    positions: str = "learned"
    """Positions of attention: vectors added to the token vectors, one for each of `context` positions as in GPT-2, or
    `rotary`, a turn of queries and keys that sets no longest sequence."""
    biases: str = "zero"
    """Biases of matrices at the start of training: `zero` as in GPT-2, or `uniform`, within one over the root of the
    number of inputs, as torch draws them."""
    tied: bool = True
    """Whether the output reads by the token vectors, as GPT-2 does, or has vectors of its own (not public: tied, the
    fewest parameters are outside the blocks)."""
    accumulation: str = "sum"
    """Rule by which the stream collects what the blocks write, one of `infodil.accumulation.RULES`: the sum of pre-norm
    networks, or another one over depth. The token vectors are the first message; learned weights are trained."""
    alphas: Sequence[float | int] = (0.5, 0.1, 0.02)
    """Weight of the newest token in each trace: the paper's."""
    learnable_alpha: bool = False
    """Whether each block learns its own alphas from there. The paper's are fixed."""
    trace_input: str = "stream"
    """What is traced: the stream that enters the block, so that deeper traces hold what shallower blocks made of the
    past, or the token vectors in every block. The figure draws the traces inside the block."""
    trace_scale: str = "unit"
    """`unit` divides each trace by its standard deviation for independent inputs, `sqrt(alpha / (2 - alpha))`: the
    slowest is ten times smaller than its input, and would be learned from ten times more slowly. No information
    changes."""
    trace_includes_token: bool = False
    """Whether the predictor reads the trace after the token is in it. Before, the error is what the past cannot say;
    after, a predictor could copy the token and leave an error of nothing."""
    predictor: str = "linear"
    """From traces to estimates of the token vector; `linear` is the paper's. `LOOKS_AT` says what each may read."""
    predictor_window: int = 16
    """Positions that `window_attention` reads, the newest included (not public)."""
    predictor_order: int = 3
    """Token vectors that the control `ngram` reads, in place of traces."""
    mix: str = "concat"
    """Errors of the scales to one vector: a matrix over all of them, which contains every weighted sum, or one learned
    weight a scale."""
    active_share: float | int = 0.06
    """Hidden units of the feed-forward layer that stay active at a position: the paper's 6%."""
    active_by: str = "value"
    """Which those are: the largest, as in k-sparse autoencoders, or the largest in `magnitude` (not public: GELU leaves
    little below zero to choose from)."""
    normalisation: str = "before"
    """Whether a block normalises what it reads, GPT-2's way, or what it leaves, the first transformer's, `after` (not
    public: before, a stream of 12 blocks trains without a long warm-up)."""
    bottleneck: str = "residual"
    """After the last block, `bottleneck_dim` wide: added to the stream, in place of it, or left out. The figure names a
    bottleneck and not its place; squeezing would cap the rank of the logits and count against the traces."""
    bottleneck_dim: int = 64
    """Width of the bottleneck (not public)."""

    def __post_init__(self) -> None:
        check_one_of("family", self.family, FAMILIES)
        check_one_of("predictor", self.predictor, PREDICTORS)
        check_one_of("accumulation", self.accumulation, RULES)
        for name, options in OPTIONS.items():
            check_one_of(name, getattr(self, name), options)
        check_whole("vocabulary", self.vocabulary, 2, "a token must tell something")
        check_whole("context", self.context, 2, "a next token needs one before it")
        for name in ("dim", "layers", "feed_forward", "heads", "predictor_window", "predictor_order", "bottleneck_dim"):
            check_whole(name, getattr(self, name), 1, "pass 1 or more")
        check_not_empty("alphas", self.alphas, "pass at least one, such as alphas=(0.5, 0.1, 0.02)")
        object.__setattr__(self, "alphas", tuple(float(alpha) for alpha in self.alphas))  # JSON has lists
        for alpha in self.alphas:
            check_between("alphas", alpha, 0.0, 1.0, open_low=True)
        if max(self.alphas) == 1.0 and (self.learnable_alpha or self.family == "gated_ema"):
            raise UserError("`alphas` must be below 1 where they can move, got 1.0: pass such as 0.99.")
        check_between("active_share", self.active_share, 0.0, 1.0, open_low=True)
        attends = self.family == "attention" or (self.family in TRACED and self.predictor.endswith("attention"))
        if attends and self.dim % self.heads:
            raise UserError(f"`dim` must be a multiple of heads = {self.heads}, got {self.dim}: pass another width.")
        if self.family == "attention" and self.positions == "rotary" and self.dim % (2 * self.heads):
            raise UserError(
                f"`dim` must be a multiple of 2 x heads = {2 * self.heads} with rotary positions, got {self.dim}: "
                "pass another width."
            )

    @property
    def learns_positions(self) -> bool:
        """Whether the model has one vector for each of `context` positions, and reads no further."""
        return self.family == "attention" and self.positions == "learned"


OPTIONS = {
    "positions": ("learned", "rotary"),
    "biases": ("zero", "uniform"),
    "activation": ("gelu", "relu"),
    "trace_input": ("stream", "embedding"),
    "trace_scale": ("unit", "raw"),
    "mix": ("concat", "sum"),
    "active_by": ("value", "magnitude"),
    "normalisation": ("before", "after"),
    "bottleneck": ("residual", "squeeze", "none"),
}


@dataclass(frozen=True)
class Size:
    """A width and depth that go together, and the number of parameters that every family is brought to."""

    parameters: int
    """At this vocabulary; with another, the token vectors change and the blocks do not."""
    dim: int
    layers: int
    heads: int
    vocabulary: int
    context: int
    peak_rate: float
    """Of AdamW: falls with the width (nanoGPT's 6e-4 at GPT-2's)."""


SIZES = {
    "0.3m": Size(330_000, 64, 4, 2, 2048, 128, 4e-3),
    "1m": Size(1_050_000, 128, 4, 4, 2048, 128, 4e-3),
    "3m": Size(3_050_000, 192, 6, 6, 2048, 128, 3e-3),
    "10m": Size(10_000_000, 320, 6, 5, 8192, 256, 2e-3),
    "30m": Size(30_000_000, 512, 8, 8, 8192, 512, 1e-3),
    "130m": Size(130_000_000, 768, 12, 12, 50257, 1024, 6e-4),
}
"""The last is the paper's size: GPT-2's width, depth, vocabulary and context are ours, as its own are not public."""
