"""The controls of a report: the encoder with random weights, and the learning curves of probes."""

__all__ = ["learning_curves", "learning_of", "random_encoder"]

from collections.abc import Sequence
from typing import Any

from infodil.checks import UserError
from infodil.encoders import Encoder, EncoderInParts, self_test
from infodil.ladder import FittedLadder, FittedProbe

SEED_OFFSET = 0x5EED
"""Added to the seed, so that a model made here with random weights is not compared with itself."""

LEARNING_COLUMNS = ("extrapolated_bits", "online_code_bits", "compression_bits")


def random_encoder(encoder: Encoder, seed: int) -> Encoder | None:
    """The same encoder with random weights; None where there is none, or where it fails the tests of an encoder."""
    random = encoder.randomised(seed + SEED_OFFSET)
    if random is None:
        return None
    try:
        self_test(EncoderInParts(random))
    except UserError:
        return None
    return random


def learning_of(fitted: FittedProbe, target: int) -> dict[str, float | None]:
    """The learning of a probe of one target; None for each figure of a probe whose learning is not followed."""
    learning = fitted.fit.learning
    return {name: None if learning is None else getattr(learning[target], name) for name in LEARNING_COLUMNS}


def learning_curves(ladder: FittedLadder, lags: Sequence[int]) -> list[dict[str, Any]]:
    """Bits at growing numbers of training rows, for each site, probe whose learning is followed, and lag."""
    return [
        {
            "site": site,
            "lag": lag,
            "probe": probe,
            "train_rows": list(fitted.fit.learning[target].train_rows),
            "bits": list(fitted.fit.learning[target].bits),
        }
        | learning_of(fitted, target)
        for site, probe in ladder.entries()
        for fitted in [ladder.fitted[site][probe]]
        if fitted.fit.learning is not None
        for target, lag in enumerate(lags, start=1)
    ]
