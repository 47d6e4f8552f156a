"""A training run from its configuration to its folder: text, checkpoint, losses, result."""

__all__ = ["RunConfig", "load_language_model", "named_run", "read_run", "train_run"]

import dataclasses
import inspect
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from io import TextIOBase
from pathlib import Path
from typing import Any

import torch

from infodil.checks import UserError, check_one_of, near_matches, write_whole
from infodil.corpus import Corpus, as_tokenizer, load_corpus
from infodil.lm.checkpoint import load_checkpoint
from infodil.lm.config import FAMILIES, SIZES, LanguageModelConfig
from infodil.lm.model import LanguageModel, count_parameters, named_config
from infodil.lm.parallel import TrainingProcesses, own_device, processes
from infodil.lm.scoring import score_text
from infodil.lm.text import RunText, load_text, prepare_text
from infodil.lm.training import train_language_model

CHECKPOINT = "checkpoint.safetensors"
SET_HERE = {
    "model",
    "train",
    "held_out",
    "checkpoint",
    "record",
    "note",
    "among",
    "progress",
    "words",
    "seed",
    "window",
}
"""Arguments of the training that a run decides by itself."""
LEAST_READ = 2_000_000
"""Tokens read where fewer would do for training, so that the held-out part is not tiny."""
TOKENS_PER_PARAMETER = 20
"""Training tokens where none are asked for: about the best use of compute (Hoffmann et al. 2022, arXiv 2203.15556)."""


@dataclass(frozen=True)
class RunConfig:
    """Configuration of a training run, as a JSON file of `infodil lm train --config` holds it."""

    model: dict[str, Any]
    """`family` and `size`, and any field of `LanguageModelConfig`."""
    corpus: dict[str, Any] = field(default_factory=lambda: {"source": "sample"})
    """`source` and the keywords of `load_corpus`. Text without a `tokenizer` gets a BPE of the size's vocabulary."""
    training: dict[str, Any] = field(default_factory=dict)
    """Keywords of `train_language_model`: `tokens` (20 a parameter by default), `batch_size`, `peak_rate` (the size's
    by default), `precision`, `rows_at_once`, `checkpoint_every`, ..."""
    max_tokens: int | None = None
    """Tokens read from the corpus; by default as many as make the budget without repeats, and 2 million at least."""
    fractions: Sequence[float] = (0.9, 0.05, 0.05)
    """Shares of the documents' tokens for training, calibration and test."""
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        for name in ("family", "size"):
            if name not in self.model:
                raise UserError(f"`model` must have {name!r}, got {sorted(self.model)}: pass such as spen and 1m.")
        check_one_of("family", self.model["family"], FAMILIES)
        check_one_of("size", self.model["size"], SIZES)
        known = set(inspect.signature(train_language_model).parameters) - SET_HERE
        for name in self.training:
            check_one_of("training", name, sorted(known))
        if "source" not in self.corpus:
            raise UserError(f"`corpus` must have 'source', got {sorted(self.corpus)}: pass such as sample.")
        object.__setattr__(self, "fractions", tuple(self.fractions))


def named_run(name: str, **changes: Any) -> RunConfig:
    """The run of a name such as `spen-1m`.

    Args:
        name: Family and size, joined by a hyphen.
        changes: Values of other fields of `RunConfig`.

    Returns:
        The run's configuration.

    Raises:
        UserError: No family or size has this name.

    Example:
        >>> named_run("spen-1m").model
        {'family': 'spen', 'size': '1m'}
    """
    family, _, size = name.rpartition("-")
    names = [f"{one}-{other}" for one in FAMILIES for other in SIZES]
    if name not in names:
        raise UserError(f"`config` {name!r} is no file and no family-size such as 'spen-1m'{near_matches(name, names)}")
    return RunConfig({"family": family, "size": size}, **changes)


def read_run(config: str | Path | Mapping[str, Any]) -> RunConfig:
    """A run from a JSON file, a name such as `spen-1m`, or a dictionary.

    Args:
        config: Path, name or dictionary.

    Returns:
        The run's configuration.

    Raises:
        UserError: The file is not JSON, or a key is unknown.
    """
    if isinstance(config, Mapping):
        told = dict(config)
    elif Path(config).suffix == ".json" or Path(config).is_file():
        try:
            told = json.loads(Path(config).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            why = str(error).splitlines()[0].rstrip(".")
            raise UserError(f"`config` {str(config)!r} cannot be read ({why}): pass a JSON file.") from None
        if not isinstance(told, dict):
            raise UserError(f"`config` {str(config)!r} must hold an object, got {type(told).__name__}.")
    else:
        return named_run(str(config))
    fields = [one.name for one in dataclasses.fields(RunConfig)]
    for name in told:
        check_one_of("config", name, fields)
    if "model" not in told:
        raise UserError("`config` must have 'model': pass such as {'model': {'family': 'spen', 'size': '1m'}}.")
    return RunConfig(**told)


def train_run(
    config: RunConfig | Mapping[str, Any] | str | Path, out: str | Path, *, progress: bool = True
) -> dict[str, Any]:
    """Result of a training run in a folder, which is begun, or gone on with; it is also written as `result.json`.

    The folder gets `text/` (token ids and tokenizer), `checkpoint.safetensors`, `losses.csv` (each step's loss) and
    `result.json` (losses, perplexity, bits per byte, seconds, all choices). Under `torchrun` every process takes its
    share of each batch.

    Args:
        config: Run, or what `read_run` takes.
        out: Folder of the run.
        progress: Whether bars are shown.

    Returns:
        Losses, perplexity, bits per byte, seconds and all choices.

    Raises:
        UserError: A choice is out of range, the corpus is too small, or a file in the folder is damaged or of another
            run.
    """
    config = config if isinstance(config, RunConfig) else read_run(config)
    out = Path(out)
    device = own_device(config.device)
    with processes(device) as among:
        size = SIZES[config.model["size"]]
        tokens = config.training.get("tokens", TOKENS_PER_PARAMETER * size.parameters)
        if among.is_first:
            needed = config.max_tokens or max(LEAST_READ, int(tokens / config.fractions[0]) + 1)
            prepare_text(
                corpus_of(config), out / "text", max_tokens=needed, fractions=config.fractions, seed=config.seed,
                progress=progress,
            )  # fmt: skip
        among.wait()
        text = load_text(out / "text")
        changes = {name: value for name, value in config.model.items() if name not in ("family", "size")}
        built = named_config(config.model["family"], config.model["size"], **changes | {"vocabulary": text.vocabulary})
        model = LanguageModel(built, seed=config.seed, tokenizer=text.tokenizer).to(device)
        result = train_and_score(config, built, model, text, tokens, out, among, progress)
        among.wait()
    return result


def corpus_of(config: RunConfig) -> Corpus:
    """The corpus, with a tokenizer where it is text."""
    options = dict(config.corpus)
    source = options.pop("source")
    size = SIZES[config.model["size"]]
    if "tokenizer" not in options and "vocabulary" not in options:
        corpus = call_load_corpus(source, **options)
        if isinstance(source, Corpus) or corpus.kind == "tokens":
            return corpus
        options |= {"tokenizer": "bpe", "vocabulary": config.model.get("vocabulary", size.vocabulary)}
    return call_load_corpus(source, **options)


def call_load_corpus(source: Any, **options: Any) -> Corpus:
    """`load_corpus`, an unknown option told in a sentence."""
    known = set(inspect.signature(load_corpus).parameters) - {"source"}
    for name in options:
        check_one_of("corpus", name, sorted(known))
    return load_corpus(source, **options)


def train_and_score(
    config: RunConfig,
    built: LanguageModelConfig,
    model: LanguageModel,
    text: RunText,
    tokens: int,
    out: Path,
    among: TrainingProcesses,
    progress: bool,
) -> dict[str, Any]:
    """What is left once model and text are there."""
    size = SIZES[config.model["size"]]
    options = {"peak_rate": size.peak_rate, **config.training, "tokens": tokens}
    calibration = text.splits["calibration"].tokens
    with LossLog(out / "losses.csv") as log:
        training = train_language_model(
            model,
            text.splits["train"].tokens,
            calibration[: max(50 * built.context, 10**6)],
            window=built.context,
            seed=config.seed,
            checkpoint=out / CHECKPOINT,
            record={"model": dataclasses.asdict(built)},
            note=log if among.is_first else None,
            among=among,
            progress=progress,
            words=f"training {config.model['family']}",
            **options,
        )
    if not among.is_first:
        return {}
    loss = score_text(model, text.splits["test"], window=built.context, bytes_of=text.bytes_of, progress=progress)
    seconds = load_checkpoint(out / CHECKPOINT).seconds  # of the training that took place, in however many runs
    result = {
        "parameters": count_parameters(built),
        "tokens": training.tokens,
        "calibration_loss_nats": training.held_out_loss_nats,
        "test_loss_nats": loss.loss_nats,
        "test_perplexity": loss.perplexity,
        "test_bits_per_byte": loss.bits_per_byte,
        "seconds": seconds,
        "tokens_per_second": training.tokens / seconds,
        "model": dataclasses.asdict(built),
        "training": options,
        "text": text.provenance,
        "seed": config.seed,
    }
    write_whole(out / "result.json", json.dumps(result, indent=2))
    return result


class LossLog:
    """A line a step; a resumed run writes over the lines after the step it goes on from."""

    def __init__(self, path: Path) -> None:
        self.path, self.file = path, None

    def __enter__(self) -> "LossLog":
        return self

    def __call__(self, step: int, loss: float) -> None:
        """Note a step."""
        if self.file is None:
            self.file = self.begin(step)
        self.file.write(f"{step},{loss!r}\n")
        self.file.flush()

    def begin(self, step: int) -> TextIOBase:
        """The file, with the lines of earlier steps."""
        lines = self.path.read_text(encoding="utf-8").splitlines()[1:] if self.path.exists() else []
        earlier = [line for line in lines if line.partition(",")[0].isdecimal() and int(line.partition(",")[0]) < step]
        write_whole(self.path, "\n".join(["step,loss_nats", *earlier, ""]))
        return self.path.open("a", encoding="utf-8")

    def __exit__(self, *ended: object) -> None:
        if self.file is not None:
            self.file.close()


def load_language_model(path: str | Path, *, device: str | torch.device | None = None) -> LanguageModel:
    """A trained model from the folder of a run or from its checkpoint: an `Encoder`, with its tokenizer.

    Args:
        path: Folder of a run, or a checkpoint.
        device: Device of the model; the CPU by default.

    Returns:
        The model in evaluation mode.

    Raises:
        UserError: There is no checkpoint, it is damaged, or it is not of a language model.
    """
    path = Path(path)
    file = path / CHECKPOINT if path.is_dir() else path
    checkpoint = load_checkpoint(file)
    try:
        config = LanguageModelConfig(**checkpoint.record["model"])
    except (KeyError, TypeError) as error:
        raise UserError(
            f"`checkpoint` {file.name!r} does not say what model it is of ({error}): pass one of `infodil lm train`."
        ) from None
    stored = file.parent / "text" / "tokenizer.json"
    tokenizer = as_tokenizer(stored) if stored.exists() else None
    model = LanguageModel(config, tokenizer=tokenizer)
    checkpoint.restore(model)
    return model.to(device).eval() if device is not None else model.eval()
