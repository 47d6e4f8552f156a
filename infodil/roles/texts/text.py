"""Sentences whose tokens have a role: what grammars and treebanks give, and everything downstream takes."""

__all__ = ["RoleText"]

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int64
from torch import Tensor

from infodil.checks import UserError, check_not_empty

PADDING = -1


@dataclass(frozen=True, eq=False)
class RoleText:
    """Sentences side by side, the shorter ones padded with -1 at their end.

    Example:
        >>> text = RoleText.of([["dogs", "bark"], ["dogs"]], [["agent", "predicate"], ["agent"]])
        >>> text.words.tolist(), text.vocabulary, text.role_names
        ([[0, 1], [0, -1]], ('dogs', 'bark'), ('agent', 'predicate'))
    """

    words: Int64[Tensor, "documents tokens"]
    """Ids into `vocabulary`; one document is one sentence."""
    categories: Int64[Tensor, "documents tokens"]
    """Ids into `category_names`: word classes, in which closed-class words of a grammar stand for themselves."""
    roles: Int64[Tensor, "documents tokens"]
    """Ids into `role_names`."""
    depth: Int64[Tensor, "documents tokens"]
    """How many relative clauses the token stands in; 0 in a text that does not tell."""
    vocabulary: tuple[str, ...]
    category_names: tuple[str, ...]
    role_names: tuple[str, ...]
    arguments: tuple[str, ...] = ()
    """The roles that an argument of a predicate can have."""

    @classmethod
    def of(
        cls,
        words: Sequence[Sequence[str]],
        roles: Sequence[Sequence[str]],
        categories: Sequence[Sequence[str]] | None = None,
        *,
        like: "RoleText | None" = None,
        arguments: Sequence[str] = (),
    ) -> "RoleText":
        """Make a text from lists of strings.

        Args:
            words: One list of words a sentence.
            roles: The role of each word.
            categories: The word class of each word; without them every word is its own.
            like: Number words, classes and roles as this text does; a word or class it does not have is the last id.

        Raises:
            UserError: No sentence, an empty one, lists of different lengths, or a role that `like` does not have.
        """
        check_not_empty("words", words, "pass at least one sentence")
        categories = words if categories is None else categories
        check_lists(words, categories, roles)
        if like is None:
            names = [tuple(dict.fromkeys(itertools.chain.from_iterable(rows))) for rows in (words, categories, roles)]
            chosen = tuple(arguments)
        else:
            names, chosen = [like.vocabulary, like.category_names, like.role_names], like.arguments
        unknown = sorted(set(itertools.chain.from_iterable(roles)) - set(names[2]))
        if unknown:
            raise UserError(f"`roles` has {unknown[0]!r}, which `like` does not have: pass one of {names[2]}.")
        tables = [number(rows, known) for rows, known in zip((words, categories, roles), names, strict=True)]
        return cls(*tables, torch.where(tables[0] >= 0, 0, PADDING), *names, chosen)

    @property
    def present(self) -> Bool[Tensor, "documents tokens"]:
        """Where there is a token."""
        return self.words >= 0

    @property
    def is_argument(self) -> Bool[Tensor, "documents tokens"]:
        """Where the role is one of `arguments`."""
        wanted = torch.tensor([name in self.arguments for name in self.role_names] + [False])
        return wanted[self.roles]

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, rows: slice | Tensor) -> "RoleText":
        """Some of the sentences, as long as the longest of them."""
        length = int((self.words[rows] >= 0).sum(1).max())
        tables = [table[rows, :length] for table in (self.words, self.categories, self.roles, self.depth)]
        return RoleText(*tables, self.vocabulary, self.category_names, self.role_names, self.arguments)


def check_lists(words: Sequence, categories: Sequence, roles: Sequence) -> None:
    """Refuse lists that do not fit each other."""
    if not len(words) == len(roles) == len(categories):
        raise UserError(
            f"`roles` must have one list a sentence, got {len(words)} sentences and {len(roles)} lists of roles: "
            "pass as many."
        )
    for place, (sentence, role, category) in enumerate(zip(words, roles, categories, strict=True)):
        if not len(sentence) == len(role) == len(category) or len(sentence) == 0:
            raise UserError(
                f"`roles` must have one role a word, got {len(sentence)} words, {len(category)} classes and "
                f"{len(role)} roles in sentence {place}: pass lists of equal length, none of them empty."
            )


def number(rows: Sequence[Sequence[str]], names: Sequence[str]) -> Int64[Tensor, "documents tokens"]:
    """The place of each string among the names, padded; of one that is not there, the last place."""
    places = {name: place for place, name in enumerate(names)}
    ids = [torch.tensor([places.get(item, len(names) - 1) for item in row]) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=PADDING)
