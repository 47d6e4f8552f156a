"""Kinds of hidden token that the rows of a report are split by: frequency, surface, or names of the user's own."""

__all__ = ["TokenKinds", "check_kinds", "make_kinds"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int
from numpy import ndarray

from infodil.checks import UserError, check_not_empty, near_matches
from infodil.corpus import Tokens

BAND_ENDS = (10, 100, 1_000, 10_000)
"""Last rank of each band of frequency but the last: decades, as ranks are spread evenly over their logarithm (Zipf)."""

OTHER_KIND = "other"
"""Kind of the types that a mapping does not name."""

SURFACES = ("number", "capitalised word", "function word", "other word", "word piece", "punctuation", "other")
"""Kinds of the surface, in the order in which a report lists them."""

MARKED_SHARE = 0.05
"""Share of the types of letters that must begin with a space before those without one count as pieces of words: the
byte tokens of any vocabulary mark a few at most."""

FUNCTION_WORDS = frozenset(
    """
    a about above after against all am an and any are as at be because been before being below between both but by can
    could did do does doing down during each few for from further had has have having he her here hers herself him
    himself his how i if in into is it its itself just may me might more most must my myself no nor not now of off on
    once only or other our ours ourselves out over own same shall she should so some such than that the their theirs
    them themselves then there these they this those through to too under until up upon us very was we were what when
    where which while who whom whose why will with would you your yours yourself yourselves
    """.split()
)
"""English determiners, pronouns, prepositions, conjunctions, auxiliaries and particles."""


@dataclass(frozen=True, eq=False)
class TokenKinds:
    """A partition of the types into named kinds.

    Example:
        >>> kinds = TokenKinds(("even", "odd"), np.array([0, 1, 0]))
        >>> kinds.number, kinds.of_type[2]
        (2, np.int64(0))
    """

    names: tuple[str, ...]
    of_type: Int[ndarray, "vocabulary"]
    """Number of the kind of each type."""

    @property
    def number(self) -> int:
        """Number of kinds."""
        return len(self.names)

    @classmethod
    def of(cls, named: Sequence[str], order: Sequence[str] = ()) -> "TokenKinds":
        """The partition that one name a type makes; names come in the given order, others as they are first met."""
        names = list(dict.fromkeys([*(name for name in order if name in set(named)), *named]))
        numbers = {name: number for number, name in enumerate(names)}
        return cls(tuple(names), np.array([numbers[name] for name in named], dtype=np.int64))


def make_kinds(
    by: str | Mapping[int | str, str] | None, tokens: Tokens | None, counts: Int[ndarray, "vocabulary"]
) -> TokenKinds:
    """The kind of each type.

    Args:
        by: `frequency`, `surface`, a mapping from type (id or text) to a name, or None for one kind of all.
        tokens: The corpus, which knows the text of types.
        counts: Occurrences of each type in the training split.

    Raises:
        UserError: Types have no text and one is needed, or a mapping names no type that occurs.
    """
    if by is None:
        return TokenKinds.of(["all"] * len(counts))
    if isinstance(by, str):
        return KINDS[by](tokens, counts)
    return named_kinds(by, tokens, counts)


def frequency_kinds(tokens: Tokens | None, counts: Int[ndarray, "vocabulary"]) -> TokenKinds:
    """Bands of the rank by training occurrences, most frequent first; types never met are a band of their own."""
    del tokens
    rank = np.empty(len(counts), dtype=np.int64)
    rank[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    seen = int((counts > 0).sum())
    ends = [*(end for end in BAND_ENDS if end < seen), seen]
    names = [f"rank {first}-{last}" for first, last in zip([1, *(end + 1 for end in ends)], ends, strict=False)]
    band = np.searchsorted(ends, rank)
    return TokenKinds.of([names[place] if place < len(names) else "not in training" for place in band], names)


def surface_kinds(tokens: Tokens, counts: Int[ndarray, "vocabulary"]) -> TokenKinds:
    """What each type looks like: a number, a word of some sort, a piece of one, punctuation."""
    texts = texts_of(tokens, len(counts))
    letters = [text for text in texts if text.strip().isalpha()]
    marked = sum(text[0].isspace() for text in letters)
    return TokenKinds.of(
        [surface(text, pieces=splits_words(letters, marked)) for text in texts],
        SURFACES,
    )


def splits_words(letters: Sequence[str], marked: int) -> bool:
    """Whether types of letters without a space before them continue a word, or are single letters."""
    return marked > MARKED_SHARE * len(letters) or all(len(text) == 1 for text in letters)


def surface(text: str, pieces: bool) -> str:
    """The kind of one text.

    Args:
        text: Text of a type, a space before it where it begins a word.
        pieces: Whether letters without a space before them continue a word.

    Example:
        >>> [surface(text, True) for text in (" 1984", " Anna", " The", " cat", "ing", ", ", "\\n")]
        ['number', 'capitalised word', 'function word', 'other word', 'word piece', 'punctuation', 'other']
    """
    bare = text.strip()
    if not bare or not bare.isprintable() or "\N{REPLACEMENT CHARACTER}" in bare:
        return "other"
    if any(letter.isdigit() for letter in bare) and not any(letter.isalpha() for letter in bare):
        return "number"
    if not any(letter.isalnum() for letter in bare):
        return "punctuation"
    starts = text[0].isspace() or (bare[0].isupper() and len(bare) > 1)  # a capital begins a word after a line break
    if bare.startswith("##") or (pieces and not starts):
        return "word piece"
    if bare.lower() in FUNCTION_WORDS:
        return "function word"
    if bare[0].isupper():
        return "capitalised word"
    return "other word" if any(letter.isalpha() for letter in bare) else "other"


def named_kinds(by: Mapping[int | str, str], tokens: Tokens, counts: Int[ndarray, "vocabulary"]) -> TokenKinds:
    """The names of a mapping from ids or texts; a text is met with or without the space before it."""
    ids = {int(key): str(name) for key, name in by.items() if not isinstance(key, str)}
    words = {key: str(name) for key, name in by.items() if isinstance(key, str)}
    texts = texts_of(tokens, len(counts)) if words else [""] * len(counts)
    named = [ids.get(number, words.get(text, words.get(text.strip()))) for number, text in enumerate(texts)]
    if all(name is None for name, count in zip(named, counts, strict=True) if count):
        raise UserError(
            "`by` names no type that occurs in the training split: pass a mapping from token id or text to a name."
        )
    return TokenKinds.of(
        [OTHER_KIND if name is None else name for name in named], [*dict.fromkeys(map(str, by.values()))]
    )


def texts_of(tokens: Tokens, vocabulary: int) -> list[str]:
    """The text of every type."""
    if tokens.tokenizer is None:
        raise UserError(
            "`by` needs the text of each token, and the corpus has no tokenizer: pass load_corpus(..., tokenizer=...), "
            "by='frequency', or a mapping from token id to a name."
        )
    return tokens.token_texts(range(vocabulary))


KINDS: dict[str, Callable[[Tokens, Int[ndarray, "vocabulary"]], TokenKinds]] = {
    "frequency": frequency_kinds,
    "surface": surface_kinds,
}
"""Partitions by name."""


def check_kinds(by: object) -> str | dict[int | str, str] | None:
    """A name of `KINDS`, a mapping from whole numbers and texts, or None.

    Raises:
        UserError: It is anything else.
    """
    if by is None or (isinstance(by, str) and by in KINDS):
        return by
    names = ", ".join(map(repr, KINDS))
    if isinstance(by, str):
        raise UserError(f"`by` must be {names} or a mapping from type to a name, got {by!r}{near_matches(by, KINDS)}")
    if not isinstance(by, Mapping):
        raise UserError(
            f"`by` must be {names} or a mapping from type (id or text) to a name, got {type(by).__name__}: "
            "pass such as by={'he': 'pronoun'}."
        )
    check_not_empty("by", by, "name at least one type, such as by={'he': 'pronoun'}")
    plain: dict[int | str, str] = {}
    for key, name in by.items():
        whole = isinstance(key, int | np.integer) and not isinstance(key, bool)
        if not whole and not isinstance(key, str):
            raise UserError(f"`by` must map token ids or texts to names, got the key {key!r}: pass an id or a text.")
        plain[int(key) if whole else key] = str(name)
    return plain
