"""One body of laws over every encoder: the registered ones, those that wrap foreign models, and a user's own."""

import inspect

import pytest
import torch
from torch import nn

from infodil.encoders import (
    ENCODERS,
    KINDS_OF_SITE,
    ChosenSites,
    CombinedEncoder,
    Encoder,
    HuggingFaceEncoder,
    ModuleEncoder,
    TraceEncoder,
    as_encoder,
    attention,
    load_encoder,
    self_test,
)
from infodil.lm import FAMILIES, LanguageModel, LanguageModelConfig
from infodil.testing import check_encoder

VOCABULARY = 13
TOKENS = torch.randint(VOCABULARY, (3, 7), generator=torch.Generator().manual_seed(0))


class Bare:
    """A user's encoder with the two members that every encoder must have."""

    def __init__(self, seed=0):
        self.vocabulary = VOCABULARY
        self.table = torch.randn(VOCABULARY, 4, generator=torch.Generator().manual_seed(seed))

    def encode(self, tokens):
        return {"sum": self.table[tokens].cumsum(1)}


class Tagger(nn.Module):
    """A torch module without any face of an encoder."""

    def __init__(self, seed):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.embedding, self.rnn = nn.Embedding(VOCABULARY, 6), nn.GRU(6, 5, batch_first=True)

    def forward(self, tokens):
        return self.rnn(self.embedding(tokens))[0]


def transformer(seed=0):
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": VOCABULARY, "n_embd": 8, "n_layer": 2, "n_head": 2, "n_positions": 64}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HuggingFaceEncoder(transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)).eval(), "*")


def language_model(family, seed):
    config = LanguageModelConfig(family, VOCABULARY, dim=8, layers=1, heads=2, feed_forward=8, context=64)
    return LanguageModel(config, seed=seed).eval()


MADE = {name: lambda seed=0, make=make: as_encoder(make(VOCABULARY, seed=seed)) for name, make in ENCODERS.items()}
MADE |= {f"lm {name}": lambda seed=0, name=name: language_model(name, seed) for name in FAMILIES}
MADE |= {
    "attention of 2 layers": lambda seed=0: attention(VOCABULARY, 16, layers=2, seed=seed),
    "combined": lambda seed=0: CombinedEncoder(
        {
            "slow": TraceEncoder(VOCABULARY, (0.05,), dim=4, seed=seed),
            "deep": attention(VOCABULARY, 16, layers=2, seed=seed),
            "own": Bare(seed),
        }
    ),
    "chosen": lambda seed=0: ChosenSites(attention(VOCABULARY, 16, layers=3, seed=seed), ["block.1", -1]),
    "custom": lambda seed=0: load_encoder(Bare(seed)),
    "module": lambda seed=0: ModuleEncoder(Tagger(seed), ["embedding", "rnn"]),
    "hugging face": transformer,
}
DEFAULTS = {name: member for name, member in vars(Encoder).items() if not name.startswith("_")}


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[site], second[site]) for site in first)


@pytest.mark.statistical
@pytest.mark.parametrize("name", MADE)
def test_states_are_causal_and_of_one_document(name):
    encoder = MADE[name]()
    check_encoder(encoder)
    dims = self_test(encoder)
    assert dims == {site: state.shape[2] for site, state in encoder.encode(TOKENS).items()}


@pytest.mark.parametrize("name", MADE)
def test_every_member_of_the_contract_is_there(name):
    encoder = MADE[name]()
    assert isinstance(encoder, Encoder)
    sites = tuple(encoder.encode(TOKENS))
    assert encoder.vocabulary == VOCABULARY
    assert encoder.sites in (None, sites)
    assert encoder.longest is None or encoder.longest >= TOKENS.shape[1]
    assert isinstance(encoder.costly, bool)
    assert encoder.name is None or isinstance(encoder.name, str)
    assert encoder.module is None or isinstance(encoder.module, nn.Module)
    assert {encoder.kind_of_site(site) for site in sites} <= set(KINDS_OF_SITE)
    for member, default in DEFAULTS.items():
        if inspect.isfunction(default):
            assert inspect.signature(getattr(type(encoder), member)).parameters.keys() == (
                inspect.signature(default).parameters.keys()
            ), member


@pytest.mark.statistical
@pytest.mark.parametrize("name", MADE)
def test_the_seed_decides_states_and_fingerprint(name):
    encoders = [MADE[name](seed) for seed in (3, 3, 4)]
    states = [encoder.encode(TOKENS) for encoder in encoders]
    assert same(states[0], states[1])
    assert not any(torch.equal(states[0][site], other) for site, other in states[2].items())
    prints = [encoder.fingerprint() for encoder in encoders]
    if name in ("custom", "combined"):  # nothing is known of a user's own object
        assert prints == [None, None, None]
    else:
        assert prints[0] == prints[1] != prints[2]


@pytest.mark.parametrize("name", MADE)
def test_making_and_reading_one_leaves_the_random_state_of_torch(name):
    before = torch.get_rng_state()
    encoder = MADE[name](5)
    encoder.encode(TOKENS)
    encoder.randomised(6)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("name", MADE)
def test_random_weights_are_others_at_the_same_sites_and_the_same_again(name):
    encoder = MADE[name]()
    first, again = encoder.randomised(1), encoder.randomised(1)
    if first is None:
        assert again is None and encoder.module is None
        return
    states, drawn = encoder.encode(TOKENS), first.encode(TOKENS)
    assert same(drawn, again.encode(TOKENS))
    shared = drawn.keys() & states.keys()
    assert shared and isinstance(first, Encoder)
    for site in shared:
        assert drawn[site].shape == states[site].shape and not torch.allclose(drawn[site], states[site])


@pytest.mark.parametrize("name", MADE)
def test_a_superposition_gives_the_states(name):
    encoder = MADE[name]()
    tokens = TOKENS[0]
    for site, states in encoder.encode(tokens[None]).items():
        if encoder.superposition(site) is None:
            continue
        embedding, weights = encoder.superposition(site)
        assert weights.dtype == torch.float64
        history = embedding[tokens].flip(0).double()
        state = weights[:, : len(history)] @ history[: weights.shape[1]]
        torch.testing.assert_close(state.flatten().float(), states[0, -1].detach(), rtol=1e-4, atol=1e-5)
    assert encoder.superposition("nowhere") is None


def test_a_user_s_members_stand_before_the_defaults():
    class Own(Bare):
        sites, longest, costly, name = ("sum",), 9, False, "mine"

        def kind_of_site(self, site):
            return "recurrent"

        def fingerprint(self):
            return "print"

        def randomised(self, seed):
            return Bare(seed)

    encoder = load_encoder(Own())
    assert (encoder.sites, encoder.longest, encoder.costly, encoder.name) == (("sum",), 9, False, "mine")
    assert (encoder.kind_of_site("sum"), encoder.fingerprint()) == ("recurrent", "print")
    assert same(encoder.randomised(4).encode(TOKENS), Bare(4).encode(TOKENS))
    bare = load_encoder(Bare())
    assert (bare.sites, bare.longest, bare.costly, bare.name) == (None, None, True, "Bare")
    assert (bare.kind_of_site("sum"), bare.superposition("sum"), bare.tokenizer) == ("module", None, None)
