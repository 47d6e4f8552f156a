"""Networks that score pairs of rows, and their training to tell the pairs that were drawn from those that were not."""

__all__ = ["Critic", "CriticOptions", "Objective", "contrast", "train_critic"]

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float32, Int
from numpy import ndarray
from torch import Tensor, nn


@dataclass(frozen=True)
class CriticOptions:
    """Settings of a network that scores pairs of rows, and of its training.

    Attributes:
        hidden: Width of the hidden layers.
        embedding: Width of the embeddings: rank of the score matrix.
        together: Rows of a training batch, scored against each other; the objective cannot exceed their logarithm.
        rate: Greatest learning rate of AdamW, reached after a tenth of the steps.
        decay: Weight decay of AdamW.
        steps: Most training steps.
        every: Steps between two looks at the rows held back.
        patience: Looks without a better one after which training ends.
    """

    hidden: int = 128
    embedding: int = 32
    together: int = 512
    rate: float = 2e-3
    decay: float = 1e-3
    steps: int = 400
    every: int = 20
    patience: int = 5


Objective = Callable[[Float32[Tensor, "rows rows"]], Float32[Tensor, ""]]
"""What is made large: a function of the scores of all pairs of a batch, the drawn ones on the diagonal."""


class Critic(nn.Module):
    """A score of `x` and `y`: the product of their embeddings, and a term of each alone; zero before training."""

    def __init__(self, dim_x: int, dim_y: int, options: CriticOptions = CriticOptions()) -> None:
        super().__init__()
        self.x, self.y = _embedding(dim_x, options), _embedding(dim_y, options)
        self.scale = 4.0 / math.sqrt(options.embedding)
        with torch.no_grad():  # a small start on one side: the score begins at nearly nothing, and can move
            self.x[-1].weight *= 0.1
            for side in (self.x, self.y):
                side[-1].bias.zero_()
                side[-1].weight[-1].zero_()

    def forward(
        self, x: Float32[Tensor, "rows dim_x"], y: Float32[Tensor, "others dim_y"]
    ) -> Float32[Tensor, "rows others"]:
        """The score of every pair."""
        x, y = self.x(x), self.y(y)
        return x[:, :-1] @ y[:, :-1].T * self.scale + x[:, -1:] + y[:, -1]


def _embedding(dim: int, options: CriticOptions) -> nn.Sequential:
    hidden = options.hidden
    layers = (nn.Linear(dim, hidden), nn.SiLU(), nn.Linear(hidden, hidden), nn.SiLU())
    return nn.Sequential(*layers, nn.Linear(hidden, options.embedding + 1))


def contrast(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, ""]:
    r"""How well scores tell the drawn pair from the others of its row and of its column.

    .. math:: \Big\langle T_{ii} - \tfrac12 \log \tfrac1m \sum_j e^{T_{ij}}
                            - \tfrac12 \log \tfrac1m \sum_j e^{T_{ji}} \Big\rangle

    Each half is `log m` less the loss of van den Oord et al. (2018), "Representation Learning with Contrastive
    Predictive Coding", equation 4, and so at most `log m`.
    """
    rows = len(scores)
    normal = (torch.logsumexp(scores, 0) + torch.logsumexp(scores, 1)) / 2.0 - math.log(rows)
    return (scores.diagonal() - normal).mean()


def train_critic(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    fit: Int[ndarray, "rows"],
    validation: Int[ndarray, "held"],
    *,
    base: Callable[[Int[ndarray, "some"]], Float[ndarray, "some some"]] | None = None,
    objective: Objective = contrast,
    seed: int,
    options: CriticOptions = CriticOptions(),
) -> tuple[Callable[[Int[ndarray, "some"]], Float[ndarray, "some some"]], float]:
    """Train a critic on rows `fit`, as it was when rows `validation` liked it best.

    Args:
        x: Inputs, standardised here.
        y: Inputs, standardised here.
        fit: Rows to learn from.
        validation: Rows that decide when to stop.
        base: Scores of all pairs of some rows to which those of the critic are added.
        objective: What is made large.
        seed: The same seed gives the same critic.
        options: Settings.

    Returns:
        Scores of all pairs of some rows, base included, and what the objective is on `validation`.
    """
    x, y = (torch.from_numpy((part - part.mean(0)) / part.std(0)).float() for part in (x, y))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        critic = Critic(x.shape[1], y.shape[1], options)
    generator = np.random.default_rng([seed, 0xC817])

    def scores(rows: Int[ndarray, "some"], known: Tensor | None = None) -> Float32[Tensor, "some some"]:
        added = critic(x[rows], y[rows])
        if base is None:
            return added
        return added + (torch.from_numpy(base(rows)).float() if known is None else known)

    optimizer = torch.optim.AdamW(critic.parameters(), lr=options.rate, weight_decay=options.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, options.rate, total_steps=options.steps, pct_start=0.1)
    known = None if base is None else torch.from_numpy(base(validation)).float()
    best, state, waited = -math.inf, None, 0
    batch = min(options.together, len(fit))
    for step in range(options.steps + 1):
        if step % options.every == 0:
            with torch.no_grad():
                value = float(objective(scores(validation, known)))
            waited += 1
            if value > best:
                best, state, waited = value, copy.deepcopy(critic.state_dict()), 0
            if waited > options.patience or step == options.steps:
                break
        loss = -objective(scores(generator.choice(fit, batch, replace=False)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    critic.load_state_dict(state)

    @torch.no_grad()
    def trained(rows: Int[ndarray, "some"]) -> Float[ndarray, "some some"]:
        return scores(rows).double().numpy()

    return trained, best
