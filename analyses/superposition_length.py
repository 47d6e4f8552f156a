"""How long may a document be for the superposition decoder to read every one of its last 33 tokens exactly?

The task of `analyses.superposition_decoder` in float32 (4,096 Zipf types, 768 dims, alpha .1), at the last position of
documents of several lengths. A trace that has seen few tokens has few lags to divide among its types; the more old
tokens weigh too little to be told apart, the more divisions fit. It could refute that it is the length of the past,
rather than the age of a token, that costs the decoder its last few per cent. About fifteen minutes of one idle core.

    python -m analyses.superposition_length
"""

from dataclasses import dataclass

from analyses.cells import Study, options_parser
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


SMOKE = Config(types=64, dim=32, lengths=(12, 20), lags=6, documents=4, seeds=(0,))


def decode(cell, config):
    """One row a lag: the share read exactly at the end of documents of one length."""
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


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(decode, [(length, seed) for length in config.lengths for seed in config.seeds], config)
        study.write("superposition_length", finished.rows, config, finished)
    for length in config.lengths:
        shares = [row["top1"] for row in finished.rows if row["length"] == length]
        by_lag = [sum(shares[lag :: config.lags]) / len(config.seeds) for lag in range(config.lags)]
        print(f"{length} tokens: top-1 {sum(by_lag) / len(by_lag):.3f}, least {min(by_lag):.3f}")


if __name__ == "__main__":
    main()
