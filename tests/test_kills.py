"""A measurement that is killed at any moment takes up again, gives the same report, and leaves nothing behind."""

import os
import random
import resource
import signal

import pytest
import torch
from torch import nn

import infodil.scratch
from infodil import load_encoder, recoverability
from infodil.encoders import ENCODERS, Encoder
from infodil.sources import iid

KILLS = 3
"""Kills of each encoder, one after the other over one cache: 24 in all."""
TYPES = 6

pytestmark = [
    pytest.mark.statistical,
    pytest.mark.skipif(not hasattr(signal, "SIGPROF") or not hasattr(os, "fork"), reason="no timers of processor time"),
]


class Module(nn.Module):
    """A recurrent model whose states are worth keeping."""

    def __init__(self):
        super().__init__()
        self.embedding, self.rnn = nn.Embedding(TYPES, 4), nn.GRU(4, 4, batch_first=True)

    def forward(self, tokens):
        return self.rnn(self.embedding(tokens))[0]


class Own(Encoder):
    """An encoder of a caller's own, which says what decides its states."""

    vocabulary, sites = TYPES, ("parity",)

    def encode(self, tokens):
        return {"parity": torch.stack([tokens % 2, tokens // 2], -1).float().cumsum(1)}

    def fingerprint(self):
        return "parity"


def make(name):
    torch.manual_seed(0)
    if name == "module":
        return load_encoder(Module(), sites=["rnn", "rnn.hidden.1"])
    if name == "own":
        return Own()
    if name == "transformers":
        transformers = pytest.importorskip("transformers")
        shape = {
            "vocab_size": TYPES,
            "n_embd": 8,
            "n_layer": 2,
            "n_head": 2,
            "n_positions": 16,
            "bos_token_id": 0,
            "eos_token_id": 0,
        }
        return load_encoder(transformers.GPT2LMHeadModel(transformers.GPT2Config(**shape)))
    return name


def measure(name, cache):
    tokens = iid(TYPES, documents=40, tokens=16, seed=1)
    options = {"dim": 8} if name in ENCODERS else {}
    return recoverability(
        make(name), tokens, lags=[0, 1], probes=["gaussian"], cache_dir=cache, progress=False, batch_size=1, **options
    )  # fmt: skip


def killed_after(seconds, name, cache):
    """The measurement in a process of its own that ends, as by kill -9, after so much of its processor time."""
    child = os.fork()
    if child == 0:
        try:
            signal.signal(signal.SIGPROF, signal.SIG_DFL)  # the system ends the process: nothing of Python runs
            signal.setitimer(signal.ITIMER_PROF, seconds)
            measure(name, cache)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGPROF


@pytest.mark.parametrize("name", [*ENCODERS, "module", "own", "transformers"])
def test_a_killed_measurement_takes_up_again(tmp_path, monkeypatch, name):
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temporary"))
    monkeypatch.setattr(infodil.scratch, "YOUNG_SECONDS", -1.0)
    measure(name, tmp_path / "warm")  # what is done once in a process is not counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_utime
    whole = measure(name, tmp_path / "whole")
    seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime - before
    moments, kills = random.Random(name), 0
    for _ in range(4 * KILLS):  # a run that takes up again may end before its time
        kills += killed_after(seconds * moments.uniform(0.02, 0.7), name, tmp_path / "cache")
        if kills == KILLS:
            break
    assert kills == KILLS
    assert measure(name, tmp_path / "cache") == whole
    assert not list((tmp_path / "temporary").glob("infodil*"))
    if (tmp_path / "cache").exists():
        assert not list((tmp_path / "cache").rglob("*.partial"))
        entries, expected = (
            sorted(path.relative_to(tmp_path / folder) for path in (tmp_path / folder).rglob("*"))
            for folder in ("cache", "whole")
        )
        assert entries == expected
