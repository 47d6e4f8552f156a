"""Calibration of evidence: temperature scaling and mixing with the prior, on held-out rows."""

__all__ = [
    "LEAST_GAIN_NATS",
    "calibrate_temperature",
    "cross_entropy_nats",
    "fit_temperature",
    "log_predictive",
    "mix_with_prior",
    "predictive_logits",
    "prior_smoothing",
]

import math
from collections.abc import Iterator

import torch
from jaxtyping import Float, Int
from torch import Tensor

NEWTON_STEPS = 40
"""Steps of the search for a temperature, at most: enough to double it from one to `MAX_TEMPERATURE` and return."""

MAX_TEMPERATURE = 1e4
"""The greatest temperature; evidence that is scaled further is certain in float32."""

BLOCK_BYTES = {"cpu": 2**20, "cuda": 2**28}
"""Logits that are worked on at once, by kind of device, so that a step's temporaries stay in the cache of a core.

Temporaries above 32 MiB are worse than slow memory: the allocator takes fresh pages for each, at several times the cost
of the arithmetic.
"""

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
    """Mean negative log-probability of the labels' classes, nats.

    Args:
        logits: Log-probabilities up to a constant of the row.
        labels: True classes.

    Returns:
        Nats a row.
    """
    return float(torch.nn.functional.cross_entropy(logits, labels))


def prior_smoothing(rows: int) -> float:
    """The weight of the prior in a prediction that was calibrated on so many rows: one in `rows + 2`.

    A probe that never erred on them may err on the next row, where without smoothing it would lose hundreds of bits.

    Args:
        rows: Calibration rows.

    Returns:
        A weight above zero and at most one half.

    Reference:
        Laplace (1774), the rule of succession.
    """
    return 1.0 / (rows + 2.0)


def mix_with_prior(
    log: Float[Tensor, "rows"], log_prior: Float[Tensor, "rows"], smoothing: float
) -> Float[Tensor, "rows"]:
    """Log of `(1 - smoothing)` times one probability plus `smoothing` times another, nats in float64.

    Args:
        log: Log-probabilities of a probe, nats.
        log_prior: Log-probabilities of the prior, nats.
        smoothing: Weight of the prior (`prior_smoothing`).

    Returns:
        Log-probabilities of the mixture.
    """
    return torch.logaddexp(log.double() + math.log1p(-smoothing), log_prior.double() + math.log(smoothing))


def predictive_logits(
    base: Float[Tensor, "*some classes"], scores: Float[Tensor, "rows classes"], temperature: float
) -> Float[Tensor, "rows classes"]:
    """The sum `base + temperature * scores`; at temperature zero the base, whatever the scores are.

    Args:
        base: Log-probabilities known without the scores, one line for all rows or one for each.
        scores: Evidence for each class, nats.
        temperature: Factor of the scores.

    Returns:
        Logits of each row.
    """
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
    log = torch.empty(len(labels), dtype=scores.dtype, device=scores.device)
    for rows in blocks(scores):
        logits = predictive_logits(lines(base, rows), scores[rows], temperature)
        log[rows] = -torch.nn.functional.cross_entropy(logits, labels[rows], reduction="none")
    return mix_with_prior(log, known, smoothing)


def fit_temperature(
    base: Float[Tensor, "*some classes"],
    scores: Float[Tensor, "rows classes"],
    labels: Int[Tensor, "rows"],
    least_gain_nats: float = LEAST_GAIN_NATS,
) -> tuple[float, float]:
    """The temperature of least cross-entropy of `base + temperature * scores`, and that cross-entropy in nats.

    Args:
        base: Log-probabilities known without the scores, one line for all rows or one for each.
        scores: Evidence for each class, nats.
        labels: True classes.
        least_gain_nats: Gain of all rows together below which the temperature is zero, the base alone.

    Returns:
        Temperature, and mean cross-entropy in nats.
    """
    if len(labels) == 0:
        return 0.0, float("nan")
    losses = TemperatureLoss()
    losses.add(base, scores, labels)
    temperature, loss, alone = losses.minimum()
    # A loss that is not a number gains nothing either.
    return (temperature, loss) if (alone - loss) * len(labels) > least_gain_nats else (0.0, alone)


def calibrate_temperature(
    base: Float[Tensor, "*some classes"], scores: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]
) -> float:
    """The temperature of `fit_temperature`, above one only as far as one more error would allow.

    Rows that are all predicted right would have the evidence trusted without limit, and a wrong row of the test split
    would cost hundreds of nats. Above one the fit therefore has a row added: that of the median margin, with the
    runner-up for its label. The loss is convex in the temperature, so the result is no worse than one is.

    Args:
        base: Log-probabilities known without the scores, one line for all rows or one for each.
        scores: Evidence for each class, nats.
        labels: True classes.

    Returns:
        The temperature, zero where the scores gain nothing.
    """
    found, _ = fit_temperature(base, scores, labels)
    if found <= 1.0:
        return found
    best = torch.empty(len(labels), 2, dtype=scores.dtype, device=scores.device)
    order = torch.empty(len(labels), 2, dtype=torch.long, device=scores.device)
    for rows in blocks(scores):
        best[rows], order[rows] = (lines(base, rows) + scores[rows]).topk(2, dim=1)
    middle = torch.argsort(best[:, 0] - best[:, 1])[len(labels) // 2][None]
    losses = TemperatureLoss()
    losses.add(base, scores, labels)
    losses.add(lines(base, middle), scores[middle], order[middle, 1])
    return min(found, max(1.0, losses.minimum()[0]))


class TemperatureLoss:
    """Cross-entropy of `base + temperature * scores` as a function of the temperature, over rows added in parts.

    It is convex (an exponential family in one parameter). Logits are made a block of rows at a time, and never kept.
    """

    def __init__(self) -> None:
        self.parts: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self.rows = 0

    def add(
        self,
        base: Float[Tensor, "*some classes"],
        scores: Float[Tensor, "rows classes"],
        labels: Int[Tensor, "rows"],
    ) -> None:
        """Add rows."""
        for rows in blocks(scores):
            self.parts.append((lines(base, rows), scores[rows], scores[rows].amax(1, keepdim=True), labels[rows, None]))
        self.rows += len(labels)

    def at(self, temperature: float) -> tuple[float, float, float]:
        """Mean loss and its first two derivatives, nats."""
        sums = torch.zeros(3, dtype=torch.float64, device=self.parts[0][1].device)
        for base, scores, top, labels in self.parts:
            evidence = scores - top
            logits = torch.add(base, evidence, alpha=temperature) if temperature else base.expand_as(scores).clone()
            own, own_logit = evidence.gather(1, labels), logits.gather(1, labels)
            peak = logits.amax(1, keepdim=True)
            weighed = logits.sub_(peak).exp_()
            total = weighed.sum(1, keepdim=True)
            mean = weighed.mul_(evidence).sum(1, keepdim=True).div_(total).double()
            square = weighed.mul_(evidence).sum(1, keepdim=True).div_(total).double()
            loss = (peak + total.log() - own_logit).double()
            sums += torch.stack([loss, mean - own.double(), square - mean**2]).sum((1, 2))
        return tuple((sums / self.rows).tolist())

    def minimum(self) -> tuple[float, float, float]:
        """The temperature of least loss, zero where the loss rises from there; the loss there, and at zero.

        Newton's steps kept inside a shrinking bracket find it; where they are short, as they are from zero where most
        evidence is overwhelming, the scale of the temperature itself is searched.
        """
        low, high, temperature, before = 0.0, float("inf"), 0.0, float("inf")
        loss = alone = float("nan")
        for step in range(NEWTON_STEPS):
            loss, slope, curvature = self.at(temperature)
            alone = alone if step else loss
            if step == 0 and slope >= 0:
                break
            if abs(slope) * self.rows * max(1.0, temperature) <= LEAST_PROMISE_NATS:
                break
            low, high = (temperature, high) if slope < 0 else (low, temperature)
            following = temperature - slope / curvature if curvature > 0 else float("inf")
            short, before = abs(slope) > before / 2.0, abs(slope)
            if short or not low < following < high:
                if high == float("inf"):
                    following = max(1.0, 4.0 * temperature)
                else:
                    following = math.sqrt(low * high) if low else high / 4.0
            following = min(following, MAX_TEMPERATURE)
            if abs(following - temperature) <= 1e-3 * temperature:
                break
            temperature = following
        else:
            loss = self.at(temperature)[0]
        return temperature, loss, alone


def blocks(scores: Float[Tensor, "rows classes"]) -> Iterator[slice]:
    """Neighbouring rows, as many at a time as have their logits fit into `BLOCK_BYTES`."""
    line = scores.shape[1] * scores.element_size()
    number = max(1, BLOCK_BYTES.get(scores.device.type, BLOCK_BYTES["cuda"]) // max(1, line))
    for first in range(0, len(scores), number):
        yield slice(first, first + number)


def lines(base: Float[Tensor, "*some classes"], rows: slice | Int[Tensor, "chosen"]) -> Tensor:
    """Those lines of the base that belong to some rows: the one line where it is shared by all rows."""
    return base[rows] if base.dim() == 2 else base
