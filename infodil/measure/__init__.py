"""The public question: how much of the token k steps back does each state hold?"""

__all__ = ["BackwardLM", "recoverability"]

from infodil.measure.contexts import BackwardLM
from infodil.measure.recoverability import recoverability
