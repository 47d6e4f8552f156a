"""A lower bound on the information of two discrete variables: how well one is predicted from the other, held out."""

__all__ = ["held_out_gains_nats"]

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from infodil.mi.discrete.contingency import Joint
from infodil.statistics import random_folds

PREDICTION_FOLDS = 5
"""Folds of whole units, each predicted from counts of the others."""

DISCOUNTS = (0.0, 0.3, 0.6, 0.9)
"""Taken from each count of a pair that was seen, and given to the marginal."""

STRENGTHS = (0.03, 0.3, 1.0, 3.0, 10.0, 30.0, 100.0, 1000.0, 10000.0)
"""Samples that the marginal counts for. Beyond the last one nothing is learned from the other variable at all."""


def held_out_gains_nats(joint: Joint, seed: int) -> Float64[np.ndarray, "samples"]:
    r"""The log of predicted over marginal probability of each sample, whose mean is a lower bound on the information.

    .. math:: I(X; Y) \ge E \log \frac{q(x \mid y)}{p(x)}, \qquad
              q(x \mid y) = \frac{\max(n_{xy} - d, 0) + (m + d\, k_y)\, \hat p(x)}{n_y + m}

    Counts come from other folds, of whole units; :math:`k_y` is the number of different x seen with y. The discount d
    and the strength m are chosen on yet another fold, from a family that contains the marginal itself. That marginal is
    the frequency of x in all samples, on both sides of the ratio: nothing predicted reads exactly nothing, and where
    something is, that a sample is counted in its own frequency makes the bound lower (by half of :math:`s^2 / n_x`,
    s the share of q that is not the marginal). Both directions bound the same number; the one that did better where d
    and m were chosen is taken.

    Reference:
        Barber & Agakov (NIPS 2003), equation 3, for the bound. MacKay & Peto (1995), Natural Language Engineering 1,
        and Ney, Essen & Kneser (1994), Computer Speech and Language 8, for the two ways of smoothing.
    """
    fold = _folds(joint, seed)
    (gains, calibrated), (turned, calibrated_turned) = (_cross_fit(way, fold) for way in (joint, joint.turned))
    return gains if calibrated >= calibrated_turned else turned


def _folds(joint: Joint, seed: int) -> Int64[np.ndarray, "samples"]:
    fold = random_folds(joint.clusters.number, PREDICTION_FOLDS, np.random.default_rng([seed, 0xF01D]))
    return fold[joint.clusters.index]


def _cross_fit(joint: Joint, fold: Int64[np.ndarray, "samples"]) -> tuple[Float64[np.ndarray, "samples"], float]:
    """The gain of each sample, and the sum of the gains on which the smoothing was chosen."""
    folds, cells = int(fold.max()) + 1, len(joint.cell_x)
    table = np.bincount(fold * cells + joint.cell, minlength=folds * cells).reshape(folds, cells)
    gains, calibrated = np.zeros((folds, cells)), 0.0
    for held in range(folds):
        chosen = (held + 1) % folds
        # With two folds there is none to spare: the smoothing is chosen on what it is fitted to, and is too weak.
        fit = Predictor.fit(joint, table.sum(0) - table[held] - (table[chosen] if folds > 2 else 0))
        seen = np.flatnonzero(table[chosen])
        choices = [(float(table[chosen, seen] @ fit.gains(d, m, seen)), d, m) for d in DISCOUNTS for m in STRENGTHS]
        best, discount, strength = max(choices, key=lambda choice: choice[0])
        if best > 0:  # else the marginal itself, which gains nothing
            calibrated += best
            seen = np.flatnonzero(table[held])
            gains[held, seen] = Predictor.fit(joint, table.sum(0) - table[held]).gains(discount, strength, seen)
    return gains[fold, joint.cell], calibrated


@dataclass(frozen=True, eq=False)
class Predictor:
    """What is known of each cell from the samples fitted to."""

    counts: Int64[np.ndarray, "cells"]
    behind: Float64[np.ndarray, "cells"]
    """Samples with the y of the cell."""
    different: Float64[np.ndarray, "cells"]
    """Different x seen with that y."""
    marginal: Float64[np.ndarray, "cells"]
    """Frequency of the x of the cell, in all samples."""

    @staticmethod
    def fit(joint: Joint, counts: Int64[np.ndarray, "cells"]) -> "Predictor":
        """From the samples counted in each cell."""
        behind, different = (np.bincount(joint.cell_y, part)[joint.cell_y] for part in (counts, counts > 0))
        return Predictor(counts, behind, different, joint.counts[0][joint.cell_x] / len(joint))

    def gains(self, discount: float, strength: float, cells: Int64[np.ndarray, "some"]) -> Float64[np.ndarray, "some"]:
        """The log of q(x|y) / p(x) in some cells."""
        own = np.maximum(self.counts[cells] - discount, 0.0) / self.marginal[cells]
        return np.log((own + strength + discount * self.different[cells]) / (self.behind[cells] + strength))
