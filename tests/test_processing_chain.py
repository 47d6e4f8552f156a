"""`check_chain`: real chains are not accused, what cannot be a chain is, and broken estimators are caught."""

import numpy as np
import pandas as pd
import pytest
import torch

from infodil.checks import UserError
from infodil.encoders import load_encoder
from infodil.estimate import Estimate
from infodil.mi import discrete_information, lower_bound
from infodil.precision import Quantizer
from infodil.processing import check_chain
from infodil.sources import discrete_channel, gaussian_codebook, iid, xor_code

HOLDS, VIOLATED, OPEN = "holds", "violated by more than its uncertainty", "cannot be told"


def states_of(samples=800, types=8, dim=4, sigma=0.3, seed=0):
    """Tokens as noisy vectors: nearly all of 3 bits is there."""
    book = torch.randn(types, dim, generator=torch.Generator().manual_seed(7))
    return gaussian_codebook(book, sigma, samples=samples, truth_samples=2000, seed=seed)


def observed(states, precision):
    states = states.float()
    return Quantizer.of(precision, states).quantize(states)


def project(states, dims, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return states @ torch.randn(states.shape[1], dims, generator=generator).to(states.dtype)


def noisy(states, sigma, seed=0):
    return states + sigma * torch.randn(states.shape, generator=torch.Generator().manual_seed(seed))


def chain(kind, pair, seed=0):
    h = pair.y
    three, once, bf16 = project(h, 3, seed), noisy(h, 0.5, seed), observed(h, "bfloat16")
    stages = {
        "quantised": [("state", h), ("signs", (h > 0).double()), ("a sign", (h[:, :1] > 0).double())],
        "projected": [("state", h), ("3 dims", three), ("1 dim", project(three, 1, seed))],
        "noisy": [("state", h), ("noisy", once), ("noisier", noisy(once, 2.0, seed + 1))],
        "rounded": [("state", h), ("bfloat16", bf16), ("int8", observed(bf16, "int8"))],
    }
    return stages[kind]


# ---------------------------------------------------------------------------------------------------- true chains


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["quantised", "projected", "noisy", "rounded"])
def test_a_chain_is_not_accused(kind):
    pair = states_of()
    check = check_chain(pair.x, chain(kind, pair), groups=pair.groups, probe="gaussian")
    assert VIOLATED not in check.verdicts
    assert len(check.estimates) == 3 and len(check.links) == 2
    assert all(estimate.kind == "lower bound" for estimate in check.estimates)
    for estimate, upper in zip(check.estimates, check.upper_bounds, strict=True):
        assert estimate.low_bits <= upper.high_bits
    if kind == "quantised":
        assert check.verdicts[1] == HOLDS  # sixteen values, then two: one bit at most
        assert check.links[1].usable_bits_are == "lost"
    if kind == "rounded":
        assert abs(check.links[0].usable_bits_change.value_bits) < 0.02


@pytest.mark.statistical
def test_the_layers_of_a_model_are_not_accused():
    tokens = iid(8, documents=40, tokens=30, seed=2).tokens
    encoder = load_encoder("gru", vocabulary=8, dim=12, seed=0)
    states = next(iter(encoder.encode(tokens).values()))
    groups = torch.arange(40).repeat_interleave(30)
    check = check_chain(
        tokens.flatten(),
        [("embedding", torch.eye(8)[tokens].flatten(0, 1)), ("gru", states.flatten(0, 1).detach())],
        groups=groups,
        probe="linear",
    )
    assert VIOLATED not in check.verdicts


@pytest.mark.parametrize("seeds", [8, pytest.param(120, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", ["quantised", "noisy"])
def test_a_true_chain_is_accused_no_more_often_than_its_level(kind, seeds):
    accused = 0
    for seed in range(seeds):
        pair = states_of(samples=200, sigma=0.8, seed=seed)
        check = check_chain(
            pair.x, chain(kind, pair, seed), groups=pair.groups, probe="gaussian", seed=seed, confidence=0.9
        )
        accused += VIOLATED in check.verdicts
    # One in ten by its level: the bound of the binomial with chance 0.001.
    assert accused <= {8: 4, 120: 23}[seeds]


@pytest.mark.parametrize("seeds", [8, pytest.param(120, marks=pytest.mark.slow)])
def test_a_good_estimator_is_accused_no_more_often_than_its_level(seeds):
    """At the edge: a stage that adds nothing but a coin holds exactly as much as the one before."""
    accused = shown = 0
    for seed in range(seeds):
        pair = discrete_channel(0.6 * np.eye(4) + 0.1, samples=1000, seed=seed)
        coin = np.random.default_rng(seed).integers(2, size=1000)
        beside = 2 * pair.y.numpy() + coin
        halved = pair.y.numpy() // 2
        check = check_chain(
            pair.x,
            [("letter", pair.y[:, None]), ("with a coin", beside[:, None]), ("halved", halved[:, None])],
            groups=pair.groups,
            estimator=of_values(discrete_information),
            probe="prior",
            seed=seed,
        )
        accused += VIOLATED in check.verdicts
        shown += check.verdicts[1] == HOLDS
    assert accused <= {8: 3, 120: 15}[seeds]  # one in twenty: chance 0.001
    assert shown > 0.85 * seeds


# ---------------------------------------------------------------------------------------------------- no chains


@pytest.mark.statistical
def test_more_downstream_than_upstream_can_hold_is_caught():
    pair = states_of()
    check = check_chain(pair.x, chain("quantised", pair)[::-1], groups=pair.groups, probe="gaussian")
    assert check.verdicts[0] == VIOLATED
    assert check.links[0].usable_bits_are == "created"


@pytest.mark.statistical
def test_a_known_upper_bound_upstream_is_used():
    pair = states_of()
    stages = [("noisy", noisy(pair.y, 3.0)), ("state", pair.y)]
    options = {"groups": pair.groups, "probe": "gaussian"}
    assert check_chain(pair.x, stages, **options).verdicts == (OPEN,)  # nothing says how little the noise leaves
    assert check_chain(pair.x, stages, upper={"noisy": 0.9}, **options).verdicts == (VIOLATED,)


@pytest.mark.statistical
def test_bits_made_usable_are_no_violation():
    pair = xor_code(1, 0.3, samples=1500)
    wound = wind(pair.y)
    parity = wound.floor() % 2
    options = {"groups": pair.groups, "probe": "linear"}
    created = check_chain(pair.x, [("wound", wound), ("unwound", parity)], **options)
    assert created.links[0].usable_bits_are == "created" and created.links[0].usable_bits_change.value_bits > 0.3
    assert created.verdicts == (OPEN,)


def wind(states):
    """Whether two signs agree, as the parity of a place on a line of many: all there, and no affine probe sees it."""
    parity = (states[:, 0] * states[:, 1] < 0).double()
    generator = torch.Generator().manual_seed(1)
    turn = torch.randint(12, (len(states),), generator=generator)
    return (2.0 * turn + parity + 0.5 * torch.rand(len(states), generator=generator))[:, None].double()


# ---------------------------------------------------------------------------------------------------- estimators


def of_values(estimate):
    """An estimator of discrete variables, for states that are numbers of one dim."""

    def estimator(tokens, states, groups, seed, confidence):
        values = np.unique(states, axis=0, return_inverse=True)[1].ravel()
        return estimate(tokens, values, method="chao-wang-jost", groups=groups, seed=seed, confidence=confidence)

    return estimator


def plug_in(tokens, states, groups, seed, confidence):
    """Biased upward by about (cells - 1) / 2N nats: at the scale of a vocabulary, by bits."""
    values = np.unique(states, axis=0, return_inverse=True)[1].ravel()
    joint = np.zeros((tokens.max() + 1, values.max() + 1))
    np.add.at(joint, (tokens, values), 1.0 / len(tokens))
    seen = joint > 0
    ratio = joint[seen] / np.outer(joint.sum(1), joint.sum(0))[seen]
    bits = float(joint[seen] @ np.log2(ratio))
    return Estimate(bits, bits - 0.02, bits + 0.02, confidence, samples=len(tokens), method="plug-in")


def in_sample(tokens, states, groups, seed, confidence):
    """Least squares on one-hot tokens, read on the rows that it was fitted on, with Gaussian errors."""
    types = np.eye(tokens.max() + 1)[tokens]
    design = np.concatenate([states, np.ones((len(states), 1))], 1)
    fitted = design @ np.linalg.lstsq(design, types, rcond=None)[0]
    centred = types - types.mean(0)
    left = np.linalg.slogdet(np.cov((types - fitted)[:, :-1].T).reshape(types.shape[1] - 1, -1))[1]
    bits = 0.5 * (np.linalg.slogdet(np.cov(centred[:, :-1].T).reshape(types.shape[1] - 1, -1))[1] - left) / np.log(2)
    return Estimate(float(bits), float(bits), float(bits), confidence, samples=len(tokens), method="in-sample")


def adds_downstream(tokens, states, groups, seed, confidence):
    """Says a fifth of a bit more for each number that a state has less."""
    found = lower_bound(tokens, states, groups=groups, seed=seed, confidence=confidence, probe="gaussian")
    more = 0.2 * (6 - states.shape[1])
    ends = (found.value_bits + more, found.low_bits + more, found.high_bits + more)
    return Estimate(*ends, confidence, samples=len(tokens), method="adds bits")


@pytest.mark.statistical
def test_an_estimator_that_adds_bits_downstream_is_caught():
    pair = states_of(samples=600, sigma=0.8)
    wide = torch.cat([pair.y, torch.randn(600, 2, generator=torch.Generator().manual_seed(0))], 1)
    stages = [("with noise", wide), ("with less noise", wide[:, :5]), ("state", pair.y)]
    options = {"groups": pair.groups, "probe": "gaussian"}
    assert check_chain(pair.x, stages, estimator=adds_downstream, **options).verdicts == (VIOLATED, VIOLATED)
    assert VIOLATED not in check_chain(pair.x, stages, estimator=lower_bound, **options).verdicts


@pytest.mark.statistical
def test_a_plug_in_estimate_at_vocabulary_scale_is_caught():
    source = iid(200, documents=1, tokens=3000, distribution="zipf", seed=0)
    tokens = source.tokens.flatten().numpy()
    coarse = tokens % 4
    fine = 4 * np.random.default_rng(0).integers(100, size=3000) + coarse  # computed from coarse and chance alone
    stages = [("four values", coarse[:, None]), ("with chance", fine[:, None])]
    check = check_chain(tokens, stages, groups=np.arange(3000), estimator=plug_in, probe="prior")
    assert check.verdicts == (VIOLATED,)
    assert check.links[0].estimate_change.value_bits > 0.5


def test_a_probe_read_on_its_own_training_rows_is_caught():
    pair = states_of(samples=400)
    poor = noisy(pair.y, 2.0)
    stages = [("noisy", poor), ("150 features", torch.tanh(project(poor, 150)))]
    assert check_chain(pair.x, stages, groups=pair.groups, estimator=in_sample, probe="prior").verdicts == (VIOLATED,)


# ---------------------------------------------------------------------------------------------------- the result


@pytest.mark.statistical
def test_the_table_and_the_frame_say_the_same():
    pair = states_of(samples=400)
    check = check_chain(pair.x, chain("quantised", pair), groups=pair.groups, probe="gaussian")
    frame = check.to_frame()
    assert list(frame["stage"]) == ["state", "signs", "a sign"]
    assert list(frame["verdict"][1:]) == list(check.verdicts)
    change = check.links[0].usable_bits_change
    assert (
        frame["usable_bits_change"][1] == change.value_bits and change.low_bits <= change.value_bits <= change.high_bits
    )
    assert str(check) == repr(check) and all(name in str(check) for name in (*check.names, *check.verdicts))
    assert change.confidence == 0.975  # two links
    again = check_chain(pair.x.numpy(), chain("quantised", pair), groups=pair.groups, probe="gaussian")
    assert again.to_frame().equals(frame)


TOKENS, STATES = np.arange(200) % 4, np.random.default_rng(0).standard_normal((200, 2))


@pytest.mark.parametrize(
    ("stages", "options", "message"),
    [
        ([("a", STATES)], {}, "`stages` must be at least 2 to have a link, got 1: pass them upstream first"),
        ([STATES, STATES], {}, r"`stages` must be pairs \(name, states\): pass a list of them, upstream first"),
        ([("a", STATES), ("a", STATES)], {}, "`stages` has 'a' twice: name each stage once"),
        ([("a", STATES), ("b", STATES[:9])], {}, "`stages` 'b' has 9 rows for 200 tokens: pass one state for each"),
        ([("a", STATES), ("b", STATES * np.nan)], {}, "`stages` 'b' must be finite, got NaN or infinity"),
        ([("a", STATES), ("b", STATES)], {"upper": {"B": 1.0}}, "`upper` has 'B', which is no stage"),
        ([("a", STATES), ("b", STATES)], {"upper": {"b": -1.0}}, r"`upper\['b'\]` must be at least 0.0"),
        ([("a", STATES), ("b", STATES)], {"groups": TOKENS}, "`groups` must name at least 10 groups, got 4"),
        ([("a", STATES), ("b", STATES)], {"confidence": 2.0}, "`confidence` must be at least 0.5"),
        ([("a", STATES), ("b", STATES)], {"probe": "gausian"}, "did you mean 'gaussian'"),
    ],
)
def test_what_is_no_chain_is_refused_in_one_sentence(stages, options, message):
    with pytest.raises(UserError, match=message):
        check_chain(TOKENS, stages, **options)


@pytest.mark.statistical
def test_stages_of_a_generator_or_of_other_arrays_are_those_of_a_list():
    pair = states_of(samples=300)
    stages = [("full", pair.y.numpy()), ("fewer", pair.y.numpy()[:, :2])]
    expected = check_chain(pair.x, stages, probe="gaussian").to_frame()
    for given in ((stage for stage in stages), [(name, pd.DataFrame(values)) for name, values in stages]):
        assert check_chain(pair.x, given, probe="gaussian").to_frame().equals(expected)
    with pytest.raises(UserError, match="`stages` 'fewer' has masked values: drop their rows"):
        check_chain(pair.x, [stages[0], ("fewer", np.ma.masked_greater(stages[1][1], 0))])


def test_a_lower_bound_is_no_upper_one():
    low = Estimate(1.0, 0.9, 1.1, kind="lower bound")
    with pytest.raises(UserError, match="`upper` has a lower bound for 'a': pass an upper one"):
        check_chain(TOKENS, [("a", STATES), ("b", STATES)], upper={"a": low})
