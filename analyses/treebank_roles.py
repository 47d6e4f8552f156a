"""Are the roles of real text learned without labels, beside a supervised BiGRU and the majority per word?

The English Web Treebank: units learned on the words of the first sentences of its training text, without labels, over
vectors that are learned, random, of PPMI and singular values, or none (parts of speech alone). The same units are named
by, and scored on, four things: subjects, objects and obliques (named on that training text); PropBank roles (named on
the development text, as there is no training text); proto-role properties of arguments (Reisinger et al. 2015; White et
al. 2016), named on their training text. Of relations and PropBank roles there are two scores: of all words, where most
are no argument, and among arguments, where it is known that the word is one. The supervised learners see what names the
units. It could refute that what works on a grammar works on English. Twenty minutes on one idle core.

    python -m analyses.treebank_roles --data ../shared/data
"""

import dataclasses
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import torch

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from analyses.roles_table import show
from infodil.roles import Architecture, RoleText
from infodil.roles.learners import Tuning
from infodil.roles.study import SUPERVISED, UNSUPERVISED, Trial, named, score
from infodil.roles.texts import read_propbank, read_protoroles, read_universal

FILES = (
    *(f"ud-english-ewt/en_ewt-ud-{part}.conllu.gz" for part in ("train", "dev", "test")),
    *(f"english-roles/en_ewt-up-{part}.conllu.gz" for part in ("dev", "test")),
    "english-roles/uds-protoroles.jsonl.gz",
)


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    conditions: tuple[str, ...] = (
        "Hebbian",
        "Hebbian, random vectors",
        "Hebbian, PPMI vectors",
        "Hebbian, word classes",
        "Hebbian, induced classes",
        "Hebbian, induced classes, 512 units",
        "majority per word",
        "BiGRU",
    )
    sentences: int = 5000
    longest: int = 40
    """Words of a training sentence; the test text is whole."""
    propbank: int = 1800
    """Sentences of PropBank's development text that name units; the others validate the supervised."""
    properties: tuple[str, ...] = ("volition", "instigation", "sentient", "change_of_state")
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 400
    tuning: Tuning = dataclasses.field(default_factory=lambda: Tuning(dropped=0.1))
    architecture: Architecture = dataclasses.field(default_factory=lambda: Architecture(dim=32, hidden=600, restarts=3))


SMOKE = Config(
    conditions=("Hebbian", "BiGRU"), sentences=60, propbank=60, properties=("volition",), seeds=(0, 1), steps=2,
    architecture=Architecture(dim=4, hidden=20, restarts=1),
)  # fmt: skip


class Task(NamedTuple):
    """Texts with one kind of roles: what names units and teaches the supervised, what validates these, the test."""

    names: RoleText
    validation: RoleText
    test: RoleText


def tasks_of(data, config):
    """The training text of the units, and the tasks by name."""
    ewt, roles = data / "ud-english-ewt", data / "english-roles"
    whole = read_universal(ewt / "en_ewt-ud-train.conllu.gz")
    train = whole[(whole.present.sum(1) <= config.longest).nonzero()[: config.sentences, 0]]
    dev, test = (read_universal(ewt / f"en_ewt-ud-{part}.conllu.gz", like=whole) for part in ("dev", "test"))
    names, scored = (read_propbank(roles / f"en_ewt-up-{part}.conllu.gz", like=whole) for part in ("dev", "test"))
    found = {
        "EWT": Task(train, dev, test),
        "PropBank": Task(names[: config.propbank], names[config.propbank :], scored),
    }
    found |= {f"{name}, among arguments": Task(*map(among_arguments, task)) for name, task in found.items()}
    for name in config.properties:
        read = partial(read_protoroles, roles / "uds-protoroles.jsonl.gz", proto_role=name, like=whole)
        found[name] = Task(*(among_arguments(read(split=split)) for split in ("train", "dev", "test")))
    return train, found


def among_arguments(text):
    """The same words, of which arguments alone have a role."""
    return dataclasses.replace(text, roles=torch.where(text.is_argument, text.roles, -1))


def run_cell(cell, config, data):
    """One condition and seed: units are learned once and named for each task; the supervised learn each task."""
    condition, seed = cell
    train, tasks = tasks_of(data, config)
    trial = Trial(train, tasks["EWT"].validation, seed, config.architecture, config.tuning, config.steps)
    units = UNSUPERVISED[condition](trial) if condition in UNSUPERVISED else None
    rows = []
    for name, task in tasks.items():
        if units is None:
            taught = dataclasses.replace(trial, train=task.names, validation=task.validation)
            predictors, known = {"supervised": SUPERVISED[condition](taught)}, {}
        else:
            predictors, known = named(units, task.names, seed)
        row = {"condition": condition, "seed": seed, "sentences": len(train)}
        rows += [{**row, **found, **known} for found in score(predictors, {name: task.test}, lambda name, text: {})]
    return rows


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(condition, seed) for condition in config.conditions for seed in config.seeds]
    inputs = files_in(options.data, *FILES)
    with Study(__file__, options) as study:
        finished = study.run(partial(run_cell, data=options.data), cells, config, inputs=inputs)
        study.write("roles_treebank", finished.rows, config, finished)
    show(finished.rows)


if __name__ == "__main__":
    main()
