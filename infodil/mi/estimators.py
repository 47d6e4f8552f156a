"""Contract of an estimator of mutual information, and the registry of all estimators."""

__all__ = ["ESTIMATORS", "Estimator", "Sample", "estimators"]

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd
from jaxtyping import Int
from numpy import ndarray

from infodil.entropy import METHODS
from infodil.estimate import Estimate
from infodil.ladder import lower_bound
from infodil.mi.continuous.choosing import ChoiceOptions, neighbour_coordinates, neighbours
from infodil.mi.continuous.contrastive import CONTRASTIVE, contrastive
from infodil.mi.continuous.density_ratio import learned
from infodil.mi.continuous.elliptical import student_copula
from infodil.mi.continuous.gaussian import RawEstimate, gaussian
from infodil.mi.continuous.neighbours import mixed_ksg, ross
from infodil.mi.continuous.ties import FEWEST_OF_A_LABEL, MOST_RARE
from infodil.mi.continuous.variables import Variable
from infodil.mi.discrete.estimate import discrete_information
from infodil.statistics import Clusters

Kinds = Literal["vectors", "labels and vectors", "labels"]


@dataclass(frozen=True, eq=False)
class Sample:
    """What an estimator reads.

    Attributes:
        x: First variable; the labels, where one of both is labels.
        y: Second variable, row by row with `x`.
        clusters: Rows that may depend on each other: held out together and resampled together.
        groups: Number of the group of each row, where groups were given.
        seed: Seed of everything random.
        confidence: Confidence level of the interval.
    """

    x: Variable
    y: Variable
    clusters: Clusters
    groups: Int[ndarray, "rows"] | None = None
    seed: int = 0
    confidence: float = 0.95

    @property
    def rare(self) -> float:
        """Share of rows whose label `x` has fewer than twenty rows."""
        _, place, counts = np.unique(self.x.values, return_inverse=True, return_counts=True)
        return float((counts[place.reshape(-1)] < FEWEST_OF_A_LABEL).mean())

    @property
    def is_sparse(self) -> bool:
        """Whether neighbours of a label lie far apart: many columns, or few rows of a label."""
        return self.y.dim - len(self.y.atomic) > ChoiceOptions().low_dims or self.rare > MOST_RARE


@dataclass(frozen=True)
class Estimator:
    """An estimator of mutual information: one entry of `ESTIMATORS` makes it a `method` of `infodil.mi.estimate`.

    Attributes:
        name: Name that `method` takes.
        read: Function of a `Sample` that gives a `RawEstimate` in nats, or an `Estimate` with an interval of its own.
        variables: Kinds of variables that it reads.
        description: What it is, in a few words.
        sound_for: Variables for which its value is near the truth.
        invariant_to_margins: Whether increasing maps of a column change nothing.
        comparison_only: Whether it is here to be compared with and not to be believed.
    """

    name: str
    read: Callable[[Sample], RawEstimate | Estimate]
    variables: Kinds = "vectors"
    description: str = ""
    sound_for: str = "any"
    invariant_to_margins: bool = True
    comparison_only: bool = False


ESTIMATORS: dict[str, Estimator] = {}
"""All estimators by name; a new one is a line `ESTIMATORS["name"] = Estimator("name", read)`."""


def _ross(sample: Sample) -> RawEstimate:
    found = ross(sample.x.values, neighbour_coordinates(sample.y), sample.clusters, seed=sample.seed)
    if not sample.is_sparse:
        return found
    far = "neighbours lie far apart in so many columns or with so few rows of a label: the value may be too low"
    return replace(found, warnings=(*found.warnings, far))


def _tokens(sample: Sample) -> Estimate:
    options = {"groups": sample.groups, "seed": sample.seed, "confidence": sample.confidence}
    return lower_bound(sample.x.values, sample.y.values, **options)


def _mixed(sample: Sample) -> RawEstimate:
    def coordinates(variable: Variable) -> ndarray:
        return neighbour_coordinates(variable) if not variable.has_ties else variable.mid_scores

    found = mixed_ksg(coordinates(sample.x), coordinates(sample.y), sample.clusters, seed=sample.seed)
    if not (sample.x.has_ties and sample.y.has_ties):
        return found
    rounded = "both variables have ties: where they are rounded the value is too high; method='ksg' tells ties apart"
    return replace(found, warnings=(*found.warnings, rounded))


def _contrastive(name: str) -> Callable[[Sample], RawEstimate]:
    return lambda s: contrastive(s.x.columns, s.y.columns, s.clusters, name, seed=s.seed)


def _discrete(method: str) -> Callable[[Sample], Estimate]:
    def read(sample: Sample) -> Estimate:
        options = {"groups": sample.groups, "seed": sample.seed, "confidence": sample.confidence}
        return discrete_information(sample.x.values, sample.y.values, method=method, **options)

    return read


_BUILT_IN = (
    Estimator(
        "gaussian",
        lambda s: gaussian(s.x.values, s.y.values, s.clusters),
        description="closed form, bias removed",
        sound_for="jointly Gaussian vectors",
        invariant_to_margins=False,
    ),
    Estimator(
        "gaussian-copula",
        lambda s: gaussian(s.x.scores, s.y.scores, s.clusters),
        description="closed form of normal scores, bias removed",
        sound_for="vectors with a Gaussian copula and any margins",
    ),
    Estimator(
        "student-copula",
        lambda s: student_copula(s.x.columns, s.y.columns, s.clusters),
        description="closed form, with a common scale",
        sound_for="heavy tails, margins of any kind",
    ),
    Estimator(
        "ksg",
        lambda s: neighbours(s.x, s.y, s.clusters, s.seed),
        description="nearest neighbours, ties broken by dither",
        sound_for="up to about three columns in all",
    ),
    Estimator(
        "mixed-ksg",
        _mixed,
        description="nearest neighbours with counts at atoms",
        sound_for="atoms and density in up to about three columns, but no rounded columns",
    ),
    Estimator(
        "learned",
        lambda s: learned(s.x.columns, s.y.columns, s.clusters, seed=s.seed),
        description="cross-fitted density ratio; a lower bound",
    ),
    *(
        Estimator(name, _contrastive(name), description="neural bound", sound_for="comparison", comparison_only=True)
        for name in CONTRASTIVE
    ),
    Estimator(
        "ross",
        _ross,
        variables="labels and vectors",
        description="nearest neighbours, ties broken by dither",
        sound_for="up to about three columns and twenty rows or more of a label",
    ),
    Estimator(
        "tokens", _tokens, variables="labels and vectors", description="`lower_bound`", invariant_to_margins=False
    ),
    *(
        Estimator(name, _discrete(name), variables="labels", description="see `infodil.entropy.entropy_nats`")
        for name in METHODS
    ),
)
ESTIMATORS.update({estimator.name: estimator for estimator in _BUILT_IN})


def estimators() -> pd.DataFrame:
    """Table of all estimators: name, kinds of variables, what each is and what it is sound for.

    Returns:
        One row an estimator, in the order of the registry.

    Example:
        >>> estimators().set_index("name").loc["ksg", "variables"]
        'vectors'
    """
    columns = ["name", "variables", "description", "sound_for", "invariant_to_margins", "comparison_only"]
    return pd.DataFrame(
        [[getattr(each, column) for column in columns] for each in ESTIMATORS.values()], columns=columns
    )
