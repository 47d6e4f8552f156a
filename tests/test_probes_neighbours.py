"""The local reader: it sees what affine readers miss, finds the dims that matter, and adds nothing to noise."""

import math

import numpy as np
import pytest
import torch
from gaussian_cases import CPU, bits_of, codebook, nothing, plain_classes, true_bits

from infodil import recoverability
from infodil.checks import UserError
from infodil.encoders import TraceEncoder
from infodil.probes import PROBES, Calibration, ProbeSpec
from infodil.probes.neighbours.components import fit_components
from infodil.probes.neighbours.probe import corrected, count_votes
from infodil.sources import iid


def read(train, held, rungs=("neighbours",), classes=None):
    """The last of some rungs, each resting on the one before."""
    classes, reader = classes or plain_classes(int(train[1].max()) + 1), None
    setting = ProbeSpec(train[0].shape[1], 1, classes, len(train[0]), CPU, 0)
    for rung in rungs:
        reader = PROBES[rung].start_fit(setting, reader)
        for _ in range(reader.passes):
            reader.update(train[0], train[1][None])
            reader.end_pass(Calibration(held[0], held[1][None]))
    return reader


def stripes(rows, seed, dim=1, noise=0.1):
    """Two classes that take turns along a line; the other dims are noise. Bits: what the noise at the edges leaves."""
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randint(2, (rows,), generator=generator)
    place = 2.0 * torch.randint(8, (rows,), generator=generator) + tokens
    states = torch.randn(rows, dim, generator=generator)
    states[:, 0] = place + noise * states[:, 0]
    return states / states.std(0), tokens


@pytest.mark.statistical
def test_it_sees_classes_that_take_turns():
    train, held, test = (stripes(3000, seed) for seed in range(3))
    assert bits_of(read(train, held, ["gaussian", "linear"]), *test) < 0.02
    # Ten standard deviations apart: nothing is lost but what the smoothing costs.
    assert 0.97 < bits_of(read(train, held), *test) <= 1.0
    assert 0.97 < bits_of(read(train, held, ["gaussian", "linear", "neighbours"]), *test) <= 1.0


@pytest.mark.statistical
def test_the_metric_leaves_out_what_is_noise():
    states, tokens = stripes(4000, 0, dim=4)
    metric = fit_components(states, tokens.numpy(), 2, 0)
    # How far a step along each dim goes: stripes are a tenth wide there, and no step along the others means anything.
    reach = metric.norm(dim=1)
    assert reach[0] > 2.0 * reach[1:].max()
    train, held, test = (stripes(4000, seed, dim=4) for seed in range(3))
    assert bits_of(read(train, held), *test) > 0.9


@pytest.mark.statistical
def test_it_does_not_spoil_what_the_rung_below_reads():
    train, held, test = (codebook(3000, 4, 3, 0.8, seed) for seed in range(3))
    below = bits_of(read(train[:2], held[:2], ["gaussian"]), *test[:2])
    above = bits_of(read(train[:2], held[:2], ["gaussian", "neighbours"]), *test[:2])
    assert above > below - 0.01
    truth, error = true_bits(test[2], test[1])
    assert truth - 0.05 < above < truth + 3.0 * error


@pytest.mark.statistical
def test_noise_is_left_to_the_rung_below():
    train, held = nothing(2000, 3, 0, classes=4), nothing(1000, 3, 1, classes=4)
    reader = read(train, held)
    assert reader.learned == [None] and reader.temperatures == [0.0]


@pytest.mark.statistical
def test_many_equal_states_are_read_quickly_and_right():
    generator = torch.Generator().manual_seed(0)
    tokens = torch.randint(2, (20_000,), generator=generator)
    states = (tokens ^ (torch.rand(20_000, generator=generator) < 0.1)).float()[:, None]
    bits = bits_of(read((states[:9000], tokens[:9000]), (states[9000:12000], tokens[9000:12000])), states, tokens)
    assert abs(bits - (1.0 + 0.1 * math.log2(0.1) + 0.9 * math.log2(0.9))) < 0.02


def test_votes_are_counted_as_one_by_one():
    generator = np.random.default_rng(0)
    labels, below = generator.integers(3, size=50), generator.dirichlet(np.ones(3), 50)
    distance, index = np.sort(generator.random((4, 6)), 1), generator.integers(50, size=(4, 6))
    votes, expected = count_votes(distance, index, 0.7, labels, below)
    for row in range(4):
        weight = np.exp(-0.5 * (0.7 * distance[row]) ** 2)
        weight *= weight.sum() / (weight**2).sum()  # as many equal votes as tell as much
        near = list(zip(weight, index[row], strict=True))
        for c in range(3):
            assert votes[row, c] == pytest.approx(sum(w for w, i in near if labels[i] == c))
            assert expected[row, c] == pytest.approx(sum(w * below[i, c] for w, i in near))
    here = generator.dirichlet(np.ones(3), 4)
    q = np.exp(corrected(here, votes, expected, 2.0))
    factor = here * (votes + 2.0 * here) / (expected + 2.0 * here)
    np.testing.assert_allclose(q, factor / factor.sum(1, keepdims=True))


@pytest.mark.statistical
def test_a_report_has_it_where_it_applies():
    tokens = iid(4, documents=60, tokens=60, seed=0).tokens
    encoder = TraceEncoder(4, (0.5,), dim=2)
    options = {"lags": [0, 3], "precision": "snr=30dB", "progress": False, "controls": False}
    report = recoverability(encoder, tokens, probes=["linear", "neighbours"], **options)
    bits = {(row["probe"], row["lag"]): row["value_bits"] for row in report.rows}
    assert bits["neighbours", 3] > bits["linear", 3] + 0.2
    with pytest.raises(UserError, match="`probes` cannot have 'neighbours' here: pass states of at most 8 dims"):
        recoverability(TraceEncoder(4, (0.5,), dim=9), tokens, probes=["neighbours"], **options)
