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
    known = WithoutState.of(task.counts["test"], task.classes)
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
                    score_target(sums, scoring, prepared, part, target, rows, cells, task, known)
    current().add(sums.arrays)
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
class WithoutState:
    """What is known of a label without a state, in the memory of the host: copied from the device once."""

    of_type: Int[ndarray, "vocabulary"]
    """The class of each type."""
    log_prior: Float[ndarray, "vocabulary"]
    class_log_prior: Float[ndarray, "classes"]
    types: Float[ndarray, "targets vocabulary"]
    """Log of the share of each type among the test labels of each target."""
    classes: Float[ndarray, "targets classes"]
    """Log of the share of each class."""

    @classmethod
    def of(cls, counts: Int[ndarray, "targets vocabulary"], classes: ClassMap) -> "WithoutState":
        """Shares from the number of labels of each type, and the prior."""
        of_type, *priors = (
            each.cpu().numpy() for each in (classes.of_type, classes.log_prior, classes.class_log_prior)
        )
        together = np.stack([np.bincount(of_type, row, minlength=classes.number) for row in counts])
        with np.errstate(divide="ignore"):
            logs = [np.log(part / part.sum(1, keepdims=True)) for part in (counts, together)]
        return cls(of_type, *priors, *logs)


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


@dataclass(frozen=True, eq=False)
class ScoredRows:
    """Rows of a part with a label of one target, on the device of the probes."""

    place: Int[ndarray, "rows"]
    """Where they stand among the rows with a label."""
    prepared: Int[Tensor, "rows"]
    """Where they stand among the rows that were prepared."""
    types: Int[Tensor, "rows"]
    contexts: dict[str, Float[Tensor, "rows classes"]]
    """Log-probability of each class by each context model."""

    @classmethod
    def of_part(
        cls, part: Part, target: int, rows: Int[ndarray, "rows"], contexts: dict[str, Tensor], device: torch.device
    ) -> dict[bool, "ScoredRows"]:
        """All rows with a label, under False, and those that slow probes read, under True."""
        types = part.types[target, rows]
        # Places of the subsampled rows among the rows with a label, and among the subsampled ones.
        place = np.flatnonzero(np.isin(rows, part.subsample))
        among = np.searchsorted(part.subsample, rows[place])
        few = torch.from_numpy(np.stack([place, among, types[place]])).to(device)
        whole = torch.from_numpy(np.stack([rows, types])).to(device)
        return {
            False: cls(np.arange(len(rows)), whole[0], whole[1], contexts),
            True: cls(place, few[1], few[2], {name: log[few[0]] for name, log in contexts.items()}),
        }


def score_target(
    sums: ScoreSums,
    scoring: ScoringProbes,
    prepared: list[Any],
    part: Part,
    target: int,
    rows: Int[ndarray, "rows"],
    cells: Cells,
    task: LagTask,
    known: WithoutState,
) -> None:
    """Score the rows of a part that have a label of one target, and add the scores to the sums."""
    classes = task.classes
    # The shuffled control has no context.
    contexts = task.context_log_probs(part.contexts, rows, task.lags[target - 1]) if target else {}
    scored_rows = ScoredRows.of_part(part, target, rows, contexts, classes.of_type.device)
    label = classes.of_type[scored_rows[False].types][:, None]
    terms: dict[str, ndarray | Tensor] = row_terms(known, target, part.types[target, rows])
    terms |= {of_context(name): log.gather(1, label).squeeze(1) for name, log in contexts.items()}
    sums.update_rows(target, cells, terms, scored_rows[True].place)
    for number, (fitted, served) in enumerate(zip(scoring.fits, scoring.targets, strict=True)):
        chosen = scored_rows[bool(scoring.subsampled[number])]
        if target not in served or len(chosen.place) == 0:
            continue
        states = prepared[number][chosen.prepared]
        if not target:
            scored = {"probe": control_log_probs(fitted, states, chosen.types, classes)}
        else:
            scores = score_rows(fitted, states, target, chosen.types, classes, chosen.contexts)
            scored = {"probe": scores.log_prob, "top1": scores.hits(1), "top5": scores.hits(5)}
            scored |= {given_context(name): log for name, log in scores.given_context.items()}
        sums.update_probe(number, target, cells.at(chosen.place), scored)


def row_terms(known: WithoutState, target: int, types: Int[ndarray, "rows"]) -> dict[str, ndarray]:
    """Terms of some rows that depend neither on a probe nor on a context model."""
    label = known.of_type[types]
    return {
        "count": np.ones(len(types)),
        "prior": known.class_log_prior[label],
        "plug_in": known.classes[target][label],
        "type_prior": known.log_prior[types],
        "type_plug_in": known.types[target][types],
    }
