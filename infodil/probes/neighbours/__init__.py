"""The nearest-neighbour probe."""
