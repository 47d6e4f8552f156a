"""Neighbourhood components analysis: a metric in which states of one class are near each other."""

__all__ = ["ComponentOptions", "fit_components"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from scipy.spatial import cKDTree
from torch import Tensor

from infodil.probes.standardizer import whitening


@dataclass(frozen=True)
class ComponentOptions:
    """Options of the search for a metric."""

    rounds: int = 16
    """Times neighbours are looked up anew in the metric so far, at most."""
    steps: int = 12
    """Steps of Adam for each set of neighbours: more would move the metric beyond what these neighbours tell."""
    patience: int = 4
    """Rounds without a better metric after which the search ends."""
    round_rows: int = 1500
    """States whose neighbours are looked up in a round."""
    neighbours: int = 48
    """Neighbours of each state that the loss sums over: beyond them the kernel is near zero."""
    first_neighbour: int = 2
    """The neighbour whose median distance is the first bandwidth; with a later one the search starts where the loss is
    flat if classes alternate finely."""
    learning_rate: float = 0.15
    """Learning rate of the first round, in widths of the kernel; it falls to a fifth of it."""
    min_width: float = 0.05
    """Widths of the kernel: directions along which states vary less than this are left out of the metric."""
    uniform_share: float = 1e-2
    """Share of the prediction that is spread over all classes: one wrong neighbour must not cost without limit."""


def fit_components(
    states: Float[Tensor, "rows dim"],
    labels: Int[ndarray, "rows"],
    classes: int,
    seed: int,
    options: ComponentOptions = ComponentOptions(),
) -> Float[Tensor, "dim axes"]:
    r"""The linear map A that makes :math:`\sum_{j \ne i} \mathrm{softmax}_j(-|A h_i - A h_j|^2 / 2) [y_j = y_i]` large.

    The sum goes over the nearest states in the metric so far, which are looked up anew in every round among all of
    them: the map then suits neighbours as near as these. It starts at the map that makes the states white, so that
    the coordinates that the states come in do not matter. Its scale is that of the kernel: one is its width.

    Args:
        states: Training rows.
        labels: Their classes.
        classes: Number of classes.
        seed: Seed of the choice of states whose neighbours are looked up.
        options: Options of the search.

    Returns:
        The map, float64.

    Reference:
        Goldberger, Roweis, Hinton and Salakhutdinov (2004), Neighbourhood components analysis, equations 1 to 3, with
        the log-probability of the class in place of the probability (their equation 8).
    """
    generator = torch.Generator().manual_seed(seed)
    white = whitening(states)
    states = (states.double() @ white).float()
    one_hot = torch.nn.functional.one_hot(torch.from_numpy(labels), classes).float()
    metric = torch.eye(states.shape[1], requires_grad=True)
    optimizer = torch.optim.Adam([metric], lr=options.learning_rate)
    best, least, since = metric.detach().clone(), np.inf, 0
    for number in range(options.rounds):
        optimizer.param_groups[0]["lr"] = options.learning_rate * (1.0 - 0.8 * number / options.rounds)
        chosen = torch.randperm(len(states), generator=generator)[: options.round_rows]
        points = (states @ metric.detach()).double().numpy()
        distance, index = cKDTree(points).query(
            points[chosen], k=min(options.neighbours + 1, len(points)), workers=torch.get_num_threads()
        )
        if number == 0:
            with torch.no_grad():
                metric /= max(float(np.median(distance[:, options.first_neighbour])), 1e-9)
        near = torch.from_numpy(index[:, 1:])
        difference = states[chosen, None] - states[near]
        same = (one_hot[near] * one_hot[chosen, None]).sum(2)
        for step in range(options.steps):
            with torch.enable_grad():
                share = torch.softmax(-0.5 * (difference @ metric).square().sum(2), 1)
                right = (share * same).sum(1)
                loss = -torch.log((1.0 - options.uniform_share) * right + options.uniform_share / classes).mean()
            if step == 0:  # of states that the metric so far has not been fitted to
                since = 0 if float(loss.detach()) < least else since + 1
                if since == 0:
                    best, least = metric.detach().clone(), float(loss.detach())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        if since == options.patience:
            break
    axes, width, _ = torch.linalg.svd(best.double())
    kept = width >= min(options.min_width, float(width[0]))
    return white @ (axes[:, kept] * width[kept])
