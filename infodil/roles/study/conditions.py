"""What learns roles from a text: the Hebbian learner and its variants without labels, and rivals that are told them."""

__all__ = ["SUPERVISED", "UNSUPERVISED", "Trial", "Units", "gru_states", "hebbian_learner", "trace_states"]

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from infodil.ladder import fit_classifier
from infodil.lm import GRULanguageModel, train_language_model
from infodil.roles.learners import Architecture, Competition, HebbianRoles, Tuning, ppmi_vectors, train_bigru
from infodil.roles.texts import RoleText

GRU_DIM = 64
GRU_TOKENS = 400_000

INDUCED = 64
"""Word classes that compete for PPMI vectors, where traces are those of induced classes."""

OWN_DIM, OWN_SHARE = 50, 0.83
"""Numbers in the vector of the word itself, and its length beside an expectation of length one."""

Predictor = Callable[[RoleText], Tensor]
"""The role of each word of a text, -1 where there is none."""


@dataclass(frozen=True)
class Trial:
    """What a condition is given: texts alike in numbering, and a seed."""

    train: RoleText
    """A word whose role is -1 is read and teaches no role."""
    validation: RoleText
    seed: int
    architecture: Architecture = field(default_factory=Architecture)
    tuning: Tuning = field(default_factory=Tuning)
    steps: int = 1500
    inputs: Callable[[RoleText], Tensor] | None = None
    """Ids to read instead of words, the same for every condition."""
    names: RoleText | None = None
    """The text that names the units; the training text by default."""

    def read(self, text: RoleText) -> Tensor | None:
        """What is read of a text instead of its words, if anything."""
        return None if self.inputs is None else self.inputs(text)


@dataclass(frozen=True)
class Units:
    """Units that were learned without labels."""

    of: Callable[[RoleText], Tensor]
    """The unit of each word of a text."""
    number: int


def hebbian_learner(
    trial: Trial, architecture: Architecture | None = None, vectors: Tensor | None = None
) -> HebbianRoles:
    """The Hebbian learner, which is given words (or what is read in their stead) and no roles."""
    read = trial.read(trial.train)
    if read is not None and vectors is None:
        vectors = torch.eye(int(read.max()) + 1)
    chosen = architecture or trial.architecture
    learner = HebbianRoles(len(trial.train.vocabulary), chosen, vectors=vectors, seed=trial.seed)
    return learner.learn(trial.train.words, read)


def hebbian(trial: Trial, architecture: Architecture | None = None, vectors: Tensor | None = None) -> Units:
    """Units of the Hebbian learner."""
    learner = hebbian_learner(trial, architecture, vectors)
    return Units(lambda text: learner.units(text.words, trial.read(text)), learner.architecture.units)


def changed(trial: Trial, **choices: object) -> Units:
    """The same with other choices."""
    return hebbian(trial, dataclasses.replace(trial.architecture, **choices))


def random_vectors(trial: Trial) -> Units:
    """The same over random word vectors."""
    generator = torch.Generator().manual_seed(trial.seed)
    dim = trial.architecture.dim
    return hebbian(trial, vectors=torch.randn(len(trial.train.vocabulary), dim, generator=generator) / dim**0.5)


def counted_vectors(trial: Trial) -> Units:
    """The same over vectors of PPMI and singular values from the raw training text."""
    vectors = ppmi_vectors(trial.train.words, len(trial.train.vocabulary), dim=trial.architecture.dim)
    return hebbian(trial, vectors=vectors)


def class_vectors(trial: Trial) -> Units:
    """The same over traces of word classes alone."""
    classes = torch.eye(len(trial.train.category_names))
    return hebbian(dataclasses.replace(trial, inputs=lambda text: text.categories), vectors=classes)


def stacked(trial: Trial) -> Units:
    """A second learner over traces of the units of a first."""
    first = hebbian_learner(trial)
    units = torch.eye(trial.architecture.units)
    return hebbian(dataclasses.replace(trial, inputs=lambda text: first.units(text.words)), vectors=units)


def induced_classes(trial: Trial, units: int | None = None) -> Units:
    """Traces of word classes that were learned without labels; the word itself has a say beside its context."""
    vectors = ppmi_vectors(trial.train.words, len(trial.train.vocabulary), dim=OWN_DIM)
    number = min(INDUCED, len(vectors) // 2)
    classes = Competition(number, seed=trial.seed).recruit(vectors).learn([vectors], passes=20).winners(vectors)

    def read(text: RoleText) -> Tensor:
        return torch.where(text.present, classes[text.words], -1)

    seen = vectors[trial.train.words[trial.train.present]]
    own = OWN_SHARE * (vectors - seen.mean(0)) / (seen - seen.mean(0)).square().sum(1).mean().sqrt()
    chosen = dataclasses.replace(trial.architecture, units=units or trial.architecture.units)
    learner = HebbianRoles(len(vectors), chosen, vectors=torch.eye(number), own=own, seed=trial.seed)
    learner.learn(trial.train.words, read(trial.train))
    return Units(lambda text: learner.units(text.words, read(text)), chosen.units)


def one_layer(trial: Trial) -> Units:
    """The prototype to beat: one competition on decorrelated traces of learned word vectors and the word itself."""
    return clustered(trial, trace_states(trial))


def trace_states(trial: Trial) -> Callable[[RoleText], Tensor]:
    """The learned vector of each word beside the decorrelated traces around it."""
    flat = dataclasses.replace(trial.architecture, hidden=0)
    learner = HebbianRoles(len(trial.train.vocabulary), flat, seed=trial.seed)
    learner.prepare(trial.train.words)
    return lambda text: torch.cat([learner.word_states(text.words), learner.trace_states(text.words)], dim=1)


def clustered(trial: Trial, states: Callable[[RoleText], Tensor]) -> Units:
    """One competition on standardised states."""
    rows = states(trial.train)
    shift, scale = rows.mean(0), rows.std(0).clamp(min=1e-3)
    rows = (rows - shift) / scale
    number = trial.architecture.units
    tried = [
        Competition(number, seed=1000 * trial.seed + start).recruit(rows).learn(rows.split(2048), passes=8)
        for start in range(trial.architecture.restarts)
    ]
    best = min(tried, key=lambda one: one.error(rows))

    def units(text: RoleText) -> Tensor:
        answer = torch.full_like(text.words, -1)
        answer[text.present] = best.winners((states(text) - shift) / scale)
        return answer

    return Units(units, number)


def gru_states(trial: Trial, trained: bool) -> Callable[[RoleText], Tensor]:
    """States of two GRU language models, one for each direction; with random weights where not trained."""
    models = []
    for direction in (False, True):
        model = GRULanguageModel(len(trial.train.vocabulary), GRU_DIM, seed=2 * trial.seed + direction)
        if trained:
            texts = [turned(text, direction) for text in (trial.train, trial.validation)]
            flat = [text[text >= 0].numpy() for text in texts]
            train_language_model(
                model, *flat, tokens=GRU_TOKENS, window=32, batch_size=32, seed=trial.seed, progress=False
            )
        models.append(model)

    @torch.no_grad()
    def states(text: RoleText) -> Tensor:
        forward = models[0].states(text.words.clamp(min=0))
        back = turned_back(models[1].states(turned(text, True).clamp(min=0)), text)
        return torch.cat([forward, back], dim=-1)[text.present]

    return states


def turned(text: RoleText, backward: bool) -> Tensor:
    """The words of each sentence, from its last to its first where backward."""
    return text.words.gather(1, turning(text)) if backward else text.words


def turned_back(states: Tensor, text: RoleText) -> Tensor:
    """States of turned sentences, in the order of the text."""
    return states.gather(1, turning(text)[..., None].expand_as(states))


def turning(text: RoleText) -> Tensor:
    """Where each place of a sentence goes when it is turned round; padding stays. It is its own inverse."""
    places, length = torch.arange(text.words.shape[1]).expand_as(text.words), text.present.sum(1, keepdim=True)
    return torch.where(places < length, length - 1 - places, places)


def language_model(trial: Trial) -> Units:
    """The same competition on states of a GRU that learned to predict words."""
    return clustered(trial, gru_states(trial, trained=True))


def random_gru(trial: Trial) -> Units:
    """The same competition on states of a GRU with random weights."""
    return clustered(trial, gru_states(trial, trained=False))


def supervised_probe(trial: Trial, kind: str) -> Predictor:
    """A probe of the same traces and the word vector, trained on the roles and selected on the validation text."""
    states = trace_states(trial)

    def labelled(text: RoleText) -> tuple[Tensor, Tensor]:
        roles = text.roles[text.present]
        return states(text)[roles >= 0], roles[roles >= 0]

    classifier = fit_classifier(labelled(trial.train), labelled(trial.validation), probe=kind, seed=trial.seed)

    def predict(text: RoleText) -> Tensor:
        answer = torch.full_like(text.words, -1)
        answer[text.present] = classifier.predict(states(text))
        return answer

    return predict


def bigru(trial: Trial) -> Predictor:
    """The supervised rival."""
    inputs = None if trial.inputs is None else (trial.read(trial.train), trial.read(trial.validation))
    model, _ = train_bigru(
        trial.train, trial.validation, (trial.tuning,), inputs=inputs, steps=trial.steps, seed=trial.seed
    )
    return lambda text: model.predict(text.words if trial.inputs is None else trial.read(text))


def majority(trial: Trial) -> Predictor:
    """The commonest role of each word in the training text, and of all words for one it does not have."""
    counts = torch.zeros(len(trial.train.vocabulary), len(trial.train.role_names))
    taught = trial.train.roles >= 0
    words, roles = trial.train.words[taught], trial.train.roles[taught]
    counts.index_put_((words, roles), torch.ones(len(words)), accumulate=True)
    counts += 1e-3 * counts.sum(0) / counts.sum()
    guess = counts.argmax(1)
    return lambda text: torch.where(text.present, guess[text.words], -1)


UNSUPERVISED: dict[str, Callable[[Trial], Units]] = {
    "Hebbian": hebbian,
    "Hebbian, forward only": partial(changed, backward=False),
    "Hebbian, a unit a role": lambda trial: changed(trial, units=len(trial.train.role_names)),
    "Hebbian, one trace": partial(changed, alphas=(0.5,)),
    "Hebbian, no hidden layer": partial(changed, hidden=0),
    "Hebbian, stacked": stacked,
    "Hebbian, random vectors": random_vectors,
    "Hebbian, PPMI vectors": counted_vectors,
    "Hebbian, word classes": class_vectors,
    "Hebbian, induced classes": induced_classes,
    "Hebbian, induced classes, 512 units": partial(induced_classes, units=512),
    "one layer": one_layer,
    "GRU language model": language_model,
    "random GRU": random_gru,
}
"""Name to what makes units of a trial, of whose roles it sees none."""

SUPERVISED: dict[str, Callable[[Trial], Predictor]] = {
    "linear probe": partial(supervised_probe, kind="linear"),
    "Gaussian probe": partial(supervised_probe, kind="gaussian"),
    "BiGRU": bigru,
    "majority per word": majority,
}
"""Name to what makes a predictor of a trial and its roles."""
