"""Does a language model whose only context is EMA traces lose to attention, and would a stronger predictor mend it?

The claims tested are those of arXiv 2604.08556: perplexity 8 times GPT-2's with fixed traces alone, the same loss when
softmax attention replaces the linear predictor, and so a gap that lies in the traces. Models of equal parameters see
the same text for the same tokens; losses are kept for each held-out document of C4 and WikiText-2. The paper trained
130M parameters on 8 billion tokens of FineWeb: these runs are at 0.3M and 1M parameters and at most 0.2 million tokens,
40,000 times fewer, and say nothing of its scale beyond the trend they show.

About 25 minutes of one idle core. What has been run is not run again, each part in a folder of `--out`. `--collect`
only writes the tables of what is there.

    python -m analyses.ema_language_model --data ../shared/data --out out/lm
"""

import argparse
import dataclasses
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from scipy.stats import t as student

from analyses.provenance import provenance, write_results
from infodil.checks import write_whole
from infodil.corpus import Split, load_corpus
from infodil.lm import (
    FAMILIES,
    PREDICTORS,
    LanguageModel,
    TextLoss,
    count_parameters,
    load_language_model,
    named_config,
    prepare_text,
    score_text,
    train_language_model,
)
from infodil.processing import ablate_predictor, compare_losses, decompose_gap

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""
PARTS = ("pair", "ablation", "gap", "families", "trend")
"""In this order, each for every seed: a run that is stopped has what matters most."""
HELD_OUT = {"c4-sample": "c4-documents.jsonl.gz", "wikitext-2": "test.txt.gz"}


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    text: str = "wikipedia-sample"
    vocabulary: int = 2048
    text_tokens: int = 2_500_000
    steps: int = 384
    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    sizes: tuple[str, ...] = ("0.3m", "1m")
    batch_size: int = 4
    window: int = 128
    held_out_tokens: int = 60_000
    ablation_size: str = "0.3m"
    ablation_steps: int = 192
    margin_nats: float = 0.02
    """Two per cent of perplexity."""
    gap_reference: str = "lstm"
    """The best at these budgets: attention is still behind the traces, so that there is no gap to take apart."""
    gap_tokens: int = 60_000
    gap_hidden: int = 256
    reading_tokens: int = 40_000
    """Held-out tokens of the ablation and the decomposition, and calibration tokens of its readers."""
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Cell:
    """One model to train and score."""

    family: str
    size: str
    steps: int
    seed: int

    @property
    def name(self):
        return f"{self.family}-linear-{self.size}-{self.steps}-{self.seed}"


def cells(config, seed, part=None):
    """The models of a part of the study, or of all of it."""
    wanted = {
        # What is compared in every table, then all families, at the largest size and budget.
        "pair": [
            Cell(family, config.sizes[-1], config.steps, seed) for family in ("spen", "attention", config.gap_reference)
        ],
        "families": [Cell(family, config.sizes[-1], config.steps, seed) for family in FAMILIES],
        "trend": [
            Cell(family, size, round(share * config.steps), seed)
            for size in config.sizes
            for share in reversed(config.shares)
            for family in ("spen", "attention")
        ],
    }
    chosen = [wanted.get(part, [])] if part else wanted.values()
    return list(dict.fromkeys(cell for some in chosen for cell in some))


def texts(data, out, config):
    """The training text, and each held-out text as tokens of the same tokenizer."""
    source = "sample" if data is None else data / config.text
    corpus = load_corpus(source, tokenizer="bpe", vocabulary=config.vocabulary, max_length=4096)
    text = prepare_text(corpus, out / "text", max_tokens=config.text_tokens, seed=0)
    if data is None:
        return text, {"sample": beginning(text.splits["test"], config.held_out_tokens)}
    held_out = {}
    for name, file in HELD_OUT.items():
        options = {"separator": TITLES} if file.endswith(".txt.gz") else {}
        corpus = load_corpus(data / name / file, tokenizer=text.tokenizer, max_length=4096, **options)
        # Of text that nothing is trained on, all but a sliver is for scoring.
        whole = prepare_text(
            corpus, out / f"text-{name}", max_tokens=config.held_out_tokens, fractions=(0.01, 0.01, 0.98)
        )
        held_out[name] = whole.splits["test"]
    return text, held_out


def beginning(split, tokens):
    """The first documents of a split, of about so many tokens."""
    within = np.cumsum(split.lengths) <= tokens
    last = split.document[within][-1] if within.any() else 0
    kept = split.document <= last
    return Split(split.tokens, split.starts[kept], split.lengths[kept], split.document[kept], split.max_length)


def run_cell(cell, config, text, held_out, out, made_by):
    """Train, score by document, record."""
    place = out / "cells" / cell.name
    if (place / "record.json").exists():
        return
    built = named_config(cell.family, cell.size, vocabulary=text.vocabulary, context=config.window)
    model, begun = LanguageModel(built, seed=cell.seed), time.process_time()
    training = train_language_model(
        model,
        text.splits["train"].tokens,
        text.splits["calibration"].tokens[:10_000],
        tokens=cell.steps * config.batch_size * config.window,
        window=config.window,
        batch_size=config.batch_size,
        seed=cell.seed,
        checkpoint=place / "checkpoint.safetensors",
        checkpoint_every=96,
        record={"model": dataclasses.asdict(built)},
        progress=False,
    )
    record = dataclasses.asdict(cell) | {
        "parameters": count_parameters(built),
        "tokens": training.tokens,
        "training_seconds": time.process_time() - begun,
        **made_by,
    }
    arrays = {}
    for name, split in held_out.items():
        loss = score_text(model, split, window=config.window, bytes_of=text.bytes_of)
        record[name] = {"loss_nats": loss.loss_nats, "bits_per_byte": loss.bits_per_byte}
        arrays[name] = {"nats": loss.nats.tolist(), "tokens": loss.tokens.tolist()}
    write_whole(place / "documents.json", json.dumps(arrays))
    write_whole(place / "record.json", json.dumps(record, indent=2))
    print(cell.name, {name: round(record[name]["loss_nats"], 3) for name in held_out}, flush=True)


def ablation(config, text, test, out, seeds):
    """The predictors on the same traces, both ways; what has been run is read back."""
    return ablate_predictor(
        text,
        size=config.ablation_size,
        tokens=config.ablation_steps * config.batch_size * config.window,
        batch_size=config.batch_size,
        seeds=seeds,
        margin_nats=config.margin_nats,
        test=beginning(test, config.reading_tokens),
        folder=out / "ablation",
        context=config.window,
        progress=False,
    )


def run_gap(config, text, test, out, seed):
    """Where the loss of traces beyond that of the reference comes from, at the largest size."""
    place = out / "gap" / f"{seed}.json"
    if place.exists():
        return
    models = [
        load_language_model(out / "cells" / Cell(family, config.sizes[-1], config.steps, seed).name)
        for family in ("spen", config.gap_reference)
    ]
    splits = text.splits | {
        "calibration": beginning(text.splits["calibration"], config.reading_tokens // 2),
        "test": beginning(test, config.reading_tokens),
    }
    found = decompose_gap(
        *models,
        dataclasses.replace(text, splits=splits),
        tokens=config.gap_tokens,
        window=config.window,
        batch_size=config.batch_size,
        hidden=config.gap_hidden,
        seed=seed,
        progress=False,
    )
    print(found, flush=True)
    losses = {f"{name}_loss_nats": nats for name, nats in found.losses_nats.items()}
    told = {"documents": found.documents, "tokens": found.tokens, "sites": " ".join(found.sites)}
    rows = [{"seed": seed, "reference": config.gap_reference, **row, **told, **losses} for row in found.rows()]
    write_whole(place, json.dumps(rows, indent=2))


def finished(config, out):
    """Records and losses of the cells that are there."""
    found = {}
    for seed in config.seeds:
        for cell in cells(config, seed):
            place = out / "cells" / cell.name
            if (place / "record.json").exists():
                record = json.loads((place / "record.json").read_text(encoding="utf-8"))
                arrays = json.loads((place / "documents.json").read_text(encoding="utf-8"))
                losses = {name: TextLoss(*map(np.array, both.values())) for name, both in arrays.items()}
                found[cell] = (record, losses)
    return found


def loss_rows(found, names):
    """One row a model and held-out text."""
    kept = ("family", "size", "steps", "seed", "parameters", "tokens", "training_seconds", "commit", "dirty")
    return [
        {name: record[name] for name in kept}
        | {
            "text": text,
            "loss_nats": losses[text].loss_nats,
            "perplexity": losses[text].perplexity,
            "bits_per_byte": record[text]["bits_per_byte"],
            "documents": len(losses[text].tokens),
            "held_out_tokens": int(losses[text].tokens.sum()),
        }
        for record, losses in found.values()
        for text in names
    ]


def ratio_rows(config, found, names):
    """Perplexity over attention's at the same size and budget, with intervals over documents and seeds."""
    rows = []
    groups = {}
    for cell in found:
        reference = Cell("attention", cell.size, cell.steps, cell.seed)
        if cell.family != "attention" and reference in found:
            groups.setdefault((cell.family, cell.size, cell.steps), []).append((cell, reference))
    for (family, size, _), pairs in groups.items():
        for text in names:
            first, second = ([found[pair[side]][1][text] for pair in pairs] for side in (0, 1))
            difference = compare_losses(first, second, margin_nats=config.margin_nats)
            rows.append(
                {
                    "family": family,
                    "size": size,
                    "parameters": found[pairs[0][0]][0]["parameters"],
                    "tokens": found[pairs[0][0]][0]["tokens"],
                    "text": text,
                    "seeds": len(pairs),
                    "ratio": math.exp(difference.value_nats),
                    "low": math.exp(difference.low_nats),
                    "high": math.exp(difference.high_nats),
                    "difference_nats": difference.value_nats,
                    "seed_values_nats": " ".join(f"{value:.4f}" for value in difference.seed_values_nats),
                    "verdict": difference.verdict,
                }
            )
    return rows


def trend_rows(rows, names):
    """`log ratio = a + b log2(tokens) + c log2(parameters)` by least squares over sizes, budgets and seeds."""
    trends = []
    for text in names:
        points = [
            (math.log2(row["tokens"]), math.log2(row["parameters"]), float(value))
            for row in rows
            if row["family"] == "spen" and row["text"] == text
            for value in row["seed_values_nats"].split()
        ]
        if len({point[:2] for point in points}) < 4 or len({point[1] for point in points}) < 2:
            continue
        table = np.array(points)
        inputs = np.column_stack([np.ones(len(table)), table[:, :2] - table[:, :2].mean(0)])
        solved, squares, *_ = np.linalg.lstsq(inputs, table[:, 2], rcond=None)
        freedom = len(table) - 3
        covariance = float(squares[0]) / freedom * np.linalg.inv(inputs.T @ inputs)
        reach = student.ppf(0.975, freedom) * np.sqrt(np.diag(covariance))
        for place, name in ((1, "each doubling of tokens"), (2, "each doubling of parameters")):
            trends.append(
                {
                    "text": text,
                    "effect": name,
                    "ratio_factor": math.exp(solved[place]),
                    "low": math.exp(solved[place] - reach[place]),
                    "high": math.exp(solved[place] + reach[place]),
                    "points": len(table),
                }
            )
    return trends


def collect(config, options, text, held_out):
    """Write the tables of what is there."""
    found, names = finished(config, options.out), list(held_out)
    told = dataclasses.asdict(config) | {"text_sha256": text.provenance["sha256"], "text": text.provenance["name"]}
    losses = loss_rows(found, names)
    write_results("ema_language_model", losses, told)
    ratios = ratio_rows(config, found, names)
    if ratios:
        write_results("ema_language_model_ratio", ratios, told)
    trends = trend_rows(ratios, names)
    if trends:
        write_results("ema_language_model_trend", trends, told)
    gaps = [row for path in sorted((options.out / "gap").glob("*.json")) for row in json.loads(path.read_text())]
    if gaps:
        write_results("ema_gap_decomposition", gaps, told | {"test": names[0]})
    seeds = [seed for seed in config.seeds if is_ablated(options.out, seed)]
    if seeds:
        result = ablation(config, text, held_out[names[0]], options.out, seeds)
        print(result)
        write_results("ema_predictor_ablation", result.rows(), told | {"seeds": seeds, "test": names[0]})
    for row in ratios:
        print({name: row[name] for name in ("family", "size", "tokens", "text", "seeds", "ratio", "low", "high")})
    for row in trends:
        print(row)


def is_ablated(out, seed):
    """Whether every run of a seed's ablation is there."""
    return all(
        (out / "ablation" / f"{way}-{predictor}-{seed}" / "documents.json").exists()
        for way in ("end", "frozen")
        for predictor in PREDICTORS
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the corpora; the built-in sample without it")
    parser.add_argument("--out", type=Path, default=Path("out/lm"))
    parser.add_argument("--collect", action="store_true", help="run nothing more")
    parser.add_argument("--smoke", action="store_true", help="the whole path in about a minute; no tables are written")
    options = parser.parse_args()
    config = Config()
    if options.smoke:
        config = Config(
            steps=8, ablation_steps=4, gap_tokens=2_000, reading_tokens=3_000, held_out_tokens=6_000, seeds=(0, 1),
            sizes=("0.3m",), text_tokens=120_000, vocabulary=512,
        )  # fmt: skip
    torch.set_num_threads(1)
    # Read before the first cell: the code that runs is the code that was there then.
    made_by = {name: provenance()[name] for name in ("commit", "dirty", "date")}
    text, held_out = texts(options.data, options.out, config)
    test = next(iter(held_out.values()))
    for part, seed in () if options.collect else ((part, seed) for part in PARTS for seed in config.seeds):
        if part == "ablation":
            ablation(config, text, test, options.out, [seed])
        elif part == "gap":
            run_gap(config, text, test, options.out, seed)
        for cell in cells(config, seed, part):
            run_cell(cell, config, text, held_out, options.out, made_by)
        print(f"{part} of seed {seed} is done", flush=True)
    if not options.smoke:
        collect(config, options, text, held_out)


if __name__ == "__main__":
    main()
