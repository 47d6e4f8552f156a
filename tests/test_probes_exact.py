"""Enumeration: equal to a plain loop over sequences, certain without noise, calibrated, and right about its bits."""

import itertools
import math
from dataclasses import dataclass

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import multivariate_normal

from infodil.channel import Channel, Code, channel_information, rounding_sigma
from infodil.checks import UserError
from infodil.probes import Calibration, Exact, ProbeFit, ProbeSpec, cross_entropy_nats, fit_class_map
from infodil.probes.exact import exact
from infodil.sources import markov
from infodil.traces import ema_bank, weights

CPU = torch.device("cpu")


def vectors(vocabulary, dim, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(vocabulary, dim, generator=generator, dtype=torch.float64) / math.sqrt(dim)


def bank(alphas, tokens):
    return torch.stack([weights(alpha, tokens) for alpha in alphas])


def send(embedding, weight, sigma, tokens, seed=1):
    """States `[samples, scales, dim]` of tokens by lag `[samples, lags]`, with noise."""
    clean = torch.einsum("sk,nkd->nsd", weight, embedding[tokens])
    noise = torch.randn(clean.shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return clean + sigma * noise


def brute_force(states, embedding, weight, sigma, prior, transition=None, lags=None):
    """The definition, spelled out: `[samples, lags, vocabulary]`."""
    vocabulary, tokens = len(embedding), weight.shape[1]
    lags = range(tokens) if lags is None else lags
    length = max(tokens, *(lag + 1 for lag in lags))
    answer = np.zeros((len(states), len(lags), vocabulary))
    for row, state in enumerate(states.numpy()):
        logs = {}
        for sequence in itertools.product(range(vocabulary), repeat=length):
            mean = sum(np.outer(weight[:, k], embedding[sequence[k]]) for k in range(tokens))
            log = -((state - mean) ** 2).sum() / (2 * sigma**2) + math.log(prior[sequence[-1]])
            for newer, older in itertools.pairwise(sequence):
                log += math.log(prior[newer] if transition is None else transition[older][newer])
            logs[sequence] = log
        best = max(logs.values())
        for sequence, log in logs.items():
            for column, lag in enumerate(lags):
                answer[row, column, sequence[lag]] += math.exp(log - best)
    return answer / answer.sum(2, keepdims=True)


def dense(decoding):
    return torch.stack([decoding.posterior(column) for column in range(len(decoding.lags))], 1)


# ------------------------------------------------------------------------------------------- against the definition


@pytest.mark.parametrize(
    ("vocabulary", "tokens", "dim", "alphas", "sigma"),
    [(2, 5, 1, [0.3], 0.05), (3, 4, 6, [0.4], 0.2), (4, 3, 2, [0.5, 0.2], 0.1), (3, 3, 5, [0.6, 0.3], 1e-3)],
)
def test_it_is_bayes_rule(vocabulary, tokens, dim, alphas, sigma):
    embedding, weight = vectors(vocabulary, dim), bank(alphas, tokens)
    prior = torch.arange(1.0, vocabulary + 1) / sum(range(1, vocabulary + 1))
    sent = torch.randint(vocabulary, (5, tokens))
    states = send(embedding, weight, sigma, sent)
    decoding = exact(states, embedding, weight, lags=range(tokens), prior=prior, sigma=sigma)
    expected = brute_force(states, embedding, weight, sigma, prior.tolist())
    np.testing.assert_allclose(dense(decoding), expected, atol=1e-8)
    np.testing.assert_allclose(decoding.mass.sum(2), 1.0, atol=1e-12)
    np.testing.assert_allclose(
        decoding.log_probs(sent).exp(), np.take_along_axis(expected, sent.numpy()[..., None], 2)[..., 0], atol=1e-8
    )
    if len(alphas) == 1:
        flat = exact(states[:, 0], embedding, weight[0], lags=range(tokens), prior=prior, sigma=sigma)
        torch.testing.assert_close(flat.mass, decoding.mass)


def test_tokens_of_a_chain_are_told_by_their_neighbours():
    chain = markov(vocabulary=3, documents=4, tokens=5, concentration=0.7, seed=3)
    embedding, weight = vectors(3, 2), bank([0.5, 0.3], 3)
    states = send(embedding, weight, 0.2, chain.tokens.flip(1)[:, :3])
    decoding = exact(
        states, embedding, weight, lags=[0, 1, 2, 3, 4], sigma=0.2, transition=torch.from_numpy(chain.transition)
    )
    expected = brute_force(
        states, embedding, weight, 0.2, chain.stationary.tolist(), chain.transition.tolist(), range(5)
    )
    np.testing.assert_allclose(dense(decoding), expected, atol=1e-8)
    np.testing.assert_allclose(decoding.log_prior.exp(), chain.stationary, atol=1e-12)


def test_a_chain_is_felt_across_a_lag_of_no_weight():
    chain = markov(vocabulary=2, documents=4, tokens=3, seed=5)
    embedding, weight = vectors(2, 3), torch.tensor([[0.5, 0.0, 0.25]], dtype=torch.float64)
    states = send(embedding, weight, 0.3, chain.tokens.flip(1))
    decoding = exact(states, embedding, weight, lags=[1, 0, 2], sigma=0.3, transition=chain.transition)
    expected = brute_force(states, embedding, weight, 0.3, chain.stationary.tolist(), chain.transition.tolist())
    np.testing.assert_allclose(dense(decoding), expected[:, [1, 0, 2]], atol=1e-8)


def test_a_lag_of_no_weight_keeps_the_prior():
    embedding, weight = vectors(3, 4), torch.tensor([0.0, 0.5, 0.0, 0.2], dtype=torch.float64)
    prior = [0.5, 0.3, 0.2]
    states = send(embedding, weight[None], 0.1, torch.randint(3, (6, 4)))[:, 0]
    decoding = exact(states, embedding, weight, lags=[0, 1, 2, 3, 9], prior=prior, sigma=0.1)
    expected = brute_force(states[:, None], embedding, weight[None], 0.1, prior)
    np.testing.assert_allclose(dense(decoding)[:, :4], expected, atol=1e-8)
    assert decoding.rest[:, [0, 2, 4]].min() == 1.0
    np.testing.assert_allclose(decoding.log_probs(torch.ones(6, 5, dtype=int))[:, [0, 2, 4]].exp(), 0.3, atol=1e-12)


def test_a_state_near_the_start_holds_no_more_than_it_has_seen():
    embedding, weight, sigma = vectors(3, 2), bank([0.4], 4), 0.1
    sent, seen = torch.randint(3, (8, 4)), torch.tensor([1, 2, 3, 4, 4, 3, 2, 1])
    states = torch.cat([send(embedding, weight[:, :s], sigma, sent[i : i + 1, :s]) for i, s in enumerate(seen)])
    decoding = exact(states, embedding, weight, lags=range(4), sigma=sigma, seen=seen)
    for row, count in enumerate(seen.tolist()):
        expected = brute_force(states[row : row + 1], embedding, weight[:, :count], sigma, [1 / 3] * 3)
        np.testing.assert_allclose(dense(decoding)[row, :count], expected[0], atol=1e-8)
        assert (decoding.rest[row, count:] == 1.0).all()


def test_a_chain_near_the_start_has_no_older_tokens():
    chain = markov(vocabulary=2, documents=3, tokens=2, seed=1)
    embedding, weight = vectors(2, 2), bank([0.5], 4)
    states = send(embedding, weight[:, :2], 0.2, chain.tokens.flip(1))
    decoding = exact(states, embedding, weight, lags=range(6), sigma=0.2, transition=chain.transition, seen=[2, 2, 2])
    expected = brute_force(states, embedding, weight[:, :2], 0.2, chain.stationary.tolist(), chain.transition.tolist())
    np.testing.assert_allclose(dense(decoding)[:, :2], expected, atol=1e-8)
    assert (decoding.rest[:, 2:] == 1.0).all()


# --------------------------------------------------------------------------------------------------------- limits


@pytest.mark.parametrize("sigma", [1e-6, 1e-9, 0.0])
@pytest.mark.parametrize("vocabulary", [2, 4])
def test_without_noise_nothing_is_lost(sigma, vocabulary):
    """A decay of one half is uniquely decodable: Zhang et al. 2015."""
    tokens = 12 if vocabulary == 2 else 6
    embedding, weight = vectors(vocabulary, 3), weights(0.5, tokens)
    sent = torch.randint(vocabulary, (20, tokens))
    states = send(embedding, weight[None], sigma, sent)[:, 0]
    decoding = exact(states, embedding, weight, lags=range(tokens), sigma=sigma)
    assert torch.equal(decoding.tokens, sent)
    assert decoding.log_probs(sent).abs().max() < 1e-9


@given(size=st.integers(-9, 0), seed=st.integers(0, 10**6))
@settings(max_examples=25, deadline=None)
def test_small_noise_loses_no_digits(size, seed):
    """Two types that differ by about the noise: the answer is a ratio of two likelihoods, known in closed form."""
    sigma = 10.0**size
    embedding = vectors(3, 4, seed)
    gap = torch.randn(4, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    embedding[2] = embedding[1] + 4.0 * sigma * gap
    weight = torch.tensor([0.5, 0.25], dtype=torch.float64)
    sent = torch.tensor([[0, 1]])
    state = send(embedding, weight[None], sigma, sent, seed)[:, 0]
    left = (state - 0.5 * embedding[0] - 0.25 * embedding[1]) / sigma
    step = 0.25 * (embedding[2] - embedding[1]) / sigma
    odds = float((left @ step - 0.5 * step @ step).item())
    found = exact(state, embedding, weight, lags=[0, 1], sigma=sigma)
    if abs(odds) < 12 and float(torch.cdist(embedding[:1], embedding[1:]).min()) > 200 * sigma:
        ratio = float(found.mass[0, 1, 2].log() - found.mass[0, 1, 1].log())
        assert ratio == pytest.approx(odds, abs=1e-4)


def test_much_noise_leaves_the_prior():
    embedding, weight, prior = vectors(3, 4), weights(0.5, 6), torch.tensor([0.6, 0.3, 0.1])
    states = send(embedding, weight[None], 1e6, torch.randint(3, (10, 6)))[:, 0]
    decoding = exact(states, embedding, weight, lags=range(6), prior=prior, sigma=1e6)
    torch.testing.assert_close(dense(decoding), prior.double().expand(10, 6, 3), atol=1e-4, rtol=0)


def test_types_of_the_same_vector_share_what_is_found():
    embedding = vectors(2, 4)[[0, 1, 1]]
    decoding = exact(0.5 * embedding[1:2], embedding, torch.tensor([0.5]), lags=[0], sigma=0.01, prior=[2.0, 1.0, 3.0])
    np.testing.assert_allclose(dense(decoding)[0, 0], [0, 0.25, 0.75], atol=1e-12)


@pytest.mark.statistical
@given(
    vocabulary=st.integers(2, 4),
    tokens=st.integers(1, 4),
    dim=st.integers(1, 5),
    sigma=st.sampled_from([1e-6, 0.01, 0.3, 5.0]),
    seed=st.integers(0, 10**6),
)
@settings(max_examples=40, deadline=None)
def test_names_of_types_do_not_matter(vocabulary, tokens, dim, sigma, seed):
    generator = torch.Generator().manual_seed(seed)
    embedding, weight = vectors(vocabulary, dim, seed), bank([0.5, 0.2], tokens)
    prior = torch.rand(vocabulary, generator=generator) + 0.1
    states = send(embedding, weight, sigma, torch.randint(vocabulary, (4, tokens), generator=generator))
    order = torch.randperm(vocabulary, generator=generator)
    plain = exact(states, embedding, weight, lags=range(tokens), prior=prior, sigma=sigma)
    named = exact(states, embedding[order], weight, lags=range(tokens), prior=prior[order], sigma=sigma)
    torch.testing.assert_close(dense(named), dense(plain)[..., order], atol=1e-6, rtol=0)
    torch.testing.assert_close(dense(plain).sum(2), torch.ones(4, tokens, dtype=torch.float64))


def test_the_noise_of_rounding_is_supposed_where_none_is_named():
    embedding, weight = vectors(4, 8), weights(0.5, 40)
    sent = torch.randint(4, (30, 40))
    states = ema_bank(embedding[sent.flip(1)].float(), [0.5])[:, -1, 0]
    decoding = exact(states, embedding, weight, lags=range(8), window=8)
    assert torch.equal(decoding.tokens, sent[:, :8])
    error = (states.double() - send(embedding, weight[None], 0.0, sent)[:, 0]).square().mean().sqrt()
    assert error < rounding_sigma(Code(embedding, weight[None]), torch.float32) < 20 * error


# ----------------------------------------------------------------------------------------------------- older tokens


@pytest.mark.parametrize("chained", [False, True])
def test_older_tokens_enter_with_their_own_mean_and_covariance(chained):
    """Checked against the moments of drawn tails, and by what the answer is worth against the full enumeration."""
    vocabulary, sigma, window = 3, 0.05, 3
    embedding, weight = vectors(vocabulary, 2), bank([0.5, 0.3], 8)
    chain = markov(
        None if chained else np.tile([0.5, 0.3, 0.2], (3, 1)), vocabulary=3, documents=40_000, tokens=8, seed=2
    )
    law = {"transition": chain.transition} if chained else {"prior": [0.5, 0.3, 0.2]}
    channel = Channel(Code(embedding, weight), sigma, window=window, **law)
    assert not channel.is_exact and channel.window == (0, 1, 2)
    assert Channel(Code(embedding, weight), sigma, **law).is_exact

    axes, scale, mean = channel.whiten([0, 1, 2], 8)
    drawn = chain.tokens.flip(1)
    older = torch.einsum("sk,nkr->nsr", weight[:, 3:], channel.vectors[drawn[:, 3:]]).flatten(1)
    noisy = older + sigma * torch.randn(older.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = mean[drawn[:, 2]] if chained else mean
    white = (noisy - expected) @ axes * scale
    torch.testing.assert_close(white.mean(0), torch.zeros_like(scale), atol=0.02, rtol=0)
    torch.testing.assert_close(white.T @ white / len(white), torch.eye(len(scale)).double(), atol=0.03, rtol=0)

    tokens = drawn[:2000]
    states = send(embedding, weight, sigma, tokens)
    losses = [
        -exact(states, embedding, weight, lags=range(3), sigma=sigma, window=wanted, **law)
        .log_probs(tokens[:, :3])
        .mean(0)
        for wanted in (3, 8)
    ]
    assert (losses[0] > losses[1] - 1e-3).all()
    assert (losses[0] < losses[1] + 0.15).all()


@pytest.mark.parametrize("chained", [False, True])
def test_the_likelihood_of_a_state_is_that_of_a_sum_of_gaussians(chained):
    """One token enumerated, the moments of the two behind it by a loop, the densities by scipy."""
    vocabulary, sigma = 3, 0.1
    embedding, weight = vectors(vocabulary, 2, seed=3), bank([0.5, 0.3], 3)
    chain = markov(None if chained else np.tile([0.5, 0.3, 0.2], (3, 1)), vocabulary=3, documents=6, tokens=3, seed=7)
    law = {"transition": chain.transition} if chained else {"prior": chain.stationary.tolist()}
    follow, prior = chain.transition, chain.stationary
    means, second = np.zeros((vocabulary, 4)), np.zeros((4, 4))
    for x, y, z in itertools.product(range(vocabulary), repeat=3):
        probability = prior[z] * follow[z, y] * follow[y, x]
        older = (np.outer(weight[:, 1], embedding[y]) + np.outer(weight[:, 2], embedding[z])).ravel()
        means[x] += probability / prior[x] * older
        second += probability * np.outer(older, older)
    covariance = second - (prior[:, None] * means).T @ means + sigma**2 * np.eye(4)
    states = send(embedding, weight, sigma, chain.tokens.flip(1))
    whole = [means[x] + np.outer(weight[:, 0], embedding[x]).ravel() for x in range(vocabulary)]
    start = [np.outer(weight[:, 0], embedding[x]).ravel() for x in range(vocabulary)]
    flat, white = states.flatten(1).numpy(), sigma**2 * np.eye(4)
    late = np.stack([prior[x] * multivariate_normal(whole[x], covariance).pdf(flat) for x in range(vocabulary)], 1)
    early = np.stack([prior[x] * multivariate_normal(start[x], white).pdf(flat) for x in range(vocabulary)], 1)

    channel = Channel(Code(embedding, weight), sigma, window=1, **law)
    (found_late, total_late), (found_early, total_early) = channel.enumerate(states, 3), channel.enumerate(states, 1)
    np.testing.assert_allclose(found_late[0].exp(), late / late.sum(1, keepdims=True), atol=1e-8)
    np.testing.assert_allclose(found_early[0].exp(), early / early.sum(1, keepdims=True), atol=1e-8)
    # How many tokens lie behind a state is told by the ratio of these two.
    np.testing.assert_allclose(total_late - total_early, np.log(late.sum(1) / early.sum(1)), rtol=1e-8)


# ------------------------------------------------------------------------------------------------------ calibration


def test_it_is_right_as_often_as_it_says():
    embedding, weight, sigma = vectors(3, 2), weights(0.4, 5), 0.1
    tokens = torch.randint(3, (20_000, 5))
    states = send(embedding, weight[None], sigma, tokens)[:, 0]
    posterior = dense(exact(states, embedding, weight, lags=range(5), sigma=sigma))
    true = torch.nn.functional.one_hot(tokens, 3).double()
    said, was = posterior.flatten(), true.flatten()
    for low, high in itertools.pairwise([0.0, 0.01, 0.05, 0.1, 0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 1.0001]):
        rows = (said >= low) & (said < high)
        spread = (said[rows] * (1 - said[rows])).sum().sqrt() / rows.sum()
        assert rows.sum() > 100
        assert abs(said[rows].mean() - was[rows].mean()) < 5 * spread + 1e-4


# ------------------------------------------------------------------------------------------------------ information


@pytest.mark.parametrize("sigma", [0.3, 1.0])
def test_bits_of_two_signals_in_noise(sigma):
    """Binary input, Gaussian noise: one integral (Cover & Thomas 2006, problem 9.2, spelled out)."""

    def density(y):
        return sum(math.exp(-((y - x) ** 2) / (2 * sigma**2)) for x in (-1, 1)) / (2 * sigma * math.sqrt(2 * math.pi))

    entropy = quad(lambda y: -density(y) * math.log2(max(density(y), 1e-300)), -1 - 12 * sigma, 1 + 12 * sigma)[0]
    truth = entropy - 0.5 * math.log2(2 * math.pi * math.e * sigma**2)
    embedding = torch.tensor([[-1.0], [1.0]])
    (found,) = channel_information(embedding, torch.tensor([1.0]), sigma, lags=[0], draws=20_000, confidence=0.999)
    assert found.low_bits < truth < found.high_bits
    assert found.high_bits - found.low_bits < 0.05
    assert found.kind == "estimate" and found.samples == 20_000


def test_bits_of_a_chain_without_noise():
    chain = markov(vocabulary=3, documents=1, tokens=1, seed=4)
    found = channel_information(
        vectors(3, 4), torch.tensor([1.0, 0.5]), 1e-6, lags=[0, 1, 2], transition=chain.transition, draws=20_000
    )
    assert found[0].value_bits == pytest.approx(chain.entropy_bits, abs=1e-9)
    assert found[1].value_bits == pytest.approx(chain.entropy_bits, abs=1e-9)
    # The token beyond both is told by the oldest of them alone.
    truth = chain.mutual_information_bits(1)
    error = (found[2].high_bits - found[2].low_bits) / 2
    assert abs(found[2].value_bits - truth) < 2 * error < 0.1


def test_bits_without_every_token_enumerated_are_a_lower_bound():
    embedding, weight = vectors(2, 2), bank([0.3], 8)
    whole = channel_information(embedding, weight, 0.02, lags=[0, 3], draws=2000)
    part = channel_information(embedding, weight, 0.02, lags=[0, 3], draws=2000, window=4)
    assert {estimate.kind for estimate in whole} == {"estimate"}
    assert {estimate.kind for estimate in part} == {"lower bound"}
    assert "4 enumerated" in part[0].warnings[0]
    for most, least in zip(whole, part, strict=True):
        assert least.value_bits < most.value_bits + 1e-3
    assert part == channel_information(embedding, weight, 0.02, lags=[0, 3], draws=2000, window=4)


# ----------------------------------------------------------------------------------------------------------- reader


@dataclass(frozen=True)
class Lagged(ProbeSpec):
    lags: tuple[int, ...] = ()


def make_setting(embedding, weight, classes, lags, sigma):
    return Lagged(
        dim=embedding.shape[1] * len(weight),
        targets=1 + len(lags),
        classes=classes,
        train_rows=1000,
        device=CPU,
        seed=0,
        code=Code(embedding, weight),
        sigma=sigma,
        lags=lags,
    )


def documents(embedding, alphas, sigma, number, length, probabilities, lags, seed=0):
    """Noisy float32 traces of short documents from a start of zero, and the token at each lag, -1 where none is."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.multinomial(probabilities, number * length, replacement=True, generator=generator)
    tokens = tokens.view(number, length)
    states = ema_bank(embedding[tokens], alphas).flatten(2)
    states = states + sigma * torch.randn(states.shape, generator=generator, dtype=torch.float64)
    types = [torch.nn.functional.pad(tokens, (lag, 0), value=-1)[:, :length] for lag in lags]
    turned = tokens.roll(1, 0)
    return states.flatten(0, 1).float(), torch.stack([turned, *types]).flatten(1)


@pytest.mark.statistical
@pytest.mark.parametrize("dim", [8, 3])
def test_the_reader_is_worth_the_information_there_is(dim):
    """With and without a normal that counts tokens; one state in ten lies near the start of its document."""
    probe = Exact(sequences=4**5)
    sigma, alphas, lags, length = 0.02, [0.5, 0.25], (0, 1, 2, 40), 60
    embedding = vectors(4, dim, seed=2)
    probabilities = torch.tensor([0.5, 0.25, 0.15, 0.1], dtype=torch.float64)
    counts = (probabilities * 1e6).long()
    classes = fit_class_map(counts, counts)
    setting = make_setting(embedding, bank(alphas, length), classes, lags, sigma)
    assert probe.applies(setting)
    reader = probe.start_fit(setting)
    assert isinstance(reader, ProbeFit) and reader.raw and reader.name == "exact"
    states, types = documents(embedding, alphas, sigma, 30, length, probabilities, lags)
    reader.update(states, types)
    reader.end_pass(Calibration(states, types))
    assert reader.temperatures[0] == reader.temperatures[4] == 0.0
    assert all(0.7 < temperature < 1.3 for temperature in reader.temperatures[1:4])

    states, types = documents(embedding, alphas, sigma, 60, length, probabilities, lags, seed=1)
    prepared = reader.prepare(states)
    truth = channel_information(
        embedding, bank(alphas, length), sigma, lags=lags[:3], prior=probabilities, window=5, draws=2000
    )
    for target in range(1, 4):
        rows = torch.nonzero(types[target] >= 0).squeeze(1)
        logits = classes.class_log_prior + reader.temperatures[target] * reader.scores(prepared[rows], target)
        labels = classes.of_type[types[target][rows]]
        base = classes.class_log_prior.expand(len(rows), -1)
        bits = (cross_entropy_nats(base, labels) - cross_entropy_nats(logits, labels)) / math.log(2)
        assert bits == pytest.approx(truth[target - 1].value_bits, abs=0.08)
    assert not reader.scores(prepared, 0).any() and not reader.scores(prepared, 4).any()


def test_the_reader_counts_the_tokens_behind_a_state():
    embedding, weight, sigma = vectors(3, 5), bank([0.5], 20), 1e-6
    channel = Channel(Code(embedding, weight), sigma, window=4)
    seen = torch.arange(1, 15)
    tokens = torch.randint(3, (14, 20))
    states = torch.cat([send(embedding, weight[:, :s], sigma, tokens[i : i + 1, :s]) for i, s in enumerate(seen)])
    assert torch.equal(channel.count_seen(states), seen)


def test_pooled_types_are_one_class():
    embedding, weight, sigma = vectors(5, 6), bank([0.5], 3), 0.1
    counts = torch.tensor([50, 2, 40, 3, 30])
    classes = fit_class_map(counts, counts, fewest=5)
    reader = Exact().start_fit(make_setting(embedding, weight, classes, (0, 1, 2), sigma))
    states = send(embedding, weight, sigma, torch.randint(5, (10, 3)))[:, 0].float()
    full = exact(states, embedding, weight[0], lags=range(3), prior=classes.log_prior.exp(), sigma=sigma)
    prepared = reader.prepare(states)
    for lag in range(3):
        answer = torch.softmax(classes.class_log_prior + reader.scores(prepared, 1 + lag), 1).double()
        posterior = full.posterior(lag)
        expected = torch.stack([posterior[:, classes.of_type == c].sum(1) for c in range(classes.number)], 1)
        torch.testing.assert_close(answer, expected, atol=1e-5, rtol=0)


def test_the_reader_knows_where_it_cannot_read():
    few, many = torch.full((4,), 100), torch.full((200,), 100)
    classes = fit_class_map(few, few)
    plain = make_setting(vectors(4, 3), bank([0.5], 5), classes, (0,), 0.1)
    assert Exact().applies(plain)
    unknown = Lagged(**{**vars(plain), "code": None})
    large = make_setting(vectors(200, 3), bank([0.5], 5), fit_class_map(many, many), (0,), 0.1)
    single = make_setting(vectors(200, 3), bank([0.5], 1), fit_class_map(many, many), (0,), 0.1)
    assert not Exact().applies(unknown) and not Exact().applies(large) and Exact().applies(single)
    with pytest.raises(UserError, match=r"`probes` cannot have 'exact' here: pass states .* of 128 types at most"):
        Exact().start_fit(unknown)


# ------------------------------------------------------------------------------------------------------ wrong input

STATES, VECTORS, WEIGHTS = torch.zeros(2, 3), vectors(4, 3), torch.tensor([0.5, 0.25])


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"states": torch.zeros(2, 5)}, r"`states` must have shape .* \[1, 3\] .*, got \[2, 1, 5\]: pass states"),
        ({"states": torch.zeros(2, 1, 3)}, r"`states` must have shape .* got \[2, 1, 1, 3\]"),
        ({"states": torch.zeros(2, 3, dtype=int)}, "`states` must be floating point, got torch.int64: convert"),
        ({"states": torch.full((2, 3), math.nan)}, "`states` must be finite, got NaN"),
        ({"weights": torch.zeros(2)}, "`weights` must not be zero everywhere: pass"),
        ({"weights": torch.tensor([1.0, math.inf])}, "`weights` must be finite"),
        ({"embedding": torch.zeros(1, 3)}, r"`embedding` must be .* of at least 2 types, got shape \[1, 3\]"),
        ({"embedding": torch.zeros(2**20 + 1, 3)}, "`embedding` must have at most 1048576 types .* got 1048577: pass"),
        ({"sigma": -0.1}, "`sigma` must be finite and at least 0, got -0.1: pass"),
        ({"sigma": math.nan}, "`sigma` must be finite and at least 0, got nan"),
        ({"lags": []}, "`lags` must not be empty: pass"),
        ({"lags": [0, -1]}, "`lags` must be a whole number of at least 0, got -1: pass"),
        ({"lags": [1.5]}, "`lags` must be a whole number of at least 0, got 1.5"),
        ({"prior": [1.0, 1.0]}, r"`prior` must have shape \[4\], got \[2\]"),
        ({"transition": torch.eye(3)}, r"`transition` must have shape \[4, 4\], got \[3, 3\]: pass"),
        ({"transition": torch.ones(4, 4)}, "`transition` row 0 is not a probability distribution"),
        ({"transition": torch.full((4, 4), 0.25), "prior": [1.0] * 4}, "`prior` must not be given beside `transition`"),
        ({"seen": [1]}, r"`seen` must have 2 whole numbers of at least 1, got shape \[1\]"),
        ({"seen": [1, 0]}, r"`seen` must have 2 whole numbers of at least 1, got shape \[2\] with 0: count"),
        ({"window": 0}, "`window` must be a whole number of at least 1, got 0"),
        ({"window": 11}, r"`window` must be at most 10 for 4 types, got 11: 4\*\*11 sequences are more than 1048576"),
    ],
)
def test_wrong_input_is_told_in_a_sentence(changed, message):
    arguments = {"states": STATES, "embedding": VECTORS, "weights": WEIGHTS, "lags": [0], "sigma": 0.1} | changed
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        with pytest.raises(UserError, match=message) as caught:
            exact(**arguments)
    finally:
        jaxtyping.config.update("jaxtyping_disable", False)
    assert "\n" not in str(caught.value)


def test_no_states_are_decoded_to_nothing():
    decoding = exact(torch.zeros(0, 3), VECTORS, WEIGHTS, lags=[0, 1, 7], sigma=0.1)
    assert len(decoding) == 0 and decoding.mass.shape == (0, 3, 4)
