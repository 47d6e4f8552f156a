"""A block whose only context is traces: prediction error of EMA traces, mixed, through a sparse feed-forward layer."""

__all__ = ["SPENBlock"]

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.feed_forward import FeedForward
from infodil.lm.predictors import make_predictor
from infodil.lm.scans import delayed, fixed_bank, learnable_bank, selective_bank


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
        keep: dict[str, Tensor] | None,
    ) -> Float[Tensor, "documents tokens dim"]:
        """What the block writes to the stream; its own states are put into `keep`, if it is there."""
        config = self.config
        x = self.reads(stream)
        traced = x if config.trace_input == "stream" else nn.functional.layer_norm(vectors, vectors.shape[-1:])
        lag = 0 if config.trace_includes_token else 1
        if keep is not None:
            keep["traces"] = self.traces(traced).flatten(2)
        seen = self.traces(traced, lag)  # [documents, tokens, scales, dim]
        if config.predictor == "linear" and config.mix == "concat":
            context = self.linear_context(x, seen)
        else:
            error = x[:, :, None] - self.predictor(seen, delayed(traced, lag))  # [documents, tokens, scales, dim]
            context = self.mix(error.flatten(2))
        written = self.feed_forward(self.before_feed_forward(context))
        return self.normalise(stream + written) - stream if config.normalisation == "after" else written

    def linear_context(
        self, x: Float[Tensor, "documents tokens dim"], seen: Float[Tensor, "documents tokens scales dim"]
    ) -> Float[Tensor, "documents tokens dim"]:
        r"""The mix of the errors of linear predictors, :math:`\sum_s M_s (x - P_s h_s - b_s) + m`, as two products.

        Matrices are multiplied before they meet the tokens: a third fewer operations, and no error is kept.
        """
        predict = torch.stack([part.weight for part in self.predictor.scales])
        shift = torch.stack([part.bias for part in self.predictor.scales])
        mix = self.mix.weight.unflatten(1, shift.shape)  # [dim, scales, dim]
        with torch.autocast(x.device.type if x.device.type != "meta" else "cpu", enabled=False):
            read = torch.einsum("osd,sdi->osi", mix, predict).flatten(1)
            bias = self.mix.bias - torch.einsum("osd,sd->o", mix, shift)
        own = nn.functional.linear(x, mix.sum(1), bias)
        return own - nn.functional.linear(seen.flatten(2), read)

    def reads(self, stream: Float[Tensor, "*places dim"]) -> Float[Tensor, "*places dim"]:
        """The vectors that the block traces and predicts, of the stream that enters it."""
        return self.normalise(stream) if self.config.normalisation == "before" else stream

    def traces(
        self, x: Float[Tensor, "documents tokens dim"], lag: int = 0
    ) -> Float[Tensor, "documents tokens scales dim"]:
        """The states so many tokens before each: all that the block knows of the past."""
        unit = self.config.trace_scale == "unit"
        if self.config.family != "gated_ema" and not self.config.learnable_alpha:
            scales = [(alpha / (2 - alpha)) ** 0.5 if unit else 1.0 for alpha in self.config.alphas]
            return fixed_bank(x, self.config.alphas, tuple(scales), lag)
        if self.config.family == "gated_ema":
            traces = selective_bank(delayed(x, lag), delayed(self.alpha_logits + x @ self.gate.T, lag))
        else:
            traces = learnable_bank(delayed(x, lag), self.alpha_logits.sigmoid())
        return traces / self.spread if unit else traces


class WeightedSum(nn.Module):
    """One weight a scale, equal before training."""

    def __init__(self, scales: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.full((scales,), 1.0 / scales))

    def forward(self, errors: Float[Tensor, "documents tokens width"]) -> Float[Tensor, "documents tokens dim"]:
        return torch.einsum("btsd,s->btd", errors.unflatten(2, (len(self.weights), -1)), self.weights)
