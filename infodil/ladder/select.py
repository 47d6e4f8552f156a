"""Fit rungs of the ladder on some rows of states held in memory, choose on others, and answer for the rest."""

__all__ = ["Answer", "fit_ladder"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.special import stdtrit
from torch import Tensor

from infodil.checks import UserError
from infodil.probes import (
    Calibration,
    ClassMap,
    Probe,
    ProbeChoice,
    ProbeFit,
    ProbeSpec,
    Standardizer,
    fit_class_map,
    log_predictive,
    most_classes,
    prior_smoothing,
)
from infodil.statistics import correlation_length

LEFT_NATS = 0.003
"""Where the evidence so far leaves no more doubt than this about the calibration tokens, no other rung is fitted."""

PARTS = 8
SURE = 0.95
"""Evidence is used where its gain on the calibration rows is above zero at this level (one-sided, Student's t), judged
by at most as many consecutive parts of them: what looks sure row by row is not, where rows repeat each other."""

MOST_FLOPS = 2e12
"""A rung that takes more than this for one fold, a minute on one core, is fitted only where it is asked for."""

ROWS = 2**14
"""States held at once in the frame that readers see them in."""
LOGITS = 2**22
"""Logits held at once."""


@dataclass(frozen=True)
class Answer:
    """What the best rung says of each tested row."""

    gain: Float[ndarray, "rows"]
    """Log-probability of the row's token beyond that under the trained prior, nats; exactly zero where that answers."""
    log_prior: Float[ndarray, "rows"]
    """Log-probability of the row's token under the trained prior, nats."""
    probe: str
    """Which rung answered."""
    left_out: tuple[str, ...]
    """Rungs that would have taken long."""


def fit_ladder(
    tokens: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    parts: tuple[Int[ndarray, "train"], Int[ndarray, "calibration"], Int[ndarray, "test"]],
    choice: ProbeChoice,
    seed: int,
) -> Answer:
    """Fit rungs from the weakest up, and answer with the one of least cross-entropy on the calibration rows.

    Args:
        tokens: Type ids from zero on.
        states: All rows; each rung goes over the training rows in random order.
        parts: Rows to train on, to calibrate on (those that depend on each other side by side) and to answer for.
        choice: The strongest probe, or all that apply and do not take long, until nothing is left to read.
        seed: Of everything random.

    Raises:
        UserError: The rung that was asked for does not apply.
    """
    train, calibration, test = (torch.from_numpy(part) for part in parts)
    vocabulary = int(tokens.max()) + 1
    counts = [torch.from_numpy(np.bincount(tokens[part], minlength=vocabulary)) for part in parts[:2]]
    dim = states.shape[1]
    classes = fit_class_map(*counts, most=most_classes(1, dim))
    labels = classes.of_type[torch.from_numpy(tokens)]
    spec = ProbeSpec(dim, 1, classes, len(train), torch.device("cpu"), seed)
    frame = Standardizer.of(states[train].double())
    held = Calibration(frame.apply(states[calibration].double()).float(), labels[None, calibration])

    smoothing = prior_smoothing(len(calibration))
    best: ProbeFit | None = None
    most, weaker, left_out = 0.0, None, []
    doubted = -float(classes.class_log_prior[held.labels[0]].double().mean())
    for rung in order_of(choice):
        probe, auto = choice.available[rung], choice.requested is None
        if auto and doubted - most < LEFT_NATS:
            break
        if auto and not probe.applies(spec):
            continue
        if auto and probe.flops(spec) > MOST_FLOPS:
            left_out.append(rung)
            continue
        reader = make(probe, spec, weaker)
        for number in range(reader.passes):
            for rows in in_random_order(train, seed * 1009 + number):
                reader.update(frame.apply(states[rows].double()).float(), labels[None, rows])
            reader.end_pass(held)
        weaker = weaker if probe.independent_of_base else reader
        gain = gains(reader, classes, held.states, held.labels[0], smoothing)
        mean = float(gain.mean()) if certain(gain.numpy()) else 0.0
        if best is None or mean > most:
            best, most = reader, mean
    gain = [
        gains(best, classes, frame.apply(states[rows].double()).float(), labels[rows], smoothing)
        for rows in test.split(ROWS)
    ]
    log_prior = classes.log_prior[torch.from_numpy(tokens)[test]]
    return Answer(torch.cat(gain).numpy(), log_prior.double().numpy(), best.name, tuple(left_out))


def certain(gain: Float[ndarray, "rows"]) -> bool:
    """Whether a mean gain is finite and above zero beyond its error, seen from parts of about ten correlation times."""
    if not np.isfinite(gain).all():
        return False
    parts = min(PARTS, int(len(gain) / (10.0 * correlation_length(gain[:, None]))))
    if parts < 2 or not gain.any():
        return False
    means = np.array([part.mean() for part in np.array_split(gain, parts)])
    return bool(means.mean() > stdtrit(parts - 1, SURE) * means.std(ddof=1) / parts**0.5)


def order_of(choice: ProbeChoice) -> list[str]:
    """The probes to fit in turn: up to the one asked for, or all, those that take long last."""
    trained = choice.trained
    if choice.requested is None:
        return sorted(trained, key=lambda name: choice.available[name].slow)
    return trained[: trained.index(choice.requested[-1]) + 1]


def make(probe: Probe, spec: ProbeSpec, weaker: ProbeFit | None) -> ProbeFit:
    """A fit that has seen nothing; its complaint in the words of this call."""
    try:
        return probe.start_fit(spec, weaker)
    except UserError as error:
        raise UserError(str(error).replace("`probes` cannot have", "`probe` cannot be")) from None


def in_random_order(rows: Int[Tensor, "rows"], seed: int) -> Iterator[Int[Tensor, "some"]]:
    """The rows a few thousand at a time."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    yield from rows[order].split(ROWS)


def gains(
    reader: ProbeFit,
    classes: ClassMap,
    states: Float[Tensor, "rows dim"],
    labels: Int[Tensor, "rows"],
    smoothing: float,
) -> Float[Tensor, "rows"]:
    """Log-probability of each row's class under a reader beyond that under the prior, nats.

    Within its class a type has the prior's probability, so this is the gain of the type, too.
    """
    temperature, base, parts = reader.temperatures[0], classes.class_log_prior, []
    if temperature == 0.0:
        return torch.zeros(len(labels), dtype=torch.float64)
    for some, label in zip(*(each.split(max(1, LOGITS // classes.number)) for each in (states, labels)), strict=True):
        scores = reader.scores(reader.prepare(some), 0)
        parts.append(log_predictive(base, scores, temperature, smoothing, label) - base[label].double())
    return torch.cat(parts)
