"""What does a small estimate of mutual information cost, beside scikit-learn's of the same columns?

CPU seconds of one thread, `infodil.mi.estimate` with its interval against `mutual_info_regression` (numbers) or
`mutual_info_classif` (labels), at several sample sizes; each is the median of rounds in which both take turns. It could
refute that small calls together cost at most five times as much. Half a minute.

    python -m analyses.benchmarks.small_estimates
"""

import statistics
import time
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.feature_selection import mutual_info_classif, mutual_info_regression

from analyses.cells import Study, options_parser
from infodil import sources
from infodil.mi import estimate


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    samples: tuple[int, ...] = (500, 2000, 5000, 10_000)
    rounds: int = 5


SMOKE = Config(samples=(300,), rounds=1)


def noisy_labels(labels, sigma):
    places = torch.arange(float(labels))[:, None]
    return lambda rows: sources.gaussian_codebook(places, sigma, samples=rows)


def rounded(rows):
    pair = sources.normal_pair(0.6, samples=rows)
    return sources.Pair(torch.round(10 * pair.x) / 10, torch.round(10 * pair.y) / 10, pair.groups, pair.truth_bits)


CASES = {
    "independent": lambda rows: sources.normal_pair(0.0, samples=rows),
    "normal, .6": lambda rows: sources.normal_pair(0.6, samples=rows),
    "normal, .95": lambda rows: sources.normal_pair(0.95, samples=rows),
    "Student, 1": lambda rows: sources.student_pair(1, samples=rows),
    "uniform noise": lambda rows: sources.uniform_noise(0.1, rows),
    "rounded to .1": rounded,
    "labels: two": noisy_labels(2, 0.5),
    "labels: ten": noisy_labels(10, 0.7),
}


def by_scikit_learn(x, y):
    x, y = np.asarray(x), np.asarray(y)
    if x.ndim == 1:
        return mutual_info_classif(y, x, random_state=0)[0]
    return mutual_info_regression(x, y[:, 0], random_state=0)[0]


def seconds(function, x, y):
    begin = time.process_time()
    function(x, y)
    return time.process_time() - begin


def measure(cell, config):
    """One row: one case at one sample size."""
    case, samples = cell
    pair = CASES[case](samples)
    for function in (estimate, by_scikit_learn):
        function(pair.x, pair.y)
    taken = [
        [seconds(function, pair.x, pair.y) for function in (estimate, by_scikit_learn)] for _ in range(config.rounds)
    ]
    ours, theirs = (statistics.median(column) for column in zip(*taken, strict=True))
    row = {"case": case, "samples": samples, "infodil_seconds": ours, "scikit_learn_seconds": theirs}
    return [row | {"ratio": ours / theirs, "rounds": config.rounds}]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(case, samples) for samples in config.samples for case in CASES]
    with Study(__file__, options) as study:
        finished = study.run(measure, cells, config)
        study.write("benchmark_small_estimates", finished.rows, config, finished)
    for samples in config.samples:
        part = [row for row in finished.rows if row["samples"] == samples]
        ours, theirs = (sum(row[f"{name}_seconds"] for row in part) for name in ("infodil", "scikit_learn"))
        print(f"{samples:6,} rows: infodil {ours:.3f} s, scikit-learn {theirs:.3f} s, {ours / theirs:.2f} times")


if __name__ == "__main__":
    main()
