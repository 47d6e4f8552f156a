"""Any torch module is read right, or refused in one sentence, and comes back as it was."""

import copy
import dataclasses
import threading

import pytest
import torch
from torch import nn

from infodil.checks import UserError
from infodil.encoders import ModuleEncoder, load_encoder, record, self_test
from infodil.testing import check_encoder

TYPES, DIM = 7, 6
TOKENS = torch.randint(TYPES, (4, 9), generator=torch.Generator().manual_seed(0))


class Base(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(TYPES, DIM)


class CellLoop(Base):
    """A cell called once for each token."""

    def __init__(self, kind=nn.GRUCell):
        super().__init__()
        self.cell = kind(DIM, DIM)

    def forward(self, tokens):
        vectors, state, states = self.embedding(tokens), None, []
        for place in range(tokens.shape[1]):
            state = self.cell(vectors[:, place], state)
            states.append(state[0] if isinstance(state, tuple) else state)
        return torch.stack(states, 1)


def test_calls_once_a_token_are_stacked():
    module = CellLoop()
    encoder = ModuleEncoder(module, ["cell", ""])
    states = encoder.encode(TOKENS)
    assert torch.equal(states["cell"], states[""]) and states["cell"].shape == (4, 9, DIM)
    check_encoder(encoder)
    lstm = ModuleEncoder(CellLoop(nn.LSTMCell), ["cell[0]", "cell[1]", ""])
    states = lstm.encode(TOKENS)
    assert torch.equal(states["cell[0]"], states[""]) and not torch.equal(states["cell[1]"], states[""])
    with pytest.raises(
        UserError, match=r"`sites` has 'cell', whose output holds several states: name one, of 'cell\[0\]'"
    ):
        ModuleEncoder(CellLoop(nn.LSTMCell), "cell")


class Turned(Base):
    """An output with its axes in some order, and more of them."""

    def __init__(self, change):
        super().__init__()
        self.part = Function(change)

    def forward(self, tokens):
        return self.part(self.embedding(tokens).cumsum(1))


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function

    def forward(self, *values):
        return self.function(*values)


def sums(tokens=TOKENS):
    module = Base()
    return module.embedding(tokens).detach().cumsum(1)


@dataclasses.dataclass
class Output:
    state: torch.Tensor
    loss: float = 0.0


EXPECTED = {
    "tokens first": (lambda x: x.transpose(0, 1), lambda x: x),
    "channels first": (lambda x: x.transpose(1, 2), lambda x: x),
    "channels and tokens before documents": (lambda x: x.permute(2, 1, 0), lambda x: x),
    "further axes": (lambda x: x.unflatten(2, (3, 2)), lambda x: x),
    "heads before tokens": (lambda x: x.unflatten(2, (3, 2)).movedim(2, 1), lambda x: x),
    "no axis of numbers": (lambda x: x[..., 0], lambda x: x[..., :1]),
    "complex": (lambda x: torch.complex(x[..., :3], x[..., 3:]), lambda x: x.unflatten(2, (2, 3)).mT.flatten(2)),
    "spikes": (lambda x: x > 0, lambda x: (x > 0).float()),
    "whole numbers": (lambda x: x.round().long(), lambda x: x.round().double()),
    "first of a tuple": (lambda x: (x, x.mean()), lambda x: x),
    "second of a tuple": (lambda x: (None, x), lambda x: x),
    "a dictionary": (lambda x: {"loss": x.mean(), "state": x}, lambda x: x),
    "a dataclass": (lambda x: Output(x), lambda x: x),
    "half precision": (lambda x: x.half(), lambda x: x.half()),
}


@pytest.mark.parametrize("shape", [(4, 9), (6, 6), (2, 6), (1, 1), (6, 2)])
@pytest.mark.parametrize("name", EXPECTED)
def test_axes_and_entries_are_found(name, shape):
    change, expected = EXPECTED[name]
    tokens = torch.randint(TYPES, shape, generator=torch.Generator().manual_seed(1))
    encoder = ModuleEncoder(Turned(change), "part")
    assert torch.equal(encoder.encode(tokens)["part"], expected(sums(tokens)))
    self_test(encoder)


@pytest.mark.parametrize("entry", ["[1]", "[state]", "['state']", "[1][0]"])
def test_an_entry_is_named(entry):
    outputs = {
        "[1]": lambda x: (x, 2 * x),
        "[state]": lambda x: {"out": x, "state": 2 * x},
        "['state']": lambda x: {"out": x, "state": 2 * x},
        "[1][0]": lambda x: (x, (2 * x, x)),
    }
    encoder = load_encoder(Turned(outputs[entry]), sites=f"part{entry}")
    assert encoder.sites == (f"part{entry}".replace("'", ""),)
    assert torch.equal(encoder.encode(TOKENS)[encoder.sites[0]], 2 * sums())
    with pytest.raises(UserError, match=r"`sites` has 'part', whose output holds several states: name one, of 'part\["):
        load_encoder(Turned(outputs[entry]), sites="part")
    with pytest.raises(UserError, match=r"`sites` has 'part\[7\]', and the entries of this output are 'part\["):
        load_encoder(Turned(outputs[entry]), sites="part[7]")


def test_operations_in_place_do_not_reach_the_states():
    class Adding(Base):
        def __init__(self):
            super().__init__()
            self.mix, self.act = nn.GRU(DIM, DIM, batch_first=True), nn.ReLU(inplace=True)
            self.linear = nn.Linear(DIM, DIM)

        def forward(self, tokens):
            x = self.embedding(tokens)
            x += self.mix(x)[0]
            return self.act(self.linear(x))

    module = Adding()
    states = ModuleEncoder(module, ["embedding", "linear"]).encode(TOKENS)
    vectors = module.embedding(TOKENS)
    torch.testing.assert_close(states["embedding"], vectors.detach())
    torch.testing.assert_close(states["linear"], module.linear(vectors + module.mix(vectors)[0]).detach())
    assert bool((states["linear"] < 0).any())


def test_a_block_called_several_times_has_a_site_for_each_call():
    class Looped(Base):
        def __init__(self):
            super().__init__()
            self.block = nn.Linear(DIM, DIM)

        def forward(self, tokens):
            x = self.embedding(tokens)
            for _ in range(3):
                x = self.block(x)
            return x

    encoder = ModuleEncoder(Looped(), ["block", ""])
    assert encoder.sites == ("", "block#1", "block#2", "block#3")
    states = encoder.encode(TOKENS)
    assert torch.equal(states["block#3"], states[""]) and not torch.equal(states["block#1"], states["block#2"])


def test_a_value_of_the_forward_is_recorded_by_one_line():
    class Scanned(Base):
        def forward(self, tokens):
            states = record(self.embedding(tokens).cumsum(1), "scan")
            for place in range(tokens.shape[1]):
                record(states[:, place] ** 2, "steps")
            return states.mean(1)

    encoder = load_encoder(Scanned(), sites=["scan", "steps"])
    states = encoder.encode(TOKENS)
    assert torch.equal(states["scan"], sums()) and torch.equal(states["steps"], sums() ** 2)
    with pytest.raises(UserError, match=r"`sites` has 'scann', which the model does not have: did you mean 'scan'\?"):
        load_encoder(Scanned(), sites="scann")
    assert Scanned()(TOKENS).shape == (4, DIM)


def test_patterns_leave_out_what_is_never_called():
    class Holding(Base):
        def __init__(self):
            super().__init__()
            self.layers = nn.ModuleList(nn.Linear(DIM, DIM) for _ in range(3))

        def forward(self, tokens):
            return self.layers[2](self.layers[0](self.embedding(tokens)))

    assert ModuleEncoder(Holding(), "layers.*").sites == ("layers.0", "layers.2")
    for wanted in ("layers.1", "layers"):
        with pytest.raises(UserError, match=f"`sites` has '{wanted}', which the model never called"):
            ModuleEncoder(Holding(), wanted)
    with pytest.raises(UserError, match=r"`sites` has 'layers.\[1\]', which matches no submodule that the model calls"):
        ModuleEncoder(Holding(), "layers.[1]")


def test_further_arguments_and_the_name_of_the_ids():
    class Asking(Base):
        def forward(self, *, ids, scale):
            return scale * self.embedding(ids).cumsum(1)

    encoder = load_encoder(Asking(), sites="", inputs="ids", forward_options={"scale": 2.0})
    assert torch.equal(encoder.encode(TOKENS)[""], 2 * sums())
    message = r"`model` failed on token ids of shape \(2, 3\) \(TypeError: .*\): pass inputs= with the name"
    with pytest.raises(UserError, match=message) as caught:
        load_encoder(Asking(), sites="")
    assert "\n" not in str(caught.value)


def test_the_vocabulary_is_that_of_the_embedding_that_reads_the_ids():
    class Placed(nn.Module):
        def __init__(self):
            super().__init__()
            self.place, self.embedding = nn.Embedding(12, DIM), nn.Embedding(TYPES, DIM)

        def forward(self, tokens):
            return self.embedding(tokens) + self.place(torch.arange(tokens.shape[1]))

    assert ModuleEncoder(Placed(), "").vocabulary == TYPES


def test_weights_that_are_not_loaded_are_told():
    with pytest.raises(UserError, match=r"`model` has its weights .* on the meta device: load them first"):
        ModuleEncoder(Base().to("meta"), "embedding")


@pytest.mark.statistical
def test_a_compiled_module_keeps_the_names_of_its_submodules():
    module = CellLoop()
    compiled = torch.compile(copy.deepcopy(module))
    states = ModuleEncoder(compiled, "cell").encode(TOKENS)["cell"]
    assert torch.equal(states, ModuleEncoder(module, "cell").encode(TOKENS)["cell"])


class Restless(Base):
    """Changes its own weights, buffers and attributes while it runs in evaluation mode."""

    def __init__(self):
        super().__init__()
        self.halved, self.state, self.counts = False, None, 0
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, tokens):
        if not self.training and not self.halved:
            self.embedding.weight.data.div_(2.0)
            self.halved = True
        self.calls += 1
        self.counts += 1
        vectors = self.embedding(tokens)
        self.state = vectors if self.state is None else self.state[:1, :1] + vectors
        return self.state


@pytest.mark.parametrize("training", [True, False])
def test_a_module_that_changes_itself_comes_back_bit_for_bit(training):
    module = Restless().train(training)
    before, attributes = copy.deepcopy(module.state_dict()), dict(vars(module))
    encoder = ModuleEncoder(module, "")
    first, again = encoder.encode(TOKENS)[""], encoder.encode(TOKENS)[""]
    assert torch.equal(first, again) and torch.equal(first, module.embedding(TOKENS).detach() / 2)
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    assert {name: vars(module)[name] for name in attributes} == attributes
    module.eval()(TOKENS)  # now it is halved by its user, and stays so
    halved = copy.deepcopy(module.state_dict())
    ModuleEncoder(module, "embedding").encode(TOKENS)
    assert all(torch.equal(value, halved[name]) for name, value in module.state_dict().items())


@pytest.mark.statistical
def test_threads_that_share_a_module_do_not_disturb_each_other():
    module = CellLoop().train()
    module.dropout = nn.Dropout(0.5)
    expected = ModuleEncoder(module, "cell").encode(TOKENS)["cell"]
    wrong = []

    def read():
        encoder = ModuleEncoder(module, "cell")
        for _ in range(20):
            if not torch.equal(encoder.encode(TOKENS)["cell"], expected) or len(module.cell._forward_hooks) > 1:
                wrong.append(1)

    threads = [threading.Thread(target=read) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong and all(part.training for part in module.modules())
    assert not any(part._forward_hooks for part in module.modules())


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16])
def test_the_caller_s_default_dtype_does_not_matter(dtype):
    names = ("ema", "shift_register", "gru", "attention")
    expected = {name: load_encoder(name, vocabulary=TYPES, dim=8).encode(TOKENS) for name in names}
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        for name, states in expected.items():
            other = load_encoder(name, vocabulary=TYPES, dim=8).encode(TOKENS)
            assert all(torch.equal(states[site], state) for site, state in other.items()), name
    finally:
        torch.set_default_dtype(before)


class Recurrent(Base):
    """A recurrent module of torch, with documents or tokens first and a state to begin with."""

    def __init__(self, kind, batch_first=True, begun=False, **options):
        super().__init__()
        self.rnn = kind(DIM, 5, 3, batch_first=batch_first, dropout=0.5, **options)
        self.batch_first, self.begun = batch_first, begun

    def forward(self, tokens):
        vectors = self.embedding(tokens)
        vectors = vectors if self.batch_first else vectors.transpose(0, 1)
        if not self.begun:
            return self.rnn(vectors)[0]
        hidden, cell = (0.5 * torch.ones(3, len(tokens), size) for size in (self.rnn.proj_size or 5, 5))
        return self.rnn(vectors, (hidden, cell) if isinstance(self.rnn, nn.LSTM) else hidden)[0]


RNNS = {
    "LSTM": (nn.LSTM, {}), "GRU": (nn.GRU, {}), "RNN": (nn.RNN, {}), "ReLU": (nn.RNN, {"nonlinearity": "relu"}),
    "projected": (nn.LSTM, {"proj_size": 2}), "no bias": (nn.LSTM, {"bias": False}),
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:LSTM with projections")
@pytest.mark.parametrize("begun", [False, True])
@pytest.mark.parametrize("batch_first", [False, True])
@pytest.mark.parametrize("name", RNNS)
def test_the_states_of_a_recurrent_module_are_those_of_single_steps(name, batch_first, begun):
    kind, options = RNNS[name]
    module = Recurrent(kind, batch_first, begun, **options).train()
    kinds = ("hidden", "cell") if kind is nn.LSTM else ("hidden",)
    encoder = load_encoder(module, sites=["rnn", *(f"rnn.{each}.*" for each in kinds)])
    assert set(encoder.sites) == {"rnn", *(f"rnn.{each}.{layer}" for each in kinds for layer in (1, 2, 3))}
    states = encoder.encode(TOKENS)
    assert torch.equal(states["rnn"], states["rnn.hidden.3"])
    assert {encoder.kind_of_site(site) for site in encoder.sites} == {"module", "recurrent"}
    # The states that torch itself gives back after the first tokens, for each number of them.
    rnn = copy.deepcopy(module.rnn).eval()
    rnn.batch_first = True
    begin = None
    if begun:
        begin = tuple(0.5 * torch.ones(3, len(TOKENS), size) for size in (rnn.proj_size or 5, 5))
        begin = begin if kind is nn.LSTM else begin[0]
    with torch.no_grad():
        for length in range(1, TOKENS.shape[1] + 1):
            last = rnn(module.embedding(TOKENS[:, :length]), begin)[1]
            for each, expected in zip(kinds, last if kind is nn.LSTM else (last,), strict=True):
                for layer in range(3):
                    found = states[f"rnn.{each}.{layer + 1}"][:, length - 1]
                    torch.testing.assert_close(found, expected[layer], rtol=1e-5, atol=1e-6)
    check_encoder(encoder)


def test_a_recurrent_module_of_two_directions_has_no_states_by_layer():
    module = Recurrent(nn.GRU, bidirectional=True)
    with pytest.raises(UserError, match=r"`sites` has 'rnn.hidden.1', which the model does not have"):
        load_encoder(module, sites="rnn.hidden.1")
