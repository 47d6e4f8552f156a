"""Language models as the source of states: the EMA language model, its matched baselines, and their training."""

__all__ = [
    "FAMILIES",
    "LOOKS_AT",
    "PREDICTORS",
    "SIZES",
    "CorpusLoss",
    "GRULanguageModel",
    "LanguageModel",
    "LanguageModelConfig",
    "RunConfig",
    "RunText",
    "TextLoss",
    "Training",
    "count_parameters",
    "delayed",
    "load_checkpoint",
    "load_language_model",
    "load_text",
    "make_predictor",
    "named_config",
    "named_run",
    "next_token_windows",
    "prepare_text",
    "read_run",
    "save_checkpoint",
    "score_corpus",
    "score_text",
    "train_language_model",
    "train_run",
]

from infodil.lm.checkpoint import load_checkpoint, save_checkpoint
from infodil.lm.config import FAMILIES, PREDICTORS, SIZES, LanguageModelConfig
from infodil.lm.corpus_loss import CorpusLoss, score_corpus
from infodil.lm.model import LanguageModel, count_parameters, named_config
from infodil.lm.predictors import LOOKS_AT, make_predictor
from infodil.lm.recurrent import GRULanguageModel
from infodil.lm.run import RunConfig, load_language_model, named_run, read_run, train_run
from infodil.lm.scans import delayed
from infodil.lm.scoring import TextLoss, next_token_windows, score_text
from infodil.lm.text import RunText, load_text, prepare_text
from infodil.lm.training import Training, train_language_model
