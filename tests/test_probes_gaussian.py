"""The Gaussian reader's covariances: what only the spread of the states says, and nothing where there is nothing."""

import math

import pytest
import torch
from gaussian_cases import bits_of, codebook, exclusive_or, nothing, plain_classes, read, true_bits, variances
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import MultivariateNormal

from infodil.probes import cross_entropy_nats, fit_class_map, fit_temperature
from infodil.probes.gaussian.class_sums import ClassSums, Moments
from infodil.probes.gaussian.covariance_contrasts import ContrastSearch
from infodil.probes.gaussian.quadratic_discriminant import (
    QuadraticOptions,
    coefficients,
    expand,
    fit_quadratic,
    positive_definite,
)
from infodil.probes.reservoir import Reservoir


def share_read(source, rows, **options):
    """What the reader reads, the truth and its error, in bits."""
    reader = read(source(rows, seed=1, **options), source(4096, seed=2, **options))
    states, tokens, fit = source(20_000, seed=3, **options)
    return bits_of(reader, states, tokens), *true_bits(fit, tokens)


@pytest.mark.parametrize("dim", [1, 16, 64])
def test_what_only_the_variance_says_is_read(dim):
    bits, truth, error = share_read(variances, 50_000, dim=dim)
    assert 0.95 * truth - 3 * error < bits < truth + 3 * error


@pytest.mark.parametrize("dim", [16, 64])
def test_exclusive_or_is_read(dim):
    bits, truth, error = share_read(exclusive_or, 50_000, dim=dim)
    assert 0.9 * truth - 3 * error < bits < truth + 3 * error


def test_variance_and_mean_together_are_read():
    bits, truth, error = share_read(variances, 50_000, dim=32, classes=12, means=1.0)
    assert 0.95 * truth - 3 * error < bits < truth + 3 * error


def test_the_affine_part_stays_what_it_was():
    # Readers that start from it take `temperatures * linear`.
    held = variances(4096, 16, 2, means=1.0)
    reader = read(variances(20_000, 16, 1, means=1.0), held)
    base = reader.spec.classes.class_log_prior
    assert reader.quadratic[0] is not None
    affine = fit_temperature(base, reader.linear.scores(held[0], 0), held[1])
    assert reader.temperatures[0] == pytest.approx(affine[0], rel=1e-6)
    whole = cross_entropy_nats(base + reader.temperatures[0] * reader.scores(held[0], 0), held[1])
    assert whole < affine[1] - 0.05
    blind = read(variances(20_000, 16, 1), variances(4096, 16, 2))
    assert blind.temperatures[0] > 0 and not blind.linear.weight.any() and not blind.linear.bias.any()


@pytest.mark.statistical
def test_nothing_reads_nothing_and_suspects_nothing():
    used, bits = 0, []
    for seed in range(100):
        reader = read(nothing(3000, 12, seed), nothing(1000, 12, seed + 1000))
        used += reader.quadratic[0] is not None
        bits.append(bits_of(reader, *nothing(2000, 12, seed + 2000)))
    assert used == 0
    assert sum(abs(value) < 1e-6 for value in bits) >= 98 and min(bits) > -0.02


@pytest.mark.parametrize("seed", range(5))
def test_a_shared_covariance_leaves_the_reader_affine(seed):
    states, tokens, _ = codebook(8000, 20, 8, 1.0, seed)
    reader = read((states, tokens), codebook(3000, 20, 8, 1.0, seed + 50))
    assert reader.quadratic == [None]
    assert torch.equal(reader.scores(states[:50], 0), reader.linear.scores(states[:50], 0))


@pytest.mark.parametrize("seed", range(5))
def test_heavy_tails_are_not_taken_for_a_code(seed):
    # A trace of rare tokens: hardly ever far from its mean in some direction, and then very far.
    generator = torch.Generator().manual_seed(seed)
    weights = 1.0 / torch.arange(1.0, 201.0)
    tokens = torch.multinomial(weights, 3 * 8000, replacement=True, generator=generator).view(3, 8000)
    codes = torch.randn(200, 96, generator=torch.Generator().manual_seed(0)) / 96**0.5
    states = torch.einsum("k,knd->nd", torch.tensor([0.5, 0.25, 0.125]), codes[tokens])
    states = (states - states.mean(0)) / states.std(0)
    counts = torch.bincount(tokens[1], minlength=200)
    classes = fit_class_map(counts, counts)
    labels = classes.of_type[tokens[1]]
    reader = read((states[:6000], labels[:6000]), (states[6000:], labels[6000:]), classes)
    assert reader.quadratic == [None] and reader.temperatures[0] > 0


def test_each_target_has_its_own_answer():
    states, tokens, _ = variances(20_000, 8, 1)
    held, known, _ = variances(4096, 8, 2)
    generator = torch.Generator().manual_seed(4)
    labels = torch.stack([torch.randint(8, (20_000,), generator=generator), tokens])
    labels[1, :3000] = -1
    reader = read((states, labels), (held, torch.stack([known.roll(1), known])))
    assert reader.quadratic[0] is None and reader.quadratic[1] is not None
    assert reader.temperatures[0] == 0.0


def test_quadratic_evidence_is_the_ratio_of_normal_densities():
    generator = torch.Generator().manual_seed(0)
    root, means = torch.randn(5, 3, 3, generator=generator).double(), torch.randn(5, 3, generator=generator).double()
    sums, counts = 40.0 * root @ root.transpose(1, 2), torch.full((5,), 40.0).double()
    u = torch.randn(50, 3, generator=generator)
    own = (sums + 10.0 * torch.eye(3)) / 50.0
    twin = [MultivariateNormal(means[c], own[c]).log_prob(u.double()) for c in range(5)]
    shared = [MultivariateNormal(means[c], torch.eye(3).double()).log_prob(u.double()) for c in range(5)]
    ours = expand(u, torch.full((3,), 9.0)) @ coefficients(sums, counts, means, 10.0)
    torch.testing.assert_close(ours.double(), torch.stack(twin, 1) - torch.stack(shared, 1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("rows", [1, 7, 60])
@pytest.mark.parametrize("kind", ["constant", "one class", "random"])
def test_too_little_to_see_breaks_nothing(rows, kind):
    states, tokens = nothing(rows, 5, 0, classes=1 if kind == "one class" else 3)
    states = torch.zeros_like(states) if kind == "constant" else states
    reader = read((states, tokens), (states, tokens), plain_classes(3), curve=True)
    assert reader.quadratic == [None]
    assert reader.temperatures == [0.0] or reader.scores(states, 0).isfinite().all()
    assert len(reader.learning[0].bits) <= 5


@pytest.mark.parametrize("rounded", [-1e-7, 0.0, 1e-7])
def test_a_direction_that_stands_still_adds_no_evidence(rounded):
    """Its variance, a sum of sums in float32, is zero up to rounding, which may be of either sign."""
    labels = torch.arange(600) % 2
    states = torch.stack([2.0 * labels - 1.0, torch.zeros(600)], 1)
    counts, means = torch.tensor([300.0, 300.0]).double(), torch.tensor([[-1.0, 0.0], [1.0, 0.0]]).double()
    total = torch.diag(torch.tensor([1.0, rounded]).double())
    moments = Moments(counts, torch.zeros(2).double(), means, total, total.diagonal().mean())
    weight = torch.tensor([[-50.0, 50.0], [0.0, 0.0]])  # leaves nothing to be gained
    held_out = states, labels, states @ weight
    still = torch.tensor([[0.0], [1.0]])
    options = (ContrastSearch(), QuadraticOptions())
    assert (
        fit_quadratic(still, moments, (states, labels), (weight, 1e-6, 1.0), torch.zeros(2), held_out, *options) is None
    )


@pytest.mark.statistical
def test_a_sample_is_uniform_whatever_the_chunks():
    hits, rows = torch.zeros(400), torch.arange(400.0)[:, None]
    for seed in range(500):
        sample = Reservoir(40, 400, 1, 1, seed)
        for first, last in ((0, 7), (7, 250), (250, 251), (251, 400)):
            sample.update(rows[first:last], rows[first:last, 0].long()[None])
        assert torch.equal(sample.states[:, 0].long(), sample.labels[0]) and len(sample.labels[0].unique()) >= 38
        hits[sample.labels[0]] += 1
    # Each row is kept 50 times with a standard error of 6.7; the mean of many rows has a smaller one.
    assert float(hits.sub(50).abs().max()) < 5 * 6.7
    for part in (hits[:7], hits[7:250], hits[251:]):
        assert float(part.mean()) == pytest.approx(50, abs=4 * 6.7 / len(part) ** 0.5)


@given(st.integers(2, 12), st.floats(1e-7, 1e3), st.integers(0, 2**31))
@settings(max_examples=40)
def test_what_rounding_takes_from_a_covariance_is_put_back(dim, rounding, seed):
    """Whatever is subtracted from a covariance, a factor is found; a covariance that has one stays as it is."""
    generator = torch.Generator().manual_seed(seed)
    root = torch.randn(dim, dim, generator=generator, dtype=torch.float64)
    whole = root @ root.T + 1e-3 * torch.eye(dim)
    same, factor = positive_definite(whole, 1e-4)
    assert torch.equal(same, whole) and torch.allclose(factor @ factor.T, whole)
    gone = whole - rounding * torch.outer(root[0], root[0])
    kept, factor = positive_definite(gone, 1e-4)
    values, axes = torch.linalg.eigh(gone)
    assert torch.allclose(factor @ factor.T, kept, rtol=1e-6, atol=1e-9 * float(values.abs().max()))
    # The nearest: directions in which it was positive keep their variance.
    sure = values > 1e-3 * values.abs().mean()
    assert torch.allclose(((kept @ axes) * axes).sum(0)[sure], values[sure], rtol=1e-6)


def test_a_state_that_tells_every_class_exactly_leaves_nothing_within():
    """Within the classes all is rounding, of either sign, once the means are far apart in one direction."""
    labels = torch.arange(4000) % 8
    codes = torch.randn(8, 6, generator=torch.Generator().manual_seed(0)) * torch.tensor([300.0, 1, 1, 1, 1, 1])
    states = codes[labels]
    sums = ClassSums(6, 1, 8)
    sums.update(states, labels[None])
    moments = sums.compute(0)
    first = moments.means[0]
    total = moments.total - 0.2 * torch.outer(first, first) / first.square().sum()  # as sums of 200,000 rows round
    weight = torch.randn(6, 8, generator=torch.Generator().manual_seed(1))
    held_out = (states, labels, states @ weight)
    options = (ContrastSearch(), QuadraticOptions())
    moments = moments._replace(total=total)
    found = fit_quadratic(
        torch.eye(6)[:, :2], moments, (states, labels), (weight, 1e-6, 1.0), torch.zeros(8), held_out, *options
    )
    assert found is None or all(map(math.isfinite, (found[1], found[0].affine)))
