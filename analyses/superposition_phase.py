"""How many lags does the superposition decoder recover, over dims and decay, and is it what compressed sensing says?

Independent Zipf tokens (4,096 types), random unit token vectors, one EMA trace in float32. For each dims and alpha: the
number of lags at which at least half of the tokens are read exactly, over three seeds. Two predictions are
computed from alpha, dims and types alone. *Precision*: the horizon at which neighbouring weights differ by one rounding
error. *Compressed sensing*: the lags whose token stands, with two standard deviations to spare, above the largest of
as many correlations of the tokens behind it, `w_k sqrt(dim) >= (sqrt(2 ln types) + 2) sqrt(sum over j > k of w_j^2)`,
while the different tokens up to it are at most half the dims: what orthogonal matching pursuit, which takes the largest
first, asks of a decaying superposition (the tokens in front are already gone). For a geometric trace the first
condition does not depend on k: the phase edge. The two to spare were added after a first look, which without them put
the edge at half the dims. It could refute that the dims of a trace bound how many tokens it holds. Five minutes on 2
cores.

    python -m analyses.superposition_phase
"""

import math
from dataclasses import dataclass

import torch

from analyses.cells import Study, options_parser
from analyses.superposition_decoder import by_lag
from infodil.encoders import TraceEncoder
from infodil.precision import Quantizer, horizon
from infodil.probes import pursuit
from infodil.sources import iid
from infodil.traces import weights


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    types: int = 4096
    dims: tuple[int, ...] = (16, 32, 64, 128, 256)
    alphas: tuple[float, ...] = (0.8, 0.5, 0.3, 0.2, 0.1, 0.05)
    samples: int = 12
    documents: int = 4
    tokens: int = 1000
    before: int = 600
    longest: int = 200
    seeds: tuple[int, ...] = (0, 1, 2)


SMOKE = Config(
    types=64, dims=(16, 32), alphas=(0.5, 0.2), samples=3, documents=2, tokens=120, before=80, longest=12, seeds=(0,)
)


def edge(weight, types, dim, probabilities):
    """Lags that compressed sensing promises: each stands above what is behind it, and they are few for the dims."""
    behind = weight.flip(0).pow(2).cumsum(0).flip(0) - weight.pow(2)
    # The tail beyond the last weight listed is the same geometric series: too small to matter here.
    stands = weight * math.sqrt(dim) >= (math.sqrt(2.0 * math.log(types)) + 2.0) * behind.sqrt()
    lags = torch.arange(1, len(weight) + 1, dtype=torch.float64)
    different = (1.0 - (1.0 - probabilities[:, None]) ** lags).sum(0)
    fits = different <= dim / 2
    return int((stands & fits).long().cumprod(0).sum())


def decode(cell, config):
    """One row: one dims, alpha and seed."""
    dim, alpha, seed = cell
    source = iid(config.types, documents=config.documents, tokens=config.tokens, distribution="zipf", seed=seed)
    encoder = TraceEncoder(config.types, (alpha,), dim=dim, seed=seed)
    states = encoder.encode(source.tokens)["ema"]
    generator = torch.Generator().manual_seed(seed)
    document = torch.randint(config.documents, (config.samples,), generator=generator)
    position = torch.randint(config.before, config.tokens, (config.samples,), generator=generator)
    chosen = states[document, position]
    weight = weights(alpha, 600)
    lags = range(config.longest)
    decoded = pursuit(chosen, encoder.embedding, weight, lags=lags, prior=source.probabilities)
    truth = torch.stack([source.tokens[document, position - lag] for lag in lags], 1)
    read = by_lag(decoded, truth)
    error = float(Quantizer.of("float32", chosen).sigma(chosen).pow(2).mean().sqrt())
    return [
        {
            "dim": dim,
            "alpha": alpha,
            "seed": seed,
            "samples": config.samples,
            "recovered_lags": sum(row["top1"] >= 0.5 for row in read),
            "recovered_bits": sum(row["bits"] for row in read),
            "predicted_by_sensing": edge(weight, config.types, dim, torch.tensor(source.probabilities)),
            "predicted_by_precision": horizon(weight, error, 1.0) + 1,
        }
    ]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(dim, alpha, seed) for seed in config.seeds for dim in config.dims for alpha in config.alphas]
    with Study(__file__, options) as study:
        finished = study.run(decode, cells, config)
        study.write("superposition_phase", finished.rows, config, finished)
    for dim in config.dims:
        line = []
        for alpha in config.alphas:
            mine = [row for row in finished.rows if row["dim"] == dim and row["alpha"] == alpha]
            mean = sum(row["recovered_lags"] for row in mine) / len(mine)
            line.append(f"{mean:.0f} ({mine[0]['predicted_by_sensing']}, {mine[0]['predicted_by_precision']})")
        print(dim, *line, sep="\t")


if __name__ == "__main__":
    main()
