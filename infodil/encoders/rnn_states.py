"""The states of `torch.nn.LSTM`, `GRU` and `RNN` at every layer and token, from what goes into them."""

__all__ = ["layer_states", "listen_to_rnns"]

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.encoders.recording import Recording


@contextmanager
def listen_to_rnns(
    recording: Recording, parts: Mapping[str, nn.Module], wanted: set[str] | None = None
) -> Iterator[None]:
    """Record `name.hidden.N` and `name.cell.N` of every recurrent module of torch, layers from 1.

    Args:
        recording: Recording that the states are added to.
        parts: Submodules by name.
        wanted: Names to record; all by default.
    """
    handles = []
    try:
        for name, part in parts.items():
            if isinstance(part, nn.RNNBase) and not part.bidirectional:
                handles.append(part.register_forward_hook(partial(add_states, recording, name, wanted)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def add_states(
    recording: Recording, name: str, wanted: set[str] | None, part: nn.RNNBase, inputs: tuple, output: object
) -> None:
    """A forward hook: the states of every layer, where any of them is wanted."""
    kinds = ("hidden", "cell") if isinstance(part, nn.LSTM) else ("hidden",)
    names = [[f"{name}.{kind}.{layer + 1}" for kind in kinds] for layer in range(part.num_layers)]
    unwanted = wanted is not None and wanted.isdisjoint(site for of_layer in names for site in of_layer)
    if unwanted or not inputs or not isinstance(inputs[0], Tensor):
        return
    states = layer_states(part, inputs[0], inputs[1] if len(inputs) > 1 else None)
    for of_layer, tensors in zip(names, states, strict=True):
        for site, tensor in zip(of_layer, tensors, strict=True):
            recording.add(site, tensor)


@torch.no_grad()
def layer_states(
    rnn: nn.RNNBase, inputs: Float[Tensor, "..."], initial: Tensor | tuple[Tensor, Tensor] | None = None
) -> list[tuple[Tensor, ...]]:
    r"""Hidden states of each layer after every token, and cells of an LSTM, with the axes of the inputs.

    Layers are run one by one. The cell follows from the hidden states, which are known then:
    :math:`c_t = f_t \odot c_{t-1} + i_t \odot g_t` with gates of :math:`x_t` and :math:`h_{t-1}`.

    Args:
        rnn: Recurrent module that reads in one direction.
        inputs: What the module was called with.
        initial: Initial states that it was called with, `[layers, documents, dim]`; zeros by default.

    Returns:
        For each layer the hidden states, and the cells of an LSTM.

    Reference:
        Hochreiter and Schmidhuber (1997), Long short-term memory; Sak et al. (2014) for projected hidden states.
    """
    found = []
    for number in range(rnn.num_layers):
        layer = one_layer(rnn, number)
        begin = None if initial is None else pick(initial, number)
        hidden = layer(inputs, begin)[0]
        found.append((hidden, cells(layer, inputs, hidden, begin)) if isinstance(rnn, nn.LSTM) else (hidden,))
        inputs = hidden
    return found


def pick(initial: Tensor | tuple[Tensor, Tensor], layer: int) -> Tensor | tuple[Tensor, ...]:
    """The initial state of one layer."""
    if isinstance(initial, tuple):
        return tuple(part[layer : layer + 1] for part in initial)
    return initial[layer : layer + 1]


def one_layer(rnn: nn.RNNBase, number: int) -> nn.RNNBase:
    """A recurrent module of one layer that shares the weights of one layer of another."""
    size = rnn.input_size if number == 0 else (rnn.proj_size or rnn.hidden_size)
    options = {"bias": rnn.bias, "batch_first": rnn.batch_first, "device": "meta"}
    if isinstance(rnn, nn.LSTM):
        options["proj_size"] = rnn.proj_size
    if isinstance(rnn, nn.RNN):
        options["nonlinearity"] = rnn.nonlinearity
    kind = next(kind for kind in (nn.LSTM, nn.GRU, nn.RNN) if isinstance(rnn, kind))
    layer = kind(size, rnn.hidden_size, **options)
    for name in [name for name, _ in layer.named_parameters()]:
        setattr(layer, name, getattr(rnn, name.replace("_l0", f"_l{number}")))
    return layer.eval()


def cells(
    layer: nn.LSTM, inputs: Float[Tensor, "..."], hidden: Float[Tensor, "..."], initial: tuple[Tensor, ...] | None
) -> Float[Tensor, "..."]:
    """The cell of one LSTM layer after every token, from its inputs and hidden states."""
    axis = 1 if layer.batch_first and inputs.dim() == 3 else 0
    first = torch.zeros_like(hidden.narrow(axis, 0, 1)) if initial is None else initial[0].movedim(0, axis)
    before = torch.cat([first, hidden.narrow(axis, 0, hidden.shape[axis] - 1)], axis)
    biases = (layer.bias_ih_l0, layer.bias_hh_l0) if layer.bias else (None, None)
    gates = nn.functional.linear(inputs, layer.weight_ih_l0, biases[0])
    gates = gates + nn.functional.linear(before, layer.weight_hh_l0, biases[1])
    write, keep, new, _ = gates.chunk(4, -1)
    write, keep = write.sigmoid() * new.tanh(), keep.sigmoid()
    cell = torch.zeros_like(write.select(axis, 0)) if initial is None else initial[1][0]
    found = []
    for factor, added in zip(keep.unbind(axis), write.unbind(axis), strict=True):
        cell = factor * cell + added
        found.append(cell)
    return torch.stack(found, axis)
