"""Score learners of roles on the same texts: one row for each condition, seed, test text and group of tokens."""

__all__ = ["CONDITIONS", "Trial", "run_trial", "summarise"]

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from scipy.stats import t as student
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from infodil.checks import UserError, check_one_of, check_whole
from infodil.encoders import GRUEncoder
from infodil.lm import train_language_model
from infodil.roles.bigru import Tuning, train_bigru
from infodil.roles.competition import Competition
from infodil.roles.hebbian import Architecture, HebbianRoles
from infodil.roles.naming import name_units
from infodil.roles.text import RoleText
from infodil.roles.vectors import ppmi_vectors

READ_ROWS = 20_000
"""Rows that the linear reader is fitted to."""

GRU_DIM = 64
GRU_TOKENS = 400_000

Predictor = Callable[[RoleText], Tensor]
Learned = tuple[dict[str, Predictor], dict]
"""Predictors by the way of naming, and what is known of the units."""


@dataclass(frozen=True)
class Trial:
    """What a condition is given: texts alike in numbering, and a seed."""

    train: RoleText
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


def named(trial: Trial, units: Callable[[RoleText], Tensor], number: int) -> tuple[dict[str, Predictor], dict]:
    """Predictors from units by both ways of naming, and what is known of the names."""
    text = trial.names or trial.train
    naming = name_units(units(text), text.roles, number=number, role_number=len(text.role_names), seed=trial.seed)
    # One more row: a word that is not there is unit -1.
    tables = {way: torch.cat([getattr(naming, way), torch.tensor([-1])]) for way in ("many_to_one", "one_to_one")}
    predictors = {way: lambda text, table=table: table[units(text)] for way, table in tables.items()}
    return predictors, {"units": number, "v_measure": naming.v_measure, "chance": naming.chance}


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


def hebbian(trial: Trial, architecture: Architecture | None = None, vectors: Tensor | None = None) -> Learned:
    """Units of the Hebbian learner."""
    learner = hebbian_learner(trial, architecture, vectors)
    return named(trial, lambda text: learner.units(text.words, trial.read(text)), learner.architecture.units)


def forward_hebbian(trial: Trial) -> Learned:
    """The same with forward traces alone: a causal reader."""
    return hebbian(trial, dataclasses.replace(trial.architecture, backward=False))


def random_vectors(trial: Trial) -> Learned:
    """The same over random word vectors."""
    generator = torch.Generator().manual_seed(trial.seed)
    dim = trial.architecture.dim
    return hebbian(trial, vectors=torch.randn(len(trial.train.vocabulary), dim, generator=generator) / dim**0.5)


def counted_vectors(trial: Trial) -> Learned:
    """The same over vectors of PPMI and singular values from the raw training text."""
    vectors = ppmi_vectors(trial.train.words, len(trial.train.vocabulary), dim=trial.architecture.dim)
    return hebbian(trial, vectors=vectors)


def class_vectors(trial: Trial) -> Learned:
    """The same over traces of word classes alone."""
    classes = torch.eye(len(trial.train.category_names))
    return hebbian(dataclasses.replace(trial, inputs=lambda text: text.categories), vectors=classes)


def one_layer(trial: Trial) -> Learned:
    """The prototype to beat: one competition on decorrelated traces of learned word vectors and the word itself."""
    return clustered(trial, trace_states(trial))


def trace_states(trial: Trial) -> Callable[[RoleText], Tensor]:
    """The learned vector of each word beside the decorrelated traces around it."""
    flat = dataclasses.replace(trial.architecture, hidden=0)
    learner = HebbianRoles(len(trial.train.vocabulary), flat, seed=trial.seed)
    learner.prepare(trial.train.words)
    return lambda text: torch.cat([learner.word_states(text.words), learner.trace_states(text.words)], dim=1)


def clustered(trial: Trial, states: Callable[[RoleText], Tensor]) -> Learned:
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

    return named(trial, units, number)


def gru_states(trial: Trial, trained: bool) -> Callable[[RoleText], Tensor]:
    """States of two GRU language models, one for each direction; with random weights where not trained."""
    models = []
    for direction in (False, True):
        model = GRUEncoder(len(trial.train.vocabulary), GRU_DIM, seed=2 * trial.seed + direction)
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


def language_model(trial: Trial) -> Learned:
    """The same competition on states of a GRU that learned to predict words."""
    return clustered(trial, gru_states(trial, trained=True))


def random_gru(trial: Trial) -> Learned:
    """The same competition on states of a GRU with random weights."""
    return clustered(trial, gru_states(trial, trained=False))


def supervised_reader(trial: Trial, kind: str) -> Learned:
    """A reader that is told the roles, of the same traces and the word vector."""
    states = trace_states(trial)
    rows = states(trial.train).numpy()
    roles = trial.train.roles[trial.train.present].numpy()
    if kind == "gaussian":
        reader = LinearDiscriminantAnalysis().fit(rows, roles)
    else:
        some = np.random.default_rng(trial.seed).permutation(len(rows))[:READ_ROWS]
        reader = LogisticRegression(max_iter=400, tol=1e-3).fit(rows[some], roles[some])

    def predict(text: RoleText) -> Tensor:
        answer = torch.full_like(text.words, -1)
        answer[text.present] = torch.from_numpy(reader.predict(states(text).numpy()))
        return answer

    return {"supervised": predict}, {}


def bigru(trial: Trial) -> Learned:
    """The supervised rival."""
    inputs = None if trial.inputs is None else (trial.read(trial.train), trial.read(trial.validation))
    model, _ = train_bigru(
        trial.train, trial.validation, (trial.tuning,), inputs=inputs, steps=trial.steps, seed=trial.seed
    )
    return {"supervised": lambda text: model.predict(text.words if trial.inputs is None else trial.read(text))}, {}


def majority(trial: Trial) -> Learned:
    """The commonest role of each word in the training text, and of all words for one it does not have."""
    counts = torch.zeros(len(trial.train.vocabulary), len(trial.train.role_names))
    here = trial.train.present
    counts.index_put_((trial.train.words[here], trial.train.roles[here]), torch.ones(int(here.sum())), accumulate=True)
    counts += 1e-3 * counts.sum(0) / counts.sum()
    guess = counts.argmax(1)
    return {"supervised": lambda text: torch.where(text.present, guess[text.words], -1)}, {}


CONDITIONS = {
    "Hebbian": hebbian,
    "Hebbian, forward only": forward_hebbian,
    "Hebbian, random vectors": random_vectors,
    "Hebbian, PPMI vectors": counted_vectors,
    "Hebbian, word classes": class_vectors,
    "one layer": one_layer,
    "GRU language model": language_model,
    "random GRU": random_gru,
    "linear reader": lambda trial: supervised_reader(trial, "linear"),
    "Gaussian reader": lambda trial: supervised_reader(trial, "gaussian"),
    "BiGRU": bigru,
    "majority per word": majority,
}
"""Name to what learns from a trial: gives predictors, one for each way of naming, and what is known of the units."""


def run_trial(
    condition: str, trial: Trial, texts: dict[str, RoleText], groups: Callable[[str, RoleText], dict[str, Tensor]]
) -> list[dict]:
    """Learn once, score on every text and group of tokens.

    Args:
        condition: A name of `CONDITIONS`.
        trial: What it learns from.
        texts: Test texts by name.
        groups: Masks of tokens by name, beside `all`, `arguments` and each role.

    Raises:
        UserError: No such condition.
    """
    check_one_of("condition", condition, tuple(CONDITIONS))
    predictors, known = CONDITIONS[condition](trial)
    rows = []
    for name, text in texts.items():
        masks = {"all": text.present, "arguments": text.is_argument}
        masks |= {role: text.roles == place for place, role in enumerate(text.role_names)} | groups(name, text)
        for way, predict in predictors.items():
            right = predict(text) == text.roles
            for group, mask in masks.items():
                if bool(mask.any()):
                    score = {"accuracy": float(right[mask].double().mean()), "tokens": int(mask.sum())}
                    rows.append(
                        {"condition": condition, "seed": trial.seed, "text": name, "group": group, "naming": way}
                        | score
                        | known
                    )
    return rows


def summarise(values: Sequence[float], confidence: float = 0.95) -> tuple[float, float, float]:
    """Mean over seeds and the ends of Student's interval.

    Example:
        >>> [round(value, 3) for value in summarise([0.9, 0.92, 0.94])]
        [0.92, 0.87, 0.97]
    """
    check_whole("len(values)", len(values), 2, "an interval over seeds needs two")
    values = np.asarray(values, dtype=float)
    if not np.isfinite(values).all():
        raise UserError("`values` must be finite, got one that is not: leave out seeds that were not run.")
    reach = student.ppf((1 + confidence) / 2, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return float(values.mean()), float(values.mean() - reach), float(values.mean() + reach)
