"""Which state of a trained recurrent model keeps what, beside a trace of as many numbers?

RWKV-5.2 with 730 thousand parameters on web text, and a character LSTM on Shakespeare: matrices and token shifts of
every block, mixer's output and stream of the seventh, the last stream, hidden and cell state of both layers, and for
each model banks of exponential traces with as many numbers as one state. It could refute that a trained recurrent state
keeps more of the past than a trace that was never trained, and that the output of a mixer stands for its state. About
fifteen minutes of one core. The third released model, a GRU, is in `analyses.whole_past`.

    python -m analyses.trained_states --data ../shared/data
"""

import gzip
import json
from dataclasses import dataclass
from functools import partial

import torch
from safetensors.torch import load_file

import infodil
from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from analyses.recoverability_on_real_text import CHARACTERS, CharacterLSTM
from infodil.probes import Gaussian

RWKV, WEB = "model-rwkv5-730k", "c4-sample/c4-documents.jsonl.gz"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    cells: tuple[str, ...] = ("rwkv5", "web trace", "small web trace", "lstm", "characters trace")
    lags: tuple[int, ...] = (0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
    probes: tuple[str, ...] = ("gaussian", "linear")
    shrinkages: tuple[float, ...] = (1e-6, 1e-3, 1e-2, 0.1, 0.3, 0.6, 0.9, 0.99)
    """Of the Gaussian probe. Its own end at 0.3: too little for a trace with more numbers than there are characters."""
    tokens: int = 150_000
    rwkv_sites: tuple[str, ...] = (
        "embedding", "layer.7", "layer.7.mixer", "layer.12", "layer.*.recurrent", "layer.*.conv"
    )  # fmt: skip
    lstm_sites: tuple[str, ...] = (
        "embedding", "lstm.hidden.1", "lstm.cell.1", "lstm.hidden.2", "lstm.cell.2"
    )  # fmt: skip
    alphas: tuple[float, ...] = (0.8, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02)
    """Decays of the web trace, whose 8 times 64 numbers are those of a block's matrices."""
    small_alphas: tuple[float, ...] = (0.5, 0.1)
    """Decays of the small one: 2 times 64 numbers, those of a block's token shifts."""
    character_alphas: tuple[float, ...] = (0.5, 0.1)
    """Two traces of 64 numbers each: as many as hidden or cell state of a layer."""
    dim: int = 64
    seed: int = 0


SMOKE = Config(
    lags=(0, 2), probes=("gaussian",), tokens=2000, rwkv_sites=("layer.7.recurrent",), lstm_sites=("lstm.cell.2",),
    cells=("rwkv5", "characters trace"), alphas=(0.5,), character_alphas=(0.5,), dim=8,
)  # fmt: skip


def web(data):
    """Documents of the web, as bytes."""
    return infodil.load_corpus(data / WEB, tokenizer="bytes")


def shakespeare(data):
    """Plays as ids of the released alphabet, which has lost the two letters u; ids are ranks of frequency."""
    folder, text = (data / name for name in CHARACTERS)
    alphabet = json.loads((folder / "vocab.json").read_text(encoding="utf-8"))
    alphabet |= {"u": alphabet.pop("  "), "U": alphabet.pop("")}
    with gzip.open(text, "rt", encoding="utf-8") as file:
        ids = [alphabet[letter] for letter in file.read()]
    return infodil.load_corpus([ids], vocabulary=len(alphabet), name="tinyshakespeare")


def lstm(data):
    """The released character model."""
    weights = load_file(data / CHARACTERS[0] / "model.safetensors")
    model = CharacterLSTM(len(weights["embedding.weight"]))
    model.load_state_dict(weights)
    return model


def measure(cell, config, data):
    """Rows of the states of one model, or of the traces beside it."""
    torch.manual_seed(config.seed)
    model, corpus, options = {
        "rwkv5": lambda: (data / RWKV, web(data), {"sites": config.rwkv_sites}),
        "web trace": lambda: ("ema_bank", web(data), {"alphas": config.alphas, "dim": config.dim}),
        "small web trace": lambda: ("ema_bank", web(data), {"alphas": config.small_alphas, "dim": config.dim}),
        "lstm": lambda: (lstm(data), shakespeare(data), {"sites": config.lstm_sites}),
        "characters trace": lambda: (
            "ema_bank", shakespeare(data), {"alphas": config.character_alphas, "dim": config.dim}
        ),
    }[cell]()  # fmt: skip
    probes = [Gaussian(shrinkages=config.shrinkages) if name == "gaussian" else name for name in config.probes]
    report = infodil.recoverability(
        model, corpus, lags=config.lags, probes=probes, max_tokens=config.tokens, seed=config.seed,
        progress=False, **options,
    )  # fmt: skip
    print(report, "\n", flush=True)
    whole = {row["site"]: {name: row[name] for name in row if name.startswith("whole_past")} for row in report.summary}
    return [{"cell": cell, **whole[row["site"]], **row} for row in report.rows if row["chosen"]]


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    models = [f"{RWKV}/{name}" for name in ("config.json", "model.safetensors")]
    models += [f"{CHARACTERS[0]}/{name}" for name in ("vocab.json", "model.safetensors")]
    inputs = files_in(options.data, WEB, CHARACTERS[1], *models)
    work = partial(measure, data=options.data)
    with Study(__file__, options) as study:
        finished = study.run(work, config.cells, config, inputs=inputs)
        study.write("trained_states", finished.rows, config, finished)


if __name__ == "__main__":
    main()
