"""States that are kept are those of the model, whole, and any that are not are made anew."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from infodil import recoverability
from infodil.ladder.state_store import load_states, open_store, save_states
from infodil.sources import iid

TYPES = 6
STATES = {"a": torch.arange(6.0).view(2, 3), "b/c": torch.ones(1, dtype=torch.float64)}


class Mixing(nn.Module):
    """A trace with a plain attribute, in a torch module."""

    def __init__(self, decay=0.9):
        super().__init__()
        torch.manual_seed(0)
        self.embedding, self.decay, self.calls = nn.Embedding(TYPES, 4), decay, 0

    def forward(self, tokens):
        Mixing.seen = getattr(Mixing, "seen", 0) + 1
        states, state = [], 0.0
        for vectors in self.embedding(tokens).unbind(1):
            state = self.decay * state + vectors
            states.append(state)
        return torch.stack(states, 1)


@pytest.fixture(scope="module")
def tokens():
    return iid(TYPES, documents=60, tokens=20, seed=1).tokens


def measure(model, tokens, **options):
    options = {"lags": [0, 1], "probes": ["gaussian"], "controls": False, "progress": False} | options
    return recoverability(model, tokens, sites=[""] if isinstance(model, nn.Module) else None, **options)


def entries(folder):
    return [path for path in Path(folder).glob("*/*") if not path.name.endswith(".partial")]


def test_an_entry_gives_back_what_it_was_given(tmp_path):
    save_states(tmp_path / "x", STATES)
    states = load_states(tmp_path / "x")
    assert states.keys() == STATES.keys() and all(torch.equal(states[name], STATES[name]) for name in STATES)
    assert list(load_states(tmp_path / "x", ["b/c"])) == ["b/c"]
    assert load_states(tmp_path / "y") is None
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize("damage", ["flip", "cut", "empty", "missing", "zeros", "index", "no index"])
def test_a_damaged_entry_is_removed(tmp_path, damage):
    save_states(tmp_path / "x", STATES)
    file = tmp_path / "x" / ("index.json" if "index" in damage else "0.npy")
    whole = file.read_bytes()
    if damage == "zeros":
        np.save(file, np.zeros((2, 3), dtype=np.float32))
    elif damage in ("missing", "no index"):
        file.unlink()
    else:
        file.write_bytes(
            {"cut": whole[:-4], "empty": b""}.get(damage, whole[:-3] + bytes([whole[-3] ^ 1]) + whole[-2:])
        )
    assert load_states(tmp_path / "x") is None
    assert not (tmp_path / "x").exists()
    save_states(tmp_path / "x", STATES)
    assert load_states(tmp_path / "x") is not None


def test_the_first_of_two_writers_keeps_its_entry(tmp_path):
    save_states(tmp_path / "x", STATES)
    save_states(tmp_path / "x", {"a": torch.zeros(1)})
    assert torch.equal(load_states(tmp_path / "x")["a"], STATES["a"])
    assert [path.name for path in tmp_path.iterdir()] == ["x"]


def test_what_a_killed_run_left_is_removed_and_what_a_running_one_writes_is_not(tmp_path):
    with open_store(tmp_path, "key", 0, costly=True) as store:
        pass
    code = "import os; print(os.getpid())"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    node = os.uname().nodename
    for process in (ended, os.getpid(), 1):
        (store / f"train-0-16.{node}.{process}.abcdef01.partial").mkdir()
    (store / f"train-0-16.elsewhere.{ended}.abcdef01.partial").mkdir()
    with open_store(tmp_path, "key", 0, costly=True) as store:
        left = sorted(path.name.split(".")[1:3] for path in store.iterdir())
    assert left == sorted([[node, str(os.getpid())], [node, "1"], ["elsewhere", ended]])


@pytest.mark.statistical
def test_a_cache_gives_the_same_report_and_is_used(tokens, tmp_path):
    plain = measure(Mixing(), tokens)
    Mixing.seen = 0
    first = measure(Mixing(), tokens, cache_dir=tmp_path)
    made, Mixing.seen = Mixing.seen, 0
    again = measure(Mixing(), tokens, cache_dir=tmp_path)
    used, Mixing.seen = Mixing.seen, 0
    assert first == again and first.rows == plain.rows and first.warnings == plain.warnings
    assert used < made  # the self-tests and the text view alone call the model


@pytest.mark.statistical
@pytest.mark.parametrize("change", ["attribute", "weight", "precision", "text", "site"])
def test_no_model_is_handed_the_states_of_another(tokens, tmp_path, change):
    measure(Mixing(), tokens, cache_dir=tmp_path)
    model, options, text = Mixing(0.1 if change == "attribute" else 0.9), {}, tokens
    if change == "weight":
        model.embedding.weight.data *= -2.0
    if change == "precision":
        options["precision"] = "int8"
    if change == "text":
        text = tokens.flip(0)
    sites = ["embedding"] if change == "site" else [""]
    options |= {"lags": [0, 1], "probes": ["gaussian"], "controls": False, "progress": False}
    cached = recoverability(model, text, sites=sites, cache_dir=tmp_path, **options)
    assert cached.rows == recoverability(model, text, sites=sites, **options).rows


@pytest.mark.statistical
def test_damaged_states_are_made_anew(tokens, tmp_path):
    whole = measure(Mixing(), tokens, cache_dir=tmp_path)
    for number, entry in enumerate(sorted(entries(tmp_path))):
        file = entry / "0.npy"
        content = file.read_bytes()
        file.write_bytes(content[:-8] + bytes(8) if number % 2 else content[: len(content) // 2])
    assert measure(Mixing(), tokens, cache_dir=tmp_path) == whole


@pytest.mark.statistical
def test_what_is_not_kept_is_said(tokens, tmp_path):
    class Own:
        vocabulary = TYPES

        def encode(self, tokens):
            return {"a": (tokens % 2).float()[..., None]}

    class Named(Own):
        def fingerprint(self):
            return "parity"

    report = measure(Own(), tokens, cache_dir=tmp_path)
    assert any("what decides the states of Own cannot be known" in sentence for sentence in report.warnings)
    assert not entries(tmp_path)
    assert not any("cache_dir" in sentence for sentence in measure(Own(), tokens).warnings)
    quick = measure("ema", tokens, cache_dir=tmp_path)
    assert any("made as fast as they are read" in sentence for sentence in quick.warnings)
    assert not any("cache_dir" in sentence for sentence in measure(Named(), tokens, cache_dir=tmp_path).warnings)
    assert entries(tmp_path)


@pytest.mark.statistical
def test_two_runs_share_a_cache(tokens, tmp_path):
    code = (
        "import sys; sys.path.insert(0, 'tests'); from test_state_store import Mixing, TYPES, measure\n"
        "from infodil.sources import iid\n"
        "report = measure(Mixing(), iid(TYPES, documents=60, tokens=20, seed=1).tokens, cache_dir=sys.argv[1])\n"
        "print([round(row['value_bits'], 9) for row in report.rows])"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    runs = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    printed = [run.communicate(timeout=300)[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0]
    assert printed[0] == printed[1] != ""
    assert not list(tmp_path.glob("*/*.partial"))


@pytest.mark.parametrize("when", [0, 1])
def test_a_full_disk_leaves_no_half_entry(tmp_path, monkeypatch, when):
    calls, save = [], np.save

    def full(*arguments, **options):
        calls.append(1)
        if len(calls) > when:
            raise OSError(28, "No space left on device")
        save(*arguments, **options)

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(OSError, match="No space left"):
        save_states(tmp_path / "x", STATES)
    assert not list(tmp_path.iterdir())
    monkeypatch.undo()
    save_states(tmp_path / "x", STATES)
    assert load_states(tmp_path / "x") is not None
