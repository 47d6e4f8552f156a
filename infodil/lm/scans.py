"""Traces whose weights have gradients: learned decays, and decays that the tokens decide."""

__all__ = ["delayed", "gated_scan", "learnable_bank", "selective_bank"]

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.traces import ema_bank


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
    r""":math:`h_t = a_t h_{t-1} + x_t` for every feature, in `log2(tokens)` steps of doubling reach.

    Reference:
        Hillis and Steele (1986), Data parallel algorithms; Martin and Cundy (2018), arXiv 1709.04057, for recurrences.

    Example:
        >>> gated_scan(torch.full((1, 3, 1), 0.5), torch.tensor([[[4.0], [0.0], [8.0]]])).flatten().tolist()
        [4.0, 2.0, 9.0]
    """
    reach = 1
    while reach < x.shape[1]:
        x = x + decay * delayed(x, reach)
        decay = decay * delayed(decay, reach)
        reach *= 2
    return x
