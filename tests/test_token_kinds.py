"""Rows split by kind of the hidden token: right values, their mean is the row, and kinds are named as documented."""

import json
import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import infodil
from infodil.checks import UserError
from infodil.encoders import Encoder
from infodil.measure.accumulators import Cells, EntrySums, ScoreSums
from infodil.measure.token_kinds import check_kinds, make_kinds, surface
from infodil.sources import iid

KEPT = {0: "kept", 1: "kept", 2: "kept", 3: "kept"}


class Half(Encoder):
    """Types below four as they are; all others look alike."""

    vocabulary, sites, costly = 8, ("half",), False

    def encode(self, tokens):
        return {"half": torch.nn.functional.one_hot(tokens.clamp(max=4), 5).float()}


@pytest.fixture(scope="module")
def report():
    source = iid(8, documents=100, tokens=60, seed=0)
    return infodil.recoverability(Half(), source, lags=[0, 1], probes="gaussian", by=KEPT, progress=False)


@pytest.mark.statistical
def test_a_kind_has_the_bits_that_its_tokens_lose(report):
    bits = {(row["lag"], row["token_kind"]): row for row in report.kind_rows}
    # The log of the share of a type among 1,140 tokens has a standard error of .11 bits, the mean over four half of it.
    assert bits[0, "kept"]["value_bits"] == pytest.approx(3.0, abs=0.15)
    assert bits[0, "other"]["value_bits"] == pytest.approx(1.0, abs=0.15)
    assert all(abs(bits[1, kind]["value_bits"]) < 0.15 for kind in ("kept", "other"))
    for row in bits.values():
        assert row["low_bits"] <= row["value_bits"] <= row["high_bits"] and row["kind"] == "estimate"
        assert row["ceiling_bits"] == pytest.approx(3.0, abs=0.15) and abs(row["shuffled_bits"]) < 0.15


def test_kinds_average_to_the_whole_row(report):
    frame = report.to_frame()
    assert set(frame["token_kind"]) == {"all", "kept", "other"}
    for lag, part in frame.groupby("lag"):
        whole, split = part[part["token_kind"] == "all"].iloc[0], part[part["token_kind"] != "all"]
        assert split["samples"].sum() == whole["samples"] and split["train_samples"].sum() == whole["train_samples"]
        for column in ("value_bits", "ceiling_bits", "beyond_context_bits", "top1", "top5"):
            mean = np.average(split[column], weights=split["samples"])
            assert mean == pytest.approx(whole[column], abs=1e-9), (lag, column)


@pytest.mark.statistical
@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3), st.floats(-9, 9)), min_size=1, max_size=30),
    st.permutations(range(3)),
)
def test_sums_of_kinds_add_up_to_the_sums_of_all(rows, names):
    """Whatever the kinds are called, and however rows fall into them."""
    kind, cluster, value = (np.array(column) for column in zip(*rows, strict=True))
    split, whole = ScoreSums.zeros(1, 1, 3, 4), ScoreSums.zeros(1, 1, 1, 4)
    for sums, kinds in ((split, np.array(names)[kind]), (whole, np.zeros_like(kind))):
        cells = Cells(kinds, cluster)
        sums.update_rows(0, cells, {name: value for name in sums.rows}, np.flatnonzero(value > 0))
        sums.update_probe(0, 0, cells, {name: value for name in sums.probe})
    chosen = np.zeros((1, 1), dtype=int), np.zeros(1, dtype=bool), np.zeros(1, dtype=bool)
    together, (alone,) = EntrySums.together(split.compute(*chosen)), whole.compute(*chosen)
    for ours, theirs in ((together.probe, alone.probe), (together.rows, alone.rows), (together.whole, alone.whole)):
        for name in theirs:
            np.testing.assert_allclose(ours[name], theirs[name], atol=1e-12)


def test_split_rows_are_printed_drawn_saved_and_on_the_page(report, tmp_path):
    said = "By kind of token, at half, lag 0: other is held least (33% of what such a token has), kept most (100%)"
    assert said in report.to_html(tmp_path / "page.html").read_text()
    assert re.search(r"^kept +\d\.\d\d of \d\.\d ", str(report), re.MULTILINE)
    panels = report.plot_kinds("share")
    assert len(panels) == 1 and {line.get_label() for line in panels[0].lines} >= {"kept", "other"}
    again = infodil.load_report(report.save(tmp_path / "report.json"))
    assert again == report and again.kind_rows == report.kind_rows


def test_an_unsplit_report_says_how_to_split():
    source = iid(8, documents=30, tokens=20, seed=0)
    plain = infodil.recoverability(Half(), source, lags=[0], probes="prior", controls=False, progress=False)
    assert plain.kind_rows == () and "token_kind" not in plain.to_frame()
    with pytest.raises(UserError, match="measure with by='surface'"):
        plain.plot_kinds()


def test_bands_of_frequency_are_decades_of_the_rank():
    counts = np.array([*range(150, 0, -1), 0])
    kinds = make_kinds("frequency", None, counts)
    assert kinds.names == ("rank 1-10", "rank 11-100", "rank 101-150", "not in training")
    assert np.bincount(kinds.of_type).tolist() == [10, 90, 50, 1]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (" 1984", "number"), ("3.14", "number"),
        (" Anna", "capitalised word"), ("Anna", "capitalised word"), ("The", "function word"),
        (" I", "function word"), (" of", "function word"), (" cat", "other word"), ("ing", "word piece"),
        ("##ing", "word piece"), (",", "punctuation"), (" —", "punctuation"), ("\n", "other"), (" ", "other"),
        ("\ufffd", "other"), (" b2b", "other word"), (" Über", "capitalised word"), ("x", "word piece"),
    ],
)  # fmt: skip
def test_surface_of_a_text(text, kind):
    assert surface(text, pieces=True) == kind


def test_words_without_marked_spaces_are_no_pieces():
    with infodil.load_corpus(["the cat 7 . Anna"] * 40, tokenizer=words(), vocabulary=5).tokenize() as tokens:
        kinds = make_kinds("surface", tokens, np.ones(5, dtype=int))
    assert [kinds.names[number] for number in kinds.of_type] == [
        "function word", "other word", "number", "punctuation", "capitalised word"
    ]  # fmt: skip


def words():
    from tokenizers import Tokenizer, models, pre_tokenizers

    vocabulary = {word: number for number, word in enumerate(["the", "cat", "7", ".", "Anna"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="."))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    return tokenizer


def test_a_mapping_names_ids_and_texts_with_or_without_their_space():
    with infodil.load_corpus(["the cat 7 . Anna"] * 40, tokenizer=words()).tokenize() as tokens:
        kinds = make_kinds({"cat": "animal", 4: "name", "dog": "animal"}, tokens, np.ones(5, dtype=int))
        with pytest.raises(UserError, match="names no type that occurs"):
            make_kinds({"dog": "animal"}, tokens, np.ones(5, dtype=int))
    assert [kinds.names[number] for number in kinds.of_type] == ["other", "animal", "other", "other", "name"]


@pytest.mark.parametrize(
    ("by", "words"),
    [
        ("frequencies", "`by` must be 'frequency', 'surface' or a mapping.*did you mean 'frequency'"),
        (3, "got int: pass such as by="),
        ({}, "name at least one type"),
        ({1.5: "x"}, "got the key 1.5: pass an id or a text"),
    ],
)
def test_wrong_kinds_are_told(by, words):
    with pytest.raises(UserError, match=words):
        check_kinds(by)


def test_ids_without_text_have_no_surface():
    tokens = [np.arange(5)] * 40
    with pytest.raises(UserError, match="the corpus has no tokenizer"):
        infodil.recoverability(Half(), tokens, lags=[0], by="surface", progress=False)


def test_the_shell_reads_kinds_from_a_file(tmp_path):
    from infodil.cli.arguments import read_kinds

    path = tmp_path / "kinds.json"
    path.write_text(json.dumps({"he": "pronoun", "12": "twelve"}))
    assert read_kinds(str(path)) == {"he": "pronoun", 12: "twelve"}
    for content, words in (("[1]", "must hold an object"), ("{", "is no JSON")):
        path.write_text(content)
        with pytest.raises(UserError, match=words):
            read_kinds(str(path))
    with pytest.raises(UserError, match="did you mean 'surface'"):
        read_kinds("surfaces")
