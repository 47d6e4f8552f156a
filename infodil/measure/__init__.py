"""The public question: how much of the token k steps back does each state hold?"""

__all__ = ["recoverability"]

from infodil.measure.recoverability import recoverability
