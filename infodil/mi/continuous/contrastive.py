"""The neural bounds of the literature, for comparison only: each says where it fails, and no default ever picks one."""

__all__ = ["CONTRASTIVE", "contrastive"]

import math

import numpy as np
import torch
from jaxtyping import Float, Float32
from numpy import ndarray
from torch import Tensor
from torch.nn.functional import softplus

from infodil.mi.continuous.critics import contrast, train_critic
from infodil.mi.continuous.density_ratio import RatioOptions, held_out_terms
from infodil.mi.continuous.gaussian import RawEstimate, normal_scores
from infodil.statistics import Clusters

CLIP = 5.0
"""Greatest size of the scores in SMILE, in nats, as its authors take it."""


def _off_diagonal(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, "pairs"]:
    return scores[~torch.eye(len(scores), dtype=torch.bool)]


def _log_mean_exp(values: Float32[Tensor, "pairs"]) -> Float32[Tensor, ""]:
    return torch.logsumexp(values, 0) - math.log(len(values))


def donsker_varadhan(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, ""]:
    """`<T> - log <e^T>` over drawn and undrawn pairs (Belghazi et al. 2018, "MINE", equation 10)."""
    return scores.diagonal().mean() - _log_mean_exp(_off_diagonal(scores))


def nguyen_wainwright_jordan(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, ""]:
    """`<T> - <e^(T - 1)>` over drawn and undrawn pairs (Nguyen, Wainwright & Jordan 2010, equation 8)."""
    return scores.diagonal().mean() - torch.exp(_log_mean_exp(_off_diagonal(scores)) - 1.0)


def jensen_shannon(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, ""]:
    """The logistic loss that SMILE trains with (Song & Ermon 2020, appendix)."""
    return -softplus(-scores.diagonal()).mean() - softplus(_off_diagonal(scores)).mean()


def smile(scores: Float32[Tensor, "rows rows"]) -> Float32[Tensor, ""]:
    """Donsker-Varadhan with clipped scores in the second term (Song & Ermon 2020, "Understanding the Limitations")."""
    return scores.diagonal().mean() - _log_mean_exp(_off_diagonal(scores).clamp(-CLIP, CLIP))


CONTRASTIVE = {
    "infonce": (
        contrast,
        contrast,
        True,
        "it cannot exceed the logarithm of the rows scored together, {ceiling:.1f} bits",
    ),
    "mine": (
        donsker_varadhan,
        donsker_varadhan,
        True,
        "its variance grows like the exponential of the information: near {ceiling:.1f} bits a few pairs decide it",
    ),
    "nwj": (
        nguyen_wainwright_jordan,
        nguyen_wainwright_jordan,
        True,
        "its variance grows like the exponential of the information, and training often ends at nothing",
    ),
    "smile": (
        jensen_shannon,
        smile,
        False,
        "clipping scores at 5 nats voids the bound: above that it may read too much or too little",
    ),
}
"""Name to what is trained, what is read, whether that is a lower bound, and how it fails."""


def contrastive(
    x: Float[ndarray, "samples dim_x"],
    y: Float[ndarray, "samples dim_y"],
    clusters: Clusters,
    name: str,
    *,
    seed: int = 0,
    options: RatioOptions = RatioOptions(),
) -> RawEstimate:
    """Train a critic on three quarters of the rows by `name`'s objective and read its bound on the others.

    The standard error is that of the drawn pairs alone: it does not hold the variance of the normaliser.
    """
    train_objective, read_objective, bound, failure = CONTRASTIVE[name]
    x, y = normal_scores(x), normal_scores(y)
    fold = clusters.folds(options.folds, seed)
    test, train = np.flatnonzero(fold == 0), np.flatnonzero(fold != 0)
    back = clusters.select(train).folds(options.validation, seed + 1) == 0
    given = {"objective": train_objective, "seed": seed, "options": options.critic}
    scores, _ = train_critic(x, y, train[~back], train[back], **given)
    test = test[: options.together]
    matrix = scores(test)
    value = float(read_objective(torch.from_numpy(matrix).float()))
    terms = held_out_terms(matrix) if name == "infonce" else np.diag(matrix)
    warning = "for comparison only: " + failure.format(ceiling=math.log2(len(test)))
    return RawEstimate(value, clusters.select(test).standard_error(terms), bound=bound, warnings=(warning,))
