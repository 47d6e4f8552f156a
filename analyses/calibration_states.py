"""Do the intervals of `mi.lower_bound` and `mi.estimate` hold the truth as often as they say, where states are vectors?

Sources whose information is known (`infodil.sources`), from a few hundred samples on: codebooks in noise, codes that
only a nonlinear probe reads, traces with noise, slow series that know nothing of each other, and Gaussian pairs. A
lower bound must hold truth *above* its low end; with the entropy of the tokens as the upper side, the truth must lie
between them. One table for tokens (`mi.lower_bound`), one for vectors (`mi.estimate`). It could refute that the
certified side is never wrong more often than stated, that a null reads zero on series that move slowly, and that
ignoring documents costs nothing. Some ninety minutes on one core, five of them for the vectors.

    python -m analyses.calibration_states
    python -m analyses.calibration_states --tables calibration_vectors
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from analyses.calibration_discrete import score
from analyses.cells import Study, options_parser
from infodil import mi, sources


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    seeds: int = 30
    confidence: float = 0.95
    samples: tuple[int, ...] = (500, 2000)
    every: int = 1
    """Of the sources, one in so many is run."""


SMOKE = Config(seeds=1, samples=(150,), every=10)


def codebook(types, dim, sigma):
    """Types at fixed random places in noise; the same code for every seed."""
    places = torch.randn(types, dim, generator=torch.Generator().manual_seed(types))
    return lambda samples, seed: sources.gaussian_codebook(places, sigma, samples=samples, seed=seed)


def trace(lag):
    """A one-dimensional trace of four types, its token `lag` steps back, in documents of 25 tokens."""
    places = torch.tensor([[-1.0], [-0.2], [0.3], [1.0]])
    return lambda samples, seed: sources.ema_channel(
        places, 0.5, 0.05, lags=[lag], documents=samples // 25, tokens=25, seed=seed
    ).at(lag)


def series(samples, seed):
    """Tokens that stay for thirty samples on average beside states that drift as slowly."""
    return sources.unrelated_series(4, 0.97, documents=samples // 25, tokens=25, seed=seed)


def drifting(correlation):
    return lambda samples, seed: sources.autoregressive_pair(
        correlation, 0.9, documents=samples // 25, tokens=25, seed=seed
    )


TOKENS = {
    "codebook, 8 types, 4 dims": codebook(8, 4, 0.7),
    "codebook, 30 types, 16 dims": codebook(30, 16, 1.5),
    "exclusive or": lambda samples, seed: sources.xor_code(samples=samples, seed=seed),
    "variance": lambda samples, seed: sources.variance_code(samples=samples, seed=seed),
    "trace, lag 0": trace(0),
    "trace, lag 2": trace(2),
    "unrelated slow series": series,
}
VECTORS = {
    "Gaussian, 1 x 1": lambda samples, seed: sources.normal_pair(0.75, samples=samples, seed=seed),
    "Student, 1 x 1": lambda samples, seed: sources.student_pair(1, samples=samples, seed=seed),
    "uniform noise": lambda samples, seed: sources.uniform_noise(0.75, samples, seed=seed),
    "independent, 5 x 5": lambda samples, seed: sources.normal_pair(np.eye(10), 5, samples, seed=seed),
    "drifting Gaussian": drifting(0.75),
    "unrelated drift": drifting(0.0),
}
TABLES = {"calibration_states": TOKENS, "calibration_vectors": VECTORS}
DOCUMENTS = ("unrelated slow series", "trace, lag 0", "trace, lag 2", "drifting Gaussian", "unrelated drift")


def calibrate(cell, config):
    """One row a way of grouping: one source at one sample size, over all seeds."""
    source, samples = cell
    ask = mi.lower_bound if source in TOKENS else mi.estimate
    ways = ("documents", "ignored") if source in DOCUMENTS else ("none",)
    estimates_of = {way: [] for way in ways}
    for seed in range(config.seeds):
        pair = (TOKENS | VECTORS)[source](samples, seed)
        for way in ways:
            groups = pair.groups if way == "documents" else None
            given = {"groups": groups, "seed": seed, "confidence": config.confidence}
            estimates_of[way].append((ask(pair.x, pair.y, **given), pair.truth_bits))
    return [
        {"call": f"mi.{ask.__name__}", "source": source, "samples": samples, "groups": way} | score(estimates)
        for way, estimates in estimates_of.items()
    ]


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds of each cell")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=options.seeds or config.seeds)
    with Study(__file__, options) as study:
        for table in options.tables:
            chosen = list(TABLES[table])[:: config.every]
            cells = [(source, samples) for source in chosen for samples in config.samples]
            finished = study.run(calibrate, cells, config)
            study.write(table, finished.rows, config, finished)
            summarise(finished.rows, config)


def summarise(rows, config):
    """Print the cells whose intervals miss the truth more often than chance allows."""
    misses = config.seeds * (1 - config.confidence)
    most = (misses + 3 * math.sqrt(misses)) / config.seeds
    for row in rows:
        wrong = row["below_interval"] if row["call"] == "mi.lower_bound" else 1 - row["coverage"]
        if wrong > most:
            print("too often wrong:", row)


if __name__ == "__main__":
    main()
