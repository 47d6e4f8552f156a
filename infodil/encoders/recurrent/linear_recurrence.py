"""Diagonal linear recurrences whose states stand in one pass: RWKV-4, and the RG-LRU of RecurrentGemma."""

__all__ = ["RWKVStates", "RecurrentGemmaStates"]

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from jaxtyping import Int
from torch import Tensor, nn

from infodil.encoders.recurrent.contract import BlockStates
from infodil.encoders.recurrent.one_pass import OnePassStates, entering, hooks, python_modules, replaced, windows

RWKV_FUNCTION = "rwkv_linear_attention"
PARTS = ("recurrent.numerator", "recurrent.denominator", "recurrent.maximum")


class RWKVStates(OnePassStates):
    r"""Attention of RWKV-4: weighted sums of values and of weights, both relative to a running maximum of exponents.

    The sums are :math:`a_t e^{m_t} = e^{w} a_{t-1} e^{m_{t-1}} + e^{k_t} v_t` and the same for the weights alone; kept
    are a, its denominator and m. The token shifts of both mixers remember one input each: they are the `conv` sites.

    Reference:
        Peng et al. (2023), RWKV, arXiv 2305.13048, appendix D.
    """

    family = "RWKV-4"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether the model's code has RWKV's attention."""
        return bool(python_modules(blocks, RWKV_FUNCTION))

    @contextmanager
    def listening(self, states: dict[int, BlockStates]) -> Iterator[None]:
        """Wrap the recurrence, and keep what both mixers read."""
        current = -1

        def enter(number: int) -> None:
            nonlocal current
            current = number

        def attention(
            original: Callable, decay: Tensor, first: Tensor, key: Tensor, value: Tensor, *rest: Any, **options: Any
        ) -> Any:
            if current in states:
                states[current] |= dict(zip(PARTS, weighted_sums(decay, key, value), strict=True))
            return original(decay, first, key, value, *rest, **options)

        def shift(block: int, part: str) -> Callable[[tuple, dict, Any], None]:
            def keep(inputs: tuple, named: dict, output: Any) -> None:
                states[block][f"conv.{part}"] = inputs[0] if inputs else named["hidden"]

            return keep

        mixers = ("attention", "feed_forward")
        pairs = [(getattr(self.blocks[block], part), shift(block, part)) for block in states for part in mixers]
        places = python_modules(self.blocks, RWKV_FUNCTION)
        with entering(self.blocks, enter), replaced(places, {RWKV_FUNCTION: attention}), hooks(pairs):
            yield

    def after(self, tokens: Int[Tensor, "documents tokens"]) -> dict[int, BlockStates]:
        """The five tensors that the model gives back after one pass."""
        shifts = ("conv.feed_forward", "conv.attention")
        kept = self.module(input_ids=tokens, use_cache=True).state
        return {
            block: {part: state[:, :, block] for part, state in zip((*shifts, *PARTS), kept, strict=True)}
            for block in range(len(self.blocks))
        }


def weighted_sums(decay: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Numerator, denominator and maximum at every position, `[documents, tokens, channels]`, float32."""
    decay, key, value = -torch.exp(decay.float()), key.float(), value.float()
    found = torch.empty(3, *key.shape, device=key.device)
    numerator = denominator = torch.zeros_like(key[:, 0])
    maximum = torch.full_like(key[:, 0], -1e38)
    for t in range(key.shape[1]):
        larger = torch.maximum(maximum + decay, key[:, t])
        old, new = torch.exp(maximum + decay - larger), torch.exp(key[:, t] - larger)
        numerator, denominator, maximum = old * numerator + new * value[:, t], old * denominator + new, larger
        found[0][:, t], found[1][:, t], found[2][:, t] = numerator, denominator, maximum
    return found[0], found[1], found[2]


class RecurrentGemmaStates(OnePassStates):
    """RG-LRU of RecurrentGemma: the layer's output is its state, and its convolution remembers the newest inputs.

    Reference:
        De et al. (2024), Griffin, arXiv 2402.19427, equations 1 to 4.
    """

    family = "RG-LRU"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether a block has an RG-LRU."""
        return any(hasattr(part, "rg_lru") for part in blocks.modules())

    def recurrent_parts(self) -> dict[int, nn.Module]:
        """The recurrent mixer of each block that has one."""
        found = {
            block: next((p for p in part.modules() if hasattr(p, "rg_lru")), None) for block, part in self.numbered
        }
        return {block: part for block, part in found.items() if part is not None}

    @property
    def numbered(self) -> list[tuple[int, nn.Module]]:
        """Blocks with their numbers."""
        return list(enumerate(self.blocks))

    @contextmanager
    def listening(self, states: dict[int, BlockStates]) -> Iterator[None]:
        """Keep what the RG-LRU gives, and what its convolution reads."""
        pairs = []
        for block, part in self.recurrent_parts().items():
            if block in states:
                pairs.append((part.rg_lru, keep(states, block, "recurrent")))
                pairs.append((part.linear_x, keep_window(states, block, part.conv1d_width - 1)))
        with hooks(pairs):
            yield

    def after(self, tokens: Int[Tensor, "documents tokens"]) -> dict[int, BlockStates]:
        """What the layers themselves keep after one pass; they are emptied again."""
        self.module(input_ids=tokens, use_cache=True)
        states = {}
        for block, part in self.recurrent_parts().items():
            states[block] = {"recurrent": part.rg_lru.recurrent_states, "conv": part.conv1d_state}
            part.rg_lru.recurrent_states = part.conv1d_state = None
        return states


def keep(states: dict[int, BlockStates], block: int, part: str) -> Callable[[tuple, dict, Any], None]:
    """A hook that keeps a module's output as one part of a block's states."""

    def listener(inputs: tuple, named: dict, output: Tensor) -> None:
        states[block][part] = output

    return listener


def keep_window(states: dict[int, BlockStates], block: int, width: int) -> Callable[[tuple, dict, Any], None]:
    """A hook that keeps the newest outputs of a module at every position, as a convolution after it does."""

    def listener(inputs: tuple, named: dict, output: Tensor) -> None:
        states[block]["conv"] = windows(output.transpose(1, 2), width)

    return listener
