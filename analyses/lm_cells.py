"""Train one language model for one budget of tokens and score it: the cells of the study `analyses.lm_budgets`.

A run is a family, a size, a vocabulary, a context, a seed and a learning rate. Its rate is constant after a warm-up and
falls to zero in the last fifth of a budget; runs of all budgets are one up to there, so that a cell goes on from where
the next smaller budget of its run began to fall. A cell that was killed goes on from its checkpoint, to the same row.

Training text: the novels of ELTeC-eng but every tenth (82% of the bytes), the training part of WikiText-2 (10%) and
`wikipedia-sample` but every fiftieth article (8%). Scored text: openings of what was left out, of the validation and
test parts of WikiText-2, and of C4.
"""

import functools
import gzip
import json
import re
import shutil
from dataclasses import asdict, dataclass, replace

import numpy as np

from analyses.lm_token_losses import loss_row
from infodil.corpus import Split, as_tokenizer, load_corpus, train_bpe
from infodil.lm import LanguageModel, LanguageModelConfig, count_parameters, train_language_model

__all__ = ["FAMILIES", "FILES", "SIZES", "Cell", "Config", "OutOfTimeError", "train"]

FAMILIES = {
    "ema_tokens": {"family": "spen", "trace_input": "embedding"},
    "ema_stream": {"family": "spen"},
    "gated_ema": {"family": "gated_ema"},
    "attention": {"family": "attention"},
    "rotary": {"family": "attention", "positions": "rotary"},
    "lstm": {"family": "lstm"},
    "gated_linear": {"family": "gated_linear"},
}
"""EMA traces of the token vectors in every block, the paper's argument; of the stream that enters each block; of the
stream with alphas that the token moves; GPT-2's attention, and the same with rotary positions; LSTM; gated linear."""
SIZES = {
    "0.05m": (50_000, 48, 2, 2),
    "0.1m": (100_000, 64, 2, 2),
    "0.2m": (200_000, 64, 4, 2),
    "0.4m": (400_000, 96, 4, 3),
    "0.8m": (800_000, 128, 4, 4),
    "1.6m": (1_600_000, 160, 6, 5),
    "3.2m": (3_200_000, 192, 8, 6),
}
"""Parameters without those of token vectors and positions; width, blocks and heads. Hidden units are what fits."""
FILES = {
    "novels": "eltec-eng-novels/novels.jsonl.gz",
    "articles": "wikipedia-sample/articles.jsonl.gz",
    "summaries": "wikipedia-sample/vital-summaries.jsonl.gz",
    "wikitext": "wikitext-2/train.txt.gz",
    "wikitext-validation": "wikitext-2/valid.txt.gz",
    "wikitext-test": "wikitext-2/test.txt.gz",
    "c4": "c4-sample/c4-documents.jsonl.gz",
}
TITLES = re.compile(r"(?m)^(?= = [^=].*[^=] = $)")
"""Where an article of WikiText begins."""


@dataclass(frozen=True)
class Config:
    """Every number that matters in all cells."""

    batch_size: int = 8
    weight_decay: float = 0.1
    half_from: int = 400_000
    """Parameters from which products are taken in bfloat16: below, it saves little, and traces are read in full."""
    checkpoint_every: int = 400
    opening: int = 513
    """Characters of a scored document that are read: many short openings make narrower intervals than few long ones."""
    novel_opening: int = 5121
    """Characters of a scored novel, of which there are ten."""
    documents: int = 96
    """Most documents of a scored text."""
    token_share: float = 1.0
    """Share of each budget that is trained: less than all in a trial of the script alone."""
    bpe_characters: int = 10_000_000
    """Text that byte pairs are learned from."""


@dataclass(frozen=True)
class Cell:
    """One run at one budget."""

    family: str
    size: str
    tokens_per_parameter: int
    seed: int
    peak_rate: float
    vocabulary: int = 256
    """Bytes at 256, byte pairs above."""
    context: int = 128

    @property
    def run(self):
        """Name of what is shared by all budgets."""
        return f"{self.family}-{self.size}-{self.vocabulary}-{self.context}-{self.seed}-{self.peak_rate:g}"

    @property
    def tokens(self):
        """Training tokens."""
        return self.tokens_per_parameter * SIZES[self.size][0]


class OutOfTimeError(Exception):
    """The time of this call is over; what was trained is in the checkpoint."""


# Text


def read_documents(data, name):
    """Texts of one file."""
    with gzip.open(data / FILES[name], "rt", encoding="utf-8") as file:
        if name.startswith("wikitext"):
            return [part for part in TITLES.split(file.read()) if part.strip()]
        return [json.loads(line)["text"] for line in file]


@functools.cache
def read_texts(data, config):
    """Texts for training, and openings of the documents of each scored text."""
    if data is None:
        sample = list(load_corpus("sample").documents())
        return sample[::2], {"sample": [text[: config.opening] for text in sample[1::2][: config.documents]]}
    novels = read_documents(data, "novels")
    wikipedia = read_documents(data, "articles") + read_documents(data, "summaries")
    trained = [text for place, text in enumerate(novels) if place % 10 != 9]
    trained += read_documents(data, "wikitext")
    trained += [text for place, text in enumerate(wikipedia) if place % 50 != 49]
    scored = {
        # Behind the title page.
        "novels": [text[5000 : 5000 + config.novel_opening] for text in novels[9::10]],
        "wikipedia": [text[: config.opening] for text in wikipedia[49::50]],
        "wikitext-2-validation": [text[: config.opening] for text in read_documents(data, "wikitext-validation")],
        "wikitext-2-test": [text[: config.opening] for text in read_documents(data, "wikitext-test")],
        "c4": [text[: config.opening] for text in read_documents(data, "c4")],
    }
    return trained, {name: texts[: config.documents] for name, texts in scored.items()}


@functools.cache
def read_ids(data, folder, config, vocabulary):
    """Ids of the training text end to end, of each document of the scored texts, and the tokenizer."""
    trained, scored = read_texts(data, config)
    if vocabulary == 256:
        tokenizer = as_tokenizer("bytes")
        ids = np.frombuffer("".join(trained).encode(), dtype=np.uint8)
    else:
        tokenizer, ids = read_pairs(trained, folder, config, vocabulary)
    return ids, {name: as_split(tokenizer.encode(texts)) for name, texts in scored.items()}, tokenizer


def read_pairs(trained, folder, config, vocabulary):
    """A byte-pair tokenizer and the ids of the training text, made once in a folder."""
    place = folder / f"pairs-{vocabulary}"
    if not (place / "done").exists():
        place.mkdir(parents=True, exist_ok=True)
        joined = "".join(trained)
        step = max(1, len(joined) // config.bpe_characters)
        pieces = [joined[first : first + 2000] for first in range(0, len(joined), 2000 * step)]
        tokenizer = train_bpe(pieces, vocabulary)
        (place / "tokenizer.json").write_text(tokenizer.backend.to_str(), encoding="utf-8")
        np.save(place / "ids.npy", np.concatenate([np.asarray(ids, np.uint16) for ids in tokenizer.encode(trained)]))
        (place / "done").touch()
    return as_tokenizer(place / "tokenizer.json"), np.load(place / "ids.npy")


def as_split(documents):
    """Documents of ids as a split."""
    lengths = np.array([len(ids) for ids in documents])
    ids = np.concatenate([np.asarray(ids, np.int32) for ids in documents])
    return Split(ids, np.cumsum(lengths) - lengths, lengths, np.arange(len(documents)), int(lengths.max()))


# Models


def configured(cell):
    """The model of a cell; hidden units are set so that its parameters without token vectors are those of the size."""
    target, dim, layers, heads = SIZES[cell.size]
    shape = {"vocabulary": cell.vocabulary, "dim": dim, "layers": layers, "heads": heads, "context": cell.context}
    plain = LanguageModelConfig(**FAMILIES[cell.family], **shape, bottleneck_dim=dim // 2)
    one, two = (own_parameters(replace(plain, feed_forward=hidden)) for hidden in (1, 2))
    return replace(plain, feed_forward=round((target - one) / (two - one)) + 1)


def own_parameters(config):
    """Parameters but those of token vectors and positions."""
    return count_parameters(config) - config.dim * (config.vocabulary + config.context * config.learns_positions)


def train(cell, config, data, folder, out_of_time):
    """Rows of one cell, one for each scored text."""
    cell = Cell(**cell)
    ids, scored, tokenizer = read_ids(data, folder, config, cell.vocabulary)
    built = configured(cell)
    model = LanguageModel(built, seed=cell.seed)
    place = folder / "runs" / cell.run
    place.mkdir(parents=True, exist_ok=True)
    checkpoint = place / f"{cell.tokens_per_parameter}.safetensors"
    begin_from_smaller(place, cell, checkpoint)

    def note(step, loss):
        if step % config.checkpoint_every == 1 and out_of_time():
            raise OutOfTimeError

    training = train_language_model(
        model,
        ids,
        ids[: cell.context + 1],  # other text is scored below
        tokens=round(config.token_share * cell.tokens),
        window=cell.context,
        batch_size=config.batch_size,
        peak_rate=cell.peak_rate,
        weight_decay=config.weight_decay,
        precision="bfloat16" if SIZES[cell.size][0] >= config.half_from else "float32",
        schedule="constant",
        seed=cell.seed,
        checkpoint=checkpoint,
        checkpoint_every=config.checkpoint_every,
        stable=place / f"stable-{cell.tokens_per_parameter}.safetensors",
        record={"model": asdict(built)},
        note=note,
        progress=False,
    )
    shared = asdict(cell) | {
        "own_parameters": own_parameters(built), "parameters": training.parameters, "tokens": training.tokens,
    }  # fmt: skip
    counts = sum(np.bincount(part, minlength=cell.vocabulary) for part in np.array_split(ids, 64))
    return [
        shared | {"text": name} | loss_row(model, split, cell.context, tokenizer, counts)
        for name, split in scored.items()
    ]


def begin_from_smaller(place, cell, checkpoint):
    """Copy what the next smaller budget of the run left when its rate began to fall, unless the cell has begun."""
    if checkpoint.exists():
        return
    left = {int(path.stem.removeprefix("stable-")): path for path in place.glob("stable-*.safetensors")}
    smaller = [budget for budget in left if budget < cell.tokens_per_parameter]
    if smaller:
        copy = checkpoint.with_suffix(".part")
        shutil.copyfile(left[max(smaller)], copy)
        copy.rename(checkpoint)
