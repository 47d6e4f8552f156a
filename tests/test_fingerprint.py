"""A fingerprint changes with everything that decides a result, and with nothing else."""

import copy
import functools
import subprocess
import sys
import threading

import numpy as np
import pytest
import torch
from torch import nn

from infodil.encoders import CombinedEncoder, ModuleEncoder, TraceEncoder, load_encoder
from infodil.fingerprint import fingerprint, structure

DECAY = 0.5


class Decaying(nn.Module):
    """A trace whose decay is a plain attribute."""

    def __init__(self, decay=0.9):
        super().__init__()
        self.decay = decay
        self.embedding = nn.Embedding(5, 3)
        self.register_buffer("mask", torch.ones(3), persistent=False)
        self.register_buffer("calls", torch.zeros(()))
        self.options = {"names": {"b", "a"}, "shape": (1, 2)}

    def forward(self, tokens):
        return scaled(self.embedding(tokens) * self.mask, self.decay)


def scaled(vectors, decay):
    return vectors * decay * DECAY


def made(**options):
    torch.manual_seed(0)
    return Decaying(**options)


def changed(name):
    module = made()
    if name == "attribute":
        module.decay = 0.1
    elif name == "parameter":
        module.embedding.weight.data[0, 0] += 1.0
    elif name == "type":
        module.embedding.weight.data = module.embedding.weight.data.double()
    elif name == "hidden buffer":
        module.mask[0] = 0.0
    elif name == "buffer without axes":
        module.calls += 1
    elif name == "nested attribute":
        module.options["names"].add("c")
    elif name == "submodule":
        module.embedding = nn.Sequential(module.embedding)
    elif name == "hook":
        module.embedding.register_forward_hook(lambda part, inputs, output: 2.0 * output)
    return module


CHANGES = ["attribute", "parameter", "type", "hidden buffer", "buffer without axes", "nested attribute"]


@pytest.mark.parametrize("name", [*CHANGES, "submodule", "hook"])
def test_whatever_decides_states_changes_the_fingerprint(name):
    same, other = made(), changed(name)
    assert fingerprint(made()) == fingerprint(same) == fingerprint(copy.deepcopy(same)) is not None
    assert fingerprint(other) not in (None, fingerprint(same))
    # The same of an encoder that listens to it.
    prints = [ModuleEncoder(module, "").fingerprint() for module in (same, other)]
    assert None not in prints and prints[0] != prints[1]


def test_code_and_the_globals_that_it_names_change_the_fingerprint(monkeypatch):
    before = fingerprint(made())
    monkeypatch.setitem(globals(), "DECAY", 0.25)
    other = fingerprint(made())
    monkeypatch.setitem(globals(), "scaled", lambda vectors, decay: vectors + decay)
    assert len({before, other, fingerprint(made())}) == 3
    monkeypatch.undo()
    assert fingerprint(made()) == before
    monkeypatch.setattr(Decaying, "forward", lambda self, tokens: self.embedding(tokens))
    assert fingerprint(made()) != before


def test_sites_are_part_of_an_encoder_s_fingerprint():
    module = made()
    assert ModuleEncoder(module, "").fingerprint() != ModuleEncoder(module, "embedding").fingerprint()


def test_the_structure_of_a_module_outlives_its_training():
    before = structure(made())
    for name in ("parameter", "hidden buffer", "buffer without axes"):
        assert structure(changed(name)) == before
    assert structure(made().train()) == structure(made().eval())
    for name in ("attribute", "type", "nested attribute", "submodule"):
        assert structure(changed(name)) != before


@pytest.mark.statistical
def test_a_fingerprint_is_the_same_in_every_process():
    code = (
        "import sys; sys.path.insert(0, 'tests'); import torch; from test_fingerprint import made;"
        "from infodil.fingerprint import fingerprint; print(fingerprint(made()))"
    )
    prints = {
        subprocess.run(
            [sys.executable, "-c", code], env={"PYTHONHASHSEED": seed, "PATH": ""}, capture_output=True, text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(prints) == 1 and len(prints.pop().strip()) == 64


@pytest.mark.parametrize(
    "unknown",
    [
        threading.Lock(),
        sys.__stderr__,
        (each for each in ()),
        np.array([object()]),
        torch.zeros(2, device="meta"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_cannot_be_known_has_no_fingerprint(unknown):
    assert fingerprint({"a": [unknown]}) is None
    module = made()
    module.held = unknown
    assert ModuleEncoder(module, "").fingerprint() is None
    encoders = {"one": TraceEncoder(5), "other": load_encoder(module, sites="", vocabulary=5)}
    assert CombinedEncoder(encoders).fingerprint() is None


@pytest.mark.statistical
def test_values_of_every_kind():
    class Slotted:
        __slots__ = ("a",)

        def __init__(self, a):
            self.a = a

    pairs = [
        (1, 1.0), (True, 1), ("a", b"a"), ((1, 2), [1, 2]), ({1, 2}, {1, 3}), ({"a": 1}, {"a": 2}), (None, 0),
        (np.float32(1), np.float64(1)), (np.zeros(2), np.zeros((1, 2))), (torch.zeros(2), torch.zeros(1, 2)),
        (torch.float16, torch.bfloat16), (Slotted(1), Slotted(2)), (np.random.default_rng(0), np.random.default_rng(1)),
        (functools.partial(int, base=2), functools.partial(int, base=3)), (range(3), range(4)), (max, min),
        (made().forward, made().extra_repr), (1j, 2j), (torch.tensor(1 + 1j), torch.tensor(1 - 1j)),
        (torch.ones(2, 3).T, torch.ones(2, 3)), (["ab", "c"], ["a", "bc"]),
    ]  # fmt: skip
    for first, second in pairs:
        assert fingerprint(first) == fingerprint(copy.copy(first)) is not None
        assert fingerprint(first) != fingerprint(second), (first, second)


def test_a_thing_that_holds_itself_is_walked_once():
    first, second = [1], [1]
    first.append(first)
    second.append(second)
    assert fingerprint(first) == fingerprint(second) != fingerprint([1, [1]])


@pytest.mark.statistical
def test_a_copied_folder_is_the_same_model_and_another_configuration_is_not(tmp_path):
    transformers = pytest.importorskip("transformers")
    shape = {"vocab_size": 20, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
    torch.manual_seed(0)
    config = transformers.LlamaConfig(**shape, intermediate_size=8, bos_token_id=0, eos_token_id=0)
    model = transformers.LlamaForCausalLM(config)
    for folder in ("a", "b"):
        model.save_pretrained(tmp_path / folder)
    text = (tmp_path / "b" / "config.json").read_text()
    first, same = (load_encoder(tmp_path / folder).fingerprint() for folder in ("a", "b"))
    assert first is not None and first == same
    assert '"rope_theta": 10000.0' in text
    (tmp_path / "b" / "config.json").write_text(text.replace('"rope_theta": 10000.0', '"rope_theta": 100.0'))
    assert load_encoder(tmp_path / "b").fingerprint() not in (None, first)
