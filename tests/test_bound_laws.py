"""One body of laws for every upper bound of a report, and a new one that joins by a line."""

import numpy as np
import pytest
import torch

import infodil
from infodil.bounds import BOUNDS, StateSample, UpperBound
from infodil.channel import Code, channel_information
from infodil.estimate import Estimate
from infodil.precision import Quantizer
from infodil.sources import iid
from infodil.traces import ema, weights

TYPES, DIM, ALPHA, LAGS = 4, 3, 0.4, (0, 1, 2)
EMBEDDING = torch.randn(TYPES, DIM, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
SOURCE = iid(TYPES, documents=40, tokens=25, distribution="zipf", seed=2)
TOKENS = torch.as_tensor(np.stack(SOURCE.tokens))
STATES = ema(EMBEDDING[TOKENS], ALPHA)[:, 10:].flatten(0, 1)
WEIGHTS = weights(ALPHA, 6)  # what is older has a hundredth of the norm


def sample(precision, **options):
    options = {
        "states": STATES,
        "groups": np.repeat(np.arange(40), 15),
        "quantizer": Quantizer.of(precision, STATES),
        "counts": np.bincount(TOKENS.flatten(), minlength=TYPES),
        "seen": np.tile(np.arange(11, 26), 40),
        "lags": LAGS,
        "code": Code(EMBEDDING, weights(ALPHA, 25)[None]),
        "independent": True,
        **options,
    }
    return StateSample(**options)


@pytest.fixture(params=sorted(BOUNDS))
def bound(request):
    return BOUNDS[request.param]


def least_by_lag(bound, precision, **options):
    """The high end at every lag, or nothing where the bound does not apply."""
    found = bound.compute(sample(precision, **options))
    if isinstance(found, Estimate):
        return [found.high_bits] * len(LAGS)
    return [found[lag].high_bits for lag in LAGS] if found else None


@pytest.mark.statistical
@pytest.mark.parametrize("precision", ["snr=15dB", "snr=5dB"])
def test_it_lies_above_the_truth(bound, precision):
    sigma = float(Quantizer.of(precision, STATES).unit[0])
    prior = np.bincount(TOKENS.flatten(), minlength=TYPES) / TOKENS.numel()
    truth = channel_information(EMBEDDING, WEIGHTS, sigma, lags=LAGS, prior=prior.tolist(), draws=2000)
    assert truth[0].value_bits > 0.3
    for high, known in zip(least_by_lag(bound, precision) or (), truth, strict=bound.name != "levels"):
        assert high >= known.low_bits


@pytest.mark.statistical
def test_more_noise_never_raises_it(bound):
    ends = [least_by_lag(bound, f"snr={ratio}dB") for ratio in (0, 10, 20)]
    if ends[0] is None:
        pytest.skip("this bound is of rounding alone")
    assert np.all(np.diff(ends, axis=0) >= -1e-9)


def test_a_coarser_format_never_raises_it(bound):
    ends = [least_by_lag(bound, precision) for precision in ("float8_e4m3", "bfloat16", "float32")]
    if ends[0] is None:
        pytest.skip("this bound is of Gaussian noise alone")
    assert np.all(np.diff(ends, axis=0) >= -1e-9)


@pytest.mark.statistical
def test_the_same_seed_gives_the_same_bound(bound):
    assert least_by_lag(bound, "snr=15dB") == least_by_lag(bound, "snr=15dB")


def test_without_a_code_it_says_nothing_or_bounds_the_whole(bound):
    found = bound.compute(sample("snr=15dB", code=None))
    assert isinstance(found, Estimate) or not found


def test_what_it_assumes_is_said(bound):
    assert ("independent tokens" in bound.assumptions("gaussian")) == bound.assumes_independence
    assert ("dithered rounding" in bound.assumptions("uniform")) == bound.rounds_by_dither


def test_a_new_bound_stands_in_the_report_where_it_is_the_least(monkeypatch):
    half = Estimate(0.5, 0.5, 0.5, kind="upper bound", method="toy")
    monkeypatch.setitem(BOUNDS, "toy", UpperBound("toy", lambda _: {1: half}))
    options = {"lags": [0, 1], "probes": "prior", "controls": False, "progress": False}
    report = infodil.recoverability("ema", SOURCE, dim=8, **options)
    by = {row["lag"]: row["upper_by"] for row in report.rows if row["chosen"]}
    assert by[1] == "toy" and by[0] != "toy"
    assert "toy at 1 of 2 sites and lags" in " ".join(str(report).split())
