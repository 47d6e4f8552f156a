"""Rivals learn what they are told, baselines are what they say, treebanks are read as they are written."""

import dataclasses
import gzip
import json

import pytest
import torch

from infodil.checks import UserError
from infodil.roles import Architecture, RoleText, grammar
from infodil.roles.learners import Tuning, ppmi_vectors, train_bigru
from infodil.roles.study import CONDITIONS, Trial, run_trial, summarise, turned, turned_back
from infodil.roles.texts import UD_ARGUMENTS, read_propbank, read_protoroles, read_universal

SMALL = Architecture(hidden=60, restarts=1)
LETTER = RoleText.of([["a"]], [["x"]])


@pytest.fixture(scope="module")
def texts():
    of = grammar("A", depth=0)
    return tuple(of.sample(size, training=True, seed=seed) for size, seed in ((400, 0), (60, 1), (150, 2)))


def no_groups(name, text):
    return {}


# Rivals


@pytest.mark.statistical
def test_the_bigru_learns_roles_and_reads_both_ways(texts):
    train, validation, test = texts
    model, tuning = train_bigru(train, validation, (Tuning(hidden=24),), steps=150, seed=0)
    right = model.predict(test.words) == test.roles
    assert float(right[test.is_argument].double().mean()) > 0.85
    assert tuning == Tuning(hidden=24)
    # A passive is told by what follows its subject: the first noun's role changes with the words after it.
    names = {word: place for place, word in enumerate(train.vocabulary)}
    active, passive = (
        torch.tensor([[names[word] for word in words.split()]])
        for words in ("the girl helped the dog .", "the girl was helped by the dog .")
    )
    first = [train.role_names[model.predict(words)[0, 1]] for words in (active, passive)]
    assert first[0] == "agent"
    assert first[1] in ("patient", "recipient")


def test_padding_tells_the_bigru_nothing(texts):
    model, _ = train_bigru(texts[0][:64], texts[1], (Tuning(hidden=8),), steps=5)
    words = texts[2].words
    wider = torch.nn.functional.pad(words, (0, 4), value=-1)
    assert torch.equal(model.predict(wider)[:, :-4][words >= 0], model.predict(words)[words >= 0])


def test_the_same_seed_trains_the_same_bigru(texts):
    first, again = (train_bigru(texts[0][:64], texts[1], (Tuning(hidden=8),), steps=8, seed=3)[0] for _ in range(2))
    for one, other in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(one, other)


@pytest.mark.statistical
@pytest.mark.parametrize("condition", sorted(set(CONDITIONS) - {"GRU language model"}))
def test_every_condition_scores_every_group(texts, condition):
    train, validation, test = texts
    trial = Trial(train[:200], validation, seed=0, architecture=SMALL, tuning=Tuning(hidden=8), steps=10)
    rows = run_trial(condition, trial, {"A": test}, lambda name, text: {"embedded": text.depth > 0})
    assert {row["naming"] for row in rows} in ({"supervised"}, {"many_to_one", "one_to_one"})
    assert {row["group"] for row in rows} == {"all", "arguments", *test.role_names}  # nothing is embedded at depth 0
    assert all(0.0 <= row["accuracy"] <= 1.0 for row in rows)
    assert next(row for row in rows if row["group"] == "all")["tokens"] == int(test.present.sum())


@pytest.mark.statistical
def test_a_trained_language_model_is_clustered(texts, monkeypatch):
    monkeypatch.setattr("infodil.roles.study.conditions.GRU_TOKENS", 2000)
    rows = run_trial("GRU language model", Trial(*texts[:2], 0, SMALL), {"A": texts[2]}, no_groups)
    assert rows[0]["units"] == SMALL.units


def test_the_majority_per_word_by_hand():
    train = RoleText.of([["a", "b", "a", "a"]], [["x", "y", "x", "y"]], arguments=["x"])
    test = RoleText.of([["a", "a", "b"]], [["x", "y", "y"]], like=train)
    rows = run_trial("majority per word", Trial(train, train, 0), {"t": test}, no_groups)
    assert {row["group"]: row["accuracy"] for row in rows} == {
        "all": pytest.approx(2 / 3),
        "arguments": 1.0,
        "x": 1.0,
        "y": 0.5,
    }


@pytest.mark.parametrize("condition", ["Hebbian", "BiGRU", "linear probe", "Gaussian probe", "majority per word"])
def test_words_without_a_role_teach_nothing_and_are_not_scored(texts, condition):
    some = [text[:120] for text in texts]
    asked = [dataclasses.replace(text, roles=torch.where(text.is_argument, text.roles, -1)) for text in some]
    trial = Trial(*asked[:2], seed=0, architecture=SMALL, tuning=Tuning(hidden=8), steps=10)
    rows = run_trial(condition, trial, {"A": asked[2]}, no_groups)
    shares = {row["group"]: (row["accuracy"], row["tokens"]) for row in rows if row["naming"] != "one_to_one"}
    # All that is scored is arguments, and nobody has learned of anything else.
    assert shares["all"] == shares["arguments"]
    assert shares["all"][1] == int((asked[2].roles >= 0).sum()) < int(asked[2].present.sum())
    assert "predicate" not in shares


def test_sentences_turn_round_and_back(texts):
    text = texts[2]
    back = turned(text, True)
    assert torch.equal(back[text.present].sort().values, text.words[text.present].sort().values)
    row = int(text.present.sum(1).argmin())
    length = int(text.present[row].sum())
    assert torch.equal(back[row, :length], text.words[row, :length].flip(0))
    assert torch.equal(turned_back(back[..., None], text)[..., 0], text.words)


def test_vectors_of_words_in_like_company_are_alike():
    of = grammar("A", depth=0)
    vectors = ppmi_vectors(of.sample(3000, seed=0).words, len(of.vocabulary), dim=16)
    like = vectors @ vectors.T

    def mean(first, second):
        places = [[of.vocabulary.index(word) for word in words.split()] for words in (first, second)]
        return float(like[places[0]][:, places[1]].mean())

    assert mean("garden house", "river school") > mean("garden house", "girl boy")
    assert mean("followed chased", "helped kicked") > mean("followed chased", "big small")


def test_the_same_text_has_the_same_vectors_whatever_was_drawn_before():
    words = grammar("A", depth=0).sample(100, seed=0).words
    first = ppmi_vectors(words, 200, dim=4)
    torch.rand(7)
    state = torch.get_rng_state()
    assert torch.equal(first, ppmi_vectors(words, 200, dim=4))
    assert torch.equal(state, torch.get_rng_state())


# Treebanks

CONLLU = """# sent_id = 1
1\tDogs\tdog\tNOUN\tNNS\t_\t3\tnsubj:pass\t_\t_{0}
2\tare\tbe\tAUX\tVBP\t_\t3\taux:pass\t_\t_{1}
3-4\tseenby\t_\t_\t_\t_\t_\t_\t_\t_{1}
3\tseen\tsee\tVERB\tVBN\t_\t0\troot\t_\t_{2}
4\tby\tby\tADP\tIN\t_\t5\tcase\t_\t_{1}
4.1\tghost\tghost\tNOUN\tNN\t_\t_\t_\t_\t_{1}
5\tcats\tcat\tNOUN\tNNS\t_\t3\tobl:agent\t_\t_{3}

# sent_id = 2
1\tDogs\tdog\tNOUN\tNNS\t_\t2\tnsubj\t_\t_{1}
2\tsleep\tsleep\tVERB\tVBP\t_\t0\troot\t_\t_{1}

"""


def written(path, cells=("", "", "", "")):
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(CONLLU.format(*cells))
    return path


def test_universal_dependencies_are_read(tmp_path):
    text = read_universal(written(tmp_path / "a.conllu.gz"), least=2)
    assert text.vocabulary == ("dogs", "<unknown>")
    assert text.arguments == UD_ARGUMENTS
    roles = [[text.role_names[role] for role in row if role >= 0] for row in text.roles.tolist()]
    assert roles == [["nsubj:pass", "other", "root", "other", "obl:agent"], ["nsubj", "root"]]
    classes = [text.category_names[place] for place in text.categories[1, :2]]
    assert classes == ["NOUN", "VERB"]
    assert text.words.tolist() == [[0, 1, 1, 1, 1], [0, 1, -1, -1, -1]]


def test_propbank_columns_are_read(tmp_path):
    like = read_universal(written(tmp_path / "a.conllu.gz"), least=1)
    path = written(tmp_path / "b.conllu.gz", ("\t_\tARG1\t", "\t_\t_\t_", "\tsee.01\tV\t_", "\t_\tARGM-MNR\tARG0"))
    text = read_propbank(path, like=like)
    roles = [text.role_names[role] for role in text.roles[0].tolist()]
    assert roles == ["ARG1", "other", "V", "other", "ARGM"]  # the first predicate's role
    assert torch.equal(text.words, like.words)


def test_proto_roles_are_read(tmp_path):
    record = {
        "split": "dev", "tokens": ["Dogs", "sleep", "here"], "upos": ["NOUN", "VERB", "ADV"],
        "pairs": [{"pred": 2, "arg": 1, "props": {"volition": [0.7, 1.0]}},
                  {"pred": 2, "arg": 3, "props": {"volition": [-0.2, 1.0]}}],
    }  # fmt: skip
    path = tmp_path / "p.jsonl"
    path.write_text(json.dumps(record) + "\n", encoding="utf-8")
    like = RoleText.of([["dogs", "sleep", "<unknown>"]], [["x"] * 3], [["NOUN", "VERB", "ADV"]])
    text = read_protoroles(path, split="dev", proto_role="volition", like=like)
    assert [text.role_names[role] for role in text.roles[0]] == ["holds", "other", "fails"]
    with pytest.raises(UserError, match="`proto_role` 'volition' was asked of no argument of split 'test'"):
        read_protoroles(path, split="test", proto_role="volition", like=like)


@pytest.mark.statistical
def test_the_treebank_has_what_its_page_counts(shared):
    folder = shared("ud-english-ewt")
    text = read_universal(folder / "en_ewt-ud-test.conllu.gz")
    assert (len(text), int(text.present.sum())) == (2077, 25094)
    counts = [int((text.roles == text.role_names.index(role)).sum()) for role in UD_ARGUMENTS]
    assert counts == [1950, 108, 1153, 71, 1009, 36]
    roles = read_propbank(shared("english-roles") / "en_ewt-up-test.conllu.gz", like=text)
    assert len(roles) == 2077
    assert int((roles.roles == roles.role_names.index("ARG0")).sum()) > 1000
    protos = shared("english-roles") / "uds-protoroles.jsonl.gz"
    volition = read_protoroles(protos, split="test", proto_role="volition", like=text)
    assert len(volition) == 276


# Numbers over seeds, and mistakes


def test_the_interval_over_seeds_is_students():
    mean, low, high = summarise([1.0, 2.0, 3.0, 4.0])
    # t(3 degrees of freedom, 97.5%) = 3.182; standard error = 1.29 / 2.
    assert (mean, round(low, 2), round(high, 2)) == (2.5, 0.45, 4.55)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda path: read_universal(path / "none.conllu"), "`path` must be a file, got"),
        (lambda path: summarise([1.0]), r"`len\(values\)` must be a whole number of at least 2"),
        (lambda path: summarise([1.0, float("nan")]), "`values` must be finite"),
        (
            lambda path: run_trial("Hebian", Trial(LETTER, LETTER, 0), {}, no_groups),
            "did you mean 'Hebbian'",
        ),
        (lambda path: ppmi_vectors(torch.zeros(1, 2).long(), 3, dim=0), "`dim` must be a whole number of at least 1"),
        (lambda path: ppmi_vectors(torch.zeros(1, 2).long(), 3, window=0), "`window` must be a whole number"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(tmp_path, call, message):
    with pytest.raises(UserError, match=message):
        call(tmp_path)


def test_texts_and_files_that_do_not_fit_are_refused(tmp_path, texts):
    (tmp_path / "empty.conllu").write_text("", encoding="utf-8")
    with pytest.raises(UserError, match="`path` must not be empty"):
        read_universal(tmp_path / "empty.conllu")
    (tmp_path / "prose.conllu").write_text("It was a dark\nand stormy night.\n", encoding="utf-8")
    with pytest.raises(UserError, match="`path` must be a CoNLL-U file"):
        read_universal(tmp_path / "prose.conllu")
    with pytest.raises(UserError, match="`tunings` must not be empty"):
        train_bigru(texts[0], texts[1], ())
    with pytest.raises(UserError, match="`validation` must have the roles of `train`"):
        train_bigru(texts[0], LETTER)
