"""`infodil lm`: language models trained, their predictors exchanged, and the gap between two losses decomposed."""

__all__ = ["add_lm"]

import argparse
import dataclasses
from pathlib import Path
from typing import Any

from infodil.checks import (
    UserError,
    check_between,
    check_confidence,
    check_one_of,
    check_seed,
    check_whole,
    write_whole,
)
from infodil.cli.arguments import check_corpus, check_folder, read_options
from infodil.cli.commands import add_command, add_output, add_seed, add_seeds, add_settings, shows_progress


def add_lm(commands: argparse._SubParsersAction) -> None:
    """`infodil lm` and its own commands."""
    words = "train and score EMA language models and their baselines; ablate the predictor; decompose a gap in loss"
    command = add_command(commands, "lm", words)
    of_lm = command.add_subparsers(metavar="COMMAND", required=True)
    add_train(of_lm)
    add_score(of_lm)
    add_ablate(of_lm)
    add_gap(of_lm)


def add_train(commands: argparse._SubParsersAction) -> None:
    """`infodil lm train`."""
    words = "train a model, or go on training it; the same command resumes a killed run"
    command = add_command(commands, "train", words)
    command.add_argument(
        "--config", required=True, metavar="FILE.json|NAME", help="a file, or such as spen-1m, gru-10m"
    )
    add_output(command, "run", "text, checkpoint and result", json=False)
    command.add_argument("--corpus", help="'sample', a file, a folder or a dataset id, in place of the file's")
    command.add_argument("--tokens", type=int, help="training tokens (default 20 a parameter)")
    command.add_argument("--seed", type=int, help="seed of everything random, in place of the file's")
    command.add_argument("--device", help="device of the model, such as cpu or cuda")
    command.add_argument("--precision", choices=["float32", "bfloat16"], help="precision of matrix products")
    words = "such as model.predictor=mlp, training.batch_size=64, corpus.split=train; once for each"
    add_settings(command, words, metavar="PART.NAME=VALUE")
    command.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> None:
    """Train, print."""
    check_folder(options.out, needed=True)
    progress = shows_progress(options)
    from infodil.lm import train_run

    result = train_run(run_config(options), options.out, progress=progress)
    if result:  # one process of several speaks
        size = result["test_bits_per_byte"]
        print(
            f"{result['parameters']:,} parameters, {result['tokens']:,} training tokens, "
            f"{result['tokens_per_second']:,.0f} tokens a second\n"
            f"held out: {result['test_loss_nats']:.3f} nats a token, perplexity {result['test_perplexity']:.1f}"
            + ("" if size is None else f", {size:.3f} bits a byte")
            + f"\nwrote {options.out}"
        )


def run_config(options: argparse.Namespace) -> Any:
    """The run of a file or name, with what the command line changes."""
    from infodil.lm import RunConfig, read_run

    config = read_run(options.config)
    parts = {"model": dict(config.model), "training": dict(config.training), "corpus": dict(config.corpus)}
    if options.corpus is not None:
        parts["corpus"] = {"source": options.corpus}
    for item in options.set:
        part, dot, rest = item.partition(".")
        if part not in parts or not dot:
            raise UserError(f"`--set` must be PART.NAME=VALUE, got {item!r}: the parts are model, training and corpus.")
        parts[part] |= read_options([rest])
    for name in ("tokens", "precision"):
        if getattr(options, name) is not None:
            parts["training"][name] = getattr(options, name)
    changes = {name: getattr(options, name) for name in ("seed", "device") if getattr(options, name) is not None}
    fields = {field.name: getattr(config, field.name) for field in dataclasses.fields(RunConfig)}
    return RunConfig(**fields | parts | changes)


def add_score(commands: argparse._SubParsersAction) -> None:
    """`infodil lm score`."""
    command = add_command(commands, "score", "perplexity and bits a byte of a trained model on any corpus")
    command.add_argument("--model", required=True, metavar="FOLDER", help="a run of `infodil lm train`")
    command.add_argument("--corpus", required=True, help="'sample', a text or .jsonl file, a folder, or a dataset id")
    add_output(command, "score", "score.csv")
    command.add_argument("--tokenizer", help="'bytes', 'characters' or tokenizer.json (default: the model's)")
    command.add_argument("--max-tokens", type=int, help="tokens to read from the corpus at most")
    command.add_argument("--confidence", type=float, default=0.95, help="level of the interval (default %(default)s)")
    add_seed(command)
    command.add_argument("--device", default="cpu", help="device of the model (default %(default)s)")
    command.set_defaults(run=run_score)


def run_score(options: argparse.Namespace) -> None:
    """Score, write, print."""
    check_folder(options.out)
    check_confidence(options.confidence)
    check_seed(options.seed)
    check_corpus(options.corpus)
    check_run("model", options.model)
    progress = shows_progress(options)
    from infodil.cli.files import deliver
    from infodil.corpus import load_corpus
    from infodil.lm import load_language_model, score_corpus

    model = load_language_model(options.model, device=options.device)
    corpus = load_corpus(options.corpus, tokenizer=options.tokenizer)
    loss = score_corpus(
        model, corpus, max_tokens=options.max_tokens, confidence=options.confidence, seed=options.seed,
        progress=progress,
    )  # fmt: skip
    record = {**dataclasses.asdict(loss), "perplexity": loss.perplexity}
    rows = f"{','.join(record)}\n{','.join('' if value is None else str(value) for value in record.values())}\n"
    deliver(options, str(loss), record, {"score.csv": lambda path: write_whole(path, rows)})


def check_run(name: str, folder: str) -> None:
    """Refuse what is no folder."""
    if not Path(folder).is_dir():
        raise UserError(f"`{name}` {folder!r} is no folder: pass one of `infodil lm train`.")


def add_ablate(commands: argparse._SubParsersAction) -> None:
    """`infodil lm ablate`."""
    words = "train the EMA language model with predictors of rising power, and say whether the loss is the same"
    command = add_command(commands, "ablate", words)
    command.add_argument("--corpus", required=True, help="'sample', a text or .jsonl file, a folder, or a dataset id")
    add_output(command, "ablation", "checkpoints, ablation.json, .csv, .html and .png")
    command.add_argument("--size", default="1m", help="size of the models (default %(default)s)")
    command.add_argument("--vocabulary", type=int, help="types of the tokenizer (default: the size's)")
    command.add_argument("--tokens", type=int, default=400_000, help="training tokens of a run (default %(default)s)")
    command.add_argument("--max-tokens", type=int, help="tokens to read from the corpus at most")
    command.add_argument("--predictors", nargs="+", help="predictors by name (default all)")
    add_seeds(command, 3)
    command.add_argument("--peak-rate", type=float, help="peak learning rate of every run (default: the size's)")
    command.add_argument("--margin", type=float, default=0.02, help="nats that count as the same (default %(default)s)")
    command.add_argument("--device", default="cpu", help="device of the models (default %(default)s)")
    add_settings(command, "option of the models, such as alphas=[0.5,0.1]; once for each")
    command.set_defaults(run=run_ablate)


def run_ablate(options: argparse.Namespace) -> None:
    """Train, compare, write, print."""
    check_folder(options.out, needed=True)
    changes = read_options(options.set)
    check_seed(options.seed)
    check_whole("seeds", options.seeds, 1, "pass the number of seeds")
    check_whole("tokens", options.tokens, 1, "pass the number of training tokens")
    check_between("margin", options.margin, 0.0, 100.0)
    progress = shows_progress(options)
    from infodil.cli.files import deliver
    from infodil.corpus import load_corpus
    from infodil.lm import PREDICTORS, SIZES, prepare_text
    from infodil.plots import save_figure
    from infodil.processing import ablate_predictor

    check_one_of("size", options.size, SIZES)
    out = Path(options.out)
    vocabulary = options.vocabulary or SIZES[options.size].vocabulary
    corpus = load_corpus(options.corpus, tokenizer="bpe", vocabulary=vocabulary)
    text = prepare_text(corpus, out / "text", max_tokens=options.max_tokens, progress=progress)
    ablation = ablate_predictor(
        text,
        size=options.size,
        predictors=options.predictors or PREDICTORS,
        tokens=options.tokens,
        seeds=range(options.seed, options.seed + options.seeds),
        peak_rate=options.peak_rate,
        margin_nats=options.margin,
        folder=out / "cells",
        device=options.device,
        progress=progress,
        **changes,
    )
    frame = ablation.to_frame()
    lead = f"{options.size} on {options.corpus}"
    deliver(
        options,
        str(ablation),
        frame.to_dict("records"),
        {
            "ablation.json": ablation.save,
            "ablation.csv": lambda path: write_whole(path, frame.to_csv(index=False)),
            "ablation.html": lambda path: ablation.to_html(path, lead=lead),
            "ablation.png": lambda path: save_figure(ablation.plot().figure, path),
        },
    )


def add_gap(commands: argparse._SubParsersAction) -> None:
    """`infodil lm gap`."""
    words = "say where a gap in loss comes from: the predictor, its family, or the states"
    command = add_command(commands, "gap", words)
    command.add_argument("--model", required=True, metavar="FOLDER", help="a run of `infodil lm train`")
    command.add_argument("--reference", required=True, metavar="FOLDER", help="another run, of the same tokenizer")
    add_output(command, "gap", "gap.json, .csv, .html and .png")
    command.add_argument("--sites", nargs="+", help="states to read (default all)")
    command.add_argument(
        "--tokens", type=int, default=200_000, help="tokens to train each predictor on (default %(default)s)"
    )
    add_seed(command)
    command.add_argument("--device", default="cpu", help="device of the models (default %(default)s)")
    command.set_defaults(run=run_gap)


def run_gap(options: argparse.Namespace) -> None:
    """Decompose, write, print."""
    check_folder(options.out)
    check_whole("tokens", options.tokens, 1, "pass the number of training tokens")
    for name in ("model", "reference"):
        check_run(name, getattr(options, name))
    progress = shows_progress(options)
    from infodil.cli.files import deliver
    from infodil.lm import load_language_model, load_text
    from infodil.plots import save_figure
    from infodil.processing import decompose_gap

    model, reference = (load_language_model(path, device=options.device) for path in (options.model, options.reference))
    gap = decompose_gap(
        model,
        reference,
        load_text(Path(options.model) / "text"),
        sites=options.sites,
        tokens=options.tokens,
        window=min(model.config.context, reference.config.context),
        seed=options.seed,
        progress=progress,
    )
    lead = f"{Path(options.model).name} against {Path(options.reference).name}"
    deliver(
        options,
        str(gap),
        gap.to_frame().to_dict("records"),
        {
            "gap.json": gap.save,
            "gap.csv": lambda path: write_whole(path, gap.to_frame().to_csv(index=False)),
            "gap.html": lambda path: gap.to_html(path, lead=lead),
            "gap.png": lambda path: save_figure(gap.plot().figure, path),
        },
    )
