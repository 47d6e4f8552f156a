"""Language models as the source of states: training them."""

__all__ = ["Training", "train_language_model"]

from infodil.lm.training import Training, train_language_model
