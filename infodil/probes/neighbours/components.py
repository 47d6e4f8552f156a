"""Neighbourhood components analysis: a metric in which states of one class are near each other."""

__all__ = ["fit_components"]

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from infodil.probes.standardizer import whitening

ROUNDS = 16
STEPS = 12
PATIENCE = 4
"""Rounds without a better metric after which the search ends."""

ASKED = 1500
"""States whose neighbours are looked up in a round."""

NEIGHBOURS = 48
FIRST = 2
"""The first bandwidth is the median distance to this neighbour; with a larger one the search starts where the loss is
flat if classes alternate finely."""

RATE = 0.15
FLATTEST = 0.05
"""Directions along which states vary less than this, in widths of the kernel, are left out of the metric."""

MIXED_SHARE = 1e-2
"""Share of the answer that is spread over all classes: one wrong neighbour must not cost without limit."""


def fit_components(
    states: Float[Tensor, "rows dim"], labels: Int[ndarray, "rows"], classes: int, seed: int
) -> Float[Tensor, "dim axes"]:
    r"""The linear map A that makes :math:`\sum_{j \ne i} \mathrm{softmax}_j(-|A h_i - A h_j|^2 / 2) [y_j = y_i]` large.

    The sum goes over the nearest states in the metric so far, which are looked up anew in every round among all of
    them: the map then suits neighbours as near as these. It starts at the map that makes the states white, so that
    the coordinates that the states come in do not matter. Its scale is that of the kernel: one is its width.

    Args:
        states: Training rows.
        labels: Their classes.
        classes: How many.
        seed: Which states are asked about.

    Reference:
        Goldberger, Roweis, Hinton and Salakhutdinov (2004), Neighbourhood components analysis, equations 1 to 3, with
        the log-probability of the class in place of the probability (their equation 8).
    """
    generator = torch.Generator().manual_seed(seed)
    white = whitening(states)
    states = (states.double() @ white).float()
    own = torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()
    metric = torch.eye(states.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([metric], lr=RATE)
    best, least, since = metric.detach().clone(), np.inf, 0
    for number in range(ROUNDS):
        optimizer.param_groups[0]["lr"] = RATE * (1.0 - 0.8 * number / ROUNDS)
        asked = torch.randperm(len(states), generator=generator)[:ASKED]
        points = (states @ metric.detach()).double().numpy()
        distance, index = cKDTree(points).query(
            points[asked], k=min(NEIGHBOURS + 1, len(points)), workers=torch.get_num_threads()
        )
        if number == 0:
            with torch.no_grad():
                metric /= max(float(np.median(distance[:, FIRST])), 1e-9)
        near = torch.from_numpy(index[:, 1:])
        apart, theirs, mine = states[asked, None] - states[near], own[near], own[asked]
        for step in range(STEPS):
            with torch.enable_grad():
                share = torch.softmax(-0.5 * (apart @ metric).square().sum(2), 1)
                right = (share * (theirs * mine[:, None]).sum(2)).sum(1)
                loss = -torch.log((1.0 - MIXED_SHARE) * right + MIXED_SHARE / classes).mean()
            if step == 0:  # of states that the metric so far has not been fitted to
                since = 0 if float(loss.detach()) < least else since + 1
                if since == 0:
                    best, least = metric.detach().clone(), float(loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if since == PATIENCE:
            break
    axes, width, _ = torch.linalg.svd(best.double())
    seen = width >= min(FLATTEST, float(width[0]))
    return white @ (axes[:, seen] * width[seen])
