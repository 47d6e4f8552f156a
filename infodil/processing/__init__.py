"""What processing does to information: the inequality along a chain, predictors of the same traces, gaps in loss."""

__all__ = [
    "ChainCheck",
    "GapDecomposition",
    "Link",
    "LossDifference",
    "PredictorAblation",
    "ablate_predictor",
    "check_chain",
    "compare_losses",
    "decompose_gap",
]

from infodil.processing.ablation import PredictorAblation, ablate_predictor
from infodil.processing.data_processing import ChainCheck, Link, check_chain
from infodil.processing.loss_gap import GapDecomposition, decompose_gap
from infodil.processing.paired_losses import LossDifference, compare_losses
