"""Families whose states are read from the model's own cache, one token at a time."""

__all__ = ["CachedStates", "FlashStates", "MiniMaxStates", "SteppedStates", "XLSTMStates"]

import inspect
from abc import abstractmethod
from collections.abc import Collection
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.encoders.recurrent.contract import BlockStates, RecurrentStates


class SteppedStates(RecurrentStates):
    """States that a model's cache holds after each token, fed one at a time; each is copied before the next."""

    route = "single steps"
    argument = "past_key_values"
    """Name of the cache among the model's arguments and outputs."""

    def read(self, tokens: Int[Tensor, "documents tokens"], wanted: Collection[int]) -> dict[int, BlockStates]:
        """States of the wanted blocks, step by step."""
        states: dict[int, BlockStates] = {}
        cache = None
        for position in range(tokens.shape[1]):
            _, cache = self.run(tokens[:, position : position + 1], position, cache)
            for block, parts in self.kept(cache).items():
                if block not in wanted:
                    continue
                for part, state in parts.items():
                    rows = states.setdefault(block, {})
                    if part not in rows:
                        rows[part] = state.new_empty(len(state), tokens.shape[1], *state.shape[1:])
                    rows[part][:, position] = state
        return states

    def after(self, tokens: Int[Tensor, "documents tokens"]) -> dict[int, BlockStates]:
        """States after one pass over all tokens."""
        return self.kept(self.run(tokens, 0, None)[1])

    def run(self, tokens: Int[Tensor, "documents tokens"], first: int, cache: Any) -> tuple[Tensor, Any]:
        """The last hidden states of some tokens, the first of them at a given position, and the cache after them."""
        options: dict[str, Any] = {} if cache is None else {self.argument: cache}
        parameters = inspect.signature(self.module.forward).parameters
        if "position_ids" in parameters or "kwargs" in parameters:
            options["position_ids"] = torch.arange(first, first + tokens.shape[1], device=tokens.device).expand(
                len(tokens), -1
            )
        output = self.module(input_ids=tokens, use_cache=True, **options)
        return output.last_hidden_state, getattr(output, self.argument)

    def check_path(self, tokens: Int[Tensor, "documents tokens"]) -> None:
        """Compare what the model makes of single steps with what it makes of one pass without a cache."""
        steps, cache = [], None
        for position in range(tokens.shape[1]):
            hidden, cache = self.run(tokens[:, position : position + 1], position, cache)
            steps.append(hidden)
        whole = self.module(input_ids=tokens, use_cache=False).last_hidden_state
        self.compare("output", torch.cat(steps, 1), whole)

    @abstractmethod
    def kept(self, cache: Any) -> dict[int, BlockStates]:
        """States that a cache holds now, `[documents, ...]`; the next step may overwrite them."""


class CachedStates(SteppedStates):
    """Linear-attention layers of transformers' own cache: gated delta nets, KDA, gated short convolutions and others.

    Qwen3-Next, Qwen3.5, OLMo-Hybrid, Kimi-Linear, Bailing-hybrid, Zaya; the windows of LFM2, LFM3 and Inkling.
    """

    family = "linear attention"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether the configuration names layers that keep a state of fixed size, or a block has a convolution."""
        named = any(any(word in kind for word in ("linear", "conv", "hybrid")) for kind in layer_types(module))
        return named or any(isinstance(part, nn.Conv1d) for part in blocks.modules())

    def kept(self, cache: Any) -> dict[int, BlockStates]:
        """The recurrent and convolutional tensors of each layer of the cache."""
        states = {}
        for block, layer in enumerate(cache.layers):
            parts = named("recurrent", getattr(layer, "recurrent_states", {}))
            parts |= named("conv", getattr(layer, "conv_states", {}))
            if parts:
                states[block] = parts
        return states


class FlashStates(SteppedStates):
    """Models of flash-linear-attention, whose cache has a dictionary a layer; what its attention keeps is left out.

    RetNet, GLA, HGRN2, RWKV-6 and 7, DeltaNet, Gated DeltaNet, KDA and others. A matrix of a head has keys or values
    first, as the layer keeps it.

    Reference:
        Yang and Zhang (2024), FLA: a Triton-based library for hardware-efficient implementations of linear attention.
    """

    family = "flash linear attention"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether the model's code is that package's."""
        return type(module).__module__.partition(".")[0] == "fla"

    def kept(self, cache: Any) -> dict[int, BlockStates]:
        """The recurrent and convolutional tensors of each layer of the cache."""
        states = {}
        for block, layer in enumerate(cache):
            parts: BlockStates = {}
            for kind in ("recurrent", "conv"):
                state = (layer or {}).get(f"{kind}_state")
                tensors = [state] if isinstance(state, Tensor) else list(state or ())
                parts |= named(kind, dict(enumerate(tensors)))
            if parts:
                states[block] = parts
        return states


class MiniMaxStates(SteppedStates):
    """Lightning attention: one matrix a head, in a cache of MiniMax's own."""

    family = "lightning attention"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether a block has lightning attention."""
        return any("LightningAttention" in type(part).__name__ for part in blocks.modules())

    def kept(self, cache: Any) -> dict[int, BlockStates]:
        """The matrices of the linear layers."""
        states = enumerate(cache.linear_cache)
        return {block: {"recurrent": state} for block, state in states if isinstance(state, Tensor)}


class XLSTMStates(SteppedStates):
    """mLSTM of xLSTM: matrix memory, normaliser, and the running maximum that both are scaled by."""

    family = "xLSTM"
    argument = "cache_params"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether a block has an mLSTM layer."""
        return any("mLSTM" in type(part).__name__ or "mlstm" in name for name, part in blocks.named_modules())

    def kept(self, cache: Any) -> dict[int, BlockStates]:
        """The three tensors of each block, one line a head."""
        names = ("recurrent.memory", "recurrent.normaliser", "recurrent.maximum")
        return {block: dict(zip(names, state, strict=True)) for block, state in cache.rnn_state.items()}


def layer_types(module: nn.Module) -> list[str]:
    """Types of the layers by the configuration, none where it does not say."""
    config = module.config.get_text_config()
    kinds = getattr(config, "layer_types", None) or getattr(config, "layers_block_type", None) or ()
    return [str(kind) for kind in kinds]


def named(kind: str, tensors: dict[int, Tensor | None]) -> BlockStates:
    """The tensors of one kind that a layer holds: numbered from 1 where there are several."""
    held = [tensor for _, tensor in sorted(tensors.items()) if tensor is not None]
    return {kind: held[0]} if len(held) == 1 else {f"{kind}.{1 + n}": tensor for n, tensor in enumerate(held)}
