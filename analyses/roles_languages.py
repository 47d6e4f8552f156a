"""Languages between grammar A and grammar B: other words, another order, both; and one numbering of all their words.

A language of another order is A with its objects before the verb and its subject behind, everything else as it was, so
that order and words tell exactly as much of a role as they do in A. Other words are the same sentences respelled.
"""

import dataclasses
import functools
from typing import NamedTuple

import torch

from infodil.roles import RoleText, grammar
from infodil.roles.texts import LANGUAGES, Grammar, Language

PREFIXED = ("that", "was", "by", "to", "with", "in")
"""Word classes that stand before what they belong to, in both orders."""


def reordered(language: Language, name: str) -> Language:
    """The same language with every clause from its last phrase to its first.

    Prepositions stay before their noun and auxiliaries before their verb, a relative clause stays behind its noun with
    `that` before it, and adjectives follow nouns.
    """
    rules = {
        rule: tuple((share, turned(pattern)) for share, pattern in getattr(language, rule))
        for rule in ("clauses", "adjuncts", "relatives")
    }
    richer = tuple((share, pattern.replace("ADJ N", "N ADJ")) for share, pattern in language.richer)
    return dataclasses.replace(language, name=name, richer=richer, **rules)


def turned(pattern: str) -> str:
    """A pattern from its last phrase to its first; `that` stays in front."""
    phrases: list[list[str]] = [[]]
    for part in pattern.split():
        phrases[-1].append(part)
        if part not in PREFIXED:
            phrases.append([])
    first = [phrases[0].pop(0)] if phrases[0][0] == "that" else []
    return " ".join([*first, *(part for phrase in reversed(phrases) for part in phrase)])


NEW_ORDER = reordered(LANGUAGES["A"], "A, new order")


@functools.cache
def grammar_of(language: str) -> Grammar:
    """The grammar of a step's language.

    The package looks a language up by its name while it lists sentence patterns: the new order is there for so long.
    """
    if language != NEW_ORDER.name:
        return grammar(language)
    LANGUAGES[language] = NEW_ORDER
    try:
        of = grammar(language)
        of.templates  # noqa: B018  (listed now, and kept)
    finally:
        del LANGUAGES[language]
    return of


class Step(NamedTuple):
    """A language on the way from A to B."""

    language: str
    """Name of its grammar."""
    kept: str
    """Words that it shares with A: `all`, those of closed classes (`function`), or `none`."""


STEPS = {
    "the same": Step("A", "all"),
    "new content words": Step("A", "function"),
    "all new words": Step("A", "none"),
    "new order": Step("A, new order", "all"),
    "new words and order": Step("A, new order", "none"),
    "verb-final, particles": Step("B", "none"),
}
"""From A to B. Each but the last can be undone: its sentences are those of A, respelled and put into another order."""

OPEN = ("N", "V", "ADJ", "ADV")
"""Word classes of content words."""


def sample(step: str, sentences: int, *, seed: int, training: bool = False) -> RoleText:
    """Sentences of a step, with the words of all steps numbered alike: those of A, the same respelled, those of B."""
    chosen = STEPS[step]
    of = grammar_of(chosen.language)
    text = of.sample(sentences, seed=seed, training=training)
    a, b = grammar("A").vocabulary, grammar("B").vocabulary
    if chosen.language == "B":
        moved = torch.full_like(text.words, 2 * len(a))
    elif chosen.kept == "none":
        moved = torch.full_like(text.words, len(a))
    elif chosen.kept == "function":
        is_open = torch.tensor([*(name in OPEN for name in of.category_names), False])[text.categories]
        moved = torch.where(is_open, len(a), 0)
    else:
        moved = torch.zeros_like(text.words)
    words = torch.where(text.present, text.words + moved, -1)
    vocabulary = (*a, *(f"new {word}" for word in a), *(f"B {word}" for word in b))
    # Word classes are numbered by each grammar: A and its like have the same.
    return dataclasses.replace(text, words=words, vocabulary=vocabulary)


def universal_classes(text: RoleText) -> torch.Tensor:
    """Universal parts of speech, which all steps have in common."""
    a, b = grammar("A"), grammar("B")
    return (b if text.category_names == b.category_names else a).universal_classes(text)


def joined(first: RoleText, second: RoleText) -> RoleText:
    """The sentences of two texts of steps; word classes and roles of the second are left out."""
    width = max(first.words.shape[1], second.words.shape[1])

    def wide(table: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.pad(table, (0, width - table.shape[1]), value=-1)

    nothing = torch.full_like(second.words, -1)
    tables = [
        torch.cat([wide(table), wide(added)])
        for table, added in zip(
            (first.words, first.categories, first.roles, first.depth),
            (second.words, nothing, nothing, nothing),
            strict=True,
        )
    ]
    return RoleText(*tables, first.vocabulary, first.category_names, first.role_names, first.arguments)
