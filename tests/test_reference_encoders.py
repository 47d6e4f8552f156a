"""Reference encoders do what their papers say: known answers of delays, capacities and stored tokens."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import infodil
from infodil.checks import UserError
from infodil.encoders.reference import CELLS, ReferenceModel, delta_rule, linear_memory_capacity
from infodil.encoders.reference.fixed import LMU
from infodil.lm import train_language_model

TYPES, SIDE = 8, 4


def stable(numbers, radius, seed):
    rng = np.random.default_rng(seed)
    matrix = rng.standard_normal((numbers, numbers))
    return radius * matrix / np.abs(np.linalg.eigvals(matrix)).max(), rng.standard_normal(numbers)


# ------------------------------------------------------------------------------------------------ all of them


@pytest.mark.parametrize("family", CELLS)
def test_every_state_has_the_size_that_was_asked_for(family):
    model = ReferenceModel(family, TYPES, SIDE * SIDE, dim=6)
    tokens = torch.arange(10).view(2, 5) % TYPES
    states = model.encode(tokens)[family]
    assert states.shape == (2, 5, SIDE * SIDE) and model(tokens).shape == (2, 5, TYPES)
    assert model.kind_of_site(family) in infodil.encoders.KINDS_OF_SITE
    assert not torch.equal(model.randomised(1).encode(tokens)[family], states)


@pytest.mark.statistical
@pytest.mark.parametrize("family", CELLS)
def test_every_model_learns_by_the_loop_of_lm(family):
    """Tokens repeat with period three: log 8 nats at the start, nothing is left when it is known."""
    text = np.tile([1, 5, 2], 800)
    model = ReferenceModel(family, TYPES, SIDE * SIDE, dim=8)
    done = train_language_model(model, text, text[:300], tokens=20_000, window=24, batch_size=8, progress=False)
    assert done.held_out_loss_nats < 0.2 * math.log(TYPES)


def test_a_size_that_cannot_be_is_refused():
    with pytest.raises(UserError, match="`numbers` must be the square of an even number, got 200: pass 196"):
        ReferenceModel("lmu", TYPES, 200)
    with pytest.raises(UserError, match="did you mean 'hippo'"):
        ReferenceModel("hipo", TYPES)


# ---------------------------------------------------------------------------------------------- Legendre memory


@pytest.mark.parametrize("share", [0.25, 0.5, 1.0])
def test_the_legendre_memory_delays_a_signal_with_its_known_error(share):
    """Read out at the end of the window it is the Pade approximant of a delay; of slow signals little is lost."""
    order, theta = 8, 20.0
    step, drive = LMU.discrete(order, theta)
    read = LMU.delayed(share, order)
    for cycles in (0.2, 0.5, 1.0):
        z = np.exp(2j * np.pi * cycles / theta)
        response = read.numpy() @ np.linalg.solve(z * np.eye(order) - step.numpy(), drive.numpy())
        held = (1 - 1 / z) / (2j * np.pi * cycles / theta)  # the input is held over each token
        ideal = np.exp(-2j * np.pi * cycles * share) * held
        assert abs(response - ideal) < 0.02, (share, cycles)


def test_the_end_of_the_legendre_window_is_the_pade_approximant():
    order, s = 5, 3.0j
    i = np.arange(order)
    sign = np.where(i[:, None] < i, -1.0, (-1.0) ** (i[:, None] - i + 1))
    a, b = (2 * i + 1)[:, None] * sign, (2 * i + 1) * (-1.0) ** i
    ours = LMU.delayed(1.0, order).numpy() @ np.linalg.solve(s * np.eye(order) - a, b)
    # Numerator of order 4 over denominator of order 5 for exp(-s).
    m, n = order - 1, order
    above = sum(math.comb(m, j) * math.factorial(m + n - j) / math.factorial(m + n) * (-s) ** j for j in range(m + 1))
    below = sum(math.comb(n, j) * math.factorial(m + n - j) / math.factorial(m + n) * s**j for j in range(n + 1))
    assert ours == pytest.approx(above / below, rel=1e-9)


# ---------------------------------------------------------------------------------------------- memory capacity


@given(st.integers(1, 40), st.floats(0.3, 0.97), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_capacities_sum_to_the_numbers_of_a_controllable_reservoir(numbers, radius, seed):
    matrix, drive = stable(numbers, radius, seed)
    lags = math.ceil(numbers * math.log(1e-9) / math.log(radius))
    capacity = linear_memory_capacity(matrix, drive, lags=min(lags, 4000))
    assert ((capacity >= -1e-9) & (capacity <= 1 + 1e-9)).all()
    assert capacity.sum() <= numbers + 1e-6
    if radius <= 0.8:
        assert capacity.sum() == pytest.approx(numbers, abs=1e-4)


def test_capacities_are_those_of_the_normal_equations_where_these_can_be_solved():
    matrix, drive = stable(3, 0.8, 0)
    columns = np.stack([np.linalg.matrix_power(matrix, lag) @ drive for lag in range(400)], 1)
    twin = np.einsum("nk,nm,mk->k", columns, np.linalg.inv(columns @ columns.T), columns)
    np.testing.assert_allclose(linear_memory_capacity(matrix, drive, lags=400), twin, atol=1e-8)


def test_a_mode_that_does_not_feel_the_input_remembers_nothing():
    capacity = linear_memory_capacity(np.diag([0.9, 0.5, 0.2]), np.array([1.0, 0.0, 1.0]), lags=500)
    assert capacity.sum() == pytest.approx(2)


@pytest.mark.parametrize("alpha", [0.1, 0.5])
def test_the_capacity_of_an_average_has_a_closed_form(alpha):
    capacity = linear_memory_capacity(np.array([[1 - alpha]]), np.array([alpha]), lags=50)
    keep = (1 - alpha) ** 2
    np.testing.assert_allclose(capacity, (1 - keep) * keep ** np.arange(50), atol=1e-12)


def test_a_recurrence_that_does_not_forget_is_refused():
    with pytest.raises(UserError, match=r"`recurrence` must forget, got an eigenvalue of absolute value 1.000"):
        linear_memory_capacity(np.eye(2), np.ones(2))
    with pytest.raises(UserError, match="`inputs` must have one number for each row"):
        linear_memory_capacity(np.eye(2), np.ones(3))


# ------------------------------------------------------------------------------------------- what is stored


@given(st.integers(1, 6), st.integers(1, 20), st.integers(0, 2**31))
@settings(max_examples=25, deadline=None)
def test_a_delta_rule_told_to_store_and_never_to_forget_holds_its_last_tokens(side, tokens, seed):
    values = torch.randn(1, tokens, 3, generator=torch.Generator().manual_seed(seed))
    keys = torch.eye(side)[torch.arange(tokens) % side][None]
    states = delta_rule(keys, values, torch.ones(1, tokens), torch.ones(1, tokens))
    for back in range(min(side, tokens)):
        slot = (tokens - 1 - back) % side
        torch.testing.assert_close(states[0, -1, :, slot], values[0, tokens - 1 - back])


@pytest.mark.statistical
def test_a_window_holds_its_tokens_and_no_more():
    tokens = infodil.sources.iid(TYPES, documents=60, tokens=40, seed=0)
    for family in ("shift_register", "window_attention"):
        encoder = ReferenceModel(family, TYPES, 16, dim=8)  # a window of two
        report = infodil.recoverability(encoder, tokens, lags=[0, 1, 2], probes="gaussian", progress=False)
        bits = [report.estimate(family, lag).value_bits for lag in (0, 1, 2)]
        assert min(bits[:2]) > 2.5 and abs(bits[2]) < 0.1


def test_reference_encoders_are_built_in():
    for family in set(CELLS) - set(infodil.encoders.ENCODERS):
        raise AssertionError(family)
    assert infodil.load_encoder("lmu", vocabulary=TYPES, numbers=64, seed=3).cell.numbers == 64
