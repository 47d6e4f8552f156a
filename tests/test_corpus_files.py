"""Any file is a corpus or one sentence; documents do not depend on where it is cut, nor memory on how long they are."""

import csv
import gzip
import io
import itertools
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infodil.checks import UserError
from infodil.corpus import LongDocuments, as_tokenizer, load_corpus, read_pieces

TEXTS = [f"document number {number} says {'word ' * (number % 7)}and ends" for number in range(40)]
FUZZED = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def texts_of(source, **options):
    return list(load_corpus(source, **options).documents())


def ids_of(source, **options):
    return [ids.tolist() for ids in load_corpus(source, **options).documents()]


# Pieces


@pytest.mark.statistical
@FUZZED
@given(text=st.text(alphabet="ab\n -<|endoftx>", max_size=80), chunk=st.integers(1, 20))
def test_documents_do_not_depend_on_where_a_file_is_cut(tmp_path, text, chunk):
    path = tmp_path / "a.txt"
    path.write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infodil.corpus.text_files.READ_CHARACTERS", chunk)
        patch.setattr("infodil.corpus.text_files.MARGIN", 80)
        patch.setattr("infodil.corpus.text_files.CONTEXT", 3)
        for separator in (None, r"\n\n+", "a(b)?", r"(?<=b)\n|-+ ", "^a", "x*"):
            if "<|endoftext|>" in text:
                expected = [part.strip("\n") for part in text.split("<|endoftext|>")]
            elif separator is None:
                expected = [text]
            else:
                ends = [match.span() for match in re.finditer(separator, text) if match.group()]
                starts = [0, *(end for _, end in ends)]
                expected = [text[a:b] for a, b in zip(starts, [*(begin for begin, _ in ends), len(text)], strict=True)]
            assert texts_of(path, separator=separator) == expected


@pytest.mark.statistical
@FUZZED
@given(texts=st.lists(st.text(alphabet="ab \n\ud800", max_size=30), min_size=1), piece=st.integers(1, 20))
def test_tokens_do_not_depend_on_pieces(texts, piece):
    whole = as_tokenizer("bytes").encode([text.encode("utf-8", "replace").decode() for text in texts if text.strip()])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("infodil.corpus.pieces.PIECE", piece)
        patch.setattr("infodil.corpus.pieces.BLANK_PIECES", 30)
        try:
            with load_corpus(texts, tokenizer="bytes").tokenize() as tokens:
                assert (tokens.documents, tokens.total) == (len(whole), sum(map(len, whole)))
                found = np.concatenate([tokens.splits[side].tokens for side in ("train", "calibration", "test")])
                assert tokens.few_documents or sorted(found) == sorted(itertools.chain(*whole))
        except UserError as error:
            assert "is empty" in str(error) or "distinct documents" in str(error)


def test_a_blank_document_of_any_length_up_to_a_bound_is_left_out(monkeypatch):
    monkeypatch.setattr("infodil.corpus.pieces.PIECE", 10)
    texts = [" " * 60, *TEXTS, "\n" * 1000]
    with load_corpus(texts, tokenizer="bytes").tokenize() as tokens:
        assert (tokens.documents, tokens.total) == (41, sum(map(len, TEXTS)) + 1000)


def test_documents_of_a_folder_are_numbered_on(tmp_path):
    (tmp_path / "a.txt").write_text("one<|endoftext|>two")
    (tmp_path / "b.txt").write_text("three")
    documents = load_corpus(tmp_path).documents
    assert isinstance(documents, LongDocuments)
    assert list(documents()) == ["one", "two", "three"]
    assert {number for number, _ in read_pieces(documents)} == {0, 1, 2}


MEASURED = """
import gzip, os, resource, sys
import numpy as np
from infodil.checks import UserError
from infodil.corpus import load_corpus

def read(source, most, **options):
    try:
        with load_corpus(source, **options).tokenize(max_tokens=most) as tokens:
            return tokens.total
    except UserError as error:
        return error

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024

os.chdir(sys.argv[1])
with open("long.txt", "w") as file:
    for _ in range(40):
        file.write("the quick brown fox jumps over the lazy dog\\n" * 50_000)
np.save("long.npy", np.resize(np.arange(1000, dtype=np.uint16), 10_000_000))
for letter in ("a", "\\n", "\\0", "{"):
    with gzip.open(f"bomb{ord(letter)}.{'jsonl' if letter == '{' else 'txt'}.gz", "wb", compresslevel=1) as file:
        file.write(b'{"text": "' if letter == "{" else b"")
        for _ in range(50):
            file.write(letter.encode() * 1_000_000)
read([f"a text {number}" for number in range(20)], 100, tokenizer="bytes")
before = peak()
print(read("long.txt", 40_000, tokenizer="bytes"), peak() - before, sep="|")
for name in ("bomb97.txt.gz", "bomb10.txt.gz", "bomb0.txt.gz", "bomb123.jsonl.gz"):
    print(read(name, 5_000, tokenizer="bytes"), peak() - before, sep="|")
print(read("long.npy", None, vocabulary=1000, separator=0), peak() - before, sep="|")
"""


@pytest.mark.statistical
def test_memory_does_not_grow_with_the_longest_document(tmp_path):
    """A text of 88 MB, files that unpack to 50 MB and 10 million ids, each one document, in one process."""
    command = [sys.executable, "-c", MEASURED.replace("\\\\", "\\"), str(tmp_path)]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    results, grown = zip(*(line.split("|") for line in shown.splitlines()), strict=True)
    grown = [float(megabytes) for megabytes in grown]
    assert results[0] == "40000"
    assert grown[0] < 60  # a piece of a million characters, its list of ids, and arrays of them
    assert ["distinct documents" in results[number] for number in (1, 2)] == [True, True]
    assert "NUL bytes" in results[3]
    assert "line 1 of 'bomb123.jsonl.gz' has more than 33,554,432 characters" in results[4]
    assert grown[4] < 160  # one line as far as it is read
    assert results[5] == str(10_000_000 - 10_000)
    assert grown[5] < 200  # the 40 MB of the splits are pages of mapped files


# Tables


@pytest.mark.parametrize("name", ["a.tsv", "a.tab", "a.csv", "a.tsv.gz"])
def test_a_table_with_tabs(tmp_path, name):
    rows = [("id", "text"), ("1", "one two"), ("2", '"in ""quotes"""'), ("3", 'he said "no'), ("", "")]
    text = "\n".join("\t".join(row) for row in rows[: 3 if name == "a.csv" else 5])
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    expected = ["one two", 'in "quotes"', 'he said "no']
    assert texts_of(tmp_path / name) == expected[: 2 if name == "a.csv" else 3]
    assert texts_of(tmp_path / name, text_column="id")[0] == "1"


@FUZZED
@given(
    rows=st.lists(
        st.lists(st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"])), min_size=2, max_size=2),
        min_size=1,
    ),
    delimiter=st.sampled_from(",;\t"),
)
def test_rows_of_a_csv_are_what_python_wrote(tmp_path, rows, delimiter):
    path = tmp_path / "a.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        csv.writer(file, delimiter=delimiter).writerows([["text", "b"], *rows])
    expected = [row[0] for row in rows if any(row)]
    if any(expected):
        assert texts_of(path) == expected


@pytest.mark.parametrize(
    "text", ['[{"text": "a"}, {"text": "b"}]', '{"text": "a"}\n{"text": "b"}\n', ' [ {"text":"a"},{"text":"b"} ] ']
)
def test_json_is_read_a_value_at_a_time(tmp_path, monkeypatch, text):
    (tmp_path / "a.json").write_text(text)
    for chunk in (1, 3, 7, 1 << 20):
        monkeypatch.setattr("infodil.corpus.tables.READ_CHARACTERS", chunk)
        assert texts_of(tmp_path / "a.json") == ["a", "b"]


@pytest.mark.parametrize("kind", ["a.jsonl", "dataset"])
def test_a_nested_column(tmp_path, kind):
    rows = [{"text": {"en": "one", "de": {"at": "eins"}}}, {"text": None}, {"text": {"en": "two", "de": None}}]
    if kind == "dataset":
        source = pytest.importorskip("datasets").Dataset.from_list(rows)
    else:
        source = tmp_path / kind
        source.write_text("\n".join(map(json.dumps, rows)))
    assert texts_of(source, text_column="text.en") == ["one", "", "two"]
    assert texts_of(source, text_column="text.de.at") == ["eins", "", ""]
    with pytest.raises(
        UserError, match=r"`text_column` 'text' .* dict, .*: pass text_column= .*'text\.en' or 'text\.de'"
    ):
        load_corpus(source)


def test_a_lone_surrogate_is_a_question_mark_for_every_tokenizer(tmp_path):
    (tmp_path / "a.jsonl").write_text("\n".join(json.dumps({"text": f"{text} \ud800"}) for text in TEXTS))
    for tokenizer in ("bytes", "characters"):
        with load_corpus(tmp_path / "a.jsonl", tokenizer=tokenizer).tokenize() as tokens:
            assert tokens.total == sum(len(text) + 2 for text in TEXTS)
            assert "?" in tokens.token_texts(tokens.splits["test"].tokens)


# Token ids


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "<i4", ">i8"])
def test_token_ids_of_a_npy_file(tmp_path, dtype):
    rows = np.array([[1, 2, 7], [4, 7, 6]])
    for order in ("C", "F"):
        np.save(tmp_path / "a.npy", np.asarray(rows, dtype=dtype, order=order))
        assert ids_of(tmp_path / "a.npy") == rows.tolist()
    np.save(tmp_path / "a.npy", rows.ravel().astype(dtype))
    assert ids_of(tmp_path / "a.npy") == [[1, 2, 7, 4, 7, 6]]
    assert ids_of(tmp_path / "a.npy", separator=7) == ids_of(tmp_path / "a.npy", separator="7") == [[1, 2], [4], [6]]


@pytest.mark.parametrize("dtype", ["uint16", "int32"])
def test_token_ids_of_a_bin_file(tmp_path, dtype):
    np.arange(300).astype(f"<{np.dtype(dtype).str[1:]}").tofile(tmp_path / "train.bin")
    assert ids_of(tmp_path / "train.bin", dtype=dtype) == [list(range(300))]
    assert load_corpus(tmp_path / "train.bin", dtype=dtype).kind == "tokens"


@pytest.mark.parametrize(("magic", "dtype"), [(20240520, "<u2"), (20240801, "<u4")])
def test_the_header_of_llm_c_is_no_token(tmp_path, magic, dtype):
    header = np.zeros(256, "<i4")
    header[:3] = magic, 1, 500
    (tmp_path / "a.bin").write_bytes(header.tobytes() + np.arange(500).astype(dtype).tobytes())
    assert ids_of(tmp_path / "a.bin") == [list(range(500))]
    with pytest.raises(UserError, match=r"`dtype` is 'uint8', and the header of 'a.bin' says"):
        load_corpus(tmp_path / "a.bin", dtype="uint8")


@pytest.mark.parametrize("piece", [2, 5, 7, 100])
def test_blocks_of_ids_join_up(tmp_path, monkeypatch, piece):
    monkeypatch.setattr("infodil.corpus.token_files.PIECE", piece)
    rows = np.arange(42).reshape(6, 7) % 9
    np.save(tmp_path / "a.npy", rows)
    assert ids_of(tmp_path / "a.npy") == rows.tolist()
    np.save(tmp_path / "a.npy", rows.ravel())
    assert ids_of(tmp_path / "a.npy") == [rows.ravel().tolist()]
    expected = [part.tolist() for part in np.split(rows.ravel(), np.flatnonzero(rows.ravel() == 8))]
    assert ids_of(tmp_path / "a.npy", separator=8) == [expected[0], *(part[1:] for part in expected[1:])]


def test_one_stray_id_does_not_make_the_vocabulary():
    ids = np.random.default_rng(0).integers(0, 20, 2000)
    ids[77] = 2_000_000_000
    with pytest.raises(UserError, match=r"token id 2000000000 in document 1, .*: mend the id, or pass vocabulary="):
        load_corpus([[1, 2], ids]).tokenize()
    with load_corpus([ids], vocabulary=2_000_000_001).tokenize() as tokens:
        assert tokens.vocabulary == 2_000_000_001


# Mistakes


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        (
            "a.tsv",
            b"id\tbody\n1\tx",
            {},
            "`text_column` 'text' is not a column .* has 'id' or 'body': pass text_column=",
        ),
        ("a.tsv", b"0\tno header here\n1\tat all\n", {}, "or name the columns in the first row"),
        ("a.tsv", b"id\ttext\n1\ta\tb", {}, "line 2 of 'a.tsv' has 3 fields and the first row 2: save it as .csv"),
        ("a.csv", b'text\n"a', {}, r"line 2 of 'a.csv' is not a row of a table \(unexpected end of data\)"),
        ("a.csv", b"text\na,b", {}, "line 2 of 'a.csv' has 2 fields and the first row 1: put fields"),
        ("a.csv", b"text,text\na,b", {}, "has two columns 'text'"),
        ("a.csv", b"", {}, "`source` is empty"),
        ("a.json", b'[{"text": "a"}', {}, "`source` file 'a.json' ends within its array"),
        ("a.json", b'[{"text": "a"}, {"te', {}, "`source` entry 1 of 'a.json' is not JSON"),
        ("a.json", b'["a"]', {}, "`source` entry 0 of 'a.json' is a str: write an array of JSON objects"),
        ("a.json", b'[{"text": "a"}] 7', {}, "there is more after the end of the array"),
        ("a.jsonl", b'{"body": "a"}\n{"text": "b"}', {}, "`text_column` 'text' is missing from line 1 of 'a.jsonl'"),
        ("a.xyz", bytes(range(1, 60)), {}, "is not text .* and its ending is not known: pass a text file, a table"),
        ("a.txt", b"a\0b", {}, r"`source` file 'a.txt' is not text \(it has NUL bytes\)"),
        ("a.bin", b"ab", {}, "`dtype` must be given for the token ids of 'a.bin'"),
        ("a.bin", b"abc", {"dtype": "uint16"}, "'a.bin' has 3 bytes, which are no whole numbers of type uint16"),
        ("a.bin", b"", {"dtype": "uint16"}, "'a.bin' has 0 bytes"),
        ("a.bin", b"ab", {"dtype": "unit16"}, "`dtype` must be one of .* got 'unit16': did you mean"),
        ("a.bin", b"ab", {"dtype": "uint16", "separator": "\n"}, "`separator` of token ids must be the id between"),
        ("a.txt", b"ab", {"dtype": "uint16"}, "`dtype` is the type of the token ids in a .bin file"),
        ("a.npy", b"ab", {}, "`source` file 'a.npy' is not a .npy file of numbers"),
        ("a.npz", b"ab", {}, r"'a.npz' is of a kind that is not read: pass one of its arrays"),
        ("a.pkl", b"ab", {}, "unpickling runs code"),
        ("a.parquet", b"ab", {}, "`source` 'a.parquet' could not be loaded"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, content, options, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_corpus(tmp_path / name, tokenizer="bytes", **options).tokenize()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("array", [np.zeros(3), np.zeros((2, 2, 2), dtype=int), np.zeros((0, 4), dtype=int)])
def test_an_array_that_holds_no_token_ids(tmp_path, array):
    np.save(tmp_path / "a.npy", array)
    with pytest.raises(UserError, match=r"token ids are whole numbers|is empty|is not a .npy file of numbers"):
        load_corpus(tmp_path / "a.npy")


def test_a_table_of_objects_is_never_unpickled(tmp_path):
    np.save(tmp_path / "a.npy", np.array([[1], [2, 3]], dtype=object), allow_pickle=True)
    with pytest.raises(UserError, match=r"is not a .npy file of numbers"):
        load_corpus(tmp_path / "a.npy")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="the system has no pipes with names")
def test_what_can_be_read_once_only_is_refused(tmp_path):
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "link").symlink_to("nowhere")
    for source, message in (
        (tmp_path / "pipe.txt", "is a pipe, and a corpus is read more than once: write it to a file"),
        ("/dev/zero", "is a device, and"),
        (str(tmp_path / "link"), "is a link to what is not there"),
        ("x" * 300 + ".txt", "is a text, not the name of one"),
        (Path("x" * 300 + ".txt"), "is not there"),
        ("~nobody-of-this-name/a.txt", "is not there"),
        (Path("a\0b"), "is not there"),
    ):
        with pytest.raises(UserError, match=message):
            load_corpus(source)


@pytest.mark.parametrize(
    "name", ["a\nb.txt", "a[1].txt", "a\u202eb.txt", os.fsdecode(b"a\xff.txt"), " .txt", "a\tb.tsv"]
)
def test_any_name_that_a_file_can_have(tmp_path, name):
    (tmp_path / name).write_text("text\n" + "\n".join(TEXTS))
    corpus = load_corpus(str(tmp_path / name), tokenizer="bytes", separator=None if ".tsv" in name else "\n")
    with corpus.tokenize() as tokens:
        assert tokens.documents == len(TEXTS) + (".tsv" not in name)
        assert all(letter.isprintable() for letter in tokens.name)
        json.dumps(tokens.provenance()).encode("utf-8")


def test_a_file_that_may_not_be_read(tmp_path, monkeypatch):
    (tmp_path / "a.txt").write_text("a")

    def refuse(*arguments, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(UserError, match=r"'a.txt' cannot be read \(Permission denied\): pass one that can"):
        load_corpus(tmp_path / "a.txt")


# Anything at all


def npy_bytes(array):
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


JSON_LIKE = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["text", "input_ids", "a"]), inner),
    max_leaves=6,
)
LINES = st.lists(JSON_LIKE.map(json.dumps), max_size=6).map("\n".join) | st.text(
    alphabet='{}[]",:text\n1\\u', max_size=40
)
CELLS = st.lists(
    st.lists(st.sampled_from(["text", "a", '"', '""', "", "\r", "1,2", "'"]), max_size=3).map("\t".join), max_size=5
)
ARRAYS = st.builds(
    lambda shape, dtype, cut, flips: mutated(npy_bytes(np.ones(shape).astype(dtype)), cut, flips),
    st.lists(st.integers(0, 4), max_size=3),
    st.sampled_from(["u1", "<u2", ">i4", "i8", "f4", "?", "U3", "M8[s]"]),
    st.integers(0, 40),
    st.lists(st.tuples(st.integers(0, 127), st.integers(0, 255)), max_size=3),
)  # fmt: skip


def mutated(content, cut, flips):
    content = bytearray(content[: len(content) - cut])
    for place, value in flips:
        if place < len(content):
            content[place] = value
    return bytes(content)


def load_any(path, **options):
    """A corpus or one sentence; anything else is a fault."""
    try:
        with load_corpus(path, tokenizer="bytes", **options).tokenize(max_tokens=200):
            pass
    except UserError as error:
        assert "\n" not in str(error)


@pytest.mark.statistical
@FUZZED
@given(
    content=st.binary(max_size=60) | LINES.map(str.encode) | CELLS.map("\n".join).map(str.encode) | ARRAYS,
    name=st.sampled_from(
        ["a.txt", "a.jsonl", "a.json", "a.csv", "a.tsv", "a.npy", "a.bin", "a.xyz", "a", "a.txt.gz", "a.json.gz"]
    ),
)
def test_any_bytes_are_a_corpus_or_one_sentence(tmp_path, content, name):
    path = tmp_path / name
    path.write_bytes(content)
    load_any(path, **({"dtype": "uint16"} if name == "a.bin" else {}))
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(content))
        load_any(path)


@pytest.mark.statistical
@settings(FUZZED, max_examples=120)
@given(content=LINES)
def test_any_lines_of_json_are_a_corpus_or_one_sentence(tmp_path, content):
    for name in ("a.jsonl", "a.json"):
        (tmp_path / name).write_text(content)
        load_any(tmp_path / name)


@settings(FUZZED, max_examples=120)
@given(content=ARRAYS)
def test_any_header_of_an_array_is_a_corpus_or_one_sentence(tmp_path, content):
    (tmp_path / "a.npy").write_bytes(content)
    load_any(tmp_path / "a.npy")


@pytest.mark.statistical
def test_what_a_coverage_guided_fuzzer_finds_is_a_corpus_or_one_sentence(tmp_path):
    """libFuzzer ends with an error at the first exception that is no `UserError`."""
    pytest.importorskip("atheris", reason="infodil[fuzz] is not installed")
    script = Path(__file__).with_name("fuzz_corpus_files.py")
    for kind, content in enumerate(
        [b"a b<|endoftext|>c", b'{"text": "a b"}\n', b"[1, 2]", b"text,b\na,1\n", b"text\tb"]
    ):
        (tmp_path / str(kind)).write_bytes(bytes([kind]) + content)
    (tmp_path / "ids").write_bytes(b"\x05" + npy_bytes(np.arange(60)))
    options = ["-runs=3000", "-seed=1", "-max_len=400", f"-artifact_prefix={tmp_path}/"]
    ended = subprocess.run([sys.executable, script, tmp_path, *options], capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert "Done 3000 runs" in ended.stderr
