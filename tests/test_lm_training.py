"""A killed run ends as if it had not been, processes share a run, and what goes wrong is told in a sentence."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from nanogpt import NanoGPT, train_nanogpt
from torch import nn

from infodil.checks import UserError
from infodil.cli import main
from infodil.corpus import as_tokenizer, load_corpus, token_bytes, train_bpe
from infodil.lm import (
    GRULanguageModel,
    LanguageModel,
    LanguageModelConfig,
    RunConfig,
    load_checkpoint,
    load_language_model,
    load_text,
    next_token_windows,
    prepare_text,
    read_run,
    score_text,
    train_language_model,
    train_run,
)
from infodil.sources import markov

TINY = {"family": "spen", "size": "0.3m", "dim": 8, "layers": 1, "heads": 2, "context": 16, "feed_forward": 32}
TRAINING = {"tokens": 4_000, "batch_size": 8, "checkpoint_every": 4}


@pytest.fixture(scope="module")
def texts():
    """Documents of a source with something to learn."""
    tokens = markov(vocabulary=26, documents=60, tokens=200, concentration=0.1).tokens
    return ["".join(chr(97 + token) for token in document) for document in tokens.tolist()]


@pytest.fixture
def config(texts, tmp_path):
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in texts))
    corpus = {"source": str(tmp_path / "texts.jsonl"), "tokenizer": "bytes", "max_length": 64}
    return {"model": TINY, "corpus": corpus, "training": TRAINING, "fractions": [0.8, 0.1, 0.1]}


def losses(folder):
    return (folder / "losses.csv").read_text().splitlines()


# The same again


@pytest.mark.statistical
def test_a_killed_run_ends_with_the_same_bits(config, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    expected = train_run(config, whole, progress=False)
    # The child is slowed so that it can be killed between two of its checkpoints.
    code = """
import json, sys, time
import infodil.lm.training as training
plain = training.gradients
def slow(*given):
    time.sleep(0.05)
    return plain(*given)
training.gradients = slow
from infodil.lm import train_run
train_run(json.loads(sys.argv[1]), sys.argv[2], progress=False)
"""
    one_thread = os.environ | {"OMP_NUM_THREADS": "1"}  # as here: another number of threads adds in another order
    child = subprocess.Popen([sys.executable, "-c", code, json.dumps(config), str(killed)], env=one_thread)
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and not ((killed / "losses.csv").exists() and len(losses(killed)) > 9):
        time.sleep(0.01)
    child.send_signal(signal.SIGKILL)
    child.wait()
    assert not (killed / "result.json").exists()
    stopped = load_checkpoint(killed / "checkpoint.safetensors").step
    assert 0 < stopped < 31
    result = train_run(config, killed, progress=False)
    assert losses(killed) == losses(whole)
    assert len(losses(whole)) == 1 + 4_000 // (8 * 16)
    for name in ("test_loss_nats", "calibration_loss_nats", "test_bits_per_byte"):
        assert result[name] == expected[name]
    one, other = (load_checkpoint(folder / "checkpoint.safetensors") for folder in (whole, killed))
    assert all(torch.equal(tensor, other.model[name]) for name, tensor in one.model.items())
    for name, state in one.optimizer.items():
        assert state.keys() == {"step", "exp_avg", "exp_avg_sq"}
        assert all(torch.equal(tensor, other.optimizer[name][kind]) for kind, tensor in state.items())


@pytest.mark.statistical
def test_two_processes_train_the_same_model(config, tmp_path):
    alone, together = tmp_path / "alone", tmp_path / "together"
    config = config | {"training": TRAINING | {"rows_at_once": 2}}
    expected = train_run(config, alone, progress=False)
    code = "import json, sys; from infodil.lm import train_run; train_run(json.loads(sys.argv[1]), sys.argv[2])"
    script = tmp_path / "script.py"
    script.write_text(code)
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    place = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(sys.path), "TQDM_DISABLE": "1"}
    ended = subprocess.run(
        [*torchrun, str(script), json.dumps(config), str(together)],
        env=os.environ | place, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    result = json.loads((together / "result.json").read_text())
    # The sums are in another order: rounding of 1e-7 a step grows in 31 of them, and stays far below what is learned.
    assert result["test_loss_nats"] == pytest.approx(expected["test_loss_nats"], abs=1e-4)
    one, other = ([float(line.split(",")[1]) for line in losses(folder)[1:]] for folder in (alone, together))
    np.testing.assert_allclose(one, other, atol=1e-4)


@pytest.mark.statistical
def test_parts_of_a_batch_add_up_to_it(texts):
    ids = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    ends = []
    for rows_at_once in (8, 3):
        model = LanguageModel(LanguageModelConfig("gru", 256, dim=8, layers=1, feed_forward=16))
        options = {"tokens": 2_000, "window": 16, "rows_at_once": rows_at_once, "progress": False}
        train_language_model(model, ids[:8000], ids[8000:9000], **options)
        ends.append(model.state_dict())
    for name, weight in ends[0].items():
        torch.testing.assert_close(weight, ends[1][name], rtol=1e-3, atol=1e-4)


@pytest.mark.statistical
def test_bfloat16_learns_about_the_same(texts):
    ids = np.frombuffer("".join(texts).encode(), dtype=np.uint8)
    found = {}
    for precision in ("float32", "bfloat16"):
        model = LanguageModel(LanguageModelConfig("spen", 256, dim=16, layers=1, feed_forward=64, context=16))
        options = {"tokens": 6_000, "window": 16, "precision": precision, "progress": False}
        found[precision] = train_language_model(model, ids[:10_000], ids[10_000:], **options).held_out_loss_nats
        assert all(weight.dtype == torch.float32 for weight in model.parameters())
    assert found["bfloat16"] != found["float32"]
    assert found["bfloat16"] == pytest.approx(found["float32"], rel=0.02)


# Against a twin


@pytest.mark.statistical
def test_attention_trains_as_well_as_nanogpt(texts):
    ids = np.frombuffer("".join(texts).encode(), dtype=np.uint8).astype(np.int64) - 97
    train, held_out = ids[:10_000], ids[10_000:]
    shape = {"dim": 32, "layers": 2, "heads": 4, "context": 32}
    budget = {"tokens": 60_000, "window": 32, "batch_size": 8, "peak_rate": 4e-3}
    model = LanguageModel(LanguageModelConfig("attention", 26, feed_forward=128, **shape))
    ours = train_language_model(model, train, held_out, **budget, progress=False).held_out_loss_nats
    twin = NanoGPT(26, **shape)
    assert sum(weight.numel() for weight in twin.parameters()) == sum(weight.numel() for weight in model.parameters())
    theirs = train_nanogpt(twin, train, held_out, **budget)
    assert ours < 0.8 * math.log(26)  # both have learned
    assert ours < 1.03 * theirs


# Scores


def test_every_token_but_a_document_s_first_is_predicted_once(texts):
    with load_corpus(texts, tokenizer="bytes", max_length=64).tokenize() as tokens:
        split = tokens.splits["test"]
        seen = {}
        for rows, document in next_token_windows(split, 24, 7):
            assert rows.shape[1] <= 25
            for row, number in zip(rows, document, strict=True):
                row = row[row >= 0]
                seen.setdefault(number, []).append(row)
        assert sorted(seen) == list(range(split.documents))
        for number, rows in seen.items():
            assert sum(len(row) - 1 for row in rows) == 199
            longest_first = torch.cat([rows[0][:1], *(row[1:] for row in rows)])
            pieces = split.tokens[split.starts[split.document == number][0] :][:200]
            assert sorted(longest_first.tolist()) == sorted(pieces.tolist())


def test_the_score_is_the_mean_of_its_documents_and_of_bytes(texts):
    model = LanguageModel(LanguageModelConfig("gru", 256, dim=8, layers=1, feed_forward=16))
    with load_corpus([text[: 30 + place] for place, text in enumerate(texts)], tokenizer="bytes").tokenize() as tokens:
        split = tokens.splits["test"]
        loss = score_text(model, split, window=16, bytes_of=token_bytes(tokens.tokenizer))
        for number in range(split.documents):
            ids = torch.from_numpy(split.tokens[split.starts[number] :][: split.lengths[number]].astype(np.int64))
            parts = [ids[start : start + 17] for start in range(0, len(ids) - 1, 16)]
            nats = sum(
                nn.functional.cross_entropy(model(part[None, :-1])[0], part[1:], reduction="sum").item()
                for part in parts
            )
            assert loss.nats[number] == pytest.approx(nats, rel=1e-5)
        assert loss.tokens.tolist() == (split.lengths - 1).tolist() == loss.bytes.tolist()
        assert loss.perplexity == pytest.approx(math.exp(loss.loss_nats))
        assert loss.bits_per_byte == pytest.approx(loss.loss_nats / math.log(2))


def test_bytes_of_tokens_are_the_bytes_of_the_text():
    text = "Straße, naïve — 東京\nand tabs\t!"
    for tokenizer in (
        train_bpe([text, "a b c"], 300),
        as_tokenizer("bytes"),
        as_tokenizer("characters", texts=lambda: [text]),
    ):
        ids = tokenizer.encode([text])[0]
        assert token_bytes(tokenizer)[ids].sum() == len(text.encode())
    assert token_bytes(as_tokenizer(lambda text: [0], vocabulary=3)) is None


# A run's folder


@pytest.mark.statistical
def test_a_run_leaves_a_model_that_is_an_encoder_with_its_tokenizer(config, tmp_path):
    config["corpus"] |= {"tokenizer": "bpe", "vocabulary": 280}
    result = train_run(config, tmp_path / "run", progress=False)
    model = load_language_model(tmp_path / "run")
    assert model.vocabulary == result["model"]["vocabulary"] == 280
    assert not model.training
    text = load_text(tmp_path / "run" / "text")
    assert score_text(model, text.splits["test"], window=16).loss_nats == pytest.approx(result["test_loss_nats"])
    assert model.tokenizer.encode(["abc"]) == text.tokenizer.encode(["abc"])
    assert model.encode(torch.tensor([[1, 2]]))["block.1.traces"].shape == (1, 2, 24)
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        "text", "checkpoint.safetensors", "losses.csv", "result.json",
    }  # fmt: skip


@pytest.mark.statistical
def test_a_dataset_id_is_streamed_no_further_than_needed(config, texts, tmp_path, monkeypatch):
    datasets = pytest.importorskip("datasets")
    read = []

    def rows():
        for place, text in enumerate(texts * 50):
            read.append(place)
            yield {"text": text}

    def load_dataset(path, name, **options):
        assert (path, name, options) == ("owner/web", "en", {"split": "train", "streaming": True})
        return datasets.IterableDataset.from_generator(rows)

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    corpus = {"source": "owner/web", "name": "en", "tokenizer": "bytes"}
    result = train_run(config | {"corpus": corpus, "max_tokens": 8_000}, tmp_path / "run", progress=False)
    assert result["text"]["tokens"] == 8_000
    assert len(read) < 2 * 256 + 40  # texts are encoded 256 at once
    assert result["text"]["origin"]["id"] == "owner/web"


def test_the_text_is_made_once(config, tmp_path, monkeypatch):
    corpus = load_corpus(config["corpus"]["source"], tokenizer="bytes")
    first = prepare_text(corpus, tmp_path / "text", progress=False)
    monkeypatch.setattr(type(corpus), "tokenize", None)
    again = prepare_text(corpus, tmp_path / "text", progress=False)
    assert again.provenance == first.provenance
    assert np.array_equal(again.splits["test"].tokens, first.splits["test"].tokens)


@pytest.mark.statistical
def test_train_from_a_shell(config, tmp_path, capsys):
    file = tmp_path / "run.json"
    file.write_text(json.dumps(config))
    command = ["lm", "train", "--config", str(file), "--out", str(tmp_path / "out"), "--quiet"]
    assert main([*command, "--tokens", "500", "--set", "model.predictor=mlp", "--seed", "3"]) == 0
    printed = capsys.readouterr()
    result = json.loads((tmp_path / "out" / "result.json").read_text())
    assert (result["model"]["predictor"], result["seed"], result["tokens"]) == ("mlp", 3, 384)
    assert f"perplexity {result['test_perplexity']:.1f}" in printed.out
    assert printed.err == ""
    assert main([*command, "--tokens", "900", "--set", "model.predictor=mlp", "--seed", "3"]) == 2
    assert (
        "`--tokens` is 900, and the checkpoint 'checkpoint.safetensors' is of a run with 500" in capsys.readouterr().err
    )


@pytest.mark.statistical
def test_a_trained_folder_is_measured_from_a_shell(config, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_run(config, "run", progress=False)
    command = ["recoverability", "--model", "run", "--corpus", "texts.jsonl", "--tokenizer", "bytes", "--out", "out"]
    options = ["--sites", "block.1.traces", "--lags", "0-1", "--probes", "gaussian", "--no-controls", "--quiet"]
    assert main([*command, *options]) == 0
    assert "block.1.traces" in capsys.readouterr().out


@pytest.mark.statistical
def test_a_trained_model_is_scored_on_any_corpus_from_a_shell(config, texts, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    train_run(config, "run", progress=False)
    command = ["lm", "score", "--model", "run", "--corpus", "texts.jsonl", "--tokenizer", "bytes", "--quiet"]
    assert main([*command, "--json", "--out", "-"]) == 0
    found = json.loads(capsys.readouterr().out)
    # Its own text is split in another way, but scored whole it has the same tokens and the same losses.
    model, text = load_language_model("run"), load_text("run/text")
    losses = [score_text(model, split, window=TINY["context"]) for split in text.splits.values()]
    nats, tokens = sum(loss.nats.sum() for loss in losses), sum(loss.tokens.sum() for loss in losses)
    assert found["tokens"] == tokens == sum(len(one) - 1 for one in texts) and found["documents"] == 60
    assert found["loss_nats"] == pytest.approx(nats / tokens, rel=1e-6)
    assert found["low_nats"] < found["loss_nats"] < found["high_nats"]
    assert found["perplexity"] == pytest.approx(math.exp(nats / tokens), rel=1e-6)
    assert found["bits_per_byte"] == pytest.approx(nats / tokens / math.log(2), rel=1e-6)  # a byte is a token
    assert main([*command, "--out", "score"]) == 0
    assert f"perplexity {found['perplexity']:.1f}" in capsys.readouterr().out
    assert (tmp_path / "score" / "score.csv").read_text().startswith("loss_nats,low_nats,high_nats")
    assert main([*command[:-3], "--out", "-"]) == 2
    assert "`--tokenizer` must be named for the text" in capsys.readouterr().err


# Faults


@pytest.mark.statistical
def test_a_damaged_checkpoint_is_refused(config, tmp_path):
    train_run(config, tmp_path / "run", progress=False)
    path = tmp_path / "run" / "checkpoint.safetensors"
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[-100] ^= 1  # one bit of a weight: the file still reads
    for bad, why in (
        (whole[:-50], "damaged"),
        (bytes(flipped), "its content is not what was written"),
        (b"{}", "damaged"),
    ):
        path.write_bytes(bad)
        for use in (lambda: load_language_model(tmp_path / "run"), lambda: train_run(config, tmp_path / "run")):
            with pytest.raises(UserError, match=rf"`checkpoint` 'checkpoint.safetensors' is .*{why}") as caught:
                use()
            assert "\n" not in str(caught.value)


def test_what_is_no_checkpoint_is_told(tmp_path):
    from safetensors.torch import save_file

    with pytest.raises(UserError, match=r"`checkpoint` .* is not there: pass the folder of a run"):
        load_language_model(tmp_path / "nowhere")
    save_file({"a": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(UserError, match=r"`checkpoint` 'other.safetensors' is not one of infodil's"):
        load_language_model(tmp_path / "other.safetensors")


@pytest.mark.statistical
def test_a_checkpoint_of_another_model_is_refused(config, tmp_path):
    train_run(config, tmp_path / "run", progress=False)
    other = config | {"model": TINY | {"feed_forward": 16}}
    with pytest.raises(UserError, match=r"`feed_forward` is 16, and the checkpoint .* is of a run with \d+: pass that"):
        train_run(other, tmp_path / "run", progress=False)


def test_a_checkpoint_of_another_module_is_refused(tmp_path):
    ids = np.random.default_rng(0).integers(0, 9, 500)
    options = {"tokens": 100, "window": 8, "batch_size": 2, "progress": False, "checkpoint": tmp_path / "c.safetensors"}
    train_language_model(GRULanguageModel(9, 4), ids, ids, **options)
    with pytest.raises(UserError, match=r"`checkpoint` is of another model .*: pass the configuration it was"):
        train_language_model(GRULanguageModel(9, 5), ids, ids, **options)
    twice = GRULanguageModel(9, 4)
    twice.factor = 2.0
    with pytest.raises(UserError, match=r"`module` is '.*', and the checkpoint .*: train with that code, or pass"):
        train_language_model(twice, ids, ids, **options)
    with pytest.raises(UserError, match=r"`train` is '.*', and the checkpoint .*: train on that text, or pass another"):
        train_language_model(GRULanguageModel(9, 4), ids[::-1], ids, **options)


CHOICES = [
    {"model": {"alphas": (0.5, 0.2)}}, {"model": {"activation": "relu"}}, {"model": {"normalisation": "after"}},
    {"max_tokens": 3_000}, {"corpus": {"max_length": 9}}, {"fractions": (0.7, 0.2, 0.1)}, {"seed": 8},
    {"training": {"clip": 0.5}}, {"training": {"tokens": 700}}, {"corpus": {"tokenizer": "characters"}},
]  # fmt: skip


@pytest.mark.statistical
@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_run_goes_on_under_its_own_choices_only(config, tmp_path, choice):
    result = train_run(config, tmp_path / "run", progress=False)
    other = dict(config)
    for name, value in choice.items():
        other[name] = {**config.get(name, {}), **value} if isinstance(value, dict) else value
    with pytest.raises(
        UserError, match=r"`\w+` is .*, and the .* (made|of a run) with .*: pass that, or another folder"
    ):
        train_run(other, tmp_path / "run", progress=False)
    again = train_run(config, tmp_path / "run", progress=False)
    assert again == result  # the speed on record, too, is of the training that took place


@pytest.mark.statistical
def test_a_run_goes_on_with_its_own_text_only(config, tmp_path):
    source = Path(config["corpus"]["source"])
    train_run(config, tmp_path / "run", progress=False)
    source.write_text(source.read_text(encoding="utf-8").replace("aa", "ab").replace("b", "c"), encoding="utf-8")
    with pytest.raises(UserError, match=r"`corpus` .* has other documents \(SHA-256 .*: pass those, or another folder"):
        train_run(config, tmp_path / "run", progress=False)


@pytest.mark.statistical
@pytest.mark.parametrize("name", ["ids", "splits.safetensors", "tokenizer.json", "text.json"])
def test_a_damaged_text_is_made_anew(config, tmp_path, name):
    corpus = load_corpus(config["corpus"]["source"], tokenizer=train_bpe(["the cat and the dog"] * 9, 260))
    first = prepare_text(corpus, tmp_path / "text", progress=False)
    path = Path(first.splits["train"].tokens.filename) if name == "ids" else tmp_path / "text" / name
    whole = path.read_bytes()
    ids = np.array(first.splits["train"].tokens)
    for bad in (whole[: len(whole) // 2], whole[:-9] + bytes([whole[-9] ^ 1]) + whole[-8:], b""):
        path.write_bytes(bad)
        with pytest.raises(UserError, match="`text` in 'text' is not there or damaged"):
            load_text(tmp_path / "text")
        again = prepare_text(corpus, tmp_path / "text", progress=False)
        assert np.array_equal(again.splits["train"].tokens, ids) and again.provenance == first.provenance


@pytest.mark.statistical
def test_the_record_of_a_checkpoint_is_checked(config, tmp_path):
    train_run(config, tmp_path / "run", progress=False)
    path = tmp_path / "run" / "checkpoint.safetensors"
    whole = path.read_bytes()
    for before, after in ((b'"step":"', 1), (b"seed", 1), (b'"seconds":"', 0)):
        place = whole.index(before) + len(before) + after
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 1]) + whole[place + 1 :])
        with pytest.raises(UserError, match=r"`checkpoint` 'checkpoint.safetensors' is damaged"):
            load_language_model(tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_the_run(tmp_path):
    ids = np.random.default_rng(0).integers(0, 9, 2000)
    model = LanguageModel(LanguageModelConfig("attention", 9, dim=8, layers=1, feed_forward=16, context=16, heads=2))
    path = tmp_path / "checkpoint.safetensors"

    def spoil(step, loss):
        if step == 6:
            with torch.no_grad():
                model.blocks[0].mixer.out.bias[0] = math.inf

    options = {"tokens": 2_000, "window": 16, "checkpoint": path, "checkpoint_every": 4, "progress": False}
    message = (
        r"training stopped at step 7: the loss is nan; the last good checkpoint is checkpoint.safetensors \(step 4\); "
        r"likely cause: the weights 'blocks.0.mixer.out.bias' are not finite"
    )
    with pytest.raises(UserError, match=message):
        train_language_model(model, ids, ids, note=spoil, **options)
    kept = load_checkpoint(path)
    assert kept.step == 4
    assert all(torch.isfinite(tensor).all() for tensor in kept.model.values())


@pytest.mark.statistical
def test_a_rate_too_high_is_the_likely_cause():
    ids = np.random.default_rng(0).integers(0, 9, 2000)
    model = Unstable()
    message = r"there is no checkpoint yet; likely cause: the loss had risen from .* `peak_rate` = 100.0 is too high"
    with pytest.raises(UserError, match=message):
        train_language_model(model, ids, ids, tokens=50_000, window=16, peak_rate=100.0, progress=False)


class Unstable(nn.Module):
    """Logits that grow faster than the weight they are a power of."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(9))

    def forward(self, tokens):
        return self.weight**15 * nn.functional.one_hot(tokens, 9)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model": {"family": "spen"}}, "`model` must have 'size', got"),
        ({"model": {"family": "spen", "size": "2m"}}, "`size` must be one of"),
        ({"training": {"token": 5}}, "`training` must be one of .*, got 'token': did you mean 'tokens'"),
        ({"corpus": {"name": "en"}}, "`corpus` must have 'source', got"),
        ({"corpus": {"source": "sample", "tokeniser": "bpe"}}, "`corpus` must be one of .*did you mean 'tokenizer'"),
        ({"seed": -1}, "`seed` must be a whole number of at least 0"),
        ({"device": "nowhere"}, "`device` 'nowhere' is not there: pass 'cpu'"),
        ({"trainig": {}}, "`config` must be one of .*did you mean 'training'"),
        ({"training": {"tokens": 500, "peak_rate": 0.0}}, "`peak_rate` must be above 0.0"),
        ({"training": {"tokens": 500, "precision": "float16"}}, "`precision` must be one of 'float32' or 'bfloat16'"),
    ],
)
def test_a_wrong_run_is_told_in_one_sentence(config, tmp_path, change, message):
    with pytest.raises(UserError, match=message) as caught:
        train_run(config | change, tmp_path / "out", progress=False)
    assert "\n" not in str(caught.value)


def test_a_wrong_file_is_told_in_one_sentence(tmp_path):
    (tmp_path / "bad.json").write_text("{")
    for config, message in [
        (tmp_path / "bad.json", "`config` .*bad.json' cannot be read .*: pass a JSON file"),
        (tmp_path / "none.json", "`config` .*none.json' cannot be read"),
        ("spem-1m", "`config` 'spem-1m' is no file and no family-size .*did you mean .*'spen-1m'"),
        ({}, "`config` must have 'model'"),
    ]:
        with pytest.raises(UserError, match=message):
            read_run(config)
    assert read_run("gru-10m") == RunConfig({"family": "gru", "size": "10m"})


def test_a_damaged_text_is_told(config, tmp_path):
    prepare_text(load_corpus(config["corpus"]["source"], tokenizer="bytes"), tmp_path / "text", progress=False)
    next((tmp_path / "text").glob("*-train.int32")).write_bytes(b"1234")
    with pytest.raises(UserError, match=r"`text` in 'text' is not there or damaged .*: remove the folder"):
        load_text(tmp_path / "text")
