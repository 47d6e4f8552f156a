"""Does a language model whose only context is EMA traces lose to attention, and would a stronger predictor mend it?

The claims tested are those of arXiv 2604.08556: perplexity 8 times GPT-2's with fixed traces alone, and the same loss
when softmax attention replaces the linear predictor. Models of equal parameters see the same text for the same tokens;
losses are kept for each held-out document of C4 and WikiText-2. The paper trained 130M parameters on 8 billion tokens
of FineWeb: these runs are at 0.3M and 1M parameters and at most 0.2 million tokens, 40,000 times fewer, and say
nothing of its scale beyond the trend they show.

About an hour of one core. A cell that has been run is not run again; `--cells` names those wanted.

    python -m analyses.ema_language_model --data ../shared/data --out out/lm
"""

import argparse
import dataclasses
import json
import time
from dataclasses import dataclass
from pathlib import Path

import torch

from analyses.provenance import provenance
from infodil.checks import write_whole
from infodil.corpus import load_corpus
from infodil.lm import (
    FAMILIES,
    PREDICTORS,
    LanguageModel,
    count_parameters,
    named_config,
    prepare_text,
    score_text,
    train_language_model,
)

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""
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
    ablation_size: str = "0.3m"
    ablation_steps: int = 192
    batch_size: int = 4
    window: int = 128
    held_out_tokens: int = 60_000
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Cell:
    """One model to train and score."""

    family: str
    size: str
    steps: int
    seed: int
    predictor: str = "linear"

    @property
    def name(self):
        return f"{self.family}-{self.predictor}-{self.size}-{self.steps}-{self.seed}"


def cells(config):
    """The most important first: baselines, a second size, shorter budgets, ablation."""
    largest = config.sizes[-1]
    wanted = [Cell(family, largest, config.steps, seed) for seed in config.seeds for family in FAMILIES]
    pair = ("spen", "attention")
    wanted += [Cell(family, config.sizes[0], config.steps, seed) for seed in config.seeds for family in pair]
    for share in reversed(config.shares[:-1]):
        wanted += [
            Cell(family, size, round(share * config.steps), seed)
            for size in config.sizes
            for seed in config.seeds
            for family in pair
        ]
    wanted += [
        Cell("spen", config.ablation_size, config.ablation_steps, seed, kind)
        for seed in config.seeds
        for kind in PREDICTORS
    ]
    return list(dict.fromkeys(wanted))


def texts(data, out, config):
    """The training text, and each held-out text as tokens of the same tokenizer."""
    source = "sample" if config.text == "sample" else data / config.text
    corpus = load_corpus(source, tokenizer="bpe", vocabulary=config.vocabulary, max_length=4096)
    text = prepare_text(corpus, out / "text", max_tokens=config.text_tokens, seed=0)
    held_out = {}
    for name, file in HELD_OUT.items() if data else ():
        options = {"separator": TITLES} if file.endswith(".txt.gz") else {}
        corpus = load_corpus(data / name / file, tokenizer=text.tokenizer, max_length=4096, **options)
        # Of text that nothing is trained on, all but a sliver is for scoring.
        held_out[name] = prepare_text(
            corpus, out / f"text-{name}", max_tokens=config.held_out_tokens, fractions=(0.01, 0.01, 0.98)
        )
    return text, held_out


def run_cell(cell, config, text, held_out, out, made_by):
    """Train, score by document, record."""
    built = named_config(
        cell.family, cell.size, vocabulary=text.vocabulary, context=config.window, predictor=cell.predictor
    )
    model = LanguageModel(built, seed=cell.seed)
    place, begun = out / "cells" / cell.name, time.process_time()
    training = train_language_model(
        model,
        text.splits["train"].tokens,
        text.splits["calibration"].tokens[:30_000],
        tokens=cell.steps * config.batch_size * config.window,
        window=config.window,
        batch_size=config.batch_size,
        seed=cell.seed,
        checkpoint=place / "checkpoint.safetensors",
        checkpoint_every=96,
        record={"model": dataclasses.asdict(built)},
        words=cell.name,
    )
    seconds = time.process_time() - begun
    record = dataclasses.asdict(cell) | {
        "parameters": count_parameters(built),
        "tokens": training.tokens,
        "training_seconds": seconds,
        "calibration_loss_nats": training.held_out_loss_nats,
        **made_by,
    }
    sides = {"own": text.splits["test"], **{name: other.splits["test"] for name, other in held_out.items()}}
    arrays = {}
    for name, split in sides.items():
        loss = score_text(model, split, window=config.window, bytes_of=text.bytes_of)
        record[name] = {
            "loss_nats": loss.loss_nats,
            "perplexity": loss.perplexity,
            "bits_per_byte": loss.bits_per_byte,
            "documents": len(loss.tokens),
            "tokens": int(loss.tokens.sum()),
        }
        arrays[name] = {"nats": loss.nats.tolist(), "tokens": loss.tokens.tolist()}
    write_whole(place / "documents.json", json.dumps(arrays))
    write_whole(place / "record.json", json.dumps(record, indent=2))
    return record


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder with the corpora; the built-in sample without it")
    parser.add_argument("--out", type=Path, default=Path("out/lm"))
    parser.add_argument("--cells", nargs="+", help="parts of the names of those to run")
    options = parser.parse_args()
    config = Config() if options.data else dataclasses.replace(Config(), text="sample")
    torch.set_num_threads(1)
    # Read before the first cell: the code that runs is the code that was there then.
    made_by = {name: provenance()[name] for name in ("commit", "dirty", "date")}
    text, held_out = texts(options.data, options.out, config)
    for cell in cells(config):
        if options.cells and not any(part in cell.name for part in options.cells):
            continue
        path = options.out / "cells" / cell.name / "record.json"
        if not path.exists():
            record = run_cell(cell, config, text, held_out, options.out, made_by)
            losses = {name: round(record[name]["loss_nats"], 3) for name in ("own", *held_out)}
            print(cell.name, losses, f"{record['training_seconds']:.0f} s", flush=True)


if __name__ == "__main__":
    main()
