"""The most probable type of each state, by the probe that the ladder selects."""

__all__ = ["TypeClassifier", "fit_classifier"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.ladder.cross_fit import fit_rows, selected_probe
from infodil.ladder.data import STATES, LadderData
from infodil.ladder.fit import FittedProbe
from infodil.ladder.lower_bound import choose_probe
from infodil.probes import Probe, predictive_logits

CLASSIFIED_ROWS = 2**14
"""Rows that are standardized at once."""


@dataclass(frozen=True, eq=False)
class TypeClassifier:
    """A fitted probe as a classifier of states."""

    data: LadderData
    fitted: FittedProbe

    @torch.no_grad()
    def predict(self, states: Float[Tensor, "rows dim"]) -> Int[Tensor, "rows"]:
        """The most probable type of each state."""
        classes, fit = self.data.classes, self.fitted.fit
        within = classes.log_within(torch.arange(len(classes.of_type)))
        types = []
        for some in states.split(CLASSIFIED_ROWS):
            scores = fit.scores(fit.prepare(self.data.view(STATES, some, fit.raw)), 0)
            logits = predictive_logits(classes.class_log_prior, scores, fit.temperatures[0])
            types.append((logits[:, classes.of_type] + within).argmax(1))
        return torch.cat(types)


@torch.no_grad()
def fit_classifier(
    train: tuple[Float[Tensor, "train dim"], Int[Tensor, "train"]],
    calibration: tuple[Float[Tensor, "calibration dim"], Int[Tensor, "calibration"]],
    *,
    probe: str | Probe,
    seed: int = 0,
) -> TypeClassifier:
    """A classifier of states by the ladder up to some probe, selected on calibration rows.

    Args:
        train: States and types from zero on to train on.
        calibration: States and types to select on, in the order of the text.
        probe: The strongest probe that is fitted, as in `lower_bound`.
        seed: Seed of everything random.

    Returns:
        The selected probe.

    Raises:
        UserError: An unknown probe, or one that does not apply.
    """
    states, types = (torch.cat(parts) for parts in zip(train, calibration, strict=True))
    rows = np.arange(len(types))
    known, held_out = rows[: len(train[1])], rows[len(train[1]) :]
    data, ladder = fit_rows(types.numpy(), states, known, held_out, choose_probe(probe), seed)
    return TypeClassifier(data, selected_probe(ladder))
