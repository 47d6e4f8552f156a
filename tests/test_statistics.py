"""Intervals: right in width where it is known, covering on dependent data, in blocks that follow the correlation."""

import math

import numpy as np
import pytest
import torch
from scipy.stats import t as student

from infodil.checks import UserError
from infodil.statistics import (
    Clusters,
    bootstrap_interval,
    bootstrap_weights,
    correlation_length,
    merge_cells,
    number_groups,
    share_interval,
)


def autoregressive(cells, rho, rng):
    noise = rng.standard_normal(cells) * math.sqrt(1 - rho**2)
    series = np.empty(cells)
    series[0] = rng.standard_normal()
    for t in range(1, cells):
        series[t] = rho * series[t - 1] + noise[t]
    return series


def test_every_replicate_draws_as_many_units_as_there_are():
    weights = bootstrap_weights(17, 50, seed=3)
    assert (weights.sum(1) == 17).all()
    assert (bootstrap_weights(17, 50, seed=3) == weights).all()
    assert (bootstrap_weights(17, 50, seed=4) != weights).any()


@pytest.mark.parametrize("units", [5, 20, 200])
def test_the_interval_of_a_mean_is_students(units):
    values = np.random.default_rng(0).standard_normal(units)
    replicates = bootstrap_weights(units, 20_000, seed=0) @ values / units
    low, high = bootstrap_interval(replicates, units, 0.9)
    expected = student.ppf(0.95, units - 1) * values.std(ddof=1) / math.sqrt(units)
    # Twenty thousand replicates leave about 1% on a quantile; five values leave their own skewness.
    assert (high - low) / 2 == pytest.approx(expected, rel=0.15 if units == 5 else 0.05)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.9])
def test_correlation_length_of_an_autoregressive_series(rho):
    series = autoregressive(20_000, rho, np.random.default_rng(1))
    # Of AR(1): 1/2 + rho / (1 - rho). Stopping at the first correlation that is not positive adds a little noise.
    assert correlation_length(series[:, None]) == pytest.approx(0.5 + rho / (1 - rho), rel=0.25, abs=0.1)


def test_a_constant_series_has_no_correlation():
    assert correlation_length(np.ones((100, 2))) == 0.5


def test_blocks_are_contiguous_and_never_fewer_than_sixteen():
    for cells, correlation in [(16, 50.0), (40, 1.0), (1000, 3.0), (1000, 400.0)]:
        block = merge_cells(cells, correlation)
        assert (np.diff(block) >= 0).all() and set(block) == set(range(block[-1] + 1))
        assert block[-1] + 1 >= min(16, cells)


def test_block_intervals_cover_a_slow_series_where_positions_do_not():
    rng, hits, naive = np.random.default_rng(2), 0, 0
    trials = 200
    for trial in range(trials):
        series = autoregressive(2000, 0.9, rng)
        block = merge_cells(2000, correlation_length(series[:, None]))
        first = np.flatnonzero(np.diff(block, prepend=-1))
        sums, counts = np.add.reduceat(series, first), np.bincount(block)
        weights = bootstrap_weights(len(sums), 400, seed=trial)
        low, high = bootstrap_interval((weights @ sums) / (weights @ counts), len(sums), 0.95)
        hits += low <= 0 <= high
        reach = 1.96 * series.std() / math.sqrt(2000)
        naive += abs(series.mean()) <= reach
    # 95% of 200 trials is 190, with a standard deviation of 3.1: three of them, and two points for the finite series.
    assert hits >= 177
    assert naive < 150


@pytest.mark.parametrize("groups", [["b", "b", "a"], [7, 7, -1], [7.0, 7.0, 1.0], torch.tensor([4, 4, 2])])
def test_groups_are_numbered_in_order_whatever_they_are_called(groups):
    assert number_groups(groups, 3, 2).tolist() == [0, 0, 1]


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([0, 1], r"`groups` must have one label for each of 3 rows, got shape \[2\]: pass the document of each row"),
        ([[0, 1, 2]], r"`groups` must have one label for each of 3 rows, got shape \[1, 3\]"),
        ([0.5, 1, 2], "`groups` must be whole numbers or names, got fractions or NaN: number the documents"),
        ([float("nan"), 1, 2], "`groups` must be whole numbers or names, got fractions or NaN"),
        ([1, 1, 1], "`groups` must name at least 2 groups, got 1, for whole groups are held out and resampled: pass"),
    ],
)
def test_what_are_no_groups_is_refused_in_one_sentence(groups, message):
    with pytest.raises(UserError, match=message):
        number_groups(groups, 3, 2)


@pytest.mark.parametrize("shares", [[0.0, 1.0], [1.0, 1.0], [0.97, 0.99, 1.0], [0.0, 0.0], [0.5, 0.52, 0.48, 0.5]])
def test_an_interval_of_shares_lies_within_0_and_1_and_holds_their_mean(shares):
    mean, low, high = share_interval(shares, [200] * len(shares), 0.95)
    assert 0 <= low <= mean <= high <= 1
    assert mean == pytest.approx(np.mean(shares))


def test_the_interval_of_shares_covers():
    # Accuracies of five seeds on 400 cases, logit-normal rates; 4,000 draws: three standard errors are .0104.
    rng = np.random.default_rng(0)
    rates = 1 / (1 + np.exp(-(2.0 + 0.4 * rng.standard_normal((4000, 5)))))
    shares = rng.binomial(400, rates) / 400
    ends = np.array([share_interval(row, [400] * 5, 0.95)[1:] for row in shares])
    centre = 1 / (1 + np.exp(-2.0))
    assert np.mean((ends[:, 0] <= centre) & (centre <= ends[:, 1])) == pytest.approx(0.95, abs=0.0104)


SIZES = {
    "five equal": [40] * 5,
    "twelve equal": [20] * 12,
    "one of nineteen in twenty": [190] + [1] * 10,
    "halving": [2**power for power in range(9, 0, -1)],
    "growing": list(range(5, 45, 5)),
}


@pytest.mark.statistical
@pytest.mark.parametrize("effect", [0.0, 0.3], ids=["independent rows", "cluster effect"])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_intervals_of_means_cover_whatever_the_sizes_of_clusters(sizes, effect):
    """Means of 2,000 draws: coverage at 95% to four standard errors, 2%; more where hardly a cluster remains."""
    rng, draws = np.random.default_rng(0), 2000
    clusters = Clusters(np.repeat(np.arange(len(sizes)), sizes), True)
    covered = 0
    for _ in range(draws):
        terms = math.sqrt(1 - effect) * rng.standard_normal(sum(sizes))
        terms += math.sqrt(effect) * rng.standard_normal(len(sizes))[clusters.index]
        covered += abs(terms.mean()) <= clusters.half_width(terms, 0.95)
    # Beside one cluster of nearly all rows only a guess is left of how much clusters differ.
    assert covered / draws > (0.93 if clusters.freedom > 2 else 0.87)
    if clusters.freedom >= 3:
        assert covered / draws < 0.97
    else:
        assert "guess" in clusters.warnings[0]


def test_the_freedom_of_unequal_clusters_is_that_of_the_quadratic_form():
    sizes = np.array([1.0, 5.0, 9.0, 30.0])
    share = sizes / sizes.sum()
    residual = np.eye(4) - share[:, None]
    form = residual.T @ np.diag(1 / (1 - share)) @ residual @ np.diag(sizes)
    expected = np.trace(form) ** 2 / np.trace(form @ form)
    assert Clusters(np.repeat(np.arange(4), sizes.astype(int)), True).freedom == pytest.approx(expected)
