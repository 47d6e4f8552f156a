"""Synthetic messages of known entropy, and the stream that a rule makes of them, seen at a precision."""

__all__ = ["Messages", "Stream", "draw_messages"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.accumulation import Rule
from infodil.bounds import budget, genie
from infodil.estimate import Estimate
from infodil.precision import PRECISIONS, Quantizer, noise_generator

ROWS_AT_ONCE = 512
"""Rows whose messages of all layers are held at once: memory in proportion."""

LEAST_ROUNDING = 1e-30
"""Floor of a number's rounding error: exact zeros have none."""


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages of layers that each write one of a few random vectors of their own, drawn independently."""

    codebooks: Float[Tensor, "layers types dim"]
    tokens: Int[Tensor, "rows layers"]

    def of_rows(self, rows: slice) -> Float[Tensor, "rows layers dim"]:
        """The messages of some rows."""
        return self.codebooks[torch.arange(len(self.codebooks)), self.tokens[rows]]


def draw_messages(layers: int, dim: int, types: int, rank: int | None, growth: float, rows: int, seed: int) -> Messages:
    """Random codebooks of unit mean square length, the larger the deeper where messages grow, and random tokens."""
    generator = torch.Generator().manual_seed(seed)
    shape = (layers, types, rank or dim)
    codebooks = torch.randn(shape, generator=generator, dtype=torch.float64) / (rank or dim) ** 0.5
    if rank is not None:
        axes = torch.randn(layers, rank, dim, generator=generator, dtype=torch.float64)
        codebooks = codebooks @ torch.linalg.qr(axes.transpose(1, 2)).Q.transpose(1, 2)
    codebooks *= growth ** torch.arange(layers, dtype=torch.float64)[:, None, None]
    return Messages(codebooks, torch.randint(types, (rows, layers), generator=generator))


class Stream:
    """The deepest stream of a rule over drawn messages, as seen at a precision.

    Args:
        rule: The accumulation rule.
        messages: The messages of all layers.
        precision: Precision at which the stream is seen.
        normalize: Whether the stream is divided by its root mean square.
        seed: Seed of the noise of a precision that is a signal-to-noise ratio.
    """

    def __init__(self, rule: Rule, messages: Messages, precision: str, normalize: bool, seed: int) -> None:
        self.messages, self.layers = messages, len(messages.codebooks)
        parts = [slice(start, start + ROWS_AT_ONCE) for start in range(0, len(messages.tokens), ROWS_AT_ONCE)]
        exact = torch.cat([rule.accumulate(messages.of_rows(rows))[:, -1] for rows in parts])
        self.gain = exact.square().mean(1, keepdim=True).rsqrt() if normalize else torch.ones(len(exact), 1)
        exact = exact * self.gain
        quantizer = Quantizer.of(precision, exact)
        self.states = quantizer.quantize(exact, noise_generator(seed, "depth"))
        errors = quantizer.errors(exact).clamp(min=LEAST_ROUNDING)
        self.noise, self.error = "gaussian", quantizer.sigma(exact)
        if precision in PRECISIONS:
            # Rounding is uniform noise; the mean density over rows is that of the harmonic mean of their steps.
            self.noise, self.error = "uniform", 1.0 / (1.0 / errors).mean(0)
        self.sigma = float(quantizer.sigma(exact).square().mean().sqrt())
        basis = torch.eye(self.layers, dtype=torch.float64)[None]
        self.weights = None if rule.kind == "input" else rule.accumulate(basis)[0, -1]

    def budget(self, confidence: float) -> Estimate:
        """Upper bound on what the stream tells of all messages together."""
        return budget(self.states.double(), self.error, noise=self.noise, confidence=confidence)

    def genie(self, layer: int, confidence: float, seed: int) -> Estimate | None:
        """Upper bound on what the stream tells of one message, all others revealed; none for rules of the input."""
        if self.weights is None:
            return None
        weight = float(self.weights[layer].abs() * self.gain.max())
        return self.alone(layer, weight, confidence, seed)

    def alone(self, layer: int, weight: float, confidence: float, seed: int) -> Estimate:
        """Information of one message alone, at some weight, in the stream's noise."""
        codebook = self.messages.codebooks[layer]
        options = {"noise": self.noise, "confidence": confidence, "seed": seed, "draws": 1024}
        return genie(codebook, weight, self.error, **options)
