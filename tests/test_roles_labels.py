"""Few labels and other languages: a pretrained BiGRU, units that few labels name, steps away from one grammar."""

import math
from types import SimpleNamespace

import pytest
import torch

from analyses.roles_labels import FormedUnits, crossed, crossing, known_words, verdict
from analyses.roles_languages import NEW_ORDER, STEPS, grammar_of, joined, sample, turned, universal_classes
from analyses.roles_transfer_steps import own_numbers
from infodil.checks import UserError
from infodil.roles import RoleText, grammar
from infodil.roles.learners import Tuning
from infodil.roles.pretraining import pretrain_bigru, tune_bigru
from infodil.roles.texts import word_ceiling

SMALL = Tuning(hidden=8)


@pytest.fixture(scope="module")
def text():
    return grammar("A", depth=0).sample(64, training=True, seed=0)


# A BiGRU that was pretrained


def weights(model):
    return torch.cat([value.flatten() for value in model.state_dict().values()])


def test_pretraining_reads_no_role(text):
    other = RoleText(
        text.words, text.categories, text.roles.flip(0), text.depth,
        text.vocabulary, text.category_names, text.role_names, text.arguments,
    )  # fmt: skip
    first, again = (pretrain_bigru(one, SMALL, steps=3, seed=1) for one in (text, other))
    assert torch.equal(weights(first), weights(again))
    assert not torch.equal(weights(first), weights(pretrain_bigru(text, SMALL, steps=3, seed=2)))


def test_tuning_leaves_the_first_model_as_it_is_and_the_generator_too(text):
    start = pretrain_bigru(text, SMALL, steps=2)
    before, state = weights(start), torch.get_rng_state()
    tuned = [tune_bigru(start, text[:20], text[:20], SMALL, steps=5, seed=seed) for seed in (3, 3)]
    assert torch.equal(weights(start), before) and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(weights(tuned[0]), weights(tuned[1]))
    assert not torch.equal(weights(tuned[0]), before)


@pytest.mark.statistical
def test_words_that_were_hidden_are_told_from_the_words_around_them():
    """After `the` stands a noun or adjective, and after it nothing else: no unigram knows that."""
    text = grammar("A", depth=0).sample(600, seed=0)
    model = pretrain_bigru(text, Tuning(hidden=24), steps=300, seed=0)
    fresh = pretrain_bigru(text, Tuning(hidden=24), steps=1, seed=0)
    train, test = text[:12], grammar("A", depth=0).sample(200, seed=1)

    def right(start):
        tuned = tune_bigru(start, train, train, Tuning(rate=3e-3), steps=60)
        return float((tuned.predict(test.words) == test.roles)[test.present].double().mean())

    # Twelve sentences teach what was learned without labels a name, and a fresh network little.
    assert right(model) > right(fresh) + 0.05


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda text: pretrain_bigru(text, steps=0), "`steps` must be a whole number of at least 1"),
        (lambda text: pretrain_bigru(text, hidden_share=0.0), "`hidden_share` must be"),
        (
            lambda text: tune_bigru(pretrain_bigru(text, SMALL, steps=1), RoleText.of([["a"]], [["x"]]), text),
            "`train` must have the 136 words and 8 roles of `start`, got 1 and 1",
        ),
    ],
)
def test_a_mistake_is_told_in_one_sentence(text, call, message):
    with pytest.raises(UserError, match=message):
        call(text)


# Units and few labels


def test_a_unit_without_a_label_has_the_name_of_the_nearest_one():
    units = object.__new__(FormedUnits)
    units.learner = SimpleNamespace(
        roles=SimpleNamespace(weights=torch.tensor([[0.0], [10.0], [1.0], [9.0]])),
        units=lambda words, read: words,
    )
    units.read, units.known = lambda text: None, {}
    names = RoleText.of([["a", "b"]], [["x", "y"]])  # units 0 and 1 have a label, 2 and 3 do not
    scored = RoleText(*[torch.tensor([[0, 1, 2, 3, -1]])] * 4, tuple("abcd"), tuple("abcd"), ("x", "y"))
    assert units.named(names)(scored).tolist() == [[0, 1, 0, 1, -1]]


def test_words_that_were_never_taught_are_hidden_ones():
    text = RoleText.of([["a", "b", "c"], ["a"]], [["x"] * 3, ["x"]])
    assert known_words(text, torch.tensor([0, 2, -1]), 9).tolist() == [[0, 9, 2], [0, -1, -1]]


def test_curves_cross_on_a_logarithmic_scale():
    assert crossing([10, 1000], [-0.1, 0.1]) == pytest.approx(100)
    assert crossing([10, 100, 1000], [0.2, -0.1, 0.2]) == pytest.approx(10 ** (2 + 1 / 3))
    assert crossing([10, 100], [0.1, 0.2]) == 0.0
    assert crossing([10, 100], [0.1, -0.2]) == math.inf
    found = crossed([50.0, 200.0])
    assert found["crossing_mean"] == pytest.approx(100) and found["verdict"] == "all seeds cross"
    assert found["crossing_low"] < 100 < found["crossing_high"]
    assert crossed([50.0, math.inf, 0.0])["verdict"] == "1 of 3 seeds cross; 1 always ahead, 1 never"
    assert (verdict(0.1, 0.2), verdict(-0.2, -0.1), verdict(-0.1, 0.1)) == (
        "rival ahead", "units ahead", "cannot be told",
    )  # fmt: skip


# Steps from A to B


def spelled(text, row=0):
    return " ".join(text.vocabulary[word] for word in text.words[row] if word >= 0)


def test_a_clause_is_turned_phrase_by_phrase():
    assert turned("agent Vd patient to recipient") == "to recipient patient Vd agent"
    assert turned("patient was Vt by agent") == "by agent was Vt patient"
    assert turned("that agent Vt with instrument") == "that with instrument Vt agent"
    assert turned("_ in oblique") == "in oblique _"


@pytest.mark.statistical
def test_order_and_words_tell_as_much_of_a_role_in_the_new_order():
    first, other = (word_ceiling(grammar_of(name)) for name in ("A", NEW_ORDER.name))
    assert other.argument_accuracy == pytest.approx(first.argument_accuracy, abs=1e-12)
    assert other.structure_dependent_accuracy == pytest.approx(first.structure_dependent_accuracy, abs=1e-12)


@pytest.mark.statistical
def test_steps_share_the_words_that_they_say(text):
    texts = {step: sample(step, 60, seed=1) for step in STEPS}
    assert len({one.vocabulary for one in texts.values()}) == 1
    closed = {"the", "a", "in", "near", "behind", "was", "by", "to", "with", "that", "and", "."}
    for step, (language, kept) in STEPS.items():
        of, mine = grammar_of(language), texts[step]
        shared = {mine.vocabulary[word] for word in mine.words[mine.present].tolist() if word < 136}
        assert {"all": shared > closed, "function": shared == closed, "none": not shared}[kept], step
        # Every step but B is a sentence of its grammar, respelled.
        assert torch.equal(own_numbers(mine, of), of.sample(60, seed=1).words)
    content = spelled(texts["new content words"]).split()
    assert content[0] in ("the", "a") or content[0].startswith("new ")
    assert "new" in spelled(texts["all new words"]) and spelled(texts["verb-final, particles"]).startswith("B ")


def test_universal_classes_are_those_of_each_grammar():
    for step, of in (("new order", grammar("A")), ("verb-final, particles", grammar("B"))):
        one = sample(step, 5, seed=0)
        assert torch.equal(universal_classes(one), of.universal_classes(one))


def test_texts_are_joined_sentence_by_sentence():
    first, second = (sample(step, number, seed=0) for step, number in (("the same", 4), ("all new words", 3)))
    both = joined(first, second)
    assert len(both) == 7
    assert torch.equal(both[:4].words[:, : first.words.shape[1]], first.words)
    assert torch.equal(both[torch.arange(4, 7)].words, second.words)
