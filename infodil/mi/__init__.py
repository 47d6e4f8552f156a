"""Mutual information of samples, with an interval and a side of the truth."""

__all__ = ["discrete_bounds", "discrete_information", "estimate"]

from infodil.mi.discrete import discrete_bounds, discrete_information
from infodil.mi.estimating import estimate
