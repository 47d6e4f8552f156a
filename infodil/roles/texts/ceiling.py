"""The Bayes-optimal guess of roles from the words of a sentence whose grammar is known."""

__all__ = ["WordCeiling", "word_ceiling"]

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from infodil.checks import check_whole
from infodil.roles.texts.grammar import Grammar
from infodil.roles.texts.languages import ARGUMENTS, NOUN_CLASSES, PREFERENCES, ROLES
from infodil.roles.texts.order import conditional_bits, word_guess

FILLERS = np.array([PREFERENCES[role] for role in ARGUMENTS])
"""How often each class of nouns fills each role. Which noun of its class it is tells no more of the role."""


class Case(NamedTuple):
    """Argument tokens whose visible words are the same, but for the nouns."""

    weights: Float64[ndarray, "2 roles seen"]
    """Expected tokens a sentence, outside and inside relative clauses, of each role and for each choice of nouns."""
    filler: Int64[ndarray, "seen"]
    """The class of the token itself in each choice of nouns."""


@dataclass(frozen=True)
class WordCeiling:
    """Exact scores of the Bayes-optimal guess of a role from words; `None` where a grammar has no such token."""

    accuracy: float
    """Of all tokens."""
    argument_accuracy: float
    """Of argument tokens."""
    structure_dependent_accuracy: float
    """Of argument tokens whose role is not the likeliest of their word."""
    held_out_accuracy: float | None
    """Of nouns in roles in which training text never shows them; how often test text does is known."""
    embedded_accuracy: float | None
    """Of argument tokens within relative clauses."""
    remaining_bits: float
    """Entropy of a token's role given the words: what nobody can add to I(role; words)."""


def word_ceiling(grammar: Grammar, ahead: int | None = None) -> WordCeiling:
    r"""The accuracy of the likeliest role given the words, by going through every sentence.

    .. math:: \sum_{s} \sum_t \max_r \, p(s, R_t = r) \Big/ \sum_s |s| \, p(s)

    The sum over sentences s is exact: sentences alike in the classes of their words and of their nouns are one term.

    Args:
        grammar: Grammar whose sentences are gone through.
        ahead: Number of words after the token that are seen; None for the whole sentence, 0 for none.

    Example:
        >>> from infodil.roles import grammar
        >>> from infodil.roles.texts.order import order_ceiling
        >>> of = grammar("A", depth=0)
        >>> order_ceiling(of).argument_accuracy < word_ceiling(of).argument_accuracy < 1.0
        True
    """
    shares = group_shares(grammar)
    right, total = (dict.fromkeys((*shares, "embedded"), 0.0) for _ in range(2))
    bits = 0.0
    for weights, filler in cases(grammar, ahead):
        by_role = weights.sum(axis=0)
        likeliest = by_role.argmax(axis=0), np.arange(len(filler))
        bits += conditional_bits(by_role.T) * by_role.sum()
        scored = {name: by_role * share[:, filler] for name, share in shares.items()} | {"embedded": weights[1]}
        for name, part in scored.items():
            right[name] += part[likeliest].sum()
            total[name] += part.sum()
    tokens = sum(template.probability * len(template.slots) for template in grammar.templates)
    score = {name: float(right[name] / total[name]) if total[name] > 0 else None for name in total}
    return WordCeiling(
        # Words other than nouns have the role of their class: only arguments can be mistaken.
        accuracy=float(1.0 - (total["arguments"] - right["arguments"]) / tokens),
        argument_accuracy=score["arguments"],
        structure_dependent_accuracy=score["structure-dependent"],
        held_out_accuracy=score["held-out"],
        embedded_accuracy=score["embedded"],
        remaining_bits=float(bits / tokens),
    )


def group_shares(grammar: Grammar) -> dict[str, Float64[ndarray, "roles fillers"]]:
    """Of the tokens of each role and class of nouns, the share that is in a group."""
    guess = word_guess(grammar)
    misled, held_out = np.zeros_like(FILLERS), np.zeros_like(FILLERS)
    for row, role in enumerate(ARGUMENTS):
        chances = dict(zip(grammar.vocabulary, grammar.class_words("N", role), strict=True))
        for column, name in enumerate(NOUN_CLASSES):
            for noun in grammar.language.nouns[name]:
                share = chances[noun] / FILLERS[row, column]
                misled[row, column] += share * (guess[grammar.vocabulary.index(noun)] != row)
                held_out[row, column] += share * (grammar.held_out_nouns.get(noun, role) != role)
    return {"arguments": np.ones_like(FILLERS), "structure-dependent": misled, "held-out": held_out}


def cases(grammar: Grammar, ahead: int | None) -> Iterator[Case]:
    """Every argument token of every sentence, once; those of which all is known are one case a role."""
    settled = np.zeros((2, len(ARGUMENTS)))
    for (asked, _), readings in seen_readings(grammar, ahead).items():
        weights = np.array([*readings.values()])
        roles, inside = (np.array(column) for column in zip(*readings, strict=True))
        # Nouns alone can be unsettled, whatever they are: the others cancel out.
        unsettled = np.flatnonzero((roles != roles[0]).any(axis=0))
        joint = weights[:, None]
        for place in unsettled:
            joint = (joint[:, :, None] * FILLERS[roles[:, place], None, :]).reshape(len(weights), -1)
        fillers = np.indices((len(NOUN_CLASSES),) * len(unsettled)).reshape(len(unsettled), joint.shape[1])
        for place in range(roles.shape[1]) if asked is None else [asked]:
            if place in unsettled:
                case = np.zeros((2, len(ARGUMENTS), joint.shape[1]))
                np.add.at(case, (inside[:, place], roles[:, place]), joint)
                yield Case(case, fillers[unsettled == place][0])
            elif roles[0, place] < len(ARGUMENTS):
                np.add.at(settled, (inside[:, place], roles[:, place]), weights)
    for role in np.flatnonzero(settled.sum(axis=0)):
        case = np.zeros((2, *FILLERS.shape))
        case[:, role] = settled[:, role, None] * FILLERS[role]
        yield Case(case, np.arange(len(NOUN_CLASSES)))


def seen_readings(grammar: Grammar, ahead: int | None) -> dict[tuple, dict[tuple, float]]:
    """For each thing seen, but for the nouns, its readings: roles, and which words are inside relative clauses.

    One place is asked for at a time, or every place at once where the whole sentence is seen.
    """
    if ahead is not None:
        check_whole("ahead", ahead, 0, "pass how many words to look ahead, or None for the whole sentence")
    found: dict[tuple, dict[tuple, float]] = defaultdict(lambda: defaultdict(float))
    for template in grammar.templates:
        columns = [(slot.word_class, ROLES.index(slot.role), int(slot.depth > 0)) for slot in template.slots]
        for asked in [None] if ahead is None else range(len(columns)):
            classes, roles, inside = zip(*columns[: None if asked is None else asked + 1 + ahead], strict=True)
            found[asked, classes][roles, inside] += template.probability
    return found
