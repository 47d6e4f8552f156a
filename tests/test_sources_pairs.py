"""What pairs and states say of their information is true: closed forms, enumeration, and densities of what is drawn."""

import itertools
import math

import numpy as np
import pytest
import torch
from scipy.integrate import quad

from infodil.channel import Channel, Code
from infodil.checks import UserError
from infodil.sources import (
    Pair,
    autoregressive_pair,
    copied_pair,
    discrete_channel,
    discrete_pair,
    ema_channel,
    entropy_bits,
    gaussian_codebook,
    iid,
    information_bits,
    markov,
    shift_register,
    sparse_pair,
    unrelated_series,
    variance_code,
    xor_code,
    zipf,
)
from infodil.sources.ema import GAUSSIAN
from infodil.traces import weights


def table(pair):
    """Frequencies of the pairs drawn."""
    joint = torch.zeros(int(pair.x.max()) + 1, int(pair.y.max()) + 1, dtype=torch.float64)
    return joint.index_put_((pair.x, pair.y), torch.ones(len(pair), dtype=torch.float64), accumulate=True) / len(pair)


def close(pair, density_bits):
    """The mean pointwise information of what was drawn is the truth, to five standard errors."""
    error = float(density_bits.std()) / math.sqrt(len(pair))
    return abs(float(density_bits.mean()) - pair.truth_bits) < 5 * error + 1e-12


# ------------------------------------------------------------------------------------------ discrete


def test_a_binary_symmetric_channel_has_its_capacity():
    channel = discrete_channel([[0.9, 0.1], [0.1, 0.9]])
    assert channel.truth_bits == pytest.approx(1 - entropy_bits(np.array([0.9, 0.1])))
    erasure = discrete_channel([[0.7, 0.3, 0.0], [0.0, 0.3, 0.7]])
    assert erasure.truth_bits == pytest.approx(0.7)


def test_pairs_are_drawn_from_their_table():
    joint = np.array([[0.1, 0.2, 0.05], [0.3, 0.05, 0.3]])
    seen = table(discrete_pair(joint, 40_000)).numpy()
    assert (abs(seen - joint) < 5 * np.sqrt(joint * (1 - joint) / 40_000)).all()
    assert discrete_pair(np.outer([0.2, 0.8], [0.5, 0.3, 0.2])).truth_bits == pytest.approx(0.0, abs=1e-15)


@pytest.mark.parametrize("copied", [0.0, 0.3, 1.0])
def test_a_copied_pair_has_the_information_of_its_table(copied):
    p = zipf(7, 1.3)
    joint = copied * np.diag(p) + (1 - copied) * np.outer(p, p)
    pair = copied_pair(7, copied, 40_000, exponent=1.3)
    assert pair.truth_bits == pytest.approx(information_bits(joint), abs=1e-12)
    assert (abs(table(pair).numpy() - joint) < 5 * np.sqrt(joint / 40_000) + 1e-12).all()


def test_a_sparse_pair_never_leaves_its_few_cells():
    pair = sparse_pair(2000, 3, 20_000, exponent=0.5)
    seen = torch.stack([pair.x, pair.y], 1).unique(dim=0)
    assert torch.bincount(seen[:, 0]).max() <= 3
    # H(Y) - H(Y|X), each at most its logarithm: the odds of successors have an entropy of at most log2(3) bits.
    assert math.log2(2000) > pair.truth_bits > entropy_bits(zipf(2000, 0.5)) - math.log2(3) - 1.0


def test_tokens_of_a_chain_beside_those_a_lag_before():
    chain = markov([[0.9, 0.1], [0.3, 0.7]], documents=3, tokens=6)
    pair = chain.pair(2)
    assert len(pair) == 3 * 4 and pair.groups.unique().tolist() == [0, 1, 2]
    assert torch.equal(pair.x.view(3, 4), chain.tokens[:, :4]) and torch.equal(pair.y.view(3, 4), chain.tokens[:, 2:])
    assert pair.truth_bits == chain.mutual_information_bits(2)
    assert iid(4, 2, 3).pair(0).truth_bits == 2.0


# ------------------------------------------------------------------------------------------ codes


def test_a_binary_signal_in_noise_is_one_integral():
    """1 - E log2(1 + exp(-2 (1 + sigma n) / sigma^2)): Cover & Thomas 2006, problem 9.2, spelled out."""
    for sigma in (0.3, 1.0, 3.0):
        loss = quad(
            lambda n, sigma=sigma: (
                math.exp(-n * n / 2) / math.sqrt(2 * math.pi) * np.logaddexp(0, -2 * (1 + sigma * n) / sigma**2)
            ),
            -12,
            12,
            epsabs=1e-12,
            limit=200,
        )[0] / math.log(2)
        found = gaussian_codebook(torch.tensor([[-1.0], [1.0]]), sigma, samples=10)
        assert found.is_exact and found.truth_bits == pytest.approx(1 - loss, abs=1e-9)


def test_a_codebook_in_more_dimensions_is_a_mean_with_its_error():
    line = torch.tensor([[-1.0], [0.2], [1.0]])
    prior = [0.5, 0.3, 0.2]
    exact = gaussian_codebook(line, 0.7, prior=prior, samples=10)
    turned = line @ torch.tensor([[0.6, 0.8, 0.0]])  # the same distances: the same information
    drawn = gaussian_codebook(turned, 0.7, prior=prior, samples=20_000)
    assert 0 < drawn.standard_error_bits < 0.01
    assert abs(drawn.truth_bits - exact.truth_bits) < 5 * drawn.standard_error_bits
    density = -0.5 * (torch.cdist(drawn.y, turned.double()) / 0.7).square()
    total = torch.logsumexp(density + torch.tensor(prior).log(), 1)
    own = density.gather(1, drawn.x[:, None])[:, 0]
    assert abs(float((own - total).mean()) / math.log(2) - exact.truth_bits) < 0.03


@pytest.mark.parametrize("sigma", [0.3, 0.8, 2.0])
def test_the_xor_code_has_the_information_of_its_posterior(sigma):
    pair = xor_code(1, sigma, samples=100_000, seed=1)
    means = torch.tanh(pair.y / sigma**2)
    even = 0.5 * (1 + means.prod(1))
    own = torch.where(pair.x == 0, even, 1 - even)
    assert close(pair, 1 + own.log2())
    assert xor_code(3, sigma, samples=2).truth_bits == pytest.approx(3 * pair.truth_bits)


def test_no_single_number_of_an_xor_code_tells_the_token():
    pair = xor_code(1, 0.3, samples=40_000, nuisance=2)
    assert pair.y.shape == (40_000, 4)
    split = torch.stack([pair.y[pair.x == bit].mean(0) for bit in (0, 1)])
    assert (split.abs() < 5 * math.sqrt((1 + 0.09) / 20_000) * 1.01).all()


def test_the_variance_code_has_the_information_of_its_densities():
    scales, prior, dim = torch.tensor([0.5, 1.0, 3.0]), [0.2, 0.5, 0.3], 3
    pair = variance_code(scales.tolist(), dim, prior=prior, samples=50_000)
    log_density = -dim * scales.log() - 0.5 * (pair.y.square().sum(1, keepdim=True) / scales**2)
    total = torch.logsumexp(log_density + torch.tensor(prior).log(), 1)
    assert close(pair, (log_density.gather(1, pair.x[:, None])[:, 0] - total) / math.log(2))
    assert abs(variance_code([1.0, 1.0], samples=2).truth_bits) < 1e-12
    assert variance_code([1.0, 1.5], 500, samples=2).truth_bits == pytest.approx(1.0, abs=1e-6)


# ------------------------------------------------------------------------------------------ traces


def enumerate_information(values, weight, sigma, lag, prior, follow):
    """A sum of one Gaussian for each sequence of tokens, on a fine grid."""
    grid = np.linspace(-4, 4, 8001)
    density = np.zeros((len(values), len(grid)))
    for sequence in itertools.product(range(len(values)), repeat=len(weight)):
        odds = prior[sequence[-1]] * math.prod(follow[old][new] for new, old in itertools.pairwise(sequence))
        mean = sum(w * values[token] for w, token in zip(weight, sequence, strict=True))
        density[sequence[lag]] += odds * np.exp(-0.5 * ((grid - mean) / sigma) ** 2)
    density /= density.sum() * (grid[1] - grid[0])
    independent = density.sum(0) * np.asarray(prior)[:, None]
    seen = density > 1e-200
    return float(np.sum(density[seen] * np.log2(density[seen] / independent[seen]))) * (grid[1] - grid[0])


@pytest.mark.parametrize("chain", [False, True])
def test_one_number_of_a_trace_by_enumeration(chain):
    values, sigma, alpha = [-1.0, 1.0, 0.25], 0.2, 0.75
    follow = [[0.8, 0.1, 0.1], [0.2, 0.5, 0.3], [0.1, 0.1, 0.8]] if chain else [[0.2, 0.5, 0.3]] * 3
    prior = np.linalg.matrix_power(follow, 200)[0]
    law = {"transition": follow} if chain else {"prior": prior}
    found = ema_channel(torch.tensor(values)[:, None], alpha, sigma, lags=[0, 1, 3], documents=1, tokens=1, **law)
    weight = weights(alpha, 7).tolist()  # what is left out weighs 0.25**7 = 6e-5, 3e-4 of the noise
    for lag, bits in zip(found.lags, found.truth_bits, strict=True):
        assert bits == pytest.approx(enumerate_information(values, weight, sigma, lag, prior, follow), abs=1e-5)


def test_a_type_that_never_stays_does_not_spoil_the_others():
    """Type 2 is left for good: its stationary probability is 0, and the two others are as without it."""
    values = torch.tensor([[-1.0], [1.0], [5.0]])
    both = [
        ema_channel(values[: len(follow)], 0.9, 0.3, transition=follow, lags=[0, 1], documents=1, tokens=1).truth_bits
        for follow in ([[0.9, 0.1], [0.3, 0.7]], [[0.9, 0.1, 0.0], [0.3, 0.7, 0.0], [0.5, 0.5, 0.0]])
    ]
    assert both[0] == pytest.approx(both[1], abs=1e-9)


def test_states_in_more_dimensions_have_the_information_of_their_line():
    """Vectors on a line in the plane, and noise across it that says nothing: one number, exactly known."""
    line = torch.tensor([[-1.0], [1.0], [0.3]])
    exact = ema_channel(line, 0.5, 0.2, documents=1, tokens=1)
    plane = ema_channel(line @ torch.tensor([[0.6, 0.8]]), 0.5, 0.2, truth_samples=8000)
    assert plane.states.shape == (10_000, 2) and plane.tokens.shape == (10_000, 4)
    for lag in range(4):
        one, other = exact.at(lag), plane.at(lag)
        assert one.is_exact and not other.is_exact
        assert abs(one.truth_bits - other.truth_bits) < 5 * other.standard_error_bits + 1e-3


def test_states_are_the_traces_of_their_tokens():
    embedding = torch.tensor([[-1.0, 0.0], [0.5, 1.0]])
    source = ema_channel(embedding, [0.9, 0.5], 1e-3, lags=range(12), documents=2, tokens=3, truth_samples=2)
    weight = torch.stack([weights(alpha, 12) for alpha in (0.9, 0.5)])
    traces = torch.einsum("sl,nld->nsd", weight, embedding.double()[source.tokens]).flatten(1)
    assert (source.states - traces).abs().max() < 6e-3 + 0.5**12  # noise, and what lies behind the lags
    assert source.groups.tolist() == [0, 0, 0, 1, 1, 1]
    assert torch.equal(source.tokens[0, :-1], source.tokens[1, 1:])


def test_what_is_not_enumerated_is_measured_in_noise():
    embedding, weight = torch.tensor([[-1.0], [1.0]]), weights(0.5, 40)[None]
    channel = Channel(Code(embedding, weight), 0.1, window=3)
    behind = math.sqrt(float(weight[0, 3:].square().sum()))  # of independent signs
    assert channel.older_deviation() == pytest.approx(behind / 0.1)
    assert Channel(Code(embedding, weight[:, :3]), 0.1).older_deviation() == 0.0
    assert 0 < GAUSSIAN < 1


def test_a_shift_register_knows_all_and_then_what_the_chain_lets_on():
    chain = markov(vocabulary=3, documents=4, tokens=9, seed=2)
    register = shift_register(chain, 2, lags=[0, 1, 2, 4])
    assert register.states.shape == (4 * 5, 6)
    assert torch.equal(register.states.view(-1, 2, 3).argmax(2), register.tokens[:, :2])
    expected = [chain.entropy_bits, chain.entropy_bits, *(chain.mutual_information_bits(lag) for lag in (1, 3))]
    assert register.truth_bits == pytest.approx(expected)


# ------------------------------------------------------------------------------------------ series


def test_an_autoregressive_pair_is_as_correlated_as_it_says():
    pair = autoregressive_pair(0.6, 0.9, dim=2, documents=4000, tokens=5)
    assert pair.truth_bits == pytest.approx(-math.log2(1 - 0.36))
    both = torch.stack([pair.x, pair.y]).view(2, 4000, 5, 2)
    for position in (0, 4):  # stationary from the first sample on
        drawn = both[:, :, position].permute(0, 2, 1).flatten(0, 1)
        expected = torch.kron(torch.tensor([[1.0, 0.6], [0.6, 1.0]]), torch.eye(2))
        assert (drawn.cov() - expected).abs().max() < 5 * math.sqrt(2 / 4000)
    lagged = (both[:, :, 1:] * both[:, :, :-1]).mean((1, 2))
    assert (lagged - 0.9).abs().max() < 5 * math.sqrt(3 / 4000)


@pytest.mark.parametrize("kind", ["autoregressive", "smooth"])
@pytest.mark.parametrize("vocabulary", [3, None])
def test_unrelated_series_are_slow(kind, vocabulary):
    null = unrelated_series(vocabulary, 0.95, kind=kind, documents=50, tokens=200, dim=2)
    assert null.truth_bits == 0.0
    states = null.y.view(50, 200, 2)
    near, power = (states[:, 1:] * states[:, :-1]).mean(), states.square().mean()
    assert near / power > 0.9
    if vocabulary:
        tokens = null.x.view(50, 200)
        assert (tokens[:, 1:] == tokens[:, :-1]).double().mean() > 0.9
        assert torch.bincount(null.x).min() > 0.2 * len(null)
    else:
        assert null.x.shape == null.y.shape


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: discrete_pair([[0.5, 0.0], [0.2, 0.3]], 50, seed=seed),
        lambda seed: copied_pair(8, 0.5, 50, seed=seed),
        lambda seed: sparse_pair(20, 3, 50, seed=seed),
        lambda seed: gaussian_codebook(torch.eye(3), 1.0, samples=50, truth_samples=50, seed=seed),
        lambda seed: xor_code(samples=50, seed=seed),
        lambda seed: variance_code(samples=50, seed=seed),
        lambda seed: ema_channel(torch.eye(2), 0.5, 0.3, truth_samples=50, seed=seed).at(1),
        lambda seed: autoregressive_pair(seed=seed),
        lambda seed: unrelated_series(seed=seed),
    ],
)
def test_a_seed_gives_its_samples_again(make):
    first, again, other = make(1), make(1), make(2)
    assert isinstance(first, Pair) and len(first) == len(first.x) == len(first.y)
    assert torch.equal(first.x, again.x) and torch.equal(first.y, again.y)
    assert first.truth_bits == again.truth_bits
    assert not (torch.equal(first.x, other.x) and torch.equal(first.y, other.y))


SIGNS = torch.tensor([[-1.0], [1.0]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: discrete_pair([[0.5, 0.6]]), "`joint` must sum to 1, got 1.1"),
        (lambda: discrete_pair([[0.5, -0.5]]), "`joint` must be a table of finite non-negative numbers"),
        (lambda: discrete_pair([[1.0]], 0), "`samples` must be a whole number of at least 1, got 0"),
        (lambda: discrete_channel([[0.5, 0.5], [0.5, 0.4]]), "`channel` row 1 must sum to 1, got 0.9"),
        (lambda: discrete_channel([[0.5, 0.5]], [0.5]), "`prior` must be 1 non-negative numbers whose sum is 1"),
        (lambda: copied_pair(3, 1.5), "`copied` must be at least 0 and at most 1, got 1.5"),
        (lambda: copied_pair(3, exponent=-1.0), "`exponent` must be finite and at least 0"),
        (lambda: sparse_pair(3, 4), "`degree` must be at most the vocabulary of 3, got 4"),
        (lambda: gaussian_codebook(SIGNS, 0.0), "`sigma` must be finite and above 0, got 0.0"),
        (lambda: gaussian_codebook(SIGNS, 1e-6), "`sigma` must be at least"),
        (lambda: gaussian_codebook(SIGNS[:1], 1.0), "`codebook` must be finite, of at least 2 vectors"),
        (lambda: gaussian_codebook(SIGNS, 1.0, prior=[1.0, 0.0]), "`prior` must be 2 probabilities above 0"),
        (lambda: xor_code(0), "`bits` must be a whole number of at least 1"),
        (lambda: variance_code([1.0]), "`scales` must be at least 2 finite numbers above 0"),
        (lambda: ema_channel(SIGNS, 0.5, 0.0), "`sigma` must be above 0, got 0"),
        (lambda: ema_channel(SIGNS, 1.5, 0.1), "`alpha` must be above 0.0 and at most 1.0, got 1.5"),
        (lambda: ema_channel(SIGNS, 0.5, 0.1, lags=[]), "`lags` must not be empty"),
        (lambda: ema_channel(SIGNS[:1], 0.5, 0.1), "`embedding` must have at least 2 types, got 1"),
        (lambda: ema_channel(SIGNS * float("nan"), 0.5, 0.1), "`embedding` must be finite"),
        (lambda: ema_channel(torch.eye(8), 0.1, 0.01), "`sigma` must be at least .* to be enumerated, got 0.01"),
        (
            lambda: ema_channel(torch.eye(8), 0.5, 0.05, lags=[0, 7]),
            "`lags` must be below 6 to be enumerated .*, got 7",
        ),
        (lambda: ema_channel(SIGNS, 0.5, 0.1, documents=1, tokens=1).at(9), "`lag` must be one of .*, got 9"),
        (lambda: shift_register(iid(2, 1, 3), 4), "`source` must have documents of more than 3 tokens, got 3"),
        (lambda: shift_register(iid(2, 1, 9), 2, embedding=torch.ones(2, 1)), "`embedding` must have 2 distinct"),
        (lambda: iid(2, 1, 3).pair(3), "`lag` must be below the 3 tokens of a document, got 3"),
        (lambda: autoregressive_pair(1.0), r"`correlation` must lie within \(-1, 1\), got 1.0"),
        (lambda: unrelated_series(persistence=1.0), "`persistence` must be at least 0 and below 1, got 1.0"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
