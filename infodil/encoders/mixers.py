"""The token mixer of each block: the part that reads other positions."""

__all__ = ["find_mixers"]

from torch import nn

PATHS = (
    "mamba_decoder.mamba",
    "mamba",
    "mixer",
    "linear_attn",
    "self_attn",
    "self_attention",
    "attention",
    "attn",
    "temporal_block",
    "mlstm_layer",
    "short_conv",
    "conv",
)
"""Where blocks of transformers keep their token mixer, as a path from the block: the first that is there."""

BESIDE = {"mamba": ("self_attn", "ssm_out_multiplier", "attn_out_multiplier")}
"""Mixers with a second one beside them, whose outputs are added (Falcon-H1): its path, and the factors of both."""

NO_MIXERS = ("MLP", "MoE", "Experts")
"""Last words of types of modules that read each position for itself, whatever the block calls them (Nemotron-H)."""


def find_mixers(module: nn.Module, blocks: nn.ModuleList) -> dict[int, list[tuple[nn.Module, float]]]:
    """Token mixers by number of the block from 0, each with the factor that its output is added with.

    Args:
        module: Model that the blocks are of.
        blocks: Blocks in order.

    Returns:
        Nothing for a block whose mixer is not known.
    """
    found = {}
    for number, block in enumerate(blocks):
        parts = dict(block.named_modules())
        path = next((path for path in PATHS if path in parts), None)
        if path is None or type(parts[path]).__name__.endswith(NO_MIXERS):
            continue
        mixers = [(parts[path], 1.0)]
        if path in BESIDE and BESIDE[path][0] in parts:
            other, *factors = BESIDE[path]
            first, second = (float(getattr(block, name, 1.0)) for name in factors)
            mixers = [(parts[path], first), (parts[other], second)]
        found[number] = mixers
    return found
