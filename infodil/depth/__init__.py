"""Accumulation over depth: how streams collect the messages of their layers, and which of these survive."""

__all__ = ["RULES", "Decoder", "DepthReport", "Rule", "accumulate", "survival", "sweep", "weights"]

from infodil.accumulation import RULES, Rule, accumulate, weights
from infodil.depth.decoder import Decoder
from infodil.depth.report import DepthReport
from infodil.depth.survival import survival
from infodil.depth.sweep import sweep
