"""Measurements of the speed and memory of infodil."""
