"""Do the early blocks' messages survive in the deepest stream, and does selection by the input restore them?

The models of `analyses.depth_trained`, which differ only in how they accumulate over depth, read stories that they were
not trained on. For the message of each block, and for token identity, the table has bits, linear predictability and the
entropy of the message at the middle and at the deepest stream, and the same with random weights. It could refute that
selection by the input keeps early messages: they would then be no easier to read than in a sum.

    python -m analyses.depth_trained_survival --data ../shared/data

About 6 minutes of one core. The models are the newest that `analyses.depth_trained` left below `--out`.
"""

from dataclasses import asdict, dataclass
from functools import partial

from safetensors.torch import load_file, save_file

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from analyses.sources import digest
from infodil import depth, load_corpus
from infodil.checks import UserError
from infodil.lm import LanguageModel, LanguageModelConfig

CORPUS, FILE = "tinystories-sample", "tinystories-2mib.txt.gz"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    max_tokens: int = 40_000
    held_out_rows: int = 4096
    codes: tuple[int, ...] = (4, 4)
    """Of sub-vectors of at most ten numbers."""
    controls: tuple[int, ...] = (0,)
    """Seeds whose models are measured with random weights too."""
    corpus_seed: int = 1
    """Of which documents are read, and of their split."""


SMOKE = Config(max_tokens=6000, held_out_rows=600, codes=(2, 2))


def open_model(path):
    """A trained model, its shape read from its weights and its rule from the name of its file."""
    rule, blocks, _ = path.stem.split("-")
    weights = load_file(path)
    vocabulary, dim = weights["embedding.weight"].shape
    config = LanguageModelConfig(
        "attention", vocabulary=vocabulary, dim=dim, layers=int(blocks), context=len(weights["positions.weight"]),
        feed_forward=len(weights["blocks.0.feed_forward.into.weight"]), heads=1, accumulation=rule,
    )  # fmt: skip
    model = LanguageModel(config)
    model.load_state_dict(weights)
    return model


def measure(cell, config, models, corpus):
    """A row for each message at the middle and at the deepest stream of one model, named by its weights too."""
    name, _ = cell
    rule, blocks, seed = name.split("-")
    model = open_model(models / f"{name}.safetensors")
    report = depth.survival(
        model, load_corpus(corpus, tokenizer="bytes", max_length=model.longest), max_tokens=config.max_tokens,
        held_out_rows=config.held_out_rows, codes=config.codes, depths=(int(blocks) // 2, int(blocks)),
        seed=config.corpus_seed, controls=int(seed) in config.controls,
    )  # fmt: skip
    return [{"rule": rule, "blocks": int(blocks), "seed": int(seed)} | row for row in report.rows]


def untrained(folder):
    """Small models before training, for a smoke run without trained ones."""
    folder.mkdir(parents=True, exist_ok=True)
    for rule in ("sum", "attention"):
        config = LanguageModelConfig(
            "attention", vocabulary=256, dim=8, layers=2, context=64, feed_forward=8, heads=1, accumulation=rule
        )
        save_file(LanguageModel(config).state_dict(), folder / f"{rule}-2-0.safetensors")
    return folder


def newest_models(out):
    """The folder of the models that were trained last."""
    files = sorted(out.glob("depth_trained/*/*.safetensors"), key=lambda path: path.stat().st_mtime)
    if not files:
        raise UserError(
            "there are no trained models: run `python -m analyses.depth_trained` first, with the same --out."
        )
    return files[-1].parent


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        models = untrained(study.out / "models") if study.smoke else newest_models(study.out)
        cells = [(path.stem, digest(path)) for path in sorted(models.glob("*.safetensors"))]
        inputs = {} if options.data is None else files_in(options.data, f"{CORPUS}/{FILE}")
        corpus = "sample" if options.data is None else str(options.data / CORPUS)
        finished = study.run(partial(measure, models=models, corpus=corpus), cells, config, inputs=inputs)
        study.write("depth_trained_survival", finished.rows, asdict(config) | {"models": dict(cells)}, finished)


if __name__ == "__main__":
    main()
