"""Do both sides of a report hold, and how much do they leave open between them?

*Small traces* (2 to 8 types, 1 to 8 dims, noise of .02 to .1 in each number, 2 x 10^5 independent tokens): both sides
of `infodil.recoverability` up to the exact posterior, and the truth by enumeration. The truth is bracketed too: tokens
older than can be enumerated enter as Gaussian noise (which says less) or are revealed (which says more). It could
refute that the lower side is within .05 bits of the truth, or that the upper side is above it.

*A large trace* (4,096 types, 768 dims, alpha .1): the lower side is the superposition decoder's, read from
`paper_figures/data/superposition_decoder.csv`; the upper one the genie's for the same codes and observations, with
Gaussian noise where noise was added, and with the rounding as it is if it is dithered where states were rounded. It
could refute that the decoder is near what any probe could do. Beside it the genie's bound if rounding is taken for
Gaussian noise of the mean error, which is no bound: it says how much such a model would hide.

    python -m analyses.sandwich

About five minutes on one core.
"""

import math
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import read_table, table_files
from analyses.superposition_decoder import Config as Decoder
from infodil.bounds import StateSample, exact_posterior, genie_by_lag
from infodil.channel import channel_information, longest_window
from infodil.encoders import TraceEncoder
from infodil.precision import Quantizer
from infodil.sources import iid
from infodil.traces import weights

DECODED = "superposition_decoder"
"""Table of the decoder's bits."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    cells: tuple[tuple[int, int, float, float], ...] = (
        (2, 2, 0.5, 0.05), (3, 2, 0.4, 0.05), (4, 4, 0.5, 0.1), (8, 8, 0.6, 0.02),
    )  # fmt: skip
    """Types, dims, alpha and sigma."""
    lags: tuple[int, ...] = tuple(range(8))
    documents: int = 400
    tokens: int = 500
    probes: tuple[str, ...] = ("prior", "gaussian", "exact")
    seeds: tuple[int, ...] = (0,)
    sequences: int = 2**16
    truth_draws: int = 4000
    precisions: tuple[str, ...] = ("float32", "bfloat16", "snr=20dB")
    large_seed: int = 0
    large_every: int = 4
    """Of the lags that the decoder was measured at."""
    genie_draws: int = 512
    dithers: int = 48
    decoder: Decoder = field(default_factory=Decoder)
    """Of the decoder whose table has the lower side of the large trace."""


SMOKE = Config(
    cells=((2, 2, 0.5, 0.05),), lags=(0, 1), documents=40, tokens=50, sequences=2**6, truth_draws=50,
    precisions=("snr=20dB",), large_every=32, genie_draws=32, dithers=2,
)  # fmt: skip


def small(cell, config):
    """Both sides and the truth of one small trace and seed."""
    (types, dim, alpha, wanted), seed = cell
    source = iid(types, documents=config.documents, tokens=config.tokens, seed=seed)
    embedding = torch.randn(types, dim, generator=torch.Generator().manual_seed(seed))
    encoder = TraceEncoder(types, (alpha,), dim=dim, embedding=embedding)
    spread = encoder.encode(source.tokens)["ema"].flatten(0, 1).var(0, correction=0).mean().sqrt()
    precision = f"snr={20 * math.log10(spread / wanted):.4f}dB"
    report = infodil.recoverability(
        encoder, source, lags=config.lags, probes=config.probes, precision=precision, seed=seed, progress=False,
        controls=False,
    )  # fmt: skip
    sigma = report.model["errors"]["ema"]
    window, weight = longest_window(types, config.sequences), weights(alpha, 60)
    options = {"lags": config.lags, "window": window, "draws": config.truth_draws, "seed": seed + 100}
    unconditional = channel_information(embedding, weight, sigma, **options)
    revealed = exact_posterior(embedding, weight, sigma, **options)
    return [
        {
            "part": "small",
            "types": types,
            "dim": dim,
            "alpha": alpha,
            "seed": seed,
            "precision": "noise",
            "sigma": sigma,
        }
        | {"lag": row["lag"], "probe": row["selected_probe"], "entropy_bits": source.entropy_bits}
        | {"lower_bits": row["value_bits"], "lower_low_bits": row["low_bits"], "lower_high_bits": row["high_bits"]}
        | {"truth_low_bits": below.low_bits, "truth_bits": (below.value_bits + above.value_bits) / 2}
        | {"truth_high_bits": above.high_bits, "upper_bits": row["upper_bits"], "upper_by": row["upper_by"]}
        | {"upper_high_bits": row["upper_high_bits"], "genie_bits": row["genie_bits"], "width_bits": row["width_bits"]}
        for row in report.rows
        if row["chosen"]
        for below, above in [(unconditional[config.lags.index(row["lag"])], revealed[config.lags.index(row["lag"])])]
    ]


def large(precision, config):
    """Both sides of the decoder's traces at one precision; the lower one is measured by another study."""
    decoder, seed = config.decoder, config.large_seed
    (table,) = table_files(DECODED).values()
    measured = [
        row for row in read_table(table) if row["precision"] == precision and row["seed"] == str(config.large_seed)
    ][:: config.large_every]
    source = iid(decoder.types, documents=decoder.documents, tokens=decoder.tokens, distribution="zipf", seed=seed)
    encoder = TraceEncoder(decoder.types, (decoder.alpha,), dim=decoder.dim, seed=seed)
    states = encoder.encode(source.tokens)["ema"][:, decoder.before :].flatten(0, 1)[::7]
    weight = weights(decoder.alpha, 400)
    quantizer = Quantizer.of(precision, states)
    few, lags = states[:256], [int(row["lag"]) for row in measured]
    counts = np.ones(decoder.types, dtype=np.int64)
    sample = StateSample(few, np.arange(len(few)), quantizer, counts, seen=np.arange(len(few)), lags=tuple(lags))
    sigma, noise = sample.sigma, sample.noise
    mean_error = float(quantizer.sigma(few).square().mean().sqrt())
    ask = partial(genie_by_lag, encoder.embedding, weight[lags], prior=source.probabilities, seed=seed)
    gaussian = ask(sigma=mean_error, draws=config.genie_draws)
    upper = gaussian if noise == "gaussian" else ask(sigma=sigma, noise=noise, draws=config.dithers)
    rows = []
    for row, lag, bound, model in zip(measured, lags, upper, gaussian, strict=True):
        lower, error = float(row["bits"]), 1.96 * float(row["bits_error"])
        rows.append(
            {"part": "large", "types": decoder.types, "dim": decoder.dim, "alpha": decoder.alpha, "seed": seed}
            | {"precision": precision, "sigma": mean_error, "lag": lag, "probe": "pursuit"}
            | {"entropy_bits": source.entropy_bits, "lower_bits": lower, "lower_low_bits": lower - error}
            | {"lower_high_bits": lower + error, "upper_bits": bound.value_bits, "upper_by": "genie"}
            | {"upper_high_bits": bound.high_bits, "genie_bits": bound.value_bits}
            | {"width_bits": bound.value_bits - lower, "gaussian_model_bits": model.value_bits}
        )
    return rows


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(small, [(cell, seed) for seed in config.seeds for cell in config.cells], config)
        print_small(finished.rows)
        finished += study.run(large, config.precisions, config, inputs=table_files(DECODED))
        study.write("sandwich", finished.rows, config, finished)
    for precision in config.precisions:
        print_large([row for row in finished.rows if row["precision"] == precision], precision)


def print_small(rows):
    """Print at how many lags both sides hold, and the farthest that the lower one is from the truth."""
    held = [
        row["lower_low_bits"] <= row["truth_high_bits"] and row["truth_low_bits"] <= row["upper_high_bits"]
        for row in rows
    ]
    gap = max(rows, key=lambda row: row["truth_bits"] - row["lower_bits"])
    print(f"small traces: both sides hold at {sum(held)} of {len(held)} lags; the lower side is low by")
    print(f"{gap['truth_bits'] - gap['lower_bits']:.4f} bits at most ({gap['types']} types, lag {gap['lag']})")


def print_large(rows, precision):
    """Print how many lower sides are above an upper one, and the lags between which more than a bit is open."""
    over = sum(row["lower_low_bits"] > row["upper_high_bits"] for row in rows)
    modelled = sum(row["lower_low_bits"] > row["gaussian_model_bits"] for row in rows)
    open_lags = [row["lag"] for row in rows if row["width_bits"] > 1.0]
    print(f"{precision}: {over} of {len(rows)} rows overstepped ({modelled} of the Gaussian model);", end=" ")
    print(f"more than a bit is open from lag {min(open_lags, default=None)} to {max(open_lags, default=None)}")


if __name__ == "__main__":
    main()
