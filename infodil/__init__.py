"""infodil: how much of the past a sequence model's state still holds, in bits, with intervals.

The names below are loaded when first used, so that `infodil --help` and `infodil.plots` never wait for torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from infodil.corpus import Corpus, load_corpus
    from infodil.encoders import Encoder, load_encoder
    from infodil.estimate import Estimate
    from infodil.measure import recoverability
    from infodil.report import RecoverabilityReport, load_report

_HOME = {
    "recoverability": "infodil.measure",
    "RecoverabilityReport": "infodil.report",
    "load_report": "infodil.report",
    "Corpus": "infodil.corpus",
    "load_corpus": "infodil.corpus",
    "Encoder": "infodil.encoders",
    "load_encoder": "infodil.encoders",
    "Estimate": "infodil.estimate",
}
_MODULES = (
    *(
        "bounds",
        "channel",
        "checks",
        "cli",
        "corpus",
        "depth",
        "encoders",
        "entropy",
        "estimate",
        "ladder",
        "lm",
        "measure",
        "mi",
        "plots",
        "precision",
        "probes",
    ),
    *("processing", "report", "roles", "sources", "statistics", "testing", "traces"),
)

__all__ = [
    "recoverability",
    "RecoverabilityReport",
    "load_report",
    "Corpus",
    "load_corpus",
    "Encoder",
    "load_encoder",
    "Estimate",
]


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(_HOME[name]), name)
    if name in _MODULES:
        return importlib.import_module(f"infodil.{name}")
    raise AttributeError(f"module 'infodil' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_MODULES, "__version__"])
