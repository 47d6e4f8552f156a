"""How far do roles that were learned on one grammar carry, step by step, on the way to another?

Steps from grammar A: new content words; all new words in the same order; the old words in a new order; new words and
order; grammar B, verb-final with case particles. At each step: *frozen*, nothing is learned of the new language, its
words leave no trace but that a word stands there, and units keep the names that A gave them; *renamed*, the same units
named anew by n labelled sentences of the new language; *going on*, units learned without labels from A's sentences and
the new language's together (all that the layers keep are sums over sentences, so that going on is learning from both;
the units compete anew), named on A or by n; *anew*, units of the new language's sentences alone, named by n. Beside
them the same through universal parts of speech, which all the languages share, and a BiGRU trained on A's labels,
frozen (a new word is a hidden one) or tuned on n labelled sentences. So the paper's 61.8 has a place on a curve.

    python -m analyses.roles_transfer_steps
"""

import dataclasses
from dataclasses import dataclass, field

import torch

from analyses.cells import Study, options_parser
from analyses.grammatical_roles import groups
from analyses.roles_labels import FormedUnits, known_words
from analyses.roles_languages import STEPS, joined, sample, universal_classes
from infodil.roles import Architecture, grammar
from infodil.roles.learners import Tuning, train_bigru
from infodil.roles.pretraining import tune_bigru
from infodil.roles.study import Trial, score
from infodil.statistics import share_interval

PAPER = 0.618
"""What the paper reports after transfer to another grammar."""
NEW = tuple(step for step in STEPS if step != "the same")
KEPT = ("all", "arguments", "structure-dependent")
"""Groups of tokens."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    sentences: int = 3000
    """Of A, labelled where the BiGRU learns and where units are named on A."""
    new: int = 1000
    """Sentences of the new language without labels."""
    labelled: tuple[int, ...] = (10, 100, 1000)
    test: int = 1000
    seeds: tuple[int, ...] = (10, 11, 12)
    """Not those on which settings were chosen, 0 to 3."""
    moments: int = 300
    steps: int = 400
    tuning_steps: int = 100
    tuning: Tuning = field(default_factory=lambda: Tuning(dropped=0.1))
    tuned: Tuning = field(default_factory=lambda: Tuning(dropped=0.1))
    architecture: Architecture = field(default_factory=lambda: Architecture(hidden=750, restarts=8))
    """Half the headline's random layer and restarts: there are six languages to learn."""


SMOKE = Config(
    sentences=80, new=60, labelled=(10, 40), test=30, seeds=(0, 1), steps=2, tuning_steps=2,
    architecture=Architecture(hidden=30, restarts=1),
)  # fmt: skip


def new_text(step, seed, config):
    """Sentences of a step, of which the first have labels."""
    return sample(step, config.new, seed=10 * seed + 6, training=True)


def old_text(seed, config):
    """Sentences of A."""
    return sample("the same", config.sentences, seed=10 * seed + 1, training=True)


def test_text(step, seed, sentences):
    """The text that is scored, and its groups of tokens."""
    test = sample(step, sentences, seed=10 * seed + 3)
    language = "B" if STEPS[step].language == "B" else "A"
    # Words as the grammar numbers them, for the groups of tokens.
    return test, groups(language, dataclasses.replace(test, words=own_numbers(test, grammar(language))))


def scored(predict, step, seed, config, **known):
    """Rows of one predictor on the test text of a step."""
    test, masks = test_text(step, seed, config.test)
    rows = score({"": predict}, {step: test}, lambda name, text: masks)
    kept = ("group", "accuracy", "tokens")
    return [
        {"step": step, "seed": seed, **known} | {name: row[name] for name in kept}
        for row in rows
        if row["group"] in KEPT
    ]


def own_numbers(text, of):
    """Words of a text as its grammar numbers them."""
    size, old = len(of.vocabulary), len(grammar("A").vocabulary)
    begin = 2 * old if of.language.name == "B" else 0
    return torch.where(text.present, (text.words - begin) % size, -1)


def learned(train, seed, config, inputs=None):
    """Units of a text."""
    return FormedUnits(Trial(train, train, seed, config.architecture, inputs=inputs))


def renamed(units, steps, seed, config, learner):
    """Units at each step: frozen, and named by each number of labelled sentences."""
    names, rows = old_text(seed, config), []
    for step in steps:
        known = {"learner": learner, "way": "frozen"}
        rows += scored(units.named(names), step, seed, config, **known, labelled=0)
        new = new_text(step, seed, config)
        for labelled in config.labelled:
            known = {"learner": learner, "way": "renamed", "labelled": labelled}
            rows += scored(units.named(new[:labelled]), step, seed, config, **known)
    return rows


def by_words(cell, config):
    """Units of A."""
    (seed,) = cell
    units = learned(old_text(seed, config), seed, config)
    return renamed(units, STEPS, seed, config, "units")


def by_classes(cell, config):
    """Units of A over universal parts of speech. Respelling changes none of them."""
    (seed,) = cell
    units = learned(old_text(seed, config), seed, config, universal_classes)
    return renamed(units, ("the same", "new order", "verb-final, particles"), seed, config, "units over classes")


def going_on(cell, config):
    """Units of A and of a step together, and of the step alone."""
    seed, step = cell
    old, new = old_text(seed, config), new_text(step, seed, config)
    together, alone = learned(joined(old, new), seed, config), learned(new, seed, config)
    rows = scored(together.named(old), step, seed, config, learner="units", way="going on", labelled=0)
    for labelled in config.labelled:
        for way, units in (("going on", together), ("anew", alone)):
            known = {"learner": "units", "way": way, "labelled": labelled}
            rows += scored(units.named(new[:labelled]), step, seed, config, **known)
    return rows


def by_bigru(cell, config):
    """The BiGRU of A, frozen and tuned."""
    (seed,) = cell
    old, rows = old_text(seed, config), []
    start, _ = train_bigru(old, old[: config.moments], (config.tuning,), steps=config.steps, seed=seed)
    for step in STEPS:
        new = new_text(step, seed, config)
        for labelled in (0, *config.labelled):
            taught = new[:labelled] if labelled else old
            model = start if not labelled else tune_bigru(
                start, taught, taught[: config.moments], config.tuned, steps=config.tuning_steps, seed=seed
            )  # fmt: skip
            seen = torch.cat([old.words.flatten(), taught.words.flatten()])

            def predict(text, model=model, seen=seen):
                return model.predict(known_words(text, seen, model.padding))

            known = {"learner": "BiGRU", "way": "renamed" if labelled else "frozen", "labelled": labelled}
            rows += scored(predict, step, seed, config, **known)
    return rows


KEYS = ("step", "learner", "way", "labelled", "group")


def over_seeds(rows):
    """Mean and interval of each accuracy, and whether the paper's share lies below, within or above."""
    found = {}
    for row in rows:
        found.setdefault(tuple(row[name] for name in KEYS), []).append(row)
    answer = []
    for key, mine in found.items():
        shares, tokens = ([row[name] for row in mine] for name in ("accuracy", "tokens"))
        mean, low, high = share_interval(shares, tokens, 0.95)
        place = "above" if low > PAPER else "below" if high < PAPER else "cannot be told"
        answer.append(
            dict(zip(KEYS, key, strict=True))
            | {"seeds": len(mine), "mean": mean, "low": low, "high": high, "beside_the_paper": place}
        )
    return answer


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    seeds = [(seed,) for seed in config.seeds]
    with Study(__file__, options) as study:
        finished = study.run(by_words, seeds, config)
        finished += study.run(by_classes, seeds, config)
        finished += study.run(by_bigru, seeds, config)
        finished += study.run(going_on, [(seed, step) for seed in config.seeds for step in NEW], config)
        rows = over_seeds(finished.rows)
        study.write("roles_transfer_steps", rows, config, finished)
    for row in rows:
        if row["group"] == "arguments":
            ends = "{:.1f} [{:.1f}, {:.1f}]".format(*(100 * row[name] for name in ("mean", "low", "high")))
            print(*(row[name] for name in KEYS), ends, row["beside_the_paper"], sep="\t")


if __name__ == "__main__":
    main()
