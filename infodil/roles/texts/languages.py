"""The two grammars: A, which marks roles by order, voice and prepositions, and B, verb-final with particles."""

__all__ = ["ARGUMENTS", "ROLES", "Language", "LANGUAGES"]

from collections.abc import Mapping
from dataclasses import dataclass

ARGUMENTS = ("agent", "patient", "recipient", "instrument", "oblique")
ROLES = (*ARGUMENTS, "predicate", "modifier", "function")

NOUN_CLASSES = ("people", "animals", "things", "tools", "places")

PREFERENCES = {
    "agent": (0.58, 0.26, 0.06, 0.05, 0.05),
    "patient": (0.14, 0.20, 0.40, 0.16, 0.10),
    "recipient": (0.70, 0.16, 0.04, 0.02, 0.08),
    "instrument": (0.02, 0.04, 0.26, 0.66, 0.02),
    "oblique": (0.03, 0.03, 0.16, 0.04, 0.74),
}
"""How often a noun of each class fills each role: a word tells something of its role, and never all."""


@dataclass(frozen=True)
class Language:
    """The rules of a grammar.

    In a pattern a role name stands for a noun phrase with that role, `RC` for a relative clause, `_` for the clause,
    and anything else for a word of that class. Every pattern has its probability before it.
    """

    name: str
    clauses: tuple[tuple[float, str], ...]
    adjuncts: tuple[tuple[float, str], ...]
    """How a main clause may be extended."""
    relatives: tuple[tuple[float, str], ...]
    plain: str
    """A noun phrase; at most one of a clause is a richer one."""
    richer: tuple[tuple[float, str], ...]
    words: Mapping[str, tuple[str, ...]]
    """The words of each class other than nouns, commonest first."""
    nouns: Mapping[str, tuple[str, ...]]
    """The nouns of each noun class, commonest first."""


def spelled(prefix: str, number: int) -> tuple[str, ...]:
    return tuple(f"{prefix}{index}" for index in range(number))


UNIVERSAL = {
    "N": "NOUN", "V": "VERB", "ADJ": "ADJ", "ADV": "ADV", "the": "DET", "that": "SCONJ", "and": "CCONJ", ".": "PUNCT",
    "was": "AUX", "rare": "AUX", "by": "ADP", "with": "ADP", "in": "ADP", "ga": "ADP", "wo": "ADP", "ni": "ADP",
    "de": "ADP",
}  # fmt: skip
"""The universal part of speech of each word class, but for `to`: a preposition in A, a conjunction in B."""

ENGLISH_NOUNS = {
    "people": "girl boy woman man teacher doctor farmer king queen child sailor baker nurse guard judge painter",
    "animals": "dog cat horse bird cow fox bear wolf lion goat mouse duck sheep rabbit monkey pig",
    "things": "book letter apple ball cake picture box coin hat chair stone cup flower song bread coat",
    "tools": "knife hammer stick rope key spoon pen chisel brush needle ladder net shovel whip lamp sword",
    "places": "garden house river school market forest kitchen street room field church castle station island hill",
}
ENGLISH_VERBS = {
    "Vi": "slept laughed waited smiled arrived danced sneezed cried",
    "Vt": "followed chased helped watched kicked touched pushed carried cleaned painted moved found hit liked saw",
    "Vd": "offered handed showed sent brought lent sold promised",
}

ENGLISH = Language(
    name="A",
    clauses=(
        (0.13, "agent Vi"),
        (0.31, "agent Vt patient"),
        (0.14, "patient was Vt by agent"),
        (0.08, "patient was Vt"),
        (0.11, "agent Vd recipient patient"),
        (0.12, "agent Vd patient to recipient"),
        (0.04, "recipient was Vd patient by agent"),
        (0.03, "recipient was Vd patient"),
        (0.04, "patient was Vd to recipient by agent"),
    ),
    adjuncts=(
        (0.54, "_"),
        (0.15, "_ with instrument"),
        (0.14, "_ in oblique"),
        (0.03, "_ by oblique"),
        (0.07, "ADV _"),
        (0.07, "_ ADV"),
    ),
    relatives=(
        (0.08, "that Vi"),
        (0.26, "that Vt patient"),
        (0.12, "that was Vt by agent"),
        (0.04, "that was Vt in oblique"),
        (0.26, "that agent Vt"),
        (0.06, "that agent Vt with instrument"),
        (0.06, "that Vd patient to recipient"),
        (0.05, "that Vd recipient patient"),
        (0.07, "that agent Vd to recipient"),
    ),
    plain="the N",
    richer=((0.3, "the ADJ N"), (0.25, "the N and the N"), (0.45, "the N RC")),
    words={
        **{verb: tuple(words.split()) for verb, words in ENGLISH_VERBS.items()},
        "ADJ": tuple("big small old young red happy sad strange".split()),
        "ADV": tuple("yesterday often slowly again today never".split()),
        "the": ("the", "a"),
        "in": ("in", "near", "behind"),
        **{word: (word,) for word in ("was", "by", "to", "with", "that", "and", ".")},
    },
    nouns={name: tuple(words.split()) for name, words in ENGLISH_NOUNS.items()},
)

VERB_FINAL = Language(
    name="B",
    clauses=(
        (0.13, "agent ga Vi"),
        (0.26, "agent ga patient wo Vt"),
        (0.05, "patient wo agent ga Vt"),
        (0.14, "patient ga agent ni Vt rare"),
        (0.08, "patient ga Vt rare"),
        (0.15, "agent ga recipient ni patient wo Vd"),
        (0.08, "agent ga patient wo recipient ni Vd"),
        (0.07, "recipient ga agent ni patient wo Vd rare"),
        (0.04, "recipient ga patient wo Vd rare"),
    ),
    adjuncts=(
        (0.54, "_"),
        (0.15, "instrument de _"),
        (0.17, "oblique de _"),
        (0.14, "ADV _"),
    ),
    relatives=(
        (0.10, "Vi"),
        (0.28, "patient wo Vt"),
        (0.16, "agent ni Vt rare"),
        (0.28, "agent ga Vt"),
        (0.06, "instrument de Vt"),
        (0.06, "recipient ni patient wo Vd"),
        (0.06, "agent ga recipient ni Vd"),
    ),
    plain="N",
    richer=((0.3, "ADJ N"), (0.25, "N to N"), (0.45, "RC N")),
    words={
        "Vi": spelled("neru", 8),
        "Vt": spelled("miru", 16),
        "Vd": spelled("ageru", 8),
        "ADJ": spelled("akai", 8),
        "ADV": spelled("kinou", 6),
        **{word: (word,) for word in ("ga", "wo", "ni", "de", "to", "rare", ".")},
    },
    nouns={
        name: spelled(stem, 16)
        for name, stem in zip(NOUN_CLASSES, ("hito", "inu", "hon", "dougu", "machi"), strict=True)
    },
)

LANGUAGES = {language.name: language for language in (ENGLISH, VERB_FINAL)}
