"""How far back does the superposition decoder put tokens at their exact lag, at which precision?

Independent Zipf tokens (4,096 types), random unit token vectors (768 dims), one EMA trace (alpha .1), states after at
least 300 tokens, rounded to several precisions. For each lag: the share of tokens read exactly, and the bits. Beside
it the horizon predicted from weight against rounding before anything is decoded (`infodil.precision.horizon`). It could
refute that an EMA trace destroys token identity, and that the horizon is set by rounding. Each precision and seed is a
cell of its own: a run that was killed takes up where it stopped. About 40 minutes of one core.

A second table has float32 alone, from fresh documents and enough states to tell at each lag whether 95% are read
exactly: 50 minutes more.

    python -m analyses.superposition_decoder
    python -m analyses.superposition_decoder --tables superposition_float32
"""

import math
import time
from dataclasses import dataclass

import torch

from analyses.cells import Study, options_parser
from infodil.encoders import TraceEncoder
from infodil.precision import Quantizer, horizon, noise_generator
from infodil.probes import pursuit
from infodil.sources import iid
from infodil.traces import weights


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    types: int = 4096
    dim: int = 768
    alpha: float = 0.1
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float16", "float8_e4m3", "float8_e5m2", "int8", "snr=20dB")
    samples: tuple[int, ...] = (256, 192, 96, 96, 96, 96, 96)
    lags: tuple[int, ...] = (*range(65), *range(68, 181, 4))
    before: int = 300
    documents: int = 16
    tokens: int = 900
    seeds: tuple[int, ...] = (0, 1, 2)


MANY = Config(precisions=("float32",), samples=(768,), documents=64, seeds=(10, 11, 12))
TABLES = {"superposition_decoder": Config(), "superposition_float32": MANY}
SMOKE = Config(
    types=64, dim=32, precisions=("float32", "int8"), samples=(6, 6), lags=(*range(4), 32), before=40, documents=2,
    tokens=60, seeds=(0,),
)  # fmt: skip


def decode(cell, config):
    """Rows of one precision and seed."""
    (precision, samples), seed = cell
    source = iid(config.types, documents=config.documents, tokens=config.tokens, distribution="zipf", seed=seed)
    encoder = TraceEncoder(config.types, (config.alpha,), dim=config.dim, seed=seed)
    states = encoder.encode(source.tokens)["ema"]
    generator = torch.Generator().manual_seed(seed)
    document = torch.randint(config.documents, (samples,), generator=generator)
    position = torch.randint(config.before, config.tokens, (samples,), generator=generator)
    chosen = states[document, position]
    quantizer = Quantizer.of(precision, states[:, config.before :].flatten(0, 1)[::7])
    rounded = quantizer.quantize(chosen, noise_generator(seed))
    weight = weights(config.alpha, 400)
    error = float(quantizer.sigma(chosen).pow(2).mean().sqrt())
    begin = time.perf_counter()
    decoded = pursuit(rounded, encoder.embedding, weight, lags=config.lags, prior=source.probabilities)
    seconds = time.perf_counter() - begin
    truth = torch.stack([source.tokens[document, position - lag] for lag in config.lags], 1)
    shared = {
        "precision": precision,
        "seed": seed,
        "samples": samples,
        "entropy_bits": source.entropy_bits,
        "seconds_a_state": seconds / samples,
        "rounding_error": error,
        "predicted_horizon": horizon(weight, error, 1.0, probe="decoder"),
        "predicted_genie_horizon": horizon(weight, error, 1.0, probe="genie", vocabulary=config.types),
    }
    return [shared | row for row in by_lag(decoded, truth)]


def by_lag(decoded, truth):
    """One row a lag: the share of tokens read exactly and the bits, each with its standard error."""
    right = (decoded.tokens == truth).double()
    bits = (decoded.log_probs(truth) - decoded.log_prior[truth]) / math.log(2.0)
    return [
        {
            "lag": lag,
            "top1": float(right[:, column].mean()),
            "top1_error": float(right[:, column].std() / math.sqrt(len(truth))),
            "bits": float(bits[:, column].mean()),
            "bits_error": float(bits[:, column].std() / math.sqrt(len(truth))),
        }
        for column, lag in enumerate(decoded.lags)
    ]


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args(arguments)
    with Study(__file__, options) as study:
        for table in options.tables:
            config = SMOKE if options.smoke else TABLES[table]
            pairs = list(zip(config.precisions, config.samples, strict=True))
            finished = study.run(decode, [(pair, seed) for seed in config.seeds for pair in pairs], config)
            study.write(table, finished.rows, config, finished)
            summarise(finished.rows, config)


def summarise(rows, config):
    """Print for each precision the least top-1 of the newest lags, and the horizon beside the predicted one."""
    for precision in config.precisions:
        mine = [row for row in rows if row["precision"] == precision]
        read = {lag: [row["top1"] for row in mine if row["lag"] == lag] for lag in config.lags}
        top1 = {lag: sum(values) / len(values) for lag, values in read.items()}
        least = min(share for lag, share in top1.items() if lag <= 32)
        measured = max((lag for lag, share in top1.items() if share >= 0.5), default=-1)
        predicted = mine[0]["predicted_horizon"]
        print(f"{precision}: least top-1 up to lag 32 {least:.3f}, horizon measured {measured}, predicted {predicted}")


if __name__ == "__main__":
    main()
