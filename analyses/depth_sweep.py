"""Are messages lost over depth, or only diluted, and does it depend on how layers are accumulated?

Each of 4 to 256 layers writes one of 16 random vectors of 64 numbers; seven accumulation rules collect them in a stream
that is seen at three precisions. The messages of the first, the middle and the last layer are read by a trained linear
probe and, where the rule is linear, by a decoder that knows all codebooks; beside them stand the genie's bound, the
budget and the analytic dilution curve. Sums and averages are also measured with narrower and wider streams, messages of
low rank, messages that grow with depth, and a normalisation before reading. It could refute that fixed weights lose
early messages: a decoder that reads what a linear probe does not shows that they are diluted.

    python -m analyses.depth_sweep --n-jobs 2

About 9 minutes of one core.
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
    variants: tuple[tuple[str, str, float], ...] = (
        ("narrow", "dim", 16), ("wide", "dim", 256), ("low rank", "rank", 4), ("growing", "growth", 1.05),
        ("normalised", "normalize", True),
    )  # fmt: skip
    """Name, and the option that is changed, with its value."""
    variant_rules: tuple[str, ...] = ("sum", "ema")
    variant_depths: tuple[int, ...] = (16, 64)
    variant_precision: str = "bfloat16"
    rows: int = 4096
    seeds: tuple[int, ...] = (0,)


SMOKE = Config(
    rules=("sum", "ema"), depths=(2, 4), precisions=("bfloat16",), dim=16, types=4, rows=512,
    variants=(("low rank", "rank", 2),), variant_depths=(4,),
)  # fmt: skip


def sweep(cell, config):
    """A row for each depth and written layer of one rule at one precision; a variant has one option changed."""
    rule, precision, seed, variant = cell
    options = {name: {option: value} for name, option, value in config.variants}.get(variant, {})
    report = depth.sweep(
        rule, config.depths if variant == "plain" else config.variant_depths,
        **{"dim": config.dim, "types": config.types, "rows": config.rows} | options, precision=precision, seed=seed,
    )  # fmt: skip
    return [{"precision": precision, "seed": seed, "variant": variant} | row for row in report.rows]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [
        (rule, precision, seed, "plain")
        for rule in config.rules
        for precision in config.precisions
        for seed in config.seeds
    ]
    cells += [
        (rule, config.variant_precision, seed, name)
        for name, *_ in config.variants
        for rule in config.variant_rules
        for seed in config.seeds
    ]
    with Study(__file__, options) as study:
        finished = study.run(sweep, cells, config)
        study.write("depth_sweep", finished.rows, config, finished)
    for row in finished.rows:
        if row["variant"] != "plain":
            names = ("variant", "rule", "depth", "written", "linear_bits", "decoder_bits", "upper_bits", "verdict")
            print(*(row[name] for name in names))
    for rule in config.rules:
        first = [row for row in finished.rows if (row["rule"], row["written"], row["variant"]) == (rule, 1, "plain")]
        for precision in config.precisions:
            words = [
                f"{row['depth']}: {row['linear_bits']:.2f} / {row['value_bits']:.2f} {row['verdict']}"
                for row in first
                if row["precision"] == precision
            ]
            print(rule, precision, "; ".join(words))


if __name__ == "__main__":
    main()
