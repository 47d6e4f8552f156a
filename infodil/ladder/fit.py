"""Fit one rung of the ladder to every site and target, and make every choice on the calibration split."""

__all__ = ["FittedProbe", "LadderFitter", "fit_context", "pick_calibration"]

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.channel import Code
from infodil.checks import UserError
from infodil.ladder.labels import LagLabels, positions
from infodil.ladder.state_stream import StateStream, is_control
from infodil.probes import (
    BackwardNgram,
    Calibration,
    ClassMap,
    Probe,
    ProbeFit,
    ProbeSpec,
    Standardizer,
    fit_temperature,
    log_predictive,
    prior_smoothing,
)
from infodil.probes.backward_ngram import LONGEST

CALIBRATION_ROWS = 4096
"""Rows on which one-parameter choices are made: they cost about 1 / (2 x 4096) nats each."""


@dataclass(frozen=True)
class FittedProbe:
    """A reader ready to be tested on one site."""

    reader: ProbeFit
    given_context: list[float]
    """For each target, the temperature of the evidence when it is added to what the context already says."""
    smoothings: list[float]
    """For each target, the part of the answer that stays with what is known without the state (`prior_smoothing`)."""
    calibration_log: Float[Tensor, "targets rows"]
    """Log-probability of each calibration row's class, nats; zero where a row has no such token or was not read."""
    read: Bool[Tensor, "rows"]
    """The calibration rows that were read: all, but for readers that are too slow."""
    calibration_nats: list[float]
    """For each target, cross-entropy of the classes on the calibration rows; infinite if it is not a number."""

    def doubted_nats(self, target: int) -> float:
        """The most that doubt takes from the log-probability of a row: nothing where the evidence is not used."""
        return -math.log1p(-self.smoothings[target]) if self.reader.temperatures[target] else 0.0


def pick_calibration(targets: LagLabels, generator: np.random.Generator) -> Int[ndarray, "rows"]:
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


def fit_context(
    classes: ClassMap, train: LagLabels, calibration: LagLabels, wanted: Int[ndarray, "rows"]
) -> BackwardNgram:
    """The backward n-gram, its length chosen on calibration positions that have all following tokens."""
    context = BackwardNgram(classes)
    context.fit(train.split.tokens, train.left())
    tokens, left = calibration.split.tokens, calibration.left()
    hidden = wanted[left[wanted] >= LONGEST]
    if len(hidden):
        following = tokens[hidden[:, None] + np.arange(1, LONGEST + 1)]
        context.choose(as_classes(classes, following), labels_of(classes, tokens[hidden]))
    return context


def as_classes(classes: ClassMap, types: Int[ndarray, "*shape"]) -> Int[ndarray, "*shape"]:
    """The class of each type, as the context reader counts them."""
    return classes.of_type.cpu().numpy()[types]


def labels_of(classes: ClassMap, types: Int[ndarray, "*shape"]) -> Int[Tensor, "*shape"]:
    """The class of each type on the readers' device; -1 stays -1."""
    known = torch.from_numpy(np.asarray(types, dtype=np.int64)).to(classes.of_type.device)
    return torch.where(known >= 0, classes.of_type[known.clamp(min=0)], -1)


class LadderFitter:
    """What fitting any rung needs, looked up once: first states, calibration rows, and what is known of each site.

    Args:
        train: Goes over the training states, a pass or more for each rung; its observers and frames are made here.
        calibrate: Goes over the calibration states once.
        targets: Of the training split.
        held_out: Of the calibration split.
        wanted: Its rows on which every choice is made.
        classes: What readers tell apart.
        context: What the tokens after the hidden one say of it.
        seed: Of everything random.
        probes: All probes by name, weakest first.
        followed: Whether learning curves are.
    """

    def __init__(
        self,
        train: StateStream,
        calibrate: StateStream,
        targets: LagLabels,
        held_out: LagLabels,
        wanted: Int[ndarray, "rows"],
        classes: ClassMap,
        context: BackwardNgram,
        seed: int,
        probes: Mapping[str, Probe],
        followed: bool,
    ) -> None:
        self.train, self.targets, self.classes = train, targets, classes
        self.calibrate, self.wanted, self.seed = calibrate, wanted, seed
        self.probes, self.followed = probes, followed
        first = next(train.chunks("looking at the first states"))
        train.standardizers.update({site: Standardizer.of(states.float()) for site, states in first.states.items()})
        where = positions(held_out.split)[wanted]
        self.labels = labels_of(classes, held_out.types(wanted, where))
        self.known = {
            target: context.log_probs(as_classes(classes, held_out.following(wanted[where >= lag], lag)))
            for target, lag in enumerate(held_out.lags, start=1)
        }
        self.gathered = gather(calibrate, wanted)
        self.settings = {site: self.spec(site) for site in self.gathered}

    @property
    def sites(self) -> list[str]:
        """The sites that are measured."""
        return [site for site in self.gathered if not is_control(site)]

    @property
    def control_sites(self) -> list[str]:
        """The same sites of the encoder with random weights, where there is one."""
        return [site for site in self.gathered if is_control(site)]

    def spec(self, site: str) -> ProbeSpec:
        """What a reader of this site is told."""
        dim = self.gathered[site].shape[1]
        told = None if is_control(site) else self.train.encoder.superposition(site)
        if told is not None and told[0].shape[1] * len(told[1]) != dim:
            raise UserError(
                f"`model` says that {site!r} sums vectors of {told[0].shape[1]} dims at {len(told[1])} scales, but "
                f"gives {dim} dims there: mend its `superposition`."
            )
        return ProbeSpec(
            dim=dim,
            targets=self.targets.number,
            classes=self.classes,
            train_rows=len(self.targets.split.tokens),
            device=self.train.device,
            seed=self.seed,
            code=None if told is None else Code(*told),
            sigma=self.train.errors[site],
            lags=self.targets.lags,
        )

    def where(self, probe: str) -> list[str]:
        """The measured sites that a rung applies to."""
        return [site for site in self.sites if self.probes[probe].applies(self.settings[site])]

    def make(self, probe: str, site: str, weaker: ProbeFit | None) -> ProbeFit:
        """A fit that has seen nothing."""
        followed = self.followed and not is_control(site)
        return self.probes[probe].start_fit(replace(self.settings[site], learning_curve=followed), weaker)

    def fit(self, probe: str, sites: Sequence[str], weaker: Mapping[str, FittedProbe]) -> dict[str, FittedProbe]:
        """One rung at some sites; all of them and all targets share each pass over the training states."""
        readers = {site: self.make(probe, site, weaker[site].reader if site in weaker else None) for site in sites}
        planned = {site: reader.passes for site, reader in readers.items()}
        last: dict[str, Calibration] = {}
        for number in range(max(planned.values(), default=0)):
            learning = {site: reader for site, reader in readers.items() if number < planned[site]}
            order = torch.Generator().manual_seed(self.seed * 1009 + number)
            words = f"{probe}: pass {number + 1} of {max(planned.values())}"
            for chunk in self.train.chunks(words, order, learning):
                types = labels_of(self.classes, self.targets.types(chunk.index, chunk.position))
                for site, reader in learning.items():
                    reader.update(self.train.view(site, chunk.states[site], reader.raw), types)
            words, quiet = f"{probe}: choosing", not self.train.progress
            for site, reader in tqdm(learning.items(), words, leave=False, disable=quiet, unit="site"):
                last[site] = self.calibration(site, reader)
                reader.end_pass(last[site])
        return {site: self.weigh(reader, last.pop(site, None), site) for site, reader in readers.items()}

    def calibration(self, site: str, reader: ProbeFit) -> Calibration:
        """The rows on which a reader of this site makes its choices."""
        rows = self.rows_of(reader)
        return Calibration(self.calibrate.view(site, self.gathered[site][rows], reader.raw), self.labels[:, rows])

    def rows_of(self, reader: ProbeFit) -> Int[Tensor, "some"]:
        """Every calibration row, or as many as a slow reader reads, evenly spaced through the split."""
        number = self.labels.shape[1]
        most = min(number, reader.probe.max_rows or number)
        return torch.linspace(0, number - 1, most, device=self.labels.device).round().long()

    def weigh(self, reader: ProbeFit, calibration: Calibration | None, site: str) -> FittedProbe:
        """Weigh a reader's evidence beside the context reader's, and note how it does on the calibration rows."""
        beside, base = [0.0], self.classes.class_log_prior
        calibration = calibration or self.calibration(site, reader)
        prepared = calibration.prepare(reader)
        picked = self.rows_of(reader)
        log = torch.zeros(self.labels.shape, device=self.labels.device)
        there = calibration.labels >= 0
        smoothings = [prior_smoothing(rows) for rows in there.sum(1).tolist()]
        for target, labels in enumerate(calibration.labels):
            rows = torch.nonzero(there[target]).squeeze(1)
            label, scores = labels[rows], reader.scores(prepared[rows], target)
            answer = log_predictive(base, scores, reader.temperatures[target], smoothings[target], label)
            log[target, picked[rows]] = answer.to(log)
            if target:
                # What the context says is kept for the rows that have such a token, in their order.
                place = (self.labels[target] >= 0).cumsum(0)[picked[rows]] - 1
                beside.append(fit_temperature(self.known[target][place], scores, label)[0])
        nats = -log.double().sum(1) / there.sum(1)
        read = torch.zeros(self.labels.shape[1], dtype=torch.bool, device=log.device)
        read[picked] = True
        return FittedProbe(reader, beside, smoothings, log, read, torch.where(nats.isnan(), torch.inf, nats).tolist())
