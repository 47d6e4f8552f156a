"""Structure without labels: who does what to whom, from traces and Hebbian learning, and what that is worth."""

__all__ = ["Architecture", "Grammar", "HebbianRoles", "Naming", "RoleText", "grammar", "name_units"]

from infodil.roles.grammar import Grammar, grammar
from infodil.roles.hebbian import Architecture, HebbianRoles
from infodil.roles.naming import Naming, name_units
from infodil.roles.text import RoleText
