"""Fit rungs of the ladder on some rows of states held in memory, choose on others, and answer for the rest."""

__all__ = ["Answer", "climb"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.probes import LADDER, Calibration, Classes, Frame, Reader, Setting, make_classes, most_classes

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


def climb(
    tokens: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    parts: tuple[Int[ndarray, "train"], Int[ndarray, "calibration"], Int[ndarray, "test"]],
    probes: Sequence[str],
    seed: int,
) -> Answer:
    """Fit the rungs, weakest first, and answer with the one of least cross-entropy on the calibration rows.

    Args:
        tokens: Type ids from zero on.
        states: All rows; each rung goes over the training rows in random order.
        parts: Rows to train on, to calibrate on and to answer for.
        probes: Rungs, each made above the one before; those that do not apply to these states are left out.
        seed: Of everything random.
    """
    train, calibration, test = (torch.from_numpy(part) for part in parts)
    vocabulary = int(tokens.max()) + 1
    counts = [torch.from_numpy(np.bincount(tokens[part], minlength=vocabulary)) for part in parts[:2]]
    dim = states.shape[1]
    classes = make_classes(*counts, most=most_classes(1, dim))
    labels = classes.of_type[torch.from_numpy(tokens)]
    setting = Setting(dim, 1, classes, len(train), torch.device("cpu"), seed)
    frame = Frame.of(states[train].double())
    held = Calibration(frame.apply(states[calibration].double()).float(), labels[None, calibration])

    best: Reader | None = None
    most, weaker = -np.inf, None
    for probe in probes:
        if not getattr(LADDER[probe], "applies", lambda setting: True)(setting):
            continue
        reader = LADDER[probe](setting, weaker)
        for number in range(reader.passes):
            for rows in in_random_order(train, seed * 1009 + number):
                reader.update(frame.apply(states[rows].double()).float(), labels[None, rows])
            reader.end_pass(held)
        weaker = reader
        gain = gains(reader, classes, held.states, held.labels[0])
        mean = float(gain.mean()) if bool(gain.isfinite().all()) else -np.inf
        if mean > most:
            best, most = reader, mean
    gain = [gains(best, classes, frame.apply(states[rows].double()).float(), labels[rows]) for rows in test.split(ROWS)]
    return Answer(torch.cat(gain).numpy(), classes.log_prior[torch.from_numpy(tokens)[test]].double().numpy(), best.name)


def in_random_order(rows: Int[Tensor, "rows"], seed: int) -> Iterator[Int[Tensor, "some"]]:
    """The rows a few thousand at a time."""
    order = torch.randperm(len(rows), generator=torch.Generator().manual_seed(seed))
    yield from rows[order].split(ROWS)


def gains(
    reader: Reader, classes: Classes, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]
) -> Float[Tensor, "rows"]:
    """Log-probability of each row's class under a reader beyond that under the prior, nats.

    Within its class a type has the prior's probability, so this is the gain of the type, too.
    """
    temperature, parts = reader.temperatures[0], []
    if temperature == 0.0:
        return torch.zeros(len(labels), dtype=torch.float64)
    for some, label in zip(*(each.split(max(1, LOGITS // classes.number)) for each in (states, labels)), strict=True):
        logits = classes.class_log_prior + temperature * reader.scores(reader.prepare(some), 0)
        log = -torch.nn.functional.cross_entropy(logits, label, reduction="none")
        parts.append(log - classes.class_log_prior[label])
    return torch.cat(parts).double()
