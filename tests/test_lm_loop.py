"""The parts of the training loop that were made fast compute what the plain formulas do."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from infodil.checks import UserError
from infodil.lm import LanguageModel, LanguageModelConfig, train_language_model
from infodil.lm.cross_entropy import mean_cross_entropy
from infodil.lm.feed_forward import least_of_largest
from infodil.lm.scans import PRODUCT_TOKENS, delayed, fixed_bank, gated_scan
from infodil.traces import ema_bank

IDS = np.random.default_rng(0).integers(0, 9, 3000)
SMALL = {"window": 16, "batch_size": 4, "progress": False}


@settings(max_examples=15, deadline=None)
@given(rows=st.integers(1, 40), vocabulary=st.sampled_from([2, 7, 300]), seed=st.integers(0, 99))
def test_the_cross_entropy_and_its_gradient_are_torch_s(rows, vocabulary, seed):
    generator = torch.Generator().manual_seed(seed)
    logits = (5 * torch.randn(rows, vocabulary, generator=generator)).requires_grad_()
    targets = torch.randint(vocabulary, (rows,), generator=generator)
    expected = nn.functional.cross_entropy(logits, targets)
    (slopes,) = torch.autograd.grad(expected * 3, logits)
    ours = mean_cross_entropy(logits, targets)
    torch.testing.assert_close(ours, expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(torch.autograd.grad(ours * 3, logits)[0], slopes, rtol=1e-4, atol=1e-7)


def test_the_cross_entropy_of_half_precision_is_summed_in_single():
    logits = torch.randn(50, 600, generator=torch.Generator().manual_seed(0)).bfloat16()
    targets = torch.arange(50)
    expected = nn.functional.cross_entropy(logits.double(), targets)
    assert mean_cross_entropy(logits, targets).item() == pytest.approx(expected.item(), rel=1e-6)


@settings(max_examples=15, deadline=None)
@given(tokens=st.sampled_from([1, 2, 9, 40]), lag=st.integers(0, 2), seed=st.integers(0, 99))
def test_the_product_with_all_weights_is_the_bank(tokens, lag, seed):
    x = torch.randn(2, tokens, 3, generator=torch.Generator().manual_seed(seed), requires_grad=True)
    alphas, scales = (1.0, 0.5, 0.02), (1.0, 2.0, 0.1)
    expected = delayed(ema_bank(x, alphas), min(lag, tokens)) / torch.tensor(scales)[:, None]
    found = fixed_bank(x, alphas, scales, lag)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)
    towards = torch.randn(expected.shape, generator=torch.Generator().manual_seed(seed + 1))
    slopes = [torch.autograd.grad((one * towards).sum(), x)[0] for one in (found, expected)]
    torch.testing.assert_close(*slopes, rtol=1e-4, atol=1e-5)


def test_a_long_sequence_has_the_same_traces_as_its_beginning():
    x = torch.randn(1, PRODUCT_TOKENS + 1, 2, generator=torch.Generator().manual_seed(0))
    long, short = (fixed_bank(part, (0.5, 0.02), (1.0, 0.1), 1) for part in (x, x[:, :-1]))
    torch.testing.assert_close(long[:, :-1], short, rtol=1e-5, atol=1e-6)


def test_a_gated_scan_has_the_gradient_of_finite_differences():
    generator = torch.Generator().manual_seed(0)
    decay, x = (torch.rand(2, 6, 3, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    assert torch.autograd.gradcheck(gated_scan, (decay, x))


@settings(max_examples=15, deadline=None)
@given(units=st.integers(1, 30), places=st.integers(1, 5), seed=st.integers(0, 99))
def test_the_least_of_the_largest_is_topk_s(units, places, seed):
    sizes = torch.randn(places, 2, units, generator=torch.Generator().manual_seed(seed))
    number = 1 + seed % units
    assert torch.equal(least_of_largest(sizes, number), sizes.topk(number).values.amin(-1, keepdim=True))


def test_linear_predictors_and_their_mix_are_one_product():
    model = LanguageModel(LanguageModelConfig("spen", 9, dim=8, layers=1, feed_forward=16, biases="uniform"))
    block, x = model.blocks[0], torch.randn(2, 7, 8, generator=torch.Generator().manual_seed(0))
    seen = block.traces(x, 1)
    expected = block.mix((x[:, :, None] - block.predictor(seen, x)).flatten(2))
    torch.testing.assert_close(block.linear_context(x, seen), expected, rtol=1e-4, atol=1e-5)


# One trunk for all budgets


def trained(folder, name, tokens, **options):
    model = LanguageModel(LanguageModelConfig("gru", 9, dim=8, layers=1, feed_forward=16))
    options = SMALL | {"schedule": "constant", "checkpoint": folder / name, "checkpoint_every": 5} | options
    train_language_model(model, IDS[:2500], IDS[2500:], tokens=tokens, **options)
    return model.state_dict()


@pytest.mark.statistical
def test_a_larger_budget_goes_on_from_where_a_smaller_one_began_to_decay(tmp_path):
    whole = trained(tmp_path, "whole", 64 * 64)
    trained(tmp_path, "small", 64 * 20, stable=tmp_path / "stable")
    (tmp_path / "large").write_bytes((tmp_path / "stable").read_bytes())
    seen = []
    large = trained(tmp_path, "large", 64 * 64, note=lambda step, loss: seen.append(step))
    assert seen == list(range(17, 65))  # a fifth of the small budget's 20 steps was the decay
    assert all(torch.equal(weight, large[name]) for name, weight in whole.items())


def test_a_budget_that_has_begun_to_decay_is_no_other_budget_s(tmp_path):
    trained(tmp_path, "run", 64 * 20)
    before = copy.deepcopy((tmp_path / "run").read_bytes())
    with pytest.raises(UserError, match="`tokens` is 4096, and the checkpoint 'run' is of a run with 1280"):
        trained(tmp_path, "run", 64 * 64)
    assert (tmp_path / "run").read_bytes() == before


def test_a_trunk_does_not_serve_a_budget_that_should_have_decayed(tmp_path):
    trained(tmp_path, "run", 64 * 20, stable=tmp_path / "stable")
    with pytest.raises(UserError, match="`tokens` is 640, and the checkpoint 'stable' is of a run with more"):
        trained(tmp_path, "stable", 64 * 10)


def test_an_unknown_schedule_is_told(tmp_path):
    with pytest.raises(UserError, match="`schedule` must be one of 'cosine' or 'constant'"):
        trained(tmp_path, "run", 640, schedule="linear")
