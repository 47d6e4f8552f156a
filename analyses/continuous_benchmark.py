"""How far is `infodil.mi.estimate` from the truth on the continuous benchmark of Czyz et al. (2023)?

All forty tasks of "Beyond Normal" (version 1) at 10,000 samples, columns as they are drawn, `method="auto"`; for each
task and seed the truth, the reading, its interval and side, the method chosen and the seconds. Two more families with
the answer zero: independent vectors, and independent heavy tails. A second table has 7 bits, or none, between vectors
of 100 numbers. It could refute that `"auto"` is within 0.10 nats of the truth on average and within 0.3 bits in 100
dims, that an answer takes no more than a minute of one core, and that closed forms cover it. Beside it stand the
figures of benchmark-mi 0.1.3's estimators on the same tasks at the same size, seed 0, library defaults, columns
rescaled, measured once for this comparison and quoted here as they were read. About 30 minutes on one idle core.

    python -m analyses.continuous_benchmark
"""

import time
from dataclasses import dataclass, replace

import numpy as np
import torch

from analyses.cells import Study, options_parser
from infodil.estimate import BITS_PER_NAT
from infodil.mi import estimate
from infodil.sources import BEYOND_NORMAL, beyond_normal, normal_pair, paired_correlation, student_pair
from infodil.sources.margins import half_cube, transform

QUOTED = {  # KSG-10, CCA, InfoNCE, MINE in nats
    "normal 1x1": (0.407, 0.407, 0.399, 0.394),
    "additive noise 0.1": (1.680, 1.630, 1.645, 1.641),
    "additive noise 0.75": (0.316, 0.180, 0.282, 0.299),
    "student 1x1 df 1": (0.167, 0.559, 0.000, 0.047),
    "asinh student 1x1 df 1": (0.229, 0.000, 0.200, 0.177),
    "swiss roll 2x1": (0.414, 0.022, 0.360, 0.368),
    "normal 5x5 dense": (0.573, 0.598, 0.582, 0.599),
    "normal 25x25 dense": (1.065, 1.330, 1.182, 1.214),
    "normal 50x50 dense": (1.246, 1.735, 1.495, 1.464),
    "normal 3x3 2-pair": (0.949, 1.026, 1.020, 0.976),
    "normal 5x5 2-pair": (0.742, 1.019, 1.006, 0.999),
    "normal 25x25 2-pair": (0.195, 1.057, 0.850, 0.849),
    "half-cube 25x25 2-pair": (0.166, 0.994, 0.805, 0.811),
    "normal-cdf 25x25 2-pair": (0.198, 0.993, 0.775, 0.782),
    "spiral 3x3 2-pair": (0.703, 0.228, 0.611, 0.456),
    "spiral 25x25 2-pair": (0.174, 0.862, 0.682, 0.688),
    "student 5x5 df 2": (0.195, 0.306, 0.364, 0.267),
    "asinh student 5x5 df 2": (0.239, 0.002, 0.356, 0.108),
}
"""Of the eighteen tasks on which they were measured."""

NULLS = {
    "independent normal 5x5": lambda samples, seed: normal_pair(np.eye(10), 5, samples, seed=seed),
    "independent student 3x3 df 2": lambda samples, seed: apart(3, samples, seed),
}


WIDE_BITS = 7.0
WIDE = {
    "normal 100x100 100-pair rotated": lambda samples, seed: rotated(wide(100, samples, seed), seed),
    "normal 100x100 2-pair": lambda samples, seed: wide(2, samples, seed),
    "half-cube 100x100 2-pair": lambda samples, seed: transform(wide(2, samples, seed), half_cube, half_cube),
    "independent normal 100x100": lambda samples, seed: normal_pair(np.eye(200), 100, samples, seed=seed),
}
TABLES = {"continuous_benchmark": [*BEYOND_NORMAL, *NULLS], "continuous_wide": list(WIDE)}


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    samples: int = 10_000
    seeds: tuple[int, ...] = (0, 1, 2)
    method: str = "auto"
    every: int = 1
    """Of the tasks, one in so many is run."""


SMOKE = Config(samples=500, seeds=(0,), every=12)


def apart(dim, samples, seed):
    """Two heavy tails with nothing in common: one half of each of two pairs."""
    first, second = (student_pair(2.0, np.eye(2 * dim), dim, samples, seed=2 * seed + half) for half in (0, 1))
    return type(first)(first.x, second.y, first.groups, 0.0)


def wide(pairs, samples, seed):
    """Vectors of 100 numbers with 7 bits in common, spread over so many pairs of numbers."""
    correlation = np.sqrt(1.0 - 2.0 ** (-2.0 * WIDE_BITS / pairs))
    return normal_pair(paired_correlation(100, 100, pairs, correlation), 100, samples, seed=seed)


def rotated(pair, seed):
    """Each side turned at random, so that no number of one belongs to a number of the other."""
    generator = torch.Generator().manual_seed(seed)
    turns = [torch.linalg.qr(torch.randn(100, 100, generator=generator, dtype=torch.float64))[0] for _ in range(2)]
    return transform(pair, lambda x: x @ turns[0], lambda y: y @ turns[1])


def read(cell, config):
    """One row: one task and seed."""
    task, seed = cell
    own = NULLS | WIDE
    pair = own[task](config.samples, seed) if task in own else beyond_normal(task, config.samples, seed=seed)
    start = time.perf_counter()
    bits = estimate(pair.x, pair.y, config.method, seed=seed)
    row = {"task": task, "seed": seed, "samples": config.samples, "truth_nats": pair.truth_bits / BITS_PER_NAT}
    for end in ("value", "low", "high"):
        row[f"{end}_nats"] = getattr(bits, f"{end}_bits") / BITS_PER_NAT
    row["error_nats"] = row["value_nats"] - row["truth_nats"]
    covered = int(bits.low_bits <= pair.truth_bits <= bits.high_bits)
    row |= {"kind": bits.kind, "method": bits.method, "covered": covered}
    row["seconds"] = round(time.perf_counter() - start, 1)
    names = ("ksg", "cca", "infonce", "mine")
    return [row | {f"quoted_{name}_nats": value for name, value in zip(names, QUOTED.get(task, ()), strict=False)}]


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="how many seeds, from 0 on")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=tuple(range(options.seeds or len(config.seeds))))
    with Study(__file__, options) as study:
        for table in options.tables:
            cells = [(task, seed) for seed in config.seeds for task in TABLES[table][:: config.every]]
            finished = study.run(read, cells, config, threads=torch.get_num_threads())
            study.write(table, finished.rows, config, finished)
            for row in finished.rows:
                words = f"{row['truth_nats']:.3f} {row['value_nats']:.3f} {row['method']}"
                print(f"{row['task']:32s} {row['seed']} {words}")
            error = max(abs(row["error_nats"]) for row in finished.rows) * BITS_PER_NAT
            slowest = max(row["seconds"] for row in finished.rows)
            print(f"{table}: at most {error:.3f} bits off, at most {slowest} s")
            if table == "continuous_benchmark":
                summarise(finished.rows)


def summarise(rows):
    """Print the mean absolute error: of the family, and of the tasks for which others are quoted."""
    family = [row for row in rows if row["task"] not in NULLS]
    print(f"mean absolute error {np.mean([abs(row['error_nats']) for row in family]):.3f} nats")
    quoted = [row for row in rows if row["task"] in QUOTED]
    for name in ("value", "quoted_ksg", "quoted_cca", "quoted_infonce", "quoted_mine"):
        error = np.mean([abs(row[f"{name}_nats"] - row["truth_nats"]) for row in quoted])
        print(f"on the {len({row['task'] for row in quoted})} quoted tasks: {name} {error:.3f}")
    for kind in ("estimate", "lower bound"):
        some = [row["covered"] for row in family if row["kind"] == kind]
        print(f"{kind}: {sum(some)} of {len(some)} intervals hold the truth")


if __name__ == "__main__":
    main()
