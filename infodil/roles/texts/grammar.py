"""Sentences of a probabilistic grammar with an exact role for each word, and everything that can be known of them."""

__all__ = ["Grammar", "Slot", "Template", "grammar"]

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np
import torch
from jaxtyping import Float64
from numpy import ndarray

from infodil.checks import UserError, check_between, check_one_of, check_seed, check_whole
from infodil.roles.texts.languages import ARGUMENTS, LANGUAGES, NOUN_CLASSES, PREFERENCES, ROLES, UNIVERSAL, Language
from infodil.roles.texts.text import PADDING, RoleText

RICH = 0.5
"""How often a clause has a richer noun phrase than the plain ones."""

ZIPF = 0.5
"""Words of a class are drawn with probability proportional to rank ** -ZIPF."""

MOST_DEPTH = 2
"""Grammar A has 63,411 sentence patterns of this depth; a further one would make them twelve times as many."""

UNIVERSAL_NAMES = tuple(dict.fromkeys(UNIVERSAL.values()))

CATEGORIES = {"Vi": "V", "Vt": "V", "Vd": "V"}
"""Word classes that order alone does not tell apart."""


class Slot(NamedTuple):
    """A place in a sentence: the class of its word, its role, and the relative clauses around it."""

    word_class: str
    role: str
    depth: int

    @property
    def category(self) -> str:
        """The class as far as order tells it."""
        return CATEGORIES.get(self.word_class, self.word_class)


class Template(NamedTuple):
    """A sentence pattern with its probability."""

    probability: float
    slots: tuple[Slot, ...]


@dataclass(frozen=True, eq=False)
class Grammar:
    """A language whose relative clauses nest at most (or exactly) so deep, with its whole list of sentence patterns.

    Made by `grammar`.
    """

    language: Language
    depth: int
    exactly: bool
    held_out: float

    @cached_property
    def templates(self) -> tuple[Template, ...]:
        """Every sentence pattern; the probabilities sum to 1."""
        weight: dict[tuple[Slot, ...], float] = {}
        for probability, slots in main_clauses(self.language, self.depth):
            if not self.exactly or max(slot.depth for slot in slots) == self.depth:
                weight[slots] = weight.get(slots, 0.0) + probability
        total = sum(weight.values())
        return tuple(Template(probability / total, slots) for slots, probability in weight.items())

    @cached_property
    def vocabulary(self) -> tuple[str, ...]:
        """All words: nouns class by class, then the others."""
        nouns = itertools.chain.from_iterable(self.language.nouns[name] for name in NOUN_CLASSES)
        others = itertools.chain.from_iterable(self.language.words.values())
        return tuple(dict.fromkeys([*nouns, *others]))

    @cached_property
    def category_names(self) -> tuple[str, ...]:
        """Word classes as order tells them: noun, verb, adjective, adverb, and every closed class."""
        return tuple(dict.fromkeys(["N", *(CATEGORIES.get(name, name) for name in self.language.words)]))

    def word_probabilities(self, slot: Slot, *, training: bool = False) -> Float64[ndarray, "vocabulary"]:
        """How often each word fills a slot; in training text held-out nouns keep to one role."""
        return _word_probabilities(self, slot.word_class, slot.role, training)

    def class_words(self, word_class: str, role: str) -> Float64[ndarray, "vocabulary"]:
        """The same, for all slots of a class and role."""
        return _word_probabilities(self, word_class, role, False)

    @cached_property
    def held_out_nouns(self) -> dict[str, str]:
        """Nouns of which training text shows one role only: that in which their class is most at home."""
        share = {role: 0.0 for role in ARGUMENTS}
        for probability, slots in self.templates:
            for slot in slots:
                if slot.word_class == "N":
                    share[slot.role] += probability
        homes = {}
        for place, name in enumerate(NOUN_CLASSES):
            home = max(ARGUMENTS, key=lambda role: share[role] * PREFERENCES[role][place])
            nouns = self.language.nouns[name]
            number = round(self.held_out * len(nouns))
            # Spread over the ranks, so that they are neither the rare nor the common ones.
            picked = np.linspace(1, len(nouns) - 2, number).round().astype(int) if number else []
            homes.update({nouns[index]: home for index in picked})
        return homes

    def is_held_out(self, text: RoleText) -> torch.Tensor:
        """Mask of the nouns that have a role in which training text never shows them."""
        never = torch.zeros(len(self.vocabulary) + 1, len(ROLES) + 1, dtype=torch.bool)
        for noun, home in self.held_out_nouns.items():
            never[self.vocabulary.index(noun), [ROLES.index(role) for role in ARGUMENTS if role != home]] = True
        return never[text.words, text.roles]

    def universal_classes(self, text: RoleText) -> torch.Tensor:
        """Universal parts of speech, in which the languages have words in common: ids into `UNIVERSAL_NAMES`."""
        own = {**UNIVERSAL, "to": "ADP" if self.language.name == "A" else "CCONJ"}
        ids = [UNIVERSAL_NAMES.index(own[name]) for name in self.category_names]
        return torch.tensor([*ids, PADDING])[text.categories]

    def sample(self, sentences: int, *, training: bool = False, seed: int = 0) -> RoleText:
        """Draw sentences.

        Args:
            sentences: How many.
            training: Keep held-out nouns to one role.
            seed: The same seed gives the same sentences.

        Example:
            >>> text = grammar("A").sample(2, seed=1)
            >>> [text.vocabulary[word] for word in text.words[0] if word >= 0][-1]
            '.'
        """
        check_whole("sentences", sentences, 1, "pass 1 or more")
        check_seed(seed)
        rng = np.random.default_rng([seed, 0x601E])
        chances = np.array([template.probability for template in self.templates])
        drawn = [
            self.templates[index].slots for index in rng.choice(len(chances), sentences, p=chances / chances.sum())
        ]
        lengths = np.array([len(slots) for slots in drawn])
        places = list(itertools.chain.from_iterable(drawn))
        kinds: dict[tuple[str, str], list[int]] = {}
        for index, slot in enumerate(places):
            kinds.setdefault((slot.word_class, slot.role), []).append(index)
        words = np.empty(len(places), dtype=np.int64)
        for (word_class, role), where in kinds.items():
            chances = _word_probabilities(self, word_class, role, training)
            words[where] = rng.choice(len(chances), len(where), p=chances)
        columns = [
            words,
            np.array([self.category_names.index(slot.category) for slot in places]),
            np.array([ROLES.index(slot.role) for slot in places]),
            np.array([slot.depth for slot in places]),
        ]
        tables = []
        filled = np.arange(lengths.max()) < lengths[:, None]
        for column in columns:
            table = np.full(filled.shape, PADDING, dtype=np.int64)
            table[filled] = column
            tables.append(torch.from_numpy(table))
        return RoleText(*tables, self.vocabulary, self.category_names, ROLES, ARGUMENTS)


def grammar(language: str = "A", *, depth: int = 1, exactly: bool = False, held_out: float = 0.2) -> Grammar:
    """One of the two grammars.

    Grammar A is English-like: order, voice, prepositions and relative clauses with a gap decide who does what to
    whom. Grammar B is verb-final with case-like particles, partly free order, relative clauses before their noun, and
    no word in common with A. The paper's own grammar is not published; this one is ours.

    Args:
        language: Name of the grammar, `A` or `B`.
        depth: Deepest nesting of relative clauses; 0 for none.
        exactly: Whether sentences that nest less are left out.
        held_out: Share of the nouns that training text shows in one role only.

    Returns:
        The grammar, with every sentence pattern and its probability.

    Raises:
        UserError: No such language, or a depth whose sentence patterns are too many to list.

    Example:
        >>> small = grammar("A", depth=0)
        >>> len(small.templates), round(sum(template.probability for template in small.templates), 9)
        (348, 1.0)
    """
    check_one_of("language", language, tuple(LANGUAGES))
    check_whole("depth", depth, 0, "pass how deep relative clauses may nest")
    check_between("held_out", held_out, 0.0, 0.5)
    if depth > MOST_DEPTH:
        raise UserError(f"`depth` must be at most {MOST_DEPTH}, got {depth}: deeper patterns are too many to list.")
    return _grammar(language, depth, exactly, held_out)


@lru_cache(maxsize=16)
def _grammar(language: str, depth: int, exactly: bool, held_out: float | int) -> Grammar:
    return Grammar(LANGUAGES[language], depth, exactly, held_out)


@lru_cache(maxsize=4096)
def _word_probabilities(of: Grammar, word_class: str, role: str, training: bool) -> Float64[ndarray, "vocabulary"]:
    number = {word: index for index, word in enumerate(of.vocabulary)}
    answer = np.zeros(len(number))
    if word_class == "N":
        for share, name in zip(PREFERENCES[role], NOUN_CLASSES, strict=True):
            fill(answer, [number[word] for word in of.language.nouns[name]], share)
        if training:
            answer[[number[noun] for noun, home in of.held_out_nouns.items() if home != role]] = 0.0
            answer /= answer.sum()
    else:
        fill(answer, [number[word] for word in of.language.words[word_class]], 1.0)
    return answer


def fill(probabilities: ndarray, words: list[int], share: float) -> None:
    """Give words a share of the probability, the commonest first."""
    weights = np.arange(1.0, len(words) + 1.0) ** -ZIPF
    probabilities[words] = share * weights / weights.sum()


def main_clauses(language: Language, depth: int) -> Iterator[tuple[float, tuple[Slot, ...]]]:
    """Every main clause with its adjunct and full stop."""
    for (p_clause, clause), (p_adjunct, adjunct) in itertools.product(language.clauses, language.adjuncts):
        pattern = adjunct.replace("_", clause) + " ."
        yield from ((p_clause * p_adjunct * p, slots) for p, slots in fillings(language, pattern, 0, depth))


@lru_cache(maxsize=64)
def relative_clauses(name: str, level: int, depth: int) -> tuple[tuple[float, tuple[Slot, ...]], ...]:
    """Every relative clause inside `level - 1` others."""
    language = LANGUAGES[name]
    return tuple(
        (p_clause * p, slots)
        for p_clause, pattern in language.relatives
        for p, slots in fillings(language, pattern, level, depth)
    )


def fillings(language: Language, pattern: str, level: int, depth: int) -> Iterator[tuple[float, tuple[Slot, ...]]]:
    """Every way to fill a clause pattern in which at most one noun phrase is a richer one."""
    parts = pattern.split()
    phrases = [place for place, part in enumerate(parts) if part in ARGUMENTS]
    plain = [phrase(language.plain, part, level) if part in ARGUMENTS else (slot_of(part, level),) for part in parts]
    yield (1.0 - RICH if phrases else 1.0), tuple(itertools.chain.from_iterable(plain))
    richer = [(p, form) for p, form in language.richer if level < depth or "RC" not in form]
    total = sum(p for p, _ in richer)
    for place, (p_form, form) in itertools.product(phrases, richer):
        before = tuple(itertools.chain.from_iterable(plain[:place]))
        after = tuple(itertools.chain.from_iterable(plain[place + 1 :]))
        inner = relative_clauses(language.name, level + 1, depth) if "RC" in form else ((1.0, ()),)
        for p_inner, relative in inner:
            probability = RICH / len(phrases) * p_form / total * p_inner
            yield probability, before + phrase(form, parts[place], level, relative) + after


def phrase(form: str, role: str, level: int, relative: tuple[Slot, ...] = ()) -> tuple[Slot, ...]:
    """The slots of a noun phrase."""
    slots: list[Slot] = []
    for part in form.split():
        slots.extend(relative if part == "RC" else (slot_of(part, level, role),))
    return tuple(slots)


def slot_of(word_class: str, level: int, role: str = "") -> Slot:
    """A word of a class: nouns have the role of their phrase."""
    if word_class == "N":
        return Slot(word_class, role, level)
    kind = "predicate" if word_class.startswith("V") else "modifier" if word_class in ("ADJ", "ADV") else "function"
    return Slot(word_class, kind, level)
