"""The study: conditions that learn roles from one text, names for their classes, and their scores on others."""

__all__ = [
    "CONDITIONS",
    "GRU_TOKENS",
    "SUPERVISED",
    "UNSUPERVISED",
    "Naming",
    "Trial",
    "Units",
    "gru_states",
    "hebbian",
    "hebbian_learner",
    "name_units",
    "named",
    "run_trial",
    "score",
    "summarise",
    "trace_states",
    "turned",
    "turned_back",
]

from infodil.roles.study.conditions import (
    GRU_TOKENS,
    SUPERVISED,
    UNSUPERVISED,
    Trial,
    Units,
    gru_states,
    hebbian,
    hebbian_learner,
    trace_states,
    turned,
    turned_back,
)
from infodil.roles.study.naming import Naming, name_units
from infodil.roles.study.trials import CONDITIONS, named, run_trial, score, summarise
