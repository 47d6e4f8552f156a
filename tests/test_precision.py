"""States observed at a precision, against grids decoded bit by bit, and the predicted horizon against probes."""

import math

import jaxtyping
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from infodil import traces
from infodil.checks import UserError
from infodil.precision import (
    PRECISIONS,
    Quantizer,
    check_precision,
    detect,
    horizon,
    noise_generator,
    weighted_sigma,
)
from infodil.precision.formats import FORMATS, spacing_of

laws = settings(derandomize=True, database=None, deadline=None, max_examples=40)

# Sign, exponent bits, mantissa bits, bias, and whether the largest exponent is kept for inf and nan: IEEE 754-2019 for
# float16; bfloat16 is the upper half of binary32; Micikevicius et al. (2022), table 1, for float8.
LAYOUT = {
    "float16": (5, 10, 15, True),
    "bfloat16": (8, 7, 127, True),
    "float8_e4m3": (4, 3, 7, False),
    "float8_e5m2": (5, 2, 15, True),
}
ROUNDED = sorted({*PRECISIONS} - {"float64"})


def magnitudes(name):
    """Every finite number of the format that is not negative, in the order of its bits, which is that of its size."""
    exponent_bits, mantissa_bits, bias, reserved = LAYOUT[name]
    numbers = []
    for bits in range(2 ** (exponent_bits + mantissa_bits)):
        exponent, mantissa = divmod(bits, 2**mantissa_bits)
        if reserved and exponent == 2**exponent_bits - 1:
            break
        if not reserved and bits == 2 ** (exponent_bits + mantissa_bits) - 1:
            break  # e4m3 gives up only its last pattern, to nan
        if exponent == 0:
            numbers.append(mantissa * 2.0 ** (1 - bias - mantissa_bits))
        else:
            numbers.append((2**mantissa_bits + mantissa) * 2.0 ** (exponent - bias - mantissa_bits))
    return np.array(numbers)


GRIDS = {name: magnitudes(name) for name in LAYOUT}


def nearest(x, grid):
    """Round to nearest, ties to the even bit pattern, saturating; float64 in and out, by comparing with midpoints."""
    size = np.minimum(np.abs(x), grid[-1])
    above = np.minimum(np.searchsorted(grid, size), len(grid) - 1)
    below = np.maximum(above - 1, 0)
    middle = (grid[below] + grid[above]) / 2
    up = (size > middle) | ((size == middle) & (above % 2 == 0))
    return np.copysign(grid[np.where(up, above, below)], x)


def unscaled(name, dim):
    """An observer that has met nothing but ones, so that the grid of the format is seen as it is."""
    return Quantizer(name, torch.ones(dim, dtype=torch.float64))


def gaussian(rows=4096, dim=8, dtype=torch.float32):
    """Channels of unlike size."""
    return torch.randn(rows, dim, dtype=dtype) * torch.logspace(-2, 1, dim, dtype=dtype)


# --- rounding against the decoded bits ---


@pytest.mark.parametrize("name", LAYOUT)
def test_torch_and_the_standard_mean_the_same_grid(name):
    grid, form = GRIDS[name], FORMATS[name]
    assert grid[-1] == form.largest and grid[1] == 2.0 ** (form.least - form.bits + 1)
    assert np.array_equal(unscaled(name, len(grid)).quantize(torch.from_numpy(grid)).double().numpy(), grid)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LAYOUT)
def test_rounding_is_that_of_the_decoded_grid(name, dtype):
    grid = GRIDS[name]
    middles = (grid[1:] + grid[:-1]) / 2
    wild = np.exp(np.random.default_rng(0).uniform(np.log(grid[1] / 8), np.log(min(4 * grid[-1], 3e38)), 4096))
    beside = 2.0**-20 if dtype == torch.float32 else 2.0**-50  # float64 beside a tie is lost if rounded twice
    x = np.concatenate([grid, middles, middles * (1 + beside), middles * (1 - beside), wild])
    x = torch.from_numpy(np.concatenate([x, -x])).to(dtype)
    seen = unscaled(name, len(x)).quantize(x)
    assert seen.dtype == torch.float32
    assert np.array_equal(seen.double().numpy(), nearest(x.double().numpy(), grid))


def test_float64_is_rounded_to_float32_as_numpy_does_and_float64_is_left_alone():
    x = torch.randn(64, 4, dtype=torch.float64)
    assert np.array_equal(Quantizer.of("float32", x).quantize(x).numpy(), x.numpy().astype(np.float32))
    assert torch.equal(Quantizer.of("float64", x).quantize(x), x)
    assert Quantizer.of("float64", x).quantize(x.float()).dtype == torch.float32
    assert torch.equal(Quantizer.of("float32", x).quantize(x.bfloat16()), x.bfloat16().float())


def test_int8_by_channel():
    states = gaussian(rows=200)
    seen = Quantizer.of("int8", states).quantize(states).numpy()
    for channel in range(states.shape[1]):
        x = states[:, channel].numpy()
        step = np.float32(float(np.abs(x).max()) * 1.25 / 127)
        assert np.array_equal(seen[:, channel], np.clip(np.round(x / step), -127, 127) * step)


def test_the_scale_of_float8_is_a_power_of_two_with_room_above():
    states = gaussian()
    for name, largest in (("float8_e4m3", 448), ("float8_e5m2", 57344)):
        observer = Quantizer.of(name, states)
        assert len(set(observer.unit.tolist())) == 1 and math.log2(observer.unit[0]).is_integer()
        room = largest * float(observer.unit[0]) / float(states.abs().max())
        assert 2 <= room < 4
        scaled = states.double().numpy() / float(observer.unit[0])
        assert np.array_equal(
            observer.quantize(states).double().numpy(), nearest(scaled, GRIDS[name]) * float(observer.unit[0])
        )


# --- laws of rounding ---

numbers = st.floats(-4.0, 4.0) | st.floats(-1e-6, 1e-6) | st.floats(-1e38, 1e38)


@laws
@given(st.sampled_from(ROUNDED), st.lists(numbers, min_size=2, max_size=20), st.sampled_from(["single", "double"]))
def test_rounding_is_monotone_odd_idempotent_and_near(name, values, size):
    x = torch.tensor(sorted(values), dtype=torch.float64)[:, None]
    x = x if size == "double" else x.float()
    observer = Quantizer.of(name, torch.tensor([[1.0], [-3.0]]))
    seen = observer.quantize(x)
    assert seen.isfinite().all()
    assert (seen.diff(dim=0) >= 0).all()
    assert torch.equal(observer.quantize(-x), -seen)
    assert torch.equal(observer.quantize(seen), seen)
    unit = float(observer.unit)
    limit = unit * (127 if name == "int8" else FORMATS[name].largest)
    # At most half a step within the range; the last factor is int8's quotient and product in float32, 2 roundings.
    step = unit if name == "int8" else spacing_of(x.double() / unit, FORMATS[name]) * unit
    within = x.double().abs() <= limit
    error = (seen.double() - x.double()).abs() - x.double().abs() * (2**-23 if name == "int8" else 0)
    assert (error[within] <= (step / 2 * torch.ones_like(error))[within]).all()
    # The largest number in float32 may be the last bit below 127 steps.
    assert (seen.double().abs()[~within] >= limit * (1 - 2**-24)).all()


@pytest.mark.parametrize("name", [*ROUNDED, "snr=20dB"])
@pytest.mark.parametrize("largest", [3.4e38, 1.0, 1e-30, 1e-44, 0.0])
def test_nothing_overflows_whatever_the_size_of_the_states(name, largest):
    states = torch.tensor([[largest, 0.0], [-largest, 0.0]])
    observer = Quantizer.of(name, states)
    later = torch.tensor([[3.4e38, 3.4e38], [-3.4e38, 1.0], [1e300, 1e-300]], dtype=torch.float64)
    for x in (states, later, later.float().clamp(max=3.4e38)):
        assert observer.quantize(x, noise_generator(0)).isfinite().all()
        assert observer.errors(x).isfinite().all()
    assert observer.sigma(states).shape == (2,)


def test_half_precision_saturates_instead_of_overflowing():
    x = torch.tensor([[1e5, -1e30]])
    assert Quantizer.of("float16", x).quantize(x).tolist() == [[65504.0, -65504.0]]
    x = torch.tensor([[3.4e38]])  # nearer to 2**128 than to the largest bfloat16
    assert float(Quantizer.of("bfloat16", x).quantize(x)) == torch.finfo(torch.bfloat16).max


def test_what_was_never_met_saturates():
    first = torch.randn(100, 3)
    for name in ("int8", "float8_e4m3", "float8_e5m2"):
        observer = Quantizer.of(name, first)
        # float32 may round 127 steps down.
        largest = float(observer.quantize(torch.full((1, 3), 1e9)).max())
        limit = float(observer.unit.max()) * (127 if name == "int8" else FORMATS[name].largest)
        assert largest == pytest.approx(limit, rel=2**-23)


def test_a_channel_that_slept_is_seen_when_it_wakes():
    observer = Quantizer.of("int8", torch.tensor([[1.0, 0.0], [-2.0, 0.0]]))
    assert observer.quantize(torch.tensor([[2.0, 2.0]])).tolist() == [[pytest.approx(2.0, abs=0.01)] * 2]


# --- the model of the error ---


@pytest.mark.statistical
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", [*ROUNDED, "snr=20dB", "snr=-3dB"])
def test_the_model_is_the_error_that_is_measured(name, dtype):
    if name == "float32" and dtype == torch.float32:
        pytest.skip("float32 is not rounded again")
    states = gaussian(rows=8000, dtype=dtype)
    observer = Quantizer.of(name, states)
    squares = (observer.quantize(states, noise_generator(0)).double() - states.double()).square()
    # Measured minus modelled square, row by row, has mean 0 if the model holds: 5 standard errors of that mean, over 8
    # channels and 14 cases one false alarm in 10,000 runs.
    excess = squares - observer.errors(states).square()
    assert (excess.mean(0).abs() <= 5 * excess.std(0) / math.sqrt(len(states))).all()
    torch.testing.assert_close(observer.sigma(states), observer.errors(states).square().mean(0).sqrt())


def test_the_model_of_a_float_is_the_formula():
    # 1 to 2 has spacing 2**-7 in bfloat16, whose significand has 8 bits; 2 to 4 twice that.
    observer = Quantizer.of("bfloat16", torch.ones(1, 4))
    errors = observer.errors(torch.tensor([[1.0, 1.99, -2.0, 0.0]]))
    torch.testing.assert_close(
        errors * math.sqrt(12), torch.tensor([[2**-7, 2**-7, 2**-6, 2**-133]], dtype=torch.float64), rtol=1e-12, atol=0
    )


def test_subnormals_have_the_spacing_of_the_least_binade():
    observer = unscaled("float16", 1)
    x = torch.linspace(2**-20, 2**-14, 3001, dtype=torch.float64)[:-1, None]
    torch.testing.assert_close(
        observer.sigma(x)[0], torch.tensor(2**-24 / math.sqrt(12), dtype=torch.float64), rtol=1e-12, atol=0
    )
    squares = (observer.quantize(x).double() - x).square()
    # A uniform error has a square of standard deviation 2 / sqrt(5) of its mean.
    torch.testing.assert_close(squares.mean().sqrt(), observer.sigma(x)[0], rtol=5 * 0.45 / math.sqrt(3000), atol=0)


def test_the_model_counts_what_saturation_cuts_off():
    observer = Quantizer.of("int8", torch.ones(10, 1))
    assert float(observer.errors(torch.tensor([[11.25]]))) == pytest.approx(10, rel=1e-4)
    assert float(unscaled("float16", 1).errors(torch.tensor([[65504.0 + 1000]]))) == pytest.approx(1000, rel=1e-3)


# --- noise ---


@pytest.mark.parametrize("decibels", [20, 7.5, 0, -10])
def test_the_ratio_is_reached_and_every_element_has_noise_of_its_own(decibels):
    states = gaussian(rows=5000) + 3  # the mean is no signal
    observer = Quantizer.of(f"snr={decibels}dB", states)
    noise = (observer.quantize(states, noise_generator(0)) - states).double()
    ratio = float(states.double().var(0, correction=0).mean() / noise.square().mean())
    # The mean of n squares of Gaussians has the relative deviation sqrt(2 / n).
    assert ratio == pytest.approx(10 ** (decibels / 10), rel=5 * math.sqrt(2 / noise.numel()))
    # The same sigma in channels whose sizes differ a thousandfold, and no correlation: 5 deviations each.
    torch.testing.assert_close(noise.std(0), observer.unit, rtol=5 * math.sqrt(1 / 2 / len(noise)), atol=0)
    apart = torch.corrcoef(noise.T) - torch.eye(noise.shape[1])
    assert apart.abs().max() <= 5 / math.sqrt(len(noise))


def test_the_same_seed_and_place_give_the_same_noise():
    states = gaussian(rows=50)
    observer = Quantizer.of("snr=20dB", states)

    def at(*place):
        return observer.quantize(states, noise_generator(*place))

    assert torch.equal(at(0, "embedding", 512), at(0, "embedding", 512))
    for other in ((1, "embedding", 512), (0, "layer.1", 512), (0, "embedding", 513)):
        assert not torch.equal(at(0, "embedding", 512), at(*other))


def test_the_noise_is_drawn_the_same_for_either_width():
    states = gaussian(rows=50)
    observer = Quantizer.of("snr=20dB", states)
    torch.testing.assert_close(
        observer.quantize(states, noise_generator(0)), observer.quantize(states.double(), noise_generator(0))
    )


def test_states_without_variance_get_no_noise():
    states = torch.ones(5, 2)
    assert torch.equal(Quantizer.of("snr=20dB", states).quantize(states, noise_generator(0)), states)


# --- which precision numbers already have ---


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", list(FORMATS))
def test_detect_finds_what_was_rounded(name, dtype):
    if name == "float64" and dtype == torch.float32:
        pytest.skip("float32 cannot hold float64")
    states = torch.randn(400, 3, dtype=dtype)
    assert detect(unscaled(name, 3).quantize(states).to(dtype)) == name


def test_detect_takes_the_coarsest_and_is_not_fooled_by_zeros():
    assert detect(torch.zeros(3, 2)) == detect(torch.zeros(3, 2).double()) == "float32"
    assert detect(torch.eye(4)) == "float8_e5m2"
    mixed = torch.tensor([1.0, 1 + 2.0**-10])  # bfloat16 cannot hold the second, float16 can
    assert detect(mixed) == detect(mixed.half()) == "float16"
    assert detect(torch.tensor([2.0**100, 1 + 2.0**-7])) == "bfloat16"  # out of float16's range
    assert detect(torch.tensor([1e300]).double()) == "float64"


# --- the horizon ---


def trace_of(alpha, dim, vocabulary, tokens, samples):
    """EMA states of unrelated tokens in float64, their weights, their tokens (newest first) and the embedding."""
    embedding = torch.randn(vocabulary, dim, dtype=torch.float64)
    embedding /= embedding.norm(dim=1, keepdim=True)
    weights = traces.weights(alpha, tokens)
    x = torch.stack([torch.randperm(vocabulary)[:tokens] for _ in range(samples)])
    return torch.einsum("k,nkd->nd", weights, embedding[x]), weights, x, embedding


@pytest.mark.parametrize("name", ["bfloat16", "float16", "float8_e4m3"])
@pytest.mark.parametrize("alpha", [0.5, 0.1, 0.02])
def test_the_element_horizon_is_that_of_the_trace_but_for_the_factor_said(alpha, name):
    tokens = int(25 / alpha)
    h, weights, _, _ = trace_of(alpha, 64, tokens + 64, tokens, 100)
    predicted = horizon(weights, Quantizer.of(name, h).sigma(h), probe="element")
    bits = FORMATS[name].bits
    factor = 0.43 / math.sqrt(alpha * (2 - alpha))
    lags = (bits - math.log2(factor)) / -math.log2(1 - alpha)
    # kappa is known to a few per cent: log 1.05 / alpha lags, and the floor.
    assert abs(predicted - lags) <= 0.05 / alpha + 1
    if alpha == 0.1 and name != "float8_e4m3":
        assert abs(predicted - traces.horizon(alpha, FORMATS[name].dtype)) <= 1


@pytest.mark.parametrize("name", ["bfloat16", "int8", "snr=20dB"])
def test_the_genie_loses_the_token_where_predicted(name):
    h, weights, x, embedding = trace_of(0.1, 256, 1000, 150, 150)
    observer = Quantizer.of(name, h)
    error = observer.quantize(h, noise_generator(0)).double() - h
    predicted = horizon(weights, observer.sigma(h), probe="genie", vocabulary=1000)
    named = []
    for lag in range(predicted - 6, predicted + 8):
        rest = error + weights[lag] * embedding[x[:, lag]]  # every other token is known and taken away
        named.append(float(((rest @ embedding.T).argmax(1) == x[:, lag]).double().mean()))
    measured = predicted - 7 + sum(share >= 0.5 for share in named)
    # A share of 150 has the deviation .04 and falls by about .1 a lag.
    assert abs(measured - predicted) <= 2
    assert named[0] > 0.8 and named[-1] < 0.2


def test_the_decoder_loses_the_order_where_predicted():
    tokens, samples = 60, 60
    h, weights, x, embedding = trace_of(0.1, 512, 1000, tokens, samples)
    observer = Quantizer.of("int8", h)
    seen = observer.quantize(h).double()
    # Told which tokens there are, it sorts their coefficients; these suffer from one another as weighted_sigma says.
    sigma = weighted_sigma(observer.errors(h), unknowns=tokens)
    predicted = horizon(weights, sigma)
    right = torch.zeros(tokens)
    for sample in range(samples):
        coefficients = torch.linalg.lstsq(embedding[x[sample]].T, seen[sample]).solution
        right += coefficients.argsort(descending=True) == torch.arange(tokens)
    share = right / samples
    # At one sigma each of two neighbours is mistaken 16 times in 100.
    around = share[predicted - 1 : predicted + 2].mean()
    assert 0.45 <= around <= 0.85
    assert share[: predicted - 10].mean() > 0.9 and share[predicted + 10 : predicted + 15].mean() < 0.35


def test_the_horizon_by_hand():
    weights = torch.tensor([8.0, 4.0, 2.0, 1.0])
    assert horizon(weights, 1.0, probe="genie") == 2  # sqrt(2) between two types
    assert horizon(weights, 1.0, 2.0, probe="genie") == 3  # a token twice as long
    assert (
        horizon(weights, 1.0) == 1
    )  # gaps 4, 2, 1 to the older neighbour and 1 from the last to none: sqrt(2) at least
    assert horizon(weights, 0.7) == 3
    assert horizon(weights, torch.full((4,), 1.0), probe="element") == 2  # each number must move by 1: weight 2
    assert horizon(weights, 0.0) == 3 and horizon(weights, 100.0) == -1
    assert horizon(torch.tensor([1.0, 1.0]), 0.0) == -1  # nothing tells equal weights apart
    assert horizon(torch.tensor([1.0, 1.0]), 0.0, probe="genie") == 1
    assert horizon(torch.tensor([1.0, 0.0]), 0.0, probe="genie") == 0
    assert horizon(torch.zeros(0), 1.0) == -1


@pytest.mark.statistical
@laws
@given(st.floats(0.01, 0.9), st.floats(1e-9, 1.0), st.floats(1.0, 100.0))
def test_more_error_never_reaches_further(alpha, sigma, factor):
    weights = traces.weights(alpha, 60)
    for probe in ("decoder", "genie"):
        near = horizon(weights, sigma * factor, probe=probe)
        assert near <= horizon(weights, sigma, probe=probe)
        assert horizon(weights, sigma, factor, probe=probe) == horizon(weights, sigma / factor, probe=probe)
    assert horizon(weights, sigma) <= horizon(weights, sigma, probe="genie")


# --- probes that weigh each number by its error ---


def test_weighing_by_hand():
    same = torch.full((3, 10), 2.0)
    assert weighted_sigma(same, unknowns=4) == pytest.approx(2 / math.sqrt(0.5))  # 5 of 10 dims: inverse Wishart
    # Half the numbers without limit on their error: the others are all there is, v / (1 + v 2/8) = 2.
    half = torch.tensor([[1.0] * 4 + [1e9] * 4])
    assert weighted_sigma(half) == pytest.approx(2)
    # In many dims one unknown gives the harmonic mean.
    many = torch.tensor([[1.0, 2.0] * 5000])
    assert weighted_sigma(many) == pytest.approx(math.sqrt(2 / (1 + 1 / 4)), rel=1e-3)
    assert weighted_sigma(torch.tensor([[0.0, 0.0, 0.0, 1.0]])) == pytest.approx(0, abs=1e-6)
    assert weighted_sigma(torch.zeros(2, 4), unknowns=2) == 0


@pytest.mark.parametrize("unknowns", [10, 60, 120])
def test_weighing_is_the_covariance_of_weighted_least_squares(unknowns):
    h, _, x, embedding = trace_of(0.1, 256, 1000, 150, 40)
    errors = Quantizer.of("bfloat16", h).errors(h)
    deviations = []
    for sample in range(len(h)):
        design = embedding[x[sample, :unknowns]].T / errors[sample][:, None]
        deviations.append(torch.linalg.inv(design.T @ design).diagonal().sqrt())
    # The limit of many dims, and the median of 40 states, known to 5% where few numbers decide.
    assert weighted_sigma(errors, unknowns) == pytest.approx(float(torch.cat(deviations).median()), rel=0.25)


# --- messages ---


@pytest.mark.parametrize("name", [*PRECISIONS, "snr=20dB", "snr=7.5dB", "snr=-3dB", "snr=+.5dB", "snr=300dB"])
def test_the_names_are_taken(name):
    check_precision(name)
    Quantizer.of(name, torch.ones(1, 1))


@pytest.fixture
def as_users_run_it():
    """Annotations are checked only in this suite; a user's mistake must meet our own sentence."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)


OPTIONS = (
    "must be one of 'float64', 'float32', 'float16', 'bfloat16', 'float8_e4m3', 'float8_e5m2', 'int8' "
    "or 'snr=<number>dB', got "
)
WEIGHTS = torch.tensor([0.5, 0.25])

MISTAKES = [
    (lambda: check_precision("float8"), OPTIONS + "'float8': did you mean 'float16', 'float32' or 'float64'?"),
    (lambda: check_precision("int4"), OPTIONS + "'int4': did you mean 'int8'?"),
    (lambda: check_precision("snr=12.5"), OPTIONS + "'snr=12.5': did you mean 'snr=12.5dB'?"),
    (lambda: check_precision("snr = 30 db"), OPTIONS + "'snr = 30 db': did you mean 'snr=30dB'?"),
    (lambda: check_precision("snr=infdB"), OPTIONS + "'snr=infdB': did you mean 'snr=20dB'?"),
    (lambda: check_precision(torch.float16), OPTIONS + "torch.float16: did you mean 'bfloat16', 'float16' or"),
    (lambda: check_precision(8), OPTIONS + "8."),
    (lambda: check_precision(["float16"]), OPTIONS + "['float16']: did you mean"),
    (lambda: check_precision("snr=301dB"), "must have a ratio of -300 to 300 dB, got 'snr=301dB': pass one such as"),
    (lambda: Quantizer.of("flaot", torch.ones(2, 2)), "`precision` " + OPTIONS),
    (lambda: Quantizer.of("int8", torch.ones(0, 2)), "`states` must be [rows, dim] and not empty, got shape [0, 2]"),
    (lambda: Quantizer.of("int8", torch.ones(2)), "`states` must be [rows, dim] and not empty, got shape [2]"),
    (lambda: Quantizer.of("int8", torch.ones(2, 2).long()), "`states` must be floating point, got torch.int64"),
    (lambda: Quantizer.of("int8", torch.tensor([[math.nan]])), "`states` must be finite, got inf or nan: mend the enc"),
    (
        lambda: Quantizer.of("int8", torch.ones(1, 2)).quantize(torch.ones(1, 3)),
        "must have 2 dims as those the quantizer",
    ),
    (
        lambda: Quantizer.of("int8", torch.ones(1, 1)).quantize(torch.tensor(1.0)),
        "must have 1 dims as those the quantize",
    ),
    (
        lambda: Quantizer.of("snr=20dB", torch.ones(1, 2)).quantize(torch.ones(1, 2)),
        "`generator` must be a torch.Generator for precision 'snr=20dB', got None: pass noise_generator(seed, ",
    ),
    (lambda: detect(torch.ones(2).int()), "`states` must be floating point, got torch.int32"),
    (lambda: horizon(WEIGHTS, 1.0, probe="gene"), "`probe` must be one of 'decoder', 'genie' or 'element', got 'gen"),
    (lambda: horizon(-WEIGHTS, 1.0), "`weights` must be finite and not negative, got -0.5"),
    (lambda: horizon(WEIGHTS, math.nan), "`sigma` must be finite and not negative, got nan"),
    (lambda: horizon(WEIGHTS, 1.0, 0.0), "`embedding_norm` must be a number above 0, got 0.0: pass a length"),
    (lambda: horizon(WEIGHTS, 1.0, vocabulary=1), "`vocabulary` must be a whole number of at least 2, got 1"),
    (lambda: horizon(WEIGHTS, 1.0, probe="element"), "`sigma` must be [dim] for probe 'element', got one number"),
    (lambda: weighted_sigma(torch.ones(2, 3), 0), "`unknowns` must be a whole number of at least 1, got 0"),
    (lambda: weighted_sigma(torch.ones(2, 3), 3), "`unknowns` must be at least 2 below the 3 dims, got 3"),
]


@pytest.mark.parametrize(("mistake", "sentence"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_meets_a_sentence(as_users_run_it, mistake, sentence):
    with pytest.raises(UserError) as raised:
        mistake()
    assert sentence in str(raised.value)
    assert str(raised.value).endswith((".", "?")) and "\n" not in str(raised.value)


def test_the_device_is_kept():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device here")
    states = gaussian(dtype=torch.float64)
    for name in [*PRECISIONS, "snr=20dB"]:
        observer = Quantizer.of(name, states.cuda())
        seen = observer.quantize(states.cuda(), noise_generator(0))
        assert seen.device.type == "cuda"
        torch.testing.assert_close(seen.cpu(), observer.quantize(states, noise_generator(0)), rtol=2**-22, atol=0)
        assert observer.sigma(states.cuda()).device.type == "cuda"
