"""A bidirectional GRU that learns from raw text first, by guessing hidden words, and from labels after that."""

__all__ = ["pretrain_bigru", "tune_bigru"]

import copy
import math

import torch
from torch import nn

from infodil.checks import UserError, check_between, check_whole
from infodil.roles.learners.bigru import BATCH, BiGRU, Tuning, fit
from infodil.roles.texts import RoleText

DEFAULT_TUNING = Tuning()


def pretrain_bigru(
    text: RoleText,
    tuning: Tuning = DEFAULT_TUNING,
    *,
    hidden_share: float = 0.2,
    steps: int = 2000,
    seed: int = 0,
) -> BiGRU:
    """A BiGRU that has learned to name hidden words of a text from the words around them; roles are not looked at.

    Args:
        text: Text of which the words alone are read.
        tuning: Width and learning rate; the share of words hidden is `hidden_share`.
        hidden_share: Share of the words of each batch that are hidden and guessed.
        steps: Number of steps of 32 sentences each.
        seed: Seed of the first weights, the order of sentences and the hidden words.

    Returns:
        The model, whose layer of roles is as it was drawn.

    Raises:
        UserError: No step, or a share that is not between 0 and 1.

    Reference:
        Devlin et al. (2019), BERT, for the task; Dai and Le (2015), Semi-supervised sequence learning, for recurrent
        networks that are pretrained on the text that they are tuned on.

    Example:
        >>> from infodil.roles import grammar
        >>> text = grammar("A", depth=0).sample(64, seed=0)
        >>> model = pretrain_bigru(text, steps=2)
        >>> model.predict(text.words).shape == text.words.shape
        True
    """
    check_whole("steps", steps, 1, "pass 1 or more")
    check_between("hidden_share", hidden_share, 0.0, 1.0, open_low=True)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = BiGRU(len(text.vocabulary), len(text.role_names), tuning)
        guess = nn.Linear(2 * tuning.hidden, len(text.vocabulary))
        # Words are hidden here, where it is known which: the model hides no further ones.
        model.dropped = 0.0
        learn_hidden_words(model, guess, text, hidden_share, tuning.rate, steps)
    model.dropped = tuning.dropped
    return model.eval()


def learn_hidden_words(
    model: BiGRU, guess: nn.Linear, text: RoleText, hidden_share: float, peak: float, steps: int
) -> None:
    """AdamW with warm-up and cosine decay on the cross-entropy of hidden words."""
    parameters = [*model.parameters(), *guess.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=peak, weight_decay=1e-3)
    lengths = text.present.sum(1)
    by_length = lengths.argsort(stable=True).split(BATCH)
    order: list[int] = []
    model.train()
    for step in range(steps):
        order = order or torch.randperm(len(by_length)).tolist()
        rows = by_length[order.pop()]
        words = text.words[rows, : int(lengths[rows].max())]
        asked = (torch.rand(words.shape) < hidden_share) & (words >= 0)
        if not bool(asked.any()):
            continue
        optimizer.param_groups[0]["lr"] = (
            peak * min(1.0, 20 * (step + 1) / steps) * (1 + math.cos(math.pi * step / steps)) / 2
        )
        scores = guess(model.states(torch.where(asked, model.padding, words))[asked])
        loss = nn.functional.cross_entropy(scores, words[asked])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()


def tune_bigru(
    start: BiGRU,
    train: RoleText,
    validation: RoleText,
    tuning: Tuning = DEFAULT_TUNING,
    *,
    steps: int = 400,
    seed: int = 0,
) -> BiGRU:
    """A BiGRU that goes on from another's weights on labelled text; the other stays as it is.

    Args:
        start: Model to begin with, of the same vocabulary and roles.
        train: Text with the roles that are taught.
        validation: Text on whose arguments the best moment is chosen.
        tuning: Share of hidden words and learning rate; the width is that of `start`.
        steps: Number of steps of at most 32 sentences each.
        seed: Seed of the order of sentences and the hidden words.

    Returns:
        The tuned model.

    Raises:
        UserError: No step, or a text with another number of words or roles.
    """
    check_whole("steps", steps, 1, "pass 1 or more")
    known = (start.padding, start.readout.out_features)
    for name, text in (("train", train), ("validation", validation)):
        given = (len(text.vocabulary), len(text.role_names))
        if given != known:
            raise UserError(
                f"`{name}` must have the {known[0]} words and {known[1]} roles of `start`, got {given[0]} and "
                f"{given[1]}: number them alike."
            )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model = copy.deepcopy(start)
        model.dropped = tuning.dropped
        return fit(model, train, validation, (train.words, validation.words), tuning.rate, steps)[1]
