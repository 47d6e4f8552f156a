import jaxtyping
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import ema_convolution, ema_loop, horizon_by_counting

from infodil import traces
from infodil.checks import UserError
from infodil.testing import alphas, check_trace, vector_sequences
from infodil.traces import ema, ema_bank, half_life, horizon, invert, weights

BANK = (0.5, 0.1, 0.02)
EPS = {dtype: torch.finfo(dtype).eps for dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64)}

laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)


def rounding(x, terms=traces.CHUNK_TOKENS + 3):
    """How far two exact-but-for-rounding scans of `x` may stand apart.

    A state is a sum of at most a chunk of products and one carried state per scale, itself such a sum over the places
    of its block. The error of a sum of n products is at most n eps / 2 times the sum of their absolute values (Higham
    2002, section 3.1), which is at most the largest input because the weights sum to one. Two scans, three roundings of
    operands: 2 (n + 3) eps / 2 for the chunk, the same for the carried state.
    """
    return 2 * (terms + 3) * EPS[x.dtype] * max(x.abs().max().item(), torch.finfo(x.dtype).tiny)


# --- against the slow twin ---


@pytest.mark.parametrize("tokens", [0, 1, 2, 15, 16, 17, 511, 512, 513, 1100])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_bank_is_the_recurrence_at_every_cut(tokens, dtype):
    x, initial = torch.randn(2, 3, tokens, 2, dtype=dtype), torch.randn(2, 3, 4, 2, dtype=dtype)
    states = ema_bank(x, (*BANK, 1.0), initial)
    assert states.shape == (2, 3, tokens, 4, 2)
    largest = torch.cat([x, initial.flatten(2, 3).unflatten(2, (4, 2))], dim=2)
    # float64 against float64 also pays for the twin, which rounds thrice a step and forgets at rate alpha: 1.5 eps /
    # alpha.
    slow = 1.5 / min(BANK) * EPS[torch.float64] * largest.abs().max().item()
    torch.testing.assert_close(
        states.double(),
        ema_loop(x, (*BANK, 1.0), initial),
        rtol=0,
        atol=rounding(largest, 20 + tokens // traces.CHUNK_TOKENS) + slow,
    )


def test_many_short_documents_and_a_ragged_end_are_the_recurrence(monkeypatch):
    # Blocks of several documents, and blocks that do not tile memory, go another way through the code.
    monkeypatch.setitem(traces.ELEMENTS_PER_BLOCK, "cpu", 200)
    x = torch.randn(9, 37, 2)
    torch.testing.assert_close(ema_bank(x, BANK).double(), ema_loop(x, BANK), rtol=0, atol=rounding(x))


def test_ema_is_one_scale_of_the_bank():
    x, initial = torch.randn(3, 40, 5), torch.randn(3, 5)
    bank = ema_bank(x, BANK, initial.unsqueeze(1).expand(-1, 3, -1))
    for scale, alpha in enumerate(BANK):
        torch.testing.assert_close(
            ema(x, alpha, initial), bank[:, :, scale], rtol=0, atol=rounding(torch.cat([x, initial[:, None]], 1))
        )


def test_axes_in_any_memory_order_and_no_batch_axis():
    x = torch.randn(5, 40, 3).transpose(0, 2)  # tokens are not contiguous
    torch.testing.assert_close(ema(x, 0.1), ema(x.contiguous(), 0.1), rtol=0, atol=0)
    torch.testing.assert_close(ema(x[0], 0.1), ema(x, 0.1)[0], rtol=0, atol=rounding(x))


# --- laws ---


@laws
@given(vector_sequences(tokens=70), alphas(1e-6))
def test_a_trace_is_the_convolution_with_its_weights(x, alpha):
    tolerance = rounding(x)
    torch.testing.assert_close(
        ema(x, alpha).double(), ema_convolution(x, weights(alpha, x.shape[1])), rtol=0, atol=tolerance
    )


@laws
@given(vector_sequences(tokens=40, dtype=torch.float64), alphas(), st.floats(-3, 3), st.floats(-3, 3))
def test_linearity(x, alpha, a, b):
    y = x.flip(0, 1, 2)
    left, right = ema(a * x + b * y, alpha), a * ema(x, alpha) + b * ema(y, alpha)
    # Each side rounds a combination of size up to (|a| + |b|) max|x| in the scan, and twice in combining.
    torch.testing.assert_close(left, right, rtol=0, atol=(abs(a) + abs(b) + 1) * rounding(x) * 1.5)


@laws
@given(vector_sequences(tokens=40), alphas(), st.integers(0, 39))
def test_causality_to_the_bit(x, alpha, cut):
    changed = x.clone()
    changed[:, cut:] += 1
    assert torch.equal(ema(changed, alpha)[:, :cut], ema(x, alpha)[:, :cut])


@pytest.mark.statistical
@laws
@given(vector_sequences(tokens=40), alphas(), st.integers(0, 40))
def test_shift(x, alpha, shift):
    """Silence before a sequence delays its trace and changes nothing else."""
    later = ema(torch.cat([torch.zeros(x.shape[0], shift, x.shape[2]), x], dim=1), alpha)
    assert not later[:, :shift].any()
    torch.testing.assert_close(later[:, shift:], ema(x, alpha), rtol=0, atol=rounding(x))


@laws
@given(vector_sequences(tokens=40, dim=3), alphas(1e-6), st.integers(0, 40))
def test_a_trace_stays_in_the_hull_of_its_inputs(x, alpha, place):
    initial = x[:, place % x.shape[1]]
    low, high = x.amin(1, keepdim=True) - rounding(x), x.amax(1, keepdim=True) + rounding(x)
    states = ema(x, alpha, initial)
    assert ((low <= states) & (states <= high)).all()


@pytest.mark.statistical
@laws
@given(vector_sequences(tokens=60), alphas(), st.integers(0, 60))
def test_chunks_handed_over_are_one_pass(x, alpha, cut):
    cut = min(cut, x.shape[1])
    first = ema(x[:, :cut], alpha)
    second = ema(x[:, cut:], alpha, first[:, -1] if cut else None)
    torch.testing.assert_close(torch.cat([first, second], 1), ema(x, alpha), rtol=0, atol=1.5 * rounding(x))


@laws
@given(vector_sequences(tokens=40), alphas())
def test_a_sequence_is_the_same_alone(x, alpha):
    torch.testing.assert_close(ema(x[-1:], alpha), ema(x, alpha)[-1:], rtol=0, atol=rounding(x))


@laws
@given(vector_sequences(tokens=40), alphas())
def test_inversion_to_rounding(x, alpha):
    initial = x[:, 0].flip(0)
    back = invert(ema(x, alpha, initial), alpha, initial)
    # An error d in every state comes back as at most (2 - alpha) / alpha d; its own arithmetic adds 3 roundings of that
    # size.
    torch.testing.assert_close(
        back, x, rtol=0, atol=(2 - alpha) / alpha * (rounding(x) + 3 * EPS[x.dtype] * x.abs().max().item())
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("alphas", [BANK, (1.0,), (1e-6,)])
def test_the_bank_passes_the_laws_it_is_sold_with(dtype, alphas):
    check_trace(lambda x, initial=None: ema_bank(x, alphas, initial), tokens=40, dtypes=(dtype,))


# --- the ends of alpha, of precision, of devices ---


def test_alpha_one_remembers_nothing_and_alters_nothing():
    x = torch.randn(2, 40, 3)
    assert torch.equal(ema(x, 1.0, torch.randn(2, 3)), x)
    assert torch.equal(ema(x, 1), x)
    assert torch.equal(invert(x, 1.0), x)
    assert weights(1.0, 3).tolist() == [1, 0, 0]


def test_a_tiny_alpha_keeps_its_digits_over_a_long_sequence():
    # A constant input has h_t = 1 - (1-alpha)**(t+1) in closed form. A float32 loop rounds 1 - alpha to a multiple of
    # 2**-24, which alters this alpha by 1.3%.
    tokens, alpha = 100_000, 1e-6
    states = ema(torch.ones(tokens, 1), alpha).double().squeeze(-1)
    exact = -torch.expm1(
        torch.arange(1, tokens + 1, dtype=torch.float64) * torch.tensor(-alpha, dtype=torch.float64).log1p()
    )
    # All terms are positive, so the bound on the error is relative: (chunk + places of a block + 3) eps.
    places = traces.CHUNKS_PER_BLOCK["cpu"] + 1
    torch.testing.assert_close(states, exact, rtol=(traces.CHUNK_TOKENS + places + 4) * EPS[torch.float32], atol=0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_rounded_once(dtype):
    x = torch.randn(2, 300, 3, dtype=dtype)
    states = ema(x, 0.02)
    assert states.dtype == dtype
    exact = ema_loop(x, (0.02,)).squeeze(-2)
    # Half a unit in the last place for the one rounding (below it float16 is subnormal), and the float32 scan before
    # it.
    atol = rounding(x.float()) + torch.finfo(dtype).smallest_normal * EPS[dtype]
    torch.testing.assert_close(states.double(), exact, rtol=EPS[dtype] / 2 * (1 + EPS[dtype]), atol=atol)


def test_autocast_does_not_lower_the_precision():
    x = torch.randn(2, 40, 8)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        states = ema(x, 0.1)
    assert torch.equal(states, ema(x, 0.1))


@pytest.mark.parametrize("device", ["meta", "cuda"])
def test_the_device_is_kept(device):
    if device == "cuda" and not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    x = torch.randn(3, 600, 4).to(device)
    states = ema_bank(x, BANK, torch.zeros(3, 3, 4, device=device))
    assert states.device.type == device and states.shape == (3, 600, 3, 4)
    if device == "cuda":
        torch.testing.assert_close(states.cpu(), ema_bank(x.cpu(), BANK), rtol=0, atol=rounding(x, 40))


# --- gradients ---


@pytest.mark.statistical
@pytest.mark.parametrize("tokens", [0, 1, 18])
def test_gradients(tokens):
    x = torch.randn(2, tokens, 1, dtype=torch.float64, requires_grad=True)
    initial = torch.randn(2, 2, 1, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, initial: ema_bank(x, (0.3, 1.0), initial), (x, initial))
    assert torch.autograd.gradgradcheck(
        lambda x, initial: ema_bank(x, (0.3, 1.0), initial), (x, initial), fast_mode=True
    )
    assert torch.autograd.gradcheck(lambda x, initial: invert(x, 0.3, initial[:, 0]), (x, initial))


def test_a_gradient_in_half_precision_keeps_its_dtype():
    x = torch.randn(2, 20, 3, dtype=torch.bfloat16, requires_grad=True)
    initial = torch.zeros(2, 3, requires_grad=True)  # float32 beside bfloat16 tokens: each gets its own dtype back
    ema(x, 0.1, initial).float().sum().backward()
    assert x.grad.dtype == torch.bfloat16 and initial.grad.dtype == torch.float32


# --- weights and how far they reach ---


@laws
@given(alphas(1e-9), st.integers(0, 200))
def test_the_weights_are_geometric_and_sum_to_what_is_not_initial(alpha, tokens):
    w = weights(alpha, tokens)
    assert w.dtype == torch.float64 and w.shape == (tokens,)
    rest = -torch.expm1(tokens * torch.tensor(-alpha, dtype=torch.float64).log1p()) if tokens else torch.tensor(0.0)
    # Each weight is a power with exponent up to 52 bits here (beyond, it is too small to matter): 52 eps, and the sum's
    # n eps.
    torch.testing.assert_close(w.sum(), rest.double(), rtol=(52 + tokens) * EPS[torch.float64], atol=0)


def test_weights_are_the_impulse_response():
    impulse = torch.zeros(40, 1)
    impulse[0] = 1
    # No sums here, only roundings: of two powers and two products where the impulse crosses chunks, and of the weight.
    torch.testing.assert_close(
        ema(impulse, 0.1).squeeze(-1), weights(0.1, 40, torch.float32), rtol=2.5 * 1.2e-7, atol=0
    )


@pytest.mark.parametrize(("decay", "lags"), [(0.5, (8, 24, 53)), (0.9, (52, 157, 348)), (0.98, (274, 823, 1818))])
def test_the_horizon_of_the_literature_survey(decay, lags):
    # Source: the project's survey of peers, section 1: "age at which an item's weight falls below 1 ulp of the newest
    # item", for bfloat16, float32 and float64. They are floor(p / -log2(decay)) for 8, 24 and 53 significant bits.
    assert tuple(horizon(1 - decay, dtype) for dtype in (torch.bfloat16, torch.float32, torch.float64)) == lags


@pytest.mark.parametrize(("decay", "tokens"), [(0.5, 1.0), (0.9, 6.6), (0.98, 34.3)])
def test_the_half_life_of_the_literature_survey(decay, tokens):
    assert round(half_life(1 - decay), 1) == tokens


@laws
@given(alphas(1e-3))
def test_the_horizon_by_counting(alpha):
    # Repeated products drift by one rounding a step: at most one lag apart, and only at a tie.
    assert abs(horizon(alpha, torch.float32) - horizon_by_counting(alpha, 24)) <= 1


@pytest.mark.parametrize("power", [1, 2, 4, 8])
def test_the_horizon_is_exact_where_the_weight_meets_the_rounding(power):
    assert horizon(1 - 2.0**-power, torch.float32) == 24 // power == horizon_by_counting(1 - 2.0**-power, 24)


def test_no_horizon_where_nothing_is_remembered():
    assert horizon(1.0, torch.float64) == 0 and half_life(1.0) == 0.0


# --- messages ---


@pytest.fixture
def as_users_run_it():
    """Annotations are checked only in this suite; a user's mistake must meet our own sentence."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


MISTAKES = [
    (lambda x: ema(x, 0.0), r"`alpha` must be above 0.0 and at most 1.0, got 0.0: pass a value in \(0.0, 1.0\]"),
    (lambda x: ema(x, 1.5), "`alpha` must be above 0.0 and at most 1.0, got 1.5"),
    (lambda x: ema(x, float("nan")), "`alpha` must be above 0.0 and at most 1.0, got nan"),
    (lambda x: ema(x, torch.tensor(0.5)), "`alpha` must be a number, got Tensor: pass a float such as 0.1"),
    (lambda x: ema(x, "fast"), "`alpha` must be a number, got str"),
    (lambda x: ema(x[0, :, 0], 0.5), r"`x` must have at least the axes \[tokens, dim\], got shape \[4\]: add the axis"),
    (lambda x: ema(x.long(), 0.5), r"`x` must be floating point, got torch.int64: convert it with .float\(\)"),
    (lambda x: ema(x, 0.5, x), r"`initial` must have shape \[2, 3\], got \[2, 4, 3\]: pass one state per sequence"),
    (lambda x: ema_bank(x, []), "`alphas` must not be empty: pass at least one weight"),
    (lambda x: ema_bank(x, (0.5, -1.0)), r"`alphas\[1\]` must be above 0.0 and at most 1.0, got -1.0"),
    (lambda x: ema_bank(x, (0.5, 0.1), x[:, 0]), r"`initial` must have shape \[2, 2, 3\], got \[2, 3\]"),
    (lambda x: invert(x.long(), 0.5), "`h` must be floating point, got torch.int64"),
    (lambda x: invert(x, 0.5, x), r"`initial` must have shape \[2, 3\]"),
    (lambda x: weights(2.0, 3), "`alpha` must be above 0.0 and at most 1.0, got 2.0"),
    (lambda x: weights(0.5, -1), "`tokens` must be a whole number of at least 0, got -1: pass the number of lags"),
    (lambda x: weights(0.5, 3, torch.int64), "`dtype` must be a floating dtype, got torch.int64"),
    (lambda x: horizon(0.5, torch.int8), "`dtype` must be a floating dtype, got torch.int8"),
    (lambda x: half_life(0.0), "`alpha` must be above 0.0"),
]


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES)
def test_a_mistake_meets_a_sentence(as_users_run_it, mistake, sentence):
    with pytest.raises(UserError, match=sentence) as raised:
        mistake(torch.zeros(2, 4, 3))
    assert str(raised.value).endswith(".") and "\n" not in str(raised.value)
