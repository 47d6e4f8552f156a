"""Train a next-token model for a budget of tokens. Losses are in nats a token."""

__all__ = ["Training", "train_language_model"]

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Integer
from numpy import ndarray
from torch import nn
from tqdm.auto import tqdm

from infodil.checks import check_whole

WARM_SHARE = 0.05


@dataclass(frozen=True)
class Training:
    """What a training run came to."""

    parameters: int
    tokens: int
    """Tokens trained on, repeats counted."""
    held_out_loss_nats: float
    """Mean next-token loss on the held-out tokens."""


def train_language_model(
    model: nn.Module,
    train: Integer[ndarray, "tokens"],
    held_out: Integer[ndarray, "held_out_tokens"],
    *,
    tokens: int,
    window: int = 128,
    batch_size: int = 8,
    peak_rate: float = 4e-3,
    seed: int = 0,
    progress: bool = True,
    words: str = "training",
) -> Training:
    """AdamW with warm-up, cosine decay and clipped gradients on random windows of the training tokens.

    Args:
        model: Gives next-token logits `[documents, tokens, vocabulary]` for ids `[documents, tokens]`; changed in
            place and left in evaluation mode.
        train: Token ids, documents end to end.
        held_out: Likewise, of other documents.
        tokens: How many training tokens to see.
        window: Tokens in a row.
        batch_size: Rows in a step.
        peak_rate: Of learning.
        seed: Of the windows drawn.
        progress: Show a bar with the loss.
        words: Beside the bar.

    Raises:
        UserError: The text is shorter than a window.
    """
    check_whole("tokens", tokens, 1, "pass how many tokens to train on")
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    check_whole("window", window, 2, "a next token needs one before it")
    for name, text in (("train", train), ("held_out", held_out)):
        check_whole(f"len({name})", len(text), window + 1, "pass more text or a smaller window")
    generator = np.random.default_rng([seed, 0x7EA])
    steps = max(1, tokens // (window * batch_size))
    device = next(model.parameters()).device
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": 0.1}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=peak_rate, betas=(0.9, 0.95))
    model.train()
    with tqdm(range(steps), words, disable=not progress, leave=False, unit="step") as bar:
        for step in bar:
            warm = min(1.0, (step + 1) / max(1.0, WARM_SHARE * steps))
            for group in optimizer.param_groups:
                group["lr"] = peak_rate * warm * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            begins = generator.integers(0, len(train) - window, batch_size)
            loss = next_token_loss(model, rows_of(train, begins, window, device))
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            if step % 20 == 0:
                bar.set_postfix_str(f"{loss.item():.2f} nats a token")
    model.eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    return Training(count, steps * window * batch_size, held_out_loss(model, held_out, window, batch_size, device))


def rows_of(text: Integer[ndarray, "tokens"], begins: ndarray, window: int, device: torch.device) -> torch.Tensor:
    """Windows of `window + 1` tokens."""
    return torch.from_numpy(text[begins[:, None] + np.arange(window + 1)].astype(np.int64)).to(device)


def next_token_loss(model: nn.Module, rows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each next token, nats."""
    return nn.functional.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(
    model: nn.Module, text: Integer[ndarray, "tokens"], window: int, batch_size: int, device: torch.device
) -> float:
    """Mean loss over windows laid end to end."""
    begins = np.arange(0, len(text) - window, window)
    parts = [begins[first : first + batch_size] for first in range(0, len(begins), batch_size)]
    losses = [float(next_token_loss(model, rows_of(text, part, window, device))) * len(part) for part in parts]
    return sum(losses) / len(begins)
