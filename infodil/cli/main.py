"""Parse a command line and run it; a user's mistake is one sentence and exit status 2."""

__all__ = ["main"]

import argparse
import sys
from collections.abc import Sequence

from infodil import __version__
from infodil.checks import UserError
from infodil.cli.commands import add_command
from infodil.cli.lm import add_lm
from infodil.cli.roles import add_roles

PRECISIONS = (
    "how states are observed: float64, float32, float16, bfloat16, float8_e4m3, float8_e5m2, int8, or with noise, "
    "such as snr=20dB (default %(default)s)"
)
PROBES = (
    "rungs of the ladder, such as prior gaussian linear (the default), pursuit and exact where the code is known, "
    "or 'auto' to climb as long as a rung adds something"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 if it succeeded."""
    options = parser().parse_args(arguments)
    try:
        options.run(options)
    except UserError as error:
        print(f"infodil: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("infodil: stopped; nothing was left half written.", file=sys.stderr)
        return 130
    return 0


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    whole = argparse.ArgumentParser(
        prog="infodil",
        description="How much of the past a sequence model's state still holds, in bits, with intervals.",
    )
    whole.add_argument("--version", action="version", version=f"infodil {__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)
    add_recoverability(commands)
    add_demo(commands)
    add_compare(commands)
    add_lm(commands)
    add_roles(commands)
    return whole


def add_recoverability(commands: argparse._SubParsersAction) -> None:
    """`infodil recoverability`."""
    words = "how many bits about the token k steps back each state holds"
    command = add_command(commands, "recoverability", words)
    command.add_argument(
        "--model", required=True, help="built-in name (ema, ...), Hugging Face id or folder, or folder of `lm train`"
    )
    command.add_argument("--corpus", required=True, help="'sample', a text or .jsonl file, a folder, or a dataset id")
    command.add_argument("--out", required=True, metavar="FOLDER", help="where report.json, .html and .png go")
    model = command.add_argument_group("model")
    model.add_argument("--option", action="append", default=[], metavar="NAME=VALUE", help="alpha=0.5, dim=64, ...")
    model.add_argument("--sites", nargs="+", help="names or patterns, such as 'layer.*'")
    model.add_argument("--precision", default="float32", help=PRECISIONS)
    model.add_argument("--device", help="cpu, cuda, ...")
    model.add_argument("--dtype", help="of the weights, such as bfloat16")
    corpus = command.add_argument_group("corpus")
    corpus.add_argument("--name", help="configuration of a dataset id")
    corpus.add_argument("--split", help="split of a dataset id (default train)")
    corpus.add_argument("--text-column", default="text", help="column that holds the text (default %(default)s)")
    corpus.add_argument("--separator", help="regular expression between the documents of a text file")
    corpus.add_argument("--tokenizer", help="tokenizer.json, 'bytes', 'characters' or 'bpe'")
    corpus.add_argument("--vocabulary", type=int, help="types of a 'bpe' tokenizer (default 4096)")
    corpus.add_argument("--max-length", type=int, default=512, help="tokens of a sequence (default %(default)s)")
    corpus.add_argument("--pack", action="store_true", help="lay documents end to end in windows of max-length")
    corpus.add_argument("--independent", action="store_true", help="declare that each token was drawn for itself")
    corpus.add_argument("--max-tokens", type=int, default=500_000, help="read at most so many (default %(default)s)")
    probe = command.add_argument_group("measurement")
    probe.add_argument("--lags", default="0-16", help="such as 0-16 or 0,1,2,4,8 (default %(default)s)")
    probe.add_argument("--probes", nargs="+", default=["prior", "gaussian", "linear"], help=PROBES)
    probe.add_argument("--no-controls", action="store_true", help="no random weights and no learning curves beside it")
    probe.add_argument("--confidence", type=float, default=0.95, help="of the intervals (default %(default)s)")
    probe.add_argument("--batch-size", type=int, default=16, help="sequences in a batch (default %(default)s)")
    probe.add_argument("--seed", type=int, default=0)
    probe.add_argument("--cache-dir", help="keep states of costly models there; a killed run takes up again")
    probe.add_argument("--quiet", action="store_true", help="no progress bars")
    command.set_defaults(run=run_recoverability)


def add_demo(commands: argparse._SubParsersAction) -> None:
    """`infodil demo`."""
    words = "train two small models on the built-in text and compare what six states hold; no network"
    command = add_command(commands, "demo", words)
    command.add_argument("--out", default="demo", metavar="FOLDER", help="where the results go (default %(default)s)")
    command.add_argument("--seed", type=int, default=0)
    command.add_argument("--quiet", action="store_true", help="no progress bars")
    command.set_defaults(run=run_demo)


def add_compare(commands: argparse._SubParsersAction) -> None:
    """`infodil compare`."""
    words = "draw two or more saved reports together"
    command = add_command(commands, "compare", words)
    command.add_argument("reports", nargs="+", metavar="REPORT.json")
    command.add_argument("--out", default="comparison", metavar="FOLDER", help="where the results go")
    command.set_defaults(run=run_compare)


def run_recoverability(options: argparse.Namespace) -> None:
    """Measure, print, write."""
    from infodil.cli.files import check_folder, read_lags, read_options, write_report

    check_folder(options.out)
    lags, given = read_lags(options.lags), read_options(options.option)
    from infodil.corpus import load_corpus
    from infodil.measure import recoverability

    corpus = load_corpus(
        options.corpus,
        name=options.name,
        split=options.split,
        text_column=options.text_column,
        separator=options.separator,
        tokenizer=options.tokenizer or ("bpe" if options.vocabulary else None),
        vocabulary=options.vocabulary,
        max_length=options.max_length,
        pack=options.pack,
        independent=options.independent,
    )
    report = recoverability(
        trained_here(options.model, options.device),
        corpus,
        lags=lags,
        sites=options.sites,
        probes=options.probes,
        precision=options.precision,
        max_tokens=options.max_tokens,
        batch_size=options.batch_size,
        device=options.device,
        dtype=options.dtype,
        seed=options.seed,
        confidence=options.confidence,
        progress=not options.quiet,
        cache_dir=options.cache_dir,
        controls=not options.no_controls,
        **given,
    )
    write_report(report, options.out)


def trained_here(model: str, device: str | None) -> object:
    """The language model in a folder of `infodil lm train`; any other name as it is."""
    from pathlib import Path

    if not (Path(model) / "checkpoint.safetensors").is_file():
        return model
    from infodil.lm import load_language_model

    return load_language_model(model, device=device)


def run_demo(options: argparse.Namespace) -> None:
    """Train, measure, print, write."""
    from infodil.cli.files import check_folder, write_report

    check_folder(options.out)
    from infodil.cli.demo import demo

    write_report(demo(seed=options.seed, progress=not options.quiet), options.out)


def run_compare(options: argparse.Namespace) -> None:
    """Load, print, write."""
    from infodil.cli.files import check_folder, write_comparison

    check_folder(options.out)
    write_comparison(options.reports, options.out)
