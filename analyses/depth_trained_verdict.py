"""Does selection by the input restore early messages, and does it lower the loss? The verdict on the trained models.

Differences of the rules of `analyses.depth_trained` at each depth, paired by seed: of the loss, over documents and
seeds (over documents alone where one seed was trained: they then hold for these models only); of the share of their
bits that the messages of the embedding and the first quarter of the blocks still have in the deepest stream, over
seeds. It reads what the two studies wrote and trains nothing.

    python -m analyses.depth_trained_verdict
"""

from collections import defaultdict
from dataclasses import dataclass

import numpy as np

from analyses.cells import Study, options_parser
from analyses.provenance import read_table, table_files
from infodil.lm import TextLoss
from infodil.processing import compare_losses
from infodil.statistics import mean_interval

TABLES = ("depth_trained_documents", "depth_trained_survival")


@dataclass(frozen=True)
class Config:
    """Every choice that matters."""

    pairs: tuple[tuple[str, str], ...] = (
        ("ema", "sum"),
        ("dense", "sum"),
        ("attention", "sum"),
        ("attention", "dense"),
        ("gated", "sum"),
        ("highway", "sum"),
        ("highway", "gated"),
    )
    """Rules that are compared, the first less the second: the last of each kind differ in whether weights are functions
    of the input."""
    early: float = 0.25
    """Share of the blocks whose messages count as early."""
    margin_nats: float = 0.01
    """What counts as the same loss: one per cent of the perplexity of a byte."""


def losses_of(rows):
    """Losses by document of each seed, by rule and blocks."""
    lists = defaultdict(lambda: defaultdict(list))
    for row in rows:
        lists[row["rule"], int(row["blocks"])][int(row["seed"])].append((float(row["nats"]), int(row["predicted"])))
    return {
        key: {seed: TextLoss(*(np.array(each) for each in zip(*pairs, strict=True))) for seed, pairs in seeds.items()}
        for key, seeds in lists.items()
    }


def early_shares(rows, early):
    """Share of the early messages' bits that the deepest stream gives up, by seed, rule and blocks."""
    shares = defaultdict(lambda: defaultdict(list))
    for row in rows:
        blocks, name = int(row["blocks"]), row["written"].split()
        block = 0 if name[0] == "embedding" else int(name[0]) if name[0].isdecimal() else None
        if block is not None and block <= early * blocks and int(row["read"]) == blocks:
            share = float(row["value_bits"]) / float(row["entropy_bits"])
            shares[row["rule"], blocks][int(row["seed"])].append(share)
    return {key: {seed: float(np.mean(each)) for seed, each in seeds.items()} for key, seeds in shares.items()}


def compare(_, config):
    """A row for each quantity, pair of rules and depth that was trained."""
    documents, survived = (read_table(path) for path in table_files(*TABLES).values())
    losses, shares = losses_of(documents), early_shares(survived, config.early)
    rows = []
    for rule, against in config.pairs:
        for blocks in sorted({blocks for _, blocks in losses}):
            keys = (rule, blocks), (against, blocks)
            if not all(key in losses for key in keys):
                continue
            named = {"rule": rule, "against": against, "blocks": blocks}
            rows.append(named | loss_row(*(losses[key] for key in keys), config.margin_nats))
            if all(key in shares for key in keys):
                rows.append(named | share_row(*(shares[key] for key in keys)))
    return [row | {"sentence": sentence(row)} for row in rows]


def loss_row(first, second, margin_nats):
    """The difference of two losses, paired by seed and document."""
    seeds = sorted(first.keys() & second.keys())
    one, two = ([each[seed] for seed in seeds] for each in (first, second))
    found = compare_losses(one, two, margin_nats=margin_nats)
    means = [float(np.mean([loss.loss_nats for loss in each])) for each in (one, two)]
    return {
        "quantity": "loss, nats a byte", "value": means[0], "against_value": means[1], "difference": found.value_nats,
        "low": found.low_nats, "high": found.high_nats, "seeds": len(seeds),
        "verdict": found.verdict if len(seeds) > 1 else f"{found.verdict} for these two models",
    }  # fmt: skip


def share_row(first, second):
    """The difference of two shares, paired by seed."""
    seeds = sorted(first.keys() & second.keys())
    differences = [first[seed] - second[seed] for seed in seeds]
    # One seed tells nothing of others.
    mean, low, high = mean_interval(differences, 0.95) if len(seeds) > 1 else (differences[0], None, None)
    told = low is not None and (low > 0.0 or high < 0.0)
    return {
        "quantity": "early messages, share of bits", "value": float(np.mean([first[seed] for seed in seeds])),
        "against_value": float(np.mean([second[seed] for seed in seeds])), "difference": mean, "low": low,
        "high": high, "seeds": len(seeds), "verdict": "different" if told else "cannot be told",
    }  # fmt: skip


def sentence(row):
    """The row in words."""
    interval = "" if row["low"] is None else f" [{row['low']:+.3f}, {row['high']:+.3f}]"
    over = "1 seed" if row["seeds"] == 1 else f"{row['seeds']} seeds"
    return (
        f"{row['blocks']} blocks, {row['quantity']}: {row['rule']} {row['value']:.3f}, {row['against']} "
        f"{row['against_value']:.3f}, difference {row['difference']:+.3f}{interval}, {over}, {row['verdict']}."
    )


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = Config()
    with Study(__file__, options) as study:
        finished = study.run(compare, ["all"], config, inputs=table_files(*TABLES))
        study.write("depth_trained_verdict", finished.rows, config, finished)
    for row in finished.rows:
        print(row["sentence"])


if __name__ == "__main__":
    main()
