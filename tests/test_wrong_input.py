"""Whatever cannot be measured is told in one sentence with the argument and the way out, and leaves no file behind."""

import gc
import json
import tempfile

import numpy as np
import pytest
import torch
from torch import nn

import infodil
from infodil import load_corpus, load_report, recoverability
from infodil.checks import UserError
from infodil.encoders import CombinedEncoder, ModuleEncoder, TraceEncoder

TOKENS = torch.randint(8, (60, 20), generator=torch.Generator().manual_seed(0))
TEXTS = [f"text {number} of {number * number}" for number in range(60)]
VECTORS = torch.randn(8, 4, generator=torch.Generator().manual_seed(0))


class Lookup:
    """The vector of each token; `spoil` changes the states of sequences that are longer than those of the self-test."""

    vocabulary = 8

    def __init__(self, spoil=None, from_length=0, **attributes):
        self.spoil, self.from_length = spoil, from_length
        vars(self).update(attributes)

    def encode(self, tokens):
        states = {"vectors": VECTORS[tokens]}
        return self.spoil(states) if self.spoil and tokens.shape[1] >= self.from_length else states

    def fingerprint(self):
        return "lookup"


def spoilt_at_once(spoil):
    return Lookup(spoil)


def spoilt_late(spoil):
    return Lookup(spoil, from_length=7)


def changed(change):
    return lambda states: {site: change(state.clone()) for site, state in states.items()}


def with_value(value):
    def change(state):
        state[-1, -1, -1] = value
        return state

    return changed(change)


class Stack(nn.Sequential):
    """A small torch module."""

    def __init__(self):
        super().__init__(nn.Embedding(8, 4), nn.Linear(4, 4), nn.Tanh())


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """Measure, expect one sentence, and find no file where one could have been left."""
    for name in ("here", "cache", "temporary"):
        (tmp_path / name).mkdir()
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))

    def measure(model, corpus, message, *, cache=True, **options):
        options = {"lags": [0, 1], "probes": "gaussian", "progress": False} | options
        with pytest.raises(UserError, match=message) as caught:
            recoverability(model, corpus, cache_dir=tmp_path / "cache" if cache else None, **options)
        said = str(caught.value)
        assert "\n" not in said
        assert said.startswith("`")
        assert said.endswith((".", "?"))
        caught = None
        gc.collect()  # states kept for the run go with it
        for folder in ("here", "cache", "temporary"):
            assert not [path for path in (tmp_path / folder).rglob("*") if path.is_file()]
        assert not list((tmp_path / "temporary").iterdir())

    return measure


def test_a_good_measurement_beside_the_refused_ones(tmp_path):
    report = recoverability(Lookup(), TOKENS, lags=[0, 1], probes="gaussian", progress=False)
    assert report.sites == ("vectors",)
    assert report.estimate("vectors", 0).value_bits > 2.9


# The corpus


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("corpus", "message"),
    [
        ([], "`(source|corpus)` must not be empty: pass at least one document"),
        ([[], [], []], "`corpus` 'tokens' is empty: pass at least one document that is not blank"),
        (torch.zeros(60, 20, dtype=torch.long), "`corpus` has only 1 distinct documents"),
        (TOKENS - 1, r"`corpus` 'tokens' has the token id -1 in document \d+, outside 0 to "),
        (TOKENS.float(), "`(source|corpus)` document 0 is not a list of token ids: pass whole numbers"),
        (TEXTS, r"`corpus` 'text' is text and the model has no tokenizer: pass load_corpus\(.*or token ids"),
        (7, "`(source|corpus)` must be a corpus, .* got int"),
    ],
)
def test_a_corpus_that_cannot_be_measured(refused, corpus, message):
    refused(Lookup(), corpus, message)


def test_an_empty_corpus_of_a_built_in_model(refused):
    refused("ema", [], "`(source|corpus)` must not be empty: pass at least one document")


@pytest.mark.statistical
@pytest.mark.parametrize("model", [Lookup(), TraceEncoder(8), CombinedEncoder({"a": TraceEncoder(8)})])
def test_a_token_id_outside_the_vocabulary(refused, model):
    refused(model, TOKENS + 5, r"`corpus` 'tokens' has the token id (8|9|10|11|12) in document 0, outside 0 to 7: pass")
    refused(model, TOKENS.numpy() - 3, r"`corpus` 'tokens' has the token id -\d in document 0, outside 0 to 7: pass")


@pytest.mark.statistical
def test_a_token_id_outside_the_vocabulary_of_a_module(refused):
    refused(Stack(), TOKENS + 5, r"has the token id (8|9|10|11|12) in document 0, outside 0 to 7", sites="0")


@pytest.mark.statistical
def test_a_tokenizer_with_more_types_than_the_model(refused):
    corpus = load_corpus(TEXTS, tokenizer="bytes")
    message = r"`corpus` has the token id \d+, but the model's vocabulary has 8: tokenise with the model's own"
    refused(Lookup(), corpus, message)


@pytest.mark.statistical
def test_one_type_of_token_only(refused):
    # Documents of the same token and different lengths: distinct, and nothing to tell apart.
    refused(
        Lookup(),
        [[3] * length for length in range(5, 65)],
        "`corpus` has 1 distinct training token: a probe needs at least two classes",
    )


@pytest.mark.statistical
def test_sequences_longer_than_the_places_of_the_model(refused):
    message = r"`corpus` has sequences of 20 tokens, but the model reads at most 16: pass .*max_length=16\)"
    refused(Lookup(longest=16), TOKENS, message)
    refused(CombinedEncoder({"a": TraceEncoder(8), "b": Lookup(longest=16, sites=("vectors",))}), TOKENS, message)


@pytest.mark.statistical
@pytest.mark.parametrize("corpus", [TOKENS[:2], TOKENS[:4, :10]])
def test_too_little_text_for_an_interval(refused, corpus):
    refused(Lookup(), corpus, "`corpus` .*: pass more")


# The lags


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("lags", "message"),
    [
        ([], "`lags` must not be empty: pass at least one, such as lags=range"),
        (range(0), "`lags` must not be empty"),
        ([-1], "`lags` must be a whole number of at least 0, got -1: a state is asked for tokens it has seen"),
        ([0, -2], "`lags` must be a whole number of at least 0, got -2"),
        ([0, 20], r"`lags` has 20, which is never observed: the longest train sequence has 20 tokens; pass smaller"),
        (range(100), "`lags` has 20, which is never observed"),
    ],
)
def test_lags_that_cannot_be_measured(refused, lags, message):
    refused(Lookup(), TOKENS, message, lags=lags)


@pytest.mark.statistical
def test_a_lag_that_only_one_split_observes(refused):
    # One long document: whichever split has it, the other two never observe the lag.
    corpus = [*TOKENS[:, :5].tolist(), TOKENS.flatten()[:200].tolist()]
    message = r"`lags` has 9, which is never observed: the longest (train|calibration|test) sequence has 5 tokens"
    refused(Lookup(), corpus, message, lags=[9])


# The states


STATES = {
    "NaN": (with_value(torch.nan), "`model` gave states that are not finite at 'vectors': check its weights, or leave"),
    "infinite": (with_value(torch.inf), "`model` gave states that are not finite at 'vectors'"),
    "fewer tokens": (
        changed(lambda state: state[:, 1:]),
        r"`model` gave states of shape \(\d+, \d+, 4\) at 'vectors' for tokens of shape \(\d+, \d+\): an encoder must",
    ),
    "two axes": (
        changed(lambda state: state.flatten(1)),
        r"`model` gave states of shape \(\d+, \d+\) at 'vectors' for tokens of shape \(\d+, \d+\): an encoder",
    ),
    "no dictionary": (
        lambda states: states["vectors"],
        "`model` gave Tensor in place of states: an encoder must give a dictionary of tensors",
    ),
    "no site": (lambda states: {}, r"`model` gave a dictionary of \[\] in place of states"),
    "arrays": (changed(lambda state: state.numpy()), r"`model` gave a dictionary of \['ndarray'\] in place of states"),
}

LATER = {
    "NaN": STATES["NaN"],
    "fewer tokens": STATES["fewer tokens"],
    "two axes": STATES["two axes"],
    "other dims": (
        changed(lambda state: state[:, :, :2]),
        "`model` gave states of (2|4) dims at 'vectors' after (4|2): an encoder must keep the shape of its states",
    ),
}


@pytest.mark.statistical
@pytest.mark.parametrize("case", STATES)
def test_states_that_cannot_be_read(refused, case):
    spoil, message = STATES[case]
    refused(spoilt_at_once(spoil), TOKENS, message)


@pytest.mark.statistical
@pytest.mark.parametrize("case", list(LATER))
def test_states_that_go_wrong_in_the_middle(refused, case):
    # Batches of a few documents, of which the short ones are good.
    documents = [ids[: 3 + row % 4] for row, ids in enumerate(TOKENS.tolist())] + TOKENS.tolist()
    corpus = load_corpus(documents, vocabulary=8, max_length=20)
    spoil, message = LATER[case]
    refused(spoilt_late(spoil), corpus, message, batch_size=2, cache=False)


@pytest.mark.statistical
def test_a_model_that_sees_later_tokens(refused):
    flipped = changed(lambda state: state + state.flip(1))
    refused(Lookup(flipped), TOKENS, "`model` gives states at 'vectors' that change by .* with a later token: pass")


@pytest.mark.statistical
def test_a_model_that_mixes_documents(refused):
    mixed = changed(lambda state: state.cumsum(0))
    refused(Lookup(mixed), TOKENS, "`model` gives states at 'vectors' that change by .* with another document: pass")


# The sites


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("model", "sites", "message"),
    [
        (Lookup(), "vector", r"`sites` has 'vector', which the model does not have: did you mean 'vectors'\?"),
        (Lookup(), ["vectors", "zzz"], "`sites` has 'zzz', which the model does not have: there are 'vectors'"),
        (Lookup(), [], "`sites` must not be empty: pass at least one name"),
        (Lookup(), 1, "`sites` has 1, which the model does not have: there are 'vectors'"),
        ("ema_bank", "ema_bnak", r"`sites` has 'ema_bnak', which the model does not have: did you mean 'ema_bank'\?"),
        (Stack(), None, "`sites` must name the submodules .* got None: pass some of '0', '1', '2'"),
        (Stack(), "3", "`sites` has '3', which the model does not have: there are '', '0', '1', '2'"),
        (ModuleEncoder(Stack(), ["0", "1"]), "10", r"`sites` has '10', which the model does not have: did you mean"),
    ],
)
def test_a_site_that_is_not_there(refused, model, sites, message):
    refused(model, TOKENS, message, sites=sites)


# Everything else


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": "linaer"}, r"`probes` must be one of .* got 'linaer': did you mean 'linear'\?"),
        ({"probes": ["gaussian", "gauss"]}, r"`probes` must be one of .* got 'gauss': did you mean 'gaussian'\?"),
        ({"probes": []}, "`probes` must not be empty: pass some of"),
        ({"precision": "float23"}, r"`precision` must be one of .* got 'float23': did you mean"),
        ({"device": "nowhere"}, "`device` 'nowhere' is not there: pass 'cpu' or one that torch can see"),
        ({"dtype": "int8"}, "`dtype` must be a floating-point torch dtype or its name, got 'int8': try 'bfloat16'"),
        ({"dtype": "flaot32"}, "`dtype` must be a floating-point torch dtype or its name, got 'flaot32'"),
        ({"dtype": torch.int64}, "`dtype` must be a floating-point torch dtype or its name, got torch.int64"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, got 0"),
        ({"max_tokens": 0}, "`max_tokens` must be a whole number of at least 1, got 0"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0, got -1"),
        ({"confidence": 95.0}, "`confidence` must be at least 0.5 and below 1, got 95.0"),
        ({"confidence": float("nan")}, "`confidence` must be at least 0.5 and below 1, got nan"),
        ({"probe": "linear"}, "`probe` is an option of a model loaded by its name, .* a Lookup made already"),
    ],
)
def test_an_argument_that_cannot_be(refused, options, message):
    refused(Lookup(), TOKENS, message, **options)


@pytest.mark.statistical
@pytest.mark.parametrize(
    ("model", "message"),
    [
        (None, "`model` must be a name, an Encoder or a torch.nn.Module, got NoneType: give it `vocabulary` and"),
        (len, "`model` must be a name, an Encoder or a torch.nn.Module, got builtin_function_or_method"),
        ("emma", r"`model` 'emma' is no built-in name: did you mean 'ema'\?"),
        ("nobody/nothing", r"`model` 'nobody/nothing' (cannot be loaded|.* needs transformers)"),
    ],
)
def test_a_model_that_is_none(refused, model, message):
    refused(model, TOKENS, message)


@pytest.mark.statistical
def test_an_option_that_the_model_does_not_have(refused):
    message = "`aplha` is neither an argument of this call nor an option of the model 'ema': did you mean 'alpha'"
    refused("ema", TOKENS, message, aplha=0.5)
    refused("ema", TOKENS, r"`alphas\[0\]` must be above 0.* got 2.0: pass a value in", alpha=2.0)


@pytest.mark.parametrize("content", ["", "not JSON", "[]", "{}", json.dumps({"format": "another"}), "\x00\x01"])
def test_a_file_that_is_not_a_report(tmp_path, content):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(UserError, match=r"`path` must be a saved report, got '.*report\.json', which .*") as caught:
        load_report(path)
    assert "\n" not in str(caught.value)
    for missing in (tmp_path / "nowhere.json", tmp_path):
        with pytest.raises(UserError, match=r"`path` must be the file of a saved report, got .*: check the spelling"):
            load_report(missing)
    assert [found.name for found in tmp_path.iterdir()] == ["report.json"]


class Newest(infodil.Encoder):
    """The newest token, as a caller's own function gives it."""

    vocabulary = 6

    def __init__(self, change, sites=("newest",)):
        self.change, self.sites = change, sites

    def encode(self, tokens):
        states = self.change(torch.nn.functional.one_hot(tokens, 6).float())
        return dict.fromkeys(self.sites, states)


def own_report(change=lambda states: states, sites=("newest",), **options):
    tokens = infodil.sources.iid(6, documents=40, tokens=12, seed=1).tokens
    options = {"lags": 0, "probes": "gaussian", "controls": False, "progress": False} | options
    return infodil.recoverability(Newest(change, sites), tokens, **options)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda states: states[..., :0], "gave states without a number at 'newest'"),
        (lambda states: states.bool(), r"gave states of torch.bool at 'newest': .* by states.float\(\)"),
        (lambda states: states.to(torch.complex64), r"torch.complex64 .* by torch.view_as_real\(states\).flatten\(2\)"),
        (lambda states: states.to_sparse(), r"gave sparse states at 'newest': make them dense by .to_dense\(\)"),
        (lambda states: states * 1e38, "whose largest number is 1.0e.38, .* multiply them by a constant"),
        (lambda states: states * 1e-42, "whose largest number is 1.0e-42"),
    ],
    ids=["no numbers", "bool", "complex", "sparse", "huge", "tiny"],
)
def test_states_of_another_kind_are_refused(change, message):
    with pytest.raises(UserError, match=message):
        own_report(change)


@pytest.mark.parametrize(
    "options",
    [
        {"confidence": "0.9"}, {"lags": None}, {"probes": None}, {"device": "meta"},
        {"seed": 2**63}, {"cache_dir": "/proc/none"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.statistical  # the checks of shapes and types would come first
def test_an_argument_of_another_kind_is_refused(options):
    with pytest.raises(UserError, match=f"`{next(iter(options))}`"):
        own_report(**options)


def test_a_site_is_not_called_like_a_control():
    with pytest.raises(UserError, match="site 'random weights of a', a name that reports give to a control: rename it"):
        own_report(sites=("random weights of a", "a"))


@pytest.mark.statistical
def test_the_default_dtype_of_the_caller_does_not_matter():
    expected = own_report(probes=["gaussian", "linear"]).rows
    torch.set_default_dtype(torch.float64)
    try:
        found = own_report(probes=["gaussian", "linear"]).rows
    finally:
        torch.set_default_dtype(torch.float32)
    for row, other in zip(found, expected, strict=True):
        assert row["value_bits"] == pytest.approx(other["value_bits"], abs=1e-3)
    assert own_report(lags=np.int64(0)).rows[0]["lag"] == 0
