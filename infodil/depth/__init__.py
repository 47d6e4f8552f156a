"""Accumulation over depth: how streams collect the messages of their layers, and which of these survive."""

__all__ = ["RULES", "Rule", "accumulate", "weights"]

from infodil.depth.accumulation import accumulate, weights
from infodil.depth.rules import RULES, Rule
