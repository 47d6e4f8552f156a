"""Searching for older tokens: as good as enumerating them, where newer ones can be told; and never without need."""

import math

import pytest
import torch

import infodil
from infodil.channel import BeamSearch, Channel, Code
from infodil.encoders import TraceEncoder
from infodil.sources import iid
from infodil.traces import weights


def channel_of(types, dim, alpha, sigma, most):
    embedding = torch.randn(types, dim, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return Channel(Code(embedding, weights(alpha, 60)[None]), sigma, max_sequences=most), embedding


def sent(embedding, alpha, sigma, samples):
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(len(embedding), (samples, 60), generator=generator)
    states = torch.einsum("k,nkd->nd", weights(alpha, 60), embedding[tokens])
    noise = torch.randn(states.shape, generator=generator, dtype=torch.float64)
    return tokens, (states + sigma * noise)[:, None]


def bits(log_posterior, tokens, types):
    """Information that the posterior gives about the tokens."""
    return math.log2(types) + float(log_posterior.gather(1, tokens[:, None]).mean()) / math.log(2)


@pytest.mark.statistical
def test_it_reads_what_longer_enumeration_reads():
    types, alpha, sigma = 6, 0.6, 0.03
    short, embedding = channel_of(types, 6, alpha, sigma, types**3)
    long, _ = channel_of(types, 6, alpha, sigma, types**6)
    tokens, states = sent(embedding, alpha, sigma, 200)
    further = BeamSearch().lags(short)
    assert short.window == (0, 1, 2) and further[0] == 3
    found = BeamSearch().log_posterior(short, states, short.memory)
    expected, _ = long.log_posterior(states, [1, 2, 3, 4])
    for column, lag in enumerate((1, 2, 3, 4)):
        best = bits(expected[:, column], tokens[:, lag], types)
        assert bits(found[lag], tokens[:, lag], types) == pytest.approx(best, abs=0.03)
        assert found[lag].exp().sum(1) == pytest.approx(1.0, abs=1e-6)
    plain, _ = short.log_posterior(states, [3])
    assert bits(plain[:, 0], tokens[:, 3], types) == pytest.approx(0.0, abs=1e-9)  # older than the window: the prior
    assert bits(found[3], tokens[:, 3], types) > 0.5


def test_states_that_have_seen_few_tokens_are_searched_no_further():
    short, embedding = channel_of(6, 6, 0.6, 0.03, 6**3)
    tokens, _ = sent(embedding, 0.6, 0.03, 50)
    states = torch.einsum("k,nkd->nd", weights(0.6, 4), embedding[tokens[:, :4]])[:, None]
    found = BeamSearch().log_posterior(short, states, 4)
    assert sorted(found) == [0, 1, 2, 3]
    for lag in found:
        assert (found[lag].argmax(1) == tokens[:, lag]).double().mean() > 0.95


def test_nothing_is_searched_for_where_older_tokens_do_not_count():
    assert BeamSearch().lags(channel_of(2, 2, 0.5, 0.05, 2**14)[0]) == ()
    chain = torch.tensor([[0.9, 0.1], [0.2, 0.8]])
    embedding = torch.randn(2, 2, dtype=torch.float64)
    chained = Channel(Code(embedding, weights(0.1, 60)[None]), 0.01, transition=chain, max_sequences=2**6)
    assert BeamSearch().lags(chained) == ()


@pytest.mark.statistical
def test_a_report_reads_older_tokens_of_more_types():
    source = iid(24, documents=60, tokens=40, seed=0)
    encoder = TraceEncoder(24, (0.7,), dim=24, seed=0)
    report = infodil.recoverability(
        encoder, source, lags=[0, 2, 4], probes=["gaussian", "exact"], precision="snr=40dB", progress=False,
        controls=False,
    )  # fmt: skip
    rows = {(row["lag"], row["probe"]): row for row in report.rows}
    # Two tokens of 24 types are 576 sequences, three 13,824: lag 4 is past what is enumerated.
    assert rows[4, "exact"]["selected_probe"] == "exact"
    assert rows[4, "exact"]["value_bits"] > rows[4, "gaussian"]["value_bits"] + 0.5
    for row in report.rows:
        assert row["low_bits"] <= row["upper_high_bits"]
