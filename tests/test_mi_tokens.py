"""`mi.lower_bound`: below the truth and near it, nothing where there is nothing, the same in any coordinates, messages."""

import math

import numpy as np
import pytest
import torch
from gaussian_cases import codebook, exclusive_or, true_bits, variances
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infodil.checks import UserError
from infodil.encoders import load_encoder
from infodil.mi import lower_bound
from infodil.mi.holding_out import hold_out
from infodil.probes.information import channel_information
from infodil.traces import ema, weights


def independent(rows):
    """Says that rows are independent draws."""
    return np.arange(rows)


@pytest.mark.parametrize(
    ("case", "gap_bits"),
    [
        (lambda seed: codebook(3000, 2, 1, 0.7, seed), 0.02),
        (lambda seed: codebook(3000, 8, 4, 0.7, seed), 0.05),
        (lambda seed: exclusive_or(3000, 2, seed), 0.05),
        (lambda seed: variances(3000, 3, seed), 0.12),
    ],
    ids=["binary", "codebook", "exclusive or", "variances"],
)
def test_the_bound_is_below_the_truth_and_near_it(case, gap_bits):
    truth = true_bits(*reversed(case(99)[1:]))[0] if False else None
    del truth
    values, below = [], 0
    for seed in range(4):
        states, tokens, fit = case(seed)
        truth, error = true_bits(fit, tokens)
        bits = lower_bound(tokens, states, groups=independent(len(tokens)), seed=seed)
        values.append(bits.value_bits - truth)
        below += bits.low_bits <= truth + 2.0 * error
        assert bits.kind == "lower bound" and bits.samples == len(tokens)
    assert below == 4
    # The same rows give the truth: what is left is the reader's loss and the error of four means.
    assert -gap_bits < np.mean(values) < 0.02
