"""A model that breaks the contract is found at the lengths of the corpus, and the message names the likely cause."""

import pytest
import torch
from torch import nn

from infodil import recoverability
from infodil.checks import UserError
from infodil.encoders import as_encoder, load_encoder, self_test

TYPES, DIM, LENGTH = 11, 4, 150
TABLE = torch.randn(TYPES, DIM, generator=torch.Generator().manual_seed(0))


class Own:
    """A user's encoder: a function of ids and of the number of calls before."""

    vocabulary = TYPES

    def __init__(self, function, dtype=torch.float32):
        self.function, self.dtype, self.calls = function, dtype, 0

    def encode(self, tokens):
        self.calls += 1
        return {"state": self.function(TABLE[tokens].to(self.dtype), self.calls - 1)}


def ahead(steps, share):
    """A trace that takes a share of the token so many steps ahead."""

    def function(x, calls):
        later = torch.cat([x[:, steps:], torch.zeros_like(x[:, :steps])], 1)[:, : x.shape[1]]
        return x.cumsum(1) / 4 + share * later

    return function


def in_one_number(function):
    """A leak into one number beside others that are a thousand times larger."""

    def leak(x, calls):
        states = 1000.0 * x
        return torch.cat([states[..., 1:], function(x, calls)[..., :1]], 2)

    return leak


def masked_up_to(tokens):
    """Attention without a mask in sequences longer than this."""

    def function(x, calls):
        return x + (x.mean(1, keepdim=True) if x.shape[1] > tokens else 0.0)

    return function


def within_chunks(size):
    """A mean over chunks of so many tokens, the later ones too."""

    def function(x, calls):
        parts = [part.mean(1, keepdim=True).expand_as(part) for part in x.split(size, 1)]
        return torch.cat(parts, 1)

    return function


FUTURE = {
    **{f"{steps} ahead, {share}": ahead(steps, share) for steps in (1, 6, 20, 60, 100) for share in (1.0, 0.01)},
    "one number": in_one_number(ahead(1, 0.3)),
    "mask missing beyond 32": masked_up_to(32),
    **{f"chunks of {size}": within_chunks(size) for size in (2, 3, 5, 64)},
    "normalised over tokens": lambda x, calls: x - x.mean(1, keepdim=True),
    "reversed": lambda x, calls: x.flip(1).cumsum(1).flip(1),
}


@pytest.mark.parametrize("name", FUTURE)
def test_the_future_is_found(name):
    message = r"at .state. that change by .* with a later token: pass a causal .* no causal mask"
    with pytest.raises(UserError, match=message):
        self_test(as_encoder(Own(FUTURE[name])), LENGTH)


def stateful(first):
    def function(x, calls):
        return x + (0.1 if calls >= first else 0.0)

    return function


OTHERS = {
    "noise": (lambda x, calls: x + 0.003 * torch.randn_like(x), "another random state", "a dropout or noise"),
    "dropout": (lambda x, calls: nn.functional.dropout(x, 0.1), "another random state", "a dropout or noise"),
    "second call": (stateful(1), "another random state", ""),
    "fifth call": (stateful(4), "(a later token|an earlier call)", ""),
    "batch": (lambda x, calls: x - x.mean(0, keepdim=True), "another document", "a normalisation over the batch"),
    "documents for time": (lambda x, calls: x.cumsum(0), "another document", "batch_first=True is missing"),
    "shared cache": (lambda x, calls: x + x[:1], "another document", "a cache that documents share"),
    "length": (lambda x, calls: x / x.shape[1], "the number of tokens", "a normalisation by the length"),
    "from the end": (
        lambda x, calls: x + torch.arange(x.shape[1], 0, -1)[:, None],
        "the number of tokens",
        "positions counted from the end",
    ),
}


@pytest.mark.parametrize("name", OTHERS)
def test_the_likely_cause_is_named(name):
    function, words, cause = OTHERS[name]
    with pytest.raises(UserError, match=rf"at 'state' that change by .* with {words}: .*{cause}") as caught:
        self_test(as_encoder(Own(function)), LENGTH)
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


HONEST = {
    "trace": lambda x, calls: x.cumsum(1),
    "constant": lambda x, calls: torch.ones_like(x),
    "zeros": lambda x, calls: torch.zeros_like(x),
    "offset": lambda x, calls: 1e6 + x,
    "tiny": lambda x, calls: 1e-30 * x,
    "large": lambda x, calls: 1e30 * x,
    "rounding": lambda x, calls: x.flip(1).cumsum(1).flip(1) * 0 + x.double().cumsum(1).to(x.dtype),
    "one large channel": lambda x, calls: torch.cat([1000 * x[..., :1], x[..., 1:]], 2),
}


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("length", [1, 2, 3, LENGTH])
@pytest.mark.parametrize("name", HONEST)
def test_an_honest_model_passes(name, length, dtype):
    if dtype == torch.float16 and name in ("offset", "large", "tiny"):
        dtype = torch.bfloat16
    assert self_test(as_encoder(Own(HONEST[name], dtype)), length) == {"state": DIM}


@pytest.mark.statistical
@pytest.mark.parametrize("family", ["gru", "attention"])
def test_models_of_many_layers_pass_in_every_type(family):
    encoder = load_encoder(family, vocabulary=TYPES, dim=32, **({"layers": 8} if family == "attention" else {}))
    for dtype in (torch.float64, torch.float32, torch.bfloat16, torch.float16):
        encoder.module.to(dtype)
        self_test(encoder, LENGTH)


def test_a_model_is_tested_at_the_lengths_of_the_corpus():
    long, short = (torch.randint(TYPES, (40, tokens)) for tokens in (64, 20))
    options = {"lags": [0], "probes": "prior", "progress": False, "controls": False}
    assert recoverability(Own(masked_up_to(32)), short, **options).rows
    with pytest.raises(UserError, match="with a later token: pass a causal model"):
        recoverability(Own(masked_up_to(32)), long, **options)


def test_a_site_that_is_left_out_is_not_tested():
    class Two(Own):
        def encode(self, tokens):
            good = TABLE[tokens].cumsum(1)
            return {"good": good, "bad": good.flip(1), "worse": good / 0.0}

    tokens = torch.randint(TYPES, (40, 20))
    options = {"lags": [0], "probes": "prior", "progress": False, "controls": False}
    assert recoverability(Two(None), tokens, sites="good", **options).sites == ("good",)
