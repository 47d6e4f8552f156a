r"""Selective state-space layers (Mamba, Mamba-2): states computed beside one pass, from the arguments of the scan.

.. math:: S_t = e^{\Delta_t A} S_{t-1} + \Delta_t\, x_t \otimes B_t

Reference:
    Gu and Dao (2023), Mamba, arXiv 2312.00752, equation 2; Dao and Gu (2024), Mamba-2, arXiv 2405.21060.
"""

__all__ = ["MambaStates"]

import inspect
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from infodil.encoders.recurrent.cached import CachedStates
from infodil.encoders.recurrent.contract import BlockStates
from infodil.encoders.recurrent.one_pass import OnePassStates, entering, python_modules, replaced, windows

SCANS = ("mamba_selective_scan", "mamba2_chunk_scan")
"""Functions of transformers that scan a whole sequence, one for each generation."""


class MambaStates(OnePassStates, CachedStates):
    """State-space layers of Mamba, FalconMamba, Jamba, Zamba and of all families with Mamba-2 layers.

    One step of transformers' own does not bound the step size as the scan does (Zamba2, Nemotron-H): states are
    therefore computed as the scan defines them.
    """

    family = "selective state space"

    def __init__(self, module: nn.Module, blocks: nn.ModuleList) -> None:
        super().__init__(module, blocks)
        # Pure state-space models call their cache by another name than hybrids with attention do.
        parameters = inspect.signature(module.forward).parameters
        self.argument = "cache_params" if "cache_params" in parameters else "past_key_values"

    @classmethod
    def applies(cls, module: nn.Module, blocks: nn.ModuleList) -> bool:
        """Whether the model's code has one of the scans."""
        return any(python_modules(blocks, scan) for scan in SCANS)

    def check_path(self, tokens: Tensor) -> None:
        """Nothing: the states come from the plain pass itself."""

    @contextmanager
    def listening(self, states: dict[int, BlockStates]) -> Iterator[None]:
        """Wrap the scans and the convolutions of the model's code."""
        current = -1

        def enter(number: int) -> None:
            nonlocal current
            current = number

        def scan(compute: Callable[..., Tensor], original: Callable, *inputs: Any, **options: Any) -> Any:
            if current in states:
                # Zamba scans head by head: each call is one head more.
                heads = states[current].setdefault("heads", [])
                heads.append(compute(*inputs, **options))
            return original(*inputs, **options)

        def convolve(original: Callable, inputs: Tensor, weight: Tensor, *rest: Any, **options: Any) -> Any:
            if current in states:
                states[current]["conv"] = windows(inputs, weight.shape[-1])
            return original(inputs, weight, *rest, **options)

        wrappers = {
            "mamba_selective_scan": lambda original, *inputs, **options: scan(
                selective_states, original, *inputs, **options
            ),
            "mamba2_chunk_scan": lambda original, *inputs, **options: scan(head_states, original, *inputs, **options),
            "causal_conv1d_fn": convolve,
        }
        places = {place.__name__: place for name in SCANS for place in python_modules(self.blocks, name)}
        with ExitStack() as stack:
            stack.enter_context(entering(self.blocks, enter))
            stack.enter_context(replaced(list(places.values()), wrappers))
            yield
        for parts in states.values():
            heads = parts.pop("heads", [])
            if heads:
                parts["recurrent"] = heads[0] if len(heads) == 1 else torch.stack(heads, 2)


def selective_states(
    inputs: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    D: Tensor | None = None,
    z: Tensor | None = None,
    delta_bias: Tensor | None = None,
    delta_softplus: bool = False,
    **options: Any,
) -> Tensor:
    """States `[documents, tokens, channels, states]` of Mamba's scan, which is called with channels before tokens."""
    if delta_bias is not None:
        dt = dt + delta_bias.to(dt.dtype)[..., None]
    if delta_softplus:
        dt = torch.nn.functional.softplus(dt)
    documents, channels, tokens = inputs.shape
    found = inputs.new_empty(documents, tokens, channels, A.shape[-1], dtype=torch.float32)
    state = torch.zeros_like(found[:, 0])
    for t in range(tokens):
        step = dt[:, :, t, None].float()
        state = torch.exp(A.float() * step) * state + step * inputs[:, :, t, None].float() * B[:, None, :, t].float()
        found[:, t] = state
    return found


def head_states(
    inputs: Tensor,
    dt: Tensor,
    A: Tensor,
    B: Tensor,
    C: Tensor,
    chunk_size: int,
    D: Tensor | None = None,
    dt_bias: Tensor | None = None,
    dt_softplus: bool = False,
    dt_limit: tuple[float, float] = (0.0, float("inf")),
    **options: Any,
) -> Tensor:
    """States `[documents, tokens, heads, dims, states]` of Mamba-2's scan: one decay a head and step."""
    if dt_bias is not None:
        dt = dt + dt_bias.to(dt.dtype)
    if dt_softplus:
        dt = torch.nn.functional.softplus(dt)
    dt = dt.clamp(*dt_limit).float()
    documents, tokens, heads, dims = inputs.shape
    B = B.float().repeat_interleave(heads // B.shape[2], 2)
    decay = torch.exp(A.float() * dt)[..., None, None]
    scaled = inputs.float() * dt[..., None]
    found = inputs.new_empty(documents, tokens, heads, dims, B.shape[-1], dtype=torch.float32)
    state = torch.zeros_like(found[:, 0])
    for t in range(tokens):
        state = decay[:, t] * state + scaled[:, t, :, :, None] * B[:, t, :, None]
        found[:, t] = state
    return found
