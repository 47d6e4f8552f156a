"""Predictors of a token vector from traces, in rising power: what the paper's ablation exchanges."""

__all__ = ["LOOKS_AT", "make_predictor"]

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.scans import delayed

LOOKS_AT = {
    "linear": "each trace at one position",
    "mlp": "each trace at one position",
    "scale_attention": "all traces at one position",
    "window_attention": "all traces at the last {predictor_window} positions",
    "history_attention": "all traces at all positions so far, which together determine every token",
    "ngram": "the last {predictor_order} token vectors themselves and no trace",
}
"""Only the first three read the traces of one position: the bound on what these hold says nothing of the others."""


class PerTrace(nn.Module):
    """A predictor of its own for each trace."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.scales = nn.ModuleList(self.one(config.dim) for _ in config.alphas)

    def forward(
        self,
        traces: Float[Tensor, "documents tokens scales dim"],
        vectors: Float[Tensor, "documents tokens dim"],
    ) -> Float[Tensor, "documents tokens scales dim"]:
        return torch.stack([predict(trace) for predict, trace in zip(self.scales, traces.unbind(2), strict=True)], 2)


class Linear(PerTrace):
    """A matrix a trace."""

    @staticmethod
    def one(dim: int) -> nn.Module:
        """The predictor of one trace."""
        return nn.Linear(dim, dim)


class MLP(PerTrace):
    """One hidden layer a trace, as wide as a token vector."""

    @staticmethod
    def one(dim: int) -> nn.Module:
        """The predictor of one trace."""
        return nn.Sequential(nn.Linear(dim, dim), nn.GELU(), nn.Linear(dim, dim))


class TraceAttention(nn.Module):
    """Softmax attention whose items are traces: those of one position, of a window of positions, or of all so far.

    A learned score for each lag says where an item stands. Two heads that look one position apart, with values of
    opposite sign, compute `h_t - (1 - alpha) h_{t-1}`, which is a token vector: a history hides nothing. One query,
    key and value matrix serves all scales, so that a matrix for each of them is not among what this can be.
    """

    def __init__(self, config: LanguageModelConfig, reach: int) -> None:
        super().__init__()
        self.heads, self.reach = config.heads, reach
        self.scale_names = nn.Parameter(torch.zeros(len(config.alphas), config.dim))
        self.query_key_value = nn.Linear(config.dim, 3 * config.dim)
        self.out = nn.Linear(config.dim, config.dim)
        self.lag_scores = nn.Parameter(torch.zeros(config.heads, reach))

    def forward(
        self,
        traces: Float[Tensor, "documents tokens scales dim"],
        vectors: Float[Tensor, "documents tokens dim"],
    ) -> Float[Tensor, "documents tokens scales dim"]:
        documents, tokens, scales, dim = traces.shape
        items = traces + self.scale_names
        if self.reach == 1:  # nothing passes between positions: each is a sequence of its own
            items = items.reshape(documents * tokens, 1, scales, dim)
        rows, positions = items.shape[:2]
        mixed = self.query_key_value(items).view(rows, positions * scales, 3, self.heads, dim // self.heads)
        query, key, value = mixed.permute(2, 0, 3, 1, 4)  # [rows, heads, positions * scales, dim / heads] each
        mask = self.mask(positions).repeat_interleave(scales, 1).repeat_interleave(scales, 2).to(query.dtype)
        read = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        return self.out(read.transpose(1, 2).reshape(documents, tokens, scales, dim))

    def mask(self, positions: int) -> Float[Tensor, "heads positions positions"]:
        """The score of each lag, minus infinity for the future and beyond the reach."""
        place = torch.arange(positions, device=self.lag_scores.device)
        lag = place[:, None] - place
        scores = self.lag_scores[:, lag.clamp(0, self.reach - 1)]
        return scores.masked_fill((lag < 0) | (lag >= self.reach), -torch.inf)


class NGram(nn.Module):
    """A matrix on the last token vectors, the same estimate for every scale: the control that needs no trace."""

    def __init__(self, config: LanguageModelConfig) -> None:
        super().__init__()
        self.order, self.scales = config.predictor_order, len(config.alphas)
        self.read = nn.Linear(self.order * config.dim, config.dim)

    def forward(
        self,
        traces: Float[Tensor, "documents tokens scales dim"],
        vectors: Float[Tensor, "documents tokens dim"],
    ) -> Float[Tensor, "documents tokens scales dim"]:
        back = min(self.order, vectors.shape[1])
        last = [delayed(vectors, lag) for lag in range(back)]
        last += [torch.zeros_like(vectors)] * (self.order - back)  # before the first token of a short sequence
        return self.read(torch.cat(last, 2))[:, :, None].expand(-1, -1, self.scales, -1)


def make_predictor(config: LanguageModelConfig) -> nn.Module:
    """The predictor that a configuration names: from traces, and the vectors traced, to estimates a scale.

    Args:
        config: Configuration of the model.

    Returns:
        The module.
    """
    reaches = {"scale_attention": 1, "window_attention": config.predictor_window, "history_attention": config.context}
    if config.predictor in reaches:
        return TraceAttention(config, reaches[config.predictor])
    return {"linear": Linear, "mlp": MLP, "ngram": NGram}[config.predictor](config)
