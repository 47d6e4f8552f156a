"""Entropies from counts: twins and known values of each estimator; bounds hold on their side, as often as they say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.optimize import minimize
from scipy.special import digamma, gammaln, polygamma
from scipy.stats import dirichlet

from infodil.checks import UserError
from infodil.entropy import METHODS, chao1, entropy, entropy_bounds, entropy_nats, nsb_nats
from infodil.entropy.bounds import relative_entropy_radius, widest_entropy_nats
from infodil.entropy.labels import codes_of
from infodil.sources import zipf
from infodil.statistics import group_clusters

EXAMPLE = [10, 4, 2, 2, 1, 1, 1, 0]


def slow(counts, method):
    """Each estimator as its paper writes it, one category at a time."""
    seen = [n for n in counts if n > 0]
    total, once, twice = sum(seen), seen.count(1), seen.count(2)
    if method == "plug-in":
        return -sum(n / total * math.log(n / total) for n in seen)
    if method == "miller-madow":
        return slow(counts, "plug-in") + (len(seen) - 1) / (2 * total)
    if method == "grassberger":
        # G(1) = -gamma - log 2, G(2) = 2 - gamma - log 2, G(2n + 1) = G(2n), G(2n + 2) = G(2n) + 2 / (2n + 1).
        g = [0.0, -np.euler_gamma - math.log(2), 2 - np.euler_gamma - math.log(2)]
        for n in range(3, max(seen) + 1):
            g.append(g[n - 1] if n % 2 else g[n - 2] + 2 / (n - 1))
        return math.log(total) - sum(n * g[n] for n in seen) / total
    if method == "chao-shen":
        shrunk = [(1 - once / total) * n / total for n in seen]
        return -sum(p * math.log(p) / (1 - (1 - p) ** total) for p in shrunk)
    a = 2 * twice / ((total - 1) * once + 2 * twice) if twice else 2 / ((total - 1) * (once - 1) + 2)
    a = a if once else 1.0
    first = sum(n / total * sum(1 / k for k in range(n, total)) for n in seen if n < total)
    if a == 1:
        return first
    bracket = -math.log(a) - sum((1 - a) ** r / r for r in range(1, total))
    return first + once / total * (1 - a) ** (1 - total) * bracket


@pytest.mark.parametrize("method", METHODS[:-1])
@pytest.mark.parametrize("counts", [EXAMPLE, [3, 1, 1, 1, 1], [9, 2, 2], [5], [1, 1, 2], [40, 30, 20]])
def test_each_estimator_is_its_papers_formula(method, counts):
    assert entropy_nats(counts, method) == pytest.approx(slow(counts, method), abs=1e-12)


def test_nsb_is_the_integral_over_concentrations():
    n, alphabet = np.array([5.0, 2.0, 1.0, 0.0, 0.0]), 5

    def weight(beta):
        slope = alphabet * polygamma(1, alphabet * beta + 1) - polygamma(1, beta + 1)
        rising = (gammaln(n + beta) - gammaln(beta)).sum()
        return math.exp(gammaln(alphabet * beta) - gammaln(n.sum() + alphabet * beta) + rising + 12) * slope

    def mean(beta):
        a = n + beta
        return digamma(a.sum() + 1) - (a * digamma(a + 1)).sum() / a.sum()

    ends = [0.0, 0.1, 1.0, 10.0, 1e3, 1e6]
    parts = [
        sum(quad(f, low, high, limit=400)[0] for low, high in itertools.pairwise(ends))
        for f in (weight, lambda beta: weight(beta) * mean(beta))
    ]
    assert nsb_nats(n, alphabet)[0] == pytest.approx(parts[1] / parts[0], abs=1e-5)


def test_the_deviation_of_nsb_is_that_of_draws():
    """With so many samples that the concentration hardly matters, the posterior is a Dirichlet distribution."""
    n = np.array([400.0, 250.0, 350.0])
    draws = dirichlet.rvs(n + 1, size=40_000, random_state=0)
    entropies = -(draws * np.log(draws)).sum(1)
    mean, deviation = nsb_nats(n, 3)
    assert mean == pytest.approx(entropies.mean(), abs=1e-3)
    assert deviation == pytest.approx(entropies.std(), rel=0.03)


@pytest.mark.parametrize("method", METHODS)
def test_well_sampled_estimates_are_the_entropy(method):
    p = zipf(20)
    counts = np.random.default_rng(0).multinomial(100_000, p, size=40)
    found = entropy_nats(counts, method)
    truth = -(p * np.log(p)).sum()
    # The bias that is left is at most that of the plug-in, (K - 1) / 2N.
    assert abs(found.mean() - truth) < 5 * found.std() / math.sqrt(40) + 19 / 200_000


def test_the_corrections_mend_the_plug_in():
    """One sample for three types: each correction does more than the one before."""
    p = zipf(3000)
    counts = np.random.default_rng(1).multinomial(1000, p, size=20)
    truth = -(p * np.log(p)).sum()
    short = {method: truth - float(np.mean(entropy_nats(counts, method, alphabet=3000))) for method in METHODS}
    assert short["plug-in"] > short["miller-madow"] > short["grassberger"] > short["chao-wang-jost"]
    # Half of the types were not seen, and of those that were half were seen once.
    assert abs(short["chao-wang-jost"]) < 0.3 * short["plug-in"]
    assert abs(short["nsb"]) < 0.3 * short["plug-in"]


@pytest.mark.parametrize("method", METHODS)
def test_extreme_counts_are_exact(method):
    big = 10**12
    found = float(entropy_nats([big, 1], method))
    # -(1/N) log(1/N) + 1/N to first order; every correction is of the order of 1/N, which it may add once or twice.
    assert abs(found - (math.log(big) + 1) / big) < 20 / big
    even = float(entropy_nats([big] * 4, method))
    assert even == pytest.approx(math.log(4), abs=1e-10)
    assert np.isfinite(entropy_nats(np.ones(50), method))


@pytest.mark.statistical
@given(st.lists(st.integers(0, 30), min_size=1, max_size=12).filter(any))
@settings(deadline=None, max_examples=60)
def test_order_and_empty_categories_do_not_matter(counts):
    for method in METHODS:
        shuffled = [*reversed(counts), 0, 0]
        value = entropy_nats(counts, method, alphabet=20)
        assert value == pytest.approx(entropy_nats(shuffled, method, alphabet=20), abs=1e-9)
        if method not in ("grassberger",):  # whose correction exceeds the entropy of what was always the same
            assert value >= 0
    assert entropy_nats(counts, "plug-in") <= math.log(len(counts)) + 1e-12


def test_rows_are_measured_one_by_one():
    rows = np.array([[5, 1, 0], [2, 2, 9]])
    for method in METHODS:
        both = entropy_nats(rows, method, alphabet=3)
        assert both.shape == (2,)
        assert both == pytest.approx([float(entropy_nats(row, method, alphabet=3)) for row in rows], abs=1e-12)


# ----------------------------------------------------------------------------------------------------------- bounds


def test_the_widest_entropy_is_the_optimum():
    """Twin: a general optimiser over the simplex."""
    counts, alphabet, radius = np.array([6.0, 3.0, 1.0]), 4, 0.1
    frequency = np.append(counts, 0.0) / counts.sum()

    def distance(z):
        p = np.exp(z) / np.exp(z).sum()
        return radius - sum(f * math.log(f / q) for f, q in zip(frequency, p, strict=True) if f)

    def negative(z):
        p = np.exp(z) / np.exp(z).sum()
        return float((p * np.log(p)).sum())

    start = np.log(frequency + 0.02)
    best = minimize(negative, start, method="SLSQP", constraints={"type": "ineq", "fun": distance}, tol=1e-12)
    assert widest_entropy_nats(counts, alphabet, radius) == pytest.approx(-best.fun, abs=1e-5)
    assert widest_entropy_nats(np.array([5.0, 5.0]), 2, 0.01) == math.log(2)


def test_frequencies_stray_as_seldom_as_the_radius_says():
    p, samples, failure = zipf(6), 200, 0.2
    frequency = np.random.default_rng(0).multinomial(samples, p, size=2000) / samples
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.where(frequency > 0, frequency * np.log(frequency / p), 0.0).sum(1)
    assert (distance > relative_entropy_radius(samples, 6, failure)).mean() <= failure


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("probabilities", "samples"),
    [
        ([0.99, 0.01], 100),
        ([0.5, 0.5], 30),
        (zipf(50), 200),
        (zipf(1000), 3000),
        (np.full(200, 1 / 200), 100),
        (zipf(10, 4.0), 1000),
    ],
)
def test_bounds_hold_as_often_as_they_say(probabilities, samples):
    p = np.asarray(probabilities)
    truth = -(p * np.log2(p)).sum()
    rng = np.random.default_rng(0)
    missed = []
    for _ in range(60):
        lower, upper = entropy_bounds(rng.choice(len(p), size=samples, p=p), alphabet=len(p))
        assert lower.low_bits <= lower.value_bits and upper.value_bits <= upper.high_bits <= math.log2(len(p)) + 1e-12
        missed.append((lower.low_bits > truth, upper.high_bits < truth))
    assert np.sum(missed, axis=0).max() <= 8  # five standard deviations above 3 of 60


def test_many_samples_of_few_categories_are_bounded_closely():
    labels = np.random.default_rng(0).choice(2, size=100_000, p=[0.9, 0.1])
    lower, upper = entropy_bounds(labels, alphabet=2)
    assert upper.high_bits - lower.low_bits < 0.06
    assert lower.kind == "lower bound" and upper.kind == "upper bound"


def test_groups_that_repeat_themselves_are_worth_little():
    rng = np.random.default_rng(0)
    values = rng.integers(5, size=40)
    labels, groups = np.repeat(values, 50), np.repeat(np.arange(40), 50)
    assert group_clusters(groups, 2000).design_effect(codes_of("x", labels)) == pytest.approx(50, rel=0.1)
    alone, grouped = (entropy_bounds(labels, alphabet=5, groups=each) for each in (np.arange(2000), groups))
    assert grouped[0].low_bits < alone[0].low_bits
    assert grouped[1].high_bits >= alone[1].high_bits
    lone, known, found = (entropy(labels, groups=each) for each in (np.arange(2000), groups, None))
    assert known.high_bits > lone.high_bits
    # Without groups the copies, side by side, are seen to be a series.
    assert found.high_bits > lone.high_bits and "move slowly" in found.warnings[0]
    # Independent samples that are put in groups at random lose nothing.
    fresh = rng.integers(5, size=2000)
    assert group_clusters(groups, 2000).design_effect(codes_of("x", fresh)) < 1.5


def test_the_interval_of_an_estimate_covers():
    p = zipf(20)
    truth = -(p * np.log2(p)).sum()
    rng = np.random.default_rng(3)
    found = [entropy(rng.choice(20, size=2000, p=p)) for _ in range(100)]
    inside = sum(one.low_bits <= truth <= one.high_bits for one in found)
    assert inside >= 84  # five standard deviations below 95 of 100


def test_the_method_follows_from_alphabet_and_samples():
    labels = [1, 1, 2, 3, 9]
    assert entropy(labels).method == "chao-wang-jost"
    assert entropy(labels, alphabet=5).method == "chao-wang-jost"
    seen_once = entropy(labels, alphabet=1000)
    assert seen_once.method == "nsb" and "seen once" in seen_once.warnings[0]
    assert "alphabet" in entropy_bounds(labels)[1].warnings[0]
    assert not entropy_bounds(labels, alphabet=9)[1].warnings


def test_what_never_varies_has_no_entropy():
    same = entropy([4] * 10)
    assert (same.value_bits, same.low_bits, same.high_bits) == (0.0, 0.0, 0.0) and same.warnings
    assert entropy_bounds([4] * 10)[1].high_bits == 0.0
    assert 0 < entropy_bounds([4] * 10, alphabet=2)[1].high_bits <= 1.0  # the other may be rare


def test_unseen_species_by_hand():
    assert chao1([1, 1, 1, 2, 2, 7]) == 6 + 3 * 2 / (2 * 3)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: entropy([]), "`labels` must not be empty"),
        (lambda: entropy([[1, 2]]), r"`labels` must have one axis, got shape \(1, 2\)"),
        (lambda: entropy([0.5, 1.0]), "`labels` must be integers, got float64"),
        (lambda: entropy([1, 2, 3], alphabet=2), "`alphabet` must be at least the 3 categories seen, got 2"),
        (lambda: entropy([1, 2], groups=[0]), "`groups` must have one label for each of 2 rows"),
        (lambda: entropy([1, 2], groups=[3, 3]), "`groups` must name at least 2 groups, got 1"),
        (lambda: entropy([1, 2], confidence=1.0), "`confidence` must be at least 0.5 and below 1, got 1"),
        (lambda: entropy_nats([0, 0], "plug-in"), "`counts` must not be zero everywhere"),
        (lambda: entropy_nats([1, -1], "plug-in"), "`counts` must be whole numbers of at least 0"),
        (lambda: entropy_nats([0.5], "plug-in"), "`counts` must be whole numbers"),
        (lambda: entropy_nats([], "plug-in"), "`counts` must not be empty"),
        (lambda: entropy_nats([1, 1], "nsb", alphabet=1), "`alphabet` must be at least the categories seen, got 1"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()


@pytest.mark.statistical
@pytest.mark.parametrize("sizes", [[160] * 12, [1900] + [1] * 100], ids=["equal", "one of 95%"])
def test_the_entropy_of_groups_that_differ_lies_in_its_interval(sizes):
    # Groups draw their own odds around those of all; 60 draws: four standard errors below 95% are 84%.
    law, held = np.array([0.4, 0.3, 0.2, 0.1]), 0
    group = np.repeat(np.arange(len(sizes)), sizes)
    for seed in range(60):
        rng = np.random.default_rng(seed)
        odds = rng.dirichlet(10 * law, size=len(sizes))[group].cumsum(1)
        labels = (rng.random((len(group), 1)) > odds).sum(1)
        bits = entropy(labels, groups=group)
        held += bits.low_bits <= -law @ np.log2(law) <= bits.high_bits
    assert held >= 51
