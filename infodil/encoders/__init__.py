"""Tokens to states. A new built-in encoder is one file and one line of `ENCODERS`."""

__all__ = [
    "ENCODERS",
    "KINDS_OF_SITE",
    "ChosenSites",
    "CombinedEncoder",
    "CountSketch",
    "CustomEncoder",
    "Encoder",
    "EncoderInParts",
    "HuggingFaceEncoder",
    "LanguageModelEncoder",
    "ModuleEncoder",
    "RecordedStates",
    "ReferenceModel",
    "ShiftRegisterEncoder",
    "TraceEncoder",
    "as_encoder",
    "attention",
    "check_model_options",
    "check_states",
    "choose_sites",
    "gru",
    "linear_memory_capacity",
    "load_encoder",
    "random_embedding",
    "read_recorded",
    "record",
    "self_test",
]

from infodil.encoder import KINDS_OF_SITE, Encoder
from infodil.encoders.combined import CombinedEncoder
from infodil.encoders.custom import CustomEncoder, as_encoder
from infodil.encoders.huggingface import HuggingFaceEncoder
from infodil.encoders.in_parts import EncoderInParts
from infodil.encoders.language_models import LanguageModelEncoder, attention, gru
from infodil.encoders.loading import ENCODERS, load_encoder
from infodil.encoders.module import ModuleEncoder
from infodil.encoders.options import check_model_options
from infodil.encoders.recorded import RecordedStates, read_recorded
from infodil.encoders.recording import record
from infodil.encoders.reference import ReferenceModel, linear_memory_capacity
from infodil.encoders.self_test import self_test
from infodil.encoders.shift_register import ShiftRegisterEncoder
from infodil.encoders.sites import ChosenSites, check_states, choose_sites
from infodil.encoders.sketch import CountSketch
from infodil.encoders.trace import TraceEncoder, random_embedding
