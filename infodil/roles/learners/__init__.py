"""Learners of roles: Hebbian layers without labels, and a bidirectional GRU that is trained on them."""

__all__ = [
    "Architecture",
    "BiGRU",
    "CoActivity",
    "Competition",
    "HebbianRoles",
    "Tuning",
    "context_traces",
    "ppmi_vectors",
    "train_bigru",
]

from infodil.roles.learners.bigru import BiGRU, Tuning, train_bigru
from infodil.roles.learners.competition import Competition
from infodil.roles.learners.context import context_traces
from infodil.roles.learners.hebbian import Architecture, HebbianRoles
from infodil.roles.learners.synapses import CoActivity
from infodil.roles.learners.vectors import ppmi_vectors
