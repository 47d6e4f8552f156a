"""`infodil lm`: train language models, exchange their predictors, and say where a gap in loss comes from."""

__all__ = ["add_lm"]

import argparse
from typing import Any

from infodil.cli.commands import add_command


def add_lm(commands: argparse._SubParsersAction) -> None:
    """`infodil lm` and its own commands."""
    words = "train EMA language models and their baselines; ablate the predictor; decompose a gap in loss"
    command = add_command(commands, "lm", words)
    own = command.add_subparsers(metavar="COMMAND", required=True)
    add_train(own)
    add_ablate(own)
    add_gap(own)


def add_train(commands: argparse._SubParsersAction) -> None:
    """`infodil lm train`."""
    words = "train a model, or go on training it; the same command resumes a killed run"
    command = add_command(commands, "train", words)
    command.add_argument(
        "--config", required=True, metavar="FILE.json|NAME", help="a file, or such as spen-1m, gru-10m"
    )
    command.add_argument("--out", required=True, metavar="FOLDER", help="where text, checkpoint and result go")
    command.add_argument("--corpus", help="'sample', a file, a folder or a dataset id, in place of the file's")
    command.add_argument("--tokens", type=int, help="training tokens (default 20 a parameter)")
    command.add_argument("--seed", type=int)
    command.add_argument("--device", help="cpu, cuda, ...")
    command.add_argument("--precision", choices=["float32", "bfloat16"], help="of matrix products")
    command.add_argument(
        "--set", action="append", default=[], metavar="PART.NAME=VALUE",
        help="such as model.predictor=mlp, training.batch_size=64, corpus.split=train",
    )  # fmt: skip
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    command.set_defaults(run=run_train)


def run_train(options: argparse.Namespace) -> None:
    """Train, print."""
    from infodil.cli.files import check_folder

    check_folder(options.out)
    from infodil.lm import train_run

    result = train_run(run_config(options), options.out, progress=not options.quiet)
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
    import dataclasses

    from infodil.checks import UserError
    from infodil.cli.files import read_options
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


def add_ablate(commands: argparse._SubParsersAction) -> None:
    """`infodil lm ablate`."""
    words = "train the EMA language model with predictors of rising power, and say whether the loss is the same"
    command = add_command(commands, "ablate", words)
    command.add_argument("--corpus", required=True, help="'sample', a text or .jsonl file, a folder, or a dataset id")
    command.add_argument("--out", required=True, metavar="FOLDER", help="where results and checkpoints go")
    command.add_argument("--size", default="1m", help="of the models (default %(default)s)")
    command.add_argument("--vocabulary", type=int, help="types of the tokenizer (default: the size's)")
    command.add_argument("--tokens", type=int, default=400_000, help="of each run (default %(default)s)")
    command.add_argument("--max-tokens", type=int, help="read at most so many from the corpus")
    command.add_argument("--predictors", nargs="+", help="by default all")
    command.add_argument("--seeds", type=int, default=3, help="how many (default %(default)s)")
    command.add_argument("--peak-rate", type=float, help="of learning, for every run (default: the size's)")
    command.add_argument("--margin", type=float, default=0.02, help="nats that count as the same (default %(default)s)")
    command.add_argument("--device", default="cpu")
    command.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", help="such as alphas=[0.5,0.1]")
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    command.set_defaults(run=run_ablate)


def run_ablate(options: argparse.Namespace) -> None:
    """Train, compare, print, write."""
    from pathlib import Path

    from infodil.checks import check_one_of, write_whole
    from infodil.cli.files import check_folder, read_options

    check_folder(options.out)
    changes = read_options(options.set)
    from infodil.corpus import load_corpus
    from infodil.lm import PREDICTORS, SIZES, prepare_text
    from infodil.plots import difference_intervals, save_figure
    from infodil.processing import ablate_predictor

    check_one_of("size", options.size, SIZES)
    out = Path(options.out)
    vocabulary = options.vocabulary or SIZES[options.size].vocabulary
    corpus = load_corpus(options.corpus, tokenizer="bpe", vocabulary=vocabulary)
    text = prepare_text(corpus, out / "text", max_tokens=options.max_tokens, progress=not options.quiet)
    found = ablate_predictor(
        text,
        size=options.size,
        predictors=options.predictors or PREDICTORS,
        tokens=options.tokens,
        seeds=range(options.seeds),
        peak_rate=options.peak_rate,
        margin_nats=options.margin,
        folder=out / "cells",
        device=options.device,
        progress=not options.quiet,
        **changes,
    )
    print(found)
    frame = found.to_frame()
    write_whole(out / "ablation.csv", frame.to_csv(index=False))
    save_figure(difference_intervals(frame).figure, out / "ablation.png")
    found.to_html(out / "ablation.html", lead=f"{options.size} on {options.corpus}")
    print(f"\nwrote ablation.csv, ablation.html and ablation.png into {out}")


def add_gap(commands: argparse._SubParsersAction) -> None:
    """`infodil lm gap`."""
    words = "say where a gap in loss comes from: the reader, its family, or the states"
    command = add_command(commands, "gap", words)
    command.add_argument("--model", required=True, metavar="FOLDER", help="of a run of `infodil lm train`")
    command.add_argument("--reference", required=True, metavar="FOLDER", help="likewise, of the same tokenizer")
    command.add_argument("--out", required=True, metavar="FOLDER", help="where gap.csv, .html and .png go")
    command.add_argument("--sites", nargs="+", help="which states to read (default all)")
    command.add_argument("--tokens", type=int, default=200_000, help="to train each reader on (default %(default)s)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--device", default="cpu")
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    command.set_defaults(run=run_gap)


def run_gap(options: argparse.Namespace) -> None:
    """Decompose, print, write."""
    from pathlib import Path

    from infodil.checks import write_whole
    from infodil.cli.files import check_folder

    check_folder(options.out)
    from infodil.lm import load_language_model, load_text
    from infodil.plots import save_figure
    from infodil.processing import decompose_gap

    model, reference = (load_language_model(path, device=options.device) for path in (options.model, options.reference))
    found = decompose_gap(
        model,
        reference,
        load_text(Path(options.model) / "text"),
        sites=options.sites,
        tokens=options.tokens,
        window=min(model.config.context, reference.config.context),
        seed=options.seed,
        progress=not options.quiet,
    )
    print(found)
    out = Path(options.out)
    write_whole(out / "gap.csv", found.to_frame().to_csv(index=False))
    save_figure(found.plot().figure, out / "gap.png")
    found.to_html(out / "gap.html", lead=f"{Path(options.model).name} against {Path(options.reference).name}")
    print(f"\nwrote gap.csv, gap.html and gap.png into {out}")
