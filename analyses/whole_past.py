"""How much of what a state seems to remember of text is guesswork that an n-gram missed?

A trained character GRU with a gated memory (hidden state and memory together and each alone, and the output that its
logits read) and exponential traces of as many numbers, on stories: bits beyond context under a backward n-gram and
under a backward language model that is trained on the same split, and the whole past under the better one; and each row
by kind of the hidden character. It could refute "bits beyond an n-gram are memory". About eight minutes of one core.

    python -m analyses.whole_past --data FOLDER
"""

import gzip
import json
from dataclasses import dataclass
from functools import partial

import torch
from torch import nn

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from infodil.encoders import record
from infodil.measure import BackwardLM
from infodil.probes import Gaussian

MODEL, STORIES = "model-gru-tinystories", "tinystories-sample/tinystories-2mib.txt.gz"
END = "<|endoftext|>"
CONTEXT = 256
"""Places that the released model has learned vectors for."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    cells: tuple[str, ...] = ("gru", "ema", "small ema")
    sites: tuple[str, ...] = ("state", "hidden", "memory", "ln_f")
    lags: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    tokens: int = 200_000
    alpha: float = 0.1
    dim: int = 248
    """Numbers of hidden state and memory together; the small trace has half of them, as many as either alone."""
    lm_dim: int = 192
    lm_epochs: int = 6
    lm_window: int = 32
    shrinkages: tuple[float, ...] = (1e-6, 1e-3, 1e-2, 0.1, 0.3, 0.6, 0.9, 0.99)
    """Of the Gaussian probe. Its own end at 0.3: too little for a trace with more numbers than there are characters."""
    seed: int = 0


SMOKE = Config(
    cells=("gru", "small ema"), sites=("memory",), lags=(0, 1), tokens=3000, lm_dim=8, lm_epochs=1, lm_window=8, dim=16
)


class MemoryGRU(nn.Module):
    """The released model: a GRU cell whose input is a token vector beside a memory that gates let in."""

    def __init__(self, vocabulary: int, width: int, hidden: int, memory: int) -> None:
        super().__init__()
        self.token_emb, self.pos_emb = nn.Embedding(vocabulary, width), nn.Embedding(CONTEXT, width)
        self.gru_cell = nn.GRUCell(width + memory, hidden)
        self.priority_gate, self.memory_writer = nn.Linear(hidden, 1), nn.Linear(hidden, memory)
        self.ln_f, self.head = nn.LayerNorm(hidden), nn.Linear(hidden, vocabulary)

    def forward(self, tokens):
        vectors = self.token_emb(tokens) + self.pos_emb.weight[: tokens.shape[1]]
        hidden = vectors.new_zeros(len(tokens), self.gru_cell.hidden_size)
        memory = vectors.new_zeros(len(tokens), self.memory_writer.out_features)
        states = []
        for t in range(tokens.shape[1]):
            hidden = self.gru_cell(torch.cat([vectors[:, t], memory], 1), hidden)
            share = torch.sigmoid(self.priority_gate(hidden))
            memory = (1 - share) * memory + share * torch.tanh(self.memory_writer(hidden))
            states.append(torch.cat([hidden, memory], 1))
        states = record(torch.stack(states, 1), "state")
        hidden, memory = states.split([hidden.shape[1], memory.shape[1]], 2)
        record(memory, "memory")
        return self.head(self.ln_f(record(hidden, "hidden")))


def load_gru(folder):
    """The released weights."""
    from safetensors.torch import load_file

    weights = load_file(folder / "model.safetensors")
    vocabulary, width = weights["token_emb.weight"].shape
    memory, hidden = weights["memory_writer.weight"].shape
    model = MemoryGRU(vocabulary, width, hidden, memory)
    model.load_state_dict(weights)
    return model.eval()


def stories(data):
    """Stories as ids of the released alphabet; characters that it lacks are left out."""
    alphabet = json.loads((data / MODEL / "config.json").read_text(encoding="utf-8"))["chars"]
    ids = {letter: number for number, letter in enumerate(alphabet)}
    text = gzip.open(data / STORIES, "rt", encoding="utf-8", errors="ignore").read()
    documents = [[ids[letter] for letter in story.strip() if letter in ids] for story in text.split(END)]
    return alphabet, [document for document in documents if len(document) > 100]


def kinds(alphabet):
    """Kinds of character by id."""
    named = {}
    for number, letter in enumerate(alphabet):
        if letter.isspace():
            named[number] = "space"
        elif letter.lower() in "aeiou":
            named[number] = "capital" if letter.isupper() else "vowel"
        elif letter.isalpha():
            named[number] = "capital" if letter.isupper() else "consonant"
        else:
            named[number] = "punctuation or digit"
    return named


def measure(cell, config, data):
    """Rows of the states of one model: whole ones, then those by kind of character."""
    torch.manual_seed(config.seed)
    alphabet, documents = stories(data)
    corpus = infodil.load_corpus(documents, vocabulary=len(alphabet), name="tinystories", max_length=CONTEXT)
    gru = cell == "gru"
    model = load_gru(data / MODEL) if gru else "ema"
    dim = config.dim if cell == "ema" else config.dim // 2
    options = {"sites": config.sites} if gru else {"dim": dim, "alpha": config.alpha}
    report = infodil.recoverability(
        model, corpus, lags=config.lags, by=kinds(alphabet), seed=config.seed,
        probes=[Gaussian(shrinkages=config.shrinkages)],
        context=BackwardLM(dim=config.lm_dim, epochs=config.lm_epochs, window=config.lm_window),
        max_tokens=config.tokens, controls=False, progress=False, **options,
    )  # fmt: skip
    print(report, report.corpus["context_models"], "\n", sep="\n", flush=True)
    whole = {row["site"]: {name: row[name] for name in row if name.startswith("whole_past")} for row in report.summary}
    rows = report.to_frame().to_dict("records")
    return [{"cell": cell, **whole[row["site"]], **row} for row in rows if row["chosen"]]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    inputs = files_in(options.data, STORIES, f"{MODEL}/config.json", f"{MODEL}/model.safetensors")
    work = partial(measure, data=options.data)
    with Study(__file__, options) as study:
        finished = study.run(work, config.cells, config, inputs=inputs)
        study.write("whole_past", finished.rows, config, finished)


if __name__ == "__main__":
    main()
