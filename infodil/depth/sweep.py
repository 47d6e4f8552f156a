"""Synthetic messages through accumulation rules: how many bits of each layer's message the deepest stream gives up."""

__all__ = ["sweep"]

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from tqdm.auto import tqdm

from infodil.bounds import budget, genie
from infodil.checks import UserError, check_between, check_confidence, check_not_empty, check_seed, check_whole
from infodil.depth.decoder import Decoder, decode_messages
from infodil.depth.held_out import held_out_bits
from infodil.depth.report import DepthReport, provenance
from infodil.depth.rules import Rule, make_rule
from infodil.estimate import Estimate
from infodil.mi import lower_bound
from infodil.precision import PRECISIONS, Quantizer, check_precision, noise_generator
from infodil.probes import Probe

ROWS_AT_ONCE = 512
"""Rows whose messages of all layers are held at once: memory in proportion."""

LEAST_ROUNDING = 1e-30
"""Floor of a number's rounding error: exact zeros have none."""

READ_SHARE = 0.5
"""Share of a message's entropy from which the table calls it read."""


@dataclass(frozen=True, eq=False)
class Messages:
    """Messages of layers that each write one of a few random vectors of their own, drawn independently."""

    codebooks: Float[Tensor, "layers types dim"]
    tokens: Int[Tensor, "rows layers"]

    def of_rows(self, rows: slice) -> Float[Tensor, "rows layers dim"]:
        """The messages of some rows."""
        return self.codebooks[torch.arange(len(self.codebooks)), self.tokens[rows]]


def sweep(
    rules: str | Rule | Iterable[str | Rule] = ("sum", "ema", "gated", "attention"),
    depths: Iterable[int] = (4, 16, 64),
    *,
    dim: int = 64,
    types: int = 16,
    rank: int | None = None,
    growth: float = 1.0,
    normalize: bool = False,
    written: Iterable[int] | None = None,
    precision: str = "float32",
    rows: int = 4096,
    probe: str | Probe = "gaussian",
    decoder: Decoder = Decoder(),
    decoder_rows: int = 512,
    seed: int = 0,
    confidence: float = 0.95,
    progress: bool = False,
) -> DepthReport:
    r"""Bits of each layer's message in the deepest stream, by a probe and by a decoder that knows all codebooks.

    Layer l writes :math:`v_l = c_l(x_l)`, one of `types` random vectors of its own, uniformly and independently. The
    stream :math:`h_D` of the deepest layer is seen at a precision. A probe is trained on it (cross-fitted); where the
    stream is linear in the messages, the superposition decoder reads all layers together, and `upper_bits` is the
    genie's bound :math:`I(x_l;\, W_{D,l}\, v_l + \sigma N)`, which reveals all other messages. `dilution_bits` is the
    analytic curve, all other messages as Gaussian noise: :math:`\tfrac r2 \log_2(1 + s / (1 - s))` at the share s of
    the message in the stream's variance, at most the entropy. `oracle_bits` is the upper mark of a gate that selects
    the message alone.

    Args:
        rules: Names in `RULES`, or rules with their options.
        depths: Numbers of layers.
        dim: Numbers of a message and of the stream.
        types: Number of different messages of a layer.
        rank: Dimension of the span of a layer's messages; that of the stream by default.
        growth: Factor of the messages' size from one layer to the next.
        normalize: Whether the stream is divided by its root mean square before it is read.
        written: Layers whose messages are read, from 1; by default the first, the middle and the last one.
        precision: Precision of the stream, as in `infodil.recoverability`.
        rows: Number of streams drawn.
        probe: Probe that is trained on the streams.
        decoder: Options of the superposition decoder.
        decoder_rows: Streams that the decoder reads, half of them for its calibration.
        seed: The same seed gives the same report.
        confidence: Confidence level of each pointwise interval.
        progress: Whether to show a progress bar.

    Returns:
        The report; one row a rule, depth and written layer.

    Raises:
        UserError: An argument is malformed or out of range.

    Example:
        >>> report = sweep("sum", [4], dim=16, types=4, rows=512)
        >>> [round(bits) for bits in report.to_frame()["value_bits"]]
        [2, 2, 2]
    """
    rules = [make_rule(rule) for rule in ([rules] if isinstance(rules, str | Rule) else rules)]
    depths = tuple(depths)
    check_not_empty("rules", rules, "pass at least one, such as 'sum'")
    check_not_empty("depths", depths, "pass at least one number of layers, such as depths=[8]")
    for depth in depths:
        check_whole("depths", depth, 1, "pass numbers of layers")
    check_whole("dim", dim, 2, "pass the numbers of a message")
    check_whole("types", types, 2, "a message must tell something")
    check_whole("rows", rows, 100, "pass enough streams to train a probe")
    check_whole("decoder_rows", decoder_rows, 16, "pass enough streams for an interval")
    if rank is not None:
        check_whole("rank", rank, 1, "pass the dimension of a layer's messages")
    if rank is not None and rank > dim:
        raise UserError(f"`rank` must be at most the {dim} dims of a message, got {rank}: pass a smaller one.")
    check_between("growth", growth, 0.0, 2.0, open_low=True)
    check_precision(precision)
    check_seed(seed)
    check_confidence(confidence)
    config = {
        "rules": [label(rule) for rule in rules], "depths": list(depths), "dim": dim, "types": types, "rank": rank,
        "growth": growth, "normalize": normalize, "precision": precision, "rows": rows, "probe": str(probe),
        "seed": seed, "confidence": confidence,
    }  # fmt: skip
    table: list[dict] = []
    pairs = [(rule, depth) for rule in rules for depth in depths]
    for rule, depth in tqdm(pairs, "sweeping depth", leave=False, disable=not progress, unit="stream"):
        layers = (
            sorted({1, (depth + 1) // 2, depth}) if written is None else [each for each in written if each <= depth]
        )
        messages = draw_messages(depth, dim, types, rank, growth, rows, seed)
        stream = Stream(rule, messages, precision, normalize, seed)
        table += [
            {"rule": label(rule), "depth": depth, "written": layer, "read": depth}
            | measure(stream, layer - 1, probe, decoder, decoder_rows, rank, confidence, seed)
            for layer in layers
        ]
    if not table:
        raise UserError(f"`written` has no layer of the depths {list(depths)}: pass layers from 1 on.")
    return DepthReport("sweep", table, config, ", ".join(config["rules"]), provenance=provenance(seed))


def label(rule: Rule) -> str:
    """Name of a rule in tables, with the options that differ from its defaults."""
    default = type(rule)()
    changed = [name for name in rule.options() if getattr(rule, name) is not getattr(default, name)]
    changed = [f"{name}={getattr(rule, name)}" for name in changed if not isinstance(getattr(rule, name), Tensor)]
    return f"{rule.name}({', '.join(changed)})" if changed else rule.name


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


def measure(
    stream: Stream,
    layer: int,
    probe: str | Probe,
    decoder: Decoder,
    decoder_rows: int,
    rank: int | None,
    confidence: float,
    seed: int,
) -> dict:
    """The figures of one written message.

    Args:
        stream: The deepest stream.
        layer: Index of the layer that wrote the message.
        probe: Probe that is trained on the stream.
        decoder: Options of the superposition decoder.
        decoder_rows: Rows that the decoder reads.
        rank: Dimension of the span of a layer's messages.
        confidence: Confidence level of each interval.
        seed: Seed of the cross-fit and of Monte Carlo draws.
    """
    messages, states = stream.messages, stream.states
    labels = messages.tokens[:, layer]
    types, dim = messages.codebooks.shape[1:]
    entropy = float(np.log2(types))
    linear = lower_bound(labels, states, probe=probe, seed=seed, confidence=confidence)
    decoded = decode(stream, layer, decoder, decoder_rows, confidence)
    best = linear if decoded is None or linear.value_bits >= decoded.value_bits else decoded
    decoder_bits = None if decoded is None else decoded.value_bits
    revealed = stream.genie(layer, confidence, seed)
    upper = entropy if revealed is None else min(entropy, revealed.high_bits)
    vectors = messages.codebooks[layer][labels]
    vectors = vectors - messages.codebooks[layer].mean(0)
    centred = states.double() - states.double().mean(0)
    power = float(vectors.square().sum(1).mean())
    retained = float((centred * vectors).sum(1).mean()) / power
    share = retained**2 * power / float(centred.square().sum(1).mean())
    dilution = min(entropy, 0.5 * (rank or dim) * float(np.log2(1.0 + share / max(1.0 - share, 1e-12))))
    return {
        "value_bits": best.value_bits,
        "low_bits": best.low_bits,
        "high_bits": best.high_bits,
        "upper_bits": upper,
        "norm_share": share,
        "r2": linear_r2(states.double(), vectors),
        "entropy_bits": entropy,
        "retained": retained,
        "linear_bits": linear.value_bits,
        "decoder_bits": decoder_bits,
        "oracle_bits": min(entropy, stream.alone(layer, 1.0, confidence, seed).value_bits),
        "dilution_bits": dilution,
        "budget_bits": stream.budget(confidence).value_bits,
        "selected_probe": best.method.split(",")[0],
        "verdict": verdict(linear.value_bits, decoder_bits, upper, entropy),
        "samples": best.samples,
    }


def decode(stream: Stream, layer: int, options: Decoder, rows: int, confidence: float) -> Estimate | None:
    """Bits of one message by the superposition decoder; None for rules whose weights are functions of the input."""
    if stream.weights is None:
        return None
    codebooks = stream.weights[:, None, None] * stream.messages.codebooks
    mean = codebooks.mean(1, keepdim=True)
    # What a normalisation divided by is not known to the decoder; its mean is.
    states = stream.states[:rows].double() / float(stream.gain.mean()) - mean.sum(0)
    log_posterior = decode_messages(states, codebooks - mean, stream.sigma / float(stream.gain.mean()), options)
    types = codebooks.shape[1]
    return held_out_bits(
        log_posterior[:, layer],
        stream.messages.tokens[:rows, layer],
        np.arange(len(states)),
        torch.full((types,), -float(np.log(types)), dtype=torch.float64),
        confidence,
        "superposition decoder",
    )


def linear_r2(states: Float[Tensor, "rows dim"], vectors: Float[Tensor, "rows dim"]) -> float:
    """Share of the variance of some vectors that a linear map of the states, fitted on one half, predicts on the other.

    Example:
        >>> x = torch.randn(100, 3, generator=torch.Generator().manual_seed(0)).double()
        >>> round(linear_r2(x, 2.0 * x), 6)
        1.0
    """
    half = len(states) // 2
    mean, target = states[:half].mean(0), vectors[:half].mean(0)
    weights = torch.linalg.lstsq(states[:half] - mean, vectors[:half] - target, driver="gelsd").solution
    error = vectors[half:] - target - (states[half:] - mean) @ weights
    return 1.0 - float(error.square().sum() / (vectors[half:] - target).square().sum())


def verdict(linear: float, decoded: float | None, upper: float, entropy: float) -> str:
    """What became of a message, in words: `lost` where no decoder can read it, `not read` where it is open."""
    threshold = READ_SHARE * entropy
    if linear >= threshold:
        return "read"
    if decoded is not None and decoded >= threshold:
        return "diluted"
    return "lost" if upper < threshold else "not read"
