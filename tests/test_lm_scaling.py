"""The scaling law is recovered where it is known, says how far it reaches, and is refused where cells are too few."""

import math

import numpy as np
import pytest

from analyses.lm_scaling import Cells, ScalingLaw, fit_law, held_out_errors, predict_ratio
from infodil.checks import UserError

LAW = ScalingLaw(math.log(1.1), math.log(40.0), 0.4, math.log(60.0), 0.35)
OTHER = ScalingLaw(math.log(1.0), math.log(40.0), 0.4, math.log(90.0), 0.38)
SIZES = np.array([1e5, 2e5, 4e5, 8e5, 1.6e6])
BUDGETS = np.array([1, 5, 20, 100])


def cells_of(law, sizes=SIZES, budgets=BUDGETS, noise=0.003, seed=0):
    parameters, budget = (axis.ravel() for axis in np.meshgrid(sizes, budgets, indexing="ij"))
    runs = np.repeat([f"{size:g}" for size in sizes], len(budgets))
    losses = law.predict(parameters, budget * parameters)
    noisy = losses * np.exp(noise * np.random.default_rng(seed).standard_normal(len(losses)))
    return Cells(runs, parameters, budget * parameters, noisy)


def test_a_known_law_is_recovered():
    found = fit_law(cells_of(LAW, noise=0.0))
    for name, value in vars(LAW).items():
        assert getattr(found, name) == pytest.approx(value, rel=0.02, abs=0.02), name


def test_one_bad_cell_moves_a_robust_fit_little():
    cells = cells_of(LAW, noise=0.0)
    cells.losses[7] *= 1.3
    found = fit_law(cells)
    assert found.predict(4e5, 8e6) == pytest.approx(LAW.predict(4e5, 8e6), rel=0.005)


@pytest.mark.statistical
def test_the_interval_of_the_ratio_holds_the_truth_beyond_the_cells():
    truth = math.exp(LAW.predict(6.4e6, 6.4e8) - OTHER.predict(6.4e6, 6.4e8))
    held = 0
    for seed in range(4):
        pair = (cells_of(law, seed=2 * seed + place) for place, law in enumerate((LAW, OTHER)))
        value, low, high = predict_ratio(*pair, 6.4e6, 6.4e8, draws=20, seed=seed)
        assert low < value < high < 2 * low
        held += low <= truth <= high
    # At a cover of 90% fewer than two of four have a probability below one in two hundred.
    assert held >= 2


def test_the_largest_size_is_predicted_from_the_others():
    errors = held_out_errors(cells_of(LAW))
    assert np.abs(errors).max() < 0.03
    bent = cells_of(LAW)
    bent.losses[bent.parameters == SIZES[-1]] += 0.2  # a size that the law of the others does not tell
    assert held_out_errors(bent).mean() < -0.15


@pytest.mark.parametrize(
    ("sizes", "budgets", "message"),
    [(SIZES[:2], BUDGETS, "2 sizes, too few for a scaling law"), (SIZES, BUDGETS[:1], "1 budgets, too few")],
)
def test_too_few_cells_are_refused(sizes, budgets, message):
    with pytest.raises(UserError, match=message):
        fit_law(cells_of(LAW, sizes, budgets))
