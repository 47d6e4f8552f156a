"""Does a language model whose only context is EMA traces lose to attention, and would a stronger predictor mend it?

The claims tested are those of arXiv 2604.08556: perplexity 8 times GPT-2's with fixed traces alone, the same loss when
softmax attention replaces the linear predictor, and so a gap that lies in the traces. Models of equal parameters see
the same text for the same tokens, each family at the peak rate that is best for it on the calibration text (with
another seed than those reported); losses are kept for each held-out document of C4 and WikiText-2. The paper trained
130M parameters on 8 billion tokens of FineWeb: these runs are at 0.3M and 1M parameters and at most 262,144 tokens of
Wikipedia, 30,000 times fewer, and say nothing of its scale beyond the trend they show.

About an hour of one core.

    python -m analyses.ema_language_model --data ../shared/data
"""

import functools
import time
from dataclasses import asdict, dataclass, replace
from functools import partial

import numpy as np

from analyses.cells import Study, options_parser
from analyses.ema_language_tables import as_lists, compare, gap_rows, loss_rows, ratio_rows, trend_rows
from analyses.provenance import files_in
from infodil.corpus import Split, load_corpus
from infodil.lm import (
    FAMILIES,
    LanguageModel,
    count_parameters,
    load_language_model,
    load_text,
    named_config,
    prepare_text,
    score_text,
    train_language_model,
)
from infodil.processing import ablate_predictor, decompose_gap

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""
HELD_OUT = {"c4-sample": "c4-documents.jsonl.gz", "wikitext-2": "test.txt.gz"}


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    text: str = "wikipedia-sample"
    vocabulary: int = 2048
    text_tokens: int = 2_500_000
    """Of which nine tenths are for training: far more than any model sees."""
    steps: int = 512
    shares: tuple[float, ...] = (0.25, 0.5, 1.0)
    sizes: tuple[str, ...] = ("0.3m", "1m")
    batch_size: int = 4
    window: int = 128
    rates: tuple[float, ...] = (2e-3, 4e-3, 8e-3)
    """Peak rates tried for every family at the largest size; beyond these where the best is at an edge."""
    most_rates: int = 5
    rate_share: float = 0.5
    rate_seed: int = 100
    calibration_tokens: int = 20_000
    held_out_tokens: int = 30_000
    opening: int = 256
    """Tokens of a held-out document that are scored: many documents make a narrower interval than long ones."""
    ablation_size: str = "0.3m"
    ablation_share: float = 0.5
    margin_nats: float = 0.02
    """Two per cent of perplexity."""
    gap_tokens: int = 40_000
    gap_hidden: int = 256
    seeds: tuple[int, ...] = (0, 1, 2)

    def tokens(self, steps):
        """Training tokens of so many steps."""
        return steps * self.batch_size * self.window


SMOKE = Config(
    vocabulary=512, text_tokens=60_000, steps=4, shares=(0.5, 1.0), batch_size=2, window=32, rates=(4e-3,),
    most_rates=2, calibration_tokens=500, held_out_tokens=1_500, opening=64, gap_tokens=128, gap_hidden=8, seeds=(0, 1),
)  # fmt: skip


@dataclass(frozen=True)
class Model:
    """One model to train and score."""

    family: str
    size: str
    steps: int
    seed: int

    @property
    def name(self):
        return f"{self.family}-{self.size}-{self.steps}-{self.seed}"


def models(config, seed):
    """All families at the largest size and budget; traces and attention at every size and budget."""
    families = [Model(family, config.sizes[-1], config.steps, seed) for family in FAMILIES]
    trend = [
        Model(family, size, round(share * config.steps), seed)
        for size in config.sizes
        for share in config.shares
        for family in ("spen", "attention")
    ]
    return list(dict.fromkeys(families + trend))


# Text


def prepare_texts(data, folder, config):
    """Tokenise the training text, and each held-out text with the same tokenizer."""
    source = "sample" if data is None else data / config.text
    corpus = load_corpus(source, tokenizer="bpe", vocabulary=config.vocabulary, max_length=4096)
    text = prepare_text(corpus, folder / "text", max_tokens=config.text_tokens, seed=0)
    for name, file in HELD_OUT.items() if data is not None else ():
        options = {"separator": TITLES} if file.endswith(".txt.gz") else {}
        corpus = load_corpus(data / name / file, tokenizer=text.tokenizer, max_length=4096, **options)
        # Of text that nothing is trained on, all but a sliver is for scoring.
        prepare_text(corpus, folder / f"text-{name}", fractions=(0.01, 0.01, 0.98))


@functools.cache
def read_texts(folder, config):
    """The text of the training, and openings of the documents of each held-out text."""
    text = load_text(folder / "text")
    others = {name: folder / f"text-{name}" for name in HELD_OUT}
    splits = {name: load_text(other).splits["test"] for name, other in others.items() if other.exists()}
    splits = splits or {"sample": text.splits["test"]}
    return text, {name: openings(split, config.held_out_tokens, config.opening) for name, split in splits.items()}


def openings(split, tokens, longest):
    """The openings of the first documents of a split, of about so many tokens in all."""
    first = np.flatnonzero(np.diff(split.document, prepend=-1))
    lengths = np.minimum(split.lengths[first], longest)
    kept = first[: np.searchsorted(np.cumsum(lengths), tokens, side="right")]
    return Split(split.tokens, split.starts[kept], lengths[: len(kept)], split.document[kept], split.max_length)


# Cells


def train(cell, config, folder):
    """Train one model at one rate; where it is to be scored, keep the losses by document of every held-out text."""
    text, held_out = read_texts(folder, config)
    cell, rate, scored = Model(**cell["model"]), cell["rate"], cell["scored"]
    built = named_config(cell.family, cell.size, vocabulary=text.vocabulary, context=config.window)
    model, begun = LanguageModel(built, seed=cell.seed), time.process_time()
    checkpoint = folder / "models" / cell.name / "checkpoint.safetensors"
    checkpoint.unlink(missing_ok=True)  # of a cell that was killed: begun anew, it tells all its seconds
    training = train_language_model(
        model,
        text.splits["train"].tokens,
        text.splits["calibration"].tokens[: config.calibration_tokens],
        tokens=config.tokens(cell.steps),
        window=config.window,
        batch_size=config.batch_size,
        peak_rate=rate,
        seed=cell.seed,
        checkpoint=checkpoint if scored else None,
        checkpoint_every=cell.steps,
        record={"model": asdict(built)},
        progress=False,
    )
    row = asdict(cell) | {
        "parameters": count_parameters(built),
        "tokens": training.tokens,
        "peak_rate": rate,
        "training_seconds": time.process_time() - begun,
        "calibration_loss_nats": training.held_out_loss_nats,
    }
    if scored:
        bytes_of = text.bytes_of
        losses = {name: score_text(model, split, window=config.window, bytes_of=bytes_of) for name, split in
                  held_out.items()}  # fmt: skip
        row["losses"] = {name: as_lists(loss) for name, loss in losses.items()}
    return [row]


def ablate(seeds, rate, folder, config):
    """The predictors on the same traces, both ways; what has been run is read back."""
    text, held_out = read_texts(folder, config)
    steps = round(config.ablation_share * config.steps)
    return ablate_predictor(
        text,
        size=config.ablation_size,
        tokens=config.tokens(steps),
        batch_size=config.batch_size,
        peak_rate=rate,
        seeds=seeds,
        margin_nats=config.margin_nats,
        test=next(iter(held_out.values())),
        folder=folder / f"ablation-{steps}",
        context=config.window,
        progress=False,
    )


def ablate_seed(cell, config, folder):
    """One seed's rows; its losses stay in the folder of the ablation."""
    return ablate([cell["seed"]], cell["rate"], folder, config).rows()


def decompose(cell, config, folder):
    """Where the loss of traces beyond that of the reference comes from, at the largest size and budget."""
    text, held_out = read_texts(folder, config)
    seed, reference = cell["seed"], cell["reference"]
    trained = [Model(family, config.sizes[-1], config.steps, seed) for family in ("spen", reference)]
    calibration = openings(text.splits["calibration"], config.calibration_tokens, config.opening)
    splits = text.splits | {"calibration": calibration, "test": next(iter(held_out.values()))}
    terms = decompose_gap(
        *(load_language_model(folder / "models" / model.name) for model in trained),
        replace(text, splits=splits),
        tokens=config.gap_tokens,
        window=config.window,
        batch_size=config.batch_size,
        hidden=config.gap_hidden,
        seed=seed,
        progress=False,
    )
    losses = {name: as_lists(loss) for name, loss in terms.losses.items()}
    return [{"seed": seed, "reference": reference, "rows": terms.rows(), "losses": losses}]


# The study


def choose_rates(run, config):
    """Every family's best peak rate, a row for each that was tried, and the cells that were run."""
    steps = round(config.rate_share * config.steps)
    grids = {family: list(config.rates) for family in FAMILIES}
    while True:
        cells = [
            {"model": asdict(Model(family, config.sizes[-1], steps, config.rate_seed)), "rate": rate, "scored": False}
            for family, rates in grids.items()
            for rate in rates
        ]
        tried = run(train, cells)
        best = {
            family: min(
                (row for row in tried.rows if row["family"] == family), key=lambda row: row["calibration_loss_nats"]
            )["peak_rate"]
            for family in FAMILIES
        }
        beyond = {family: step_beyond(rates, best[family]) for family, rates in grids.items()}
        wider = [family for family, rate in beyond.items() if rate and len(grids[family]) < config.most_rates]
        if not wider:
            rows = [
                row | {"chosen": row["peak_rate"] == best[row["family"]], "at_edge": bool(beyond[row["family"]])}
                for row in tried.rows
            ]
            return best, rows, tried
        for family in wider:
            grids[family].append(beyond[family])


def step_beyond(rates, best):
    """The rate beyond the edge where the best one is; none where it has neighbours on both sides."""
    return 2 * best if best == max(rates) else best / 2 if best == min(rates) else None


def gap_reference(rows, config):
    """Attention, as in the paper, where it is ahead of the traces on the calibration text; else the best family."""
    means = {
        family: np.mean(
            [
                row["calibration_loss_nats"]
                for row in rows
                if (row["family"], row["size"], row["steps"]) == (family, config.sizes[-1], config.steps)
            ]
        )
        for family in FAMILIES
    }
    return "attention" if means["attention"] < means["spen"] else min(means, key=means.get)


def tables_of(run, folder, config):
    """The rows of every table by its name, and the cells that they are made from."""
    text, held_out = read_texts(folder, config)
    rates, tried, rate_cells = choose_rates(run, config)
    chosen = [{"model": asdict(model), "rate": rates[model.family], "scored": True}
              for seed in config.seeds for model in models(config, seed)]  # fmt: skip
    trained = run(train, chosen)
    seeds = [{"seed": seed, "rate": rates["spen"]} for seed in config.seeds]
    exchanged = run(ablate_seed, seeds)
    reference = gap_reference(trained.rows, config)
    gaps = run(decompose, [{"seed": seed, "reference": reference} for seed in config.seeds])
    differences = compare(trained.rows, config.margin_nats)
    ablation = ablate(config.seeds, rates["spen"], folder, config)
    print(ablation)
    rows = {
        "ema_language_model_rates": tried,
        "ema_language_model": loss_rows(trained.rows, text.vocabulary, config.window),
        "ema_language_model_ratio": ratio_rows(differences),
        "ema_language_model_trend": trend_rows(differences),
        "ema_predictor_ablation": [row | {"text": next(iter(held_out))} for row in ablation.rows()],
        "ema_gap_decomposition": [
            row | {"text": next(iter(held_out))} for row in gap_rows(gaps.rows, config.margin_nats)
        ],
    }
    return rows, rate_cells + trained + exchanged + gaps


def main(arguments=None):
    parser = options_parser(__doc__, data=True)
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    inputs = {}
    if options.data is not None:
        corpora = sorted(path.relative_to(options.data).as_posix() for path in (options.data / config.text).iterdir())
        inputs = files_in(options.data, *corpora, *(f"{name}/{file}" for name, file in HELD_OUT.items()))
    with Study(__file__, options) as study:
        folder = study.folder(config, inputs)
        prepare_texts(options.data, folder, config)

        def run(work, cells):
            return study.run(partial(work, folder=folder), cells, config, inputs=inputs)

        tables, finished = tables_of(run, folder, config)
        record = asdict(config) | {"text_sha256": load_text(folder / "text").provenance["sha256"]}
        for name, rows in tables.items():
            study.write(name, rows, record, finished)
    for row in (*tables["ema_language_model_ratio"], *tables["ema_language_model_trend"]):
        print(row)


if __name__ == "__main__":
    main()
