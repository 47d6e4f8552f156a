"""Which state keeps what, at what price, at equal state size and equal parameters?

Twelve recurrences, each with a state of as many numbers, inside the same frame with token vectors as long as the budget
of parameters allows, trained on the same tokens of wikitext-2 by the one loop of `infodil.lm`; then bits about past
tokens in the state on other articles, beside the held-out loss. It could refute "a state that remembers more predicts
better". About 25 minutes of one core.

    python -m analyses.reference_encoders --data FOLDER
"""

import gzip
import re
from dataclasses import dataclass
from functools import partial

import numpy as np

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil.encoders import ReferenceModel
from infodil.encoders.reference import CELLS
from infodil.lm import train_language_model

TEXTS = {part: f"wikitext-2/{part}.txt.gz" for part in ("train", "valid")}
TITLES = re.compile(r"(?m)^ = [^=].*[^=] = $")
"""Where an article begins."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    families: tuple[str, ...] = tuple(CELLS)
    seeds: tuple[int, ...] = (0, 1, 2)
    types: int = 512
    numbers: int = 144
    parameters: int = 200_000
    training_characters: int = 3_000_000
    held_out_characters: int = 600_000
    training_tokens: int = 600_000
    window: int = 128
    batch_size: int = 16
    measured_tokens: int = 100_000
    lags: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


SMOKE = Config(
    families=("fofe", "delta_rule"), seeds=(0,), types=270, numbers=16, parameters=10_000,
    training_characters=100_000, held_out_characters=60_000, training_tokens=2000,
    window=16, batch_size=4, measured_tokens=5000, lags=(0, 1),
)  # fmt: skip


def articles(data, part, most=None):
    """Articles of one part of the corpus, of its first characters."""
    text = gzip.open(data / TEXTS[part], "rt", encoding="utf-8").read()
    return [article for article in TITLES.split(text[:most]) if len(article) > 200]


def largest(family, config):
    """The length of token vectors with which a model comes closest to the budget from below."""
    dims = [16]
    for dim in range(16, 1024, 8):
        model = ReferenceModel(family, config.types, config.numbers, dim=dim)
        if sum(parameter.numel() for parameter in model.parameters()) > config.parameters:
            break
        dims.append(dim)
    return dims[-1]


def measure(cell, config, data):
    """Train one model and measure its state: a row for each lag."""
    family, seed = cell
    train = articles(data, "train", config.training_characters)
    tokenizer = infodil.corpus.train_bpe(train, config.types)
    held_out = articles(data, "valid", config.held_out_characters)

    def ids(texts):
        return np.concatenate(tokenizer.encode(texts)).astype(np.int64)

    model = ReferenceModel(family, config.types, config.numbers, dim=largest(family, config), seed=seed)
    done = train_language_model(
        model, ids(train), ids(held_out), tokens=config.training_tokens, window=config.window,
        batch_size=config.batch_size, seed=seed, progress=False,
    )  # fmt: skip
    corpus = infodil.load_corpus(held_out, tokenizer=tokenizer, max_length=config.window, name="wikitext-2")
    report = infodil.recoverability(
        model, corpus, lags=config.lags, probes=("gaussian",), max_tokens=config.measured_tokens, seed=seed,
        progress=False,
    )  # fmt: skip
    (whole,) = report.summary
    about = {
        "family": family,
        "seed": seed,
        "parameters": done.parameters,
        "dim": model.embedding.embedding_dim,
        "numbers": config.numbers,
        "training_tokens": done.tokens,
        "loss_nats": done.held_out_loss_nats,
        "recoverable_bits": whole["recoverable_bits"],
        "half_life_tokens": whole["half_life_tokens"],
    }
    names = ("lag", "value_bits", "low_bits", "high_bits", "ceiling_bits", "beyond_context_bits", "random_weights_bits")
    print(f"{family} {seed}: {done.held_out_loss_nats:.3f} nats, {whole['recoverable_bits']:.2f} bits", flush=True)
    return [{**about, **{name: row.get(name) for name in names}} for row in report.rows if row["probe"] == "gaussian"]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    inputs = files_in(options.data, *TEXTS.values())
    work = partial(measure, data=options.data)
    with Study(__file__, options) as study:
        cells = [[family, seed] for seed in config.seeds for family in config.families]
        finished = study.run(work, cells, config, inputs=inputs)
        study.write("reference_encoders", finished.rows, config, finished)


if __name__ == "__main__":
    main()
