"""Laws that every causal state obeys, to run on your own traces and encoders; and strategies for their inputs.

A check runs plainly or inside any test, draws the same inputs every time, and ends at the first broken law with one
sentence:

    >>> import torch
    >>> check_trace(lambda x: x.cumsum(1))  # says nothing: all laws hold
    >>> check_trace(lambda x: x - x.mean(dim=1, keepdim=True))
    Traceback (most recent call last):
    ...
    AssertionError: causality is broken at site 'trace': document ...
"""

from infodil.testing.laws import check_encoder, check_trace
from infodil.testing.strategies import alphas, token_batches, vector_sequences

__all__ = ["check_encoder", "check_trace", "alphas", "token_batches", "vector_sequences"]
