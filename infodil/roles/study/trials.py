"""Score learners of roles on the same texts: one row for each condition, seed, test text and group of tokens."""

__all__ = ["CONDITIONS", "Trial", "named", "run_trial", "score", "summarise"]

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from infodil.checks import UserError, check_one_of, check_whole
from infodil.roles.study.conditions import SUPERVISED, UNSUPERVISED, Predictor, Trial, Units
from infodil.roles.study.naming import name_units
from infodil.roles.texts import RoleText
from infodil.statistics import mean_interval

CONDITIONS = (*UNSUPERVISED, *SUPERVISED)
"""Everything that learns, by name."""

Groups = Callable[[str, RoleText], dict[str, Tensor]]


def run_trial(condition: str, trial: Trial, texts: dict[str, RoleText], groups: Groups) -> list[dict]:
    """Learn once, score on every text and group of tokens.

    Args:
        condition: A name of `CONDITIONS`.
        trial: What it learns from.
        texts: Test texts by name.
        groups: Masks of tokens by name, beside `all`, `arguments` and each role; what has no role (-1) is not scored.

    Raises:
        UserError: No such condition.
    """
    check_one_of("condition", condition, CONDITIONS)
    if condition in SUPERVISED:
        predictors, known = {"supervised": SUPERVISED[condition](trial)}, {}
    else:
        predictors, known = named(UNSUPERVISED[condition](trial), trial.names or trial.train, trial.seed)
    row = {"condition": condition, "seed": trial.seed}
    return [{**row, **found, **known} for found in score(predictors, texts, groups)]


def named(units: Units, text: RoleText, seed: int) -> tuple[dict[str, Predictor], dict]:
    """Predictors from units by both ways of naming on a text, and what is known of the names."""
    naming = name_units(units.of(text), text.roles, number=units.number, role_number=len(text.role_names), seed=seed)
    # One more row: a word that is not there is unit -1.
    tables = {way: torch.cat([getattr(naming, way), torch.tensor([-1])]) for way in ("many_to_one", "one_to_one")}
    predictors = {way: lambda text, table=table: table[units.of(text)] for way, table in tables.items()}
    return predictors, {"units": units.number, "v_measure": naming.v_measure, "chance": naming.chance}


def score(predictors: dict[str, Predictor], texts: dict[str, RoleText], groups: Groups) -> list[dict]:
    """The accuracy of each predictor on every text and group of tokens."""
    rows = []
    for name, text in texts.items():
        masks = {"all": text.present, "arguments": text.is_argument}
        masks |= {role: text.roles == place for place, role in enumerate(text.role_names)} | groups(name, text)
        for way, predict in predictors.items():
            right = predict(text) == text.roles
            for group, mask in masks.items():
                scored = mask & (text.roles >= 0)
                if bool(scored.any()):
                    accuracy = float(right[scored].double().mean())
                    found = {"text": name, "group": group, "naming": way, "accuracy": accuracy}
                    rows.append({**found, "tokens": int(scored.sum())})
    return rows


def summarise(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean over seeds and the ends of Student's interval.

    Example:
        >>> [round(value, 3) for value in summarise([0.9, 0.92, 0.94])]
        [0.92, 0.87, 0.97]
    """
    check_whole("len(values)", len(values), 2, "an interval over seeds needs two")
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise UserError("`values` must be finite, got one that is not: leave out seeds that were not run.")
    return mean_interval(values, confidence)
