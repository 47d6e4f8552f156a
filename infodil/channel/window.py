"""The window: how many of the newest tokens have few enough sequences to be enumerated."""

__all__ = ["MAX_SEQUENCES", "check_window", "longest_window"]

from infodil.checks import UserError, check_whole

MAX_SEQUENCES = 2**20
"""Sequences enumerated for one state at most: time grows in proportion."""


def longest_window(vocabulary: int, most: int = MAX_SEQUENCES) -> int:
    r"""The largest number of tokens `n` with :math:`V^n \le` `most`.

    Example:
        >>> longest_window(16)
        5
    """
    tokens = 0
    while vocabulary ** (tokens + 1) <= most:
        tokens += 1
    return tokens


def check_window(window: int | None, vocabulary: int, most: int) -> int:
    """The requested window, or the longest one.

    Raises:
        UserError: `window` is below 1, or its sequences are more than `most`.
    """
    longest = longest_window(vocabulary, most)
    if window is None:
        return longest
    check_whole("window", window, 1, "pass how many tokens to enumerate")
    if window > longest:
        raise UserError(
            f"`window` must be at most {longest} for {vocabulary} types, got {window}: "
            f"{vocabulary}**{window} sequences are more than {most}."
        )
    return window
