"""Calibration of evidence: temperature scaling and mixing with the prior, on held-out rows."""

__all__ = [
    "LEAST_GAIN_NATS",
    "cross_entropy_nats",
    "fit_temperature",
    "log_predictive",
    "mix_with_prior",
    "predictive_logits",
    "prior_smoothing",
]

import math

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_STEPS = 40
HOTTEST = 1e4

LEAST_PROMISE_NATS = 0.01
"""The search stops where doubling the temperature, or adding one to it, gains at most this on all rows together.

Evidence without a single error looks better at every higher temperature; it does not get one without bound.
"""

LEAST_GAIN_NATS = 4.0
"""Evidence must lower the cross-entropy of all calibration rows together by this much, or it is not used.

A probe that learned nothing gains half a chi-square of one degree of freedom by chance, four nats one time in four
hundred; with 4,096 rows what is given up is 0.0014 bits at most. Without this, such a probe would read slightly less
than nothing on the test split.
"""


def cross_entropy_nats(logits: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]) -> float:
    """Mean negative log-probability of the labels' classes, nats."""
    return float(torch.nn.functional.cross_entropy(logits, labels))


def prior_smoothing(rows: int) -> float:
    """The weight of the prior in a prediction that was calibrated on so many rows: one in `rows + 2`.

    A probe that never erred on them may err on the next row, where without smoothing it would lose hundreds of bits.

    Reference:
        Laplace (1774), the rule of succession.
    """
    return 1.0 / (rows + 2.0)


def mix_with_prior(
    log: Float[Tensor, "rows"], log_prior: Float[Tensor, "rows"], smoothing: float
) -> Float[Tensor, "rows"]:
    """Log of `(1 - smoothing)` times one probability plus `smoothing` times another, nats in float64."""
    return torch.logaddexp(log.double() + math.log1p(-smoothing), log_prior.double() + math.log(smoothing))


def predictive_logits(
    base: Float[Tensor, "*some classes"], scores: Float[Tensor, "rows classes"], temperature: float
) -> Float[Tensor, "rows classes"]:
    """The sum `base + temperature * scores`; at temperature zero the base, whatever the scores are."""
    return base + temperature * scores if temperature else base.expand_as(scores)


def log_predictive(
    base: Float[Tensor, "*some classes"],
    scores: Float[Tensor, "rows classes"],
    temperature: float,
    smoothing: float,
    labels: Int[Tensor, "rows"],
) -> Float[Tensor, "rows"]:
    """Log-probability of the labels' classes: the softmax of `base + temperature * scores`, mixed with the base.

    At temperature zero it is the base itself, exactly, even where the scores are no numbers.

    Args:
        base: Log-probabilities known without the scores, one line for all rows or one for each.
        scores: Evidence for each class, nats.
        temperature: The factor of the scores.
        smoothing: The weight of the base in the mixture, from zero to one (`prior_smoothing`).
        labels: The classes asked for.

    Returns:
        Nats, float64.
    """
    known = base.expand_as(scores).gather(1, labels[:, None]).squeeze(1).double()
    if not temperature:
        return known
    log = -torch.nn.functional.cross_entropy(predictive_logits(base, scores, temperature), labels, reduction="none")
    return mix_with_prior(log, known, smoothing)


def fit_temperature(
    base: Float[Tensor, "*some classes"],
    scores: Float[Tensor, "rows classes"],
    labels: Int[Tensor, "rows"],
    least_gain_nats: float = LEAST_GAIN_NATS,
) -> tuple[float, float]:
    """The temperature of least cross-entropy of `base + temperature * scores`, and that cross-entropy in nats.

    The loss is convex in the temperature (an exponential family in one parameter). Newton's steps kept inside a
    shrinking bracket find its minimum; where they are short, as they are from zero where most evidence is overwhelming,
    the scale of the temperature itself is searched. Zero, the base alone, is always allowed, and is the answer unless
    the rows together gain `least_gain_nats`.
    """
    if len(labels) == 0:
        return 0.0, float("nan")
    scores = scores - scores.amax(1, keepdim=True)
    own = scores.gather(1, labels[:, None]).double().mean()
    low, high, temperature, before = 0.0, float("inf"), 0.0, float("inf")
    for step in range(MOST_STEPS):
        q = torch.softmax(base + temperature * scores, 1)
        weighted = q * scores
        mean = weighted.sum(1).double()
        slope = float(mean.mean() - own)
        if step == 0 and slope >= 0:
            break
        if abs(slope) * len(labels) * max(1.0, temperature) <= LEAST_PROMISE_NATS:  # the loss is convex
            break
        curvature = float(((weighted * scores).sum(1).double() - mean**2).mean())
        low, high = (temperature, high) if slope < 0 else (low, temperature)
        following = temperature - slope / curvature if curvature > 0 else float("inf")
        short, before = abs(slope) > before / 2.0, abs(slope)
        if short or not low < following < high:
            if high == float("inf"):
                following = max(1.0, 4.0 * temperature)
            else:
                following = math.sqrt(low * high) if low else high / 4.0
        following = min(following, HOTTEST)
        if abs(following - temperature) <= 1e-3 * temperature:
            break
        temperature = following
    alone = cross_entropy_nats(base.expand_as(scores), labels)
    loss = cross_entropy_nats(base + temperature * scores, labels)
    # A loss that is not a number gains nothing either.
    return (temperature, loss) if (alone - loss) * len(labels) > least_gain_nats else (0.0, alone)
