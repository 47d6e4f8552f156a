"""Cross-fitting of the ladder over rows in memory: every row is predicted by probes that have not seen it."""

__all__ = ["CrossFit", "cross_fit", "fit_rows", "selected_probe"]

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError
from infodil.ladder.data import STATES, LadderData, memory_data
from infodil.ladder.fit import FittedProbe
from infodil.ladder.ladder import EXHAUSTIVE, FittedLadder, fit_ladder
from infodil.ladder.pilot import Pilot, costly_apply, run_pilot
from infodil.ladder.scoring import log_probs
from infodil.probes import ClassMap, ProbeChoice, fit_class_map, most_classes

SCORED_ROWS = 2**14
"""Rows that are standardized at once."""
GAIN_LOGITS = 2**22
"""Logits held at once: 16 MB in float32."""


@dataclass(frozen=True, eq=False)
class CrossFit:
    """Pointwise terms of every tested row, nats."""

    rows: Int[ndarray, "tested"]
    """The tested rows, ascending."""
    gain: Float[ndarray, "tested"]
    """Log-probability of the row's token beyond the trained prior's, by probes that have not seen the row."""
    log_prior: Float[ndarray, "tested"]
    """Log-probability of the row's token under the trained prior."""
    log_share: Float[ndarray, "tested"]
    """Log of the share of the row's type among the tested tokens: minus the plug-in entropy, in the mean."""
    probes: tuple[str, ...]
    """The probes that were selected in some fold, weakest first."""
    left_out: tuple[str, ...]
    """Probes that `auto` left out for what they cost."""

    @property
    def certified_nats(self) -> Float[ndarray, "tested"]:
        """Plug-in surprise of each token less its surprise given the state: its mean bounds the information."""
        return self.gain + self.log_prior - self.log_share


def cross_fit(
    tokens: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    folds: Iterable[tuple[Int[ndarray, "train"], Int[ndarray, "calibration"], Int[ndarray, "test"]]],
    choice: ProbeChoice,
    seed: int,
    pilots: Sequence[tuple[Int[ndarray, "train"], Int[ndarray, "calibration"]]] = (),
) -> CrossFit:
    """Fit a ladder in each fold, and predict the rows that it holds out.

    Costly probes are tried on a pilot, and fitted in a fold where they add something there. The first fold is predicted
    by what the last pilot chose, the others by what the first one did: no row has a say in what predicts it. Rows of a
    pilot that stands alone are not tested.

    Args:
        tokens: Type ids from zero on.
        states: State of each row.
        folds: Rows to train on, to choose on (those that depend on each other side by side) and to test.
        choice: The strongest probe, or `auto` for all that apply and do not take long.
        seed: Seed of everything random.
        pilots: Rows of each pilot to train on and to choose on, the first ones within the first fold; none to fit
            every probe in every fold.

    Returns:
        Terms of every row that some fold tests.

    Raises:
        UserError: The probe that was asked for does not apply.
    """
    gain, log_prior = np.full(len(tokens), np.nan), np.full(len(tokens), np.nan)
    names: dict[str, None] = {}
    left_out: dict[str, None] = {}
    run: dict[int, Pilot] = {}
    if pilots and not costly_apply(choice, states.shape[1], classes_of(tokens, *pilots[0], states.shape[1])):
        pilots = ()
    for number, (train, calibration, test) in enumerate(folds):
        place = 0 if number else len(pilots) - 1
        if pilots and place not in run:
            rows = pilots[place]
            run[place] = run_pilot(*fit_rows(tokens, states, *rows, choice, seed), choice, len(rows[0]))
        pilot = run.get(place, Pilot(choice, None))
        if len(pilots) == 1:
            test = np.setdiff1d(test, np.concatenate(pilots[0]))
        if pilot.fitted is None:
            data, ladder = fit_rows(tokens, states, train, calibration, pilot.choice, seed)
            fitted = selected_probe(ladder)
            left_out |= dict.fromkeys(ladder.left_out)
        else:
            data, fitted = pilot.fitted
        names[fitted.probe.name if fitted.fit.temperatures[0] else choice.weakest] = None
        gain[test] = gains(data, fitted, states[torch.from_numpy(test)], torch.from_numpy(tokens[test]))
        log_prior[test] = data.classes.log_prior[torch.from_numpy(tokens[test])].double().numpy()
    rows = np.flatnonzero(~np.isnan(log_prior))
    shares = np.bincount(tokens[rows]) / len(rows)
    return CrossFit(
        rows,
        gain[rows],
        log_prior[rows],
        np.log(shares[tokens[rows]]),
        tuple(name for name in choice.available if name in names),
        tuple(left_out),
    )


def fit_rows(
    tokens: Int[ndarray, "rows"],
    states: Float[Tensor, "rows dim"],
    train: Int[ndarray, "train"],
    calibration: Int[ndarray, "calibration"],
    choice: ProbeChoice,
    seed: int,
) -> tuple[LadderData, FittedLadder]:
    """A ladder fitted to some rows in memory and selected on others, and the rows as it takes them.

    Raises:
        UserError: The probe that was asked for does not apply; the argument is called `probe` where there is one.
    """
    classes = classes_of(tokens, train, calibration, states.shape[1])
    labels = classes.of_type[torch.from_numpy(tokens)][None]
    data = memory_data(states, labels, classes, train, calibration, seed=seed)
    try:
        return data, fit_ladder(data, choice, EXHAUSTIVE)
    except UserError as error:
        raise UserError(str(error).replace("`probes` cannot have", "`probe` cannot be")) from None


def classes_of(tokens: Int[ndarray, "rows"], train: ndarray, calibration: ndarray, dim: int) -> ClassMap:
    """The types that probes tell apart, from the training rows, and a prior smoothed on the calibration rows."""
    vocabulary = int(tokens.max()) + 1
    counts = [torch.from_numpy(np.bincount(tokens[part], minlength=vocabulary)) for part in (train, calibration)]
    return fit_class_map(*counts, most=most_classes(1, dim))


def selected_probe(ladder: FittedLadder) -> FittedProbe:
    """The probe that predicts the only target of rows in memory."""
    return ladder.predictor(STATES, ladder.best(STATES)[0], 0)


def gains(
    data: LadderData, fitted: FittedProbe, states: Float[Tensor, "rows dim"], types: Int[Tensor, "rows"]
) -> Float[ndarray, "rows"]:
    """Log-probability of each row's type under a probe beyond that under the prior, nats.

    Within its class a type has the prior's probability, so the gain of the class is that of the type.
    """
    classes, fit = data.classes, fitted.fit
    if not fit.temperatures[0]:
        return np.zeros(len(types))
    parts = []
    rows = max(1, min(SCORED_ROWS, GAIN_LOGITS // classes.number))
    for some, known in zip(states.split(rows), types.split(rows), strict=True):
        log = log_probs(fitted, fit.prepare(data.view(STATES, some, fit.raw)), 0, known, classes)
        parts.append(log - classes.class_log_prior[classes.of_type[known]].double())
    return torch.cat(parts).numpy()
