"""Are messages lost over depth, or only diluted, and does it depend on how layers are accumulated?

Each of 4 to 256 layers writes one of 16 random vectors of 64 numbers; seven accumulation rules collect them in a stream
that is seen at three precisions. The messages of the first, the middle and the last layer are read by a trained linear
probe and, where the rule is linear, by a decoder that knows all codebooks; beside them stand the genie's bound, the
budget and the analytic dilution curve. It could refute that fixed weights lose early messages: a decoder that reads
what a linear probe does not shows that they are diluted.

    python -m analyses.depth_sweep --n-jobs 2

About 8 minutes of one core.
"""

from dataclasses import dataclass

from analyses.cells import Study, options_parser
from infodil import depth


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    rules: tuple[str, ...] = ("sum", "deepnorm", "ema", "ema_bank", "gated", "highway", "attention")
    depths: tuple[int, ...] = (4, 8, 16, 32, 64, 128, 256)
    precisions: tuple[str, ...] = ("float32", "bfloat16", "float8_e4m3")
    dim: int = 64
    types: int = 16
    rows: int = 4096
    seeds: tuple[int, ...] = (0,)


SMOKE = Config(rules=("sum", "ema"), depths=(2, 4), precisions=("bfloat16",), dim=16, types=4, rows=512)


def sweep(cell, config):
    """A row for each depth and written layer of one rule at one precision."""
    rule, precision, seed = cell
    report = depth.sweep(
        rule, config.depths, dim=config.dim, types=config.types, rows=config.rows, precision=precision, seed=seed
    )
    return [{"precision": precision, "seed": seed} | row for row in report.rows]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [
        (rule, precision, seed) for rule in config.rules for precision in config.precisions for seed in config.seeds
    ]
    with Study(__file__, options) as study:
        finished = study.run(sweep, cells, config)
        study.write("depth_sweep", finished.rows, config, finished)
    for rule in config.rules:
        first = [row for row in finished.rows if row["rule"] == rule and row["written"] == 1]
        for precision in config.precisions:
            words = [
                f"{row['depth']}: {row['linear_bits']:.2f} / {row['value_bits']:.2f} {row['verdict']}"
                for row in first
                if row["precision"] == precision
            ]
            print(rule, precision, "; ".join(words))


if __name__ == "__main__":
    main()
