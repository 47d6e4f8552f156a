"""Columns as real states have them, with their information: rounded, rectified, half-precision, one-hot, far off.

Each kind is a map of one or both of two variables whose joint law is known, so that the truth is a sum over the cells
that the map makes: exact to the width of a fine grid.
"""

import functools
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy.special import ndtr

__all__ = ["COLUMNS", "Columns", "labels_bits", "normals_bits"]

Map = Callable[[np.ndarray], np.ndarray]

GRID = 0.01 * np.arange(-800, 801) + 0.00237
"""Places of a standard normal number, none of which is where rounding is undecided; sums over them err by far less than
.001 bits for correlations up to .95."""


def same(values):
    return values


def rounded(step):
    return lambda values: np.round(values / step) * step


def half_far_out(values):
    """Half precision around 1,000, where its steps are one half."""
    return (1000 + 5 * values).astype(np.float16)


def brain_far_out(values):
    """bfloat16 around 1,000, where its steps are four."""
    return torch.from_numpy(1000 + 5 * np.asarray(values, dtype=np.float64)).bfloat16().double().numpy()


def single_far_out(values):
    """Single precision around 10,000, where its steps are .001."""
    return (1e4 + values).astype(np.float32)


def rectified(values):
    return np.maximum(values, 0.0)


def clipped(values):
    return np.clip(values, -1.0, 1.0)


def counted(values):
    """Counts that are mostly zero, as floats."""
    return np.floor(np.exp(values))


def tiny(values):
    return 1e-200 * values


MAPS: dict[str, Map] = {
    "as they are": same,
    "rounded to .05": rounded(0.05),
    "rounded to .5": rounded(0.5),
    "rectified": rectified,
    "clipped": clipped,
    "counted": counted,
    "half precision": half_far_out,
    "bfloat16": brain_far_out,
    "single precision, far off": single_far_out,
    "1e-200 as large": tiny,
}


def entropy_terms(table):
    positive = table[table > 0]
    return float(-(positive * np.log2(positive)).sum())


def table_bits(table):
    """Information of a joint table."""
    table = table / table.sum()
    return entropy_terms(table.sum(0)) + entropy_terms(table.sum(1)) - entropy_terms(table)


def merged(table, values, axis):
    """A table whose cells with one value are one cell."""
    codes = np.unique(values, return_inverse=True)[1].reshape(-1)
    table = np.moveaxis(table, axis, 0)
    out = np.zeros((codes.max() + 1, *table.shape[1:]))
    np.add.at(out, codes, table)
    return np.moveaxis(out, 0, axis)


@functools.cache
def normals_bits(correlation: float, on_x: str, on_y: str) -> float:
    """Information of a normal pair after a map of each number.

    Args:
        correlation: Correlation of the pair.
        on_x: Name of the map of the first number.
        on_y: Name of the map of the second number.
    """
    if correlation == 0.0:
        return 0.0
    rest = math.sqrt(1 - correlation**2)
    half = (GRID[1] - GRID[0]) / 2
    edges = np.append(GRID - half, GRID[-1] + half)
    weight = np.exp(-(GRID**2) / 2)
    table = weight[:, None] * np.diff(ndtr((edges[None] - correlation * GRID[:, None]) / rest), axis=1)
    return table_bits(merged(merged(table, MAPS[on_x](GRID), 0), MAPS[on_y](GRID), 1))


@functools.cache
def labels_bits(labels: int, sigma: float, name: str, scale: float = 1.0) -> float:
    """Information of a uniform label and the same number in normal noise after a map.

    Args:
        labels: Number of labels, from 0.
        sigma: Standard deviation of the noise.
        name: Name of the map of the noisy number.
        scale: What a label is multiplied by.
    """
    means = scale * np.arange(labels)
    grid = np.linspace(-9 * sigma, means[-1] + 9 * sigma, 12_001)
    half = (grid[1] - grid[0]) / 2
    edges = np.append(grid - half, grid[-1] + half)
    table = np.diff(ndtr((edges[None] - means[:, None]) / sigma), axis=1)
    return table_bits(merged(table, MAPS[name](grid), 1))


@dataclass(frozen=True)
class Columns:
    """One kind of column: how it is drawn, and its information.

    Args:
        kind: What the columns are like.
        side: Which variable is like that: `x`, `y` or `both`.
        draw: Function of the number of rows and a generator that gives both variables.
        truth: Function that gives their mutual information.
    """

    kind: str
    side: str
    draw: Callable[[int, np.random.Generator], tuple[np.ndarray, np.ndarray]]
    truth: Callable[[], float]

    @property
    def truth_bits(self) -> float:
        """Mutual information of both."""
        return self.truth()

    @property
    def name(self) -> str:
        """Kind and side."""
        return f"{self.kind}, {self.side}"


def _normals(correlation: float, on_x: str, on_y: str):
    def draw(rows, generator):
        x, noise = generator.standard_normal((2, rows))
        return MAPS[on_x](x), MAPS[on_y](correlation * x + math.sqrt(1 - correlation**2) * noise)

    return draw


def _labels(labels: int, sigma: float, name: str, scale: float, code: Map):
    def draw(rows, generator):
        label = generator.integers(0, labels, rows)
        return code(label), MAPS[name](scale * label + sigma * generator.standard_normal(rows))

    return draw


def _codes(labels: int, on_x: Map, on_y: Map, flipped: float = 0.0):
    def draw(rows, generator):
        label = generator.integers(0, labels, rows)
        other = np.where(generator.random(rows) < flipped, labels - 1 - label, label)
        return on_x(label), on_y(other)

    return draw


def _beside_noise(rows, generator):
    return np.repeat([0.0, 1.0], [rows // 2, rows - rows // 2]), generator.standard_normal((rows, 3))


def _label_and_number(rows, generator):
    """A label that moves the mean of y, beside a number that tells of the rest."""
    label = generator.integers(0, 2, rows)
    x, noise = generator.standard_normal((2, rows))
    return np.column_stack([label, x]), 0.6 * x + 0.8 * noise + 2 * label


def _one_hot(labels):
    return lambda label: np.eye(labels)[label]


def _floats(label):
    return 2.0 * label - 1.0


def _columns() -> list[Columns]:
    found = []
    for name in list(MAPS)[1:]:
        for side, on_x, on_y in (("x", name, "as they are"), ("both", name, name)):
            for correlation in (0.0, 0.8):
                words = f"{name}, correlation {correlation:g}"
                truth = functools.partial(normals_bits, correlation, on_x, on_y)
                found.append(Columns(words, side, _normals(correlation, on_x, on_y), truth))
    for name in ("rounded to .5", "half precision", "bfloat16", "rectified"):
        draw = _labels(2, 1.0, name, 2.0, same)
        truth = functools.partial(labels_bits, 2, 1.0, name, 2.0)
        found.append(Columns(f"labels, noisy code {name}", "y", draw, truth))
    noisy = functools.partial(labels_bits, 5, 0.7, "as they are")
    flip = 0.1 * math.log2(0.1) + 0.9 * math.log2(0.9)
    found += [
        Columns("labels as floats", "both", _codes(2, _floats, _floats), lambda: 1.0),
        Columns("labels as floats", "y", _codes(2, same, _floats), lambda: 1.0),
        Columns("labels as floats, one in ten flipped", "y", _codes(2, same, _floats, 0.1), lambda: 1.0 + flip),
        Columns("one-hot of five", "y", _codes(5, same, _one_hot(5)), lambda: math.log2(5)),
        Columns("one-hot of five", "both", _codes(5, _one_hot(5), _one_hot(5)), lambda: math.log2(5)),
        Columns("one-hot of five beside a number", "x", _labels(5, 0.7, "as they are", 1.0, _one_hot(5)), noisy),
        Columns("labels as floats beside three of noise", "x", _beside_noise, lambda: 0.0),
        Columns(
            "label and number in one variable", "x", _label_and_number,
            lambda: -0.5 * math.log2(1 - 0.36) + labels_bits(2, 1.0, "as they are", 2.0),
        ),
    ]  # fmt: skip
    return found


COLUMNS: dict[str, Columns] = {columns.name: columns for columns in _columns()}
"""All kinds by name."""
