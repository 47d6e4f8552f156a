"""Information of discrete variables: known truths lie in the intervals, nothing reads nothing, names leave no trace."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import xlogy

from infodil.checks import UserError
from infodil.entropy import METHODS, entropy
from infodil.estimate import BITS_PER_NAT
from infodil.mi import discrete_bounds, discrete_information
from infodil.mi.discrete.contingency import count_pairs
from infodil.mi.discrete.held_out import Predictor, held_out_gains_nats
from infodil.mi.discrete.intervals import _meet, _table_nats, _tilt
from infodil.mi.discrete.upper_bound import pair_terms_nats
from infodil.sources import (
    autoregressive_pair,
    copied_pair,
    discrete_channel,
    discrete_pair,
    entropy_bits,
    information_bits,
    markov,
    sparse_pair,
    unrelated_series,
    zipf,
)


def noisy(alphabet, seed=0):
    """A joint table whose rows are drawn, uniform in x."""
    return np.random.default_rng(seed).dirichlet(np.full(alphabet, 0.5), size=alphabet) / alphabet


CASES = {
    "binary symmetric, 100": (lambda seed: discrete_channel([[0.9, 0.1], [0.1, 0.9]], samples=100, seed=seed)),
    "weak, 1000": (lambda seed: discrete_channel([[0.55, 0.45], [0.45, 0.55]], samples=1000, seed=seed)),
    "rare, 1000": (lambda seed: discrete_channel([[0.99, 0.01], [0.9, 0.1]], [0.9, 0.1], 1000, seed=seed)),
    "independent 2x2, 100": (lambda seed: discrete_pair(np.full((2, 2), 0.25), 100, seed=seed)),
    "independent 5x5, 1000": (lambda seed: copied_pair(5, 0.0, 1000, seed=seed)),
    "noisy 5x5, 300": (lambda seed: discrete_pair(noisy(5), 300, seed=seed)),
    "noisy 10x10, 3000": (lambda seed: discrete_pair(noisy(10), 3000, seed=seed)),
    "noisy 50x50, 1000": (lambda seed: discrete_pair(noisy(50), 1000, seed=seed)),
    "noisy 50x50, 100000": (lambda seed: discrete_pair(noisy(50), 100_000, seed=seed)),
    "copies of 2, 100": (lambda seed: copied_pair(2, 1.0, 100, seed=seed)),
    "copies of 20 alike, 100": (lambda seed: copied_pair(20, 1.0, 100, exponent=0.0, seed=seed)),
    "copies of 50, 3000": (lambda seed: copied_pair(50, 1.0, 3000, seed=seed)),
    "half copied 50, 300": (lambda seed: copied_pair(50, 0.5, 300, seed=seed)),
}


@pytest.mark.statistical
@pytest.mark.parametrize("case", CASES)
def test_the_truth_lies_in_the_interval(case):
    inside = []
    for seed in range(40):
        pair = CASES[case](seed)
        found = discrete_information(pair.x, pair.y, seed=seed)
        assert found.low_bits <= found.value_bits <= found.high_bits
        inside.append(found.low_bits <= pair.truth_bits <= found.high_bits)
    assert sum(inside) >= 33  # fewer happens once in 30,000 at a coverage of 95%


@pytest.mark.parametrize("copied", [0.0, 0.1, 0.5])
def test_a_vocabulary_is_bounded_and_not_guessed(copied):
    """Independent Zipf(1000) pairs read about nothing; copies are found; the truth is between the bounds."""
    for seed in range(3):
        pair = copied_pair(1000, copied, 10_000, seed=seed)
        found = discrete_information(pair.x, pair.y)
        assert found.kind == "lower bound" and "few for the" in found.warnings[0]
        assert found.low_bits <= pair.truth_bits <= found.high_bits
        if copied == 0.0:
            assert abs(found.value_bits) < 0.02 and found.high_bits < 2.0
        if copied == 0.5:
            assert found.value_bits > 2.0 and found.high_bits < 4.5


def test_a_sparse_table_of_ten_thousand_labels():
    pair = sparse_pair(10_000, 4, 50_000)
    found = discrete_information(pair.x, pair.y)
    assert 5.0 < found.low_bits < pair.truth_bits < found.high_bits < math.log2(10_000)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_is_near_the_truth_where_well_sampled(method):
    joint = noisy(4)
    pair = discrete_pair(joint, 50_000)
    found = discrete_information(pair.x, pair.y, method=method)
    assert found.method == method and found.kind == "estimate" and not found.warnings
    assert found.low_bits < pair.truth_bits < found.high_bits
    assert abs(found.value_bits - pair.truth_bits) < 0.02


def test_plug_in_by_hand():
    x, y = [0, 0, 1, 1], [0, 0, 1, 0]
    joint = np.array([[0.5, 0.0], [0.25, 0.25]])
    assert discrete_information(x, y, method="plug-in").value_bits == pytest.approx(information_bits(joint))
    assert "few for the" in discrete_information(x, y, method="plug-in").warnings[0]


# -------------------------------------------------------------------------------------------------------- invariance


@pytest.mark.statistical
@given(st.integers(0, 10_000), st.integers(1, 40), st.sampled_from([40, 400]), st.booleans())
@settings(deadline=None, max_examples=25)
def test_names_and_order_of_the_two_leave_no_trace(seed, labels, samples, grouped):
    rng = np.random.default_rng(seed)
    x = rng.integers(labels, size=samples)
    y = np.where(rng.random(samples) < 0.5, x, rng.integers(labels, size=samples))
    groups = rng.integers(8, size=samples) if grouped else None
    renamed = rng.permutation(10 * labels)[:labels] - 5 * labels
    found = discrete_information(x, y, groups=groups)
    assert discrete_information(torch.from_numpy(renamed[x]), (3 * y - 7).tolist(), groups=groups) == found
    swapped = discrete_information(y, x, groups=groups)
    for one, other in zip(
        (found.value_bits, found.low_bits, found.high_bits),
        (swapped.value_bits, swapped.low_bits, swapped.high_bits),
        strict=True,
    ):
        assert one == pytest.approx(other, abs=1e-9)
    assert swapped.kind == found.kind


@pytest.mark.statistical
@given(st.integers(0, 10_000), st.integers(2, 30), st.sampled_from([30, 300, 1000]))
@settings(deadline=None, max_examples=25)
def test_never_more_than_either_entropy(seed, labels, samples):
    rng = np.random.default_rng(seed)
    x = rng.integers(labels, size=samples)
    y = x if seed % 2 else rng.integers(3, size=samples)
    found = discrete_information(x, y)
    least = min(entropy_bits(np.bincount(values) / samples) for values in (x, y))
    assert found.low_bits <= least + 1e-9
    lower, upper = discrete_bounds(x, y)
    assert lower.low_bits <= least + 1e-9
    assert lower.value_bits <= upper.value_bits + 1e-9


@pytest.mark.parametrize(("x", "y"), [([3] * 5, [0, 1, 2, 3, 4]), ([0, 1, 1, 0], [7] * 4), ([1, 1], [2, 2])])
def test_what_never_varies_tells_nothing(x, y):
    found = discrete_information(x, y)
    lower, upper = discrete_bounds(x, y)
    assert (found.value_bits, found.low_bits) == (lower.value_bits, lower.low_bits) == (0.0, 0.0)
    assert 0.0 < found.high_bits == upper.high_bits <= 1.0
    assert "one label only" in found.warnings[0]
    assert (lower.kind, upper.kind) == ("lower bound", "upper bound")


@pytest.mark.statistical
def test_labels_too_rare_to_be_seen_are_inside_the_interval():
    """A label of one sample in fifty stays unseen in one draw of a hundred out of seven: three deviations of 200."""
    draws = [discrete_channel([[0.99, 0.01], [0.9, 0.1]], [0.9, 0.1], 100, seed=seed) for seed in range(200)]
    found = [discrete_information(pair.x, pair.y) for pair in draws]
    covered = [one.low_bits <= pair.truth_bits <= one.high_bits for one, pair in zip(found, draws, strict=True)]
    assert sum(covered) >= 200 * 0.95 - 3 * (200 * 0.95 * 0.05) ** 0.5


# ------------------------------------------------------------------------------------------------------------ groups


@pytest.mark.statistical
@pytest.mark.parametrize("grouped", [True, False], ids=["documents", "one series"])
def test_slow_series_that_are_unrelated_read_nothing(grouped):
    """Tokens that stay for a hundred samples: as independent samples they would share information."""
    missed = {"as they are": 0, "as independent": 0}
    for seed in range(20):
        pair = unrelated_series(4, 0.97, documents=40, tokens=200, seed=seed)
        other = unrelated_series(4, 0.97, documents=40, tokens=200, seed=100 + seed).x
        for way, groups in (
            ("as they are", pair.groups if grouped else None),
            ("as independent", np.arange(len(pair))),
        ):
            found = discrete_information(pair.x, other, groups=groups)
            missed[way] += not found.low_bits <= 0.0 <= found.high_bits
    assert missed["as they are"] <= 4
    assert missed["as independent"] > 15


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("persistence", "samples"), [((0.5, 0.5), 1000), ((0.9, 0.9), 2000), ((0.97, 0.5), 2000), ((0.99, 0.99), 2000)]
)
def test_one_unrelated_slow_series_beside_another_covers_zero(persistence, samples):
    """Of 60 seeds at 95% more than 4 missing is below 93%."""
    missed = 0
    for seed in range(60):
        x, y = (
            unrelated_series(4, each, documents=1, tokens=samples, seed=2 * seed + part).x
            for part, each in enumerate(persistence)
        )
        found = discrete_information(x, y)
        missed += not found.low_bits <= 0.0 <= found.high_bits
        assert any("move slowly" in text for text in found.warnings)
    assert missed <= 4


@pytest.mark.statistical
def test_a_chain_of_one_series_covers_its_information():
    missed = 0
    for seed in range(40):
        pair = markov([[0.95, 0.05], [0.1, 0.9]], documents=1, tokens=2001, seed=seed).pair(1)
        found = discrete_information(pair.x, pair.y)
        missed += not found.low_bits <= pair.truth_bits <= found.high_bits
    assert missed <= 4


@pytest.mark.statistical
@given(st.integers(0, 10_000), st.sampled_from([2, 5, 60]), st.sampled_from([60, 400, 1500]), st.booleans())
@settings(deadline=None, max_examples=25)
def test_samples_in_no_order_are_independent(seed, labels, samples, slow):
    """Samples of any law, drawn alone or a series in random order: the order is not believed to say anything."""
    rng = np.random.default_rng(seed)
    x = rng.choice(labels, samples, p=rng.dirichlet(np.full(labels, 0.5)))
    y = np.where(rng.random(samples) < 0.5, x, rng.integers(labels, size=samples))
    if slow:
        x, y = (np.sort(part)[rng.permutation(samples)] for part in (x, y))
    assert discrete_information(x, y) == discrete_information(x, y, groups=np.arange(samples))
    assert entropy(x) == entropy(x, groups=np.arange(samples))


@pytest.mark.statistical
def test_a_chain_is_measured_by_its_documents():
    inside = 0
    for seed in range(20):
        chain = markov([[0.95, 0.05], [0.1, 0.9]], documents=30, tokens=100, seed=seed)
        pair = chain.pair(1)
        found = discrete_information(pair.x, pair.y, groups=pair.groups)
        inside += found.low_bits <= pair.truth_bits <= found.high_bits
    assert inside >= 16


def test_signs_of_a_slow_normal_pair_have_their_orthant_information():
    """P(same sign) = 1/2 + asin(rho) / pi (Sheppard 1899)."""
    same = 0.5 + math.asin(0.8) / math.pi
    truth = 1 - entropy_bits(np.array([same, 1 - same]))
    inside = 0
    for seed in range(20):
        pair = autoregressive_pair(0.8, 0.9, documents=50, tokens=100, seed=seed)
        x, y = ((part[:, 0] > 0).long() for part in (pair.x, pair.y))
        found = discrete_information(x, y, groups=pair.groups)
        inside += found.low_bits <= truth <= found.high_bits
    assert inside >= 16


def test_many_groups_and_groups_of_one_are_taken():
    pair = discrete_channel([[0.9, 0.1], [0.1, 0.9]], samples=3000)
    alone, each = (discrete_information(pair.x, pair.y, groups=groups) for groups in (None, pair.groups))
    assert each.value_bits == pytest.approx(alone.value_bits, abs=2e-3)
    assert each.high_bits - each.low_bits == pytest.approx(alone.high_bits - alone.low_bits, rel=0.25)


# -------------------------------------------------------------------------------------------------------------- parts


@given(st.integers(0, 10_000), st.sampled_from([0.0, 0.3, 0.9]), st.sampled_from([0.3, 10.0]))
@settings(deadline=None, max_examples=30)
def test_predictions_are_distributions(seed, discount, strength):
    """All cells are present, so that the probabilities of all x given y are seen: they sum to one."""
    x, y = (grid.ravel() for grid in np.meshgrid(np.arange(4), np.arange(3), indexing="ij"))
    joint = count_pairs(x, y, None)
    counts = np.random.default_rng(seed).integers(0, 3, size=12)
    predictor = Predictor.fit(joint, counts)
    predicted = np.exp(predictor.gains(discount, strength, np.arange(12))) * predictor.marginal
    assert np.bincount(joint.cell_y, predicted) == pytest.approx(np.ones(3))


@pytest.mark.parametrize(
    ("probabilities", "samples"),
    [(zipf(300), 200), (zipf(3000), 1000), (np.full(1000, 1e-3), 100), (np.full(50, 0.02), 200), (zipf(20, 3.0), 100)],
)
def test_the_entropy_of_pairs_is_low_on_average(probabilities, samples):
    truth = entropy_bits(probabilities) / BITS_PER_NAT
    rng = np.random.default_rng(0)
    found, plugin = [], []
    for _ in range(60):
        labels = rng.choice(len(probabilities), size=samples, p=probabilities)
        joint = count_pairs(labels, labels, None)  # cells of a perfect copy are its labels
        found.append(pair_terms_nats(joint, 0.0125).mean())
        plugin.append(joint.plugin_nats)
    assert np.mean(plugin) < np.mean(found) < truth + 2 * np.std(found) / math.sqrt(60)


@pytest.mark.statistical
def test_held_out_gains_are_on_average_below_the_information():
    joint = noisy(6)
    truth = information_bits(joint) / BITS_PER_NAT
    means = []
    for seed in range(60):
        pair = discrete_pair(joint, 400, seed=seed)
        means.append(held_out_gains_nats(count_pairs(pair.x, pair.y, None), seed).mean())
    assert np.mean(means) < truth
    assert np.mean(means) > 0.5 * truth


@given(st.integers(0, 10_000), st.integers(2, 4), st.lists(st.floats(1e-3, 2.0), min_size=2, max_size=2, unique=True))
@settings(deadline=None, max_examples=25)
def test_what_is_less_certain_has_an_interval_no_narrower(seed, labels, radii):
    """Tables tilted past independence have information again: the end stays where there was least."""
    pair = discrete_pair(noisy(labels, seed), 500, seed=seed)
    joint = count_pairs(pair.x, pair.y, None)
    near, far = (_tilt(joint, radius) for radius in sorted(radii))
    # The least lies between two of sixteen tables, which differ by less than a fiftieth of a nat from it.
    assert far[0] < near[0] + 0.02 and far[1] > near[1] - 0.02


def test_a_tilted_table_lies_at_its_distance():
    pair = discrete_pair(noisy(3), 500)
    joint = count_pairs(pair.x, pair.y, None)
    down, up = _tilt(joint, 0.01)
    assert down < joint.plugin_nats < up
    assert _table_nats(joint, joint.counts[2] / 500) == pytest.approx(joint.plugin_nats)
    # To first order the way to distance r is sqrt(2 r var).
    reach = math.sqrt(2 * 1e-6 * joint.pointwise_nats.var())
    down, up = _tilt(joint, 1e-6)
    assert up - joint.plugin_nats == pytest.approx(reach, rel=0.02)
    assert joint.plugin_nats - down == pytest.approx(reach, rel=0.02)


def test_a_pair_that_never_met_by_hand():
    """Of a perfect copy of two labels, one of the two missing pairs is given its mass."""
    joint = count_pairs([0, 1] * 50, [0, 1] * 50, None)
    mass = -math.expm1(-0.02)
    table = np.array([[0.5, 0.0], [0.0, 0.5]]) * (1 - mass) + np.array([[0.0, mass], [0.0, 0.0]])
    expected = xlogy(table, table).sum() - sum(xlogy(side, side).sum() for side in (table.sum(0), table.sum(1)))
    assert _meet(joint, 0.02) == pytest.approx((expected, expected))
    full = count_pairs([0, 0, 1, 1], [0, 1, 0, 1], None)
    assert _meet(full, 0.02) == (full.plugin_nats, full.plugin_nats)


def test_a_seed_gives_its_answer_again():
    pair = copied_pair(300, 0.5, 1000)
    assert discrete_information(pair.x, pair.y, seed=3) == discrete_information(pair.x, pair.y, seed=3)
    assert discrete_information(pair.x, pair.y, seed=3) != discrete_information(pair.x, pair.y, seed=4)


def test_a_higher_confidence_is_a_wider_interval():
    for pair in (discrete_pair(noisy(3), 500), copied_pair(200, 0.5, 500)):
        near, far = (discrete_information(pair.x, pair.y, confidence=confidence) for confidence in (0.8, 0.99))
        assert far.low_bits < near.low_bits and near.high_bits < far.high_bits
        assert near.value_bits == far.value_bits


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: discrete_information([], []), "`x` must not be empty"),
        (lambda: discrete_information([1], [1]), "`x` must have at least 2 samples, got 1"),
        (lambda: discrete_information([1, 2], [1]), "`y` must have 2 labels, got 1"),
        (lambda: discrete_information([1.5, 2.0], [1, 2]), "`x` must be integers, got float64"),
        (lambda: discrete_information([1, 2], [[1, 2]]), r"`y` must have one axis, got shape \(1, 2\)"),
        (lambda: discrete_information([1, 2], [1, 2], groups=[0, 0]), "`groups` must name at least 2 groups, got 1"),
        (lambda: discrete_information([1, 2], [1, 2], groups=[0]), "`groups` must have one label for each of 2 rows"),
        (lambda: discrete_information([1, 2], [1, 2], confidence=0.0), "`confidence` must be at least 0.5"),
        (lambda: discrete_information([1, 2], [1, 2], confidence=1.0), "`confidence` must be at least 0.5 and below 1"),
        (lambda: discrete_information([1, 2], [1, 2], seed=-1), "`seed` must be a whole number"),
        (lambda: discrete_bounds([1, 2], [1]), "`y` must have 2 labels, got 1"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
