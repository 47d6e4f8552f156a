"""Recurrent and convolutional states of transformers' models, at every position. A family is a file and a line here."""

__all__ = ["RecurrentStates", "find_recurrent_states"]

from torch import nn

from infodil.encoders.recurrent.cached import CachedStates, FlashStates, MiniMaxStates, XLSTMStates
from infodil.encoders.recurrent.contract import RecurrentStates
from infodil.encoders.recurrent.linear_recurrence import RecurrentGemmaStates, RWKVStates
from infodil.encoders.recurrent.state_space import MambaStates

RECURRENT_FAMILIES: tuple[type[RecurrentStates], ...] = (
    FlashStates,
    MambaStates,
    RWKVStates,
    RecurrentGemmaStates,
    MiniMaxStates,
    XLSTMStates,
    CachedStates,
)
"""Families in the order in which they are tried: one-pass routes first, single steps with a cache for all others."""


def find_recurrent_states(module: nn.Module, blocks: nn.ModuleList) -> RecurrentStates | None:
    """The recurrent states of a model by the fastest exact route that is known for it; None where it has none.

    Args:
        module: Base model of transformers, without its head.
        blocks: Its blocks, in order.

    Returns:
        The states, not yet tested (`RecurrentStates.self_test`).
    """
    family = next((family for family in RECURRENT_FAMILIES if family.applies(module, blocks)), None)
    if family is None:
        return None
    states = family(module, blocks)
    return states if states.sites else None
