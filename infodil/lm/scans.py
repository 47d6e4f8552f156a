"""Traces whose weights have gradients: learned decays, and decays that the tokens decide."""

__all__ = ["delayed", "fixed_bank", "gated_scan", "learnable_bank", "selective_bank"]

import functools
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.traces import ema_bank, weights

PRODUCT_TOKENS = 256
"""Longest sequence whose fixed traces are one product with a matrix of all weights: its cost a token grows with the
length, and `ema_bank`, whose cost does not, is ahead from about here."""


def delayed(x: Float[Tensor, "documents tokens *dim"], steps: int = 1) -> Float[Tensor, "documents tokens *dim"]:
    """The sequence moved `steps` positions to the right, with zeros at its beginning.

    Args:
        x: Vectors of each position.
        steps: Number of positions.

    Returns:
        The moved sequence.

    Example:
        >>> delayed(torch.tensor([[1.0, 2.0, 3.0]])).tolist()
        [[0.0, 1.0, 2.0]]
    """
    return torch.cat([torch.zeros_like(x[:, :steps]), x[:, : x.shape[1] - steps]], 1)


def fixed_bank(
    x: Float[Tensor, "documents tokens dim"], alphas: tuple[float, ...], scales: tuple[float, ...], lag: int = 0
) -> Float[Tensor, "documents tokens scales dim"]:
    """Traces with fixed alphas, each divided by its scale, and moved `lag` positions to the right.

    Of short sequences all three are one product, forward and backward, that autocast leaves in single precision.

    Args:
        x: One vector a token.
        alphas: Weight of the newest token in each trace.
        scales: Number that each trace is divided by.
        lag: Number of positions that the traces are moved by.

    Returns:
        The traces.

    Example:
        >>> fixed_bank(torch.tensor([[[4.0], [0.0], [8.0]]]), (0.5,), (2.0,), lag=1).flatten().tolist()
        [0.0, 1.0, 0.5]
    """
    documents, tokens, dim = x.shape
    if tokens > PRODUCT_TOKENS or x.device.type == "meta":
        return delayed(ema_bank(x, alphas), lag) / x.new_tensor(scales)[:, None]
    exact = torch.float64 if x.dtype == torch.float64 else torch.float32
    matrix = bank_matrix(alphas, scales, tokens, lag, exact, x.device)
    with torch.autocast(x.device.type, enabled=False):
        traces = torch.bmm(matrix.expand(documents, -1, -1), x.to(exact))
    return traces.view(documents, tokens, len(alphas), dim).to(x.dtype)


@functools.lru_cache(maxsize=32)
def bank_matrix(
    alphas: tuple[float, ...],
    scales: tuple[float, ...],
    tokens: int,
    lag: int,
    dtype: torch.dtype,
    device: torch.device,
) -> Float[Tensor, "rows tokens"]:
    """The matrix from the tokens to the traces at each position, those of one position side by side."""
    with torch.inference_mode(False):  # what is kept must serve a training too
        place = torch.arange(tokens)
        back = place[:, None] - place - lag
        past = [weights(alpha, tokens) / by for alpha, by in zip(alphas, scales, strict=True)]
        rows = torch.stack([told[back.clamp(min=0)] for told in past], 1)  # [tokens, scales, tokens]
        matrix = rows.masked_fill((back < 0)[:, None], 0.0)
        return matrix.reshape(tokens * len(alphas), tokens).to(dtype).to(device)


def learnable_bank(
    x: Float[Tensor, "documents tokens dim"], alphas: Float[Tensor, "scales"]
) -> Float[Tensor, "documents tokens scales dim"]:
    r"""`ema_bank` with a gradient in the alphas.

    The derivative of a trace is a trace: with :math:`h_t = (1-a) h_{t-1} + a x_t`,

    .. math:: \frac{dh_t}{da} = (1-a) \frac{dh_{t-1}}{da} + a \, \frac{x_t - h_{t-1}}{a}

    It is multiplied by a factor whose value is zero and whose gradient is that of alpha.

    Example:
        >>> alphas = torch.tensor([0.5], requires_grad=True)
        >>> learnable_bank(torch.tensor([[[4.0], [0.0]]]), alphas)[0, 1].sum().backward()  # h_1 = a (1 - a) 4
        >>> alphas.grad.tolist()  # (1 - 2a) 4
        [0.0]
    """
    values = alphas.detach().tolist()
    traces = ema_bank(x, values)
    with torch.no_grad():
        news = (x[:, :, None] - delayed(traces)) / alphas[:, None]
        slopes = [ema_bank(news[:, :, scale], [alpha]) for scale, alpha in enumerate(values)]
    return traces + (alphas - alphas.detach())[:, None] * torch.cat(slopes, 2)


def selective_bank(
    x: Float[Tensor, "documents tokens dim"], logits: Float[Tensor, "documents tokens scales"]
) -> Float[Tensor, "documents tokens scales dim"]:
    r"""Traces whose alpha is decided anew at each token: :math:`h_t = (1-a_t) h_{t-1} + a_t x_t`, one alpha a scale.

    As a product with the weights :math:`a_j \prod_{i=j+1}^{t} (1-a_i)`, `tokens x tokens` for each scale; products of
    decays are sums of logarithms, which never exceed zero.

    Args:
        x: One vector a token.
        logits: Logits of the decay rates: `a = sigmoid(logits)`.

    Example:
        >>> selective_bank(torch.tensor([[[4.0], [0.0], [8.0]]]), torch.zeros(1, 3, 1)).flatten().tolist()
        [2.0, 1.0, 4.5]
    """
    logits = logits.float().movedim(2, 1)  # [documents, scales, tokens]
    kept = -torch.nn.functional.softplus(logits).cumsum(2)  # log of the product of 1 - a up to each token
    written = torch.nn.functional.logsigmoid(logits) - kept
    past = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool, device=x.device).tril()
    # Both orders of a sum are far from zero where it is small: the difference is taken before the exponential.
    weights = (kept[..., :, None] + written[..., None, :]).masked_fill(~past, -torch.inf).exp()
    # Autocast would round the weights of old tokens away, which `ema_bank` does not.
    with torch.autocast(x.device.type if x.device.type != "meta" else "cpu", enabled=False):
        return torch.einsum("bsij,bjd->bisd", weights, x.float()).to(x.dtype)


def gated_scan(
    decay: Float[Tensor, "documents tokens dim"], x: Float[Tensor, "documents tokens dim"]
) -> Float[Tensor, "documents tokens dim"]:
    r""":math:`h_t = a_t h_{t-1} + x_t` for every feature.

    Token by token on a CPU; elsewhere in `log2(tokens)` steps of doubling reach. Its gradient is the same recurrence
    from the last token to the first: :math:`g_t = \dot h_t + a_{t+1} g_{t+1}`, :math:`\dot x_t = g_t` and
    :math:`\dot a_t = g_t h_{t-1}`.

    Reference:
        Hillis and Steele (1986), Data parallel algorithms; Martin and Cundy (2018), arXiv 1709.04057, for recurrences.

    Example:
        >>> gated_scan(torch.full((1, 3, 1), 0.5), torch.tensor([[[4.0], [0.0], [8.0]]])).flatten().tolist()
        [4.0, 2.0, 9.0]
    """
    return GatedScan.apply(decay, x)


class GatedScan(torch.autograd.Function):
    """The recurrence; what is kept for the gradient is its result alone."""

    @staticmethod
    def forward(ctx: Any, decay: Tensor, x: Tensor) -> Tensor:
        states = scan_tokens(decay, x)
        ctx.save_for_backward(decay, states)
        return states

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        decay, states = ctx.saved_tensors
        later = delayed(decay.flip(1))  # reversed, the decay of the token after each
        towards_x = scan_tokens(later, gradient.flip(1)).flip(1)
        return towards_x * delayed(states), towards_x


def scan_tokens(
    decay: Float[Tensor, "documents tokens dim"], x: Float[Tensor, "documents tokens dim"]
) -> Float[Tensor, "documents tokens dim"]:
    """The recurrence without a gradient."""
    if x.device.type == "cpu":
        states = x.transpose(0, 1).contiguous()  # [tokens, documents, dim]: each step is one piece of memory
        factors = decay.transpose(0, 1).contiguous()
        for place in range(1, len(states)):
            states[place].addcmul_(factors[place], states[place - 1])
        return states.transpose(0, 1)
    reach = 1
    while reach < x.shape[1]:
        x = x + decay * delayed(x, reach)
        decay = decay * delayed(decay, reach)
        reach *= 2
    return x
