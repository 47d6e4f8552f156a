"""The text view of a report: how well each earlier token of a stretch of the test split is read at each position."""

__all__ = ["make_text_view"]

from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.estimate import BITS_PER_NAT
from infodil.ladder import FittedLadder, LagTask, StateStream, score_rows

LENGTH = 160
"""Tokens shown, at most."""


def make_text_view(stream: StateStream, task: LagTask, ladder: FittedLadder) -> tuple[list[int], list[dict]]:
    """Types of a stretch of the test split, and for each site and lag the bits, probability and rank of the true token.

    The stretch opens the first sequence of the split (documents are in random order) that is long enough, or the
    longest there is.
    """
    number = first_long(stream.split.lengths)
    start, length = int(stream.split.starts[number]), min(LENGTH, int(stream.split.lengths[number]))
    types = task.labels["test"].types(start + np.arange(length), np.arange(length))
    # The whole sequence is encoded, so that the stretch is observed as it was in the test pass.
    states = {site: state[:length] for site, state in stream.sequence(number).items()}
    sites = [view_site(stream, task, ladder, site, states[site], types) for site in ladder.fitted]
    return stream.split.tokens[start : start + length].tolist(), sites


def first_long(lengths: Int[ndarray, "sequences"]) -> int:
    """Number of the first sequence that is long enough, or of the longest."""
    enough = np.flatnonzero(lengths >= LENGTH)
    return int(enough[0]) if len(enough) else int(np.argmax(lengths))


def view_site(
    stream: StateStream,
    task: LagTask,
    ladder: FittedLadder,
    site: str,
    states: Float[Tensor, "rows dim"],
    types: Int[ndarray, "targets rows"],
) -> dict[str, Any]:
    """The strongest probe of a site, and a line of each figure for each lag, None where there is no such token."""
    probe = ladder.strongest(site)
    prepared: dict[str, Any] = {}
    lines: dict[str, list[list]] = {"bits": [], "probability": [], "rank": []}
    for target in range(1, task.targets):
        fitted = ladder.predictor(site, probe, target)
        if fitted.probe.name not in prepared:
            prepared[fitted.probe.name] = fitted.fit.prepare(stream.view(site, states, fitted.fit.raw))
        rows = np.flatnonzero(types[target] >= 0)
        true = torch.from_numpy(types[target, rows]).to(stream.device)
        place = torch.from_numpy(rows).to(stream.device)
        scores = score_rows(fitted, prepared[fitted.probe.name][place], target, true, task.classes)
        within = 0.0 if fitted.probe.names_types else task.classes.log_within(true)
        log = scores.log_prob + within
        figures = {
            "bits": rounded((log - task.classes.log_prior[true]) * BITS_PER_NAT),
            "probability": rounded(log.exp()),
            "rank": (scores.greater + 1).long().tolist(),
        }
        for name, values in figures.items():
            line: list[float | int | None] = [None] * types.shape[1]
            for row, value in zip(rows.tolist(), values, strict=True):
                line[row] = value
            lines[name].append(line)
    return {"site": site, "probe": probe, **lines}


def rounded(values: Float[Tensor, "rows"]) -> list[float]:
    """Four digits of each."""
    return [float(f"{value:.4g}") for value in values.tolist()]
