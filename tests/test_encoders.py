"""Tokens become causal states of their own document, foreign models are left as they were, and misuse is told."""

import copy
import json

import pytest
import torch
from torch import nn

from infodil import recoverability
from infodil.checks import UserError
from infodil.corpus import train_bpe
from infodil.encoders import (
    ENCODERS,
    CombinedEncoder,
    HuggingFaceEncoder,
    ModuleEncoder,
    ShiftRegisterEncoder,
    TraceEncoder,
    attention,
    check_states,
    choose_sites,
    gru,
    load_encoder,
    random_embedding,
    self_test,
)
from infodil.testing import check_encoder
from infodil.traces import ema_bank

VOCABULARY = 13
TOKENS = torch.randint(VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(0))


def same_states(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[site], second[site]) for site in first)


class Tagger(nn.Module):
    """Embedding -> dropout -> recurrent layer -> attention -> head, with documents or tokens first inside."""

    def __init__(self, batch_first=True, kind=nn.LSTM, vocabulary=VOCABULARY, dim=8, **options):
        super().__init__()
        self.batch_first = batch_first
        self.embedding = nn.Embedding(vocabulary, dim)
        self.dropout = nn.Dropout(0.5)
        self.recurrent = kind(dim, dim, batch_first=batch_first, **options)
        width = dim * (2 if options.get("bidirectional") else 1)
        self.attention = nn.MultiheadAttention(width, 2, dropout=0.5, batch_first=batch_first)
        self.norm = nn.BatchNorm1d(width)
        self.head = nn.Linear(width, vocabulary)
        self.unused = nn.Linear(1, 1)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, tokens):
        vectors = self.dropout(self.embedding(tokens))
        states = self.recurrent(vectors if self.batch_first else vectors.transpose(0, 1))[0]
        length = tokens.shape[1]
        future = torch.ones(length, length, dtype=torch.bool, device=tokens.device).triu(1)
        read = self.attention(states, states, states, attn_mask=future)[0]
        read = read if self.batch_first else read.transpose(0, 1)
        return self.head(self.norm(read.transpose(1, 2)).transpose(1, 2))


# Fingerprints


@pytest.mark.statistical
def test_a_fingerprint_of_a_module_covers_every_tensor():
    first, other = Tagger(), Tagger()
    other.load_state_dict(first.state_dict())
    told = ModuleEncoder(first, "recurrent").fingerprint()
    assert ModuleEncoder(other, "recurrent").fingerprint() == told
    other.calls += 1  # a buffer without axes
    assert ModuleEncoder(other, "recurrent").fingerprint() != told


# Known truth


def test_traces_are_the_averages_of_the_token_vectors():
    embedding = random_embedding(VOCABULARY, 5, seed=2)
    assert embedding.norm(dim=1).tolist() == pytest.approx([1.0] * VOCABULARY)
    one = TraceEncoder(VOCABULARY, (0.3,), embedding=embedding)
    bank = TraceEncoder(VOCABULARY, (0.3, 0.01), embedding=embedding)
    expected = ema_bank(embedding[TOKENS], (0.3, 0.01))
    assert (one.sites, bank.sites) == (("ema",), ("ema_bank",))
    torch.testing.assert_close(bank.encode(TOKENS)["ema_bank"].unflatten(2, (2, 5)), expected)
    torch.testing.assert_close(one.encode(TOKENS)["ema"], expected[:, :, 0])
    by_name = load_encoder("ema_bank", vocabulary=VOCABULARY, alphas=[0.3, 0.01], dim=5, seed=2)
    torch.testing.assert_close(by_name.encode(TOKENS)["ema_bank"], bank.encode(TOKENS)["ema_bank"])


def test_a_shift_register_holds_exactly_the_last_tokens():
    encoder = ShiftRegisterEncoder(VOCABULARY, window=3, dim=5)
    held = encoder.encode(TOKENS)["shift_register"].unflatten(2, (3, 5))
    for back in range(3):
        assert torch.equal(held[:, back:, back], encoder.embedding[TOKENS[:, : TOKENS.shape[1] - back]])
        assert not held[:, :back, back].any()


def test_a_gru_is_the_recurrence_of_its_definition():
    encoder = gru(VOCABULARY, 6)
    model = encoder.module
    (weights, hidden_weights), (bias, hidden_bias) = (
        (getattr(model.gru, f"{kind}_ih_l0"), getattr(model.gru, f"{kind}_hh_l0")) for kind in ("weight", "bias")
    )
    state, states = torch.zeros(3, 6), []
    for token in TOKENS.T:
        vector = model.embedding.weight[token] * 6**0.5
        reset, update, new = (vector @ weights.T + bias).chunk(3, 1)
        hidden_reset, hidden_update, hidden_new = (state @ hidden_weights.T + hidden_bias).chunk(3, 1)
        keep = torch.sigmoid(update + hidden_update)
        new = torch.tanh(new + torch.sigmoid(reset + hidden_reset) * hidden_new)
        state = keep * state + (1 - keep) * new
        states.append(state)
    torch.testing.assert_close(encoder.encode(TOKENS)["gru"], torch.stack(states, 1))


def test_attention_is_that_of_its_definition():
    encoder = attention(VOCABULARY, 8, heads=2)
    block = encoder.module.blocks[0]
    stream = encoder.module.embedding(TOKENS)
    parts = block.mixer.query_key_value(block.before_mixer(stream)).unflatten(2, (3, 2, 2, 2))  # head, half, pair
    query, key = (torch.complex(*parts[:, :, part].unbind(3)) for part in (0, 1))
    turn = torch.polar(torch.ones(7, 2), torch.arange(7.0)[:, None] * torch.tensor([1.0, 1000.0**-0.5]))[:, None]
    # Turned as complex numbers, a query and a key meet at the angle of their distance.
    scores = torch.einsum("dthp,dshp->dhts", query * turn, (key * turn).conj()).real / 4**0.5
    scores = scores.masked_fill(torch.ones(7, 7, dtype=torch.bool).triu(1), -torch.inf)
    read = torch.einsum("dhts,dshe->dthe", scores.softmax(3), parts[:, :, 2].flatten(3))
    stream = stream + block.mixer.out(read.flatten(2))
    stream = stream + block.feed_forward(block.before_feed_forward(stream))
    torch.testing.assert_close(encoder.encode(TOKENS)["attention"], stream.detach())


def test_the_states_of_language_models_are_what_the_logits_are_read_from():
    recurrent, attending = gru(VOCABULARY, 8), attention(VOCABULARY, 8, layers=2)
    model = recurrent.module
    logits = nn.functional.linear(recurrent.encode(TOKENS)["gru"], model.embedding.weight, model.bias)
    torch.testing.assert_close(model(TOKENS), logits)
    states = attending.encode(TOKENS)
    assert tuple(states) == ("block.1", "block.2")
    model = attending.module
    last = model.last_norm(states["block.2"])
    torch.testing.assert_close(model(TOKENS), nn.functional.linear(last, model.embedding.weight))


def test_encoders_combined_are_the_encoders_apart():
    trace, deep = TraceEncoder(VOCABULARY, (0.1,), dim=4), attention(VOCABULARY, 8, layers=2)
    deep.longest = 9
    both = CombinedEncoder({"trace": trace, "deep": deep})
    assert both.sites == ("trace", "deep/block.1", "deep/block.2")
    assert (both.vocabulary, both.longest, both.costly) == (VOCABULARY, 9, False)
    apart = {"trace": trace.encode(TOKENS)["ema"]} | {f"deep/{s}": h for s, h in deep.encode(TOKENS).items()}
    assert same_states(both.encode(TOKENS), apart)
    module = ModuleEncoder(Tagger(), "recurrent")
    assert CombinedEncoder({"trace": trace, "module": module}).costly
    nameless = type("Nameless", (), {"vocabulary": VOCABULARY, "encode": lambda self, tokens: {}})()
    assert CombinedEncoder({"trace": trace, "other": nameless}).fingerprint() is None


# Any torch module


@pytest.mark.parametrize("batch_first", [True, False])
@pytest.mark.parametrize("shape", [(3, 7), (5, 5), (7, 3), (1, 1)])
def test_a_module_with_documents_or_tokens_first(batch_first, shape):
    module = Tagger(batch_first).eval()
    tokens = torch.randint(VOCABULARY, shape)
    with torch.no_grad():
        expected = nn.LSTM.forward(copy_of(module.recurrent), module.embedding(tokens))[0]
        logits = module(tokens)
    encoder = ModuleEncoder(module, ["embedding", "recurrent", "attention", ""])
    states = encoder.encode(tokens)
    assert {site: state.shape for site, state in states.items()} == {
        "": (*shape, VOCABULARY),
        "embedding": (*shape, 8),
        "recurrent": (*shape, 8),
        "attention": (*shape, 8),
    }
    torch.testing.assert_close(states["recurrent"], expected)
    torch.testing.assert_close(states[""], logits)
    check_encoder(encoder)
    self_test(encoder)


def copy_of(recurrent):
    """The same recurrent layer with documents first."""
    other = copy.deepcopy(recurrent)
    other.batch_first = True
    return other


def test_a_module_of_few_places_reads_a_square_batch():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.place = nn.Embedding(VOCABULARY, 4), nn.Embedding(5, 4)

        def forward(self, tokens):
            return self.embedding(tokens) + self.place(torch.arange(tokens.shape[1]))

    module = Placed()
    tokens = torch.randint(VOCABULARY, (5, 5))
    assert torch.equal(ModuleEncoder(module, "").encode(tokens)[""], module(tokens).detach())


def test_sites_by_pattern_and_the_vocabulary_of_the_embedding():
    encoder = ModuleEncoder(Tagger(), ["at*n", "recurrent"])
    assert encoder.sites == ("recurrent", "attention")
    assert encoder.vocabulary == VOCABULARY
    assert ModuleEncoder(Tagger(), "recurrent", vocabulary=9).vocabulary == 9
    assert isinstance(load_encoder(Tagger(), sites="recurrent"), ModuleEncoder)


def condition_of(module):
    """Everything about a module that encoding could disturb."""
    return {
        "modes": [part.training for part in module.modules()],
        "hooks": [len(part._forward_hooks) + len(part._forward_pre_hooks) for part in module.modules()],
        "tensors": {name: tensor.clone() for name, tensor in module.state_dict(keep_vars=False).items()},
        "gradients": [(p.requires_grad, p.grad is None, p.device, p.data_ptr()) for p in module.parameters()],
        "random": torch.get_rng_state(),
    }


def assert_undisturbed(module, before):
    after = condition_of(module)
    assert all(torch.equal(after["tensors"][name], tensor) for name, tensor in before["tensors"].items())
    assert torch.equal(after["random"], before["random"])
    assert all(after[name] == before[name] for name in ("modes", "hooks", "gradients"))


@pytest.mark.parametrize("fails", [False, True])
def test_a_module_is_left_as_it_was(fails):
    module = Tagger().train()
    module.attention.eval()
    module.embedding.weight.requires_grad_(False)
    encoder = ModuleEncoder(module, ["recurrent", "attention", ""])

    if fails:  # in the middle, after some hooks have fired
        module.norm.register_forward_pre_hook(lambda part, inputs: (_ for _ in ()).throw(RuntimeError("in the middle")))
    before = condition_of(module)
    if fails:
        with pytest.raises(RuntimeError, match="in the middle"):
            encoder.encode(TOKENS)
    else:
        states = encoder.encode(TOKENS)
        assert not any(state.requires_grad for state in states.values())
        # Dropout is off, though the module trains.
        assert same_states(encoder.encode(TOKENS), states)
    assert_undisturbed(module, before)


def test_a_module_that_draws_random_numbers_does_not_move_the_random_state():
    class Noisy(nn.Module):
        def forward(self, tokens):
            return torch.randn(*tokens.shape, 3)

    before = torch.get_rng_state()
    ModuleEncoder(Noisy(), "", vocabulary=5).encode(TOKENS)
    assert torch.equal(torch.get_rng_state(), before)


class Flat(nn.Module):
    """A root whose output is not `[documents, tokens, dim]`."""

    def __init__(self, output):
        super().__init__()
        self.embedding, self.give = nn.Embedding(VOCABULARY, 4), output

    def forward(self, tokens):
        return self.give(self.embedding(tokens))


def packed(vectors):
    return nn.utils.rnn.pack_padded_sequence(vectors, [vectors.shape[1]] * len(vectors), batch_first=True)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: ModuleEncoder(Tagger(), "recurent"),
            r"`sites` has 'recurent', which the model does not have: did you mean 'recurrent'",
        ),
        (
            lambda: ModuleEncoder(Tagger(), ["recurrent", "qqq*"]),
            "`sites` has 'qqq\\*', which the model does not have: there are '', 'embedding', .* and 3 more",
        ),
        (
            lambda: ModuleEncoder(Tagger(), None),
            "`sites` must name the submodules .* got None: pass some of 'embedding', 'dropout', 'recurrent'",
        ),
        (
            lambda: load_encoder(Tagger(), sites=[2]),
            "`sites` must be names of submodules for a torch module, got 2",
        ),
        (lambda: ModuleEncoder(Tagger(), []), "`sites` must not be empty: pass at least one name"),
        (
            lambda: ModuleEncoder(nn.Linear(1, 1), ""),
            "`vocabulary` must be given for a module without torch.nn.Embedding, got None",
        ),
        (
            lambda: ModuleEncoder(Tagger(), "unused").encode(TOKENS),
            "`sites` has 'unused', which the model never called: name a submodule its forward uses",
        ),
        (
            lambda: ModuleEncoder(Flat(lambda vectors: vectors.mean(1)), "").encode(TOKENS),
            r"output must be \[documents, tokens, dim\] for tokens of shape \(2, 3\), got shape \(2, 4\): name another",
        ),
        (
            lambda: ModuleEncoder(Flat(packed), "").encode(TOKENS),
            r"output must be \[documents, tokens, dim\] .* got PackedSequence: name another submodule or wrap",
        ),
        (
            lambda: ModuleEncoder(Flat(lambda vectors: {"text": "states"}), ""),
            r"output must be \[documents, tokens, dim\] .* got dict: name another submodule or wrap",
        ),
        (lambda: load_encoder(Tagger()), "`sites` must name the submodules"),
        (
            lambda: load_encoder(TraceEncoder(9), probe="linear"),
            "`probe` is an option of a model loaded by its name, and `model` is a TraceEncoder made already: leave it",
        ),
        (lambda: load_encoder(Tagger(), sites="recurrent", dim=9), "`dim` is an option of a model loaded by its name"),
        (lambda: load_encoder(7), "`model` must be a name, an Encoder or a torch.nn.Module, got int: give it"),
        (lambda: load_encoder("ema"), "`vocabulary` must be given for the built-in model 'ema', got None"),
        (lambda: load_encoder("emma", vocabulary=9), r"`model` 'emma' is no built-in name: did you mean 'ema'\?"),
        (
            lambda: load_encoder("ema", vocabulary=9, alhpa=0.5),
            "`model` 'ema' does not take these options: got an unexpected keyword argument 'alhpa'",
        ),
        (lambda: load_encoder("ema", vocabulary=9, alpha=1.5), r"`alphas\[0\]` must be above 0.* got 1.5"),
        (lambda: load_encoder("ema_bank", vocabulary=9, alphas=[]), "`alphas` must not be empty: pass at least one"),
        (lambda: load_encoder("ema", vocabulary=1), "`vocabulary` must be a whole number of at least 2, got 1"),
        (lambda: load_encoder("ema", vocabulary=9, dim=0), "`dim` must be a whole number of at least 1, got 0"),
        (lambda: load_encoder("gru", vocabulary=9, dim=0), "`dim` must be a whole number of at least 1, got 0"),
        (lambda: load_encoder("attention", vocabulary=9, dim=0), "`dim` must be a whole number of at least 1, got 0"),
        (lambda: attention(9, 16, heads=0), "`heads` must be a whole number of at least 1, got 0"),
        (lambda: attention(9, 16, layers=0), "`layers` must be a whole number of at least 1, got 0"),
        (lambda: attention(9, 12), "`dim` must be a multiple of 2 x heads = 8, got 12: pass another width"),
        (lambda: ShiftRegisterEncoder(9, window=0), "`window` must be a whole number of at least 1, got 0"),
        (
            lambda: TraceEncoder(9, embedding=torch.zeros(8, 4)),
            r"`embedding` must have one row for each of the 9 types, got shape \(8, 4\): pass \[vocabulary, dim\]",
        ),
        (lambda: CombinedEncoder({}), "`encoders` must not be empty: pass a dictionary of names and encoders"),
        (
            lambda: CombinedEncoder({"a": TraceEncoder(9), "b": TraceEncoder(8)}),
            "`encoders` must share one vocabulary, got {'a': 9, 'b': 8}: tokenise for all of them alike",
        ),
        (
            lambda: choose_sites(3, ["embedding", "layer.1"]),
            "`sites` has 3, which the model does not have: there are 'embedding', 'layer.1'",
        ),
        (
            lambda: choose_sites(["layer.13"], [f"layer.{number}" for number in range(12)]),
            r"`sites` has 'layer.13', which the model does not have: did you mean 'layer.1', .*\?",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


def test_an_option_that_a_built_in_model_cannot_use(monkeypatch):
    # Under pytest the annotations refuse it first: a model without annotations stands for all.
    monkeypatch.setitem(ENCODERS, "plain", lambda vocabulary, alpha, **options: float(alpha))
    with pytest.raises(UserError, match=r"`model` 'plain' does not take these options: could not convert .*'fast'"):
        load_encoder("plain", vocabulary=9, alpha="fast")


# What no encoder may do


def test_a_module_that_takes_documents_for_time_is_refused():
    class Mixed(nn.Module):
        def __init__(self):
            super().__init__()
            self.embedding, self.recurrent = nn.Embedding(VOCABULARY, 8), nn.LSTM(8, 8)

        def forward(self, tokens):
            return self.recurrent(self.embedding(tokens))[0]

    with pytest.raises(UserError, match=r"at 'recurrent' that change by .* with another document: pass a causal model"):
        self_test(ModuleEncoder(Mixed(), "recurrent"))


def test_a_module_that_sees_later_tokens_is_refused():
    module = Tagger(kind=nn.GRU, bidirectional=True)
    with pytest.raises(UserError, match=r"at 'recurrent' that change by .* with a later token: pass a causal model"):
        self_test(ModuleEncoder(module, "recurrent"))


@pytest.mark.parametrize(
    ("states", "dims", "message"),
    [
        (
            torch.zeros(3, 7, 2),
            {},
            "`model` gave Tensor in place of states: an encoder must give a dictionary",
        ),
        ({}, {}, r"`model` gave a dictionary of \[\] in place of states"),
        ({"a": [1.0]}, {}, r"`model` gave a dictionary of \['list'\] in place of states"),
        ({"a": torch.zeros(3, 7)}, {}, r"`model` gave states of shape \(3, 7\) at 'a' for tokens of shape \(3, 7\)"),
        (
            {"a": torch.zeros(3, 6, 2)},
            {},
            r"states of shape \(3, 6, 2\) at 'a' .* must give \[documents, tokens, dim\]",
        ),
        ({"a": torch.zeros(3, 7, 2)}, {"a": 4}, "`model` gave states of 2 dims at 'a' after 4: an encoder must keep"),
        (
            {"a": torch.zeros(3, 7, 2)},
            {"a": 2, "b": 2},
            r"`model` gave the sites \['a'\] after \['a', 'b'\]: an encoder",
        ),
        (
            {"a": torch.full((3, 7, 2), torch.nan)},
            {},
            "`model` gave states that are not finite at 'a': check its weights",
        ),
        ({"a": torch.full((3, 7, 2), torch.inf)}, {"a": 2}, "`model` gave states that are not finite at 'a'"),
    ],
)
def test_states_are_checked(states, dims, message):
    with pytest.raises(UserError, match=message) as caught:
        check_states(states, (3, 7), dims)
    assert "\n" not in str(caught.value)


def test_good_states_fill_the_dims():
    dims = {}
    check_states({"a": torch.zeros(3, 7, 2), "b": torch.zeros(3, 7, 4)}, (3, 7), dims)
    assert dims == {"a": 2, "b": 4}


# Hugging Face


def tiny(kind):
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": 300, "num_hidden_layers": 3, "num_attention_heads": 2, "hidden_size": 16}
    torch.manual_seed(0)
    if kind == "gpt2":
        config = transformers.GPT2Config(**shape, n_positions=32, bos_token_id=0, eos_token_id=0)
    else:
        config = transformers.LlamaConfig(
            **shape, num_key_value_heads=1, intermediate_size=24, max_position_embeddings=32
        )
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture
def saved(tmp_path):
    """A folder with a tiny model and its tokenizer."""
    transformers = pytest.importorskip("transformers")
    tokenizer = train_bpe(["the state of the model keeps some of the past"], 280)
    tiny("llama").save_pretrained(tmp_path / "tiny")
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer.backend).save_pretrained(tmp_path / "tiny")
    return tmp_path / "tiny"


@pytest.mark.statistical
@pytest.mark.parametrize("kind", ["gpt2", "llama"])
def test_sites_are_the_hidden_states_of_transformers(kind):
    model = tiny(kind)
    encoder = HuggingFaceEncoder(model, "*")
    assert encoder.sites == ("embedding", "layer.1", "layer.2", "layer.3")
    assert (encoder.vocabulary, encoder.longest) == (300, 32)
    states = encoder.encode(TOKENS)
    with torch.no_grad():
        expected = model(TOKENS, output_hidden_states=True).hidden_states
    for depth, site in enumerate(encoder.sites[:-1]):
        torch.testing.assert_close(states[site], expected[depth])
    norm = model.base_model.ln_f if kind == "gpt2" else model.base_model.norm
    torch.testing.assert_close(norm(states["layer.3"]).detach(), expected[3])
    check_encoder(encoder)
    self_test(encoder)


def test_sites_by_name_number_and_pattern():
    model = tiny("gpt2")
    assert HuggingFaceEncoder(model).sites == ("embedding", "layer.2", "layer.3")
    assert HuggingFaceEncoder(model, 1).sites == ("layer.1",)
    assert HuggingFaceEncoder(model, -1).sites == ("layer.3",)
    assert HuggingFaceEncoder(model, [-1, 0, "layer.2"]).sites == ("embedding", "layer.2", "layer.3")
    assert HuggingFaceEncoder(model, "layer.*").sites == ("layer.1", "layer.2", "layer.3")
    for wanted in (4, -5, "layer.4"):
        with pytest.raises(UserError, match=rf"`sites` has {wanted!r}, which the model does not have.*'layer.1'"):
            HuggingFaceEncoder(model, wanted)


def test_a_hugging_face_model_in_memory_is_left_as_it_was():
    model = tiny("gpt2").train()
    model.transformer.h[1].eval()
    encoder = load_encoder(model)
    assert isinstance(encoder, HuggingFaceEncoder)
    before = condition_of(model)
    states = encoder.encode(TOKENS)
    assert_undisturbed(model, before)
    assert same_states(encoder.encode(TOKENS), states)
    with pytest.raises(IndexError):
        encoder.encode(TOKENS + 300)
    assert_undisturbed(model, before)


def test_the_submodules_of_a_hugging_face_model_can_be_sites():
    model = tiny("gpt2")
    encoder = load_encoder(model, sites=["transformer.h.0", "transformer.h.1.mlp"])
    assert isinstance(encoder, ModuleEncoder)
    assert load_encoder(model, sites=["layer.*", 0]).sites == ("embedding", "layer.1", "layer.2", "layer.3")
    with pytest.raises(UserError, match="`sites` has 4, which the model does not have"):
        load_encoder(model, sites=4)
    inner = HuggingFaceEncoder(model, "layer.1").encode(TOKENS)["layer.1"]
    torch.testing.assert_close(encoder.encode(TOKENS)["transformer.h.0"], inner)
    self_test(encoder)


def test_a_saved_folder_is_loaded_with_its_tokenizer(saved):
    encoder = load_encoder(str(saved), sites="layer.*", dtype=torch.float64)
    expected = HuggingFaceEncoder(tiny("llama").double(), "layer.*").encode(TOKENS)
    states = encoder.encode(TOKENS)
    assert {state.dtype for state in states.values()} == {torch.float64}
    for site, state in expected.items():
        torch.testing.assert_close(states[site], state)
    assert encoder.tokenizer("the past")["input_ids"]
    assert not encoder.module.training
    (saved / "tokenizer.json").unlink()
    (saved / "tokenizer_config.json").unlink()
    assert load_encoder(saved).tokenizer is None


@pytest.mark.statistical
@pytest.mark.parametrize("sites", [-1, "layer.*", 2, [0, 3]])
def test_sites_by_number_are_measured(saved, sites):
    tokens = torch.randint(300, (20, 30))
    report = recoverability(saved, tokens, sites=sites, lags=[0, 1], probes="prior", progress=False)
    assert report.sites == load_encoder(saved, sites=sites).sites


def test_code_of_a_repository_is_not_run_unless_asked_for(saved, monkeypatch):
    transformers = pytest.importorskip("transformers")
    asked = []
    for auto in (transformers.AutoModelForCausalLM, transformers.AutoTokenizer):
        original = auto.from_pretrained

        def from_pretrained(*args, original=original, **options):
            asked.append(options["trust_remote_code"])
            return original(*args, **options)

        monkeypatch.setattr(auto, "from_pretrained", from_pretrained)
    load_encoder(saved)
    assert asked == [False, False]
    load_encoder(saved, trust_remote_code=True)
    assert asked[2:] == [True, True]


def test_remote_code_in_a_folder_is_refused(saved):
    config = json.loads((saved / "config.json").read_text())
    config |= {"model_type": "strange", "auto_map": {"AutoConfig": "code.C", "AutoModelForCausalLM": "code.M"}}
    (saved / "config.json").write_text(json.dumps(config))
    (saved / "code.py").write_text(f"open({str(saved / 'was-run')!r}, 'w')")
    with pytest.raises(UserError, match=r"`model` .*tiny' cannot be loaded"):
        load_encoder(saved)
    assert not (saved / "was-run").exists()


@pytest.mark.parametrize("broken", ["config.json", "model.safetensors"])
def test_a_broken_folder_is_told_in_one_sentence(saved, broken):
    (saved / broken).write_bytes(b"{}"[:1])
    with pytest.raises(UserError, match=r"`model` .*tiny' cannot be loaded \(.*\): pass a built-in name, the id of a"):
        load_encoder(saved)


@pytest.mark.statistical
def test_what_is_no_model_is_told_in_one_sentence(tmp_path):
    pytest.importorskip("transformers")
    for place in (str(tmp_path), "nobody/nothing"):
        with pytest.raises(UserError, match=rf"`model` '{place}' cannot be loaded \(.*\): pass a built-in") as caught:
            load_encoder(place)
        assert "\n" not in str(caught.value)


def test_a_model_without_blocks_is_told():
    with pytest.raises(UserError, match="`model` of type Linear has no list of 2 blocks: pass it as a torch module"):
        HuggingFaceEncoder(stub_model())


def stub_model():
    """A module with the face of a language model and no blocks."""
    stub = nn.Linear(1, 1)
    stub.config = type("Config", (), {"num_hidden_layers": 2})()
    stub.get_input_embeddings = lambda: nn.Embedding(4, 2)
    return stub


def test_a_real_model(shared):
    pytest.importorskip("transformers")
    encoder = load_encoder(shared("model-stories260k"), sites="*")
    assert len(encoder.sites) == 6
    ids = encoder.tokenizer("Once upon a time, there was a little girl named Lily.")["input_ids"]
    assert max(ids) < encoder.vocabulary == 512
    states = encoder.encode(torch.tensor([ids]))
    check_states(states, (1, len(ids)), {})
    self_test(encoder)
