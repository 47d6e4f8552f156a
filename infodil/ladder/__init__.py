"""One ladder of probes: fitted, calibrated, selected and cross-fitted, over rows of a stream or in memory."""

__all__ = [
    "Chunk",
    "CrossFit",
    "FittedLadder",
    "FittedProbe",
    "HeldOut",
    "LadderData",
    "LagLabels",
    "LagTask",
    "MeasuredSites",
    "SitePreprocessing",
    "StateStream",
    "TextClusters",
    "TypeClassifier",
    "best_of",
    "certify",
    "check_groups",
    "check_states",
    "check_tokens",
    "choose_probe",
    "control_log_probs",
    "control_of",
    "count_labels",
    "cross_fit",
    "fit_classifier",
    "fit_ladder",
    "fit_preprocessing",
    "hold_out",
    "is_control",
    "lower_bound",
    "make_labels",
    "open_store",
    "pool_rare",
    "positions",
    "probes_to_fit",
    "score_rows",
    "stream_data",
]

from infodil.ladder.arguments import check_groups, check_states, check_tokens
from infodil.ladder.certify import certify
from infodil.ladder.classifier import TypeClassifier, fit_classifier
from infodil.ladder.clusters import TextClusters
from infodil.ladder.cross_fit import CrossFit, cross_fit
from infodil.ladder.data import LadderData, stream_data
from infodil.ladder.fit import FittedProbe
from infodil.ladder.folds import HeldOut, hold_out
from infodil.ladder.labels import LagLabels, positions
from infodil.ladder.ladder import FittedLadder, fit_ladder, probes_to_fit
from infodil.ladder.lower_bound import choose_probe, lower_bound, pool_rare
from infodil.ladder.preprocessing import SitePreprocessing
from infodil.ladder.scoring import control_log_probs, score_rows
from infodil.ladder.selection import best_of
from infodil.ladder.sites import MeasuredSites, control_of, is_control
from infodil.ladder.state_store import open_store
from infodil.ladder.state_stream import Chunk, StateStream, fit_preprocessing
from infodil.ladder.task import LagTask, count_labels, make_labels
