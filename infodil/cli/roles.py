"""`infodil roles`: grammatical roles learned without labels, beside rivals that are trained on labels."""

__all__ = ["add_roles"]

import argparse
from typing import TYPE_CHECKING

from infodil.checks import UserError, check_one_of, check_seed, check_whole, write_whole
from infodil.cli.arguments import check_folder
from infodil.cli.commands import add_command, add_output, add_seeds, shows_progress
from infodil.progress import progress_bar

if TYPE_CHECKING:
    import pandas

DEFAULT_CONDITIONS = ("Hebbian", "BiGRU", "majority per word")
SEED_CONFIDENCE = 0.95
"""Confidence level of the intervals over seeds."""


def add_roles(commands: argparse._SubParsersAction) -> None:
    """`infodil roles`."""
    words = "learn who does what to whom without labels, from traces and Hebbian learning, beside a supervised BiGRU"
    command = add_command(commands, "roles", words)
    add_output(command, "roles", "roles.csv and roles.png")
    text = command.add_argument_group("text")
    text.add_argument("--grammar", default="A", help="A, by order and prepositions, or B, verb-final (default A)")
    text.add_argument("--depth", type=int, default=1, help="depth of nested relative clauses (default %(default)s)")
    text.add_argument(
        "--sentences", type=int, default=4000, help="sentences of the training text (default %(default)s)"
    )
    text.add_argument("--train", metavar="FILE.conllu", help="a treebank in place of a grammar (.gz too)")
    text.add_argument("--test", metavar="FILE.conllu", help="with --train: the text that is scored")
    study = command.add_argument_group("study")
    learners = f"learners: {', '.join(DEFAULT_CONDITIONS)}, ..."
    study.add_argument("--conditions", nargs="+", default=DEFAULT_CONDITIONS, help=learners)
    study.add_argument("--hidden", type=int, default=1000, help="units of the random layer (default %(default)s)")
    study.add_argument("--units", type=int, default=32, help="role units (default %(default)s)")
    study.add_argument(
        "--steps", type=int, default=800, help="training steps of the supervised rival (default %(default)s)"
    )
    add_seeds(study, 5)
    command.set_defaults(run=run_roles)


def run_roles(options: argparse.Namespace) -> None:
    """Learn, score, write, print."""
    check_folder(options.out)
    check_seed(options.seed)
    check_whole("seeds", options.seeds, 2, "an interval over seeds needs two")
    check_one_of("grammar", options.grammar, ["A", "B"])
    for name in ("sentences", "hidden", "units", "steps"):
        check_whole(name, getattr(options, name), 1, "pass 1 or more")
    if bool(options.train) != bool(options.test):
        raise UserError("`--train` and `--test` must be given together, got one of them: pass both.")
    progress = shows_progress(options)
    import pandas as pd

    from infodil.cli.files import deliver
    from infodil.plots import role_bars, save_figure
    from infodil.roles import Architecture, grammar
    from infodil.roles.study import CONDITIONS, Trial, run_trial
    from infodil.roles.texts import read_universal

    for condition in options.conditions:
        check_one_of("conditions", condition, CONDITIONS)
    architecture = Architecture(hidden=options.hidden, units=options.units)
    if options.train:
        whole = read_universal(options.train)
        train, validation = whole[: len(whole) * 9 // 10], whole[len(whole) * 9 // 10 :]
        test = read_universal(options.test, like=whole)
    else:
        language = grammar(options.grammar, depth=options.depth)
    rows = []
    seeds = range(options.seed, options.seed + options.seeds)
    for seed in progress_bar(seeds, "learning roles", shown=progress, unit="seed"):
        if not options.train:
            train, validation = (
                language.sample(size, training=True, seed=3 * seed + part)
                for part, size in enumerate((options.sentences, max(1, options.sentences // 10)))
            )
            test = language.sample(max(1, options.sentences // 4), seed=3 * seed + 2)
        trial = Trial(train, validation, seed, architecture, steps=options.steps)
        for condition in options.conditions:
            rows += run_trial(condition, trial, {"test": test}, lambda name, text: {})
    frame = pd.DataFrame(rows)
    table = summary(frame)
    deliver(
        options,
        table.to_string(index=False, float_format=lambda value: f"{value:.3f}"),
        frame.to_dict("records"),
        {
            "roles.csv": lambda path: write_whole(path, frame.to_csv(index=False)),
            "roles.png": lambda path: save_figure(role_bars(table).figure, path),
        },
    )


def summary(frame: "pandas.DataFrame") -> "pandas.DataFrame":
    """The mean accuracy of each condition and group of tokens, with its interval over seeds."""
    import pandas as pd

    from infodil.statistics import share_interval

    frame = frame[frame["naming"] != "one_to_one"]
    rows = []
    for (condition, group), part in frame.groupby(["condition", "group"], sort=False):
        if len(part) > 1:
            mean, low, high = share_interval(part["accuracy"].tolist(), part["tokens"].tolist(), SEED_CONFIDENCE)
            rows.append({"condition": condition, "group": group, "accuracy": mean, "low": low, "high": high})
    return pd.DataFrame(rows)
