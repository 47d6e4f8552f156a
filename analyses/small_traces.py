"""Is `infodil.mi.lower_bound` within .05 bits of the enumerated truth of small traces, and the genie above it?

Exponential traces of 2 to 8 types in 1 to 8 dims with noise of .02 or .1 in each number, 200,000 states in documents of
25, each lag measured as a user would: from tokens, states and documents, without the code. The truth is
an integral for one dim and else a Monte Carlo mean over enumerated posteriors (`infodil.sources.ema_channel`); alpha is
larger where there are more types, for all tokens that matter must be enumerated. It could refute that the lower bound
is within .05 bits of the truth at each lag, that its low end is never above the truth, that the genie's bound and the
tokens' entropy are never below it, and that an answer takes a minute.

    python -m analyses.small_traces --n-jobs 2

About 90 minutes of one core.
"""

import time
from dataclasses import dataclass

import torch

from analyses.cells import Study, options_parser
from infodil import bounds, mi, sources
from infodil.traces import weights


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    codes: tuple[tuple[int, float], ...] = ((2, 0.4), (4, 0.5), (8, 0.65))
    """Types and alpha."""
    noises: tuple[tuple[int, float], ...] = ((1, 0.02), (2, 0.02), (8, 0.02), (8, 0.1))
    """Dims and sigma."""
    lags: tuple[int, ...] = (0, 1, 2, 3, 5)
    documents: int = 8000
    tokens: int = 25
    truth_samples: int = 16_384
    seeds: tuple[int, ...] = (0,)
    within_bits: float = 0.05


SMOKE = Config(codes=((2, 0.4),), noises=((1, 0.02),), lags=(2,), documents=12, truth_samples=256)


def read(cell, config):
    """A row for each lag of one trace."""
    (types, alpha), (dim, sigma), seed = cell
    places = torch.randn(types, dim, generator=torch.Generator().manual_seed(100 * seed + 10 * types + dim))
    source = sources.ema_channel(
        places, alpha, sigma, lags=config.lags, documents=config.documents, tokens=config.tokens,
        truth_samples=config.truth_samples, seed=seed,
    )  # fmt: skip
    genie = bounds.genie_by_lag(places, weights(alpha, max(config.lags) + 1), sigma, seed=seed)
    rows = []
    for lag in config.lags:
        pair, above = source.at(lag), genie[lag]
        start = time.process_time()
        below = mi.lower_bound(pair.x, pair.y, groups=pair.groups, seed=seed)
        row = {"types": types, "dim": dim, "alpha": alpha, "sigma": sigma, "lag": lag, "seed": seed}
        row |= {"samples": len(pair), "truth_bits": pair.truth_bits, "truth_error_bits": pair.standard_error_bits}
        row |= {"lower_bits": below.value_bits, "lower_low_bits": below.low_bits, "lower_high_bits": below.high_bits}
        row |= {"gap_bits": pair.truth_bits - below.value_bits, "method": below.method}
        row |= {"genie_bits": above.value_bits, "genie_high_bits": above.high_bits}
        rows.append(row | {"cpu_seconds": round(time.process_time() - start, 1)})
    return rows


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(code, noise, seed) for seed in config.seeds for noise in reversed(config.noises) for code in config.codes]
    with Study(__file__, options) as study:
        finished = study.run(read, cells, config)
        study.write("small_traces", finished.rows, config, finished)
    summarise(finished.rows, config.within_bits)


def summarise(rows, within):
    """Print how many rows hold each claim, and the farthest ones; three standard errors of the truth are its own."""
    sure = [3.0 * row["truth_error_bits"] + 1e-9 for row in rows]  # integrals round
    short = [row for row, error in zip(rows, sure, strict=True) if row["gap_bits"] - error > within]
    over = [row for row, error in zip(rows, sure, strict=True) if row["lower_low_bits"] > row["truth_bits"] + error]
    under = [row for row, error in zip(rows, sure, strict=True) if row["genie_high_bits"] < row["truth_bits"] - error]
    print(f"{len(rows)} readings: {len(short)} more than {within} bits below the truth, {len(over)} low ends above it,")
    print(f"{len(under)} genies below it; gaps {sorted(round(row['gap_bits'], 3) for row in rows)[-5:]};")
    print(f"at most {max(row['cpu_seconds'] for row in rows)} s of one core")
    for row in short + over + under:
        print(row)


if __name__ == "__main__":
    main()
