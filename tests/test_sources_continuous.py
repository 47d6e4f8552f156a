"""Continuous truths: published values, densities of what is drawn, and maps that change nothing."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy import stats
from scipy.integrate import quad

from infodil.checks import UserError
from infodil.estimate import BITS_PER_NAT
from infodil.sources import (
    BEYOND_NORMAL,
    asinh,
    beyond_normal,
    bimodal,
    half_cube,
    normal_cdf,
    normal_pair,
    paired_correlation,
    spiral,
    student_pair,
    swiss_roll,
    transform,
    uniform_noise,
    uniform_steps,
    wiggly_x,
    wiggly_y,
    zero_inflated_poisson,
)

# Nats, as printed by benchmark-mi (Czyz et al. 2023), version 1 of its tasks.
PUBLISHED = {
    "normal 1x1": 0.413,
    "additive noise 0.1": 1.709,
    "additive noise 0.75": 0.333,
    "student 1x1 df 1": 0.224,
    "asinh student 1x1 df 1": 0.224,
    "swiss roll 2x1": 0.413,
    "normal 5x5 dense": 0.593,
    "normal 25x25 dense": 1.292,
    "normal 50x50 dense": 1.624,
    "normal 3x3 2-pair": 1.022,
    "half-cube 25x25 2-pair": 1.022,
    "normal-cdf 25x25 2-pair": 1.022,
    "spiral 3x3 2-pair": 1.022,
    "spiral 25x25 2-pair": 1.022,
    "student 5x5 df 2": 0.448,
    "asinh student 5x5 df 2": 0.448,
}


@pytest.mark.parametrize("task", PUBLISHED)
def test_the_benchmark_has_its_published_values(task):
    assert round(beyond_normal(task, 10).truth_bits / BITS_PER_NAT, 3) == PUBLISHED[task]


@pytest.mark.parametrize("task", BEYOND_NORMAL)
def test_every_task_draws_finite_pairs(task):
    pair = beyond_normal(task, 50, seed=1)
    assert len(pair) == 50 and pair.is_exact
    assert torch.isfinite(pair.x).all() and torch.isfinite(pair.y).all()
    assert torch.equal(pair.x, beyond_normal(task, 50, seed=1).x)


def test_a_normal_pair_is_drawn_with_its_covariance():
    covariance = np.array([[2.0, 0.5, 0.3], [0.5, 1.0, 0.4], [0.3, 0.4, 1.5]])
    pair = normal_pair(covariance, 2, 50_000)
    seen = torch.cat([pair.x, pair.y], 1).T.cov().numpy()
    scale = np.sqrt(np.outer(np.diag(covariance), np.diag(covariance)))
    assert (abs(seen - covariance) < 5 * scale * math.sqrt(2 / 50_000)).all()
    dets = [np.linalg.det(part) for part in (covariance[:2, :2], covariance[2:, 2:], covariance)]
    assert pair.truth_bits == pytest.approx(0.5 * math.log2(dets[0] * dets[1] / dets[2]))


@pytest.mark.parametrize(("dim_x", "dim_y", "df"), [(1, 1, 1), (2, 3, 2), (3, 1, 5.5)])
def test_student_samples_carry_their_information(dim_x, dim_y, df):
    """The mean of the log-density ratio of what was drawn, with densities of scipy."""
    dispersion = 0.7 * np.eye(dim_x + dim_y) + 0.3
    pair = student_pair(df, dispersion, dim_x, 40_000)
    both = torch.cat([pair.x, pair.y], 1).numpy()
    parts = [slice(None), slice(0, dim_x), slice(dim_x, None)]
    joint, x, y = (
        stats.multivariate_t(shape=dispersion[part, part], df=df).logpdf(both[:, part].squeeze()) for part in parts
    )
    terms = (joint - x - y) * BITS_PER_NAT
    assert abs(terms.mean() - pair.truth_bits) < 5 * terms.std() / math.sqrt(len(terms))


@pytest.mark.parametrize("width", [0.1, 0.5, 0.75, 3.0])
def test_uniform_noise_is_the_entropy_of_the_sum_less_that_of_the_noise(width):
    def density(y):
        return max(0.0, min(1.0, y + width) - max(0.0, y - width)) / (2 * width)

    ends = sorted({-width, 1 - width, width, 1 + width})
    entropy = sum(
        quad(lambda y: -density(y) * math.log2(density(y) or 1.0), low, high)[0]
        for low, high in itertools.pairwise(ends)
    )
    assert uniform_noise(width, 10).truth_bits == pytest.approx(entropy - math.log2(2 * width), abs=1e-6)


@pytest.mark.statistical
def test_zero_inflation_hides_which_zeros_were_counts():
    """Twin: the sum over counts of adaptive integrals. The published (1 - p) 0.3012 nats holds at p = 0 alone."""
    for zeros in (0.0, 0.15, 0.5):

        def pointwise(rate, count, zeros=zeros):
            given = (1 - zeros) * stats.poisson.pmf(count, rate) + zeros * (count == 0)
            total = (1 - zeros) * 0.5 ** (count + 1) + zeros * (count == 0)
            return math.exp(-rate) * given * math.log2(given / total) if given > 0 else 0.0

        bits = sum(quad(pointwise, 0, 60, args=(count,), limit=200)[0] for count in range(40))
        assert zero_inflated_poisson(zeros, 10).truth_bits == pytest.approx(bits, abs=1e-6)
    assert zero_inflated_poisson(0.15).truth_bits == pytest.approx(0.3315, abs=5e-5)
    assert zero_inflated_poisson(0.0).truth_bits == pytest.approx(0.3012 * BITS_PER_NAT, abs=2e-4)


def test_zeros_are_as_many_as_they_should_be():
    pair = zero_inflated_poisson(0.4, 20_000)
    share = float((pair.y == 0).double().mean())
    expected = 0.4 + 0.6 * 0.5  # an exponential rate makes counts geometric
    assert abs(share - expected) < 5 * math.sqrt(expected * (1 - expected) / 20_000)


def test_uniform_steps_overlap_by_half():
    pair = uniform_steps(4, 20_000)
    above = pair.y[:, 0] - pair.x
    assert (above >= 0).all() and (above < 2).all()
    assert pair.truth_bits == pytest.approx(2 - 3 / 4)


# ------------------------------------------------------------------------------------------ maps


@pytest.mark.parametrize("mapping", [half_cube, asinh, wiggly_x, wiggly_y, bimodal(0.3, 0.0, 5.0)])
def test_maps_of_a_number_rise(mapping):
    grid = torch.linspace(-4, 4, 2001, dtype=torch.float64)[:, None]
    assert (mapping(grid).diff(dim=0) > 0).all()


def test_margins_are_what_they_say():
    x = normal_pair(0.0, samples=20_000).x
    assert stats.kstest(normal_cdf(x)[:, 0].numpy(), "uniform").pvalue > 1e-4
    mixture = stats.norm.cdf
    mapped = bimodal(0.3, 0.0, 5.0)(x)[:, 0].numpy()
    assert stats.kstest(mapped, lambda value: 0.3 * mixture(value) + 0.7 * mixture(value - 5)).pvalue > 1e-4


def test_a_spiral_turns_and_nothing_else():
    x = torch.randn(100, 4, dtype=torch.float64)
    turned = spiral((1, 2))(x)
    torch.testing.assert_close(turned.norm(dim=1), x.norm(dim=1))
    assert torch.equal(turned[:, [0, 3]], x[:, [0, 3]])
    # Lengths are kept, so that the map back turns by the same angle the other way.
    torch.testing.assert_close(spiral((2, 1))(turned), x)
    generator = torch.zeros(4, 4, dtype=torch.float64)
    generator[1, 2], generator[2, 1] = -1.0, 1.0
    one = torch.matrix_exp(generator * x[0].square().sum() / 4) @ x[0]
    torch.testing.assert_close(turned[0], one)


def test_the_swiss_roll_does_not_meet_itself():
    rolled = swiss_roll(torch.linspace(0, 1, 500, dtype=torch.float64)[:, None])
    radius = rolled.norm(dim=1)
    assert (radius.diff() > 0).all()
    assert float(radius[-1]) == pytest.approx(4.5 * math.pi / 21)


def test_a_map_keeps_the_other_variable_and_the_truth():
    pair = normal_pair(0.75, samples=20)
    mapped = transform(pair, x=torch.sinh)
    assert torch.equal(mapped.y, pair.y) and mapped.truth_bits == pair.truth_bits
    torch.testing.assert_close(mapped.x, pair.x.sinh())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: normal_pair(1.0), "`covariance` must be positive definite"),
        (lambda: normal_pair([[1.0, 0.2], [0.3, 1.0]]), "`covariance` must be a symmetric matrix"),
        (lambda: normal_pair(0.5, 2), "`dim_x` must leave a number to y, got 2 of 2"),
        (lambda: student_pair(0), "`df` must be finite and above 0, got 0"),
        (lambda: student_pair(2, [[1.0]], 1), "`dim_x` must leave a number to y"),
        (lambda: paired_correlation(2, 3, pairs=3), "`pairs` must be at most the smaller of 2 and 3"),
        (lambda: uniform_noise(0.0), "`width` must be finite and above 0"),
        (lambda: uniform_steps(0), "`steps` must be a whole number of at least 1"),
        (lambda: zero_inflated_poisson(1.0), "`zeros` must be below 1"),
        (lambda: zero_inflated_poisson(-0.1), "`zeros` must be at least 0"),
        (lambda: transform(normal_pair(0.5), x=torch.log), "`x` must map to as many finite samples"),
        (lambda: spiral((0, 1))(torch.zeros(3, 1)), r"`plane` must be dimensions below 1, got \(0, 1\)"),
        (lambda: beyond_normal("normal 1x2"), "`task` must be one of .* did you mean 'normal 1x1'"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
