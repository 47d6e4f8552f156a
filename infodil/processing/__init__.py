"""What processing does to information: predictors of the same traces, and where a gap in loss comes from."""

__all__ = [
    "GapDecomposition",
    "LossDifference",
    "PredictorAblation",
    "ablate_predictor",
    "compare_losses",
    "decompose_gap",
]

from infodil.processing.ablation import PredictorAblation, ablate_predictor
from infodil.processing.differences import LossDifference, compare_losses
from infodil.processing.gap import GapDecomposition, decompose_gap
