"""The linear discriminant of one target, for any shrinkage."""

__all__ = ["Discriminant"]

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.probes.gaussian.class_sums import Moments


class Discriminant:
    """The discriminant of one target for any shrinkage, from one eigendecomposition of the within-class covariance.

    Args:
        moments: Moments of the target.
        precision: Type in which the decomposition is made.
    """

    def __init__(self, moments: Moments, precision: torch.dtype = torch.float64) -> None:
        counts, centre, means, total, sphere = moments
        rows, present = counts.sum().clamp(min=1.0), (counts > 0).sum()
        between = (means * (counts / rows)[:, None]).T @ means
        freedom = rows / (rows - present).clamp(min=1.0)
        spread, axes = torch.linalg.eigh(((total - between) * freedom).to(precision))
        self.scale = sphere.clamp(min=torch.finfo(torch.float64).tiny)
        self.spread, self.rows, self.present = spread, rows, present
        # The differences were taken in float64; the products that follow are float32 like the states.
        self.rotated_means = (means.to(precision) @ axes).float()
        self.axes, self.counts, self.centre = axes.float(), counts.float()[:, None], centre.float()

    def shrunk(self, shrinkage: float) -> tuple[Float[Tensor, "dim classes"], Float[Tensor, "classes"]]:
        """The direction of evidence and its offset, float32."""
        stretch = ((1.0 - shrinkage) * self.spread.clamp(min=0.0) + shrinkage * self.scale).rsqrt().float()
        white = self.rotated_means * stretch
        # Sampling alone spreads the means by about classes / rows along each whitened axis.
        signal = ((white**2 * (self.counts / self.rows)).sum(0) - self.present / self.rows).clamp(min=0.0).float()
        ratio = self.counts * signal
        white = white * (ratio / (1.0 + ratio))
        direction = self.axes @ (white * stretch).T
        return direction, -0.5 * (white**2).sum(1) - self.centre @ direction
