"""Accumulation rules: how a stream over depth collects the messages of its layers, with fixed or learned weights."""

__all__ = ["RULES", "Accumulator", "FixedRule", "Rule", "accumulate", "make_rule", "weights"]

from infodil.accumulation.accumulator import Accumulator
from infodil.accumulation.registry import RULES, make_rule
from infodil.accumulation.rule import FixedRule, Rule
from infodil.accumulation.streams import accumulate, weights
