"""What stands beside every figure to say what it is worth: random weights, and how the reader learned."""

__all__ = ["learned", "learning_curves", "random_encoder"]

from collections.abc import Sequence
from typing import Any

from infodil.checks import UserError
from infodil.encoders import Encoder, self_test
from infodil.ladder.fit import FittedProbe
from infodil.ladder.stream_select import FittedLadder

ANOTHER = 0x5EED
"""Added to the seed, so that a model made here with random weights is not compared with itself."""

COLUMNS = ("extrapolated_bits", "online_code_bits", "compression_bits")


def random_encoder(encoder: Encoder, seed: int) -> Encoder | None:
    """The same encoder with random weights; None where there is none, or where it cannot be read."""
    other = encoder.randomised(seed + ANOTHER)
    if other is None:
        return None
    try:
        self_test(other)
    except UserError:
        return None
    return other


def learned(fit: FittedProbe, target: int) -> dict[str, float | None]:
    """What the learning of a rung says of one target; None for a rung whose learning is not followed."""
    learning = fit.reader.learning
    return {name: None if learning is None else getattr(learning[target], name) for name in COLUMNS}


def learning_curves(climbed: FittedLadder, lags: Sequence[int]) -> list[dict[str, Any]]:
    """Bits at growing numbers of training rows, for each site, rung that was followed, and lag."""
    return [
        {
            "site": site,
            "lag": lag,
            "probe": probe,
            "train_rows": list(fit.reader.learning[target].train_rows),
            "bits": list(fit.reader.learning[target].bits),
        }
        | learned(fit, target)
        for site, probe in climbed.entries()
        for fit in [climbed.fitted[site][probe]]
        if fit.reader.learning is not None
        for target, lag in enumerate(lags, start=1)
    ]
