"""How much do states lose that are read through a count sketch?

States of several encoders on independent tokens of a Zipf law, recorded once, then measured whole and through sketches
of 64 numbers and more: a GRU with random weights, the recurrent state of a Mamba layer with random weights, and
averages of token vectors at eight time scales, each of 2,048 numbers; and a Mamba layer of the shape of Mamba-130m
(24,576 numbers) on fewer tokens. It could refute "a sketch of 4,096 numbers loses little". Four minutes on one core.

    python -m analyses.sketched_states
"""

from dataclasses import dataclass

import torch

import infodil
from analyses.cells import Study, options_parser
from infodil.encoders import load_encoder
from infodil.sources import iid


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    encoders: tuple[str, ...] = ("gru", "mamba", "averages", "mamba-130m")
    sizes: tuple[int, ...] = (64, 128, 256, 512, 1024)
    wide_sizes: tuple[int, ...] = (64, 256, 1024, 4096)
    numbers: int = 2048
    wide_channels: int = 1536
    documents: int = 120
    wide_documents: int = 25
    document: int = 100
    vocabulary: int = 200
    lags: tuple[int, ...] = (0, 1, 2, 4, 8)
    seed: int = 0


SMOKE = Config(
    sizes=(16,), wide_sizes=(16,), numbers=64, wide_channels=32, documents=30, wide_documents=30, document=20,
    vocabulary=8, lags=(0, 1),
)  # fmt: skip

SCALES = 8
"""Averages of one encoder: their numbers together are those of the others."""

MAMBA_STATE = 16
"""Numbers that Mamba keeps for each channel."""


def mamba(channels, config):
    """One Mamba layer of so many channels with random weights, read at its recurrent state."""
    from transformers import MambaConfig, MambaForCausalLM

    torch.manual_seed(config.seed)
    shape = MambaConfig(
        vocab_size=config.vocabulary, hidden_size=channels // 2, state_size=MAMBA_STATE, num_hidden_layers=1
    )
    return load_encoder(MambaForCausalLM(shape).eval(), sites="layer.1.recurrent")


def make_encoder(name, config):
    """An encoder of the study."""
    if name == "mamba-130m":
        return mamba(config.wide_channels, config)
    if name == "mamba":
        return mamba(config.numbers // MAMBA_STATE, config)
    if name == "gru":
        return load_encoder("gru", vocabulary=config.vocabulary, dim=config.numbers, seed=config.seed)
    alphas = [0.5**scale for scale in range(1, 1 + SCALES)]
    return load_encoder(
        "ema_bank", vocabulary=config.vocabulary, alphas=alphas, dim=config.numbers // SCALES, seed=config.seed
    )


@torch.no_grad()
def measure(name, config):
    """Rows of one encoder: bits at each lag, of the whole state and of each sketch."""
    wide = name == "mamba-130m"
    tokens = iid(
        config.vocabulary, documents=config.wide_documents if wide else config.documents, tokens=config.document,
        distribution="zipf", seed=config.seed,
    ).tokens  # fmt: skip
    encoder = make_encoder(name, config)
    states = torch.cat([next(iter(encoder.encode(part).values())) for part in tokens.split(5)])
    rows = []
    for size in (None, *(config.wide_sizes if wide else config.sizes)):
        report = infodil.recoverability(
            {name: states}, tokens, lags=config.lags, probes=["gaussian"], controls=False, sketch_dims=size,
            seed=config.seed, progress=False,
        )  # fmt: skip
        keep = ("lag", "value_bits", "low_bits", "high_bits", "ceiling_bits", "dim", "sketch_dims", "train_samples")
        rows += [{"encoder": name, **{column: row[column] for column in keep}} for row in report.rows]
    whole = {row["lag"]: row["value_bits"] for row in rows if row["sketch_dims"] is None}
    return [row | {"lost_bits": whole[row["lag"]] - row["value_bits"]} for row in rows]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, config.encoders, config)
        for name in config.encoders:
            of_encoder = [row for row in finished.rows if row["encoder"] == name]
            for size in dict.fromkeys(row["sketch_dims"] for row in of_encoder):
                some = [row for row in of_encoder if row["sketch_dims"] == size]
                bits, lost = (sum(row[column] for row in some) for column in ("value_bits", "lost_bits"))
                print(f"{name}: {size or 'whole'} of {some[0]['dim']}: {bits:.2f} bits, {lost:.2f} lost")
        study.write("sketched_states", finished.rows, config, finished)


if __name__ == "__main__":
    main()
