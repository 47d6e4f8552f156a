"""Fit the ladder of readers to every site and target, and make every choice on the calibration split."""

__all__ = ["Fitted", "fit_context", "fit_readers", "pick_calibration"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.measure.states import Frame, StateStream
from infodil.measure.targets import Targets, positions
from infodil.probes import (
    LADDER,
    BackwardNgram,
    Calibration,
    Classes,
    Reader,
    Setting,
    cross_entropy_nats,
    fit_temperature,
)
from infodil.probes.context import LONGEST

CALIBRATION_ROWS = 4096
"""Rows on which one-parameter choices are made: they cost about 1 / (2 x 4096) nats each."""


@dataclass(frozen=True)
class Fitted:
    """A reader ready to be tested on one site."""

    reader: Reader
    beside_context: list[float]
    """For each target, the temperature of the evidence when it is added to what the context already says."""
    calibration_nats: list[float]
    """For each target, cross-entropy of the classes on the calibration rows."""


def pick_calibration(targets: Targets, generator: np.random.Generator) -> Int[ndarray, "rows"]:
    """Positions of the calibration split, at random; half of them with every lag behind them, if there are so many."""
    place = positions(targets.split)
    deep = generator.permutation(np.flatnonzero(place >= targets.lags[-1]))
    chosen = deep[: CALIBRATION_ROWS // 2]
    rest = np.setdiff1d(generator.permutation(len(place))[: 2 * CALIBRATION_ROWS], chosen)
    rest = generator.permutation(rest)[: CALIBRATION_ROWS - len(chosen)]
    return np.sort(np.concatenate([chosen, rest]))


def gather(stream: StateStream, wanted: Int[ndarray, "rows"]) -> dict[str, Float[Tensor, "rows dim"]]:
    """The states at some positions of a split, in their order."""
    found: dict[str, Tensor] = {}
    for chunk in stream.chunks("reading the calibration split"):
        place = np.searchsorted(wanted, chunk.index).clip(max=len(wanted) - 1)
        rows = np.flatnonzero(wanted[place] == chunk.index)
        for site, states in chunk.states.items():
            if site not in found:
                found[site] = states.new_empty(len(wanted), states.shape[1])
            found[site][torch.from_numpy(place[rows]).to(states.device)] = states[rows]
    return found


def fit_context(classes: Classes, train: Targets, calibration: Targets, wanted: Int[ndarray, "rows"]) -> BackwardNgram:
    """The backward n-gram, its length chosen on calibration positions that have all following tokens."""
    context = BackwardNgram(classes)
    context.fit(train.split.tokens, train.left())
    tokens, left = calibration.split.tokens, calibration.left()
    hidden = wanted[left[wanted] >= LONGEST]
    if len(hidden):
        following = tokens[hidden[:, None] + np.arange(1, LONGEST + 1)]
        context.choose(as_classes(classes, following), labels_of(classes, tokens[hidden]))
    return context


def as_classes(classes: Classes, types: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
    """The class of each type, as numpy."""
    return classes.of_type.cpu().numpy()[types]


def labels_of(classes: Classes, types: Int[ndarray, "*shape"]) -> Int[Tensor, "*shape"]:
    """The class of each type on the readers' device; -1 stays -1."""
    known = torch.from_numpy(np.asarray(types, dtype=np.int64)).to(classes.of_type.device)
    return torch.where(known >= 0, classes.of_type[known.clamp(min=0)], -1)


def fit_readers(
    train: StateStream,
    calibrate: StateStream,
    targets: Targets,
    held_out: Targets,
    wanted: Int[ndarray, "rows"],
    classes: Classes,
    context: BackwardNgram,
    probes: Sequence[str],
    seed: int,
) -> dict[str, dict[str, Fitted]]:
    """Every rung up to the strongest asked for, for every site: `fitted[site][probe]`.

    A rung starts from the one below it, so weaker ones are fitted even where they are not reported. All sites and
    targets share each pass over the training states.
    """
    first = next(train.chunks("looking at the first states"))
    frames = {site: Frame.of(states.float()) for site, states in first.states.items()}
    train.frames = calibrate.frames = frames
    where = positions(held_out.split)[wanted]
    labels = labels_of(classes, held_out.types(wanted, where))
    known = {
        target: context.log_probs(as_classes(classes, held_out.following(wanted[where >= lag], lag)))
        for target, lag in enumerate(held_out.lags, start=1)
    }
    gathered = gather(calibrate, wanted)

    def calibration(site: str, raw: bool) -> Calibration:
        return Calibration(calibrate.view(site, gathered[site], raw), labels)

    ladder = list(LADDER)
    fitted: dict[str, dict[str, Fitted]] = {site: {} for site in gathered}
    weaker: dict[str, Reader | None] = dict.fromkeys(gathered)
    for probe in ladder[: 1 + max(ladder.index(probe) for probe in probes)]:
        readers: dict[str, Reader] = {}
        for site in gathered:
            setting = Setting(
                dim=train.dims[site],
                targets=targets.number,
                classes=classes,
                train_rows=len(targets.split.tokens),
                device=train.device,
                seed=seed,
            )
            readers[site] = LADDER[probe](setting, weaker[site])
        passes = max(reader.passes for reader in readers.values())
        for number in range(passes):
            order = torch.Generator().manual_seed(seed * 1009 + number)
            for chunk in train.chunks(f"{probe}: pass {number + 1} of {passes}", order):
                types = labels_of(classes, targets.types(chunk.index, chunk.position))
                for site, reader in readers.items():
                    reader.update(train.view(site, chunk.states[site], reader.raw), types)
            for site in tqdm(readers, f"{probe}: choosing", leave=False, disable=not train.progress, unit="site"):
                readers[site].end_pass(calibration(site, readers[site].raw))
        for site, reader in readers.items():
            fitted[site][probe] = weigh(reader, calibration(site, reader.raw), classes, known)
        weaker = readers
    return fitted


def weigh(reader: Reader, calibration: Calibration, classes: Classes, known: dict[int, Tensor]) -> Fitted:
    """Weigh a reader's evidence beside the context reader's, and note its calibration cross-entropy."""
    beside, losses = [0.0], []
    prepared = reader.prepare(calibration.states)
    for target, labels in enumerate(calibration.labels):
        rows = torch.nonzero(labels >= 0).squeeze(1)
        scores = reader.scores(prepared[rows], target)
        logits = classes.class_log_prior + reader.temperatures[target] * scores
        losses.append(cross_entropy_nats(logits, labels[rows]))
        if target:
            beside.append(fit_temperature(known[target], scores, labels[rows])[0])
    return Fitted(reader, beside, losses)
