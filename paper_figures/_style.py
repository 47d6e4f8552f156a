"""What all figures share: where their data lie, where they go, how wide a page is."""

from pathlib import Path

import pandas as pd

HERE = Path(__file__).resolve().parent
WIDTH_INCHES = 7.2


def read(name):
    """The rows of one study."""
    return pd.read_csv(HERE / "data" / f"{name}.csv")


def place(name):
    """The path of a figure."""
    return HERE / f"{name}.png"
