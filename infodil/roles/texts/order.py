"""What a grammar's own probabilities say of roles: entropies, information in word and order, the best accuracy."""

__all__ = ["OrderCeiling", "RoleInformation", "order_ceiling", "role_information", "word_guess"]

from collections import defaultdict
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64
from numpy import ndarray

from infodil.checks import check_whole
from infodil.roles.texts.grammar import Grammar
from infodil.roles.texts.languages import ARGUMENTS, ROLES
from infodil.sources import entropy_bits

SETTLED = 1.0 - 1e-12


@dataclass(frozen=True)
class OrderCeiling:
    """The accuracy of the best guess from word order alone: nobody who sees only that does better."""

    accuracy: float
    """Of all tokens."""
    argument_accuracy: float
    """Of argument tokens, for the guess that is best for all tokens."""
    remaining_bits: float
    """Entropy of a token's role given what is seen."""


@dataclass(frozen=True)
class RoleInformation:
    """Exact information about the role of a token drawn from the grammar's sentences, all tokens alike."""

    role_bits: float
    """Entropy of the role."""
    word_bits: float
    """I(role; word)."""
    order_bits: float
    """I(role; order): of the classes of all words of the sentence and the token's place among them."""
    order_given_word_bits: float
    """I(role; order | word)."""
    template_bits: float
    """Entropy of the sentence pattern."""
    words_bits: float
    """Entropy of the words of a sentence given its pattern."""
    word_accuracy: float
    """Of the best guess from the word alone: the floor for whoever uses order."""
    word_argument_accuracy: float
    """Of the same guess, on argument tokens."""
    settled_by_word: dict[str, float]
    """For each argument role, the share of the entropy of "is it this role?" among arguments that the word settles."""
    settled_by_order: dict[str, float]
    """For each argument role, the share that order settles once the word is known."""

    @property
    def structure_dependent(self) -> tuple[str, ...]:
        """Roles of which order, given the word, settles more than the word alone does."""
        return tuple(role for role in self.settled_by_word if self.settled_by_order[role] > self.settled_by_word[role])


def order_ceiling(grammar: Grammar, ahead: int | None = None) -> OrderCeiling:
    """The Bayes-optimal accuracy from word order alone, by going through every sentence pattern.

    The guesser sees the class of each word of the sentence so far and `ahead` classes beyond the token: closed-class
    words (determiner, auxiliary, prepositions, particles, ...) as themselves; of nouns, verbs, adjectives and adverbs
    the class alone, not which. It knows the probability of every pattern and guesses the likeliest role.

    Args:
        grammar: Grammar whose patterns are gone through.
        ahead: Number of words after the token that are seen; None for the whole sentence, 0 for none.

    Example:
        >>> from infodil.roles import grammar
        >>> ceiling = order_ceiling(grammar("A", depth=0), ahead=0)
        >>> 0.6 < ceiling.argument_accuracy < order_ceiling(grammar("A", depth=0)).argument_accuracy
        True
    """
    weights = np.array([*seen_weights(grammar, ahead).values()])
    total = weights.sum()
    best = weights.argmax(axis=1)
    right = weights[np.arange(len(weights)), best]
    argument = best < len(ARGUMENTS)
    share = weights[:, : len(ARGUMENTS)].sum()
    return OrderCeiling(
        accuracy=float(right.sum() / total),
        argument_accuracy=float(right[argument].sum() / share),
        remaining_bits=conditional_bits(weights),
    )


def role_information(grammar: Grammar) -> RoleInformation:
    r"""Every exact quantity of `RoleInformation`, from the list of sentence patterns and the word probabilities.

    .. math:: I(R; O \mid W) = H(R \mid W) - H(R \mid W, O)

    Of an argument's role the class of its word tells nothing: every argument is a noun. A role is *structure-dependent*
    where order given the word settles more of "is it this role?" than the word alone does.
    """
    joint = word_role_weights(grammar)
    joint /= joint.sum()
    orders = np.array([*seen_weights(grammar, None).values()])
    orders /= orders.sum()
    role = joint.sum(axis=0)
    role_bits, left_by_word = entropy_bits(role), conditional_bits(joint)
    fillers = np.stack([grammar.class_words("N", name) for name in ARGUMENTS], axis=1)
    argument = slice(0, len(ARGUMENTS))
    share = role[argument] / role[argument].sum()
    by_word, by_both = {}, {}
    for place, name in enumerate(ARGUMENTS):
        whole = entropy_bits(np.array([share[place], 1.0 - share[place]]))
        by_word[name] = 1.0 - conditional_bits(against_rest(joint[:, argument], place)) / whole
        by_both[name] = 1.0 - both_bits(orders[:, argument], fillers, place) / whole
    guess = joint.argmax(axis=1)
    right = joint[np.arange(len(joint)), guess]
    chances = np.array([template.probability for template in grammar.templates])
    entropy_of = {slot: entropy_bits(grammar.word_probabilities(slot)) for t in grammar.templates for slot in t.slots}
    return RoleInformation(
        role_bits=role_bits,
        word_bits=role_bits - left_by_word,
        order_bits=role_bits - conditional_bits(orders),
        order_given_word_bits=left_by_word - both_bits(orders[:, argument], fillers) * float(role[argument].sum()),
        template_bits=entropy_bits(chances),
        words_bits=sum(t.probability * sum(entropy_of[slot] for slot in t.slots) for t in grammar.templates),
        word_accuracy=float(right.sum()),
        word_argument_accuracy=float(right[guess < len(ARGUMENTS)].sum() / role[argument].sum()),
        settled_by_word=by_word,
        settled_by_order={name: by_both[name] - by_word[name] for name in ARGUMENTS},
    )


def word_guess(grammar: Grammar) -> Int64[ndarray, "vocabulary"]:
    """The likeliest role of each word, whatever stands around it, as an index into `ROLES`."""
    return word_role_weights(grammar).argmax(axis=1)


def word_role_weights(grammar: Grammar) -> Float64[ndarray, "vocabulary roles"]:
    """Expected tokens a sentence of each word in each role."""
    expected: dict = defaultdict(float)
    for template in grammar.templates:
        for slot in template.slots:
            expected[slot.word_class, slot.role] += template.probability
    joint = np.zeros((len(grammar.vocabulary), len(ROLES)))
    for (word_class, role), weight in expected.items():
        joint[:, ROLES.index(role)] += weight * grammar.class_words(word_class, role)
    return joint


def seen_weights(grammar: Grammar, ahead: int | None) -> dict[tuple, Float64[ndarray, "roles"]]:
    """For each thing that a guesser can see, the expected tokens of each role."""
    if ahead is not None:
        check_whole("ahead", ahead, 0, "pass how many words to look ahead, or None for the whole sentence")
    weights: dict[tuple, ndarray] = defaultdict(lambda: np.zeros(len(ROLES)))
    number = {role: place for place, role in enumerate(ROLES)}
    for template in grammar.templates:
        classes = tuple(slot.category for slot in template.slots)
        for place, slot in enumerate(template.slots):
            seen = classes if ahead is None else classes[: place + 1 + ahead]
            weights[place, seen][number[slot.role]] += template.probability
    return weights


def conditional_bits(weights: Float64[ndarray, "seen roles"]) -> float:
    """The entropy of the column given the row, of weights of any sum."""
    rows = weights.sum(axis=1, keepdims=True)
    shares = np.divide(weights, rows, out=np.zeros_like(weights), where=rows > 0)
    logs = np.log2(shares, out=np.zeros_like(shares), where=shares > 0)
    return float(-(weights * logs).sum() / weights.sum()) + 0.0


def against_rest(weights: Float64[ndarray, "seen roles"], place: int) -> Float64[ndarray, "seen 2"]:
    """One role against all others."""
    return np.stack([weights[:, place], np.delete(weights, place, axis=1).sum(axis=1)], axis=1)


def both_bits(orders: ndarray, fillers: ndarray, place: int | None = None) -> float:
    """The entropy of an argument's role (or of "is it the role at `place`?") given order and word.

    Only arguments are left open by order, and all of them are nouns: the sum runs over the nouns of every open place.
    """
    rows = orders[orders.max(axis=1) < SETTLED * orders.sum(axis=1)]
    joint = (rows[:, None, :] * fillers).reshape(-1, fillers.shape[1])
    joint = joint[joint.sum(axis=1) > 0]
    if not len(joint):
        return 0.0
    weights = joint if place is None else against_rest(joint, place)
    return conditional_bits(weights) * float(weights.sum() / orders.sum())
