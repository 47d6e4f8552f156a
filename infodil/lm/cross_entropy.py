"""Cross-entropy of next tokens whose gradient is made while the logits are at hand."""

__all__ = ["mean_cross_entropy"]

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

ELEMENTS_AT_ONCE = 2**18
"""Logits of the rows that are worked on together: a megabyte in single precision, which a core's own memory holds."""


def mean_cross_entropy(logits: Float[Tensor, "rows vocabulary"], targets: Int[Tensor, "rows"]) -> Float[Tensor, ""]:
    r"""The mean cross-entropy of the targets, :math:`\frac1n \sum_i (\log \sum_y e^{z_{iy}} - z_{i x_i})`, in nats.

    In single precision, whatever the dtype of the logits. The gradient, `(softmax(z) - onehot) / n`, is computed in the
    same pass and kept in place of the logits.

    Args:
        logits: Scores of every type in each row.
        targets: The type that comes next in each row.

    Returns:
        The mean, with a gradient in the logits.

    Example:
        >>> mean_cross_entropy(torch.zeros(3, 4), torch.tensor([0, 1, 3])).item()
        1.3862943649291992
    """
    return MeanCrossEntropy.apply(logits, targets)


class MeanCrossEntropy(torch.autograd.Function):
    """Rows in parts, each small enough for a core's cache."""

    @staticmethod
    def forward(ctx: Any, logits: Tensor, targets: Tensor) -> Tensor:
        rows = len(logits)
        gradient = torch.empty_like(logits) if ctx.needs_input_grad[0] else None
        total = torch.zeros((), device=logits.device)
        at_once = max(1, ELEMENTS_AT_ONCE // logits.shape[1])
        for first in range(0, rows, at_once):
            here = slice(first, first + at_once)
            own = targets[here, None]
            scores = torch.log_softmax(logits[here].float(), 1)
            total -= scores.gather(1, own).sum()
            if gradient is not None:
                slopes = scores.exp_().scatter_add_(1, own, scores.new_full((), -1.0).expand(own.shape))
                gradient[here] = slopes.div_(rows)
        ctx.save_for_backward(gradient)
        return total / rows

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, towards: Tensor) -> tuple[Tensor, None]:
        (gradient,) = ctx.saved_tensors
        return gradient * towards.to(gradient.dtype), None
