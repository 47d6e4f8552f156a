"""The supervised rival: a bidirectional GRU that is told the role of every word of its training text."""

__all__ = ["BiGRU", "Tuning", "train_bigru"]

import math
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int64
from torch import Tensor, nn

from infodil.checks import UserError, check_not_empty, check_whole
from infodil.roles.texts import RoleText

BATCH = 32


@dataclass(frozen=True)
class Tuning:
    """One setting of the rival."""

    hidden: int = 64
    """Width of each direction."""
    dropped: float = 0.0
    """Share of training words that are hidden from it, so that it learns to use the others."""
    rate: float = 1e-2


class BiGRU(nn.Module):
    """Word vectors, a GRU in both directions, a linear layer.

    Reference:
        Schuster and Paliwal (1997), Bidirectional recurrent neural networks; Cho et al. (2014), arXiv 1406.1078.
    """

    def __init__(self, vocabulary: int, roles: int, tuning: Tuning, dim: int = 32) -> None:
        super().__init__()
        self.padding, self.dropped = vocabulary, tuning.dropped
        self.embedding = nn.Embedding(vocabulary + 1, dim)
        self.gru = nn.GRU(dim, tuning.hidden, batch_first=True, bidirectional=True)
        self.readout = nn.Linear(2 * tuning.hidden, roles)

    def states(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens states"]:
        """The states of both directions at each word."""
        lengths = (words >= 0).sum(1)
        ids = torch.where(words >= 0, words, self.padding)
        if self.training and self.dropped:
            ids = torch.where(torch.rand(ids.shape) < self.dropped, self.padding, ids)
        # Packed, so that the backward direction starts at the last word and not in the padding.
        packed = nn.utils.rnn.pack_padded_sequence(self.embedding(ids), lengths, batch_first=True, enforce_sorted=False)
        return nn.utils.rnn.pad_packed_sequence(self.gru(packed)[0], batch_first=True, total_length=words.shape[1])[0]

    def forward(self, words: Int64[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens roles"]:
        """Logits of each role; those of padding mean nothing."""
        return self.readout(self.states(words))

    @torch.no_grad()
    def predict(self, words: Int64[Tensor, "documents tokens"]) -> Int64[Tensor, "documents tokens"]:
        """The likeliest role of each word."""
        self.eval()
        return torch.cat([self(batch).argmax(-1) for batch in words.split(512)])


def train_bigru(
    train: RoleText,
    validation: RoleText,
    tunings: tuple[Tuning, ...] = (Tuning(),),
    *,
    inputs: tuple[Tensor, Tensor] | None = None,
    steps: int = 1500,
    seed: int = 0,
) -> tuple[BiGRU, Tuning]:
    """The supervised rival of the best tuning, at its best moment by the accuracy on validation arguments.

    Args:
        train: Text with the roles that are taught.
        validation: Text on which every choice is made.
        tunings: Settings, tried one after the other.
        inputs: Ids to read instead of the words of the two texts, padded alike.
        steps: Number of steps of 32 sentences each.
        seed: Seed of the first weights, the order of sentences and the hidden words.

    Returns:
        The model and its tuning.

    Raises:
        UserError: No tuning, or texts with other roles.

    Example:
        >>> from infodil.roles import grammar
        >>> train, validation = (grammar("A", depth=0).sample(64, seed=seed) for seed in (0, 1))
        >>> model, tuning = train_bigru(train, validation, steps=5)
        >>> model.predict(validation.words).shape == validation.words.shape
        True
    """
    check_not_empty("tunings", tunings, "pass at least one")
    check_whole("steps", steps, 1, "pass 1 or more")
    if train.role_names != validation.role_names:
        raise UserError(f"`validation` must have the roles of `train`, got {validation.role_names}: number them alike.")
    words = (train.words, validation.words) if inputs is None else inputs
    vocabulary = 1 + int(max(table.max() for table in words)) if inputs is not None else len(train.vocabulary)
    tried = []
    for tuning in tunings:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            model = BiGRU(vocabulary, len(train.role_names), tuning)
            tried.append((*fit(model, train, validation, words, tuning.rate, steps), tuning))
    _, best, tuning = max(tried, key=lambda one: one[0])
    return best, tuning


def fit(
    model: BiGRU, train: RoleText, validation: RoleText, words: tuple[Tensor, Tensor], peak: float, steps: int
) -> tuple[float, BiGRU]:
    """AdamW with warm-up and cosine decay; the best of ten moments by validation accuracy on arguments."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=peak, weight_decay=1e-3)
    best, kept = -1.0, {}
    # Sentences of like length together: little padding.
    by_length = (words[0] >= 0).sum(1).argsort(stable=True).split(BATCH)
    order: list[int] = []
    for step in range(steps):
        order = order or torch.randperm(len(by_length)).tolist()
        rows = by_length[order.pop()]
        optimizer.param_groups[0]["lr"] = (
            peak * min(1.0, 20 * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2
        )
        longest = int((words[0][rows] >= 0).sum(1).max())
        model.train()
        scores = model(words[0][rows, :longest])
        loss = nn.functional.cross_entropy(scores.flatten(0, 1), train.roles[rows, :longest].flatten(), ignore_index=-1)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if (step + 1) % max(1, steps // 10) == 0:
            scored = validation.is_argument if bool(validation.is_argument.any()) else validation.present
            right = (model.predict(words[1]) == validation.roles)[scored].double().mean()
            if float(right) > best:
                best, kept = float(right), {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(kept)
    model.eval()
    return best, model
