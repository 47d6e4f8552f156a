"""Probes: predictors of past tokens from a state, weakest first. A new one is a file and an entry of `PROBES`."""

__all__ = [
    "AUTO",
    "MLP",
    "PROBES",
    "BackwardNgram",
    "Calibration",
    "ClassMap",
    "Exact",
    "Gaussian",
    "Learning",
    "Linear",
    "LinearScores",
    "Neighbours",
    "Prior",
    "Probe",
    "ProbeChoice",
    "ProbeFit",
    "ProbeSpec",
    "Pursuit",
    "Standardizer",
    "Trace",
    "choose_probes",
    "control_probe",
    "cross_entropy_nats",
    "describe_probes",
    "fit_class_map",
    "fit_temperature",
    "log_predictive",
    "mix_with_prior",
    "most_classes",
    "predictive_logits",
    "prior_smoothing",
    "pursuit",
    "CONTEXT_TOKENS",
    "ContextFunction",
    "ContextModel",
    "LEAST_GAIN_NATS",
]

from infodil.probes.backward_ngram import CONTEXT_TOKENS, BackwardNgram
from infodil.probes.calibration import (
    LEAST_GAIN_NATS,
    cross_entropy_nats,
    fit_temperature,
    log_predictive,
    mix_with_prior,
    predictive_logits,
    prior_smoothing,
)
from infodil.probes.class_map import ClassMap, fit_class_map, most_classes
from infodil.probes.context import ContextFunction, ContextModel
from infodil.probes.exact import Exact
from infodil.probes.gaussian.probe import Gaussian
from infodil.probes.neighbours.probe import Neighbours
from infodil.probes.neural.linear import Linear
from infodil.probes.neural.mlp import MLP
from infodil.probes.prior import Prior
from infodil.probes.probe import Calibration, Learning, LinearScores, Probe, ProbeFit, ProbeSpec
from infodil.probes.registry import AUTO, PROBES, ProbeChoice, choose_probes, control_probe, describe_probes
from infodil.probes.standardizer import Standardizer
from infodil.probes.superposition.decoder import pursuit
from infodil.probes.superposition.probe import Pursuit
from infodil.probes.trace.probe import Trace
