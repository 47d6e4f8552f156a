"""Upper bounds on what a state can tell, whoever reads it (and Fano's lower one); each with its source and conditions.

| bound | holds for | is |
| --- | --- | --- |
| `entropy` | any state | `H(X)`, from samples of X |
| `genie` | a sum of token vectors in noise, independent tokens | what is told if all other tokens are known |
| `budget` | any state in noise | what is told of the whole past together |
| `gaussian_capacity` | a signal of known covariance in noise | the same, nothing sampled |
| `distinct_states` | any quantised state | log2 of the states there can be |
| `exact_posterior` | a sum of few types in noise | the truth, or nearly |

`BOUNDS` holds those that a report takes the least of; a new one is a line of it.
"""

__all__ = [
    "BOUNDS",
    "DistinctStates",
    "StateSample",
    "UpperBound",
    "budget",
    "distinct_states",
    "entropy",
    "exact_posterior",
    "fano",
    "gaussian_capacity",
    "genie",
    "genie_by_lag",
    "Noise",
    "levels_of",
]

from infodil.bounds.capacity import budget, gaussian_capacity
from infodil.bounds.entropy import entropy
from infodil.bounds.fano import fano
from infodil.bounds.genie import Noise, genie, genie_by_lag
from infodil.bounds.levels import DistinctStates, distinct_states, levels_of
from infodil.bounds.posterior import exact_posterior
from infodil.bounds.registry import BOUNDS, StateSample, UpperBound
