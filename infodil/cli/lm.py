"""`infodil lm`: train language models, exchange their predictors, and say where a gap in loss comes from."""

__all__ = ["add_lm"]

import argparse
from typing import Any


def add_lm(commands: argparse._SubParsersAction) -> None:
    """`infodil lm` and its own commands."""
    words = "train EMA language models and their baselines; ablate the predictor; decompose a gap in loss"
    command = commands.add_parser("lm", help=words, description=words.capitalize() + ".")
    own = command.add_subparsers(metavar="COMMAND", required=True)
    add_train(own)


def add_train(commands: argparse._SubParsersAction) -> None:
    """`infodil lm train`."""
    words = "train a model, or go on training it; the same command resumes a killed run"
    command = commands.add_parser("train", help=words, description=words.capitalize() + ".")
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
