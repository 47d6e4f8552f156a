"""Role induction: scores by hand, arguments as a treebank has them, baselines that are what they say."""

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infodil.checks import UserError
from infodil.roles.induction import (
    Argument,
    by_function,
    by_linking,
    merge_clusters,
    read_arguments,
    score_induction,
)
from infodil.roles.texts import read_propbank, read_universal


def argument(sentence=0, role="ARG0", word="dog", function="nsubj", lemma="see", **others):
    known = {"predicate": 2, "place": 1, "category": "NOUN", "marker": "", "passive": False} | others
    return Argument(sentence=sentence, lemma=lemma, role=role, word=word, function=function, **known)


# Scores


def test_purity_collocation_and_f1_by_hand():
    clusters = ["a", "a", "a", "b", "b", "c", "a", "b"]
    roles = ["0", "0", "1", "1", "1", "1", "1", "1"]
    verbs = ["see"] * 6 + ["go"] * 2
    score = score_induction(clusters, roles, verbs)
    # see: clusters a {0: 2, 1: 1}, b {1: 2}, c {1: 1}; go: a {1: 1}, b {1: 1}.
    assert score.verbs == ("see", "go")
    assert score.arguments.tolist() == [6, 2]
    assert score.pure.tolist() == [2 + 2 + 1, 2]
    assert score.collocated.tolist() == [2 + 2, 1]
    assert score.clusters.tolist() == [3, 2]
    assert score.purity == 7 / 8
    assert score.collocation == 5 / 8
    assert score.f1 == pytest.approx(2 * 7 / 8 * 5 / 8 / (12 / 8))


PAIRS = st.lists(st.tuples(st.integers(0, 4), st.sampled_from("xyz"), st.sampled_from(("see", "go"))), min_size=1)


@given(PAIRS)
def test_clusters_and_roles_swapped_swap_purity_and_collocation(rows):
    clusters, roles, verbs = (list(column) for column in zip(*rows, strict=True))
    one, other = score_induction(clusters, roles, verbs), score_induction(roles, clusters, verbs)
    assert (one.purity, one.collocation) == (other.collocation, other.purity)
    assert one.f1 == other.f1


@given(PAIRS)
def test_a_cluster_an_argument_is_pure_and_a_single_cluster_is_collocated(rows):
    _, roles, verbs = (list(column) for column in zip(*rows, strict=True))
    assert score_induction(range(len(rows)), roles, verbs).purity == 1.0
    assert score_induction([0] * len(rows), roles, verbs).collocation == 1.0
    assert score_induction(roles, roles, verbs).f1 == 1.0


@given(PAIRS)
def test_finer_clusters_are_purer_and_less_collocated(rows):
    clusters, roles, verbs = (list(column) for column in zip(*rows, strict=True))
    finer = [(cluster, place % 2) for place, cluster in enumerate(clusters)]
    one, other = score_induction(clusters, roles, verbs), score_induction(finer, roles, verbs)
    assert other.purity >= one.purity and other.collocation <= one.collocation


# Arguments of a treebank

# The first predicate is the auxiliary, whose column is the first.
CONLLU = """1\tCats\tcat\tNOUN\tNNS\t_\t3\tnsubj:pass\t_\t_\t_\t_\tARG1
2\tare\tbe\tAUX\tVBP\t_\t3\taux:pass\t_\t_\tbe.03\tV\t_
3\tseen\tsee\tVERB\tVBN\tTense=Past\t0\troot\t_\t_\tsee.01\t_\tV
4\tby\tby\tADP\tIN\t_\t5\tcase\t_\t_\t_\t_\t_
5\tDogs\tdog\tNOUN\tNNS\t_\t3\tobl:agent\t_\t_\t_\tC-ARG1\tARG0-DSP
6\tnow\tnow\tADV\tRB\t_\t3\tadvmod\t_\t_\t_\tARG2\tARGM-TMP

"""


def test_arguments_of_verbs_are_read_with_what_the_tree_says(tmp_path):
    path = tmp_path / "a.conllu.gz"
    with gzip.open(path, "wt", encoding="utf-8") as file:
        file.write(CONLLU)
    first, second, third = read_arguments(path)
    assert first == Argument(0, 2, 0, "see", "ARG1", "cats", "NOUN", "nsubj:pass", "", True)
    assert second == Argument(0, 2, 4, "see", "ARG0", "dogs", "NOUN", "obl:agent", "by", True)
    assert (third.role, third.side, first.side) == ("ARGM-TMP", "after", "before")


def test_a_file_without_arguments_is_refused(tmp_path):
    path = tmp_path / "a.conllu"
    path.write_text("1\tGo\tgo\tVERB\tVB\t_\t0\troot\t_\t_\n\n", encoding="utf-8")
    with pytest.raises(UserError, match="`path` must not be empty"):
        read_arguments(path)


@pytest.mark.statistical
def test_arguments_stand_where_the_text_has_their_words(shared):
    like = read_universal(shared("ud-english-ewt") / "en_ewt-ud-test.conllu.gz", least=1)
    path = shared("english-roles") / "en_ewt-up-test.conllu.gz"
    text, arguments = read_propbank(path, like=like), read_arguments(path)
    assert len(arguments) == 6155
    assert all(text.vocabulary[int(text.words[one.sentence, one.place])] == one.word for one in arguments)


# Baselines


def test_only_the_most_frequent_functions_are_clusters_of_their_own():
    arguments = [argument(function=name) for name in ("obj", "nsubj", "nsubj", "obj", "iobj", "obl")]
    assert by_function(arguments, most=2) == ["obj", "nsubj", "nsubj", "obj", "", ""]


def test_positions_are_told_apart_by_voice_side_function_and_preposition():
    arguments = [
        argument(),
        argument(passive=True),
        argument(place=3),
        argument(function="obl"),
        argument(function="obl", marker="with"),
        argument(word="cat", lemma="go", role="ARG1"),
    ]
    positions = by_linking(arguments)
    assert len(set(positions)) == 5
    assert positions[0] == positions[5]


LIKE, UNLIKE = np.array([1.0, 0.0]), np.array([0.0, 1.0])


def merged(arguments, vectors, **options):
    """Partition of the arguments, as sets of places."""
    clusters = merge_clusters(arguments, np.array(vectors), **options)
    return {frozenset(place for place, other in enumerate(clusters) if other == one) for one in clusters}


def test_positions_with_like_words_merge_and_others_do_not():
    arguments = [argument(sentence=place, passive=place > 1) for place in range(3)]
    assert merged(arguments, [LIKE, LIKE, LIKE]) == {frozenset({0, 1, 2})}
    assert merged(arguments, [LIKE, LIKE, UNLIKE]) == {frozenset({0, 1}), frozenset({2})}


def test_positions_in_one_clause_or_of_other_parts_of_speech_do_not_merge():
    clause = [argument(function=name, place=place) for place, name in ((1, "nsubj"), (3, "obj"))]
    assert merged(clause, [LIKE, LIKE]) == {frozenset({0}), frozenset({1})}
    # Nothing is asked for at the end: only the words count.
    assert merged(clause, [LIKE, LIKE], least=0.0) == {frozenset({0, 1})}
    kinds = [argument(sentence=place, function=name, category=name) for place, name in enumerate(("ADV", "NOUN"))]
    assert merged(kinds, [LIKE, LIKE]) == {frozenset({0}), frozenset({1})}


def test_verbs_are_merged_apart():
    arguments = [argument(sentence=place, lemma=lemma) for place, lemma in enumerate(("see", "go"))]
    assert merged(arguments, [LIKE, LIKE]) == {frozenset({0}), frozenset({1})}


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: score_induction([], [], []), "`clusters` must not be empty"),
        (lambda: score_induction([1], ["x", "y"], ["see"]), "got 1 clusters, 2 roles and 1 verbs"),
        (lambda: by_function([argument()], most=0), "`most` must be a whole number of at least 1"),
        (lambda: merge_clusters([argument()], np.zeros((2, 3))), "a row for each of 1 arguments, got 2"),
        (lambda: merge_clusters([argument()], np.zeros((1, 3)), lexical=2.0), "`lexical` must be"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message):
        call()
