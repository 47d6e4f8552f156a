r"""States observed at a stated precision: rounded or seen through noise, and how far that lets one look back.

A model of the error goes with every precision: \(\Delta / \sqrt{12}\) for a number rounded to a grid of spacing
\(\Delta\), where the grid of a float widens with the number (Widrow and Kollar, Quantization Noise, 2008, chapters 5
and 12). It is a model: the error of a rounding is a function of the state, not noise. Nor is it the same in every
number of a state: a float is finest where it is smallest, and a probe that weighs each number by its own error sees
further than the mean error says (`weighted_sigma`).
"""

from infodil.precision.formats import (
    FORMATS,
    PRECISIONS,
    check_precision,
    detect,
)
from infodil.precision.horizons import horizon, weighted_sigma
from infodil.precision.quantizer import Quantizer, noise_generator

__all__ = [
    "PRECISIONS",
    "Quantizer",
    "check_precision",
    "detect",
    "horizon",
    "noise_generator",
    "weighted_sigma",
    "FORMATS",
]
