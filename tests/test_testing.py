from types import SimpleNamespace

import pytest
import torch
from hypothesis import given, settings
from torch import nn

from infodil.checks import UserError
from infodil.testing import alphas, check_encoder, check_trace, token_batches, vector_sequences
from infodil.traces import ema, ema_bank

VOCABULARY, DIM = 11, 6


class Recurrent(nn.Module):
    """A good encoder: an embedding and a recurrent layer. The broken ones below change one thing."""

    vocabulary = VOCABULARY

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, DIM)
        self.recurrence = nn.GRU(DIM, DIM, batch_first=True)
        self.double()

    def encode(self, tokens):
        x = self.embedding(tokens)
        return {"embedding": x, "recurrence": self.recurrence(x)[0]}


class Changed(Recurrent):
    def __init__(self, change):
        super().__init__()
        self.change, self.calls = change, 0

    def encode(self, tokens):
        self.calls += 1
        return self.change(self, tokens, super().encode(tokens))


def site(function):
    """Break one site and leave the other."""
    return lambda self, tokens, sites: sites | {"recurrence": function(self, tokens, sites["recurrence"])}


def carry_over(self, tokens, states):
    states = states + getattr(self, "kept", 0.0)
    self.kept = states.mean()
    return states


def stale(self, tokens, states):
    """Settled after two calls with the same tokens, moved by other ones: only an interleaved call tells."""
    seen = self.__dict__.setdefault("seen", [])
    if not any(torch.equal(tokens, old) for old in seen):
        seen.append(tokens)
    return states + len(seen)


def rewrite(self, tokens, states):
    tokens += 0 * tokens + (tokens == 0)
    return states


def dropout(self, tokens, states):
    return nn.functional.dropout(states, 0.2)


def lookahead(self, tokens, states):
    return torch.cat([states[:, 1:], states[:, -1:]], dim=1)


def batch_norm(self, tokens, states):
    return (states - states.mean((0, 1))) / states.std((0, 1))


def document_norm(self, tokens, states):
    return states - states.mean(1, keepdim=True)


def neighbour(self, tokens, states):
    return states + states.roll(1, dims=0)


def by_length(self, tokens, states):
    return states * torch.arange(1, states.shape[1] + 1)[:, None] / states.shape[1]


def padded(self, tokens, states):
    """Pads to the longest batch seen, on the left, and forgets to mask."""
    return (
        states + torch.sin(torch.arange(states.shape[1] - 16, states.shape[1] - 16 + states.shape[1]).double())[:, None]
    )


def not_a_number(self, tokens, states):
    return torch.where(tokens[..., None] == 3, torch.nan, states)


def shorter_later(self, tokens, states):
    return states if self.calls == 1 else states[..., :-1]


BROKEN = [
    (
        site(lookahead),
        "causality is broken at site 'recurrence': document .*, token .* differs by .* of the largest state",
    ),
    (site(document_norm), "causality is broken at site 'recurrence'"),
    (
        site(batch_norm),
        "batch invariance is broken at site 'recurrence': .* when encoded alone; usual cause: statistics over",
    ),
    (
        site(neighbour),
        "batch invariance is broken at site 'recurrence': document 0, .*a recurrent state that documents share",
    ),
    (site(carry_over), "determinism is broken at site 'recurrence': .* a state kept from the call before"),
    (site(stale), "independence of calls is broken at site 'recurrence': .* after another batch was encoded"),
    (site(dropout), r"determinism is broken at site 'recurrence': .* dropout left on \(call .eval\(\)\)"),
    (site(by_length), "prefix invariance is broken at site 'recurrence': .* when only the first 1 tokens are encoded"),
    (site(padded), "prefix invariance is broken at site 'recurrence': .* or padding that is read"),
    (site(rewrite), "the input is changed: .* of 48 of its values differ"),
    (site(not_a_number), "states are not finite at site 'recurrence': .* NaN or infinite, the first in document"),
    (site(shorter_later), r"shape is broken at site 'recurrence': .* of shape \[3, 16, 6\], got \[3, 16, 5\]"),
    (
        site(lambda self, tokens, x: x.transpose(0, 1)),
        r"shape is broken at site 'recurrence': .* \[3, 16, 'dim'\], got",
    ),
    (site(lambda self, tokens, x: x[..., 0]), r"shape is broken at site 'recurrence': .* got \[3, 16\]"),
    (site(lambda self, tokens, x: tokens[..., None]), "states must be floating point, got torch.int64"),
    (lambda self, tokens, sites: sites["recurrence"], "shape is broken: encode must return a dictionary .* got Tensor"),
    (lambda self, tokens, sites: {}, "shape is broken: encode must return a dictionary of at least one site"),
    (
        lambda self, tokens, sites: sites if self.calls == 1 else {"embedding": sites["embedding"]},
        r"the sites were \['embedding', 'recurrence'\] at first and \['embedding'\]",
    ),
]


@pytest.mark.parametrize(("change", "sentence"), BROKEN)
def test_each_law_catches_the_encoder_that_breaks_it(change, sentence):
    with pytest.raises(AssertionError, match=sentence) as raised:
        check_encoder(Changed(change))
    message = str(raised.value)
    assert "\n" not in message and message.endswith(".") and "usual cause: " in message


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_a_good_encoder_passes_in_every_precision(dtype):
    encoder = Recurrent()
    table = encoder.embedding.weight.detach().to(dtype)
    check_encoder(encoder)
    check_encoder(SimpleNamespace(vocabulary=VOCABULARY, encode=lambda tokens: {"trace": ema(table[tokens], 0.1)}))


def test_a_causal_transformer_passes_and_without_its_mask_does_not():
    layer = nn.TransformerEncoderLayer(DIM, 2, 12, batch_first=True, dropout=0.1).eval()
    table = torch.randn(VOCABULARY, DIM)

    def encoder(causal):
        def encode(tokens):
            mask = nn.Transformer.generate_square_subsequent_mask(tokens.shape[1]) if causal else None
            return {"layer": layer(table[tokens], src_mask=mask, is_causal=causal)}

        return SimpleNamespace(vocabulary=VOCABULARY, encode=encode)

    check_encoder(encoder(causal=True))
    with pytest.raises(AssertionError, match=r"causality is broken .* attention without a causal mask"):
        check_encoder(encoder(causal=False))
    layer.train()
    with pytest.raises(AssertionError, match="determinism is broken"):
        check_encoder(encoder(causal=True))


def test_a_buffer_that_is_used_again_does_not_hide_a_broken_law():
    buffer = torch.zeros(3, 16, 1)

    def encode(tokens):  # non-causal, and the states handed out before are overwritten: they always look equal
        states = buffer[: len(tokens), : tokens.shape[1]]
        states.copy_(tokens.flip(1).unsqueeze(-1))
        return {"buffer": states}

    with pytest.raises(AssertionError, match="causality is broken at site 'buffer'"):
        check_encoder(SimpleNamespace(vocabulary=VOCABULARY, encode=encode))


def test_a_weak_leak_is_found_with_a_tighter_tolerance():
    leak = Changed(site(lambda self, tokens, x: x + 1e-10 * x.mean(1, keepdim=True)))
    check_encoder(leak)
    with pytest.raises(AssertionError, match="causality is broken"):
        check_encoder(leak, tolerance=1e-13)


def test_a_vocabulary_of_one_and_the_shortest_batch():
    check_encoder(
        SimpleNamespace(vocabulary=1, encode=lambda tokens: {"zero": tokens[..., None] * 0.0}), documents=2, tokens=2
    )


GOOD_TRACES = [
    (lambda x: x, True),
    (lambda x: x.cumsum(1), True),
    (lambda x: x[..., 0], True),
    (lambda x, initial=None: ema(x, 0.1, initial), True),
    (lambda x, initial=None: ema_bank(x, (0.5, 0.1), initial), True),
    (lambda x: torch.tanh(ema(x, 0.1)), False),
]


@pytest.mark.parametrize(("fn", "linear"), GOOD_TRACES)
def test_good_traces_pass(fn, linear):
    check_trace(fn, linear=linear, dtypes=(torch.bfloat16, torch.float32, torch.float64))


def noise(x):
    return x + torch.rand_like(x)


def wrong_initial(x, initial=None):
    return ema(x, 0.1, None if initial is None else 0.9 * initial)


BROKEN_TRACES = [
    (
        lambda x: x.flip(1).cumsum(1).flip(1),
        "causality is broken at site 'trace': .* when tokens from 1 on are changed",
    ),
    (lambda x: x - x.mean(0), "batch invariance is broken at site 'trace'"),
    (lambda x: x.cumsum(1) / x.shape[1], "prefix invariance is broken at site 'trace'"),
    (noise, "determinism is broken at site 'trace': .* an unseeded random number"),
    (lambda x: x.log(), "states are not finite at site 'trace'"),
    (
        lambda x: x.cumsum(1) + 1,
        "linearity is broken at site 'trace': .* an offset, a normalisation or a non-linearity",
    ),
    (torch.relu, "linearity is broken at site 'trace'"),
    (lambda x: x.float(), "dtype is not kept at site 'trace': torch.float64 went in and torch.float32 came out"),
    (lambda x: x[:, 1:], r"shape is broken at site 'trace': .* \[3, 24, '...'\], got \[3, 23, 5\]"),
    (lambda x: x.mul_(2), "the input is changed: .* an in-place operation"),
    (
        wrong_initial,
        "chunk invariance is broken at site 'trace': document ., token 12 .* first 12 tokens are handed over",
    ),
    (lambda x, initial=None: ema(x, 0.1), "chunk invariance is broken"),
]


@pytest.mark.parametrize(("fn", "sentence"), BROKEN_TRACES)
def test_each_law_catches_the_trace_that_breaks_it(fn, sentence):
    with pytest.raises(AssertionError, match=sentence):
        check_trace(fn)


def test_the_random_state_of_the_caller_is_left_alone():
    before = torch.get_rng_state()
    check_trace(lambda x: x)
    check_encoder(SimpleNamespace(vocabulary=3, encode=lambda t: {"x": t[..., None] / 2}))
    assert torch.equal(before, torch.get_rng_state())


quick = settings(derandomize=True, database=None, deadline=None, max_examples=50)


@pytest.mark.statistical
@quick
@given(token_batches(7, documents=3, tokens=9))
def test_token_batches(batch):
    assert batch.dtype == torch.int64 and batch.ndim == 2
    assert batch.shape[0] <= 3 and batch.shape[1] <= 9 and batch.min() >= 0 and batch.max() < 7


@quick
@given(vector_sequences(2, 5, 3, dtype=torch.float64, largest=4.0), alphas(0.25))
def test_vector_sequences_and_alphas(x, alpha):
    assert x.dtype == torch.float64 and x.ndim == 3 and x.abs().max() <= 4
    assert 0.25 <= alpha <= 1


@pytest.mark.parametrize(
    ("mistake", "sentence"),
    [
        (
            lambda: check_encoder(Recurrent(), documents=1),
            "`documents` must be a whole number of at least 2, got 1: pass 2 or more, so",
        ),
        (lambda: check_trace(torch.relu, tokens=1), "`tokens` must be a whole number of at least 2, got 1"),
        (lambda: check_trace(torch.relu, dim=0), "`dim` must be a whole number of at least 1, got 0"),
        (lambda: check_trace(torch.relu, tolerance=-1.0), "`tolerance` must be at least 0.0 and at most 1.0, got -1.0"),
        (lambda: token_batches(0), "`vocabulary` must be a whole number of at least 1, got 0"),
        (lambda: vector_sequences(dim=0), "`dim` must be a whole number of at least 1, got 0"),
        (lambda: alphas(0.0), "`smallest` must be above 0.0 and at most 1.0, got 0.0"),
    ],
)
def test_a_mistake_meets_a_sentence(mistake, sentence):
    with pytest.raises(UserError, match=sentence):
        mistake()
