"""Are grammatical relations of real text learned without labels, beside a supervised BiGRU and the majority per word?

The English Web Treebank: subjects, objects and obliques of the test text by units that were learned on the words (or
the parts of speech) of the first sentences of the training text, and named there; PropBank roles of the test text by
units learned alike and named on its development text. It could refute that what works on a grammar works on English.

    python -m analyses.treebank_roles --data ../shared/data
"""

import argparse
import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from analyses.cells import run_cells
from analyses.grammatical_roles import show
from analyses.provenance import write_results
from infodil.roles import Architecture
from infodil.roles.bigru import Tuning
from infodil.roles.study import Trial, run_trial
from infodil.roles.treebank import read_propbank, read_universal

CONDITIONS = ("Hebbian", "majority per word", "BiGRU", "Hebbian, word classes")


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    sentences: int = 5000
    longest: int = 40
    """Words of a training sentence; the test text is whole."""
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 500
    tuning: Tuning = dataclasses.field(default_factory=lambda: Tuning(dropped=0.1))
    architecture: Architecture = dataclasses.field(default_factory=lambda: Architecture(dim=32, hidden=600, restarts=3))


def run_cell(cell, config, data):
    """One condition on relations; the learner of the headline on PropBank roles, too."""
    torch.set_num_threads(1)
    condition, seed = cell
    folder = data / "ud-english-ewt"
    whole = read_universal(folder / "en_ewt-ud-train.conllu.gz")
    train = whole[(whole.present.sum(1) <= config.longest).nonzero()[: config.sentences, 0]]
    dev, test = (read_universal(folder / f"en_ewt-ud-{part}.conllu.gz", like=whole) for part in ("dev", "test"))
    trial = Trial(train, dev, seed, config.architecture, config.tuning, config.steps)
    rows = run_trial(condition, trial, {"EWT": test}, lambda name, text: {})
    if condition == "Hebbian":
        roles = data / "english-roles"
        names, scored = (read_propbank(roles / f"en_ewt-up-{part}.conllu.gz", like=whole) for part in ("dev", "test"))
        renamed = dataclasses.replace(trial, names=names)
        rows += run_trial(condition, renamed, {"PropBank": scored}, lambda name, text: {})
    return [{**row, "sentences": len(train)} for row in rows]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/treebank_roles"))
    parser.add_argument("--workers", type=int, default=2)
    options = parser.parse_args()
    config = Config()
    cells = [(condition, seed) for condition in CONDITIONS for seed in config.seeds]
    names = [f"{condition}-{seed}".replace(" ", "_") for condition, seed in cells]
    rows = run_cells(cells, partial(run_cell, config=config, data=options.data), names, options.out, options.workers)
    write_results("roles_treebank", rows, asdict(config))
    show(rows)


if __name__ == "__main__":
    main()
