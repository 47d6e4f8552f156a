"""Invertible maps of one variable: they change what an estimator sees, and not the information."""

__all__ = ["asinh", "bimodal", "half_cube", "normal_cdf", "spiral", "swiss_roll", "transform", "wiggly_x", "wiggly_y"]

import dataclasses
from collections.abc import Callable, Sequence

import torch
from jaxtyping import Float64
from torch import Tensor

from infodil.checks import UserError
from infodil.sources.pairs import Pair

Map = Callable[[Tensor], Tensor]


def transform(pair: Pair, x: Map | None = None, y: Map | None = None) -> Pair:
    """Pair whose variables are mapped invertibly, so that its information stays as it is.

    ::

        (x, y) --> (f(x), g(y)),   I(f(X); g(Y)) = I(X; Y)

    Args:
        pair: Pair whose information is known.
        x: Invertible map of x, which stays as it is by default.
        y: Invertible map of y, which stays as it is by default.

    Returns:
        The pair with its mapped variables and the same mutual information.

    Raises:
        UserError: A map gives values that are not finite, or other than one row a sample.

    Reference:
        Kraskov, Stoegbauer & Grassberger, Physical Review E 69 (2004), appendix; Czyz et al. (NeurIPS 2023), theorem
        2.1, for embeddings into more dimensions.

    Example:
        >>> from infodil.sources import normal_pair
        >>> transform(normal_pair(0.75), half_cube, asinh).truth_bits == normal_pair(0.75).truth_bits
        True
    """
    changed = {}
    for name, mapping in {"x": x, "y": y}.items():
        if mapping is None:
            continue
        mapped = mapping(getattr(pair, name))
        if len(mapped) != len(pair) or not torch.isfinite(mapped).all():
            raise UserError(f"`{name}` must map to as many finite samples, got shape {list(mapped.shape)}: mend it.")
        changed[name] = mapped
    return dataclasses.replace(pair, **changed)


def half_cube(x: Float64[Tensor, "samples dim"]) -> Float64[Tensor, "samples dim"]:
    r"""Longer tails, :math:`x \sqrt{|x|}`.

    Args:
        x: Samples, one a row.

    Returns:
        The mapped samples.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal".

    Example:
        >>> half_cube(torch.tensor([[-4.0]]).double()).item()
        -8.0
    """
    return x * x.abs().sqrt()


def asinh(x: Float64[Tensor, "samples dim"]) -> Float64[Tensor, "samples dim"]:
    r"""Shorter tails, :math:`\log(x + \sqrt{1 + x^2})`.

    Args:
        x: Samples, one a row.

    Returns:
        The mapped samples.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal".
    """
    return torch.asinh(x)


def normal_cdf(x: Float64[Tensor, "samples dim"]) -> Float64[Tensor, "samples dim"]:
    """Uniform margins, from standard normal ones.

    Args:
        x: Samples, one a row, whose numbers are standard normal.

    Returns:
        The mapped samples, each number uniform on [0, 1].
    """
    return torch.special.ndtr(x)


def wiggly_x(x: Float64[Tensor, "samples dim"]) -> Float64[Tensor, "samples dim"]:
    """The wiggly map of x of Czyz et al. (2023): an increasing sum of a line and three sines.

    Args:
        x: Samples, one a row.

    Returns:
        The mapped samples.
    """
    return x + 0.4 * torch.sin(x) + 0.2 * torch.sin(1.7 * x + 1) + 0.03 * torch.sin(3.3 * x - 2.5)


def wiggly_y(y: Float64[Tensor, "samples dim"]) -> Float64[Tensor, "samples dim"]:
    """The wiggly map of y of Czyz et al. (2023): an increasing sum of a line and three sines.

    Args:
        y: Samples, one a row.

    Returns:
        The mapped samples.
    """
    return y - 0.4 * torch.sin(0.4 * y) + 0.17 * torch.sin(1.3 * y + 3.5) + 0.02 * torch.sin(4.3 * y - 2.5)


def bimodal(weight: float | int, first: float | int, second: float | int) -> Map:
    r"""Map from standard normal margins to a mixture of two unit normals, :math:`w\,N(a, 1) + (1 - w)\,N(b, 1)`.

    The quantile function is found by bisection, to rounding.

    Args:
        weight: Weight `w` of the first unit normal, from 0 to 1.
        first: Mean `a` of the first unit normal.
        second: Mean `b` of the second unit normal.

    Returns:
        The map, of standard normal numbers to numbers of the mixture.

    Example:
        >>> mixed = bimodal(0.5, -3.0, 3.0)(torch.zeros(1, 1).double())  # the median of a symmetric mixture
        >>> abs(mixed.item()) < 1e-12
        True
    """

    def quantile(x: Tensor) -> Tensor:
        goal = torch.special.ndtr(x)
        low = torch.full_like(x, min(first, second) - 10.0)
        high = torch.full_like(x, max(first, second) + 10.0)
        for _ in range(64):
            middle = 0.5 * (low + high)
            below = weight * torch.special.ndtr(middle - first) + (1 - weight) * torch.special.ndtr(middle - second)
            low, high = torch.where(below < goal, middle, low), torch.where(below < goal, high, middle)
        return 0.5 * (low + high)

    return quantile


def spiral(plane: Sequence[int] = (0, 1), speed: float | int | None = None) -> Map:
    r"""Rotation of a plane by an angle that grows with the square of the distance, :math:`x \mapsto e^{v A |x|^2} x`.

    Args:
        plane: The two dimensions that are turned; `A` is the generator of their rotations.
        speed: The `v`; one over the number of dimensions by default, as in the benchmark.

    Returns:
        The map.

    Raises:
        UserError: The map is given samples that have no such dimensions.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal", section 2.2.

    Example:
        >>> turned = spiral((0, 1), speed=torch.pi / 2)(torch.tensor([[1.0, 0.0]]).double())
        >>> turned.round(decimals=9).tolist()
        [[0.0, 1.0]]
    """
    first, second = plane

    def turn(x: Tensor) -> Tensor:
        if x.shape[1] <= max(plane):
            raise UserError(f"`plane` must be dimensions below {x.shape[1]}, got {tuple(plane)}: pass two there are.")
        angle = x.square().sum(1) * (1 / x.shape[1] if speed is None else speed)
        cosine, sine = angle.cos(), angle.sin()
        turned = x.clone()
        turned[:, first] = cosine * x[:, first] - sine * x[:, second]
        turned[:, second] = sine * x[:, first] + cosine * x[:, second]
        return turned

    return turn


def swiss_roll(x: Float64[Tensor, "samples 1"]) -> Float64[Tensor, "samples 2"]:
    r"""The unit interval rolled up in the plane: :math:`t\,(\cos t, \sin t) / 21` with :math:`t = 1.5 \pi (1 + 2x)`.

    Args:
        x: Samples, each one number of [0, 1].

    Returns:
        The samples as points of the plane.

    Reference:
        Czyz et al. (NeurIPS 2023), "Beyond Normal".

    Example:
        >>> swiss_roll(torch.zeros(1, 1).double()).round(decimals=4).tolist()  # 1.5 pi / 21 along minus the second
        [[-0.0, -0.2244]]
    """
    t = 1.5 * torch.pi * (1 + 2 * x)
    return torch.cat([t * t.cos(), t * t.sin()], 1) / 21.0
