"""Figures of pairs of a write and a depth, in closed form from streaming moments, judged on held-out documents."""

__all__ = ["pair_rows", "token_message"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.depth.held_out import held_out_bits, ratio_reach
from infodil.depth.moments import Moments
from infodil.depth.recording import Recording
from infodil.estimate import BITS_PER_NAT
from infodil.precision import Quantizer
from infodil.statistics import jackknife_error, t_quantile

STREAM_RIDGE = 1e-6
"""Ridge of regressions, as a share of the stream's mean variance: moments were summed in float32 products."""


def pair_rows(recording: Recording, depths: tuple[int, ...], precision: str, confidence: float) -> list[dict]:
    """The figures of every write at every depth at or after it, and of token identity at every depth.

    Args:
        recording: What the pass over the corpus gave.
        depths: Depths at which the stream is read.
        precision: Precision whose rounding error is the noise of the Gaussian bits.
        confidence: Confidence level of each interval.
    """
    moments, held_out, written = recording.moments, recording.held_out, recording.written
    documents = held_out.documents.numpy()
    coefficients = Coefficients.of(recording, confidence)
    names = [*written, *((token_message(lag), 0) for lag in recording.lags)]
    table: dict[tuple[int, int], dict] = {}
    for depth in depths:
        regression = StreamRegression(moments, depth, held_out.streams[depth], precision)
        for message, (name, block) in enumerate(names):
            if block > depth:
                continue
            estimate, entropy = held_out_bits(
                regression.class_scores(message), held_out.labels[message], documents, regression.log_prior(message),
                confidence, "linear discriminant analysis",
            )  # fmt: skip
            row = {
                "written": name,
                "read": depth,
                "value_bits": estimate.value_bits,
                "low_bits": estimate.low_bits,
                "high_bits": estimate.high_bits,
                "upper_bits": entropy,
                "norm_share": None,
                "r2": None,
                "entropy_bits": entropy,
                "samples": estimate.samples,
            }
            if message < len(written):
                row |= regression.predictability(message, held_out.sketches[message], documents, confidence)
                row |= coefficients.row(message, depth)
                row["gaussian_bits"] = regression.gaussian_bits(message)
            table[message, depth] = row
    return [table[key] for key in sorted(table)]


def token_message(lag: int) -> str:
    """Name of the message that is the identity of the token some positions back."""
    return {0: "token", 1: "previous token"}.get(lag, f"token {lag} back")


@dataclass(frozen=True)
class Coefficients:
    """What streams retain of writes, and their shares of the norm, where streams are plain sums."""

    retained: Float[Tensor, "writes depths"]
    reach: Float[ndarray, "writes depths"]
    """Half-widths of the intervals of the retained coefficients, by a jackknife over groups of documents."""
    shares: Float[Tensor, "writes depths"]
    sums: bool
    """Whether the streams are plain sums of the writes; otherwise a write's coefficient has no such meaning."""

    @classmethod
    def of(cls, recording: Recording, confidence: float) -> "Coefficients":
        """The coefficients of a recording."""
        moments = recording.moments
        write, stream = moments.variances()
        replicates = moments.retained_without_each_group().numpy()
        reach = np.full(replicates.shape[1:], math.inf)
        if len(replicates) > 1:
            reach = t_quantile(len(replicates) - 1, confidence) * jackknife_error(replicates)
        return cls(moments.retained(), reach, write[:, None] / stream, recording.layout.sums)

    def row(self, write: int, depth: int) -> dict[str, float | None]:
        """The entries of a table for one write at one depth."""
        if not self.sums:
            return {"norm_share": None}
        value, reach = float(self.retained[write, depth]), float(self.reach[write, depth])
        return {
            "norm_share": float(self.shares[write, depth]),
            "retained": value,
            "retained_low": value - reach,
            "retained_high": value + reach,
        }


class StreamRegression:
    """Closed-form readings of the stream at one depth from training moments, for held-out rows.

    Args:
        moments: Sums over the training positions.
        depth: The depth.
        stream: Held-out rows of the stream.
        precision: Precision whose rounding error is the noise of the Gaussian bits.
    """

    def __init__(self, moments: Moments, depth: int, stream: Float[Tensor, "rows dim"], precision: str) -> None:
        self.moments, self.depth = moments, depth
        self.centre = moments.mean_stream(depth)
        self.stream = stream.double() - self.centre
        covariance = moments.covariance(depth)
        unit = torch.eye(len(covariance), dtype=torch.float64)
        self.inverse = torch.linalg.inv(covariance + STREAM_RIDGE * covariance.diagonal().mean() * unit)
        sigma = Quantizer.of(precision, stream).sigma(stream).double()
        self.noisy_inverse = torch.linalg.inv(
            covariance + torch.diag(sigma.square()) + 1e-12 * covariance.trace() * unit
        )

    def log_prior(self, message: int) -> Float[Tensor, "classes"]:
        """Log-probability of each class, with one added to each count."""
        counts = self.moments.counts[message] + 1.0
        return (counts / counts.sum()).log()

    def class_scores(self, message: int) -> Float[Tensor, "rows classes"]:
        r"""Scores of linear discriminant analysis: :math:`h^\top a_c - \mu_c^\top a_c / 2,\; \Sigma_w a_c = \mu_c`.

        The within-class covariance is the total one less that of the class means; its inverse applied to the means is
        found from the inverse of the total one, which all messages share.
        """
        counts = self.moments.counts[message]
        # A mean of few rows is shrunk towards the centre, by one row of prior.
        sums = self.moments.class_sums[message, self.depth] - counts[:, None] * self.centre
        means = (sums / (counts + 1.0)[:, None]).T
        projected = self.inverse @ means
        share = counts / counts.sum()
        gram = means.T @ projected
        system = torch.eye(len(share), dtype=torch.float64) - share[:, None] * gram
        directions = torch.linalg.solve(system.T, projected.T).T
        return self.stream @ directions - 0.5 * (means * directions).sum(0)

    def predictability(
        self, write: int, sketch: Float[Tensor, "rows sketch"], documents: Int[ndarray, "rows"], confidence: float
    ) -> dict[str, float]:
        """Share of the variance of held-out writes that the regression on training moments predicts, by document."""
        weights = self.inverse @ self.moments.cross_covariance(self.depth, write)
        target = sketch.double() - self.moments.mean_sketch(write)
        error = (target - self.stream @ weights).square().sum(1).numpy()
        power = target.square().sum(1).numpy()
        if not power.any():
            return {"r2": 0.0, "r2_low": 0.0, "r2_high": 0.0}
        value = 1.0 - error.sum() / power.sum()
        reach = ratio_reach(error, power, documents, confidence)
        return {"r2": value, "r2_low": value - reach, "r2_high": value + reach}

    def gaussian_bits(self, write: int) -> float:
        """Bits between a write's sketch and the noisy stream, were both Gaussian with the training moments."""
        covariance = self.moments.sketch_covariance(write)
        cross = self.moments.cross_covariance(self.depth, write)
        noise = STREAM_RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        left = covariance - cross.T @ self.noisy_inverse @ cross
        spread = [torch.linalg.eigvalsh(each + noise).clamp(min=1e-300).log().sum() for each in (covariance, left)]
        return 0.5 * float(spread[0] - spread[1]) * BITS_PER_NAT
