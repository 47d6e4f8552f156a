"""Learned weights over depth: DenseFormer's averages and hyper-connections, by default as they are initialised."""

__all__ = ["Dense", "Hyper"]

from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from infodil.accumulation.accumulator import Accumulator, WeightedMessages
from infodil.accumulation.rule import Rule
from infodil.checks import UserError, check_whole


@dataclass(frozen=True, eq=False)
class Dense(Rule):
    r"""DenseFormer's depth-weighted average: :math:`h_L = \sum_{l \le L} A_{L,l}\, v_l` with learned weights A.

    Reference:
        Pagliardini et al., DenseFormer: Enhancing Information Flow in Transformers via Depth Weighted Averaging (2024),
        https://arxiv.org/abs/2402.02622
    """

    name = "dense"
    summary = "DenseFormer's learned weights of every message at every depth"
    kind = "learned"

    table: Float[Tensor, "layers layers"] | None = None
    """Trained weights A; by default the initialisation, at which the stream is the plain sum."""

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The weighted messages at each depth; weights of later messages count as zero."""
        layers = messages.shape[1]
        table = torch.ones(layers, layers) if self.table is None else self.table
        if tuple(table.shape) != (layers, layers):
            raise UserError(
                f"`table` must have shape {[layers, layers]}, got {list(table.shape)}: pass one row a layer."
            )
        return torch.einsum("Ll,rld->rLd", table.tril().to(messages), messages)

    def trainable(self, layers: int, dim: int) -> "DenseAccumulator":
        """A weight for each pair of a message and a depth, from one."""
        return DenseAccumulator(layers)


@dataclass(frozen=True, eq=False)
class Hyper(Rule):
    r"""Static hyper-connections: n streams, :math:`H_L = M H_{L-1} + b\, v_L^\top`, read as their mean.

    Reference:
        Zhu et al., Hyper-Connections (2024), https://arxiv.org/abs/2409.19606
    """

    name = "hyper"
    summary = "hyper-connections: several streams with learned mixing, read as their mean"
    kind = "learned"

    streams: int = 4
    """Number of streams."""
    mixing: Float[Tensor, "streams streams"] | None = None
    """Trained mixing M of the streams in every layer; by default the initialisation, the identity."""
    write: Float[Tensor, "streams"] | None = None
    """Trained weight b of a message in each stream; by default the initialisation, one."""

    def __post_init__(self) -> None:
        check_whole("streams", self.streams, 1, "pass the number of streams")
        for name, value, shape in (
            ("mixing", self.mixing, (self.streams, self.streams)),
            ("write", self.write, (self.streams,)),
        ):
            if value is not None and tuple(value.shape) != shape:
                raise UserError(f"`{name}` must have shape {list(shape)}, got {list(value.shape)}: pass one a stream.")

    def accumulate(self, messages: Float[Tensor, "rows layers dim"]) -> Float[Tensor, "rows layers dim"]:
        """The mean of the streams after each layer."""
        mixing = (torch.eye(self.streams) if self.mixing is None else self.mixing).to(messages)
        write = (torch.ones(self.streams) if self.write is None else self.write).to(messages)
        streams, states = messages.new_zeros(len(messages), self.streams, messages.shape[2]), []
        for message in messages.unbind(1):
            streams = mixing @ streams + write[:, None] * message[:, None]
            states.append(streams.mean(1))
        return torch.stack(states, 1)

    def trainable(self, layers: int, dim: int) -> "HyperAccumulator":
        """Mixing and weights of all layers, from the identity and one."""
        return HyperAccumulator(self.streams)


class DenseAccumulator(WeightedMessages):
    """DenseFormer's weights as parameters, row after row of the lower triangle.

    Args:
        layers: Number of messages.
    """

    def __init__(self, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.weight = nn.Parameter(torch.ones(layers * (layers + 1) // 2))

    def row(self, layer: int) -> Float[Tensor, "messages"]:
        """A row of the triangle."""
        begin = layer * (layer + 1) // 2
        return self.weight[begin : begin + layer + 1]

    def rule(self) -> Dense:
        """The learned weights."""
        weight = self.weight.detach().cpu()
        table = weight.new_zeros(self.layers, self.layers)
        rows, columns = torch.tril_indices(self.layers, self.layers)
        table[rows, columns] = weight
        return Dense(table=table)


class HyperAccumulator(Accumulator):
    """Mixing and weights of hyper-connections as parameters, the same in all layers.

    Args:
        streams: Number of streams.
    """

    def __init__(self, streams: int) -> None:
        super().__init__()
        self.mixing = nn.Parameter(torch.eye(streams))
        self.write = nn.Parameter(torch.ones(streams))

    def forward(
        self, layer: int, message: Float[Tensor, "*rows dim"], memory: Tensor | None
    ) -> tuple[Float[Tensor, "*rows dim"], Tensor]:
        """The mean of the streams, and the streams."""
        written = self.write[:, None] * message[..., None, :]
        streams = written if memory is None else self.mixing @ memory + written
        return streams.mean(-2), streams

    def rule(self) -> Hyper:
        """The learned mixing and weights."""
        return Hyper(streams=len(self.write), mixing=self.mixing.detach(), write=self.write.detach())
