"""Structure without labels: who does what to whom, from traces and Hebbian learning, and what that is worth."""

__all__ = ["Architecture", "Grammar", "HebbianRoles", "Naming", "RoleText", "grammar", "name_units"]

from infodil.roles.learners import Architecture, HebbianRoles
from infodil.roles.study import Naming, name_units
from infodil.roles.texts import Grammar, RoleText, grammar
