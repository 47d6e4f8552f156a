"""Superposition decoding of messages of known codebooks: approximate message passing over sections of one each."""

__all__ = ["Decoder", "decode_messages"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Decoder:
    """Options of the message decoder."""

    rounds: int = 30
    """Rounds of message passing at most."""
    damping: float = 0.7
    """Share of a new estimate: plain message passing may oscillate in few dims."""
    settled: float = 1e-4
    """Change of all posterior means below which the decoder stops."""


@torch.no_grad()
def decode_messages(
    stream: Float[Tensor, "rows dim"],
    codebooks: Float[Tensor, "layers types dim"],
    sigma: float,
    options: Decoder,
) -> Float[Tensor, "rows layers types"]:
    r"""Log-posterior of each layer's message in a sum of known code vectors, :math:`h = \sum_l c_l(x_l) + \sigma n`.

    Approximate message passing: every round subtracts the posterior mean of all messages from the stream, adds
    Onsager's correction, and forms each layer's posterior from its correlation with the residual.

    Args:
        stream: The streams to decode, about their mean.
        codebooks: The vector of each type of each layer, weight included, about its mean.
        sigma: Standard deviation of the noise of each number.
        options: Options of the decoder.

    Returns:
        Log-probability of each type of each layer, nats; types are equally likely a priori.

    Reference:
        Rush, Greig and Venkataramanan, Capacity-Achieving Sparse Superposition Codes via Approximate Message Passing
        Decoding (2017), https://arxiv.org/abs/1501.05892
    """
    layers, types, dim = codebooks.shape
    columns = codebooks.flatten(0, 1)
    energy = codebooks.square().sum(2)
    power = energy.mean(1).sum() / dim
    mean = stream.new_zeros(len(stream), layers, types)
    mean += 1.0 / types
    residual = stream - mean.flatten(1) @ columns
    log_posterior = mean.log()
    for _ in range(options.rounds):
        noise = residual.square().mean(1).clamp(min=max(sigma**2, 1e-12 * float(power)))
        correlation = (residual @ columns.T).view_as(mean)
        # A type's own vector is part of what is unexplained: its share so far is added back.
        field = (correlation + mean * energy - 0.5 * energy) / noise[:, None, None]
        log_posterior = field.log_softmax(2)
        updated = log_posterior.exp()
        change = float((updated - mean).abs().max())
        mean = torch.lerp(mean, updated, options.damping)
        spread = (energy[None] * mean * (1.0 - mean)).sum((1, 2)) / dim
        residual = stream - mean.flatten(1) @ columns + residual * (spread / noise)[:, None]
        if change < options.settled:
            break
    return log_posterior
