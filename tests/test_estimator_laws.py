"""One body of laws for every estimator of mutual information in the registry, and a new one that joins by a line."""

import math

import numpy as np
import pytest

from infodil.checks import UserError
from infodil.mi import ESTIMATORS, Estimator, estimate, estimators
from infodil.mi.continuous.gaussian import RawEstimate

pytestmark = pytest.mark.statistical

ROWS = 1000
RHO = 0.8
TRUTH = -0.5 * math.log2(1 - RHO**2)
"""0.737 bits, of the pair of normal variables."""

FLIP = 0.05
CHANNEL = 1 + FLIP * math.log2(FLIP) + (1 - FLIP) * math.log2(1 - FLIP)
"""0.714 bits, of a binary symmetric channel."""

NULL_BITS = 0.06
"""What estimators may read of nothing: two standard errors of neighbours at 1,000 rows."""


def normal_pair(rho=RHO, seed=0):
    x, noise = np.random.default_rng(seed).standard_normal((2, ROWS))
    return x[:, None], (rho * x + math.sqrt(1 - rho**2) * noise)[:, None]


def coin_in_noise(seed=0):
    """Labels, and their means 3.3 standard deviations apart: 0.714 bits."""
    labels = np.random.default_rng(seed).integers(0, 2, ROWS)
    return labels, (3.3 * labels + np.random.default_rng(seed + 1).standard_normal(ROWS))[:, None]


def channel(flip=FLIP, seed=0):
    labels = np.random.default_rng(seed).integers(0, 2, ROWS)
    return labels, np.where(np.random.default_rng(seed + 1).random(ROWS) < flip, 1 - labels, labels)


def coin_truth():
    grid = np.linspace(-8, 12, 4001)
    density = np.exp(-0.5 * (grid[:, None] - np.array([0, 3.3])) ** 2) / math.sqrt(2 * math.pi)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = 0.5 * density * np.log2(density / density.mean(1, keepdims=True))
    return float(np.nansum(terms) * (grid[1] - grid[0]))


PAIRS = {"vectors": normal_pair, "labels and vectors": coin_in_noise, "labels": channel}
TRUTHS = {"vectors": TRUTH, "labels and vectors": coin_truth(), "labels": CHANNEL}


@pytest.fixture(scope="module", params=[name for name, each in ESTIMATORS.items() if not each.comparison_only])
def one(request):
    """An estimator, its pair, and what it says of it."""
    estimator = ESTIMATORS[request.param]
    pair = PAIRS[estimator.variables]()
    return estimator, pair, estimate(*pair, estimator.name)


@pytest.mark.parametrize("name", [name for name, each in ESTIMATORS.items() if each.comparison_only])
def test_what_is_there_for_comparison_only_says_so(name):
    bits = estimate(*normal_pair(), name)
    assert 0.5 * TRUTH < bits.value_bits < TRUTH + 4 * NULL_BITS  # none of them is sound
    assert "comparison only" in bits.warnings[0]


def test_most_of_the_truth_is_found_and_no_more(one):
    estimator, _, bits = one
    truth = TRUTHS[estimator.variables]
    assert truth > 0.3
    assert bits.low_bits <= bits.value_bits <= bits.high_bits
    assert 0.8 * truth < bits.value_bits < truth + NULL_BITS
    assert bits.low_bits <= truth
    assert bits.kind == "lower bound" or bits.high_bits >= truth


def test_nothing_is_read_of_nothing(one):
    estimator, (x, y), _ = one
    bits = estimate(x, np.roll(y, ROWS // 2, axis=0), estimator.name)
    assert bits.value_bits < NULL_BITS and bits.low_bits <= 0.01
    assert bits.high_bits >= 0 or bits.kind == "lower bound"


def test_the_order_of_rows_is_no_news(one):
    estimator, (x, y), bits = one
    order = np.random.default_rng(3).permutation(ROWS)
    after = estimate(x[order], y[order], estimator.name, groups=order // 10)
    assert after.value_bits == pytest.approx(bits.value_bits, abs=bits.high_bits - bits.low_bits)


def test_the_same_seed_says_the_same(one):
    estimator, (x, y), bits = one
    assert estimate(x, y, estimator.name) == bits


def test_increasing_maps_of_a_column_are_no_news(one):
    estimator, (x, y), bits = one
    if not estimator.invariant_to_margins or estimator.variables == "labels":
        pytest.skip("it depends on margins" if estimator.variables != "labels" else "labels have no order")
    x = x if x.dtype.kind == "i" else np.sinh(x)
    assert estimate(x, np.exp(y), estimator.name).value_bits == pytest.approx(bits.value_bits, abs=1e-6)


def test_names_of_labels_are_no_news(one):
    estimator, (x, y), bits = one
    if estimator.variables == "vectors":
        pytest.skip("vectors have no labels")
    other = estimate(7 - 3 * x, y, estimator.name)
    assert other.value_bits == pytest.approx(bits.value_bits, abs=bits.high_bits - bits.low_bits)


# A new estimator.


def signs(sample):
    """Information of the signs of both medians: a lower bound by data processing."""
    x, y = (part.values[:, 0] > np.median(part.values[:, 0]) for part in (sample.x, sample.y))
    agree = np.mean(x == y)
    nats = math.log(2) + sum(p * math.log(p) for p in (agree, 1 - agree) if p > 0)
    return RawEstimate(nats, sample.clusters.standard_error((x == y).astype(float)), bound=True)


@pytest.fixture
def toy():
    ESTIMATORS["signs"] = Estimator("signs", signs, description="signs of both medians", sound_for="monotone pairs")
    yield
    del ESTIMATORS["signs"]


def test_a_new_estimator_is_one_line(toy):
    bits = estimate(*normal_pair(), "signs")
    assert bits.method == "signs" and bits.kind == "lower bound" and 0.2 < bits.value_bits < TRUTH
    frame = estimators().set_index("name")
    assert frame.loc["signs", "sound_for"] == "monotone pairs"
    with pytest.raises(UserError, match="did you mean 'signs'"):
        estimate(*normal_pair(), "sings")
    with pytest.raises(UserError, match="`method` must be one of"):
        estimate(*channel(), "signs")


def test_every_estimator_is_in_the_table_of_the_documentation():
    for name, estimator in ESTIMATORS.items():
        assert estimator.variables == "labels" or f'`"{name}"`' in estimate.__doc__
        assert estimator.description and estimator.sound_for
