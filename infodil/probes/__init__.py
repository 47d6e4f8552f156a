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

from infodil.probes.classes import Classes, make_classes, most_classes
from infodil.probes.context import BackwardNgram
from infodil.probes.exact import ExactReader
from infodil.probes.frame import Frame
from infodil.probes.gaussian import GaussianReader
from infodil.probes.linear import LinearReader
from infodil.probes.mlp import MLPReader
from infodil.probes.neighbours import NeighboursReader
from infodil.probes.prior import PriorReader
from infodil.probes.reader import (
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
from infodil.probes.superposition import pursuit
from infodil.probes.superposition_reader import PursuitReader
from infodil.probes.trace_reader import TraceReader

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
