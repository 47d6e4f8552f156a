"""`infodil recoverability`: the measurement from a shell."""

__all__ = ["add_recoverability"]

import argparse
import dataclasses
from typing import Any

from infodil.checks import UserError, is_there
from infodil.cli.arguments import check_measurement, read_kinds, read_lags, read_options, read_sketch_dims
from infodil.cli.commands import add_command, add_output, add_seed, add_settings, shows_progress
from infodil.cli.names import encoder_names, precision_names, probe_summaries

DEFAULT_PROBES = ["prior", "gaussian", "linear"]


def add_recoverability(commands: argparse._SubParsersAction) -> None:
    """`infodil recoverability`."""
    command = add_command(commands, "recoverability", "how many bits about the token k steps back each state holds")
    command.add_argument(
        "--model",
        help=f"{', '.join(encoder_names())}, a Hugging Face id or folder, or a folder of `infodil lm train`",
    )
    command.add_argument(
        "--states",
        metavar="FOLDER",
        help="states recorded elsewhere: tokens.npy and a .npy or .safetensors file a site",
    )
    command.add_argument("--corpus", help="'sample', a file of text, rows or token ids, a folder, or a dataset id")
    add_output(command, "report", "report.json, report.html and recoverability.png")
    model = command.add_argument_group("model")
    add_settings(model, "option of the model, such as alpha=0.5; once for each")
    model.add_argument("--sites", nargs="+", help="names or patterns of states, such as 'layer.*'")
    model.add_argument(
        "--precision",
        default="float32",
        help=f"precision of the states: {', '.join(precision_names())}, or with noise, such as snr=20dB "
        "(default %(default)s)",
    )
    model.add_argument(
        "--sketch-dims",
        default="4096",
        metavar="N",
        help="read states of more numbers through a count sketch of so many, or 'none' to read all whole "
        "(default %(default)s)",
    )
    model.add_argument("--device", help="device of the model, such as cpu or cuda")
    model.add_argument("--dtype", help="type of the weights, such as bfloat16")
    corpus = command.add_argument_group("corpus")
    corpus.add_argument("--name", help="configuration of a dataset id")
    corpus.add_argument("--split", help="split of a dataset id (default train)")
    corpus.add_argument("--text-column", default="text", help="column that holds the text (default %(default)s)")
    corpus.add_argument(
        "--separator",
        help="regular expression between the documents of a text file, or id between those of a file of token ids",
    )
    corpus.add_argument("--token-dtype", help="type of the token ids in a .bin file, such as uint16")
    corpus.add_argument("--tokenizer", help="tokenizer.json, 'bytes', 'characters' or 'bpe'")
    corpus.add_argument("--vocabulary", type=int, help="types of a 'bpe' tokenizer (default 4096), or of token ids")
    corpus.add_argument("--max-length", type=int, default=512, help="tokens of a sequence (default %(default)s)")
    corpus.add_argument("--pack", action="store_true", help="lay documents end to end in windows of --max-length")
    corpus.add_argument("--independent", action="store_true", help="declare that tokens are independent draws")
    corpus.add_argument("--max-tokens", type=int, default=500_000, help="tokens to read at most (default %(default)s)")
    add_measurement(command)
    command.set_defaults(run=run_recoverability)


def add_measurement(command: argparse.ArgumentParser) -> None:
    """The options of the measurement itself."""
    probe = command.add_argument_group("measurement")
    probe.add_argument("--lags", default="0-16", help="such as 0-16 or 0,1,2,4,8 (default %(default)s)")
    described = "; ".join(f"{name}, {summary}" for name, summary in probe_summaries().items())
    probe.add_argument(
        "--probes",
        nargs="+",
        default=DEFAULT_PROBES,
        help=f"probes by name, weakest first: {described}; or 'auto' for as many as add bits "
        f"(default {' '.join(DEFAULT_PROBES)})".replace("%", "%%"),
    )
    probe.add_argument(
        "--by",
        metavar="KIND",
        help="split every row by kind of the hidden token: 'frequency', 'surface', or a JSON file from type to a name",
    )
    probe.add_argument(
        "--context",
        default="ngram",
        help="what guesses tokens from later ones: 'ngram', or beside it 'lm', trained here (default %(default)s)",
    )
    probe.add_argument("--no-controls", action="store_true", help="leave out random weights and learning curves")
    probe.add_argument("--confidence", type=float, default=0.95, help="level of the intervals (default %(default)s)")
    probe.add_argument("--batch-size", type=int, default=16, help="sequences in a batch (default %(default)s)")
    add_seed(probe)
    probe.add_argument("--cache-dir", help="keep states of costly models there; a killed run takes up again")


def run_recoverability(options: argparse.Namespace) -> None:
    """Measure, write, print."""
    check_source(options)
    lags, given = read_lags(options.lags), read_options(options.set)
    by = read_kinds(options.by)
    sketch_dims = read_sketch_dims(options.sketch_dims)
    check_measurement(options)
    progress = shows_progress(options)
    from infodil.cli.files import write_report
    from infodil.encoders import read_recorded
    from infodil.measure import recoverability
    from infodil.processes import joined

    with joined() as processes:
        if options.states is not None:
            model, source = read_recorded(options.states)
        else:
            model, source = trained_model(options.model, options.device), options.corpus
        report = recoverability(
            model,
            open_corpus(options, source),
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
            progress=progress,
            cache_dir=options.cache_dir,
            controls=not options.no_controls,
            by=by,
            context=options.context,
            sketch_dims=sketch_dims,
            **given,
        )
        if processes.is_first:
            write_report(options, report)


def open_corpus(options: argparse.Namespace, source: Any) -> Any:
    """The corpus that was typed, or that stands beside recorded states."""
    from infodil.corpus import load_corpus

    try:
        corpus = load_corpus(
            source,
            name=options.name,
            split=options.split,
            text_column=options.text_column,
            separator=options.separator,
            dtype=options.token_dtype,
            tokenizer=options.tokenizer,
            vocabulary=options.vocabulary,
            max_length=options.max_length,
            pack=options.pack,
            independent=options.independent,
        )
    except UserError as error:  # `--dtype` is that of the weights
        raise UserError(str(error).replace("`dtype`", "`token_dtype`")) from None
    learned = corpus.kind == "text" and options.vocabulary and not options.tokenizer
    return dataclasses.replace(corpus, tokenizer="bpe") if learned else corpus


def check_source(options: argparse.Namespace) -> None:
    """End with the usage unless a model and a corpus are given, or recorded states alone."""
    names = {"--model": options.model, "--corpus": options.corpus}
    if options.states is None and None in names.values():
        missing = ", ".join(flag for flag, value in names.items() if value is None)
        options.command.error(f"the following arguments are required: {missing}")
    for flag, value in names.items():
        if options.states is not None and value is not None:
            options.command.error(f"argument {flag}: not allowed with argument --states")


def trained_model(model: str, device: str | None) -> Any:
    """The language model in a folder of `infodil lm train`; any other name as it is."""
    from pathlib import Path

    if not is_there(Path(model) / "checkpoint.safetensors"):
        return model
    from infodil.lm import load_language_model

    return load_language_model(model, device=device)
