"""Mutual information of samples, with an interval and a side of the truth."""

__all__ = ["estimate"]

from infodil.mi.estimating import estimate
