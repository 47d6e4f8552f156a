"""What a source says of itself is true: hand-worked values, and frequencies of what it draws."""

import itertools
import math

import numpy as np
import pytest
import torch

from infodil.checks import UserError
from infodil.sources import entropy_bits, iid, markov


def five_errors(probability, draws):
    """Five standard errors of a frequency: passed by chance less than once in a million."""
    return 5 * math.sqrt(probability * (1 - probability) / draws)


def test_uniform_tokens_have_the_logarithm_of_the_vocabulary():
    source = iid(32, 3, 7)
    assert source.entropy_bits == pytest.approx(5.0)
    assert source.entropy_rate_bits == source.entropy_bits
    assert source.tokens.shape == (3, 7)
    assert source.tokens.dtype == torch.int64


def test_zipf_weights_fall_as_one_over_rank():
    source = iid(3, 1, 1, distribution="zipf", exponent=2.0)
    assert source.probabilities == pytest.approx(np.array([36, 9, 4]) / 49)
    assert iid(5, 1, 1, distribution="zipf", exponent=0.0).entropy_bits == pytest.approx(math.log2(5))


@pytest.mark.parametrize("distribution", ["uniform", "zipf"])
def test_iid_frequencies_are_the_probabilities(distribution):
    source = iid(6, 200, 500, distribution=distribution, seed=3)
    frequency = np.bincount(source.tokens.flatten().numpy(), minlength=6) / source.tokens.numel()
    for seen, probability in zip(frequency, source.probabilities, strict=True):
        assert abs(seen - probability) < five_errors(probability, source.tokens.numel())


def test_iid_tokens_tell_nothing_of_one_another():
    source = iid(4, 1, 1)
    assert [source.mutual_information_bits(lag) for lag in range(3)] == [2.0, 0.0, 0.0]


def test_a_binary_chain_worked_by_hand():
    chain = markov([[0.9, 0.1], [0.3, 0.7]], documents=1, tokens=1)
    assert chain.stationary == pytest.approx([0.75, 0.25])  # 0.1 / (0.1 + 0.3) in state 1
    rate = 0.75 * entropy_bits(np.array([0.9, 0.1])) + 0.25 * entropy_bits(np.array([0.3, 0.7]))
    assert chain.entropy_rate_bits == pytest.approx(rate)
    assert chain.mutual_information_bits(1) == pytest.approx(chain.entropy_bits - rate)


def test_lagged_information_of_a_symmetric_chain_has_a_closed_form():
    flip = 0.1
    chain = markov([[1 - flip, flip], [flip, 1 - flip]], documents=1, tokens=1)
    for lag in range(8):
        flipped = (1 - (1 - 2 * flip) ** lag) / 2  # an odd number of flips in `lag` steps
        expected = 1 - entropy_bits(np.array([flipped, 1 - flipped]))
        assert chain.mutual_information_bits(lag) == pytest.approx(expected, abs=1e-12)


def test_information_falls_with_the_lag_and_starts_at_the_entropy():
    chain = markov(vocabulary=6, seed=4, documents=1, tokens=1)
    bits = [chain.mutual_information_bits(lag) for lag in range(12)]
    assert bits[0] == pytest.approx(chain.entropy_bits)
    assert all(later <= earlier + 1e-12 for earlier, later in itertools.pairwise(bits))
    assert bits[1] == pytest.approx(chain.entropy_bits - chain.entropy_rate_bits)


def test_a_cycle_never_forgets():
    chain = markov(np.roll(np.eye(4), 1, axis=1), documents=5, tokens=9)
    assert chain.entropy_rate_bits == pytest.approx(0.0)
    assert chain.mutual_information_bits(100) == pytest.approx(2.0)
    assert torch.equal(chain.tokens[:, 1:], (chain.tokens[:, :-1] + 1) % 4)


def test_every_position_of_a_chain_has_the_stationary_distribution():
    chain = markov(vocabulary=4, documents=20_000, tokens=6, seed=1)
    for position in (0, 5):
        frequency = np.bincount(chain.tokens[:, position].numpy(), minlength=4) / 20_000
        for seen, probability in zip(frequency, chain.stationary, strict=True):
            assert abs(seen - probability) < five_errors(probability, 20_000)


def test_transitions_drawn_are_the_transitions_given():
    chain = markov(vocabulary=3, documents=400, tokens=200, seed=2)
    before, after = chain.tokens[:, :-1].flatten(), chain.tokens[:, 1:].flatten()
    counts = torch.bincount(before * 3 + after, minlength=9).view(3, 3).numpy()
    for row, (seen, given) in enumerate(zip(counts, chain.transition, strict=True)):
        for count, probability in zip(seen, given, strict=True):
            # Given the states visited, each step out of a state is an independent draw.
            bound = five_errors(probability, seen.sum()) + 1e-9
            assert abs(count / seen.sum() - probability) < bound, row


def test_the_mean_pointwise_information_of_drawn_pairs_is_the_exact_one():
    chain = markov(vocabulary=4, documents=200, tokens=1000, seed=5)
    for lag in (1, 3):
        after = np.linalg.matrix_power(chain.transition, lag)
        terms = np.log2(after / chain.stationary)[chain.tokens[:, :-lag], chain.tokens[:, lag:]]
        by_document = terms.mean(axis=1)  # documents are independent, positions are not
        error = by_document.std(ddof=1) / math.sqrt(len(by_document))
        assert abs(by_document.mean() - chain.mutual_information_bits(lag)) < 5 * error


@pytest.mark.parametrize("make", [iid, markov])
def test_a_seed_gives_its_tokens_again(make):
    first, again, other = (make(documents=4, tokens=50, seed=seed).tokens for seed in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_a_tensor_or_an_array_is_a_transition_matrix_too():
    rows = [[0.5, 0.5], [0.25, 0.75]]
    for transition in (rows, np.array(rows), torch.tensor(rows)):
        assert markov(transition, documents=1, tokens=2).stationary == pytest.approx([1 / 3, 2 / 3])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: iid(0, 1, 1), "`vocabulary` must be a whole number of at least 1, got 0"),
        (lambda: iid(2, 1, 0), "`tokens` must be a whole number of at least 1"),
        (
            lambda: iid(2, 1, 1, distribution="zipf", exponent=-1.0),
            "`exponent` must be finite and at least 0",
        ),
        (lambda: iid(2, 1, 1, seed=-1), "`seed` must be a whole number"),
        (lambda: iid(2, 1, 1).mutual_information_bits(-1), "`lag` must be a whole number of at least 0"),
        (lambda: markov([[0.5, 0.4], [0.5, 0.5]]), "`transition` row 0 is not a probability distribution"),
        (lambda: markov([[1.0, 0.0], [1.5, -0.5]]), "`transition` row 1 is not a probability distribution"),
        (lambda: markov([[0.5, float("nan")], [0.5, 0.5]]), "`transition` row 0 is not a probability distribution"),
        (lambda: markov([[0.5, 0.5]]), "`transition` must be square"),
        (lambda: markov([[1.0, 0.0], [0.0, 1.0]]), "`transition` has more than one stationary distribution"),
        (lambda: markov(concentration=0.0), "`concentration` must be finite and above 0"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
