"""The one pass over the test split: pointwise terms of every reader, summed within resampling units."""

__all__ = ["read_test_split"]

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.corpus import Split
from infodil.ladder.fit import FittedProbe, as_classes, labels_of
from infodil.ladder.labels import LagLabels
from infodil.ladder.state_stream import StateStream
from infodil.ladder.stream_select import FittedLadder
from infodil.measure.accumulators import Sums, Units
from infodil.probes import BackwardNgram, ClassMap, log_predictive, mix_with_prior, predictive_logits

LOGITS = 2**22
"""Logits held at once."""


def read_test_split(
    stream: StateStream,
    targets: LagLabels,
    units: Units,
    climbed: FittedLadder,
    classes: ClassMap,
    context: BackwardNgram,
    counts: Int[ndarray, "targets vocabulary"],
) -> tuple[Sums, dict[str, Float[ndarray, "targets units"]]]:
    """Read the test split once; `counts` are of the types asked for there. Beside the sums come the terms of all rows.

    Readers in the sums are in the order of `climbed.entries()`, then `climbed.control`. A reader that answers for
    several rungs is asked once, and one that answers for none not at all.
    """
    asked, by = assign_probes(climbed, targets.number)
    slow = np.array([most_rows(fit) is not None for _, fit, _ in asked])
    thin = subsample_rows(stream.split, [most_rows(fit) for _, fit, _ in asked])
    log_types, log_classes = plug_in(counts, classes)
    sums = Sums.zeros(len(asked), targets.number, units.number)
    log_prior, log_class_prior = classes.log_prior.cpu().numpy(), classes.class_log_prior.cpu().numpy()
    rows_at_once = max(256, LOGITS // classes.number)
    for chunk in stream.chunks("reading the test split"):
        for begin in range(0, len(chunk.index), rows_at_once):
            part = slice(begin, begin + rows_at_once)
            index = chunk.index[part]
            all_types = targets.types(index, chunk.position[part])
            all_units = units.index(index)
            few = np.flatnonzero(np.isin(index, thin))
            prepared = []
            for (site, fit, _), thinned in zip(asked, slow, strict=True):
                states = chunk.states[site][part]
                states = states[torch.from_numpy(few).to(states.device)] if thinned else states
                prepared.append(fit.reader.prepare(stream.view(site, states, fit.reader.raw)) if len(states) else None)
            for target, types in enumerate(all_types):
                rows = np.flatnonzero(types >= 0)
                if len(rows) == 0:
                    continue
                types, unit = types[rows], all_units[rows]

                def add(where: ndarray, values: ndarray | Tensor, unit: ndarray) -> None:
                    if isinstance(values, Tensor):
                        values = values.double().cpu().numpy()
                    where += np.bincount(unit, values, minlength=len(where))

                label = labels_of(classes, types)
                known = None
                numbers = label.cpu().numpy()
                shared = {
                    "count": np.ones(len(rows)),
                    "prior": log_class_prior[numbers],
                    "plug_in": log_classes[target][numbers],
                    "type_prior": log_prior[types],
                    "type_plug_in": log_types[target][types],
                }
                if target:
                    following = targets.following(index[rows], targets.lags[target - 1])
                    known = context.log_probs(as_classes(classes, following))
                    shared["context"] = known.gather(1, label[:, None]).squeeze(1).double().cpu().numpy()
                # Where the rows of slow readers stand among the rows with such a token, and among the thinned ones.
                place = np.flatnonzero(np.isin(rows, few))
                among = np.searchsorted(few, rows[place])
                for term, values in shared.items():
                    add(sums.shared[term][0, target], values, unit)
                    add(sums.shared[term][1, target], values[place], unit[place])
                for number, (_, fit, answered) in enumerate(asked):
                    if target not in answered or (slow[number] and len(place) == 0):
                        continue
                    some, chosen = (place, among) if slow[number] else (np.arange(len(rows)), rows)
                    part_of = torch.from_numpy(some).to(label.device)
                    terms = pointwise(
                        fit, prepared[number][torch.from_numpy(chosen).to(label.device)], target, label[part_of],
                        types[some], None if known is None else known[part_of], classes,
                    )  # fmt: skip
                    for term, values in terms.items():
                        add(sums.reader[term][number, target], values, unit[some])
    named = np.array([fit.reader.probe.names_types for _, fit, _ in asked])
    return sums.answered(by, slow, named), {term: values[0] for term, values in sums.shared.items()}


def most_rows(fit: FittedProbe) -> int | None:
    """How many rows of a split a reader reads; None for all."""
    return fit.reader.probe.max_rows


def subsample_rows(split: Split, most: Sequence[int | None]) -> Int[ndarray, "rows"]:
    """Rows of the test split for slow readers, the same for all: at the middle of equal steps through the text."""
    number = min((each for each in most if each is not None), default=0)
    tokens = len(split.tokens)
    number = min(number, tokens)
    return np.unique(((np.arange(number) + 0.5) * tokens / max(1, number)).astype(np.int64))


def assign_probes(
    climbed: FittedLadder, targets: int
) -> tuple[list[tuple[str, FittedProbe, set[int]]], Int[ndarray, "entries targets"]]:
    """Site, reader and the targets it answers for; and for each entry and target the number of the reader."""
    numbers: dict[tuple[str, str], int] = {}
    asked: list[tuple[str, FittedProbe, set[int]]] = []
    by = []
    for site, probe in climbed.entries():
        line = []
        for target, rung in enumerate(climbed.answers[site][probe]):
            if (site, rung) not in numbers:
                numbers[site, rung] = len(asked)
                asked.append((site, climbed.fitted[site][rung], set()))
            line.append(numbers[site, rung])
            asked[line[-1]][2].add(target)
        by.append(line)
    for site, fit in climbed.control.items():
        by.append([len(asked)] * targets)
        asked.append((site, fit, set(range(targets))))
    return asked, np.array(by)


def plug_in(
    counts: Int[ndarray, "targets vocabulary"], classes: ClassMap
) -> tuple[Float[ndarray, "targets vocabulary"], Float[ndarray, "targets classes"]]:
    """Log of the share of each type, and of each class, among the test labels."""
    of_type = classes.of_type.cpu().numpy()
    together = np.stack([np.bincount(of_type, row, minlength=classes.number) for row in counts])
    with np.errstate(divide="ignore"):
        logs = [np.log(part / part.sum(1, keepdims=True)) for part in (counts, together)]
    return logs[0], logs[1]


def pointwise(
    fit: FittedProbe,
    prepared: Any,
    target: int,
    label: Int[Tensor, "rows"],
    types: Int[ndarray, "rows"],
    known: Float[Tensor, "rows classes"] | None,
    classes: ClassMap,
) -> dict[str, Float[Tensor, "rows"]]:
    """Log-probability of the true class under one reader, the same beside the context, and hits of the true type."""
    scores = fit.reader.scores(prepared, target)
    temperature, smoothing, base = fit.reader.temperatures[target], fit.smoothings[target], classes.class_log_prior
    terms = {"reader": log_predictive(base, scores, temperature, smoothing, label)}
    if known is None and fit.reader.probe.names_types:
        terms["reader"] = classes.log_prior[torch.from_numpy(types).to(label.device)]
    if known is not None:
        above = scores - scores.amax(1, keepdim=True)
        terms["given_context"] = log_predictive(known, above, fit.given_context[target], smoothing, label)
        true = torch.from_numpy(types).to(label.device)
        answer = fit.reader.answer(prepared, target, true)
        if answer is not None:
            log, greater, equal = answer
            terms["reader"] = mix_with_prior(log, classes.log_prior[true], smoothing) if temperature else log
        else:
            greater, equal = classes.ranks(predictive_logits(base, scores, temperature), true)
        for term, guesses in (("top1", 1.0), ("top5", 5.0)):
            # Types that are exactly as likely share the guesses that are left.
            terms[term] = ((guesses - greater) / equal).clamp(0.0, 1.0)
    return terms
