"""Covariance contrasts: directions in which classes differ in covariance, found on some rows and tested on others."""

__all__ = ["FARTHEST", "find_contrasts", "products", "reproduced", "root_of", "scatter", "unbiased"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

MOST_DIRECTIONS = 8
POWER_STEPS = 2
TUCKER_STEPS = 3

FEWEST_ROWS = 8
"""Sampled rows of a class that takes part in the search."""

BLOCKS = (16, 32, 64)
"""Rows of a class whose products are taken together; a larger class is several blocks."""

RIDGE = 1e-4
"""Share of the mean variance added to a covariance, so that dims that hardly vary can be divided by."""

FARTHEST = 5.0
"""Standard deviations of a projection; one that is farther out is taken to lie here."""

SIGNIFICANT = 4.5
"""Standard errors by which a difference of covariances must show again on rows that it was not found on.

Of several directions the ones that show it best are looked at, which among 8 raises what chance alone reaches to about
3.7; what passes must lower the calibration cross-entropy too.
"""

SHARED_ROWS = 4.0
"""Rows' worth of the shared covariance mixed into that of a class while directions are chosen."""


def root_of(total: Float[Tensor, "dim dim"]) -> Float[Tensor, "dim dim"]:
    """The lower Cholesky factor of a covariance given in float64, float32: states divided by it are white."""
    ridge = (RIDGE * total.diagonal().mean()).clamp(min=torch.finfo(torch.float32).eps)
    return torch.linalg.cholesky(total + ridge * torch.eye(len(total), dtype=total.dtype, device=total.device)).float()


def find_contrasts(
    white: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int, generator: torch.Generator
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
    order = order[(labels[order] >= 0) & (counts[labels[order].clamp(min=0)] >= FEWEST_ROWS)]
    if len(order) == 0:
        return None
    _, own, sizes = torch.unique_consecutive(labels[order], return_inverse=True, return_counts=True)
    typical = len(order) / len(sizes)
    length = max(block for block in BLOCKS if block <= max(typical, BLOCKS[0]))
    blocks = (sizes + length - 1) // length
    rank = torch.arange(len(order), device=own.device) - (sizes.cumsum(0) - sizes)[own]
    place = ((blocks.cumsum(0) - blocks)[own] + rank // length) * length + rank % length
    number, width = int(blocks.sum()), min(MOST_DIRECTIONS, white.shape[1])
    block_class = torch.repeat_interleave(torch.arange(len(sizes), device=own.device), blocks)

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

    v = torch.randn(width, white.shape[1], generator=generator).to(white.device)
    v = torch.linalg.qr(v.T)[0].T
    for _ in range(POWER_STEPS):
        p = v @ rows.T
        inside = (gram @ p.T.reshape(number, length, width)).reshape(-1, width).T
        across = ((p @ rows) @ rows.T - norms * p) / whole
        v = torch.linalg.qr(((inside - across) @ rows).T)[0].T
    for _ in range(TUCKER_STEPS):
        p = (v @ rows.T).clamp(-FARTHEST, FARTHEST).T.reshape(number, length, width)
        # As above, a row's own products are left out of the deviation of its class that it is met with.
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
    found: tuple[Float[Tensor, "rows directions"], Int[Tensor, "rows"]],
    other: tuple[Float[Tensor, "others directions"], Int[Tensor, "others"]],
    classes: int,
) -> Float[Tensor, "directions kept"] | None:
    """The directions whose differences of covariance between classes replicate on held-out rows.

    The deviation of each class, shrunk, foretells how the products of the other rows of that class deviate; what comes
    true, as a sum over rows in units of the root of its sum of squares, is near normal under equal covariances,
    heavy tails or not. The combinations of directions that part it best are kept where it is `SIGNIFICANT`.
    """
    if len(other[0]) == 0:
        return None
    sums, counts = scatter(*found, classes)
    shared = sums.sum(0) / counts.sum()
    foretold = (sums - counts[:, None, None] * shared) / (counts + SHARED_ROWS)[:, None, None]
    u, labels = other[0].double(), other[1]
    met = (foretold[labels] @ u[:, :, None]).squeeze(2)
    expected = foretold @ (u.T @ u / len(u))
    came_true = met.T @ u - expected[labels].sum(0)
    _, axes = torch.linalg.eigh(came_true + came_true.T)
    terms = (met @ axes) * (u @ axes) - ((axes.T @ expected) * axes.T).sum(2)[labels]
    strong = terms.sum(0) > SIGNIFICANT * terms.square().sum(0).sqrt()
    return axes[:, strong].float() if bool(strong.any()) else None
