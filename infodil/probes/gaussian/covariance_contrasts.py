"""Covariance contrasts: directions in which classes differ in covariance, found on some rows and tested on others."""

__all__ = ["ContrastSearch", "find_contrasts", "products", "reproduced", "root_of", "scatter", "unbiased"]

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True)
class ContrastSearch:
    """Options of the search for directions in which the classes differ in covariance."""

    max_directions: int = 8
    """Directions at most: their products, which the quadratic evidence weighs, grow with the square."""
    power_steps: int = 2
    """Subspace iterations from a random start; the refinement does the rest."""
    tucker_steps: int = 3
    """Refinements of all directions within each other's reach."""
    min_rows: int = 8
    """Sampled rows of a class that takes part in the search, at least: of fewer a covariance says nothing."""
    block_rows: tuple[int, ...] = (16, 32, 64)
    """Rows of a class whose products are taken together, ascending; a larger class is several blocks."""
    ridge_share: float = 1e-4
    """Share of the mean variance added to a covariance, so that dims that hardly vary can be divided by."""
    max_deviations: float = 5.0
    """Standard deviations at which a projection is clipped: farther out too little is known for its square."""
    significant_errors: float = 4.5
    """Standard errors by which a difference of covariances must show again on rows that it was not found on.

    Of several directions the ones that show it best are looked at, which among 8 raises what chance alone reaches to
    about 3.7; what passes must lower the calibration cross-entropy too.
    """
    shared_rows: float = 4.0
    """Rows' worth of the shared covariance mixed into that of a class while directions are chosen."""


def root_of(total: Float[Tensor, "dim dim"], ridge_share: float) -> Float[Tensor, "dim dim"]:
    """The lower Cholesky factor of a covariance given in float64, float32: states divided by it are white."""
    ridge = (ridge_share * total.diagonal().mean()).clamp(min=torch.finfo(torch.float32).eps)
    return torch.linalg.cholesky(total + ridge * torch.eye(len(total), dtype=total.dtype, device=total.device)).float()


def find_contrasts(
    white: Float[Tensor, "rows dim"],
    labels: Int[Tensor, "rows"],
    classes: int,
    generator: torch.Generator,
    options: ContrastSearch,
) -> Float[Tensor, "dim directions"] | None:
    r"""The directions in which the covariances of the classes differ most; None where no class has rows enough.

    The start is the leading eigenvectors of :math:`\sum_c n_c (S_c - S)^2` (sliced average variance estimation), by
    subspace iteration on products of two *different* rows, so that a row's own fourth moment, which is large and says
    nothing of classes, is left out. They are then refined within each other's reach, as
    :math:`\sum_c n_c (S_c - S) V V^\top (S_c - S)` (one factor of a Tucker decomposition): noise from the
    dims outside of V no longer enters.

    Reference:
        Cook and Weisberg (1991), discussion of sliced inverse regression; De Lathauwer, De Moor and Vandewalle (2000),
        On the best rank-(R1, ..., RN) approximation, for the refinement.
    """
    counts = torch.bincount(labels[labels >= 0], minlength=classes)
    order = torch.argsort(labels, stable=True)
    order = order[(labels[order] >= 0) & (counts[labels[order].clamp(min=0)] >= options.min_rows)]
    if len(order) == 0:
        return None
    _, class_place, sizes = torch.unique_consecutive(labels[order], return_inverse=True, return_counts=True)
    typical = len(order) / len(sizes)
    length = max(size for size in options.block_rows if size <= max(typical, options.block_rows[0]))
    blocks = (sizes + length - 1) // length
    rank = torch.arange(len(order), device=order.device) - (sizes.cumsum(0) - sizes)[class_place]
    place = ((blocks.cumsum(0) - blocks)[class_place] + rank // length) * length + rank % length
    number, width = int(blocks.sum()), min(options.max_directions, white.shape[1])
    block_class = torch.repeat_interleave(torch.arange(len(sizes), device=order.device), blocks)

    # Rows of a block stand together, the last block of a class filled up with zeros, which add nothing anywhere.
    rows = white.new_zeros(number * length, white.shape[1])
    rows.index_copy_(0, place, white.index_select(0, order))
    cube = rows.view(number, length, -1)
    sums = white.new_zeros(len(sizes), white.shape[1]).index_add_(0, block_class, cube.sum(1))
    real = white.new_zeros(number * length).index_fill_(0, place, 1.0).view(number, length, 1)
    cube -= real * (sums / sizes[:, None])[block_class, None]
    # One row along the code of a rare token must not outweigh all others: none is longer than a Gaussian one would be.
    norms = rows.norm(dim=1)
    limit = norms[place].median() * (1.0 + 2.0 * white.shape[1] ** -0.5)
    rows *= (limit / norms.clamp(min=1e-12)).clamp(max=1.0)[:, None]
    gram = cube @ cube.transpose(1, 2)
    diagonal = gram.diagonal(dim1=1, dim2=2)
    norms = diagonal.reshape(1, -1).clone()
    diagonal.zero_()
    gram /= real.sum(1, keepdim=True)
    whole, less_one = len(order), (sizes - 1).to(white.dtype)

    v = torch.randn(width, white.shape[1], dtype=torch.float32, generator=generator).to(white)
    v = torch.linalg.qr(v.T)[0].T
    for _ in range(options.power_steps):
        p = v @ rows.T
        inside = (gram @ p.T.reshape(number, length, width)).reshape(-1, width).T
        across = ((p @ rows) @ rows.T - norms * p) / whole
        v = torch.linalg.qr(((inside - across) @ rows).T)[0].T
    for _ in range(options.tucker_steps):
        p = (v @ rows.T).clamp(-options.max_deviations, options.max_deviations).T.reshape(number, length, width)
        # As above, the deviation of a class that multiplies a row leaves out the products of that row.
        of_class = p.new_zeros(len(sizes), width, width).index_add_(0, block_class, p.transpose(1, 2) @ p)
        contrast = of_class / less_one[:, None, None] - of_class.sum(0) / (whole - 1)
        own_share = p.square().sum(2, keepdim=True) * (1.0 / less_one[block_class] - 1.0 / (whole - 1))[:, None, None]
        pulled = p @ contrast[block_class] - own_share * p
        v = torch.linalg.qr((pulled.reshape(-1, width).T @ rows).T)[0].T
    return v.T


def products(u: Float[Tensor, "rows directions"]) -> Float[Tensor, "rows pairs"]:
    """Every product of two projections, each pair once."""
    first, second = torch.triu_indices(u.shape[1], u.shape[1], device=u.device)
    return u[:, first] * u[:, second]


def unbiased(counts: Float[Tensor, "classes"]) -> Float[Tensor, "classes"]:
    """What makes up for a row having pulled the mean of its class towards itself."""
    return (counts / (counts - 1.0).clamp(min=1.0)).sqrt()


def scatter(
    u: Float[Tensor, "rows directions"], labels: Int[Tensor, "rows"], classes: int
) -> tuple[Float[Tensor, "classes directions directions"], Float[Tensor, "classes"]]:
    """Sums of outer products in each class, and its rows; float64."""
    u = u.double()
    outer = u[:, :, None] * u[:, None, :]
    sums = outer.new_zeros(classes, u.shape[1], u.shape[1]).index_add_(0, labels, outer)
    return sums, torch.bincount(labels, minlength=classes).double()


def reproduced(
    searched: tuple[Float[Tensor, "rows directions"], Int[Tensor, "rows"]],
    held_out: tuple[Float[Tensor, "held directions"], Int[Tensor, "held"]],
    classes: int,
    options: ContrastSearch,
) -> Float[Tensor, "directions kept"] | None:
    """The directions whose differences of covariance between classes replicate on held-out rows.

    The deviation of each class, shrunk, predicts how the products of the held-out rows of that class deviate. The sum
    over rows of predicted times observed, in units of the root of its sum of squares, is near normal under equal
    covariances, heavy tails or not. Combinations of directions are kept where it is `significant_errors` or more.

    Args:
        searched: Residuals along the directions, of the rows that these were found on, and their labels.
        held_out: The same of other rows.
        classes: Number of classes.
        options: Options of the search.

    Returns:
        The combinations of directions to keep, one a column; None where there are none.
    """
    if len(held_out[0]) == 0:
        return None
    sums, counts = scatter(*searched, classes)
    shared = sums.sum(0) / counts.sum()
    predicted = (sums - counts[:, None, None] * shared) / (counts + options.shared_rows)[:, None, None]
    u, labels = held_out[0].double(), held_out[1]
    moved = (predicted[labels] @ u[:, :, None]).squeeze(2)
    expected = predicted @ (u.T @ u / len(u))
    observed = moved.T @ u - expected[labels].sum(0)
    _, axes = torch.linalg.eigh(observed + observed.T)
    terms = (moved @ axes) * (u @ axes) - ((axes.T @ expected) * axes.T).sum(2)[labels]
    strong = terms.sum(0) > options.significant_errors * terms.square().sum(0).sqrt()
    return axes[:, strong].float() if bool(strong.any()) else None
