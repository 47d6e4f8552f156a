"""Synthetic messages through accumulation rules: how many bits of each layer's message the deepest stream gives up."""

__all__ = ["sweep"]

from collections.abc import Iterable

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.accumulation import Rule, make_rule
from infodil.checks import UserError, check_between, check_confidence, check_not_empty, check_seed, check_whole
from infodil.depth.decoder import Decoder, decode_messages
from infodil.depth.held_out import held_out_bits
from infodil.depth.report import DepthReport, provenance
from infodil.depth.synthetic import Stream, draw_messages
from infodil.estimate import Estimate
from infodil.mi import lower_bound
from infodil.precision import check_precision
from infodil.probes import Probe
from infodil.progress import progress_bar

READ_SHARE = 0.5
"""Share of a message's entropy from which the table calls it read."""


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
    for rule, depth in progress_bar(pairs, "sweeping depth", shown=progress, unit="stream"):
        layers = (
            sorted({1, (depth + 1) // 2, depth}) if written is None else [each for each in written if each <= depth]
        )
        messages = draw_messages(depth, dim, types, rank, growth, rows, seed)
        stream = Stream(rule, messages, precision, normalize, seed)
        log_posterior = decode(stream, decoder, decoder_rows)
        table += [
            {"rule": label(rule), "depth": depth, "written": layer, "read": depth}
            | measure(stream, layer - 1, log_posterior, probe, rank, confidence, seed)
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


def measure(
    stream: Stream,
    layer: int,
    log_posterior: Float[Tensor, "rows layers types"] | None,
    probe: str | Probe,
    rank: int | None,
    confidence: float,
    seed: int,
) -> dict:
    """The figures of one written message.

    Args:
        stream: The deepest stream.
        layer: Index of the layer that wrote the message.
        log_posterior: What the superposition decoder gives for the first rows, if it can read the stream.
        probe: Probe that is trained on the stream.
        rank: Dimension of the span of a layer's messages.
        confidence: Confidence level of each interval.
        seed: Seed of the cross-fit and of Monte Carlo draws.
    """
    messages, states = stream.messages, stream.states
    labels = messages.tokens[:, layer]
    types, dim = messages.codebooks.shape[1:]
    entropy = float(np.log2(types))
    linear = lower_bound(labels, states, probe=probe, seed=seed, confidence=confidence)
    decoded = None if log_posterior is None else decoded_bits(log_posterior[:, layer], labels, confidence)
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


def decode(stream: Stream, options: Decoder, rows: int) -> Float[Tensor, "rows layers types"] | None:
    """Log-posteriors of all messages by the superposition decoder; None where weights are functions of the input.

    Args:
        stream: The deepest stream.
        options: Options of the decoder.
        rows: Number of streams that are decoded.
    """
    if stream.weights is None:
        return None
    codebooks = stream.weights[:, None, None] * stream.messages.codebooks
    mean = codebooks.mean(1, keepdim=True)
    # What a normalisation divided by is not known to the decoder; its mean is.
    gain = float(stream.gain.mean())
    states = stream.states[:rows].double() / gain - mean.sum(0)
    return decode_messages(states, codebooks - mean, stream.sigma / gain, options)


def decoded_bits(log_posterior: Float[Tensor, "rows types"], labels: Int[Tensor, "all"], confidence: float) -> Estimate:
    """Bits of one message by the superposition decoder, calibrated on one half of its rows.

    Args:
        log_posterior: Log-posterior of the message's types at the first rows.
        labels: Types of the message at all rows.
        confidence: Confidence level of the interval.
    """
    rows, types = log_posterior.shape
    log_prior = torch.full((types,), -float(np.log(types)), dtype=torch.float64)
    labels = labels[:rows]
    method = "superposition decoder"
    return held_out_bits(log_posterior, labels, np.arange(rows), log_prior, confidence, method)[0]


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
