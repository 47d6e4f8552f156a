"""`mi.lower_bound`: below the truth and near it, zero where there is nothing, the same in any coordinates, messages."""

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infodil.checks import UserError
from infodil.ladder import cross_fit, hold_out
from infodil.ladder.calibration import CALIBRATION_ROWS
from infodil.ladder.fit import fit_probe
from infodil.mi import lower_bound
from infodil.probes import PROBES, ProbeChoice
from infodil.probes.neighbours.components import ComponentOptions
from infodil.probes.neighbours.probe import Neighbours
from infodil.sources import (
    ema_channel,
    gaussian_codebook,
    iid,
    markov,
    shift_register,
    unrelated_series,
    variance_code,
    xor_code,
    zipf,
)
from infodil.statistics import copied_rows, number_labels


def codes(vocabulary, dim, seed=5):
    return torch.randn(vocabulary, dim, generator=torch.Generator().manual_seed(seed))


PAIR = torch.tensor([[-1.0], [1.0]])


def trace(seed):
    """Two types, one number, a lag whose posterior goes up and down many times."""
    return ema_channel(PAIR, 0.5, 0.02, lags=[2], documents=40, tokens=100, seed=seed).at(2)


def register(seed):
    source = markov(vocabulary=6, concentration=0.3, documents=30, tokens=104, seed=seed)
    return shift_register(source, 2, lags=[2]).at(2)


CASES = {
    "codebook of 2 in 1 dim": lambda seed: gaussian_codebook(PAIR, 0.7, samples=2000, seed=seed),
    "codebook of 20 in 4 dims": lambda seed: gaussian_codebook(codes(20, 4), 0.7, samples=2000, seed=seed),
    "codebook of 100 in 64 dims": lambda seed: gaussian_codebook(codes(100, 64), 2.0, samples=4000, seed=seed),
    "exclusive or": lambda seed: xor_code(1, 0.5, samples=2000, nuisance=1, seed=seed),
    "variances": lambda seed: variance_code((0.3, 1.0, 3.0), 3, samples=2000, seed=seed),
    "trace": trace,
    "shift register": register,
}


@pytest.mark.statistical
@pytest.mark.parametrize(
    # A trace of one number, at a longer lag, has a test of its own.
    "name", [pytest.param(name, marks=[pytest.mark.slow] * (name == "trace")) for name in CASES],
)  # fmt: skip
def test_the_bound_is_below_the_truth_and_near_it(name):
    pair = CASES[name](0)
    assert pair.truth_bits > 0.3  # of less, a bound that says nothing is near
    bits = lower_bound(pair.x, pair.y, groups=pair.groups)
    assert bits.low_bits <= bits.value_bits <= bits.high_bits
    # One seed in forty is beyond its interval by design, and one in a thousand by half of it again.
    reach = 0.25 * (bits.high_bits - bits.low_bits) + 3.0 * pair.standard_error_bits
    assert bits.low_bits <= pair.truth_bits + reach
    assert bits.value_bits > 0.8 * pair.truth_bits
    assert bits.kind == "lower bound" and bits.samples == len(pair) and bits.confidence == 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", CASES)
def test_the_low_end_is_below_the_truth_in_most_seeds(name):
    beyond = 0
    for seed in range(40):
        pair = CASES[name](seed)
        bits = lower_bound(pair.x, pair.y, groups=pair.groups, seed=seed)
        beyond += bits.low_bits > pair.truth_bits + 2.0 * pair.standard_error_bits
    assert beyond <= 4  # one in forty by its level: more than four with chance 0.003


@pytest.mark.statistical
@pytest.mark.parametrize("grouped", [True, False], ids=["groups", "one series"])
def test_slow_states_that_know_nothing_read_nothing(grouped):
    covered, size = 0, {"documents": 30, "tokens": 80} if grouped else {"documents": 1, "tokens": 2400}
    for seed in range(4):
        pair = unrelated_series(4, 0.97, dim=2, **size, seed=seed)
        bits = lower_bound(pair.x, pair.y, probe="linear", groups=pair.groups if grouped else None, seed=seed)
        covered += bits.low_bits <= 0.0 <= bits.high_bits
        assert bits.value_bits < 0.05
    assert covered >= 3


@pytest.mark.statistical
def test_single_rows_of_slow_series_held_out_would_read_what_is_not_there():
    # Why rows of one series are held out in stretches: the test above has something to fail on.
    pair = unrelated_series(4, 0.99, dim=2, documents=1, tokens=3000)
    bits = lower_bound(pair.x, pair.y, groups=np.arange(len(pair)), probe="neighbours")
    assert bits.low_bits > 0.1


@pytest.mark.statistical
def test_independent_rows_that_know_nothing_read_nothing():
    generator = np.random.default_rng(0)
    for seed in range(4):
        states = generator.standard_normal((1000, 3))
        bits = lower_bound(generator.integers(5, size=1000), states, seed=seed, probe="linear" if seed else "auto")
        assert bits.low_bits <= 0.0 <= bits.high_bits and abs(bits.value_bits) < 0.02
        assert "held out one by one" in bits.warnings[0]


@pytest.mark.statistical
def test_tokens_turned_against_their_states_read_nothing():
    pair = gaussian_codebook(codes(8, 4), 0.3, samples=2000)
    assert lower_bound(pair.x, pair.y, groups=pair.groups, probe="gaussian").low_bits > 2.0
    bits = lower_bound(pair.x.roll(1000), pair.y, groups=pair.groups, probe="gaussian")
    assert bits.low_bits <= 0.0 <= bits.high_bits


@pytest.mark.statistical
@settings(max_examples=3, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 10_000))
def test_neither_coordinates_nor_the_names_of_tokens_matter(seed):
    generator = np.random.default_rng(seed)
    pair = gaussian_codebook(codes(6, 3), 0.6, samples=600, seed=seed)
    turn, stretch = np.linalg.qr(generator.standard_normal((3, 3)))[0], np.diag(np.exp(generator.uniform(-3, 3, 3)))
    other = pair.y.numpy() @ turn @ stretch @ turn.T + 100.0 * generator.standard_normal(3)
    names = generator.permutation(1000)[:6]
    probe = ["gaussian", "linear", "auto"][seed % 3]
    here = lower_bound(pair.x, pair.y, groups=pair.groups, probe=probe)
    there = lower_bound(names[pair.x], other, groups=pair.groups, probe=probe)
    assert abs(here.value_bits - there.value_bits) < 0.5 * (here.high_bits - here.low_bits)


@pytest.mark.statistical
def test_a_trace_of_one_number_needs_more_than_affine_probes():
    pair = ema_channel(torch.tensor([[-1.0], [1.0]]), 0.5, 0.02, lags=[4], documents=50, tokens=100).at(4)
    assert lower_bound(pair.x, pair.y, groups=pair.groups, probe="linear").value_bits < 0.02
    bits = lower_bound(pair.x, pair.y, groups=pair.groups)
    assert "trace" in bits.method or "neighbours" in bits.method
    assert pair.truth_bits - 0.05 < bits.value_bits < pair.truth_bits + 0.02


@pytest.mark.statistical
def test_a_stronger_probe_reads_no_less():
    pair = xor_code(1, 0.4, samples=1000)
    probes = ("prior", "linear", "mlp")
    bits = {probe: lower_bound(pair.x, pair.y, groups=pair.groups, probe=probe) for probe in probes}
    assert bits["prior"].value_bits <= 0.0 and bits["prior"].high_bits == 0.0
    assert bits["prior"].value_bits < bits["linear"].value_bits + 0.01 < bits["mlp"].value_bits + 0.02


@pytest.mark.statistical
def test_rare_types_do_not_spoil_what_common_ones_say():
    source = iid(50_000, documents=40, tokens=100, distribution="zipf", exponent=1.2)
    tokens = source.tokens.flatten()
    states = codes(50_000, 16)[tokens]
    bits = lower_bound(tokens, states, probe="linear", groups=torch.arange(40).repeat_interleave(100))
    assert 2.0 < bits.low_bits and bits.high_bits < source.entropy_bits
    nothing = lower_bound(tokens, states.roll(2000, 0), probe="linear", groups=torch.arange(40).repeat_interleave(100))
    assert nothing.low_bits <= 0.0 <= nothing.high_bits


@pytest.mark.statistical
def test_the_same_seed_gives_the_same_answer_for_arrays_and_tensors():
    pair = gaussian_codebook(codes(4, 2), 0.5, samples=300)
    once = lower_bound(pair.x, pair.y, groups=pair.groups, seed=3)
    assert once == lower_bound(pair.x.numpy(), pair.y.numpy(), groups=pair.groups.numpy(), seed=3)
    assert once != lower_bound(pair.x, pair.y, groups=pair.groups, seed=4, probe="gaussian")
    one = lower_bound(pair.x, pair.y[:, 0], groups=pair.groups, probe="gaussian")
    assert one == lower_bound(pair.x, pair.y[:, :1], groups=pair.groups, probe="gaussian")


# ---------------------------------------------------------------------------------------------------- holding out


@pytest.mark.parametrize("kind", ["groups", "series", "rows"])
def test_what_is_trained_on_chosen_on_and_tested_is_disjoint(kind):
    generator = np.random.default_rng(0)
    rows = 4000
    states = torch.from_numpy(generator.standard_normal((rows, 2)))
    states = states.cumsum(0) if kind == "series" else states
    labels = generator.integers(3, size=rows)
    groups = np.repeat(np.arange(80), 50) if kind == "groups" else None
    held = hold_out(labels, states, groups, 0)
    assert held.kind == kind
    tested = []
    for train, calibration, test in held.folds():
        tested.append(test)
        units = [set(held.cluster[part]) for part in (train, calibration, test)]
        assert not (units[0] & units[1] or units[0] & units[2] or units[1] & units[2])
        assert len(train) > 0.5 * rows and 0 < len(calibration) <= CALIBRATION_ROWS
        if kind == "series":
            assert np.abs(train[:, None] - test).min() > held.gap > 0
            assert np.abs(train[:, None] - calibration).min() > held.gap
    assert sorted(np.concatenate(tested)) == list(range(rows))
    # What a pilot chooses for a fold, it chooses on no row of that fold, nor near it.
    first, second = (np.concatenate(pilot) for pilot in held.pilots())
    for chosen_on, judged in ((second, tested[:1]), (first, tested[1:])):
        for test in judged:
            assert np.abs(chosen_on[:, None] - test).min() > held.gap
            assert not set(held.cluster[chosen_on]) & set(held.cluster[test])
    for train, calibration in held.pilots():
        assert not set(held.cluster[train]) & set(held.cluster[calibration])
        assert np.abs(train[:, None] - calibration).min() > held.gap


@pytest.mark.statistical
@pytest.mark.parametrize(("code", "fits"), [("affine", 2), ("folded", 7)])
def test_costly_probes_are_fitted_where_a_pilot_shows_that_they_add_something(code, fits, monkeypatch):
    fitted = []
    monkeypatch.setattr(
        "infodil.ladder.ladder.fit_probe",
        lambda data, probe, *rest: fitted.append(probe.name) or fit_probe(data, probe, *rest),
    )
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 2100)
    states = {  # the Gaussian probe reads all of the one, and nothing of the other, of many pieces
        "affine": 2.0 * np.eye(4)[tokens][:, :1] + rng.standard_normal((2100, 1)),
        "folded": (tokens + 4.0 * rng.integers(0, 6, 2100) + 0.1 * rng.standard_normal(2100))[:, None],
    }[code]
    quick = Neighbours(components=ComponentOptions(rounds=1, steps=1))
    choice = ProbeChoice({"prior": PROBES["prior"], "gaussian": PROBES["gaussian"], "neighbours": quick}, None)
    states = torch.from_numpy(states)
    held = hold_out(tokens, states, None, 0)
    with torch.no_grad():
        found = cross_fit(tokens, states, held.folds(), choice, 0, held.pilots())
        assert fitted.count("gaussian") == 7 and fitted.count("neighbours") == fits
        prior = ProbeChoice({"prior": PROBES["prior"], "neighbours": quick}, None)
        alone = cross_fit(tokens, states, held.folds(), prior, 0, held.pilots()[:1])
    assert (found.gain.mean() > 0.1) and ("neighbours" in found.probes) == (code == "folded")
    # A pilot that stands alone is not tested.
    assert len(alone.rows) == len(tokens) - len(np.concatenate(held.pilots()[0]))


def test_rows_are_one_series_where_neighbours_are_alike():
    pair = unrelated_series(4, 0.9, documents=1, tokens=2000)
    assert "one series" in lower_bound(pair.x, pair.y, probe="prior").warnings[0]
    mixed = np.random.default_rng(0).permutation(2000)
    assert "one by one" in lower_bound(pair.x[mixed], pair.y[mixed], probe="prior").warnings[0]
    few = lower_bound(pair.x, pair.y, probe="prior", groups=np.repeat(np.arange(10), 200))
    assert few.warnings == ("The interval rests on 10 groups: few.",)


# ---------------------------------------------------------------------------------------------------- messages

TOKENS, STATES = np.arange(200) % 4, np.random.default_rng(0).standard_normal((200, 2))


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("shares", "rows"),
    [(np.full(1000, 1e-3), 300), (np.full(44, 1 / 44), 2000), ([0.99, 0.005, 0.005], 1000), (zipf(1000), 1000)],
)
def test_independent_rows_of_rare_types_are_no_series(shares, rows):
    """Two rows of a rare type side by side are chance; columns of such types, as one-hot states are, no less so."""
    for seed in range(20):
        rng = np.random.default_rng(seed)
        tokens = number_labels(rng.choice(len(shares), rows, p=np.asarray(shares)))
        one_hot = torch.eye(int(tokens.max()) + 1, dtype=torch.float64)[torch.from_numpy(tokens)]
        for states in (torch.from_numpy(rng.standard_normal((rows, 2))), one_hot):
            assert hold_out(tokens, states, None, seed).kind == "rows"


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"tokens": TOKENS.astype(float)}, r"`tokens` must be whole numbers, got float64: pass token ids"),
        ({"tokens": TOKENS.reshape(2, 100)}, r"`tokens` must be \[samples\], got shape \[2, 100\]: pass one id"),
        ({"tokens": TOKENS[:50]}, r"`tokens` has 50 samples, too few to train, choose and test on: pass at least 100"),
        ({"tokens": TOKENS * 0}, r"`tokens` has one type only, 0: pass tokens of at least two"),
        ({"tokens": np.arange(200)}, r"`tokens` has 200 types, none seen 2 times outside the part of the rows"),
        ({"tokens": np.sort(TOKENS)[:150]}, r"`states` has 200 rows for 150 tokens: pass one state for each token"),
        ({"states": STATES.reshape(200, 2, 1)}, r"`states` must be \[samples, dim\], got shape \[200, 2, 1\]: put"),
        ({"states": STATES[:, :0]}, r"`states` must be \[samples, dim\], got shape \[200, 0\]"),
        ({"states": TOKENS[:, None]}, r"`states` must be floating point, got torch.int64: convert them"),
        ({"states": np.where(STATES > 2, np.nan, STATES)}, r"`states` must be finite, got NaN or infinity: leave"),
        ({"groups": TOKENS[:100]}, "`groups` must have one label for each of 200 rows"),
        ({"groups": TOKENS}, "`groups` must name at least 10 groups, got 4"),
        (
            {"groups": TOKENS / 2},
            "`groups` must be whole numbers or names, got fractions or NaN: number",
        ),
        ({"probe": "linaer"}, r"`probe` must be one of .*, got 'linaer': did you mean 'linear'"),
        ({"probe": "pursuit"}, r"`probe` must be one of .*, got 'pursuit'"),
        ({"seed": -1}, r"`seed` must be a whole number of at least 0, got -1"),
        ({"confidence": 95.0}, r"`confidence` must be at least 0.5 and below 1, got 95.0"),
    ],
    ids=lambda value: "" if isinstance(value, str) else next(iter(value)),
)
def test_what_cannot_be_measured_is_refused_in_one_sentence(changed, message):
    with pytest.raises(UserError, match=message):
        lower_bound(**({"tokens": TOKENS, "states": STATES} | changed))


def test_the_local_probe_by_name_needs_few_dims():
    with pytest.raises(UserError, match="`probe` cannot be 'neighbours' here"):
        lower_bound(TOKENS, np.random.default_rng(0).standard_normal((200, 9)), probe="neighbours")


@pytest.mark.statistical
def test_types_too_few_to_learn_well_are_still_named():
    """Eight rows of each type, so six or seven outside a fold: certified low, but not refused."""
    generator = torch.Generator().manual_seed(0)
    places = 4.0 * torch.randn(100, 16, generator=generator)
    tokens = torch.arange(100).repeat(8)[torch.randperm(800, generator=generator)]
    bits = lower_bound(tokens, places[tokens] + torch.randn(800, 16, generator=generator))
    assert 2.0 < bits.low_bits <= bits.value_bits < np.log2(100)


def copied(rng, originals, copies, dims, kind):
    """Rows that occur several times, in random order, with the number of their original."""
    tokens = rng.integers(0, 4, originals)
    states = np.round(rng.standard_normal((originals, dims)) + (kind == "coupled") * tokens[:, None], 6)
    order = rng.permutation(originals * copies)
    return [np.repeat(part, copies, axis=0)[order] for part in (tokens, states, np.arange(originals))]


@pytest.mark.parametrize(("dims", "kind"), [(2, "independent"), (9, "coupled")])
def test_rows_that_are_copies_of_rows_trained_on_are_counted_and_named(dims, kind):
    tokens, states, original = copied(np.random.default_rng(0), 100, 5, dims, kind)
    states += 1e-9 * original[:, None]  # digits of full precision, the same for copies
    bits = lower_bound(tokens, states, probe="gaussian")
    assert bits.warnings[0].startswith("500 of 500 tested rows have an exact copy, token and state, among the rows")
    assert not any("copy" in text for text in lower_bound(tokens, states, probe="gaussian", groups=original).warnings)


@pytest.mark.parametrize("dims", [1, 3, 12])
def test_states_that_repeat_by_themselves_are_not_called_copies(dims):
    rng = np.random.default_rng(1)
    tokens, embedding = rng.integers(0, 30, 2000), rng.standard_normal((30, dims))
    noisy = embedding[tokens] + rng.standard_normal((2000, dims))
    for states in (embedding[tokens], embedding[np.roll(tokens, 7)], noisy, np.eye(30)[tokens]):
        assert copied_rows(tokens, states) is None
    if dims == 1:
        assert copied_rows(tokens, noisy.astype(np.float16)) is None
