"""Which states hold structure, and which hold content: bits about roles beside bits about past words, for each encoder.

Sentences of grammar A; four states of like size: forward traces of learned word vectors, the same with backward traces,
a GRU language model, and a GRU with random weights. Structure: bits about the role of the newest word, and bits beyond
what that word tells, I(role; state | word), the second by the exact I(role; word) of the grammar. Content: bits about
the word so many steps back. All are lower bounds by the Gaussian reader with intervals over sentences. It could refute
that traces trade content for structure (Singh 2026).

    python -m analyses.structure_and_content
"""

import argparse
import dataclasses
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch

from analyses.cells import run_cells
from analyses.provenance import write_results
from infodil.mi import lower_bound
from infodil.roles import Architecture, HebbianRoles, grammar
from infodil.roles.order import role_information
from infodil.roles.study import Trial, gru_states

ENCODERS = ("forward traces", "traces both ways", "GRU language model", "random GRU, both ways")


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    sentences: int = 1500
    training: int = 4000
    lags: tuple[int, ...] = (0, 1, 2, 4, 8)
    seeds: tuple[int, ...] = (0, 1, 2)
    probe: str = "gaussian"


def states_of(encoder, train, text, seed):
    """The state after each word of a text."""
    trial = Trial(train, train[:200], seed)
    if "GRU" in encoder:
        both = gru_states(trial, trained="random" not in encoder)(text)
        return both if "both" in encoder else both[:, : both.shape[1] // 2]
    flat = Architecture(hidden=0, backward=encoder == "traces both ways")
    learner = HebbianRoles(len(text.vocabulary), flat, seed=seed)
    learner.prepare(train.words)
    return torch.cat([learner.word_states(text.words), learner.trace_states(text.words)], dim=1)


def measure(cell, config):
    """Rows of one encoder and seed."""
    torch.set_num_threads(1)
    encoder, seed = cell
    of = grammar("A")
    train = of.sample(config.training, seed=2 * seed)
    text = of.sample(config.sentences, seed=2 * seed + 1)
    states = states_of(encoder, train, text, seed)
    document, place = text.present.nonzero(as_tuple=True)
    read = partial(lower_bound, probe=config.probe, seed=seed)
    roles = text.roles[text.present]
    word = torch.nn.functional.one_hot(text.words[text.present], len(text.vocabulary)).float()
    rows = [("role", "", read(roles, states, groups=document))]
    known = role_information(of).word_bits
    beyond = read(roles, torch.cat([states, word], dim=1), groups=document)
    shifted = {end: getattr(beyond, end) - known for end in ("value_bits", "low_bits", "high_bits")}
    rows.append(("role beyond the word", "", dataclasses.replace(beyond, **shifted)))
    for lag in config.lags:
        back = place >= lag
        tokens = text.words[document[back], place[back] - lag]
        rows.append(("word", lag, read(tokens, states[back], groups=document[back])))
    fields = ("value_bits", "low_bits", "high_bits", "samples", "kind")
    return [
        {"encoder": encoder, "dim": states.shape[1], "seed": seed, "about": about, "lag": lag}
        | {field: getattr(found, field) for field in fields}
        for about, lag, found in rows
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/structure_and_content"))
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    config = Config(sentences=60, training=100, lags=(0, 2), seeds=(0,)) if options.smoke else Config()
    cells = [(encoder, seed) for seed in config.seeds for encoder in ENCODERS]
    names = [f"{encoder}-{seed}-{config.sentences}".replace(" ", "_") for encoder, seed in cells]
    rows = run_cells(cells, partial(measure, config=config), names, options.out, options.workers)
    for row in rows:
        value = f"{row['value_bits']:.3f} [{row['low_bits']:.3f}, {row['high_bits']:.3f}]"
        print(row["encoder"], row["seed"], row["about"], row["lag"], value, sep="\t")
    if not options.smoke:
        write_results("structure_and_content", rows, asdict(config))


if __name__ == "__main__":
    main()
