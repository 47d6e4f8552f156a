"""`infodil depth`: messages over depth, in a model or on synthetic messages."""

__all__ = ["add_depth"]

import argparse

from infodil.checks import UserError, check_confidence, check_seed, check_whole, write_whole
from infodil.cli.arguments import check_corpus, check_device_name, check_folder, check_precision_name
from infodil.cli.commands import add_command, add_output, add_seed, shows_progress


def add_depth(commands: argparse._SubParsersAction) -> None:
    """`infodil depth`."""
    words = "which layers' messages survive in the stream over depth: of a model, or of accumulation rules"
    command = add_command(commands, "depth", words)
    command.add_argument("--model", help="Hugging Face id or folder of a causal language model")
    command.add_argument("--corpus", help="'sample', a text or .jsonl file, a folder, or a dataset id")
    command.add_argument(
        "--rules", nargs="+", help="accumulation rules for synthetic messages in place of a model, such as sum ema"
    )
    add_output(command, "depth", "depth.json, depth.html, depth.csv and depth.png")
    model = command.add_argument_group("model")
    model.add_argument("--max-tokens", type=int, default=100_000, help="tokens to read at most (default %(default)s)")
    model.add_argument("--batch-size", type=int, default=8, help="sequences in a batch (default %(default)s)")
    model.add_argument("--no-controls", action="store_true", help="leave out random weights")
    model.add_argument("--device", help="device of the model, such as cpu or cuda")
    synthetic = command.add_argument_group("synthetic messages")
    synthetic.add_argument(
        "--depths", type=int, nargs="+", default=[4, 16, 64], help="numbers of layers (default 4 16 64)"
    )
    synthetic.add_argument("--dim", type=int, default=64, help="numbers of a message (default %(default)s)")
    synthetic.add_argument("--types", type=int, default=16, help="messages of a layer (default %(default)s)")
    command.add_argument("--precision", default="float32", help="precision of the stream (default %(default)s)")
    command.add_argument("--confidence", type=float, default=0.95, help="level of the intervals (default %(default)s)")
    add_seed(command)
    command.set_defaults(run=run_depth)


def run_depth(options: argparse.Namespace) -> None:
    """Measure, write, print."""
    check_folder(options.out)
    check_confidence(options.confidence)
    check_seed(options.seed)
    check_precision_name(options.precision)
    check_device_name(options.device)
    for name in ("max_tokens", "batch_size", "dim", "types"):
        check_whole(name, getattr(options, name), 1, "pass 1 or more")
    if options.corpus is not None:
        check_corpus(options.corpus)
    if (options.rules is None) == (options.model is None):
        raise UserError("`model` or `rules` must be given, and not both: pass a model with a corpus, or rules.")
    if options.model is not None and options.corpus is None:
        raise UserError(f"`corpus` must be given beside the model {options.model!r}: pass a text, or 'sample'.")
    progress = shows_progress(options)
    from infodil.cli.files import deliver
    from infodil.depth import survival, sweep
    from infodil.plots import save_figure

    common = {
        "precision": options.precision, "seed": options.seed, "confidence": options.confidence, "progress": progress,
    }  # fmt: skip
    if options.rules is not None:
        report = sweep(options.rules, options.depths, dim=options.dim, types=options.types, **common)
    else:
        report = survival(
            options.model, options.corpus, max_tokens=options.max_tokens, batch_size=options.batch_size,
            device=options.device, controls=not options.no_controls, **common,
        )  # fmt: skip
    deliver(
        options,
        str(report),
        report.rows,
        {
            "depth.json": report.save,
            "depth.html": report.to_html,
            "depth.csv": lambda path: write_whole(path, report.to_frame().to_csv(index=False)),
            "depth.png": lambda path: save_figure(report.plot().figure, path),
        },
    )
