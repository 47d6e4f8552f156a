"""Do the intervals of discrete information hold the truth as often as they say, and how far off is each estimator?

Sources whose information is known exactly (`infodil.sources`), a hundred seeds each, from a hundred samples on: small
channels, rare labels, copies, vocabularies of Zipf's law, a sparse table, and slowly varying tokens in documents.
Coverage is the share of seeds in which truth lies in the interval; a method by name is also used where it is known to
be biased, which is what the table is to show. It could refute that `method="auto"` covers at 95% everywhere, and that
its lower bound is never above the truth by more than its interval. Four minutes on one idle core.

    python -m analyses.calibration_discrete
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from analyses.cells import Study, options_parser
from infodil.entropy import METHODS
from infodil.mi import discrete_information
from infodil.sources import (
    copied_pair,
    discrete_channel,
    discrete_pair,
    markov,
    sparse_pair,
    unrelated_series,
)


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    seeds: int = 100
    confidence: float = 0.95
    small: tuple[int, ...] = (100, 1000, 10_000, 100_000)
    large: tuple[int, ...] = (1000, 10_000)
    sources: tuple[str, ...] = ()
    """All if none is named."""


SMOKE = Config(
    seeds=2, small=(100,), large=(1000,),
    sources=("binary symmetric, 0.1", "slow binary chain", "copies of Zipf(1000)"),
)  # fmt: skip


def noisy(alphabet):
    """Rows of a channel drawn from a symmetric Dirichlet distribution of one half; one channel for all seeds."""
    rows = np.random.default_rng(alphabet).dirichlet(np.full(alphabet, 0.5), size=alphabet)
    return lambda samples, seed: discrete_pair(rows / alphabet, samples, seed=seed)


def copied(vocabulary, share, exponent=1.0):
    return lambda samples, seed: copied_pair(vocabulary, share, samples, exponent=exponent, seed=seed)


def sticky(samples, seed):
    """Two unrelated series of tokens that stay for thirty samples on average, in documents of a hundred."""
    one, other = (
        unrelated_series(4, 0.97, documents=samples // 100, tokens=100, dim=1, seed=2 * seed + part) for part in (0, 1)
    )
    return one.x, other.x, one.groups, 0.0


def chain(samples, seed):
    """A slow binary chain and itself one step later, in documents of a hundred."""
    pair = markov([[0.95, 0.05], [0.1, 0.9]], documents=samples // 100, tokens=101, seed=seed).pair(1)
    return pair.x, pair.y, pair.groups, pair.truth_bits


def flip(odds):
    return lambda samples, seed: discrete_channel([[1 - odds, odds], [odds, 1 - odds]], samples=samples, seed=seed)


SMALL = {
    "independent 2x2": lambda samples, seed: discrete_pair(np.full((2, 2), 0.25), samples, seed=seed),
    "binary symmetric, 0.1": flip(0.1),
    "binary symmetric, 0.45": flip(0.45),
    "rare labels": lambda samples, seed: discrete_channel(
        [[0.99, 0.01], [0.9, 0.1]], [0.9, 0.1], samples=samples, seed=seed
    ),
    "independent Zipf(5)": copied(5, 0.0),
    "noisy 10x10": noisy(10),
    "noisy 50x50": noisy(50),
    "copies of 2": copied(2, 1.0),
    "copies of 50": copied(50, 1.0),
    "half copied Zipf(50)": copied(50, 0.5),
}
LARGE = {
    "independent Zipf(1000)": copied(1000, 0.0),
    "half copied Zipf(1000)": copied(1000, 0.5),
    "copies of Zipf(1000)": copied(1000, 1.0),
    "sparse 10000x10000": lambda samples, seed: sparse_pair(10_000, 4, samples, seed=seed),
}
SERIES = {"unrelated slow tokens": sticky, "slow binary chain": chain}


def draw(source, samples, seed):
    """Two variables, groups where samples depend on one another, and the truth."""
    if source in SERIES:
        return SERIES[source](samples, seed)
    pair = (SMALL | LARGE)[source](samples, seed)
    return pair.x, pair.y, None, pair.truth_bits


def calibrate(cell, config):
    """One row a method: one source at one sample size, over all seeds."""
    source, samples = cell
    methods = ("auto",) if source in LARGE else ("auto", *METHODS)
    # A series is also measured as if its samples were independent: what that costs is part of the answer.
    ways = [(method, True) for method in methods] + ([("auto", False)] if source in SERIES else [])
    estimates_of = {one: [] for one in ways}
    for seed in range(config.seeds):
        x, y, groups, truth = draw(source, samples, seed)
        for method, grouped in ways:
            estimate = discrete_information(
                x, y, method=method, groups=groups if grouped else None, seed=seed, confidence=config.confidence
            )
            estimates_of[method, grouped].append((estimate, truth))
    return [
        {
            "source": source,
            "samples": samples,
            "method": method,
            "groups": {True: "documents", False: "ignored"}[grouped] if source in SERIES else "none",
        }
        | score(estimates)
        for (method, grouped), estimates in estimates_of.items()
    ]


def score(estimates):
    """Bias, spread, coverage and width of the estimates of one cell, each paired with its truth in bits."""
    truth = np.array([truth for _, truth in estimates])
    value, low, high = (
        np.array([getattr(estimate, end) for estimate, _ in estimates])
        for end in ("value_bits", "low_bits", "high_bits")
    )
    return {
        "seeds": len(estimates),
        "truth_bits": truth.mean(),
        "bias_bits": (value - truth).mean(),
        "spread_bits": value.std(ddof=1),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
        "above_interval": (truth > high).mean(),
        "below_interval": (truth < low).mean(),
        "width_bits": (high - low).mean(),
        "bounds_share": np.mean([estimate.kind == "lower bound" for estimate, _ in estimates]),
    }


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds of each cell")
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=options.seeds or config.seeds)
    cells = [(source, samples) for source in SMALL for samples in config.small]
    cells += [(source, samples) for source in (*SERIES, *LARGE) for samples in config.large]
    cells = [cell for cell in cells if not config.sources or cell[0] in config.sources]
    with Study(__file__, options) as study:
        finished = study.run(calibrate, cells, config)
        study.write("calibration_discrete", finished.rows, config, finished)
    summarise(finished.rows, config)


def summarise(rows, config):
    """Print the coverage of `auto`, and the cells that are short by more than chance."""
    auto = [row for row in rows if row["method"] == "auto" and row["groups"] != "ignored"]
    misses = config.seeds * (1 - config.confidence)
    bound = (misses + 3 * math.sqrt(misses)) / config.seeds
    poor = [row for row in auto if 1 - row["coverage"] > bound]
    covered = np.mean([row["coverage"] for row in auto])
    print(f"auto covers {covered:.3f} over {len(auto)} cells, {len(poor)} of them short")
    for row in poor:
        print(row)


if __name__ == "__main__":
    main()
