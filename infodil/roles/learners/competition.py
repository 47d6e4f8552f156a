"""Competitive Hebbian learning: units that each come to stand for the inputs they win. No labels, no gradients."""

__all__ = ["Competition"]

from collections.abc import Iterable

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError, check_whole

SEED_ROWS = 4096
"""Rows among which the first units are recruited."""


class Competition:
    r"""Units compete for each input; the nearest wins and moves towards it, the others stay.

    .. math:: w_j \leftarrow w_j + \frac{1}{n_j}\,(x - w_j), \qquad j = \arg\min_i |x - w_i|

    with :math:`n_j` the wins of unit j in this pass, so that at the end of a pass a unit is the mean of what it won.
    The update is local: a unit needs its own weights, its own input and whether it won. The first units are recruited
    one by one from inputs that those before represent badly, with probability proportional to the squared distance.

    Reference:
        Rumelhart and Zipser (1985), Feature discovery by competitive learning, Cognitive Science 9; MacQueen (1967)
        for the rate `1 / n`; Arthur and Vassilvitskii (2007) for the recruitment.

    Example:
        >>> rows = torch.tensor([[0.0], [0.1], [9.9], [10.0]])
        >>> units = Competition(2, seed=0).recruit(rows).learn([rows], passes=3)
        >>> sorted(round(w, 2) for w in units.weights.flatten().tolist())
        [0.05, 9.95]
    """

    def __init__(self, units: int, *, seed: int = 0) -> None:
        check_whole("units", units, 1, "pass how many units compete")
        self.units = units
        self.generator = torch.Generator().manual_seed(seed)
        self.weights: Float[Tensor, "units dim"] | None = None

    def recruit(self, inputs: Float[Tensor, "samples dim"]) -> "Competition":
        """Place the units on inputs far from each other.

        Raises:
            UserError: Fewer different inputs than units.
        """
        if len(inputs) > SEED_ROWS:
            inputs = inputs[torch.randperm(len(inputs), generator=self.generator)[:SEED_ROWS]]
        distance = torch.ones(len(inputs), dtype=inputs.dtype)
        chosen: list[int] = []
        for _ in range(self.units):
            if not float(distance.sum()) > 0.0:
                raise UserError(
                    f"`units` must not exceed the {len(chosen)} different inputs, got {self.units}: pass fewer units."
                )
            chosen.append(int(torch.multinomial(distance, 1, generator=self.generator)))
            nearest = (inputs - inputs[chosen[-1]]).square().sum(1)
            # What is as good as zero beside the spread of the inputs is the same input again.
            nearest = torch.where(nearest > 1e-10 * inputs.square().sum(1).mean(), nearest, 0.0)
            distance = nearest if len(chosen) == 1 else torch.minimum(distance, nearest)
        self.weights = inputs[chosen].clone()
        self.wins = torch.zeros(self.units, dtype=inputs.dtype)
        return self

    def update(self, inputs: Float[Tensor, "samples dim"]) -> None:
        """Let the units compete for some inputs, all of them judged by the weights as they are now."""
        winner = self.winners(inputs)
        count = torch.bincount(winner, minlength=self.units).to(inputs.dtype)
        total = torch.zeros_like(self.weights).index_add_(0, winner, inputs)
        self.wins += count
        self.weights += (total - count[:, None] * self.weights) / self.wins.clamp(min=1e-12)[:, None]

    def learn(self, batches: Iterable[Tensor], passes: int) -> "Competition":
        """Go through a list of batches several times; each pass starts to count wins anew."""
        batches = list(batches)
        for _ in range(passes):
            self.wins.zero_()
            for batch in batches:
                self.update(batch)
        return self

    def winners(self, inputs: Float[Tensor, "samples dim"]) -> Int[Tensor, "samples"]:
        """The nearest unit of each input."""
        # |x - w|^2 without the |x|^2 that all units share.
        return (0.5 * self.weights.square().sum(1) - inputs @ self.weights.T).argmin(1)

    def error(self, inputs: Float[Tensor, "samples dim"]) -> float:
        """Mean squared distance of an input to its winner: what is left unexplained, known without any label."""
        return float((inputs - self.weights[self.winners(inputs)]).square().sum(1).mean())
