"""Tokens to states. A new built-in encoder is one file and one line of `BUILT_IN`."""

__all__ = [
    "BUILT_IN",
    "AttentionEncoder",
    "CombinedEncoder",
    "Encoder",
    "GRUEncoder",
    "HuggingFaceEncoder",
    "ModuleEncoder",
    "ShiftRegisterEncoder",
    "TraceEncoder",
    "check_states",
    "choose_sites",
    "fingerprint",
    "load_encoder",
    "random_embedding",
    "randomised",
    "self_test",
    "superposition",
]

from infodil.encoders.attention import AttentionEncoder
from infodil.encoders.combined import CombinedEncoder
from infodil.encoders.encoder import Encoder, check_states, choose_sites, fingerprint, self_test, superposition
from infodil.encoders.gated import GRUEncoder
from infodil.encoders.huggingface import HuggingFaceEncoder
from infodil.encoders.loading import BUILT_IN, load_encoder
from infodil.encoders.module import ModuleEncoder
from infodil.encoders.randomising import randomised
from infodil.encoders.shift_register import ShiftRegisterEncoder
from infodil.encoders.trace import TraceEncoder, random_embedding
