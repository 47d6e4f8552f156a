"""What numpy, pandas, scipy and torch hold: the same numbers, or one sentence that names the argument."""

import math

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import infodil
import infodil.entropy
from infodil import bounds
from infodil.checks import UserError
from infodil.mi import estimate, lower_bound

pytestmark = pytest.mark.statistical

ROWS = 400
LABELS = np.random.default_rng(0).integers(0, 2, ROWS)
STATES = (LABELS + 0.5 * np.random.default_rng(1).standard_normal(ROWS))[:, None]

HOLDERS = {
    "table": pd.DataFrame,
    "column of a table": lambda s: pd.DataFrame({"a": s[:, 0]})["a"],
    "reversed view": lambda s: np.hstack([s, s])[:, ::-1][:, :1],
    "other byte order": lambda s: s.astype(">f8"),
    "objects": lambda s: s.astype(object),
    "long doubles": lambda s: s.astype(np.longdouble),
    "sparse": sparse.csr_matrix,
    "sparse tensor": lambda s: torch.from_numpy(s).to_sparse(),
    "tensor that has a gradient": lambda s: torch.from_numpy(s).requires_grad_(),
    "nothing masked": lambda s: np.ma.masked_array(s, False),
    "list": lambda s: s.tolist(),
    "read-only": lambda s: np.broadcast_to(s, s.shape),
}


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
def test_the_same_numbers_are_the_same(holder):
    assert estimate(LABELS, holder(STATES), seed=np.int64(3)) == estimate(LABELS, STATES, seed=3)
    options = {"probe": "gaussian", "seed": np.int64(3)}
    assert lower_bound(LABELS, holder(STATES), **options) == lower_bound(LABELS, STATES, probe="gaussian", seed=3)


@pytest.mark.parametrize("labels", [pd.Series(LABELS), pd.Series(LABELS.astype(object)), LABELS.astype(">i4")[::1]])
def test_the_same_labels_are_the_same(labels):
    assert estimate(labels, STATES) == estimate(LABELS, STATES)
    assert lower_bound(labels, STATES, probe="gaussian") == lower_bound(LABELS, STATES, probe="gaussian")


def test_eighths_of_a_bit_are_numbers():
    coarse = torch.from_numpy(STATES).to(torch.float8_e4m3fn)
    assert estimate(LABELS, coarse).value_bits == pytest.approx(estimate(LABELS, STATES).value_bits, abs=0.1)


@pytest.mark.parametrize(
    ("states", "message"),
    [
        (np.ma.masked_array(STATES, STATES > 1), "has masked values: drop their rows"),
        (np.array([["one"]] * ROWS, dtype=object), "must hold numbers, got objects"),
        (STATES * np.nan, "must be finite"),
    ],
)
def test_what_holds_no_numbers_is_named(states, message):
    with pytest.raises(UserError, match=f"`y` {message}"):
        estimate(LABELS, states)
    with pytest.raises(UserError, match=f"`states` {message}"):
        lower_bound(LABELS, states)


def test_bounds_take_numbers_of_numpy():
    pair = np.array([[-1.0], [1.0]])
    first = bounds.exact_posterior(pair, np.array([0.5, 0.25]), 0.3, lags=[0], draws=100, seed=np.int64(1))
    assert first == bounds.exact_posterior(
        torch.from_numpy(pair), torch.tensor([0.5, 0.25], dtype=torch.float64), 0.3, lags=[0], draws=100, seed=1
    )
    assert bounds.entropy(LABELS, vocabulary=LABELS.max() + 1).high_bits <= 1.0
    assert bounds.entropy(counts=[4e9, 4e9]).value_bits == pytest.approx(1.0, abs=1e-6)


def test_the_entropy_of_a_rare_type_is_bounded_whether_it_was_met_or_not():
    p, held = 0.002, 0
    truth = -p * math.log2(p) - (1 - p) * math.log2(1 - p)
    for seed in range(100):
        rare = (np.random.default_rng(seed).random(400) < p).astype(int)
        held += bounds.entropy(rare).high_bits >= truth
        held += bounds.entropy(1 - rare, vocabulary=2).high_bits >= truth
    assert held >= 182  # 95% of 200 but for two standard errors and a half


MASKED_LABELS = np.ma.masked_array(LABELS, mask=np.arange(len(LABELS)) == 3)
MASKED_STATES = np.ma.masked_array(STATES, mask=np.zeros(STATES.shape, dtype=bool))
MASKED_STATES[3, 0] = np.ma.masked


@pytest.mark.parametrize(
    "call",
    [
        lambda: lower_bound(LABELS, STATES, groups=MASKED_LABELS),
        lambda: infodil.mi.discrete_information(MASKED_LABELS, LABELS),
        lambda: infodil.mi.discrete_bounds(LABELS, LABELS, groups=MASKED_LABELS),
        lambda: infodil.entropy.entropy(MASKED_LABELS),
        lambda: infodil.bounds.entropy(LABELS, groups=MASKED_LABELS),
        lambda: infodil.bounds.budget(MASKED_STATES, 0.1),
        lambda: infodil.load_corpus([MASKED_LABELS, LABELS]).tokenize(),
        lambda: infodil.recoverability(
            {"state": MASKED_STATES.reshape(20, -1, STATES.shape[1])}, LABELS.reshape(20, -1), lags=[0], progress=False
        ),
    ],
)
def test_masked_values_are_refused_wherever_they_are_passed(call):
    with pytest.raises(UserError, match="has masked values: drop their rows from all arguments"):
        call()
