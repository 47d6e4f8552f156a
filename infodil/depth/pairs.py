"""Figures of pairs of a write and a depth, in closed form from streaming moments, judged on held-out documents."""

__all__ = ["TOKEN_MESSAGES", "pair_rows"]

import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor

from infodil.depth.held_out import held_out_bits
from infodil.depth.moments import Moments
from infodil.estimate import BITS_PER_NAT
from infodil.precision import Quantizer

TOKEN_MESSAGES = ("token", "previous token")
"""Messages whose classes are token types; they are read at every depth."""

STREAM_RIDGE = 1e-6
"""Ridge of regressions, as a share of the stream's mean variance: moments were summed in float32 products."""


def pair_rows(
    written: list[tuple[str, int]],
    depths: int,
    moments: Moments,
    held_out: tuple[Tensor, Tensor, Tensor, ndarray],
    precision: str,
    confidence: float,
) -> list[dict]:
    """The figures of every write at every depth at or after it, and of token identity at every depth.

    Args:
        written: Name of each write and the number of its block, in the order of writing.
        depths: Number of streams.
        moments: Sums over the training positions.
        held_out: Streams, sketches, labels and documents of held-out positions.
        precision: Precision whose rounding error is the noise of the Gaussian bits.
        confidence: Confidence level of each interval.
    """
    streams, sketches, labels, documents = held_out
    write_variance, stream_variance = moments.variances()
    retained = moments.retained()
    names = [*written, *((name, 0) for name in TOKEN_MESSAGES)]
    table: dict[tuple[int, int], dict] = {}
    for depth in range(depths):
        regression = StreamRegression(moments, depth, streams[depth], precision)
        for message, (name, block) in enumerate(names):
            if block > depth:
                continue
            estimate, entropy = held_out_bits(
                regression.class_scores(message), labels[message], documents, regression.log_prior(message), confidence,
                "linear discriminant analysis",
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
                row["norm_share"] = float(write_variance[message] / stream_variance[depth])
                row["r2"] = regression.r2(message, sketches[message])
                row["retained"] = float(retained[message, depth])
                row["gaussian_bits"] = regression.gaussian_bits(message)
            table[message, depth] = row
    return [table[key] for key in sorted(table)]


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
        self.centre = moments.stream[depth] / moments.rows
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
        sums = self.moments.class_sums[self.depth, message] - counts[:, None] * self.centre
        means = (sums / (counts + 1.0)[:, None]).T
        projected = self.inverse @ means
        share = counts / counts.sum()
        gram = means.T @ projected
        system = torch.eye(len(share), dtype=torch.float64) - share[:, None] * gram
        directions = torch.linalg.solve(system.T, projected.T).T
        return self.stream @ directions - 0.5 * (means * directions).sum(0)

    def r2(self, write: int, sketch: Float[Tensor, "rows sketch"]) -> float:
        """Share of the variance of held-out writes that the regression on training moments predicts."""
        weights = self.inverse @ self.moments.cross_covariance(self.depth, write)
        target = sketch.double() - self.moments.sketch[write] / self.moments.rows
        error = target - self.stream @ weights
        total = float(target.square().sum())
        return 1.0 - float(error.square().sum()) / total if total > 0.0 else 0.0

    def gaussian_bits(self, write: int) -> float:
        """Bits between a write's sketch and the noisy stream, were both Gaussian with the training moments."""
        covariance = self.moments.sketch_covariance(write)
        cross = self.moments.cross_covariance(self.depth, write)
        noise = STREAM_RIDGE * covariance.diagonal().mean() * torch.eye(len(covariance), dtype=torch.float64)
        left = covariance - cross.T @ self.noisy_inverse @ cross
        spread = [torch.linalg.eigvalsh(each + noise).clamp(min=1e-300).log().sum() for each in (covariance, left)]
        return 0.5 * float(spread[0] - spread[1]) * BITS_PER_NAT
