r"""Mutual information of a token and its point seen through dithered rounding. Nats.

A dither that is uniform over one step and known to the receiver leaves the cell that the point falls into: the
information is the entropy of the cells, averaged over the dither, and equals that of adding uniform noise (Schuchman
1964; Zamir and Feder 1992, On universal quantization by randomized uniform/lattice quantizers, IEEE Trans. Information
Theory 38(2), theorem 1).
"""

__all__ = ["uniform_information"]

import numpy as np
import torch
from jaxtyping import Float

from infodil.bounds.codebook import Codebook, group_rows

BLOCK = 16
"""Numbers looked at before it is asked whether all points are told apart; then twice as many, and so on."""

WORK = 2**28
"""Numbers rounded for one answer; fewer draws of the dither where the codebook is large."""

FEWEST_DITHERS = 32
"""Fewest draws of the dither."""

SPLITS_NATS = 50.0
"""Draws must be expected to show so much between them: what splits too rarely would not be seen, and is bounded."""


def uniform_information(book: Codebook, draws: int, seed: int) -> tuple[float, float, int]:
    """Information in nats, its standard error, and the draws it rests on; none where it is the bound by thresholds.

    `book` is in units of the rounding step. The bound by thresholds (`Codebook.split_nats`) is exact where the noise is
    so large that no two thresholds split the points at once.
    """
    cap = book.split_nats()
    draws = min(draws, max(FEWEST_DITHERS, WORK // book.points.numel()))
    if cap * draws < SPLITS_NATS:
        return cap, 0.0, 0
    points, prior = book.points.numpy(), book.prior.numpy()
    generator = np.random.default_rng([seed, 0xD17])
    entropies: list[float] = []
    while len(entropies) < draws:
        entropies.append(cell_entropy(points, prior, generator.random(points.shape[1])))
        if len(entropies) == FEWEST_DITHERS and min(entropies) >= book.entropy_nats - 1e-12:
            break  # all is told, and no more than all could be
    return float(np.mean(entropies)), float(np.std(entropies, ddof=1) / np.sqrt(len(entropies))), len(entropies)


def cell_entropy(
    points: Float[np.ndarray, "types dim"], prior: Float[np.ndarray, "types"], dither: Float[np.ndarray, "dim"]
) -> float:
    """Entropy of the cell of the points after a shift; numbers are looked at until all points are told apart."""
    group = np.zeros(len(points), dtype=np.int64)
    begin, block = 0, BLOCK
    while begin < points.shape[1]:
        part = slice(begin, begin + block)
        # Compared bit by bit: the number of a cell may be too large for an integer. Minus zero is made zero.
        cells = (np.floor(points[:, part] + dither[part]) + 0.0).view(np.int64)
        first, group = group_rows(np.column_stack([group, cells]))
        if len(first) == len(points):
            break
        begin, block = begin + block, 2 * block
    mass = np.bincount(group, prior)
    return float(torch.special.entr(torch.from_numpy(mass)).sum())
