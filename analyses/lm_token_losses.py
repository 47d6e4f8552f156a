"""Losses of a language model on held-out text, summed by document, position, recall, frequency and kind of byte.

A token is *recalled* from depth d if it stands earlier in the window behind the same d tokens as now: with one, it is
the second token of a pair seen before (Arora et al. 2023, Zoology, arXiv 2312.04927). Bytes repeat their pairs all the
time, so that for them deeper classes say more: five equal bytes are most of a word.
"""

import numpy as np
import torch
from torch import nn

from infodil.corpus import token_bytes
from infodil.estimate import BITS_PER_NAT
from infodil.lm import next_token_windows

__all__ = ["DEPTHS", "KINDS", "POSITION_BINS", "RANKS", "loss_row", "recall_depths"]

DEPTHS = (0, 1, 2, 3, 5, 9)
"""Least depth of each class of recall; the first class is not recalled."""
KINDS = ("first letter", "second or third letter", "later letter", "space", "other")
"""Of the predicted byte: its place in its word."""
POSITION_BINS = 16
RANKS = (1, 5, 17, 65, 1025)
"""Least rank, by frequency in the training text, of each class of frequency."""


@torch.no_grad()
def loss_row(model, split, window, tokenizer, counts, batch_size=32):
    """The fields of one scored text; `counts` are of the tokens of the training text."""
    nats, depths, frequencies, kinds, positions, documents = ([] for _ in range(6))
    classes = frequency_classes(counts)
    for rows, document in next_token_windows(split, window, batch_size):
        real = rows[:, 1:] >= 0
        logits = model(rows[:, :-1].clamp(min=0)).float()
        losses = nn.functional.cross_entropy(logits.flatten(0, 1), rows[:, 1:].clamp(min=0).flatten(), reduction="none")
        real = real.numpy()
        nats.append(losses.view(rows[:, 1:].shape).numpy()[real])
        depths.append(np.searchsorted(DEPTHS, recall_depths(rows.numpy())[real], side="right") - 1)
        frequencies.append(classes[rows[:, 1:].numpy()[real]])
        kinds.append(kinds_of(rows.numpy())[real])
        positions.append(np.broadcast_to(np.arange(real.shape[1]) * POSITION_BINS // window, real.shape)[real])
        documents.append(np.broadcast_to(document[:, None], real.shape)[real])
    nats = np.concatenate(nats).astype(np.float64)
    bytes_of = token_bytes(tokenizer)
    sizes = bytes_of[split.tokens].sum() - bytes_of[split.tokens[split.starts]].sum()
    schemes = {
        "document": (documents, split.documents),
        "position": (positions, POSITION_BINS),
        "depth": (depths, len(DEPTHS)),
        "frequency": (frequencies, len(RANKS)),
        **({"kind": (kinds, len(KINDS))} if model.vocabulary == 256 else {}),
    }
    row = {
        "scored_tokens": len(nats), "loss_nats": nats.mean(), "bits_per_byte": nats.sum() * BITS_PER_NAT / sizes,
    }  # fmt: skip
    for name, (places, number) in schemes.items():
        place = np.concatenate(places)
        row[f"{name}_tokens"] = " ".join(map(str, np.bincount(place, minlength=number)))
        row[f"{name}_nats"] = " ".join(f"{total:.2f}" for total in np.bincount(place, nats, minlength=number))
    return row


def recall_depths(rows):
    """Depth from which each token but the first is recalled, 0 where it is not, for rows of ids with -1 at their ends.

    Example:
        >>> recall_depths(np.array([[7, 8, 9, 7, 8, 9, 5]])).tolist()
        [[0, 0, 0, 1, 2, 0]]
    """
    found = np.zeros((len(rows), rows.shape[1] - 1), dtype=np.int64)
    before = np.zeros(rows.shape, dtype=np.int64)  # tokens up to the last one that also stand before each place
    for place in range(1, rows.shape[1]):
        same = rows[:, :place] == rows[:, place, None]
        shorter = np.concatenate([np.zeros((len(rows), 1), np.int64), before[:, : place - 1]], 1)
        run = np.where(same, shorter + 1, 0)
        found[:, place - 1] = np.maximum(run.max(1) - 1, 0)
        before[:, :place] = run
    return found


def frequency_classes(counts):
    """Class of frequency of each token, from how often it stands in the training text.

    Example:
        >>> frequency_classes(np.array([3, 90, 1, 50, 7, 40, 0])).tolist()
        [1, 0, 1, 0, 0, 0, 1]
    """
    ranks = np.empty(len(counts), dtype=np.int64)
    ranks[np.argsort(-counts, kind="stable")] = np.arange(1, len(counts) + 1)
    return np.searchsorted(RANKS, ranks, side="right") - 1


def kinds_of(rows):
    """Number of the kind of each byte but the first."""
    letters = (rows >= 65) & (rows <= 90) | (rows >= 97) & (rows <= 122)
    place = np.zeros(rows.shape, dtype=np.int64)
    for column in range(rows.shape[1]):
        place[:, column] = np.where(letters[:, column], (place[:, column - 1] if column else 0) + 1, 0)
    kinds = np.select([place == 1, (place == 2) | (place == 3), place > 3, rows == 32], [0, 1, 2, 3], 4)
    return kinds[:, 1:]
