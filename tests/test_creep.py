"""Guards against slow creep: what fixed small jobs cost, counted, must not grow.

A bound is what was counted and a tenth: searches take a step more or less where a machine rounds otherwise. Tokens are
exact. A count far below its bound is told too, so that what was gained is kept: lower the bound.
"""

from dataclasses import astuple, dataclass, fields

import numpy as np
import pytest
import torch
from counted_work import CountedCalls, CountedWork

from infodil import depth, mi, recoverability
from infodil.lm import LanguageModel, LanguageModelConfig, train_language_model
from infodil.sources import iid, markov

SLACK = 1.1
LOWEST = 0.7
"""Share of a bound below which it is out of date."""


@dataclass(frozen=True)
class Work:
    """Counts of one job."""

    flops: int
    """In matrix products and attention."""
    operations: int
    """Calls of torch's kernels: what small tensors cost."""
    looks: int
    """Numbers that the host looks at, each of which a GPU would be waited for."""
    peak_bytes: int
    tokens: int
    """Tokens that an encoder or model looks up: passes over the data."""


def report():
    tokens = markov(vocabulary=8, documents=60, tokens=20, seed=0).tokens
    recoverability("gru", tokens, dim=8, lags=[0, 2], probes=["gaussian", "linear"], progress=False)


def lower_bound():
    source = iid(vocabulary=4, documents=1, tokens=600, seed=0).tokens[0]
    noise = torch.randn(600, 20, generator=torch.Generator().manual_seed(0))
    mi.lower_bound(source, torch.nn.functional.one_hot(source, 20) + 0.3 * noise)


def estimate():
    generator = np.random.default_rng(0)
    x = generator.standard_normal((400, 3))
    mi.estimate(x, x + generator.standard_normal((400, 3)))


def survival():
    model = LanguageModel(LanguageModelConfig("attention", 12, dim=8, layers=2, heads=2, feed_forward=16))
    tokens = markov(vocabulary=12, documents=40, tokens=20, seed=0).tokens
    depth.survival(model, tokens, max_tokens=800, progress=False)


def training():
    ids = np.random.default_rng(0).integers(0, 12, 2000)
    model = LanguageModel(LanguageModelConfig("spen", 12, dim=16, layers=2, feed_forward=32))
    train_language_model(model, ids, ids[:65], tokens=3 * 4 * 32, window=32, batch_size=4, progress=False)


BOUNDS = {
    # 1,200 tokens, of which each of two passes and each of two encoders reads a part; see `test_devices` for the looks.
    report: Work(12_545_824, 33_813, 619, 407_616, 7_247),
    # Five folds of a Gaussian, a linear and a multilayer probe of 20 numbers.
    lower_bound: Work(281_121_056, 22_265, 87, 2_586_252, 0),
    # One pass that records, and one that reads.
    survival: Work(30_436_064, 16_458, 116, 1_249_204, 1_600),
    # Three steps of 4 windows of 32 tokens, two looks each, and the held-out loss of two windows.
    training: Work(21_043_200, 1_847, 9, 449_100, 448),
}
CALLS, CALLS_PEAK_BYTES = 41_900, 3_570_000
"""Calls of functions, and bytes that numpy and Python hold at once, for an estimate of continuous information."""


@pytest.mark.statistical
@pytest.mark.parametrize("job", BOUNDS, ids=lambda job: job.__name__)
def test_a_job_costs_no_more_than_it_did(job):
    with CountedWork() as work:
        job()
    found = Work(work.flops, work.operations, work.looks, work.peak, work.tokens)
    for field, count, counted in zip(fields(Work), astuple(found), astuple(BOUNDS[job]), strict=True):
        slack = 1.0 if field.name == "tokens" else SLACK
        assert LOWEST * counted <= count <= slack * counted, f"{field.name}: {count:,} against {counted:,}; {found}"


@pytest.mark.statistical
def test_an_estimate_in_numpy_costs_no_more_than_it_did():
    """What torch does not see: calls from Python, other releases of numpy and scipy making a few more, and bytes."""
    estimate()  # imports are no work
    with CountedCalls() as work:
        estimate()
    assert LOWEST * CALLS <= work.calls <= SLACK * CALLS, work.calls
    assert LOWEST * CALLS_PEAK_BYTES <= work.peak <= SLACK * CALLS_PEAK_BYTES, work.peak


def test_work_is_counted():
    """The count itself: a product, a look, and a look-up."""
    with CountedWork() as work:
        product = torch.ones(3, 4) @ torch.ones(4, 5)
        assert float(product[0, 0]) == 4.0
        torch.nn.functional.embedding(torch.tensor([[0, 1], [1, 1]]), product)
    assert (work.flops, work.looks, work.tokens) == (2 * 3 * 4 * 5, 1, 4)
    assert work.operations >= 4 and work.peak >= 4 * (12 + 20 + 15)
    with CountedCalls() as calls:
        kept = [abs(number) for number in range(100)] + [bytes(10**6)]
    assert len(kept) == 101 and 100 <= calls.calls < 120 and 10**6 <= calls.peak < 1.1 * 10**6
