"""`infodil dpi`: the data-processing inequality of states that were saved."""

__all__ = ["add_dpi"]

import argparse
from pathlib import Path
from typing import Any

from infodil.checks import UserError, check_confidence, check_seed, write_whole
from infodil.cli.arguments import check_folder
from infodil.cli.commands import add_command, add_output, add_seed, shows_progress


def add_dpi(commands: argparse._SubParsersAction) -> None:
    """`infodil dpi`."""
    words = "a check of the data-processing inequality along saved stages of processing"
    command = add_command(commands, "dpi", words)
    command.add_argument("--source", required=True, metavar="FILE.npy", help="whole numbers, one a row of each stage")
    command.add_argument(
        "--stages", required=True, nargs="+", metavar="FILE.npy", help="states [rows, numbers], upstream first"
    )
    command.add_argument("--groups", metavar="FILE.npy", help="the document of each row, a whole number")
    command.add_argument("--confidence", type=float, default=0.95, help="level of all verdicts (default %(default)s)")
    add_seed(command)
    add_output(command, "dpi", "dpi.json, dpi.csv and dpi.png")
    command.set_defaults(run=run_dpi)


def run_dpi(options: argparse.Namespace) -> None:
    """Read, check, write, print."""
    check_folder(options.out)
    check_confidence(options.confidence)
    check_seed(options.seed)
    if len(options.stages) < 2:
        raise UserError(f"`stages` must be two files or more, got {len(options.stages)}: pass upstream and downstream.")
    names = [Path(path).stem for path in options.stages]
    names = [name if names.count(name) == 1 else path for name, path in zip(names, options.stages, strict=True)]
    for path in filter(None, [options.source, *options.stages, options.groups]):
        if not Path(path).is_file():
            raise UserError(f"there is no file {path!r}: check the spelling.")
    shows_progress(options)
    from infodil.cli.files import deliver
    from infodil.plots import save_figure
    from infodil.processing import check_chain

    source, groups = read_array(options.source), options.groups and read_array(options.groups)
    stages = [(name, read_array(path)) for name, path in zip(names, options.stages, strict=True)]
    check = check_chain(source, stages, groups=groups, seed=options.seed, confidence=options.confidence)
    frame = check.to_frame()
    deliver(
        options,
        str(check),
        frame.to_dict("records"),
        {
            "dpi.json": check.save,
            "dpi.csv": lambda path: write_whole(path, frame.to_csv(index=False)),
            "dpi.png": lambda path: save_figure(check.plot().figure, path),
        },
    )


def read_array(path: str) -> Any:
    """The array of a file of numpy; objects, which could run code, are refused."""
    import numpy as np

    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError) as error:
        why = str(error).splitlines()[0] if str(error) else "it is empty"
        raise UserError(f"{path!r} is no array of numpy ({why}): pass a file that numpy.save wrote.") from None
