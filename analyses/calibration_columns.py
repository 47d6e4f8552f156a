"""Does `infodil.mi.estimate` hold on columns as real states have them: rounded, rectified, half-precision, one-hot?

Every kind of `analyses.columns`, on one side and on both, at two thousand rows, by `method="auto"` and, where both
variables are vectors, by `method="ksg"`; over forty seeds the error, and how often the interval holds the truth. It
could refute that an estimate is within .06 bits of the truth on average, that 95% intervals hold it, and that a method
by name says nothing about ties that it cannot read. Three minutes on one idle core.

    python -m analyses.calibration_columns
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from analyses.calibration_discrete import score
from analyses.cells import Study, options_parser
from analyses.columns import COLUMNS
from infodil.mi import estimate

LARGE_BITS = 0.06


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    seeds: int = 40
    samples: tuple[int, ...] = (2000,)
    confidence: float = 0.95
    every: int = 1
    """Of the kinds, one in so many is run."""


SMOKE = Config(seeds=2, samples=(200,), every=6)


def calibrate(cell, config):
    """A row a method: one kind of columns at one sample size, over all seeds."""
    name, samples = cell
    columns = COLUMNS[name]
    draws = [columns.draw(samples, np.random.default_rng([seed, samples])) for seed in range(config.seeds)]
    vectors = all(part.dtype.kind == "f" for part in draws[0])
    rows = []
    for method in ("auto", "ksg") if vectors else ("auto",):
        found = [
            (estimate(*pair, method, seed=seed, confidence=config.confidence), columns.truth_bits)
            for seed, pair in enumerate(draws)
        ]
        methods = [bits.method for bits, _ in found]
        errors = [abs(bits.value_bits - truth) for bits, truth in found]
        row = {"kind": columns.kind, "side": columns.side, "samples": samples, "method": method}
        row |= {"chosen": max(sorted(set(methods)), key=methods.count)} | score(found)
        rows.append(
            row | {"error_bits": np.mean(errors), "warned": np.mean([bool(bits.warnings) for bits, _ in found])}
        )
    return rows


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds of each cell")
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=options.seeds or config.seeds)
    cells = [(name, samples) for samples in config.samples for name in list(COLUMNS)[:: config.every]]
    with Study(__file__, options) as study:
        finished = study.run(calibrate, cells, config)
        study.write("calibration_columns", finished.rows, config, finished)
    summarise(finished.rows, config)


def summarise(rows, config):
    """Print the coverage of each method, and the kinds that are far off or short by more than chance."""
    misses = config.seeds * (1 - config.confidence)
    most = (misses + 3 * math.sqrt(misses)) / config.seeds
    for method in dict.fromkeys(row["method"] for row in rows):
        part = [row for row in rows if row["method"] == method]
        error, coverage = (np.mean([row[name] for row in part]) for name in ("error_bits", "coverage"))
        print(f"{method}: {len(part)} kinds, error {error:.4f} bits, {coverage:.3f} of intervals hold the truth")
        for row in part:
            if row["error_bits"] > LARGE_BITS or 1 - row["coverage"] > most:
                print(f"  {row['kind']}, {row['side']}: error {row['error_bits']:.3f}, coverage {row['coverage']:.2f}")


if __name__ == "__main__":
    main()
