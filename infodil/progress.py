"""The progress bar of all long work: it has words, its clock moves, it is gone at the end, and nobody else sees it."""

__all__ = ["progress_bar"]

import sys
import threading
import time
import warnings
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tqdm

TICK_SECONDS = 1.0
"""Time after which the clock of a bar moves, although a step takes longer."""


def progress_bar(
    items: Iterable[Any] | None = None,
    words: str = "",
    *,
    shown: bool,
    total: int | None = None,
    initial: int = 0,
    unit: str = "step",
) -> "tqdm.tqdm":
    """A progress bar on a terminal or in a notebook; nothing in a file or a pipe.

    Args:
        items: The items to go through; None where `update` is called by hand.
        words: The words before the bar.
        shown: Whether the caller wants a bar.
        total: The number of steps, where the items do not tell it.
        initial: The number of steps done before.
        unit: What a step is called.

    Returns:
        The bar, an iterator over the items and a context manager.
    """
    shown = shown and somebody_looks()
    with warnings.catch_warnings():
        # A notebook without widgets gets the bar of a terminal; nobody needs to be told.
        warnings.filterwarnings("ignore", "IProgress not found")
        from tqdm.auto import tqdm
    bar = tqdm(
        items, words, total, initial=initial, leave=False, unit=unit, unit_scale=unit == "token", disable=not shown
    )
    if not bar.disable:
        threading.Thread(target=keep_moving, args=(bar,), daemon=True).start()
    return bar


def somebody_looks() -> bool:
    """Whether standard error is a terminal, or the cells of a notebook."""
    return sys.stderr.isatty() or "ipykernel" in sys.modules


def keep_moving(bar: "tqdm.tqdm") -> None:
    """The clock of a bar moved on until the bar is closed."""
    while not bar.disable:
        time.sleep(TICK_SECONDS)
        with bar.get_lock():
            if not bar.disable:
                bar.refresh(nolock=True)
