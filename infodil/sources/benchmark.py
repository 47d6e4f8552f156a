"""The forty continuous tasks by which the field compares estimators, each with its exact information."""

__all__ = ["BEYOND_NORMAL", "beyond_normal"]

from collections.abc import Callable
from functools import partial

import numpy as np

from infodil.checks import check_one_of, check_seed, check_whole
from infodil.sources.continuous import normal_pair, paired_correlation, student_pair, uniform_noise
from infodil.sources.margins import (
    Map,
    asinh,
    bimodal,
    half_cube,
    normal_cdf,
    spiral,
    swiss_roll,
    transform,
    wiggly_x,
    wiggly_y,
)
from infodil.sources.pairs import Pair

Task = Callable[[int, int], Pair]
"""Pairs from a number of samples and a seed."""


def beyond_normal(task: str, samples: int = 10_000, *, seed: int = 0) -> Pair:
    """Task of the benchmark of Czyz et al. (2023), as in version 1 of its list.

    ::

        (u, v) ~ normal, Student-t or uniform --> (f(u), g(v)) = (x, y),  f and g invertible

    Args:
        task: One of `BEYOND_NORMAL`, such as `"normal 1x1"`, `"spiral 25x25 2-pair"` or `"student 5x5 df 2"`.
        samples: Pairs drawn.
        seed: The same seed gives the same pairs.

    Returns:
        The pairs drawn and their mutual information in bits, exact to rounding.

    Raises:
        UserError: There is no such task.

    Reference:
        Czyz, Grabowski, Vogt, Beerenwinkel & Marx, "Beyond Normal: On the Evaluation of Mutual Information Estimators"
        (NeurIPS 2023), https://arxiv.org/abs/2306.11078, section 3 and appendix.

    Example:
        >>> len(BEYOND_NORMAL), round(beyond_normal("normal 25x25 dense").truth_bits / 1.442695, 3)  # nats
        (40, 1.292)
    """
    check_one_of("task", task, _TASKS)
    check_whole("samples", samples, 1, "pass how many pairs to draw")
    check_seed(seed)
    return _TASKS[task](samples, seed)


def _dense(dim: int, samples: int, seed: int) -> Pair:
    return normal_pair(0.5 * np.eye(2 * dim) + 0.5, dim, samples, seed=seed)


def _two_pairs(dim: int, samples: int, seed: int) -> Pair:
    return normal_pair(paired_correlation(dim, dim), dim, samples, seed=seed)


def _bivariate(samples: int, seed: int) -> Pair:
    return normal_pair(0.75, 1, samples, seed=seed)


def _student(dim: int, df: int, samples: int, seed: int) -> Pair:
    return student_pair(df, np.eye(2 * dim), dim, samples, seed=seed)


def _noise(width: float, samples: int, seed: int) -> Pair:
    return uniform_noise(width, samples, seed=seed)


def _map(base: Task, x: Map | None, y: Map | None) -> Task:
    return lambda samples, seed: transform(base(samples, seed), x, y)


def _tasks() -> dict[str, Task]:
    uniform = _map(_bivariate, normal_cdf, normal_cdf)
    tasks: dict[str, Task] = {
        "normal 1x1": _bivariate,
        "normal-cdf 1x1": uniform,
        "additive noise 0.1": partial(_noise, 0.1),
        "additive noise 0.75": partial(_noise, 0.75),
        "bimodal 1x1": _map(_bivariate, bimodal(0.3, 0.0, 5.0), bimodal(0.5, -1.0, 3.0)),
        "wiggly 1x1": _map(_bivariate, wiggly_x, wiggly_y),
        "half-cube 1x1": _map(_bivariate, half_cube, half_cube),
        "student 1x1 df 1": partial(_student, 1, 1),
        "asinh student 1x1 df 1": _map(partial(_student, 1, 1), asinh, asinh),
        "swiss roll 2x1": _map(uniform, swiss_roll, None),
    }
    tasks |= {f"normal {dim}x{dim} dense": partial(_dense, dim) for dim in (2, 3, 5, 25, 50)}
    tasks |= {f"normal {dim}x{dim} 2-pair": partial(_two_pairs, dim) for dim in (2, 3, 5, 25)}
    for dim, df in ((2, 1), (2, 2), (3, 2), (3, 3), (5, 2), (5, 3)):
        tasks[f"student {dim}x{dim} df {df}"] = partial(_student, dim, df)
    for dim in (3, 5, 25):
        base = partial(_two_pairs, dim)
        margins = _map(base, normal_cdf, normal_cdf)
        tasks[f"normal-cdf {dim}x{dim} 2-pair"] = margins
        tasks[f"half-cube {dim}x{dim} 2-pair"] = _map(base, half_cube, half_cube)
        tasks[f"spiral {dim}x{dim} 2-pair"] = _map(base, spiral((0, 1)), spiral((1, 2)))
        tasks[f"spiral normal-cdf {dim}x{dim} 2-pair"] = _map(margins, spiral((0, 1)), spiral((1, 2)))
    for dim, df in ((2, 1), (3, 2), (5, 2)):
        tasks[f"asinh student {dim}x{dim} df {df}"] = _map(partial(_student, dim, df), asinh, asinh)
    return tasks


_TASKS = _tasks()

BEYOND_NORMAL: tuple[str, ...] = tuple(_TASKS)
"""The names of the tasks."""
