"""The trace probe: Bayes' rule in its model, a fit of embedding, decay and lag, and nothing read from noise."""

import math
from dataclasses import replace

import pytest
import torch

from infodil.checks import UserError
from infodil.mi import lower_bound
from infodil.probes import PROBES, Calibration, ProbeSpec, fit_class_map
from infodil.probes.exact import exact
from infodil.probes.standardizer import whitening
from infodil.probes.trace.em import EM, em_round, fit_decay, fit_depth
from infodil.probes.trace.fit import TraceOptions, fit_trace, fit_unlabelled, match_labels
from infodil.probes.trace.initialisation import Initialisation, by_means
from infodil.probes.trace.model import TraceModel, mean_log_likelihood
from infodil.sources import ema_channel, xor_code
from infodil.traces import weights

ALPHA, SIGMA, LAG = 0.5, 0.1, 2


@pytest.fixture(scope="module")
def code():
    return torch.randn(4, 2, generator=torch.Generator().manual_seed(5), dtype=torch.float64)


@pytest.fixture(scope="module")
def source(code):
    return ema_channel(code, ALPHA, SIGMA, lags=[0, LAG], documents=100, tokens=100).at(LAG)


def true_model(code, depth):
    """The model that the states of `source` are drawn from, but for older tokens as Gaussian noise."""
    centred, noise, prior = code - code.mean(0), SIGMA**2 * torch.eye(2).double(), torch.full((4,), 0.25).double()
    model = TraceModel(code.mean(0), ALPHA * centred, 1 - ALPHA, noise, depth, LAG, prior)
    return replace(model, noise=noise + model.older_covariance(depth))


def test_the_posterior_is_that_of_enumeration(code, source):
    """With all sequences kept; the twin enumerates the same four tokens, with older ones as the same Gaussian noise."""
    states = source.y[:300]
    found = true_model(code, 4).posterior(states, 4**4).double()
    twin = exact(states, code, weights(ALPHA, 60), lags=[LAG], sigma=SIGMA, window=4).posterior(0)
    assert (found - twin).abs().max() < 1e-4  # float32


def test_naming_more_tokens_changes_what_is_noise_and_not_the_whole(code):
    model = true_model(code, 3)
    assert torch.allclose(model.with_depth(5).noise, true_model(code, 5).noise)
    assert torch.allclose(model.with_depth(5).with_depth(3).noise, model.noise)


@pytest.mark.parametrize("labelled", [True, False])
def test_rounds_make_states_no_less_likely(source, labelled):
    """Expectation and maximisation with all sequences kept."""
    white = source.y / source.y.std(0)
    model, states = by_means(white, source.x, 4, Initialisation())[0][1], white[:1000].float()
    labels, likelihoods = source.x[:1000] if labelled else None, []
    for _ in range(8):
        beam = model.search(states, 4**model.depth, labels)
        likelihoods.append(mean_log_likelihood(beam))
        model = em_round(model, states, labels, beam, EM())
    steps = torch.tensor(likelihoods).diff()
    assert steps.min() > -2e-3 and likelihoods[-1] > likelihoods[0]  # sequences of less than a thousandth are left out


@pytest.mark.statistical
def test_the_fit_finds_code_decay_and_lag(code, source):
    white = whitening(source.y)
    model = fit_trace((source.y @ white).float(), source.x, 4, 0, TraceOptions())[0]
    assert model.lag == LAG
    assert model.decay == pytest.approx(1 - ALPHA, abs=0.02)
    sigma = SIGMA * white.norm(dim=0).max()
    # 2,500 rows of a type name its newest vector to a fiftieth of the noise at best, and to half as well in doubt.
    assert (model.embedding - ALPHA * (code - code.mean(0)) @ white).abs().max() < 0.15 * sigma
    assert (model.noise - white.T @ true_model(code, model.depth).noise @ white).abs().max() < 0.15 * sigma**2


@pytest.mark.statistical
@pytest.mark.parametrize("order", [[0, 1, 2, 3], [2, 0, 3, 1]])
def test_labels_say_which_lag_they_are_of_and_name_the_types(code, source, order):
    """The lag that the model was starts with is not looked at, and label v is the type that `order` has there."""
    labels = torch.tensor(order).argsort()[source.x[:2000]]
    assert match_labels(true_model(code, 1).at_lag(0), source.y[:2000].float(), labels, TraceOptions()) == (LAG, order)


@pytest.mark.statistical
def test_labels_of_nothing_name_no_types(code, source):
    labels = torch.randint(4, (2000,), generator=torch.Generator().manual_seed(0))
    assert match_labels(true_model(code, LAG + 1), source.y[:2000].float(), labels, TraceOptions()) is None


@pytest.mark.statistical
def test_states_alone_show_the_code_and_the_decay():
    places = torch.randn(4, 3, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    states = ema_channel(places, ALPHA, 0.02, lags=[0], documents=100, tokens=50, truth_samples=16).at(0).y
    white = whitening(states)
    model = fit_unlabelled((states @ white).float(), 4, 0, TraceOptions())[0]
    assert model.decay == pytest.approx(1 - ALPHA, abs=0.005)
    wanted, found = ALPHA * places @ white, model.embedding
    order = torch.cdist(wanted - wanted.mean(0), found).argmin(1)
    assert sorted(order.tolist()) == [0, 1, 2, 3]
    # What all vectors have in common is in the mean; 1,000 rows of a type name the rest to a thirtieth of the noise.
    gap = (wanted - wanted.mean(0)) - (found[order] - found.mean(0))
    assert gap.abs().max() < 5.0 / 30.0 * 0.02 * white.norm(dim=0).max()


def test_a_gaussian_explains_what_is_no_trace():
    states = torch.randn(5000, 3, generator=torch.Generator().manual_seed(0))
    assert fit_unlabelled(states, 4, 0, TraceOptions()) == []


@pytest.mark.statistical
def test_a_token_is_read_whose_means_are_lost_in_their_own_error():
    """Four types in eight dims, five newer tokens in the way: means that lie apart by less than 8,000 rows tell."""
    places = torch.randn(4, 8, generator=torch.Generator().manual_seed(48), dtype=torch.float64)
    pair = ema_channel(places, 0.5, 0.02, lags=[5], documents=480, tokens=25, truth_samples=512).at(5)
    assert by_means(pair.y[:8000] @ whitening(pair.y[:8000]), pair.x[:8000], 4, Initialisation())[0] == []
    assert bits_of(pair.x, pair.y) > pair.truth_bits - 0.05 - 3.0 * pair.standard_error_bits


@pytest.mark.statistical
def test_as_many_tokens_are_named_as_explain_the_states(code):
    """Older tokens of two types, far apart in little noise, are nothing like Gaussian."""
    pair = ema_channel(code[:2], 0.4, 0.02, lags=[1], documents=100, tokens=50).at(1)
    white = whitening(pair.y)
    states = (pair.y @ white).float()
    starts = [model for model in by_means(states.double(), pair.x, 2, Initialisation())[0] if model.lag == 1]
    model = fit_depth(starts[0], states, pair.x, EM())
    assert model.depth > 4 and model.decay == pytest.approx(0.6, abs=0.03)
    before = starts[0].with_depth(model.depth)
    after, before = (mean_log_likelihood(one.search(states, EM().keep, pair.x)) for one in (model, before))
    assert after > before


@pytest.mark.statistical
def test_no_model_where_states_say_nothing():
    generator = torch.Generator().manual_seed(0)
    states, labels = torch.randn(12000, 3, generator=generator), torch.randint(4, (12000,), generator=generator)
    assert fit_trace(states, labels, 4, 0, TraceOptions()) == []
    assert abs(bits_of(labels, states)) < 0.01


@pytest.mark.statistical
def test_what_is_no_trace_is_left_to_others():
    pair = xor_code(1, 0.4, samples=1000)
    bits = lower_bound(pair.x, pair.y, groups=pair.groups)
    assert "trace" not in bits.method and bits.value_bits > 0.5


@pytest.mark.statistical
def test_an_old_token_is_read_to_a_twentieth_of_a_bit():
    """Eight types in four dims, two newer tokens in the way; the same in any coordinates and by any names."""
    code = torch.randn(8, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    pair = ema_channel(code, 0.5, 0.1, lags=[2], documents=100, tokens=120, truth_samples=512).at(2)
    mixed = torch.randn(4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    here, there = bits_of(pair.x, pair.y), bits_of(7 - pair.x, pair.y @ mixed + 3.0)
    reach = 0.05 + 3.0 * pair.standard_error_bits
    assert pair.truth_bits - reach < here < pair.truth_bits + reach
    assert there == pytest.approx(here, abs=0.02)


def bits_of(labels, states):
    """Bits that the probe reads from the last rows, trained on the first."""
    counts, train, chosen = torch.bincount(labels), slice(0, 8000), slice(8000, 9000)
    spec = ProbeSpec(states.shape[1], 1, fit_class_map(counts, counts), 8000, torch.device("cpu"), 0)
    probe = PROBES["trace"].start_fit(spec)
    probe.update(states[train].float(), labels[None, train])
    probe.end_pass(Calibration(states[chosen].float(), labels[None, chosen]))
    logits = spec.classes.class_log_prior + probe.temperatures[0] * probe.scores(states[9000:].float(), 0)
    share = counts / counts.sum()
    entropy = -float(share @ share.log())
    return (entropy - float(torch.nn.functional.cross_entropy(logits, labels[9000:]))) / math.log(2.0)


@pytest.mark.filterwarnings("error")
def test_vectors_that_are_all_alike_say_nothing_of_the_decay():
    zero, eye = torch.zeros(3, 2).double(), torch.eye(2).double()
    model = TraceModel(zero[0], zero, 0.5, eye, 2, 0, torch.full((3,), 1 / 3).double())
    assert fit_decay(model, torch.ones(6, 6).double(), torch.zeros(6, 2).double(), EM()) is model
    states = torch.randn(500, 2, generator=torch.Generator().manual_seed(0))
    assert em_round(model, states, None, model.search(states, 9), EM()).embedding.isfinite().all()


@pytest.mark.statistical
@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("types", [2, 5])
@pytest.mark.parametrize("kind", ["still", "one dim still", "two points", "one-hot", "heavy tails", "one outlier"])
def test_states_that_are_no_trace_break_nothing(kind, types):
    """Labels that have nothing to do with them are not read."""
    generator = torch.Generator().manual_seed(types)
    labels, others = torch.randint(types, (2, 3000), generator=generator)
    noise = torch.randn(3000, 4, generator=generator)
    states = {
        "still": torch.zeros(3000, 3),
        "one dim still": noise * torch.tensor([0.0, 1.0, 1.0, 1.0]),
        "two points": (torch.arange(3000) % 2)[:, None].float().expand(-1, 4),
        "one-hot": torch.nn.functional.one_hot(others, types).float(),
        "heavy tails": noise / torch.randn(3000, 1, generator=generator),
        "one outlier": torch.cat([noise[1:], torch.full((1, 4), 1e6)]),
    }[kind]
    counts, known = torch.bincount(labels), slice(0, 2400)
    spec = ProbeSpec(states.shape[1], 1, fit_class_map(counts, counts), 2400, torch.device("cpu"), 0)
    probe = PROBES["trace"].start_fit(spec)
    probe.update(states[known], labels[None, known])
    probe.end_pass(Calibration(states[2400:], labels[None, 2400:]))
    assert probe.scores(states, 0).isfinite().all() and probe.temperatures[0] < 0.1


def test_many_dims_or_types_are_refused():
    spec = ProbeSpec(17, 1, fit_class_map(torch.full((4,), 9), torch.full((4,), 9)), 100, torch.device("cpu"), 0)
    with pytest.raises(UserError, match="`probes` cannot have 'trace' here: pass states of at most 16 dims and tokens"):
        PROBES["trace"].start_fit(spec)


def test_few_rows_are_not_fitted():
    spec = ProbeSpec(2, 1, fit_class_map(torch.full((4,), 9), torch.full((4,), 9)), 100, torch.device("cpu"), 0)
    probe = PROBES["trace"].start_fit(spec)
    states, labels = torch.randn(100, 2, generator=torch.Generator().manual_seed(0)), torch.arange(100)[None] % 4
    probe.update(states, labels)
    probe.end_pass(Calibration(states, labels))
    assert probe.temperatures == [0.0]
