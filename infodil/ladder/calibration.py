"""The calibration rows: held-out states on which every choice is made, of a stream or of rows in memory."""

__all__ = ["CALIBRATION_ROWS", "CalibrationRows", "gather", "spread_rows"]

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.ladder.state_stream import StateStream
from infodil.probes import cross_entropy_nats

CALIBRATION_ROWS = 4096
"""Rows on which one-parameter choices are made: each choice costs about 1 / (2 x 4096) nats."""


@dataclass(frozen=True, eq=False)
class CalibrationRows:
    """Rows on which every choice is made, in the order of the text; the test rows are never looked at."""

    states: Mapping[str, Float[Tensor, "rows dim"]]
    """States as observed, by site, controls among them."""
    labels: Int[Tensor, "targets rows"]
    """Class of each target, -1 where a row has none."""
    context: tuple[Mapping[str, Float[Tensor, "_ classes"]], ...]
    """For each target and context model the log-probability of each class without the state, for the rows with a label;
    empty where the prior is all that is known."""
    cluster: Int[ndarray, "rows"]
    """Document, or cell of one long text, of each row."""
    documents: bool = True
    """Whether clusters are documents, which are independent, rather than cells, of which neighbours are not."""

    @property
    def number(self) -> int:
        """Number of rows."""
        return self.labels.shape[1]

    @property
    def better_context(self) -> list[str]:
        """The context model of least cross-entropy for each target; of equal ones the first."""
        names = []
        for context, labels in zip(self.context, self.labels, strict=True):
            known = labels[labels >= 0]
            names.append(min(context, key=lambda name: cross_entropy_nats(context[name], known), default=""))
        first = next(iter(self.context[-1]), "")
        return [name or first for name in names]

    def chosen(self, most: int | None) -> Int[Tensor, "some"]:
        """All rows, or `most` of them for a slow probe, evenly spaced through the text."""
        return spread_rows(self.number, most, self.labels.device)


def spread_rows(rows: int, most: int | None, device: torch.device) -> Int[Tensor, "some"]:
    """At most `most` of some rows, evenly spaced."""
    number = rows if most is None else min(rows, most)
    return torch.linspace(0, rows - 1, number, device=device).round().long()


def gather(stream: StateStream, rows: Int[ndarray, "rows"]) -> dict[str, Float[Tensor, "rows dim"]]:
    """The states at some positions of a split, in their order."""
    gathered: dict[str, Tensor] = {}
    for chunk in stream.chunks("reading the calibration split"):
        place = np.searchsorted(rows, chunk.index).clip(max=len(rows) - 1)
        wanted = np.flatnonzero(rows[place] == chunk.index)
        here = torch.from_numpy(np.stack([place[wanted], wanted])).to(stream.device)
        for site, states in chunk.states.items():
            if site not in gathered:
                gathered[site] = states.new_empty(len(rows), states.shape[1])
            gathered[site][here[0]] = states[here[1]]
    return gathered
