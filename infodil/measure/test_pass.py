"""The one pass over the test split: every fitted probe scores every row, and the sums of the scores are kept."""

__all__ = ["read_test_split"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.corpus import Split
from infodil.ladder import (
    Chunk,
    FittedLadder,
    FittedProbe,
    LagTask,
    StateStream,
    TextClusters,
    control_log_probs,
    score_rows,
)
from infodil.measure.accumulators import Cells, ScoreSums, SplitSums, given_context, of_context
from infodil.measure.token_kinds import TokenKinds
from infodil.probes import ClassMap
from infodil.processes import current

SCORE_LOGITS = 2**22
"""Logits held at once: 16 MB in float32."""
FEWEST_SCORED_ROWS = 256
"""Rows scored at once, at least."""


def read_test_split(
    stream: StateStream, task: LagTask, ladder: FittedLadder, clusters: TextClusters, kinds: TokenKinds
) -> SplitSums:
    """The sums of every entry of a report: those of `ladder.entries()`, then those of `ladder.control`.

    A fitted probe that is selected for several entries scores a row once, one that is selected for none not at all.
    """
    scoring = assign(ladder, task.targets)
    plug_in = PlugIn.of(task.counts["test"], task.classes)
    subsample = subsample_rows(stream.split, scoring.max_rows)
    sums = ScoreSums.zeros(len(scoring.fits), task.targets, 2 * kinds.number, clusters.number, list(task.contexts))
    for place, chunk in enumerate(stream.chunks("reading the test split")):
        if not current().owns(place):
            continue
        for part in parts_of(chunk, task, clusters, subsample):
            prepared = prepare(stream, scoring, part)
            for target in range(task.targets):
                rows = np.flatnonzero(part.types[target] >= 0)
                if len(rows):
                    deep = part.position[rows] >= task.lags[-1]
                    kind = kinds.of_type[part.types[target, rows]]
                    cells = Cells(kind + kinds.number * deep, part.cluster[rows])
                    score_target(sums, scoring, prepared, part, target, rows, cells, task, plug_in)
    current().add((*sums.probe.values(), *sums.rows.values()))
    return SplitSums(sums.compute(scoring.selected, scoring.subsampled, scoring.names_types))


@dataclass(frozen=True, eq=False)
class ScoringProbes:
    """The fitted probes that score the test split, and the entries and targets that each serves."""

    sites: list[str]
    fits: list[FittedProbe]
    targets: list[set[int]]
    """Targets that each is selected for."""
    selected: Int[ndarray, "entries targets"]
    """Number of the fitted probe that each entry and target uses."""

    @property
    def max_rows(self) -> list[int | None]:
        """Rows of a split that each reads; None for all."""
        return [fitted.probe.max_rows for fitted in self.fits]

    @property
    def subsampled(self) -> Bool[ndarray, "fits"]:
        """Whether each reads a subsample of the rows."""
        return np.array([most is not None for most in self.max_rows])

    @property
    def names_types(self) -> Bool[ndarray, "fits"]:
        """Whether each names types."""
        return np.array([fitted.probe.names_types for fitted in self.fits])


def assign(ladder: FittedLadder, targets: int) -> ScoringProbes:
    """Number the fitted probes that are selected for some entry and target."""
    numbers: dict[tuple[str, str], int] = {}
    sites: list[str] = []
    fits: list[FittedProbe] = []
    served: list[set[int]] = []
    selected = []
    for site, probe in ladder.entries():
        line = []
        for target, name in enumerate(ladder.selected[site][probe]):
            if (site, name) not in numbers:
                numbers[site, name] = len(fits)
                sites.append(site)
                fits.append(ladder.fitted[site][name])
                served.append(set())
            line.append(numbers[site, name])
            served[line[-1]].add(target)
        selected.append(line)
    for site, fitted in ladder.control.items():
        selected.append([len(fits)] * targets)
        sites.append(site)
        fits.append(fitted)
        served.append(set(range(targets)))
    return ScoringProbes(sites, fits, served, np.array(selected))


@dataclass(frozen=True, eq=False)
class PlugIn:
    """Log of the share of each type, and of each class, among the test labels of each target."""

    types: Float[ndarray, "targets vocabulary"]
    classes: Float[ndarray, "targets classes"]

    @classmethod
    def of(cls, counts: Int[ndarray, "targets vocabulary"], classes: ClassMap) -> "PlugIn":
        """Shares from the number of labels of each type."""
        of_type = classes.of_type.cpu().numpy()
        together = np.stack([np.bincount(of_type, row, minlength=classes.number) for row in counts])
        with np.errstate(divide="ignore"):
            logs = [np.log(part / part.sum(1, keepdims=True)) for part in (counts, together)]
        return cls(*logs)


def subsample_rows(split: Split, most: Sequence[int | None]) -> Int[ndarray, "rows"]:
    """Rows of the split for slow probes, the same for all: at the middle of equal steps through the text."""
    tokens = len(split.tokens)
    number = min(tokens, min((each for each in most if each is not None), default=0))
    return np.unique(((np.arange(number) + 0.5) * tokens / max(1, number)).astype(np.int64))


@dataclass(frozen=True, eq=False)
class Part:
    """As many rows of a chunk as are scored at once."""

    chunk: Chunk
    rows: slice
    position: Int[ndarray, "rows"]
    """Number of tokens of the same sequence before each."""
    types: Int[ndarray, "targets rows"]
    """Type of each target, -1 for none."""
    cluster: Int[ndarray, "rows"]
    subsample: Int[ndarray, "few"]
    """Places of the rows that slow probes read."""
    contexts: dict[str, Any]
    """What the predictions of context models share, whatever the lag."""


def parts_of(chunk: Chunk, task: LagTask, clusters: TextClusters, subsample: Int[ndarray, "rows"]) -> Iterator[Part]:
    """A chunk cut into parts whose logits fit into memory."""
    size = max(FEWEST_SCORED_ROWS, SCORE_LOGITS // task.classes.number)
    for first in range(0, len(chunk.index), size):
        rows = slice(first, first + size)
        index, position = chunk.index[rows], chunk.position[rows]
        types = task.labels["test"].types(index, position)
        yield Part(
            chunk,
            rows,
            position,
            types,
            clusters.index(index),
            np.flatnonzero(np.isin(index, subsample)),
            task.begin_contexts("test", index),
        )


def prepare(stream: StateStream, scoring: ScoringProbes, part: Part) -> list[Any]:
    """What all targets share, for each fitted probe; None where it reads no row of the part."""
    prepared = []
    for site, fitted, few in zip(scoring.sites, scoring.fits, scoring.subsampled, strict=True):
        states = part.chunk.states[site][part.rows]
        states = states[torch.from_numpy(part.subsample).to(states.device)] if few else states
        view = stream.view(site, states, fitted.fit.raw)
        prepared.append(fitted.fit.prepare(view) if len(states) else None)
    return prepared


def score_target(
    sums: ScoreSums,
    scoring: ScoringProbes,
    prepared: list[Any],
    part: Part,
    target: int,
    rows: Int[ndarray, "rows"],
    cells: Cells,
    task: LagTask,
    plug_in: PlugIn,
) -> None:
    """Score the rows of a part that have a label of one target, and add the scores to the sums."""
    classes, types = task.classes, part.types[target, rows]
    device = classes.of_type.device
    terms, contexts = row_terms(part, target, rows, task, plug_in)
    # Places of the subsampled rows among the rows with a label, and among the subsampled ones.
    place = np.flatnonzero(np.isin(rows, part.subsample))
    among = np.searchsorted(part.subsample, rows[place])
    sums.update_rows(target, cells, terms, place)
    for number, (fitted, served) in enumerate(zip(scoring.fits, scoring.targets, strict=True)):
        few = scoring.subsampled[number]
        chosen, taken = (place, among) if few else (np.arange(len(rows)), rows)
        if target not in served or (few and len(place) == 0):
            continue
        chosen_types = torch.from_numpy(types[chosen]).to(device)
        states = prepared[number][torch.from_numpy(taken).to(device)]
        if not target:
            scored = {"probe": control_log_probs(fitted, states, chosen_types, classes)}
        else:
            known = {name: log[torch.from_numpy(chosen).to(log.device)] for name, log in contexts.items()}
            scores = score_rows(fitted, states, target, chosen_types, classes, known)
            scored = {"probe": scores.log_prob, "top1": scores.hits(1), "top5": scores.hits(5)}
            scored |= {given_context(name): log for name, log in scores.given_context.items()}
        sums.update_probe(number, target, cells.at(chosen), scored)


def row_terms(
    part: Part, target: int, rows: Int[ndarray, "rows"], task: LagTask, plug_in: PlugIn
) -> tuple[dict[str, ndarray | Tensor], dict[str, Float[Tensor, "rows classes"]]]:
    """Terms of some rows that do not depend on a probe, and what context models say of them; none for the control."""
    classes, types = task.classes, part.types[target, rows]
    label = classes.of_type.cpu().numpy()[types]
    terms: dict[str, ndarray | Tensor] = {
        "count": np.ones(len(rows)),
        "prior": classes.class_log_prior.cpu().numpy()[label],
        "plug_in": plug_in.classes[target][label],
        "type_prior": classes.log_prior.cpu().numpy()[types],
        "type_plug_in": plug_in.types[target][types],
    }
    if not target:
        return terms, {}
    contexts = task.context_log_probs(part.contexts, rows, task.lags[target - 1])
    for name, log in contexts.items():
        terms[of_context(name)] = log.gather(1, torch.from_numpy(label).to(log.device)[:, None]).squeeze(1)
    return terms, contexts
