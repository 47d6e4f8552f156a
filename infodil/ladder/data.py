"""The rows that a ladder of probes is fitted to: training rows in passes, from a stream or from memory."""

__all__ = ["LabelledStates", "LadderData", "MemoryRows", "StreamRows", "TrainingRows", "memory_data", "stream_data"]

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.channel import Code
from infodil.checks import UserError
from infodil.ladder.calibration import CalibrationRows, gather
from infodil.ladder.clusters import TextClusters
from infodil.ladder.labels import positions
from infodil.ladder.preprocessing import view_states, widest
from infodil.ladder.sites import is_control
from infodil.ladder.state_stream import StateStream
from infodil.ladder.task import LagTask
from infodil.probes import ClassMap, Probe, ProbeSpec, Standardizer

STATES = "states"
"""Name of the only site of rows in memory."""

CHUNK_ROWS = 2**14
"""Rows in memory that are standardized at once."""


@dataclass(frozen=True, eq=False)
class LabelledStates:
    """Some training rows."""

    states: Mapping[str, Float[Tensor, "rows dim"]]
    labels: Int[Tensor, "targets rows"]


@runtime_checkable
class TrainingRows(Protocol):
    """Training rows in as many passes as wanted."""

    def chunks(self, message: str, seed: int, wanted: Collection[str]) -> Iterator[LabelledStates]:
        """Every training row once, some thousand at a time.

        Args:
            message: Words beside a progress bar.
            seed: Seed of the order of the chunks.
            wanted: Sites.
        """
        ...


@dataclass(frozen=True, eq=False)
class StreamRows:
    """Training rows of a stream of states."""

    stream: StateStream
    task: LagTask

    def chunks(self, message: str, seed: int, wanted: Collection[str]) -> Iterator[LabelledStates]:
        """Every training row once, in batches in random order."""
        order = torch.Generator().manual_seed(seed)
        for chunk in self.stream.chunks(message, order, wanted):
            yield LabelledStates(chunk.states, self.task.class_labels("train", chunk.index, chunk.position))


@dataclass(frozen=True, eq=False)
class MemoryRows:
    """Training rows among rows in memory."""

    states: Float[Tensor, "all dim"]
    labels: Int[Tensor, "targets all"]
    rows: Int[Tensor, "rows"]
    """The training rows."""

    def chunks(self, message: str, seed: int, wanted: Collection[str]) -> Iterator[LabelledStates]:
        """Every training row once; which rows share a chunk is random, within it they keep their order."""
        del message, wanted
        for chunk in self.cut(seed):
            yield LabelledStates({STATES: self.states[chunk]}, self.labels[:, chunk])

    def cut(self, seed: int) -> Iterator[Int[Tensor, "some"]]:
        """The rows of each chunk."""
        order = torch.randperm(len(self.rows), generator=torch.Generator().manual_seed(seed))
        for places in order.split(CHUNK_ROWS):
            yield self.rows[places.sort().values]


@dataclass(frozen=True, eq=False)
class LadderData:
    """All that probes are fitted and calibrated on."""

    train: TrainingRows
    calibration: CalibrationRows
    specs: Mapping[str, ProbeSpec]
    """What is known of each site, controls among them."""
    standardizers: Mapping[str, Standardizer]
    seed: int
    progress: bool = False

    @property
    def sites(self) -> list[str]:
        """The measured sites."""
        return [site for site in self.specs if not is_control(site)]

    @property
    def controls(self) -> list[str]:
        """The same sites of the encoder with random weights, where there is one."""
        return [site for site in self.specs if is_control(site)]

    @property
    def classes(self) -> ClassMap:
        """The classes that probes tell apart."""
        return next(iter(self.specs.values())).classes

    def sites_for(self, probe: Probe) -> list[str]:
        """The measured sites that a probe applies to."""
        return [site for site in self.sites if probe.applies(self.specs[site])]

    def view(self, site: str, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
        """States as a probe takes them: as observed (`raw`), or standardized."""
        return view_states(self.standardizers[site], states, raw)


def stream_data(
    train: StateStream, calibration: StateStream, task: LagTask, clusters: TextClusters, learning_curves: bool
) -> LadderData:
    """The rows of a training and a calibration stream.

    Args:
        train: Stream of the training split.
        calibration: Stream of the calibration split.
        task: Labels, classes and context.
        clusters: Clusters of the calibration split.
        learning_curves: Whether probes that can tell their learning curves are asked for them.

    Returns:
        Training rows, calibration rows, and what is known of each site.

    Raises:
        UserError: The encoder describes its states by a superposition of other dims than it gives.
    """
    rows = task.calibration_rows
    position = positions(calibration.split)[rows]
    begun = task.begin_contexts("calibration", rows)
    context = [task.context_log_probs(begun, np.flatnonzero(position >= lag), lag) for lag in task.lags]
    states = gather(calibration, rows)
    labels = task.class_labels("calibration", rows, position)
    specs = {site: spec_of(site, state.shape[1], train, task, learning_curves) for site, state in states.items()}
    return LadderData(
        train=StreamRows(train, task),
        calibration=CalibrationRows(states, labels, ({}, *context), clusters.index(rows), clusters.documents),
        specs=specs,
        standardizers={site: train.preprocessing[site].standardizer for site in states},
        seed=train.seed,
        progress=train.progress,
    )


def spec_of(site: str, dim: int, train: StateStream, task: LagTask, learning_curves: bool) -> ProbeSpec:
    """What a probe of a site knows."""
    described = None if is_control(site) else train.sites.encoder.superposition(site)
    if described is not None and described[0].shape[1] * len(described[1]) != dim:
        raise UserError(
            f"`model` says that {site!r} sums vectors of {described[0].shape[1]} dims at {len(described[1])} scales, "
            f"but gives {dim} dims there: mend its `superposition`."
        )
    return ProbeSpec(
        dim=dim,
        targets=task.targets,
        classes=task.classes,
        train_rows=len(train.split.tokens),
        device=train.device,
        seed=train.seed,
        code=None if described is None else Code(*described),
        sigma=train.preprocessing[site].error,
        lags=task.lags,
        learning_curve=learning_curves and not is_control(site),
    )


def memory_data(
    states: Float[Tensor, "rows dim"],
    labels: Int[Tensor, "targets rows"],
    classes: ClassMap,
    train: Int[ndarray, "train"],
    calibration: Int[ndarray, "calibration"],
    seed: int = 0,
) -> LadderData:
    """Rows in memory.

    Args:
        states: States of all rows.
        labels: Class of each target of all rows, -1 for none.
        classes: What the classes stand for.
        train: Rows to train on.
        calibration: Rows to choose on, those that depend on each other side by side.
        seed: Seed of everything random.
    """
    held_out = torch.from_numpy(calibration)
    rows = MemoryRows(states, labels, torch.from_numpy(train))
    first = next(rows.cut(seed * 1009))
    known = CalibrationRows(
        states={STATES: states[held_out]},
        labels=labels[:, held_out],
        context=({},) * len(labels),
        cluster=np.arange(len(calibration)),
    )
    return LadderData(
        train=rows,
        calibration=known,
        specs={STATES: ProbeSpec(states.shape[1], len(labels), classes, len(train), states.device, seed)},
        standardizers={STATES: Standardizer.of(widest(states[first]))},
        seed=seed,
    )
