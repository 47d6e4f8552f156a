"""Mutual information of samples, with an interval and a side of the truth."""

__all__ = [
    "ESTIMATORS",
    "Estimator",
    "Sample",
    "discrete_bounds",
    "discrete_information",
    "estimate",
    "estimators",
    "lower_bound",
]

from infodil.ladder import lower_bound
from infodil.mi.discrete.estimate import discrete_bounds, discrete_information
from infodil.mi.estimating import estimate
from infodil.mi.estimators import ESTIMATORS, Estimator, Sample, estimators
