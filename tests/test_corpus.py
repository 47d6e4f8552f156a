"""Any source becomes token ids in three splits that share no document, and every batch is a true copy of them."""

import gc
import gzip
import json
import subprocess
import sys
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import torch

from infodil.checks import UserError
from infodil.corpus import Corpus, Tokenizer, as_tokenizer, load_corpus, train_bpe

SIDES = ("train", "calibration", "test")
TEXTS = [f"document number {number} says {'word ' * (number % 7)}and ends" for number in range(40)]


def random_documents(count=60, vocabulary=50, longest=40, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.integers(0, vocabulary, size=rng.integers(1, longest)) for _ in range(count)]


def documents_of(split):
    """The documents of a split, put together again from its sequences."""
    pieces = {}
    for start, length, document in zip(split.starts, split.lengths, split.document, strict=True):
        pieces.setdefault(int(document), []).extend(split.tokens[start : start + length].tolist())
    return [tuple(piece) for piece in pieces.values()]


def texts_of(source, **options):
    return list(load_corpus(source, **options).documents())


# Sources


def test_a_list_of_texts():
    corpus = load_corpus(TEXTS, tokenizer="bytes")
    assert (corpus.kind, corpus.name) == ("text", "text")
    assert list(corpus.documents()) == list(corpus.documents()) == TEXTS


@pytest.mark.parametrize(
    "source",
    [
        [[1, 2, 3], [4, 5, 6]],
        [np.array([1, 2, 3]), np.array([4, 5, 6], dtype=np.uint16)],
        [torch.tensor([1, 2, 3]), torch.tensor([4, 5, 6])],
        np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int32),
        torch.tensor([[1, 2, 3], [4, 5, 6]]),
    ],
    ids=["lists", "arrays", "tensors", "rows of an array", "rows of a tensor"],
)
def test_token_ids_in_every_shape(source):
    corpus = load_corpus(source, vocabulary=7)
    assert corpus.kind == "tokens"
    assert [ids.tolist() for ids in corpus.documents()] == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("source", [[1, 2, 3], np.array([1, 2, 3]), torch.tensor([1, 2, 3])])
def test_one_run_of_token_ids_is_one_document(source):
    assert [ids.tolist() for ids in load_corpus(source).documents()] == [[1, 2, 3]]


@pytest.mark.parametrize("ending", ["story.txt", "story.md", "story.txt.gz", "story.unknown"])
def test_a_text_file_is_divided_at_its_marks(tmp_path, ending):
    text = "one\n<|endoftext|>\ntwo\nlines<|endoftext|><|endoftext|> \nthree"
    path = tmp_path / ending
    path.write_bytes(gzip.compress(text.encode()) if ending.endswith(".gz") else text.encode())
    assert texts_of(path, separator="o") == ["one", "two\nlines", "", " \nthree"]
    assert load_corpus(str(path)).origin == {"source": "file", "file": ending, "split": None}


@pytest.mark.parametrize("chunk", range(1, 30))
def test_a_mark_cut_by_the_edge_of_a_chunk_is_still_a_mark(tmp_path, monkeypatch, chunk):
    monkeypatch.setattr("infodil.corpus.text_files.READ_CHARACTERS", chunk)
    path = tmp_path / "story.txt"
    path.write_text("first<|endoftext|>second <|endof<|endoftext|>third<|endoftext|")
    assert texts_of(path) == ["first", "second <|endof", "third<|endoftext|"]


def test_a_text_file_without_marks_is_one_document_or_divided_by_a_separator(tmp_path):
    path = tmp_path / "poem.txt"
    path.write_text("a b\n\nc d\n\n\ne")
    assert texts_of(path) == ["a b\n\nc d\n\n\ne"]
    assert texts_of(path, separator=r"(\n)\n+") == ["a b", "c d", "e"]


def test_a_byte_order_mark_is_no_text(tmp_path):
    path = tmp_path / "windows.txt"
    path.write_bytes("hello".encode("utf-8-sig"))
    assert texts_of(path) == ["hello"]


@pytest.mark.parametrize("compress", [False, True])
def test_json_lines(tmp_path, compress):
    lines = "\n".join(json.dumps({"text": text, "id": 1}) for text in ["a", "b\nc", "\u2028 d"]) + "\n\n"
    path = tmp_path / ("texts.jsonl.gz" if compress else "texts.jsonl")
    path.write_bytes(gzip.compress(lines.encode()) if compress else lines.encode())
    assert texts_of(path) == ["a", "b\nc", "\u2028 d"]


def test_json_lines_of_token_ids(tmp_path):
    path = tmp_path / "ids.jsonl"
    path.write_text('{"input_ids": [1, 2]}\n{"input_ids": []}\n{"input_ids": [3]}\n')
    corpus = load_corpus(path, vocabulary=4)
    assert corpus.kind == "tokens"
    assert [ids.tolist() for ids in corpus.documents()] == [[1, 2], [], [3]]


def test_a_folder_gives_its_files_in_order(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "b.txt").write_text("from b")
    (tmp_path / "a.jsonl").write_text('{"text": "from a"}\n')
    (tmp_path / "inner" / "c.txt.gz").write_bytes(gzip.compress(b"from c"))
    (tmp_path / ".hidden.txt").write_text("hidden")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "README.md").write_text("about these files")
    corpus = load_corpus(tmp_path)
    assert list(corpus.documents()) == ["from a", "from b", "from c"]
    assert corpus.warnings == ("The file README.md in the folder was taken for a description and left out.",)


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_in_memory(streaming):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"id": [1, 2, 3], "text": ["a", None, "b"], "body": ["x", "y", "z"]})
    dataset = dataset.to_iterable_dataset() if streaming else dataset
    assert texts_of(dataset) == ["a", "", "b"]
    assert texts_of(dataset, text_column="body") == ["x", "y", "z"]
    with pytest.raises(UserError, match=r"`text_column` 'bodi' .* 'id', 'text' or 'body': did you mean 'body'\?"):
        load_corpus(dataset, text_column="bodi")


@pytest.mark.parametrize("streaming", [False, True])
def test_a_dataset_of_token_ids(streaming):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"label": [0, 1], "input_ids": [[1, 2], [3]]})
    corpus = load_corpus(dataset.to_iterable_dataset() if streaming else dataset)
    assert corpus.kind == "tokens"
    assert [ids.tolist() for ids in corpus.documents()] == [[1, 2], [3]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # datasets leaves a file open
@pytest.mark.parametrize("kind", ["parquet", "csv", "json", "json.gz", "folder", "saved"])
def test_tables_on_disk(tmp_path, kind):
    datasets = pytest.importorskip("datasets")
    dataset = datasets.Dataset.from_dict({"text": ["a", "b"]})
    path = tmp_path / f"table.{kind}"
    if kind == "folder":
        path.mkdir()
        dataset.to_parquet(path / "part.parquet")
    elif kind == "saved":
        dataset.save_to_disk(path)
    else:
        getattr(dataset, f"to_{kind.removesuffix('.gz')}")(path)
    assert texts_of(path) == ["a", "b"]


def test_a_dataset_id_is_streamed(monkeypatch):
    datasets = pytest.importorskip("datasets")
    calls = []

    def load_dataset(*args, **options):
        calls.append((args, options))
        return datasets.Dataset.from_dict({"text": ["a", "b"]}).to_iterable_dataset()

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    corpus = load_corpus("owner/stories", name="small", split="validation")
    assert calls == [(("owner/stories", "small"), {"split": "validation", "streaming": True})]
    assert list(corpus.documents()) == ["a", "b"]
    assert corpus.name == "owner/stories/small"
    assert corpus.origin["id"] == "owner/stories"
    json.dumps(corpus.origin)


def test_the_first_configuration_is_taken_and_said(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def load_dataset(path, name, **options):
        if name is None:
            raise ValueError("Config name is missing.\nPlease pick one among the available configs: ['one', 'two']")
        assert (path, name, options["split"]) == ("wikitext", "one", "train")
        return datasets.Dataset.from_dict({"text": ["a"]})

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    monkeypatch.setattr(datasets, "get_dataset_config_names", lambda path: ["one", "two"])
    corpus = load_corpus("wikitext")
    assert corpus.name == "wikitext/one"
    assert corpus.warnings == (
        "The dataset wikitext has the configurations 'one' or 'two': 'one', the first, was taken.",
    )


def test_no_network_is_told_in_one_sentence(monkeypatch):
    datasets = pytest.importorskip("datasets")

    def load_dataset(*args, **options):
        raise ConnectionError("Couldn't reach the hub.\nA long trace follows")

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    message = r"`source` 'owner/stories' could not be loaded as a dataset \(ConnectionError: Couldn't reach the hub\)"
    with pytest.raises(UserError, match=message) as caught:
        load_corpus("owner/stories")
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__


def test_a_network_lost_on_the_way_is_told_too(monkeypatch):
    datasets = pytest.importorskip("datasets")

    class Broken:
        def __iter__(self):
            yield {"text": "a"}
            raise OSError("connection reset")

    monkeypatch.setattr(datasets, "load_dataset", lambda *args, **options: Broken())
    corpus = load_corpus("owner/stories", tokenizer="bytes")
    with pytest.raises(UserError, match=r"'owner/stories' could not be .* \(OSError: connection reset\)"):
        corpus.tokenize()


@pytest.mark.statistical
def test_the_sample_is_large_mixed_and_always_the_same():
    corpus = load_corpus("sample")
    texts = list(corpus.documents())
    words = sum(len(text.split()) for text in texts)
    assert len(texts) == len(set(texts)) > 5_000
    assert words > 1_000_000
    assert min(len(text.split()) for text in texts) >= 20
    assert set(corpus.origin["versions"]) == {"numpy", "scipy", "scikit-learn", "matplotlib"}
    assert json.loads(json.dumps(corpus.origin)) == corpus.origin
    halves = [
        sum("matplotlib" in text for text in half) for half in (texts[: len(texts) // 2], texts[len(texts) // 2 :])
    ]
    # A fair shuffle: each half has half of them, give or take five standard errors of a binomial.
    assert abs(halves[0] - halves[1]) < 5 * sum(halves) ** 0.5


@pytest.mark.statistical
def test_importing_the_corpus_is_light():
    code = (
        "import sys, infodil.corpus; sys.exit(bool({'datasets', 'tokenizers', 'pandas', 'scipy'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_a_corpus_is_returned_as_it_is():
    corpus = load_corpus(TEXTS)
    assert load_corpus(corpus) is corpus
    with pytest.raises(UserError, match="`max_length` cannot change a Corpus already made"):
        load_corpus(corpus, max_length=64)


# Tokens and splits


@pytest.mark.parametrize("pack", [False, True])
def test_splits_hold_every_document_once_and_share_none(pack):
    documents = random_documents()
    with load_corpus(documents, vocabulary=50, max_length=8, pack=pack).tokenize(seed=3) as tokens:
        assert tokens.total == sum(len(split.tokens) for split in tokens.splits.values()) == sum(map(len, documents))
        assert not tokens.few_documents
        assert sum(tokens.split_documents.values()) == tokens.documents == 60
        if not pack:
            sides = [documents_of(tokens.splits[side]) for side in SIDES]
            assert sorted([*sides[0], *sides[1], *sides[2]]) == sorted(tuple(ids.tolist()) for ids in documents)
            assert not set(sides[0]) & set(sides[2])


def test_fractions_are_met_to_half_a_document():
    documents = random_documents(500, longest=60)
    with load_corpus(documents, vocabulary=50).tokenize(fractions=(0.5, 0.2, 0.3)) as tokens:
        for side, share in zip(SIDES, (0.5, 0.2, 0.3), strict=True):
            assert len(tokens.splits[side].tokens) / tokens.total == pytest.approx(share, abs=0.05 * 0.5)


def test_identical_documents_stay_together():
    documents = [ids for ids in random_documents(30) for _ in range(4)]
    with load_corpus(documents, vocabulary=50).tokenize(seed=1) as tokens:
        sides = [set(documents_of(tokens.splits[side])) for side in SIDES]
        assert all(sides)
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


def test_one_huge_document_is_not_the_whole_test_set():
    documents = [*random_documents(20, longest=20), np.arange(5000) % 50]
    for seed in range(10):
        with load_corpus(documents, vocabulary=50).tokenize(seed=seed) as tokens:
            assert len(tokens.splits["train"].tokens) >= 5000
            assert all(tokens.split_documents[side] >= 1 for side in SIDES)


def test_a_seed_gives_its_splits_again_and_another_gives_others():
    corpus = load_corpus(random_documents(), vocabulary=50)
    first, again, other = (corpus.tokenize(seed=seed) for seed in (0, 0, 1))
    assert first.sha256 == again.sha256 == other.sha256
    assert np.array_equal(first.splits["test"].tokens, again.splits["test"].tokens)
    assert not np.array_equal(first.splits["test"].tokens, other.splits["test"].tokens)


def test_the_hash_changes_with_the_ids_and_with_where_documents_end():
    documents = [[number, 1, 2, 3] for number in range(12)]
    moved = [[0], [1, 2, 3, 1, 1, 2, 3], *documents[2:]]
    changed = [[0, 1, 2, 4], *documents[1:]]
    hashes = {load_corpus(each, vocabulary=50).tokenize().sha256 for each in (documents, moved, changed)}
    assert len(hashes) == 3


def test_sequences_are_runs_of_one_document():
    documents = [np.full(length, length) for length in range(1, 30)]
    with load_corpus(documents, vocabulary=30, max_length=8).tokenize() as tokens:
        for split in tokens.splits.values():
            assert split.tokens.dtype == np.int32
            assert not split.tokens.flags.writeable
            assert (split.lengths >= 1).all() and (split.lengths <= 8).all()
            assert split.documents == len(set(split.document.tolist())) == split.document.max() + 1
            assert all(set(ids) == {len(ids)} for ids in documents_of(split))
            for start, length in zip(split.starts, split.lengths, strict=True):
                assert len(set(split.tokens[start : start + length].tolist())) == 1


def test_packed_sequences_are_full_but_the_last():
    with load_corpus(random_documents(), vocabulary=50, max_length=16, pack=True).tokenize() as tokens:
        for split in tokens.splits.values():
            assert (split.lengths[:-1] == 16).all()
            assert 1 <= split.lengths[-1] <= 16
            assert split.lengths.sum() == len(split.tokens)
            assert split.document.tolist() == list(range(len(split.starts)))


def test_max_tokens_cuts_the_last_document():
    corpus = load_corpus([[number] * 10 for number in range(40)], vocabulary=40)
    with corpus.tokenize(max_tokens=125) as tokens:
        assert (tokens.total, tokens.documents) == (125, 13)
        assert sorted(len(ids) for side in SIDES for ids in documents_of(tokens.splits[side])) == [5] + [10] * 12


def test_documents_are_read_no_further_than_needed():
    def endless():
        number = 0
        while True:
            yield f"text {number}"
            number += 1

    with Corpus("endless", "text", endless, tokenizer="bytes").tokenize(max_tokens=5_000) as tokens:
        assert tokens.total == 5_000


def test_a_few_long_documents_are_split_by_stretches_in_order():
    ids = np.arange(30_000)
    with load_corpus([ids], vocabulary=30_000, max_length=64).tokenize(seed=2) as tokens:
        assert tokens.few_documents
        assert "one document: 60 contiguous stretches" in tokens.warnings[0]
        kept = sum(len(split.tokens) for split in tokens.splits.values())
        assert 0.95 * 30_000 <= kept < 30_000
        for split in tokens.splits.values():
            assert (np.diff(split.tokens) > 0).all()
        # No token of one split is nearer than the gap to one of another.
        side = np.full(30_000, -1)
        for number, name in enumerate(SIDES):
            side[tokens.splits[name].tokens] = number
        present = np.flatnonzero(side >= 0)
        borders = np.flatnonzero(np.diff(side[present]))
        gaps = present[borders + 1] - present[borders] - 1
        assert len(borders) > 5
        assert (gaps == min(64, int(0.05 * 30_000 / len(borders)))).all()


def test_few_copied_documents_keep_their_copies_together():
    one, two = np.arange(0, 3000), np.arange(3000, 6000)
    with load_corpus([one, two, one], vocabulary=6000, max_length=16).tokenize() as tokens:
        assert tokens.few_documents
        sides = [set(tokens.splits[side].tokens.tolist()) for side in SIDES]
        assert not (sides[0] & sides[1] or sides[0] & sides[2] or sides[1] & sides[2])


@pytest.mark.parametrize("total", [6, 20, 100, 1000])
def test_a_small_text_still_makes_three_splits(total):
    with load_corpus([np.arange(total)], vocabulary=total).tokenize() as tokens:
        assert all(len(tokens.splits[side].tokens) for side in SIDES)


def test_blank_documents_are_left_out():
    with load_corpus(["", " \n\t", *TEXTS, "\u00a0"], tokenizer="bytes").tokenize() as tokens:
        assert tokens.documents == len(TEXTS)
        assert tokens.total == sum(map(len, TEXTS))


def test_hostile_text_survives():
    texts = [f"{number} <script>alert(1)</script> \x00 \ud800 \U0001f600 \u202e" for number in range(20)]
    for tokenizer in ("bytes", train_bpe(TEXTS, 300)):
        with load_corpus(texts, tokenizer=tokenizer).tokenize() as tokens:
            assert tokens.documents == 20
            shown = "".join(tokens.token_texts(documents_of(tokens.splits["test"])[0]))
            assert "<script>" in shown


@pytest.mark.statistical
def test_memory_does_not_hold_the_corpus():
    def documents():
        for number in range(2_000):
            yield np.full(5_000, number)

    tracemalloc.start()
    try:
        with Corpus("large", "tokens", documents, vocabulary=2_000).tokenize() as tokens:
            assert tokens.total == 10_000_000
            peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 4_000_000  # 40 MB of int32 tokens; 20,000 sequences of 24 bytes


def test_a_long_text_is_encoded_in_pieces_that_join_up(monkeypatch):
    monkeypatch.setattr("infodil.corpus.pieces.PIECE", 50)
    text = "\n".join(TEXTS)
    tokenizer = train_bpe(TEXTS, 400)
    with load_corpus([text], tokenizer=tokenizer).tokenize() as tokens:
        assert tokens.total == len(tokenizer.encode([text])[0])
    with load_corpus(["a" * 333, *TEXTS], tokenizer="bytes").tokenize() as tokens:
        assert tokens.total == 333 + sum(map(len, TEXTS))


def files_below(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


def test_files_go_with_the_tokens(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    corpus = load_corpus(random_documents(), vocabulary=50)
    with corpus.tokenize() as tokens:
        assert len(files_below(tmp_path)) == 3
    assert not list(tmp_path.iterdir()) and not tokens.splits
    tokens = corpus.tokenize()
    split = tokens.splits["train"]
    del tokens
    gc.collect()
    assert not list(tmp_path.iterdir())
    assert split.tokens.max() < 50


def test_files_in_a_named_folder_stay(tmp_path):
    corpus = load_corpus(random_documents(), vocabulary=50)
    with corpus.tokenize(folder=tmp_path / "cache") as tokens:
        total = tokens.total
    assert len(files_below(tmp_path)) == 3
    assert sum(path.stat().st_size for path in files_below(tmp_path)) == 4 * total


def test_nothing_is_left_behind_by_a_mistake(tmp_path):
    with pytest.raises(UserError):
        load_corpus([[1, 2], [99]], vocabulary=50).tokenize(folder=tmp_path)
    with pytest.raises(UserError):
        load_corpus([[1], [1], [2]], vocabulary=50).tokenize(folder=tmp_path)
    assert not list(tmp_path.iterdir())


def test_provenance_is_json_without_paths(tmp_path):
    (tmp_path / "stories.txt").write_text("<|endoftext|>".join(TEXTS))
    with load_corpus(tmp_path / "stories.txt", tokenizer="bytes").tokenize(progress=True) as tokens:
        record = tokens.provenance()
    assert str(tmp_path) not in json.dumps(record)
    assert record["tokenizer"] == "bytes"
    assert record["documents"] == sum(split["documents"] for split in record["splits"].values())
    assert (record["name"], record["tokens"]) == ("stories.txt", tokens.total)


def test_the_vocabulary_is_counted_where_it_is_not_given():
    with load_corpus(random_documents(vocabulary=33)).tokenize() as tokens:
        assert tokens.vocabulary == 33
        assert "taken to be 33" in tokens.warnings[0]
        assert tokens.token_texts([4, 99]) == ["4", "99"]


# Batches


@pytest.mark.parametrize("pack", [False, True])
@pytest.mark.parametrize("shuffled", [False, True])
def test_batches_hold_every_sequence_once(pack, shuffled):
    with load_corpus(random_documents(200), vocabulary=50, max_length=16, pack=pack).tokenize() as tokens:
        split = tokens.splits["train"]
        batches = list(split.batches(4, generator=torch.Generator().manual_seed(1) if shuffled else None))
        assert len(batches) == split.number_of_batches(4)
        assert sorted(start for batch in batches for start in batch.starts.tolist()) == split.starts.tolist()
        where = {int(start): row for row, start in enumerate(split.starts)}
        for batch in batches:
            assert batch.tokens.dtype == torch.int64
            assert batch.tokens.numel() <= 4 * 16
            assert batch.tokens.shape == (len(batch.lengths), batch.lengths.max())
            rows = zip(
                batch.tokens, batch.lengths.tolist(), batch.starts.tolist(), batch.document.tolist(), strict=True
            )
            for ids, length, start, document in rows:
                assert length == split.lengths[where[start]] and document == split.document[where[start]]
                assert ids[:length].tolist() == split.tokens[start : start + length].tolist()
                assert not ids[length:].any()


def test_a_batch_holds_sequences_of_like_length():
    with load_corpus(random_documents(500, longest=64), vocabulary=50, max_length=64).tokenize() as tokens:
        batches = list(tokens.splits["train"].batches(8))
        real = sum(int(batch.lengths.sum()) for batch in batches)
        assert sum(batch.tokens.numel() for batch in batches) < 1.1 * real


def test_the_generator_orders_the_batches_and_nothing_else():
    with load_corpus(random_documents(300), vocabulary=50, max_length=16).tokenize() as tokens:
        split = tokens.splits["train"]

        def order(seed):
            generator = None if seed is None else torch.Generator().manual_seed(seed)
            return [tuple(batch.starts.tolist()) for batch in split.batches(4, generator=generator)]

        assert order(0) == order(0) != order(1)
        assert sorted(order(0)) == sorted(order(1)) == sorted(order(None))
        first = [min(starts) for starts in order(None)]
        assert first == sorted(first)


# Tokenizers


def test_bpe_is_the_same_again_and_gives_the_text_back():
    first, again = train_bpe(TEXTS, 400), train_bpe(iter(TEXTS), 400)
    assert first.name == again.name
    assert first.name != train_bpe(TEXTS[:10], 400).name
    assert isinstance(first, Tokenizer)
    hostile = "naïve \U0001f600 never seen\n\ttabs"
    (ids,) = first.encode([hostile])
    assert max(ids) < first.vocabulary <= 400
    assert first.backend.decode(ids) == hostile
    (ids,) = first.encode(["document says"])
    assert "".join(first.texts(ids)) == "document says"


def test_bpe_reads_no_more_than_it_learns_from(monkeypatch):
    monkeypatch.setattr("infodil.corpus.tokenizers.BPE_CHARACTERS", 1_000)
    read = []
    train_bpe((read.append(text) or text for text in TEXTS * 100), 300)
    assert 1_000 <= sum(map(len, read)) < 1_100


def test_a_saved_tokenizer_by_path_or_object(tmp_path):
    tokenizer = train_bpe(TEXTS, 300)
    tokenizer.backend.save(str(tmp_path / "tokenizer.json"))
    ids = tokenizer.encode(TEXTS)
    for source in (tmp_path, tmp_path / "tokenizer.json", str(tmp_path), tokenizer.backend, tokenizer):
        other = as_tokenizer(source)
        assert (other.name, other.vocabulary) == (tokenizer.name, tokenizer.vocabulary)
        assert other.encode(TEXTS) == ids


def test_truncation_is_undone_in_a_copy():
    backend = train_bpe(TEXTS, 300).backend
    backend.enable_truncation(2)
    assert len(as_tokenizer(backend).encode(TEXTS)[0]) > 2
    assert backend.truncation is not None


def test_a_hugging_face_tokenizer(caplog):
    transformers = pytest.importorskip("transformers")
    backend = train_bpe(TEXTS, 300).backend
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=backend, model_max_length=2, bos_token="<s>")
    tokenizer = as_tokenizer(fast)
    assert tokenizer.vocabulary == len(fast) == 301
    (ids,) = tokenizer.encode(["document number 3 says"])
    assert len(ids) > 2
    assert ids == as_tokenizer(backend).encode(["document number 3 says"])[0]
    assert "".join(tokenizer.texts(ids)) == "document number 3 says"
    assert not caplog.records


def test_marks_of_sentence_pieces_are_spaces():
    tokenizers = pytest.importorskip("tokenizers")
    backend = tokenizers.Tokenizer(tokenizers.models.WordLevel({"\u2581the": 0, "\u2581end": 1}, unk_token="\u2581the"))
    assert as_tokenizer(backend).texts([0, 1, 7]) == [" the", " end", "7"]


def test_characters_and_bytes():
    with load_corpus(TEXTS, tokenizer="characters").tokenize() as tokens:
        assert tokens.vocabulary == len(set("".join(TEXTS)))
        assert "".join(tokens.token_texts(documents_of(tokens.splits["test"])[0])) in TEXTS
    assert as_tokenizer("bytes").encode(["é"]) == [[195, 169]]
    assert as_tokenizer("bytes").texts([65, 195]) == ["A", "\\xc3"]


def test_a_function_with_a_vocabulary():
    corpus = load_corpus(TEXTS, tokenizer=lambda text: [len(word) for word in text.split()], vocabulary=20)
    with corpus.tokenize() as tokens:
        assert tokens.vocabulary == 20
        assert tokens.token_texts([3]) == ["3"]


def test_a_tokenizer_given_to_tokenize_wins():
    with load_corpus(TEXTS, tokenizer="characters").tokenize("bytes") as tokens:
        assert tokens.vocabulary == 256


# Mistakes


class Short:
    name, vocabulary = "short", 10

    def encode(self, texts):
        return [[1]]

    def texts(self, ids):
        return []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: load_corpus([]), "`source` must not be empty"),
        (lambda: load_corpus(["", " "], tokenizer="bytes").tokenize(), "`corpus` 'text' is empty"),
        (lambda: load_corpus([[], []]).tokenize(), "`corpus` 'tokens' is empty"),
        (lambda: load_corpus(TEXTS).tokenize(), "`tokenizer` is needed for the texts of corpus 'text'"),
        (lambda: load_corpus([[1], [2, 5]], vocabulary=5).tokenize(), "token id 5 in document 1, outside 0 to 4"),
        (lambda: load_corpus([[1], [2], [-3]], vocabulary=5).tokenize(), "token id -3 in document 2, outside 0 to 4"),
        (lambda: load_corpus([[2**40]]).tokenize(), r"token id 1099511627776 in document 0, outside 0 to 2\*\*31 - 1"),
        (lambda: load_corpus([[1, 1], [1, 1]]).tokenize(), "`corpus` has only 1 distinct .* fewer than train"),
        (lambda: load_corpus([["a", "b"]]).tokenize(), "`source` document 0 is not a list of token ids"),
        (lambda: load_corpus([[1.5, 2.0]]).tokenize(), "`source` document 0 is not a list of token ids"),
        (lambda: load_corpus([[1], [[2], [3, 4]]]).tokenize(), "`source` document 1 is not a list of token ids"),
        (lambda: load_corpus([[1], "two"]).tokenize(), "`source` document 1 is a text among token ids"),
        (
            lambda: load_corpus(["one", b"two"], tokenizer="bytes").tokenize(),
            "`source` document 1 is bytes, not a text",
        ),
        (lambda: load_corpus(np.zeros((2, 2, 2), dtype=int)), "one document a row, got an array with 3 axes"),
        (lambda: load_corpus(np.zeros((2, 2))).tokenize(), "`source` document 0 is not a list of token ids"),
        (lambda: load_corpus(7), "`source` must be a corpus, .* got int: pass one of these"),
        (lambda: load_corpus({"train": TEXTS}), r"got dict: pass one part of it, such as source\['train'\]"),
        (lambda: load_corpus(text for text in TEXTS), r"got generator: .* pass list\(source\)"),
        (lambda: load_corpus("a story\nof two lines"), "`source` is a text, not the name of one"),
        (lambda: load_corpus("x" * 5000), "`source` is a text, not the name of one"),
        (lambda: load_corpus(" "), "`source` is a text, not the name of one"),
        (lambda: load_corpus("./nowhere/at/all"), "`source` 'nowhere/at/all' is not there: pass the path"),
        (lambda: load_corpus("nowhere.txt"), "`source` 'nowhere.txt' is not there"),
        (lambda: load_corpus(Path("nowhere")), "`source` 'nowhere' is not there"),
        (lambda: load_corpus(TEXTS, max_length=1), "`max_length` must be a whole number of at least 2, got 1"),
        (lambda: load_corpus(TEXTS, vocabulary=0), "`vocabulary` must be a whole number of at least 1"),
        (lambda: load_corpus(TEXTS, split="test"), "`split` names a part of a dataset, and a list in memory has none"),
        (lambda: load_corpus(TEXTS, separator="x"), "`separator` divides a text file, and a list in memory"),
        (lambda: load_corpus(TEXTS, tokenizer="bytes").tokenize(max_tokens=0), "`max_tokens` must be a whole number"),
        (lambda: load_corpus(TEXTS, tokenizer="bytes").tokenize(seed=-1), "`seed` must be a whole number"),
        (
            lambda: load_corpus(TEXTS, tokenizer="bytes").tokenize(fractions=(0.9, 0.2, 0.1)),
            "`fractions` must be three",
        ),
        (
            lambda: load_corpus(TEXTS, tokenizer="bytes").tokenize(fractions=(0.9, 0.1, 0.0)),
            "`fractions` must be three",
        ),
        (lambda: load_corpus(TEXTS, tokenizer=len).tokenize(), "`vocabulary` must be given with a function"),
        (lambda: load_corpus(TEXTS, tokenizer=7).tokenize(), "`tokenizer` must be a tokenizer, .* got int"),
        (lambda: load_corpus(TEXTS, tokenizer="nowhere").tokenize(), "`tokenizer` 'nowhere' is not a file"),
        (lambda: load_corpus(TEXTS, tokenizer=Short()).tokenize(), "`tokenizer` gave 1 lists of ids for 40 texts"),
        (lambda: as_tokenizer("characters"), "`tokenizer` 'characters' is made from texts"),
        (lambda: train_bpe([]), "`texts` must not be empty"),
        (lambda: train_bpe(TEXTS, 100), "`vocabulary` must be a whole number of at least 256, got 100"),
        (lambda: Corpus("x", "text", lambda: iter([7]), tokenizer="bytes").tokenize(), "`corpus` document 0 is int"),
    ],
)
def test_a_mistake_is_told_in_one_sentence(call, message):
    with pytest.raises(UserError, match=message) as caught:
        call()
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith((".", "?"))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"\xff\xfe\x00", "`source` file 'a.txt' cannot be read as UTF-8 text"),
        ("a.txt.gz", b"not gzip", r"`source` file 'a.txt.gz' cannot be read as UTF-8 text .*Not a gzipped file"),
        ("a.txt.gz", gzip.compress(b"x" * 999, mtime=0)[:-9], "`source` file 'a.txt.gz' cannot be read as UTF-8 text"),
        ("a.jsonl", b'{"text": "a"}\n{"text"', "`source` line 2 of 'a.jsonl' is not JSON"),
        ("a.jsonl", b"[" * 100_000, "`source` line 1 of 'a.jsonl' is not JSON"),
        ("a.jsonl", b'["a"]', "`source` line 1 of 'a.jsonl' is a list: write one JSON object a line"),
        ("a.jsonl", b'{"texts": "a"}', r"`text_column` 'text' is not a column .* has 'texts': did you mean 'texts'\?"),
        ("a.jsonl", b'{"text": 7}', "`text_column` 'text' of the file 'a.jsonl' holds int"),
        ("a.jsonl", b'{"text": "a"}\n{"body": "b"}', "`text_column` 'text' is missing from line 2 of 'a.jsonl'"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 7}', "`source` line 2 of 'a.jsonl' is int, not a text"),
        ("a.jsonl", b'{"text": [1]}\n{"text": "b"}', "`source` line 2 of 'a.jsonl' is a text among token ids"),
        ("a.jsonl", b"", "`source` is empty: the file 'a.jsonl' has no text in it"),
        ("a.jsonl", b'{"text": null}', "`source` is empty: the file 'a.jsonl' has no text in it"),
        ("a.png", b"\x89PNG\xff", "`source` file 'a.png' cannot be read as UTF-8 text"),
    ],
)
def test_a_bad_file_is_told_in_one_sentence(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(UserError, match=message) as caught:
        load_corpus(path, tokenizer="bytes", vocabulary=256).tokenize()
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_bad_folders_and_paths(tmp_path):
    with pytest.raises(UserError, match=r"folder .* holds no text"):
        load_corpus(tmp_path)
    (tmp_path / "stories.txt").write_text("a")
    with pytest.raises(UserError, match=r"is not there: did you mean 'stories.txt'\?"):
        load_corpus(tmp_path / "storys.txt")
    with pytest.raises(UserError, match=r"`separator` '\(' is not a regular expression"):
        load_corpus(tmp_path / "stories.txt", separator="(")
    (tmp_path / "ids.jsonl").write_text('{"text": [1]}')
    with pytest.raises(UserError, match="holds both texts and token ids"):
        load_corpus(tmp_path)


def test_a_file_that_is_no_tokenizer(tmp_path):
    (tmp_path / "tokenizer.json").write_text('{"model": 7}')
    with pytest.raises(UserError, match=r"`tokenizer` 'tokenizer\.json' is not a tokenizer\.json"):
        load_corpus(TEXTS, tokenizer=tmp_path).tokenize()


def test_pack_is_yes_or_no():
    corpus = load_corpus(TEXTS)
    object.__setattr__(corpus, "pack", "yes")  # the annotation is checked under pytest, and refuses it first
    with pytest.raises(UserError, match="`pack` must be True or False, got 'yes'"):
        corpus.__post_init__()


def test_a_character_outside_the_alphabet():
    alphabet = as_tokenizer("characters", texts=lambda: ["abc"])
    with pytest.raises(UserError, match="`tokenizer` has no symbol for the character 'd'"):
        alphabet.encode(["abd"])


# Real corpora, where they are beside the project


@pytest.mark.parametrize(
    ("folder", "file", "documents", "few"),
    [
        ("tinyshakespeare", "input.txt.gz", 1, True),
        ("tinystories-sample", "tinystories-2mib.txt.gz", 2317, False),
        ("wikitext-2", "valid.txt.gz", 1, True),
        ("c4-sample", "c4-documents.jsonl.gz", 614, False),
    ],
)
def test_real_corpora(shared, folder, file, documents, few):
    with load_corpus(shared(folder) / file, tokenizer="bytes").tokenize() as tokens:
        assert (tokens.documents, tokens.few_documents) == (documents, few)
        shares = [len(tokens.splits[side].tokens) / tokens.total for side in SIDES]
        assert shares == pytest.approx([0.7, 0.1, 0.2], abs=0.02)


@pytest.mark.parametrize("name", ["a[1].csv", "b*.csv", "c?.json", "d{1,2}.jsonl", "e[!x].txt"])
def test_a_path_is_never_a_pattern(tmp_path, name):
    for other in ("a1.csv", "bx.csv", "cc.json", "d1.jsonl", "e1.txt"):
        write_text_file(tmp_path / other, "wrong")
    write_text_file(tmp_path / name, "right")
    assert list(load_corpus(tmp_path / name).documents()) == ["right"]


def write_text_file(path, text):
    forms = {".csv": f"text\n{text}\n", ".json": f'[{{"text": "{text}"}}]', ".jsonl": f'{{"text": "{text}"}}\n'}
    path.write_text(forms.get(path.suffix, text))


def test_a_folder_is_never_a_pattern(tmp_path):
    datasets = pytest.importorskip("datasets")
    for folder, text in (("fold1", "wrong"), ("fold[1]", "right")):
        (tmp_path / folder).mkdir()
        for split in ("train", "test"):
            table = datasets.Dataset.from_dict({"text": [f"{text} {split}"]})
            table.to_parquet(str(tmp_path / folder / f"{split}-0.parquet"))
    for split in ("train", "test"):
        assert list(load_corpus(tmp_path / "fold[1]", split=split).documents()) == [f"right {split}"]
    with pytest.raises(UserError, match=r"`split` 'dev' is not in the folder 'fold\[1\]', which has 'test' or 'train'"):
        load_corpus(tmp_path / "fold[1]", split="dev")
