"""Arguments of the verbs of a treebank with PropBank columns, one by one, with what a parse tells of each."""

__all__ = ["Argument", "read_arguments"]

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from infodil.checks import check_not_empty
from infodil.roles.texts.treebank import MOST_PREDICATES, sentences_of

CASE_MARKERS = ("case", "mark")
"""Relations of a preposition or conjunction to the word that it marks."""


class Argument(NamedTuple):
    """One argument of one verb."""

    sentence: int
    """Place of the sentence in the file."""
    predicate: int
    """Place of the verb among the words of the sentence, from 0."""
    place: int
    """Place of the word that heads the argument."""
    lemma: str
    """Lemma of the verb."""
    role: str
    """`ARG0` to `ARG5`, `ARGA`, or `ARGM-` and the kind of modifier."""
    word: str
    """Word that heads the argument, in lower case."""
    category: str
    """Universal part of speech of that word."""
    function: str
    """Relation of that word to its head in the tree."""
    marker: str
    """Preposition or conjunction that marks it, in lower case; empty where there is none."""
    passive: bool
    """Whether the verb is passive."""

    @property
    def side(self) -> str:
        """Side of the verb on which the argument stands."""
        return "before" if self.place < self.predicate else "after"


def read_arguments(path: str | Path) -> list[Argument]:
    """Every argument of every verb, in the order of the text; auxiliaries, copulas and nouns are no verbs.

    Continuations (`C-`) and words that refer to another argument (`R-`) are not arguments of their own.

    Args:
        path: A file of Universal PropBank, or its gzip: a rolesets column after the ten of CoNLL-U, and a column for
            each predicate.

    Raises:
        UserError: As `read_propbank`, or no argument.

    Reference:
        Palmer, Gildea and Kingsbury (2005), The Proposition Bank; Jindal et al. (2022), Universal Proposition Bank 2.0.
    """
    found = []
    for number, words in enumerate(sentences_of(path)):
        places = {word["id"]: place for place, word in enumerate(words)}
        predicates = [place for place, word in enumerate(words) if (word.get("roleset") or "_") != "_"]
        for column, predicate in enumerate(predicates[:MOST_PREDICATES]):
            if words[predicate]["upos"] == "VERB":
                found += arguments_of(words, places, number, predicate, f"predicate{column}")
    check_not_empty("path", found, "pass a file with PropBank columns and at least one argument of a verb")
    return found


def arguments_of(
    words: Sequence[Mapping[str, Any]], places: Mapping[int, int], sentence: int, predicate: int, column: str
) -> list[Argument]:
    """The arguments of one verb."""
    verb = words[predicate]
    passive = (verb["feats"] or {}).get("Voice") == "Pass" or any(
        word["head"] == verb["id"] and word["deprel"] == "aux:pass" for word in words
    )
    answer = []
    for place, word in enumerate(words):
        role = word.get(column) or "_"
        if not role.startswith("ARG"):
            continue
        kind = role if role.startswith("ARGM") else role.split("-")[0]
        markers = [
            other["form"].lower() for other in words if other["head"] == word["id"] and other["deprel"] in CASE_MARKERS
        ]
        answer.append(
            Argument(
                sentence, predicate, place, verb["lemma"], kind, word["form"].lower(), word["upos"], word["deprel"],
                markers[0] if markers else "", passive,
            )
        )  # fmt: skip
    return answer
