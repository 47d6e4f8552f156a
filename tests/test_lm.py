"""Training approaches what is known of the source, never passes it, and is the same again for the same seed."""

import copy
import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import nn

from infodil import demonstration
from infodil.checks import UserError
from infodil.encoders import attention, gru
from infodil.lm import GRULanguageModel, train_language_model
from infodil.lm.training import held_out_loss
from infodil.sources import markov

KINDS = {"gru": gru, "attention": attention}
SMALL = {"window": 32, "batch_size": 8, "progress": False}


def trained(kind, train, held_out, vocabulary, tokens=50_000, **options):
    model = KINDS[kind](vocabulary, 16).module
    return model, train_language_model(model, train, held_out, **SMALL | {"tokens": tokens} | options)


def split(tokens, at=20_000):
    """One document's tokens before and after a place."""
    return tokens[:at].numpy(), tokens[at:].numpy()


# Known truth


@pytest.mark.statistical
@pytest.mark.parametrize("kind", KINDS)
def test_the_loss_goes_to_the_entropy_rate_and_not_below(kind):
    chain = markov(vocabulary=8, documents=250, tokens=100, concentration=0.3)
    train, held_out = split(chain.tokens.flatten())
    _, training = trained(kind, train, held_out, 8)

    # The windows that the loss is the mean of; of each, the first token is given and not guessed.
    begins = np.arange(0, len(held_out) - 32, 32)
    guessed = begins[:, None] + np.arange(1, 33)
    first = guessed % 100 == 0  # of a document: the token before it tells nothing
    probability = np.where(
        first, chain.stationary[held_out[guessed]], chain.transition[held_out[guessed - 1], held_out[guessed]]
    )
    surprise_nats = -np.log(probability)
    # The product of q / p over the tokens has mean 1, whatever q: by Markov's inequality its logarithm exceeds
    # log(1e6) with a probability below one in a million.
    assert training.held_out_loss_nats >= surprise_nats.mean() - math.log(1e6) / guessed.size

    unigram_nats = chain.entropy_bits * math.log(2)
    assert training.held_out_loss_nats < unigram_nats
    # Nearer to what the chain leaves open than to what knows no past.
    assert training.held_out_loss_nats < (unigram_nats + surprise_nats.mean()) / 2


@pytest.mark.statistical
@pytest.mark.parametrize("kind", KINDS)
def test_the_second_last_token_is_found_where_the_last_tells_nothing(kind):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, 4, 25_000)
    for place in np.flatnonzero(rng.random(25_000) < 0.9):
        tokens[place] = tokens[place - 2]
    _, training = trained(kind, tokens[:20_000], tokens[20_000:], 4)
    # A token is independent of the one before it: whoever reads that one alone has a loss of log 4.
    assert training.held_out_loss_nats < 0.75 * math.log(4)


def test_the_held_out_loss_is_the_mean_over_windows_end_to_end():
    model = GRULanguageModel(7, 5)
    text = np.random.default_rng(0).integers(0, 7, 50).astype(np.uint16)
    losses = []
    for begin in (0, 8, 16, 24, 32, 40):
        row = torch.from_numpy(text[begin : begin + 9].astype(np.int64))[None]
        losses.append(nn.functional.cross_entropy(model(row[:, :-1])[0], row[0, 1:]).item())
    assert held_out_loss(model, text, 8, 4, torch.device("cpu")) == pytest.approx(np.mean(losses), rel=1e-6)


# The same again


@pytest.mark.statistical
@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_makes_the_weights(kind):
    train, held_out = split(markov(vocabulary=5, documents=1, tokens=600).tokens[0], 400)
    before = torch.get_rng_state()
    (first, told), (again, told_again), (other, _) = (
        trained(kind, train, held_out, 5, tokens=2_000, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    assert told == told_again
    for (name, weight), (_, same), (_, different) in zip(
        first.named_parameters(), again.named_parameters(), other.named_parameters(), strict=True
    ):
        assert torch.equal(weight, same), name
        assert not torch.equal(weight, different), name


def test_what_is_told_of_the_training():
    train, held_out = split(markov(vocabulary=5, documents=1, tokens=600).tokens[0], 400)
    model, training = trained("gru", train.astype(np.uint16), held_out.astype(np.uint16), 5, tokens=2_000)
    assert training.parameters == sum(weight.numel() for weight in model.parameters())
    assert training.tokens == 2_000 // (32 * 8) * (32 * 8)
    assert not any(part.training for part in model.modules())
    assert dataclasses.asdict(training).keys() == {"parameters", "tokens", "held_out_loss_nats"}


def test_every_weight_is_trained():
    train, held_out = split(markov(vocabulary=5, documents=1, tokens=600).tokens[0], 400)
    for kind in KINDS.values():
        model = kind(5, 16).module
        before = copy.deepcopy(model.state_dict())
        train_language_model(model, train, held_out, tokens=1_000, **SMALL)
        assert not [name for name, weight in model.state_dict().items() if torch.equal(weight, before[name])]


# Models of the demo


def test_logits_see_no_later_token():
    tokens = torch.randint(9, (2, 12))
    later = tokens.clone()
    later[:, 7:] = (tokens[:, 7:] + 1) % 9
    for kind in KINDS.values():
        model = kind(9, 16).module
        torch.testing.assert_close(model(later)[:, :7], model(tokens)[:, :7])
        assert not torch.allclose(model(later)[:, 7:], model(tokens)[:, 7:])


def test_the_demo_compares_equal_budgets():
    counts = {}
    for name, kind in KINDS.items():
        model = demonstration.within_budget(kind, **({"layers": 2} if name == "attention" else {}))
        assert model.vocabulary == demonstration.VOCABULARY
        counts[name] = sum(weight.numel() for weight in model.module.parameters())
        assert 0.9 * demonstration.PARAMETERS < counts[name] <= demonstration.PARAMETERS
    assert max(counts.values()) < 1.05 * min(counts.values())


# Mistakes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train": 32}, r"`len\(train\)` must be .* at least 33, got 32: pass more text or a smaller window"),
        ({"held_out": 5}, r"`len\(held_out\)` must be .* at least 33, got 5: pass more text or a smaller window"),
        ({"window": 1}, "`window` must be a whole number of at least 2, got 1: a next token needs one before it"),
        ({"tokens": 0}, "`tokens` must be a whole number of at least 1, got 0: pass how many tokens to train on"),
        ({"batch_size": 0}, "`batch_size` must be a whole number of at least 1, got 0"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(changes, message):
    lengths = {name: changes.pop(name, 100) for name in ("train", "held_out")}
    texts = [np.zeros(length, dtype=np.int64) for length in lengths.values()]
    model = GRULanguageModel(3, 4)
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(UserError, match=message) as caught:
        train_language_model(model, *texts, **SMALL | {"tokens": 1_000} | changes)
    assert "\n" not in str(caught.value)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
