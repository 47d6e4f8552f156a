"""Reference encoders: twelve recurrences with states of equal size, each readable in one sitting, trainable alike."""

__all__ = ["CELLS", "Cell", "ReferenceModel", "delta_rule", "linear_memory_capacity", "reference"]

from infodil.encoders.reference.cell import Cell
from infodil.encoders.reference.learned import delta_rule
from infodil.encoders.reference.memory_capacity import linear_memory_capacity
from infodil.encoders.reference.model import CELLS, ReferenceModel, reference
