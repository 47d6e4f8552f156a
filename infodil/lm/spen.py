"""A block whose only context is traces: prediction error of EMA traces, mixed, through a sparse feed-forward layer."""

__all__ = ["SPENBlock"]

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.feed_forward import FeedForward
from infodil.lm.predictors import make_predictor
from infodil.lm.scans import delayed, learnable_bank, selective_bank
from infodil.traces import ema_bank


class SPENBlock(nn.Module):
    """Token vector -> three traces -> a predictor each -> prediction error -> mix -> top-k feed-forward -> residual.

    `LanguageModelConfig` has every choice. In the family `gated_ema` each alpha is a function of the token that is
    written, `sigmoid(logit(alpha) + w . x)`, and is the fixed one where w is zero, as it is before training.

    Reference:
        Singh (2026), EMA Is Not All You Need, arXiv 2604.08556, figure 1 (its text; the rest is our choice).
    """

    sites = ("traces",)

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.config = config
        dim, scales = config.dim, len(config.alphas)
        self.normalise = nn.LayerNorm(dim)
        alphas = torch.tensor(config.alphas)
        self.register_buffer("spread", (alphas / (2 - alphas)).sqrt()[:, None], persistent=False)
        if config.family == "gated_ema":
            self.alpha_logits = nn.Parameter(torch.logit(alphas))
            self.gate = nn.Parameter(torch.zeros(scales, dim))
        elif config.learnable_alpha:
            self.alpha_logits = nn.Parameter(torch.logit(alphas))
        self.predictor = make_predictor(config)
        self.mix = nn.Linear(scales * dim, dim) if config.mix == "concat" else WeightedSum(scales)
        self.before_feed_forward = nn.LayerNorm(dim)
        self.feed_forward = FeedForward(
            dim, config.feed_forward, config.active_share, config.activation, config.active_by
        )

    def forward(
        self,
        stream: Float[Tensor, "documents tokens dim"],
        vectors: Float[Tensor, "documents tokens dim"],
        keep: dict[str, Tensor],
    ) -> Float[Tensor, "documents tokens dim"]:
        """What the block writes to the stream; its own states are put into `keep`."""
        config = self.config
        x = self.reads(stream)
        traced = x if config.trace_input == "stream" else nn.functional.layer_norm(vectors, vectors.shape[-1:])
        traces = self.traces(traced)  # [documents, tokens, scales, dim]
        keep["traces"] = traces.flatten(2)
        seen = traces if config.trace_includes_token else delayed(traces)
        read = traced if config.trace_includes_token else delayed(traced)
        error = x[:, :, None] - self.predictor(seen, read)  # [documents, tokens, scales, dim]
        written = self.feed_forward(self.before_feed_forward(self.mix(error.flatten(2))))
        return self.normalise(stream + written) - stream if config.normalisation == "after" else written

    def reads(self, stream: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places dim"]:
        """The vectors that the block traces and predicts, of the stream that enters it."""
        return self.normalise(stream) if self.config.normalisation == "before" else stream

    def traces(self, x: Float[Tensor, "documents tokens dim"]) -> Float[Tensor, "documents tokens scales dim"]:
        """The states after each token: all that the block knows of the past."""
        if self.config.family == "gated_ema":
            traces = selective_bank(x, self.alpha_logits + x @ self.gate.T)
        elif self.config.learnable_alpha:
            traces = learnable_bank(x, self.alpha_logits.sigmoid())
        else:
            traces = ema_bank(x, self.config.alphas)
        return traces / self.spread if self.config.trace_scale == "unit" else traces


class WeightedSum(nn.Module):
    """One weight a scale, equal before training."""

    def __init__(self, scales: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((scales,), 1.0 / scales))

    def forward(self, errors: Float[Tensor, "documents tokens width"]) -> Float[Tensor, "documents tokens dim"]:
        return torch.einsum("btsd,s->btd", errors.unflatten(2, (len(self.weights), -1)), self.weights)
