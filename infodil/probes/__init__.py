"""The ladder of readers, weakest first. A new reader is one file and one line of `LADDER`."""

__all__ = [
    "LADDER",
    "BackwardNgram",
    "Calibration",
    "Classes",
    "Frame",
    "Reader",
    "Setting",
    "answer_logits",
    "cross_entropy_nats",
    "doubt_after",
    "estimate_code",
    "fit_temperature",
    "log_answer",
    "make_classes",
    "most_classes",
    "pursuit",
    "with_doubt",
]

from infodil.probes.backward_ngram import BackwardNgram
from infodil.probes.class_map import Classes, make_classes, most_classes
from infodil.probes.exact import ExactReader
from infodil.probes.gaussian.probe import GaussianReader
from infodil.probes.neighbours.probe import NeighboursReader
from infodil.probes.neural.linear import LinearReader
from infodil.probes.neural.mlp import MLPReader
from infodil.probes.prior import PriorReader
from infodil.probes.probe import (
    Calibration,
    Reader,
    Setting,
    answer_logits,
    cross_entropy_nats,
    doubt_after,
    fit_temperature,
    log_answer,
    with_doubt,
)
from infodil.probes.regression import estimate_code
from infodil.probes.standardizer import Frame
from infodil.probes.superposition.decoder import pursuit
from infodil.probes.superposition.probe import PursuitReader
from infodil.probes.trace.probe import TraceReader

LADDER: dict[str, type] = {
    reader.name: reader
    for reader in (
        PriorReader,
        GaussianReader,
        LinearReader,
        MLPReader,
        NeighboursReader,
        TraceReader,
        PursuitReader,
        ExactReader,
    )
}
"""Name to reader, weakest first; each is made with `(setting, weaker reader of the same site or None)`."""
