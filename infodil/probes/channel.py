"""The channel of a linear code lives among the sources, which are drawn from it; readers know it by this name too."""

__all__ = ["MOST_SEQUENCES", "Channel", "longest_window", "rounding"]

from infodil.sources.posterior import MOST_SEQUENCES, Channel, longest_window, rounding
