"""Entropy of discrete variables from samples: estimators from counts, and bounds valid on their side."""

__all__ = [
    "METHODS",
    "Method",
    "chao1",
    "entropy",
    "entropy_bounds",
    "entropy_nats",
    "most_categories",
    "nsb_nats",
    "plugin_bias_nats",
    "unseen_nats",
    "upper_entropy_nats",
    "Labels",
    "codes_of",
]

from infodil.entropy.bounds import plugin_bias_nats
from infodil.entropy.counts import (
    METHODS,
    Method,
    chao1,
    entropy_nats,
    unseen_nats,
)
from infodil.entropy.labels import Labels, codes_of
from infodil.entropy.measure import (
    entropy,
    entropy_bounds,
    most_categories,
    upper_entropy_nats,
)
from infodil.entropy.nsb import nsb_nats
