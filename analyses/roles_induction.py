"""Units that were learned from words alone beside the usual baselines of unsupervised role induction, on English.

PropBank arguments of the verbs of EWT's test text, whose places are given: which of them have the same role? Purity,
collocation and F1 of Lang and Lapata, verb by verb, weighted by arguments, of all arguments and of ARG0 to ARG5 alone.
Baselines: one cluster; the side of the verb; and, reading the gold tree, the syntactic function (their baseline), the
syntactic position (their first clusters), and positions merged by their agglomerative algorithm, whose two thresholds
were chosen on the development text. Ours: the unit that wins at the word that heads the argument, alone and with the
side of the verb; units are learned from training text without trees or labels, and know neither verb nor argument. A
BiGRU that is taught the development text's roles stands for labels. Few arguments a verb make any clusters look pure:
`f1_dealt` has the same clusters dealt anew to the arguments of each verb. Intervals resample verbs.

    python -m analyses.roles_induction --data ../shared/data
"""

import dataclasses
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from analyses.cells import Study, options_parser
from analyses.provenance import files_in
from analyses.treebank_roles import among_arguments
from infodil.roles import Architecture
from infodil.roles.induction import by_function, by_linking, merge_clusters, read_arguments, score_induction
from infodil.roles.learners import Tuning, ppmi_vectors
from infodil.roles.study import SUPERVISED, UNSUPERVISED, Trial
from infodil.roles.texts import read_propbank, read_universal
from infodil.statistics import REPLICATES, bootstrap_interval, bootstrap_weights

TRAIN = "ud-english-ewt/en_ewt-ud-train.conllu.gz"
DEV, TEST = (f"english-roles/en_ewt-up-{part}.conllu.gz" for part in ("dev", "test"))
BASELINE = "syntactic function"
LABELLED = "BiGRU, labels"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    conditions: tuple[str, ...] = (
        "Hebbian",
        "Hebbian, PPMI vectors",
        "Hebbian, induced classes, 512 units",
        LABELLED,
    )
    sentences: int = 5000
    longest: int = 40
    """Words of a training sentence."""
    teaching: int = 1800
    """Sentences of the development text that teach the BiGRU; the others choose its moment."""
    arguments: int = 100_000
    """Arguments of the test text that are scored, at most."""
    seeds: tuple[int, ...] = (0, 1, 2)
    steps: int = 400
    lexical: float = 0.4
    least: float = 0.7
    """Thresholds of merging, the best of a grid on the development text."""
    tuning: Tuning = field(default_factory=lambda: Tuning(dropped=0.1))
    architecture: Architecture = field(default_factory=lambda: Architecture(dim=32, hidden=600, restarts=3))


SMOKE = Config(
    conditions=("Hebbian", LABELLED), sentences=60, teaching=60, arguments=300, seeds=(0, 1), steps=2,
    architecture=Architecture(dim=4, hidden=20, restarts=1),
)  # fmt: skip


def baselines(cell, config, data):
    """What needs no learning."""
    arguments = read_arguments(data / TEST)[: config.arguments]
    train = read_universal(data / TRAIN)
    vectors = ppmi_vectors(train.words, len(train.vocabulary), dim=50).double().numpy()
    number = {word: place for place, word in enumerate(train.vocabulary)}
    words = vectors[[number.get(one.word, len(vectors) - 1) for one in arguments]]
    clusters = {
        "one cluster": [0] * len(arguments),
        "side of the verb": [one.side for one in arguments],
        BASELINE: by_function(arguments),
        "syntactic position": by_linking(arguments),
        "positions merged": merge_clusters(arguments, words, lexical=config.lexical, least=config.least),
    }
    return [row for name, found in clusters.items() for row in tallies(name, "", found, arguments)]


def induced(cell, config, data):
    """Units of every condition and one seed, and what the BiGRU takes for roles."""
    (seed,) = cell
    arguments = read_arguments(data / TEST)[: config.arguments]
    whole = read_universal(data / TRAIN)
    train = whole[(whole.present.sum(1) <= config.longest).nonzero()[: config.sentences, 0]]
    dev, test = (read_propbank(data / path, like=whole) for path in (DEV, TEST))
    trial = Trial(train, train, seed, config.architecture, config.tuning, config.steps)
    rows = []
    for condition in config.conditions:
        if condition == LABELLED:
            taught, moments = (among_arguments(part) for part in (dev[: config.teaching], dev[config.teaching :]))
            predict = SUPERVISED["BiGRU"](dataclasses.replace(trial, train=taught, validation=moments))
        else:
            predict = UNSUPERVISED[condition](trial).of
        won = predict(test).numpy()
        units = [int(won[one.sentence, one.place]) for one in arguments]
        rows += tallies(condition, seed, units, arguments)
        if condition != LABELLED:
            sides = [(unit, one.side) for unit, one in zip(units, arguments, strict=True)]
            rows += tallies(f"{condition}, and side", seed, sides, arguments)
    return rows


def tallies(condition, seed, clusters, arguments):
    """Of each group of arguments, what every verb adds; of the clusters, and of the same clusters dealt anew."""
    core = [place for place, one in enumerate(arguments) if not one.role.startswith("ARGM")]
    rows = []
    for group, places in (("all", range(len(arguments))), ("core", core)):
        roles, verbs = ([getattr(arguments[place], name) for place in places] for name in ("role", "lemma"))
        mine = [clusters[place] for place in places]
        for dealt in (False, True):
            scored = score_induction(deal(mine, verbs) if dealt else mine, roles, verbs)
            counts = {name: getattr(scored, name).tolist() for name in ("arguments", "pure", "collocated", "clusters")}
            rows.append({"condition": condition, "seed": seed, "group": group, "dealt": dealt} | counts)
    return rows


def deal(clusters, verbs):
    """The clusters of each verb, in another order among its arguments."""
    order, generator = {}, np.random.default_rng(0)
    for place, verb in enumerate(verbs):
        order.setdefault(verb, []).append(place)
    answer = list(clusters)
    for places in order.values():
        for place, taken in zip(places, generator.permutation(places), strict=True):
            answer[place] = clusters[taken]
    return answer


def measures(rows, weights):
    """Purity, collocation and F1 of each row of weights of verbs, means over the seeds."""
    found = []
    for row in rows:
        total, pure, collocated = (weights @ np.array(row[name], float) for name in ("arguments", "pure", "collocated"))
        purity, collocation = pure / total, collocated / total
        found.append([purity, collocation, 2 * purity * collocation / (purity + collocation)])
    return np.mean(found, axis=0).T


def summary(rows):
    """One row for each condition and group: measures, and F1 less the baseline's, with intervals over verbs."""
    found = {}
    for row in rows:
        found.setdefault((row["condition"], row["group"], row["dealt"]), []).append(row)
    return [
        summarised(condition, mine, found[condition, group, True], found[BASELINE, group, False])
        for (condition, group, dealt), mine in found.items()
        if not dealt
    ]


def summarised(condition, mine, dealt, rival):
    """The row of one condition and group."""
    verbs = len(mine[0]["arguments"])
    once, weights = np.ones((1, verbs)), bootstrap_weights(verbs, REPLICATES, 0)
    row = {"condition": condition, "group": mine[0]["group"], "seeds": len(mine), "verbs": verbs}
    row |= {"arguments": sum(mine[0]["arguments"])}
    row |= {"clusters_per_verb": float(np.mean([one["clusters"] for one in mine]))}
    value, drawn = measures(mine, once)[0], measures(mine, weights)
    for place, name in enumerate(("purity", "collocation", "f1")):
        row |= with_ends(name, value[place], drawn[:, place], verbs)
    row |= {"f1_dealt": float(measures(dealt, once)[0, 2])}
    theirs, drawn_theirs = measures(rival, once)[0, 2], measures(rival, weights)[:, 2]
    ahead = with_ends("ahead", value[2] - theirs, drawn[:, 2] - drawn_theirs, verbs)
    verdict = "ahead" if ahead["ahead_low"] > 0 else "behind" if ahead["ahead_high"] < 0 else "cannot be told"
    return row | ahead | {"verdict": verdict}


def with_ends(name, value, drawn, verbs):
    """A measure and its interval over verbs, as columns."""
    low, high = bootstrap_interval(drawn, verbs, 0.95)
    return {name: float(value), f"{name}_low": float(low), f"{name}_high": float(high)}


def main(arguments=None):
    options = options_parser(__doc__, data=True).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    inputs = files_in(options.data, TRAIN, DEV, TEST)
    with Study(__file__, options) as study:
        run = partial(study.run, config=config, inputs=inputs)
        finished = run(partial(baselines, data=options.data), [("baselines",)])
        finished += run(partial(induced, data=options.data), [(seed,) for seed in config.seeds])
        rows = summary(finished.rows)
        study.write("roles_induction", rows, config, finished)
    for row in rows:
        ends = "{purity:.3f}\t{collocation:.3f}\t{f1:.3f} [{f1_low:.3f}, {f1_high:.3f}]\t{f1_dealt:.3f}".format(**row)
        ahead = "{ahead:+.3f} [{ahead_low:+.3f}, {ahead_high:+.3f}]".format(**row)
        print(row["group"], row["condition"], ends, ahead, row["verdict"], sep="\t")


if __name__ == "__main__":
    main()
