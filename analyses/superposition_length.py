"""How long may a document be for the superposition decoder to read every one of its last 33 tokens exactly?

The task of `analyses.superposition_decoder` in float32 (4,096 Zipf types, 768 dims, alpha .1), at the last position of
documents of several lengths. A trace that has seen few tokens has few lags to divide among its types; the more old
tokens weigh too little to be told apart, the more divisions fit. It could refute that it is the length of the past,
rather than the age of a token, that costs the decoder its last few per cent. About fifteen minutes of one idle core.

    python -m analyses.superposition_length
"""

import argparse
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from analyses.cells import run_cells
from analyses.provenance import write_results
from analyses.superposition_decoder import by_lag
from infodil.encoders import TraceEncoder
from infodil.probes import pursuit
from infodil.sources import iid
from infodil.traces import weights


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    types: int = 4096
    dim: int = 768
    alpha: float = 0.1
    lengths: tuple[int, ...] = (40, 64, 100, 130, 160, 240)
    lags: int = 33
    documents: int = 64
    seeds: tuple[int, ...] = (0, 1, 2)


def decode(cell, config):
    """One row a lag: the share read exactly at the end of documents of one length."""
    torch.set_num_threads(1)
    length, seed = cell
    source = iid(config.types, documents=config.documents, tokens=length, distribution="zipf", seed=seed)
    encoder = TraceEncoder(config.types, (config.alpha,), dim=config.dim, seed=seed)
    states = encoder.encode(source.tokens)["ema"][:, -1]
    decoded = pursuit(
        states,
        encoder.embedding,
        weights(config.alpha, 400),
        lags=range(config.lags),
        prior=source.probabilities,
    )
    shared = {"length": length, "seed": seed, "documents": config.documents}
    return [shared | row for row in by_lag(decoded, source.tokens.flip(1)[:, : config.lags])]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("out/superposition_length"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    config = Config()
    cells = [(length, seed) for length in config.lengths for seed in config.seeds]
    names = [f"{length}-{seed}" for length, seed in cells]
    rows = run_cells(cells, partial(decode, config=config), names, options.out, options.workers)
    write_results("superposition_length", rows, asdict(config))
    for length in config.lengths:
        mine = [row for row in rows if row["length"] == length]
        by_lag = [
            sum(row["top1"] for row in mine if row["lag"] == lag) / len(config.seeds) for lag in range(config.lags)
        ]
        print(f"{length} tokens: top-1 {sum(by_lag) / len(by_lag):.3f}, least {min(by_lag):.3f}")


if __name__ == "__main__":
    main()
