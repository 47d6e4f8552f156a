"""The numbers of a training run: how many tokens, in what steps, at what learning rate."""

__all__ = ["Budget"]

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Integer
from numpy import ndarray

from infodil.checks import check_between, check_one_of, check_seed, check_whole

WARM_SHARE = 0.05
RISING_STEPS = 50
"""Steps of warm-up where the rate is constant after it: a number that no budget decides."""
DECAY_SHARE = 0.2
"""Share of the steps in which a constant rate falls to zero, at the end (Haegele et al. 2024, arXiv 2405.18392)."""
SCHEDULES = ("cosine", "constant")


@dataclass(frozen=True)
class Budget:
    """The numbers of a run: all that decides its weights, beside the model and the text."""

    tokens: int
    window: int
    batch_size: int
    peak_rate: float | int
    weight_decay: float | int
    clip: float | int
    seed: int
    precision: str
    schedule: str = "cosine"

    def __post_init__(self) -> None:
        check_whole("tokens", self.tokens, 1, "pass how many tokens to train on")
        check_whole("batch_size", self.batch_size, 1, "pass 1 or more")
        check_whole("window", self.window, 2, "a next token needs one before it")
        check_between("peak_rate", self.peak_rate, 0.0, math.inf, open_low=True)
        check_between("weight_decay", self.weight_decay, 0.0, math.inf)
        check_between("clip", self.clip, 0.0, math.inf, open_low=True)
        check_seed(self.seed)
        check_one_of("precision", self.precision, ("float32", "bfloat16"))
        check_one_of("schedule", self.schedule, SCHEDULES)

    @property
    def steps(self) -> int:
        """Whole batches in the budget, at least one."""
        return max(1, self.tokens // (self.window * self.batch_size))

    @property
    def decay_begins(self) -> int:
        """Step from which the rate depends on the budget."""
        return 0 if self.schedule == "cosine" else self.steps - round(DECAY_SHARE * self.steps)

    def rate(self, step: int) -> float:
        """Linear warm-up, then half a cosine or, after a constant, a straight line down to zero."""
        if self.schedule == "cosine":
            warm = min(1.0, (step + 1) / max(1.0, WARM_SHARE * self.steps))
            return self.peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / self.steps))
        left = (self.steps - step) / max(1, self.steps - self.decay_begins)
        return self.peak_rate * min(1.0, (step + 1) / RISING_STEPS, left)

    def record(self, step: int) -> dict[str, Any]:
        """All that has decided the weights before a step: the number of tokens only once the rate depends on it."""
        if self.schedule == "constant" and step <= self.decay_begins:
            return {name: value for name, value in vars(self).items() if name != "tokens"}
        return dict(vars(self))

    def begins(self, step: int, tokens: int) -> Integer[ndarray, "rows"]:
        """Where the windows of a step begin: a function of seed and step alone, the same in a resumed run."""
        return np.random.default_rng([self.seed, 0x7EA, step]).integers(0, tokens - self.window, self.batch_size)
