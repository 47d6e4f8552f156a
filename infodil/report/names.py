"""Names that come from outside, made safe to print and short enough for a column."""

from collections.abc import Sequence

__all__ = ["printable", "short_names", "shorten"]


def printable(text: object) -> str:
    """The text with every control and format character replaced.

    A terminal obeys control characters, a page hides format characters, and names of sites and models come from
    outside.

    Args:
        text: Anything that `str` accepts.

    Returns:
        The same number of characters, each of which is visible or a space.
    """
    return "".join(letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in str(text))


def shorten(text: str, most: int) -> str:
    """The text cut in the middle: both ends of a module path tell it from its neighbours.

    Args:
        text: The text to cut.
        most: The largest number of characters that may remain.

    Returns:
        At most `most` characters, with an ellipsis where something is missing.

    Example:
        >>> shorten("model.layers.10.mixer", 11)
        'model…mixer'
    """
    if len(text) <= most:
        return text
    head = (most - 1) // 2
    return f"{text[:head]}…{text[len(text) - (most - 1 - head) :]}"


def short_names(names: Sequence[str], most: int) -> dict[str, str]:
    """Distinct short forms of names: the parts that all names share give way first, then the middle.

    Args:
        names: The names, in order.
        most: The largest number of characters of a short form.

    Returns:
        The short form of each name.

    Example:
        >>> short_names(["model.layers.0.self_attn.o_proj", "model.layers.1.self_attn.o_proj"], 12)
        {'model.layers.0.self_attn.o_proj': '…0…', 'model.layers.1.self_attn.o_proj': '…1…'}
    """
    whole = {name: printable(name) for name in names}
    if max(map(len, whole.values()), default=0) <= most:
        return whole
    if len(whole) > 1:
        head = _shared_prefix(list(whole.values()))
        tail = _shared_prefix([text[head:][::-1] for text in whole.values()])
        whole = {
            name: "…" * (head > 0) + text[head : len(text) - tail] + "…" * (tail > 0) for name, text in whole.items()
        }
    short = {name: shorten(text, most) for name, text in whole.items()}
    if len(set(short.values())) < len(short):
        short = {name: shorten(f"{place}:{text}", most) for place, (name, text) in enumerate(whole.items(), 1)}
    return short


def _shared_prefix(texts: Sequence[str]) -> int:
    """Length of the common prefix, back to a dot: a number such as 10 of 10 and 11 stays whole."""
    same = 0
    while all(len(text) > same and text[same] == texts[0][same] for text in texts):
        same += 1
    return texts[0].rfind(".", 0, same) + 1
