"""Read treebanks as texts with roles: CoNLL-U, its PropBank columns, and semantic proto-roles."""

__all__ = ["PROPBANK_ARGUMENTS", "UD_ARGUMENTS", "read_propbank", "read_protoroles", "read_universal"]

import gzip
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from infodil.checks import UserError, check_not_empty
from infodil.roles.texts.text import RoleText

UD_ARGUMENTS = ("nsubj", "nsubj:pass", "obj", "iobj", "obl", "obl:agent")
PROPBANK_ARGUMENTS = ("ARG0", "ARG1", "ARG2", "ARGM")
OTHER, UNKNOWN = "other", "<unknown>"
MOST_PREDICATES = 64


def read_universal(path: str | Path, *, like: RoleText | None = None, least: int = 5) -> RoleText:
    """Universal Dependencies: the relation of each word to its head is its role, arguments and root apart.

    Subjects, objects and obliques keep their relation, the root is `root`, all else is `other`. Words are in lower
    case; those seen fewer than `least` times are one word. Multi-word tokens and empty nodes are left out.

    Args:
        path: A CoNLL-U file, or its gzip.
        like: Number words, classes and roles as this text does.
        least: Fewest occurrences of a word that gets a number; not used with `like`.

    Raises:
        UserError: No such file, not CoNLL-U, no sentence, or the package `conllu` is missing.

    Reference:
        de Marneffe et al. (2021), Universal Dependencies, Computational Linguistics 47.
    """
    kept = (*UD_ARGUMENTS, "root")
    sentences = [
        [(word["form"].lower(), word["upos"], word["deprel"] if word["deprel"] in kept else OTHER) for word in sentence]
        for sentence in sentences_of(path)
    ]
    return made(sentences, (*kept, OTHER), UD_ARGUMENTS, like, least)


def read_propbank(path: str | Path, *, like: RoleText) -> RoleText:
    """PropBank columns after the ten of CoNLL-U: the first role that any predicate gives a word is its role.

    `ARG0`, `ARG1`, `ARG2` as they are, every modifier as `ARGM`, predicates as `V`, all else `other`.

    Args:
        path: A file of Universal PropBank, or its gzip.
        like: Number words and classes as this text does; its roles are others.

    Raises:
        UserError: as `read_universal`.

    Reference:
        Palmer, Gildea and Kingsbury (2005), The Proposition Bank; Jindal et al. (2022), Universal Proposition Bank 2.0.
    """
    sentences = [
        [(word["form"].lower(), word["upos"], propbank_role(word)) for word in sentence]
        for sentence in sentences_of(path)
    ]
    return made(sentences, (*PROPBANK_ARGUMENTS, "V", OTHER), PROPBANK_ARGUMENTS, like)


def propbank_role(word: dict[str, Any]) -> str:
    """The role of a word from all its cells."""
    cells = [word.get(f"predicate{place}", "_") or "_" for place in range(MOST_PREDICATES)]
    roles = [cell.split("-")[0] for cell in cells if cell.startswith("ARG")]
    found = next((role for role in roles if role in PROPBANK_ARGUMENTS), None)
    return found or ("V" if "V" in cells else OTHER)


def read_protoroles(path: str | Path, *, split: str, proto_role: str, like: RoleText) -> RoleText:
    """Semantic proto-roles: does the property hold of an argument (`holds`), or not (`fails`)? All else is `other`.

    Args:
        path: Lines of JSON with `split`, `tokens`, `upos` and `pairs` of predicates and arguments with `props`.
        split: Such as `train`, `dev` or `test`.
        proto_role: Such as `volition`, `instigation`, `change_of_state`.
        like: Number words and classes as this text does.

    Raises:
        UserError: No such file, or no argument that the property was asked of.

    Reference:
        Dowty (1991); Reisinger et al. (2015), Semantic proto-roles, TACL 3; White et al. (2020).
    """
    sentences = []
    for line in lines_of(path):
        record = json.loads(line)
        if record["split"] != split:
            continue
        values = {pair["arg"]: pair["props"][proto_role][0] for pair in record["pairs"] if proto_role in pair["props"]}
        roles = [
            OTHER if place not in values else "holds" if values[place] > 0 else "fails"
            for place in range(1, len(record["tokens"]) + 1)
        ]
        words = [word.lower() for word in record["tokens"]]
        sentences.append(list(zip(words, record["upos"], roles, strict=True)))
    if not any(role != OTHER for sentence in sentences for _, _, role in sentence):
        raise UserError(f"`proto_role` {proto_role!r} was asked of no argument of split {split!r}: pass another.")
    return made(sentences, ("holds", "fails", OTHER), ("holds", "fails"), like)


def made(
    sentences: list[list[tuple[str, str, str]]],
    roles: tuple[str, ...],
    arguments: tuple[str, ...],
    like: RoleText | None,
    least: int = 1,
) -> RoleText:
    """A text of (word, class, role) triples."""
    check_not_empty("path", sentences, "pass a file with at least one sentence")
    if like is None:
        counts = Counter(word for sentence in sentences for word, _, _ in sentence)
        vocabulary = (*(word for word, count in counts.most_common() if count >= least), UNKNOWN)
        categories = tuple(sorted({category for sentence in sentences for _, category, _ in sentence}))
    else:
        vocabulary, categories = like.vocabulary, like.category_names
    columns = [[[triple[place] for triple in sentence] for sentence in sentences] for place in range(3)]
    words, classes, given = columns
    nothing = RoleText.of([["_"]], [["_"]])
    frame = RoleText(
        nothing.words, nothing.categories, nothing.roles, nothing.depth, vocabulary, categories, roles, arguments
    )
    return RoleText.of(words, given, classes, like=frame)


def sentences_of(path: str | Path) -> Iterator[list[dict[str, Any]]]:
    """The syntactic words of each sentence."""
    try:
        import conllu
    except ImportError as error:
        raise UserError("`path` needs the package conllu: install infodil[roles].") from error
    fields = (*conllu.parser.DEFAULT_FIELDS, "roleset", *(f"predicate{place}" for place in range(MOST_PREDICATES)))
    try:
        for block in "".join(lines_of(path)).split("\n\n"):
            for sentence in conllu.parse(block, fields=fields) if block.strip() else ():
                words = [word for word in sentence if isinstance(word["id"], int)]
                if words:
                    yield words
    except (conllu.exceptions.ParseException, KeyError) as error:
        raise UserError(f"`path` must be a CoNLL-U file, got {str(path)!r} ({error}): pass another.") from error


def lines_of(path: str | Path) -> Iterator[str]:
    """Of a text file or its gzip."""
    path = Path(path)
    if not path.is_file():
        raise UserError(f"`path` must be a file, got {str(path)!r}, where there is none: pass another.")
    opened = gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8")
    with opened as file:
        yield from file
