"""How many labelled sentences are the units worth that were learned without any, and from how many on is a BiGRU ahead?

On grammar A. Units are formed from 6,000 sentences without labels and named by the first n of them; a unit that wins
none of their words has the name of the nearest unit that does. A BiGRU is trained on the same n labelled sentences and
on nothing else; another one first learns to guess hidden words of the 6,000 and is then tuned on the n. None of them is
told a label beyond n: the moment of training is chosen on the labelled sentences themselves, and settings were chosen
on other seeds. A word that no labelled sentence has is read by the first BiGRU as a hidden word, of which it has
learned a vector. Differences are taken seed by seed; where the curves cross is found on each seed by a line between
numbers of labels, on a logarithmic scale. It could refute that units save labels, if a pretrained BiGRU needs as few.

    python -m analyses.roles_labels
"""

import math
from dataclasses import dataclass, field

import torch

from analyses.cells import Study, options_parser
from analyses.grammatical_roles import groups
from infodil.roles import Architecture, grammar
from infodil.roles.learners import Tuning, train_bigru
from infodil.roles.pretraining import pretrain_bigru, tune_bigru
from infodil.roles.study import Trial, hebbian_learner, name_units, score, summarise

UNITS, TRAINED, PRETRAINED = "units", "BiGRU", "pretrained BiGRU"
LEARNERS = (UNITS, TRAINED, PRETRAINED)
GROUPS = ("arguments", "structure-dependent")


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    sentences: int = 6000
    labelled: tuple[int, ...] = (10, 20, 50, 100, 300, 1000, 6000)
    test: int = 2000
    seeds: tuple[int, ...] = (10, 11, 12, 13, 14)
    """Not those on which settings were chosen, 0 to 3."""
    steps: tuple[tuple[int, int], ...] = ((100, 200), (1000, 400), (6000, 800))
    """Training steps by the largest number of labelled sentences to which they apply."""
    moments: int = 300
    """Labelled sentences on which the moment of training is chosen, at most."""
    pretraining: int = 1500
    """Steps on hidden words."""
    few: int = 100
    """Labelled sentences up to which `tuning_of_few` holds."""
    tuning: Tuning = field(default_factory=lambda: Tuning(dropped=0.1))
    tuning_of_few: Tuning = field(default_factory=lambda: Tuning(dropped=0.3))
    tuned: Tuning = field(default_factory=lambda: Tuning(dropped=0.1))
    """Of the pretrained one, on labels."""
    architecture: Architecture = field(default_factory=Architecture)


SMOKE = Config(
    sentences=120, labelled=(10, 40, 120), test=60, seeds=(0, 1), steps=((120, 2),), pretraining=2,
    architecture=Architecture(hidden=40, restarts=1),
)  # fmt: skip


def texts_of(seed, config):
    """The sentences that are read, of which the first have labels, and those that are scored."""
    of = grammar("A")
    train = of.sample(config.sentences, training=True, seed=10 * seed + 1)
    return train, of.sample(config.test, seed=10 * seed + 3)


def steps_of(labelled, config):
    """Training steps for so many labelled sentences."""
    return next(steps for most, steps in config.steps if labelled <= most)


def known_words(text, words, hidden):
    """Words of a text, those that no sentence of `words` has as the hidden word."""
    return torch.where(torch.isin(text.words, words) | ~text.present, text.words, hidden)


def predictor(learner, seed, config, train):
    """From a number of labelled sentences to a predictor of roles; what needs no label is done once."""
    if learner == UNITS:
        units = FormedUnits(Trial(train, train, seed, config.architecture))
        return lambda labelled: units.named(train[:labelled])
    start = None
    if learner == PRETRAINED:
        start = pretrain_bigru(train, config.tuning, steps=config.pretraining, seed=seed)

    def learn(labelled):
        taught, steps = train[:labelled], steps_of(labelled, config)
        moments = taught[: config.moments]
        if start is not None:
            model = tune_bigru(start, taught, moments, config.tuned, steps=steps, seed=seed)
            return lambda text: model.predict(text.words)
        tuning = config.tuning_of_few if labelled <= config.few else config.tuning
        model, _ = train_bigru(taught, moments, (tuning,), steps=steps, seed=seed)
        return lambda text: model.predict(known_words(text, taught.words, model.padding))

    return learn


class FormedUnits:
    """Units that were learned without labels, to be named by few."""

    def __init__(self, trial):
        self.learner, self.read, self.known = hebbian_learner(trial), trial.read, {}

    def of(self, text):
        """The unit of each word of a text, which is worked out once."""
        if id(text) not in self.known:
            self.known[id(text)] = (self.learner.units(text.words, self.read(text)), text)
        return self.known[id(text)][0]

    def named(self, text):
        """A predictor of roles by the labels of a text; a unit that won none of them has the nearest unit's name."""
        weights = self.learner.roles.weights
        numbers = {"number": len(weights), "role_number": len(text.role_names)}
        names = name_units(self.of(text), text.roles, **numbers).many_to_one
        apart = torch.cdist(weights, weights).masked_fill(names < 0, math.inf)
        # One more: a word that is not there is unit -1.
        table = torch.cat([torch.where(names < 0, names[apart.argmin(1)], names), torch.tensor([-1])])
        return lambda other: table[self.of(other)]


def label_curve(cell, config):
    """One learner and seed: its accuracy after each number of labelled sentences."""
    learner, seed = cell
    train, test = texts_of(seed, config)
    learn, rows = predictor(learner, seed, config, train), []
    for labelled in config.labelled:
        for row in score({"": learn(labelled)}, {"A": test}, groups):
            if row["group"] in ("all", *GROUPS):
                kept = {name: row[name] for name in ("group", "accuracy", "tokens")}
                rows.append({"learner": learner, "seed": seed, "labelled": labelled, **kept})
    return rows


def compared(rows):
    """The units against each rival: difference at each number of labels, and where the curves cross."""
    found = {(row["learner"], row["seed"], row["labelled"], row["group"]): row["accuracy"] for row in rows}
    seeds, numbers = (sorted({row[name] for row in rows}) for name in ("seed", "labelled"))
    answer = []
    for rival in (TRAINED, PRETRAINED):
        for group in GROUPS:
            ahead = {
                seed: [found[rival, seed, number, group] - found[UNITS, seed, number, group] for number in numbers]
                for seed in seeds
            }
            row = {"rival": rival, "group": group, "seeds": len(seeds)}
            for place, number in enumerate(numbers):
                mean, low, high = summarise([ahead[seed][place] for seed in seeds])
                answer.append({**row, "labelled": number, "difference_mean": mean, "difference_low": low,
                               "difference_high": high, "verdict": verdict(low, high)})  # fmt: skip
            answer.append(
                {**row, "labelled": "crossing", **crossed([crossing(numbers, ahead[seed]) for seed in seeds])}
            )
    return answer


def verdict(low, high):
    """Who is ahead, by an interval of the rival's lead."""
    return "rival ahead" if low > 0 else "units ahead" if high < 0 else "cannot be told"


def crossing(numbers, ahead):
    """Number of labels from which on the rival is ahead: 0 if it always is, infinity if it is not at the end."""
    behind = [place for place, lead in enumerate(ahead) if lead <= 0]
    if not behind or behind[-1] == len(numbers) - 1:
        return math.inf if behind else 0.0
    last = behind[-1]
    share = -ahead[last] / (ahead[last + 1] - ahead[last])
    return math.exp(math.log(numbers[last]) + share * math.log(numbers[last + 1] / numbers[last]))


def crossed(places):
    """Geometric mean over seeds and Student's interval of logarithms, where all seeds cross; else in words."""
    finite = [place for place in places if 0.0 < place < math.inf]
    if len(finite) == len(places):
        mean, low, high = (math.exp(value) for value in summarise([math.log(place) for place in places]))
        return {"crossing_mean": mean, "crossing_low": low, "crossing_high": high, "verdict": "all seeds cross"}
    always, never = places.count(0.0), places.count(math.inf)
    return {"verdict": f"{len(finite)} of {len(places)} seeds cross; {always} always ahead, {never} never"}


def show(rows):
    """Print the comparison, in percent."""
    for row in rows:
        words = [row["rival"], row["group"], row["labelled"]]
        if "crossing_mean" in row:
            words.append("{crossing_mean:.0f} [{crossing_low:.0f}, {crossing_high:.0f}]".format(**row))
        if "difference_mean" in row:
            ends = (100 * row[f"difference_{end}"] for end in ("mean", "low", "high"))
            words.append("{:+.2f} [{:+.2f}, {:+.2f}]".format(*ends))
        print(*words, row["verdict"], sep="\t")


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    cells = [(learner, seed) for seed in config.seeds for learner in LEARNERS]
    with Study(__file__, options) as study:
        finished = study.run(label_curve, cells, config)
        study.write("roles_labels", finished.rows, config, finished)
        comparison = compared(finished.rows)
        study.write("roles_labels_crossings", comparison, config, finished)
    show(comparison)


if __name__ == "__main__":
    main()
