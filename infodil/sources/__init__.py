"""Synthetic sources whose information is known, for tests of any estimator. All truths are in bits."""

__all__ = [
    "BEYOND_NORMAL",
    "IID",
    "Markov",
    "Pair",
    "Recall",
    "asinh",
    "autoregressive_pair",
    "beyond_normal",
    "bimodal",
    "copied_pair",
    "discrete_channel",
    "discrete_pair",
    "ema_channel",
    "entropy_bits",
    "gaussian_codebook",
    "half_cube",
    "iid",
    "information_bits",
    "markov",
    "normal_cdf",
    "normal_pair",
    "paired_correlation",
    "shift_register",
    "sparse_pair",
    "spiral",
    "student_pair",
    "swiss_roll",
    "transform",
    "uniform_noise",
    "uniform_steps",
    "unrelated_series",
    "variance_code",
    "wiggly_x",
    "wiggly_y",
    "xor_code",
    "zero_inflated_poisson",
    "zipf",
]

from infodil.channel import entropy_bits, zipf
from infodil.sources.benchmark import BEYOND_NORMAL, beyond_normal
from infodil.sources.codes import gaussian_codebook, variance_code, xor_code
from infodil.sources.continuous import (
    normal_pair,
    paired_correlation,
    student_pair,
    uniform_noise,
    uniform_steps,
    zero_inflated_poisson,
)
from infodil.sources.discrete import copied_pair, discrete_channel, discrete_pair, information_bits, sparse_pair
from infodil.sources.ema import ema_channel, shift_register
from infodil.sources.margins import (
    asinh,
    bimodal,
    half_cube,
    normal_cdf,
    spiral,
    swiss_roll,
    transform,
    wiggly_x,
    wiggly_y,
)
from infodil.sources.pairs import Pair, Recall
from infodil.sources.series import autoregressive_pair, unrelated_series
from infodil.sources.tokens import IID, Markov, iid, markov
