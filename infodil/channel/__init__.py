"""The linear superposition channel: states that are noisy sums of token vectors, their posterior and information.

One `Code` (token vectors and weights), one `Channel` (the code with its noise and the law of its tokens), one posterior
by enumeration, one beam search for tokens older than can be enumerated, and one Monte Carlo mean for the information.
"""

__all__ = [
    "Beam",
    "BeamSearch",
    "Channel",
    "Code",
    "Decoding",
    "Prior",
    "TokenLaw",
    "Transition",
    "channel_information",
    "check_lags",
    "check_sigma",
    "draw_chain",
    "entropy_bits",
    "estimate_information",
    "information_draws_bits",
    "log_prior_of",
    "longest_window",
    "normalized_transition",
    "probabilities_of",
    "rounding_sigma",
    "stationary_distribution",
    "zipf",
]

from infodil.channel.arguments import check_lags, check_sigma
from infodil.channel.beam import Beam, BeamSearch
from infodil.channel.code import Code, Decoding, rounding_sigma
from infodil.channel.information import channel_information, estimate_information, information_draws_bits
from infodil.channel.markov_chain import draw_chain, normalized_transition, stationary_distribution
from infodil.channel.posterior import Channel
from infodil.channel.probabilities import Prior, entropy_bits, log_prior_of, probabilities_of, zipf
from infodil.channel.token_law import TokenLaw, Transition
from infodil.channel.window import longest_window
