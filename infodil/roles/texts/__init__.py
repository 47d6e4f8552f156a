"""Sentences whose tokens have roles: grammars with known laws, treebanks, and the best that can be told from a text."""

__all__ = [
    "ARGUMENTS",
    "LANGUAGES",
    "PADDING",
    "PREFERENCES",
    "PROPBANK_ARGUMENTS",
    "ROLES",
    "UD_ARGUMENTS",
    "Grammar",
    "Language",
    "OrderCeiling",
    "RoleInformation",
    "RoleText",
    "Slot",
    "Template",
    "WordCeiling",
    "grammar",
    "order_ceiling",
    "read_propbank",
    "read_protoroles",
    "read_universal",
    "role_information",
    "seen_weights",
    "word_ceiling",
    "word_guess",
]

from infodil.roles.texts.ceiling import WordCeiling, word_ceiling
from infodil.roles.texts.grammar import Grammar, Slot, Template, grammar
from infodil.roles.texts.languages import ARGUMENTS, LANGUAGES, PREFERENCES, ROLES, Language
from infodil.roles.texts.order import (
    OrderCeiling,
    RoleInformation,
    order_ceiling,
    role_information,
    seen_weights,
    word_guess,
)
from infodil.roles.texts.text import PADDING, RoleText
from infodil.roles.texts.treebank import (
    PROPBANK_ARGUMENTS,
    UD_ARGUMENTS,
    read_propbank,
    read_protoroles,
    read_universal,
)
