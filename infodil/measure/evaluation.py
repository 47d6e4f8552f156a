"""The one pass over the test split: pointwise terms of every reader, summed within resampling units."""

__all__ = ["Sums", "Units", "read_passage", "read_test_split"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.corpus import Split
from infodil.estimate import BITS_PER_NAT
from infodil.measure.fitting import Fitted, as_classes, labels_of
from infodil.measure.states import StateStream
from infodil.measure.targets import Targets
from infodil.probes import BackwardNgram, Classes
from infodil.resampling import MOST_UNITS

FEWEST_DOCUMENTS = 20
"""With fewer test documents than this, blocks of positions are resampled instead."""

CELL_TOKENS = 64
FEWEST_CELLS = 32
MOST_CELLS = 4 * MOST_UNITS
LOGITS = 2**22
"""Logits held at once."""

TERMS = ("reader", "beside_context", "top1", "top5")
SHARED = ("count", "prior", "plug_in", "context", "type_plug_in", "type_prior")


@dataclass(frozen=True)
class Units:
    """Which resampling unit each token of the test split belongs to, numbered in the order of the text."""

    edges: Int[ndarray, "units"]
    """Where each unit begins in `Split.tokens`."""
    documents: bool
    """Whether units are whole documents (or groups of them) rather than cells of one long text."""

    @classmethod
    def of(cls, split: Split, few_documents: bool) -> "Units":
        """Documents, grouped to at most 1,024; cells of 64 tokens or more where documents are few."""
        if few_documents or split.documents < FEWEST_DOCUMENTS:
            cell = max(1, min(CELL_TOKENS, len(split.tokens) // FEWEST_CELLS), -(-len(split.tokens) // MOST_CELLS))
            return cls(np.arange(0, len(split.tokens), cell), documents=False)
        first = np.flatnonzero(np.diff(split.document, prepend=-1))
        begins = split.starts[first]
        wanted = np.linspace(0, len(split.tokens), MOST_UNITS, endpoint=False)
        kept = np.unique(np.searchsorted(begins, wanted, side="right") - 1)
        return cls(begins if len(begins) <= MOST_UNITS else begins[kept], documents=True)

    @property
    def number(self) -> int:
        """How many units."""
        return len(self.edges)

    def index(self, index: Int[ndarray, "rows"]) -> Int[ndarray, "rows"]:
        """The unit of each token."""
        return np.searchsorted(self.edges, index, side="right") - 1


@dataclass(frozen=True)
class Sums:
    """Sums of pointwise terms in nats within units; the additive statistics of the test split.

    `reader[term]` is `[sites, probes, targets, units]` for the log-probability of the class under the reader, the same
    beside the context, and the two hit rates; `shared[term]` is `[targets, units]` for the counts, the log-probability
    of the class under the prior, the plug-in distribution of the test labels and the context reader, and that of the
    type itself under the plug-in distribution and the prior (`type_plug_in`, `type_prior`).
    """

    reader: dict[str, ndarray]
    shared: dict[str, ndarray]

    @classmethod
    def zeros(cls, sites: int, probes: int, targets: int, units: int) -> "Sums":
        """Nothing read yet."""
        return cls(
            {term: np.zeros((sites, probes, targets, units)) for term in TERMS},
            {term: np.zeros((targets, units)) for term in SHARED},
        )

    def grouped(self, first: Int[ndarray, "groups"]) -> "Sums":
        """Neighbouring units added up; `first` is where each group begins."""
        parts = [
            {term: np.add.reduceat(values, first, axis=-1) for term, values in terms.items()}
            for terms in (self.reader, self.shared)
        ]
        return Sums(*parts)

    def merge(self, other: "Sums") -> None:
        """Add the sums of documents tested elsewhere."""
        for mine, theirs in ((self.reader, other.reader), (self.shared, other.shared)):
            for term in mine:
                mine[term] += theirs[term]


def read_test_split(
    stream: StateStream,
    targets: Targets,
    units: Units,
    fitted: Mapping[str, Mapping[str, Fitted]],
    probes: Sequence[str],
    classes: Classes,
    context: BackwardNgram,
    counts: Int[ndarray, "targets vocabulary"],
) -> Sums:
    """Read the test split once; `counts` are of the types asked for there."""
    log_types, log_classes = plug_in(counts, classes)
    sums = Sums.zeros(len(fitted), len(probes), targets.number, units.number)
    log_prior, log_class_prior = classes.log_prior.cpu().numpy(), classes.class_log_prior.cpu().numpy()
    rows_at_once = max(256, LOGITS // classes.number)
    for chunk in stream.chunks("reading the test split"):
        for begin in range(0, len(chunk.index), rows_at_once):
            part = slice(begin, begin + rows_at_once)
            index = chunk.index[part]
            all_types = targets.types(index, chunk.position[part])
            all_units = units.index(index)
            prepared = {
                (site, probe): readers[probe].reader.prepare(
                    stream.view(site, chunk.states[site][part], readers[probe].reader.raw)
                )
                for site, readers in fitted.items()
                for probe in probes
            }
            for target, types in enumerate(all_types):
                rows = np.flatnonzero(types >= 0)
                if len(rows) == 0:
                    continue
                types, unit = types[rows], all_units[rows]

                def add(where: ndarray, values: ndarray | Tensor, unit: ndarray = unit) -> None:
                    if isinstance(values, Tensor):
                        values = values.double().cpu().numpy()
                    where += np.bincount(unit, values, minlength=len(where))

                label = labels_of(classes, types)
                known = None
                numbers = label.cpu().numpy()
                add(sums.shared["count"][target], np.ones(len(rows)))
                add(sums.shared["prior"][target], log_class_prior[numbers])
                add(sums.shared["plug_in"][target], log_classes[target][numbers])
                add(sums.shared["type_prior"][target], log_prior[types])
                add(sums.shared["type_plug_in"][target], log_types[target][types])
                if target:
                    following = targets.following(index[rows], targets.lags[target - 1])
                    known = context.log_probs(as_classes(classes, following))
                    add(sums.shared["context"][target], known.gather(1, label[:, None]).squeeze(1))
                for s, (site, readers) in enumerate(fitted.items()):
                    for p, probe in enumerate(probes):
                        some = prepared[site, probe][torch.from_numpy(rows).to(label.device)]
                        terms = pointwise(readers[probe], some, target, label, types, known, classes)
                        for term, values in terms.items():
                            add(sums.reader[term][s, p, target], values)
    return sums


def plug_in(
    counts: Int[ndarray, "targets vocabulary"], classes: Classes
) -> tuple[Float[ndarray, "targets vocabulary"], Float[ndarray, "targets classes"]]:
    """Log of the share of each type, and of each class, among the test labels."""
    of_type = classes.of_type.cpu().numpy()
    together = np.stack([np.bincount(of_type, row, minlength=classes.number) for row in counts])
    with np.errstate(divide="ignore"):
        logs = [np.log(part / part.sum(1, keepdims=True)) for part in (counts, together)]
    return logs[0], logs[1]


def pointwise(
    fit: Fitted,
    prepared: Any,
    target: int,
    label: Int[Tensor, "rows"],
    types: Int[ndarray, "rows"],
    known: Float[Tensor, "rows classes"] | None,
    classes: Classes,
) -> dict[str, Float[Tensor, "rows"]]:
    """Log-probability of the true class under one reader, the same beside the context, and hits of the true type."""
    scores = fit.reader.scores(prepared, target)
    temperature = fit.reader.temperatures[target]
    logits = classes.class_log_prior + temperature * scores
    # At temperature zero the answer is the prior itself, and zero bits must be zero, not a rounding error.
    terms = {"reader": log_probability(logits, label) if temperature else classes.class_log_prior[label]}
    if known is not None:
        weight = fit.beside_context[target]
        beside = known + weight * (scores - scores.amax(1, keepdim=True))
        context = known.gather(1, label[:, None]).squeeze(1)
        terms["beside_context"] = log_probability(beside, label) if weight else context
        greater, equal = classes.ranks(logits, torch.from_numpy(types).to(label.device))
        for term, guesses in (("top1", 1.0), ("top5", 5.0)):
            # Types that are exactly as likely share the guesses that are left.
            terms[term] = ((guesses - greater) / equal).clamp(0.0, 1.0)
    return terms


def log_probability(logits: Float[Tensor, "rows classes"], label: Int[Tensor, "rows"]) -> Float[Tensor, "rows"]:
    """Log-softmax at the label only."""
    return logits.gather(1, label[:, None]).squeeze(1) - torch.logsumexp(logits, 1)


def read_passage(
    stream: StateStream,
    targets: Targets,
    fitted: Mapping[str, Mapping[str, Fitted]],
    chosen: Mapping[str, str],
    classes: Classes,
    longest: int = 160,
) -> tuple[list[int], list[dict]]:
    """Types of a passage of the test split, and for each site how well each earlier token is read at each position.

    The passage opens the first sequence of the split (documents stand in random order) that is long enough, or the
    longest there is.
    """
    lengths = stream.split.lengths
    enough = np.flatnonzero(lengths >= longest)
    sequence = int(enough[0]) if len(enough) else int(np.argmax(lengths))
    begin = int(stream.split.starts[sequence])
    length = min(longest, int(lengths[sequence]))
    index, position = begin + np.arange(length), np.arange(length)
    passage = torch.from_numpy(stream.split.tokens[index].astype(np.int64))
    encoded = stream.encoder.encode(passage[None])
    types = targets.types(index, position)
    sites = []
    for site, readers in fitted.items():
        fit = readers[chosen[site]]
        states = stream.observe(encoded[site][0]).to(stream.device)
        prepared = fit.reader.prepare(stream.view(site, states, fit.reader.raw))
        rows_of = {"bits": [], "probability": [], "rank": []}
        for target in range(1, targets.number):
            there = np.flatnonzero(types[target] >= 0)
            label = types[target, there]
            true = torch.from_numpy(label).to(stream.device)
            logits = classes.class_log_prior + fit.reader.temperatures[target] * fit.reader.scores(
                prepared[torch.from_numpy(there).to(stream.device)], target
            )
            log_q = log_probability(logits, labels_of(classes, label)) + classes.log_within(true)
            greater, _ = classes.ranks(logits, true)
            bits = (log_q - classes.log_prior[true]) * BITS_PER_NAT
            for name, values in (("bits", bits), ("probability", log_q.exp()), ("rank", (greater + 1).long())):
                row: list[float | int | None] = [None] * length
                for place, value in zip(there.tolist(), values.tolist(), strict=True):
                    row[place] = float(f"{value:.4g}") if name != "rank" else value
                rows_of[name].append(row)
        sites.append({"site": site, "probe": chosen[site], **rows_of})
    return passage.tolist(), sites
