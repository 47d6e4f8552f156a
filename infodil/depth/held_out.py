"""Bits of a message that a decoder's scores give on held-out rows: calibrated on one half, measured on the other."""

__all__ = ["held_out_bits", "ratio_reach"]

import math

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.probes import fit_temperature, log_predictive, prior_smoothing
from infodil.statistics import t_quantile


def held_out_bits(
    scores: Float[Tensor, "rows classes"],
    labels: Int[Tensor, "rows"],
    clusters: Int[ndarray, "rows"],
    log_prior: Float[Tensor, "classes"],
    confidence: float,
    method: str,
) -> tuple[Estimate, float]:
    r"""Lower bound on the information that scores give about labels: :math:`\hat H(X) + E \log_2 q(X \mid h)`.

    The temperature of the scores is fitted on every second cluster and the bits are measured on the others; the
    interval is Student's, of a ratio of sums over clusters.

    Args:
        scores: Evidence for each class, nats.
        labels: True class of each row.
        clusters: Cluster of each row, such as its document; rows of one cluster depend on one another.
        log_prior: Log-probability of each class, nats.
        confidence: Confidence level of the interval.
        method: Name of the decoder.

    Returns:
        The bits and the entropy of the labels that they were measured on; zero bits with an infinite interval where
        fewer than four clusters are left.
    """
    number = np.unique(clusters, return_inverse=True)[1]
    test = number % 2 == 1
    clusters_left = len(np.unique(number[test]))
    if clusters_left < 2:
        nothing = Estimate(0.0, -math.inf, math.inf, confidence, "lower bound", int(test.sum()), method)
        return nothing, entropy_of(labels)
    known, asked = (torch.from_numpy(np.flatnonzero(rows)) for rows in (~test, test))
    temperature, _ = fit_temperature(log_prior, scores[known], labels[known])
    log = log_predictive(log_prior, scores[asked], temperature, prior_smoothing(len(known)), labels[asked])
    share = torch.bincount(labels[asked], minlength=scores.shape[1]).double() / len(asked)
    gain = ((log.double() - share[labels[asked]].log()) * BITS_PER_NAT).numpy()
    mean, reach = float(gain.mean()), ratio_reach(gain, np.ones(len(gain)), number[test], confidence)
    estimate = Estimate(mean, mean - reach, mean + reach, confidence, "lower bound", len(gain), method)
    return estimate, entropy_of(labels[asked])


def ratio_reach(
    above: Float[ndarray, "rows"], below: Float[ndarray, "rows"], clusters: Int[ndarray, "rows"], confidence: float
) -> float:
    r"""Half-width of Student's interval of a ratio of sums over clusters, :math:`\sum_i a_i / \sum_i b_i`.

    Args:
        above: Terms of the numerator.
        below: Terms of the denominator.
        clusters: Cluster of each row.
        confidence: Confidence level of the interval.

    Returns:
        The half-width; infinite where there is one cluster.
    """
    cluster = np.unique(clusters, return_inverse=True)[1]
    numerator, denominator = (np.bincount(cluster, weights=each) for each in (above, below))
    if len(numerator) < 2:
        return math.inf
    ratio = numerator.sum() / denominator.sum()
    residual = (numerator - ratio * denominator) / denominator.mean()
    return t_quantile(len(numerator) - 1, confidence) * float(residual.std(ddof=1)) / math.sqrt(len(numerator))


def entropy_of(labels: Int[Tensor, "rows"]) -> float:
    """Plug-in entropy of labels, bits."""
    share = torch.bincount(labels).double() / max(1, len(labels))
    return float(torch.special.entr(share).sum()) * BITS_PER_NAT
