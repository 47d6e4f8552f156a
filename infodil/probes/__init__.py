"""The ladder of readers, weakest first. A new reader is one file and one line of `PROBES`."""

__all__ = [
    "PROBES",
    "BackwardNgram",
    "Calibration",
    "ClassMap",
    "Standardizer",
    "Probe",
    "ProbeSpec",
    "predictive_logits",
    "cross_entropy_nats",
    "prior_smoothing",
    "estimate_code",
    "fit_temperature",
    "log_predictive",
    "fit_class_map",
    "most_classes",
    "pursuit",
    "mix_with_prior",
]

from infodil.probes.backward_ngram import BackwardNgram
from infodil.probes.class_map import ClassMap, fit_class_map, most_classes
from infodil.probes.exact import ExactProbe
from infodil.probes.gaussian.probe import GaussianProbe
from infodil.probes.neighbours.probe import NeighboursProbe
from infodil.probes.neural.linear import LinearProbe
from infodil.probes.neural.mlp import MLPProbe
from infodil.probes.prior import PriorProbe
from infodil.probes.probe import (
    Calibration,
    Probe,
    ProbeSpec,
    cross_entropy_nats,
    fit_temperature,
    log_predictive,
    mix_with_prior,
    predictive_logits,
    prior_smoothing,
)
from infodil.probes.regression import estimate_code
from infodil.probes.standardizer import Standardizer
from infodil.probes.superposition.decoder import pursuit
from infodil.probes.superposition.probe import PursuitProbe
from infodil.probes.trace.probe import TraceProbe

PROBES: dict[str, type] = {
    reader.name: reader
    for reader in (
        PriorProbe,
        GaussianProbe,
        LinearProbe,
        MLPProbe,
        NeighboursProbe,
        TraceProbe,
        PursuitProbe,
        ExactProbe,
    )
}
"""Name to reader, weakest first; each is made with `(setting, weaker reader of the same site or None)`."""
