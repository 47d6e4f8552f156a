"""Ties, atoms, rounding, half precision and offsets: right values, and the laws that they follow."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr

from analyses.columns import COLUMNS
from infodil.mi import estimate
from infodil.mi.continuous.ties import dither_columns
from infodil.mi.continuous.variables import read_pair

pytestmark = pytest.mark.statistical

TOLERANCE_BITS = 0.06
"""At 2,000 to 5,000 rows: three standard errors of neighbours at 2,000 rows, which are .02 bits."""

SURE = 0.999
"""Each of some forty intervals is looked at once."""


def rng(seed=0):
    return np.random.default_rng(seed)


def coin_bits(p):
    return -p * math.log2(p) - (1 - p) * math.log2(1 - p)


def correlated(rows, rho, seed=0):
    x, noise = rng(seed).standard_normal((2, rows))
    return x, rho * x + math.sqrt(1 - rho**2) * noise


def rounded(values, step):
    return np.round(values / step) * step if step else values


def rounded_normal_bits(rho, step_x, step_y):
    """Information of a normal pair, each rounded to a step (0: not at all), by sums over a fine grid of x."""
    grid = np.linspace(-8, 8, 16_001)
    weight = np.exp(-(grid**2) / 2)
    weight /= weight.sum()
    step = step_y or 0.01
    edges = (np.arange(round(-8 / step), round(8 / step) + 1) + 0.5) * step
    cells = np.diff(ndtr((edges[None] - rho * grid[:, None]) / math.sqrt(1 - rho**2)), axis=1)
    if step_x:
        place = np.round(grid / step_x).astype(int)
        table = np.zeros((place.max() - place.min() + 1, cells.shape[1]))
        np.add.at(table, place - place.min(), cells * weight[:, None])
    else:
        table = cells * weight[:, None]
    table /= table.sum()
    product = table.sum(1, keepdims=True) * table.sum(0, keepdims=True)
    return float((table[table > 0] * np.log2(table[table > 0] / product[table > 0])).sum())


def mixture_bits(means, sigma, step=None):
    """Information of a uniform label and its mean in normal noise, rounded to a step if there is one."""
    step = step or 0.01
    edges = (np.arange(round((min(means) - 9 * sigma) / step), round((max(means) + 9 * sigma) / step)) + 0.5) * step
    cells = np.diff(ndtr((edges[None] - np.array(means)[:, None]) / sigma), axis=1) / len(means)
    ratio = cells * len(means) / np.maximum(cells.sum(0, keepdims=True), 1e-300)
    return float((cells[cells > 0] * np.log2(ratio[cells > 0])).sum())


def coin(rows, seed=0):
    return rng(seed).integers(0, 2, rows)


def five(rows, seed=0):
    return rng(seed).integers(0, 5, rows)


def flipped(labels, share, seed=1):
    return np.where(rng(seed).random(len(labels)) < share, 1 - labels, labels)


def noisy(labels, sigma, seed=1):
    return labels + sigma * rng(seed).standard_normal(len(labels))


CASES = {
    "code of two": (lambda t: (t, 2.0 * t - 1), coin(2000), 1.0),
    "one-hot of two": (lambda t: (t, np.eye(2)[t]), coin(2000), 1.0),
    "one-hot of five": (lambda t: (t, np.eye(5)[t]), five(3000), math.log2(5)),
    "one-hot on both sides": (lambda t: (np.eye(5)[t], np.eye(5)[t]), five(3000), math.log2(5)),
    "flipped code": (lambda t: (t, 2.0 * flipped(t, 0.1) - 1), coin(4000), 1 - coin_bits(0.1)),
    "rounded": (lambda t: (t, rounded(noisy(t, 0.5), 0.5)), coin(4000), mixture_bits([0, 1], 0.5, 0.5)),
    "half precision far out": (
        lambda t: (t, (1000 + 5 * noisy(2 * t, 1.0)).astype(np.float16)), coin(4000), mixture_bits([0, 2], 1.0),
    ),
    "bfloat16 far out": (
        lambda t: (t, torch.from_numpy(1000 + 5 * noisy(2 * t, 1.0)).bfloat16()), coin(4000),
        mixture_bits([0, 10], 5.0, 4.0),
    ),
    "coin and three times it": (lambda t: (t, 3 * t), (rng(4).random(4000) < 0.75).astype(float), coin_bits(0.25)),
    "labels and noise": (lambda t: (t, rng(5).standard_normal((400, 3))), np.repeat([0.0, 1.0], 200), 0.0),
    "one-hot and noise beside": (lambda t: (np.eye(5)[t], noisy(t, 0.7)), five(4000), mixture_bits(range(5), 0.7)),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_columns_of_few_values(name):
    make, labels, truth = CASES[name]
    bits = estimate(*make(labels), confidence=SURE)
    assert bits.value_bits == pytest.approx(truth, abs=TOLERANCE_BITS)
    assert bits.low_bits <= truth <= bits.high_bits


@pytest.mark.parametrize("steps", [(0.05, 0.05), (0.1, 0.1), (0.2, 0.2), (0.5, 0.5), (1, 0.02), (0.5, 0), (0.1, 0)])
@pytest.mark.parametrize("rho", [0.0, 0.6, 0.9])
def test_rounded_normals(rho, steps):
    x, y = correlated(4000, rho, seed=3)
    truth = rounded_normal_bits(rho, *steps)
    bits = estimate(rounded(x, steps[0]), rounded(y, steps[1]), confidence=SURE)
    assert bits.value_bits == pytest.approx(truth, abs=TOLERANCE_BITS)
    assert bits.low_bits <= truth <= bits.high_bits


def rectified_bits(rho):
    """Information of max(0, x) and y: the rest of it where x is above zero, and that of the sign where it is not."""
    grid = np.linspace(-9, 9, 6001)
    joint = np.exp(-(grid[:, None] ** 2 - 2 * rho * grid[:, None] * grid + grid**2) / (2 * (1 - rho**2)))
    joint /= joint.sum()
    table = np.vstack([joint[grid <= 0].sum(0), joint[grid > 0]])
    product = table.sum(1, keepdims=True) * table.sum(0)
    return float((table[table > 0] * np.log2(table[table > 0] / product[table > 0])).sum())


@pytest.mark.parametrize("both", [False, True])
def test_rectified_columns(both):
    x, y = correlated(5000, 0.8, seed=2)
    truth = rectified_bits(0.8)
    bits = estimate(np.maximum(x, 0), y)
    assert bits.value_bits == pytest.approx(truth, abs=TOLERANCE_BITS)
    if both:  # an independent column, rectified, beside it, and rounding of y: nothing more is known
        other = np.maximum(rng(9).standard_normal(5000), 0)
        assert estimate(np.column_stack([np.maximum(x, 0), other]), rounded(y, 0.05)).value_bits == pytest.approx(
            truth,
            abs=2 * TOLERANCE_BITS,  # three columns: neighbours lie farther apart
        )


def test_a_discrete_column_beside_a_continuous_one_adds_what_it_adds():
    """d decides the mean of y, and x beside it adds what x alone tells of the rest."""
    d, (x, rest) = coin(4000, 7), correlated(4000, 0.6, seed=8)
    truth = -0.5 * math.log2(1 - 0.36) + mixture_bits([0, 2], 1.0)
    bits = estimate(np.column_stack([d.astype(float), x]), rest + 2 * d)
    assert bits.value_bits == pytest.approx(truth, abs=TOLERANCE_BITS)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.02, 0.1, 0.3, 1.0]), st.floats(0.0, 0.95))
def test_rounding_one_side_never_says_more(seed, step, rho):
    x, y = correlated(2000, rho, seed)
    before, after = estimate(x, y), estimate(rounded(x, step), y)
    assert after.value_bits <= before.value_bits + (before.high_bits - before.low_bits)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.1, 1.0]), st.floats(-200, 200), st.floats(-1e3, 1e3))
def test_scale_and_offset_and_increasing_maps_change_nothing(seed, step, exponent, offset):
    x, y = correlated(1000, 0.7, seed)
    x = rounded(x, step)
    before = estimate(x, y).value_bits
    assert estimate(x * 10.0**exponent, y).value_bits == pytest.approx(before, abs=1e-9)
    assert estimate(np.round(x + offset, 9), y).value_bits == pytest.approx(before, abs=1e-3)
    assert estimate(np.sinh(x), y).value_bits == pytest.approx(before, abs=1e-9)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.integers(2, 8), st.booleans())
def test_a_discrete_column_of_floats_is_its_labels(seed, values, continuous):
    labels = rng(seed).integers(0, values, 2000)
    other = noisy(labels, 0.5, seed) if continuous else np.round(noisy(labels, 0.5, seed)).astype(int)
    assert estimate(0.3 * labels - 1, other) == estimate(labels, other)


@settings(max_examples=6, deadline=None)
@given(st.integers(0, 10**6), st.sampled_from([torch.float16, torch.bfloat16, torch.float32]))
def test_precisions_agree_to_their_rounding(seed, dtype):
    x, y = (torch.from_numpy(part) for part in correlated(2000, 0.8, seed))
    exact, coarse = estimate(x, y), estimate(x.to(dtype), y.to(dtype))
    assert coarse.value_bits == pytest.approx(exact.value_bits, abs=(exact.high_bits - exact.low_bits) / 2)


def test_columns_are_dropped_only_where_they_add_nothing():
    x, y = correlated(1000, 0.5)
    far = torch.from_numpy(1000 + 5 * x).to(torch.float16)
    assert read_pair(far, y)[0].dim == 1  # coarse, and no constant
    assert read_pair(np.column_stack([x, x]).astype(np.float16), y)[0].dim == 1
    near = torch.from_numpy(np.column_stack([x, x + 0.1 * y])).bfloat16()
    assert read_pair(near, y)[0].dim == 2  # the difference is ten times the rounding
    assert read_pair(np.column_stack([x, 1e6 + x]).astype(np.float32), y)[0].dim == 1
    assert read_pair(np.column_stack([1e-200 * x, 1e200 * y]), y)[0].dim == 2


def test_dither_keeps_the_order_of_values_and_their_gaps():
    values = rng().integers(0, 9, (500, 1)).astype(float)
    moved = dither_columns(values, 0)
    assert np.abs(moved - values).max() <= 0.25
    untied = rng().standard_normal((50, 2))
    assert (dither_columns(untied, 0) == untied).all()


def test_columns_that_are_functions_of_each_other_have_the_entropy_of_few_values():
    x = rounded(rng().standard_normal(5000), 0.05)
    bits = estimate(x, 3 * x)
    counts = np.unique(x, return_counts=True)[1] / 5000
    assert bits.value_bits == pytest.approx(-(counts * np.log2(counts)).sum(), abs=TOLERANCE_BITS)


def test_ties_by_a_method_of_name_are_broken_or_said():
    x, y = (rounded(part, 0.05) for part in correlated(5000, 0.0))
    bits = estimate(x, y, "ksg")
    assert bits.low_bits <= 0.0 <= bits.high_bits
    assert "too high" in estimate(x, y, "mixed-ksg").warnings[-1]
    for method in ("gaussian", "gaussian-copula", "student-copula"):
        assert abs(estimate(x, y, method).value_bits) < 0.01


@pytest.mark.parametrize("name", [name for name in COLUMNS if "label" in name or "one-hot" in name])
def test_labels_and_what_was_made_of_them(name):
    columns = COLUMNS[name]
    bits = estimate(*columns.draw(4000, rng(6)), confidence=SURE)
    assert bits.value_bits == pytest.approx(columns.truth_bits, abs=TOLERANCE_BITS)
    assert bits.samples == 4000  # rows that share an atom are no copies


@pytest.mark.parametrize("kind", ["vectors", "labels"])
def test_copies_of_rows_are_found_and_say_nothing(kind):
    x, y = rng(2).standard_normal((2, 300))
    order = rng(3).permutation(3000) % 300
    x = (x > 0).astype(int) if kind == "labels" else x
    bits = estimate(x[order], y[order], confidence=SURE)
    assert bits.low_bits <= 0 <= bits.high_bits and bits.samples == 300
    assert "copies of 300" in bits.warnings[-1]
    assert not estimate(x, y).warnings
