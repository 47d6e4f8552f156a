"""The loss of a language model on each held-out document: what perplexities, differences and their intervals rest on.

Every token of a document but its first is predicted once, from the tokens before it in its window; windows of a
document are laid end to end, each beginning from a state of zero.
"""

__all__ = ["TextLoss", "next_token_windows", "score_text"]

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor, nn

from infodil.checks import UserError, check_whole
from infodil.corpus import Split
from infodil.estimate import BITS_PER_NAT
from infodil.progress import progress_bar


@dataclass(frozen=True, eq=False)
class TextLoss:
    """Losses summed by document.

    Example:
        >>> loss = TextLoss(np.array([2.0, 4.0]), np.array([1, 2]), np.array([4, 8]))
        >>> loss.loss_nats, round(loss.perplexity, 3), round(loss.bits_per_byte, 3)
        (2.0, 7.389, 0.721)
    """

    nats: Float[ndarray, "documents"]
    """Loss of all predicted tokens of each document."""
    tokens: Int[ndarray, "documents"]
    """Predicted tokens."""
    bytes: Int[ndarray, "documents"] | None = None
    """UTF-8 bytes of the predicted tokens; None where the tokenizer does not say."""

    @property
    def loss_nats(self) -> float:
        """Mean over tokens."""
        return float(self.nats.sum() / self.tokens.sum())

    @property
    def perplexity(self) -> float:
        """Perplexity of a token: comparable among models of one tokenizer alone."""
        return math.exp(self.loss_nats)

    @property
    def bits_per_byte(self) -> float | None:
        """Bits per UTF-8 byte: comparable whatever the tokenizer."""
        return None if self.bytes is None else float(self.nats.sum() * BITS_PER_NAT / self.bytes.sum())


def next_token_windows(
    split: Split, window: int, batch_size: int
) -> Iterator[tuple[Int[Tensor, "rows longer"], Int[ndarray, "rows"]]]:
    """Batches of rows of at most `window + 1` ids, -1 where a row has ended, and the document of each row.

    A row's last id is the next row's first, so that every token but a document's first is predicted once.

    Args:
        split: Text that is cut.
        window: Number of tokens that a row predicts.
        batch_size: Number of rows in a batch.

    Yields:
        Ids and documents of a batch.
    """
    begins, lengths, documents = document_spans(split)
    rows = -(-(lengths - 1) // window)
    document = np.repeat(np.arange(len(begins)), rows)
    place = np.arange(len(document)) - np.repeat(np.cumsum(rows) - rows, rows)
    start = begins[document] + place * window
    length = np.minimum(window + 1, begins[document] + lengths[document] - start)
    order = np.argsort(-length, kind="stable")
    for first in range(0, len(order), batch_size):
        some = order[first : first + batch_size]
        columns = np.arange(int(length[some].max()))
        inside = columns < length[some][:, None]
        ids = split.tokens[np.where(inside, start[some][:, None] + columns, 0)]
        yield torch.from_numpy(np.where(inside, ids, -1).astype(np.int64)), documents[document[some]]


def document_spans(split: Split) -> tuple[ndarray, ndarray, ndarray]:
    """Where each document begins, its length and its number, from the sequences it is cut into."""
    opens = np.flatnonzero(np.diff(split.document, prepend=-1))
    lengths = np.add.reduceat(split.lengths, opens) if len(opens) else split.lengths
    return split.starts[opens], lengths, split.document[opens]


@torch.no_grad()
def score_text(
    model: nn.Module | Callable[[Tensor], Tensor],
    split: Split,
    *,
    window: int = 128,
    batch_size: int = 32,
    bytes_of: Int[ndarray, "vocabulary"] | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
    words: str = "scoring",
) -> TextLoss:
    """Losses of each document of a split.

    Args:
        model: Function from ids `[documents, tokens]` to next-token logits `[documents, tokens, vocabulary]`.
        split: Held-out text.
        window: Most tokens that the model reads at once.
        batch_size: Number of windows read at once.
        bytes_of: Number of bytes that each id stands for.
        device: Device of the model; by default that of its parameters.
        progress: Whether a bar is shown.
        words: Text beside the bar.

    Returns:
        Losses summed by document.

    Raises:
        UserError: No document has two tokens, or a loss is not finite.
    """
    check_whole("window", window, 1, "pass 1 or more")
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    if device is None and isinstance(model, nn.Module):
        device = next((parameter.device for parameter in model.parameters()), None)
    nats, tokens, sizes = (np.zeros(split.documents, dtype=kind) for kind in (float, np.int64, np.int64))
    with progress_bar(words=words, shown=progress, total=len(split.tokens), unit="token") as bar:
        for rows, document in next_token_windows(split, window, batch_size):
            losses, real = row_losses(model, rows.to(device))
            np.add.at(nats, document, losses.sum(1).double().cpu().numpy())
            np.add.at(tokens, document, real.sum(1).cpu().numpy())
            if bytes_of is not None:
                np.add.at(sizes, document, np.where(rows[:, 1:] >= 0, bytes_of[rows[:, 1:]], 0).sum(1))
            bar.update(int(real.sum()))
    if tokens.sum() == 0:
        raise UserError("`split` has no document of two tokens, so nothing can be predicted: pass longer documents.")
    if not np.isfinite(nats).all():
        raise UserError("`model` has losses that are not finite on this text: check its weights.")
    kept = tokens > 0
    return TextLoss(nats[kept], tokens[kept], None if bytes_of is None else sizes[kept])


def row_losses(model: Callable[[Tensor], Tensor], rows: Int[Tensor, "rows longer"]) -> tuple[Tensor, Tensor]:
    """The loss of each next token in nats, zero where a row has ended, and whether there was one."""
    real = rows[:, 1:] >= 0
    logits = model(rows[:, :-1].clamp(min=0)).float()
    losses = nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].flatten(), ignore_index=-1, reduction="none")
    return losses.view_as(real), real
