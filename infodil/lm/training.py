"""Train a next-token model for a budget of tokens. Losses are in nats a token."""

__all__ = ["Training", "train_language_model"]

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Integer
from numpy import ndarray
from torch import nn

from infodil.checks import UserError, check_whole
from infodil.fingerprint import structure
from infodil.lm.budget import Budget
from infodil.lm.checkpoint import load_checkpoint, save_checkpoint
from infodil.lm.cross_entropy import mean_cross_entropy
from infodil.lm.parallel import TrainingProcesses
from infodil.progress import progress_bar

SHOWN_EVERY = 20
WAYS_OUT = {
    "train": "train on that text, or pass another folder",
    "module": "train with that code, or pass another folder",
}
"""What to do where a checkpoint is of another text or other code, which the record names by SHA-256."""
RISE_NATS = 1.0
"""A loss this far above the lowest so far was rising before it was lost."""


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
    rows_at_once: int | None = None,
    peak_rate: float | int = 4e-3,
    weight_decay: float | int = 0.1,
    clip: float | int = 1.0,
    precision: str = "float32",
    schedule: str = "cosine",
    seed: int = 0,
    checkpoint: str | Path | None = None,
    checkpoint_every: int = 500,
    stable: str | Path | None = None,
    record: dict[str, Any] | None = None,
    note: Callable[[int, float], None] | None = None,
    among: TrainingProcesses | None = None,
    progress: bool = True,
    words: str = "training",
) -> Training:
    """AdamW with warm-up, decay and clipped gradients on random windows of the training tokens.

    Several processes (`among`) each take their share of every batch, so that their number changes rounding alone.

    Args:
        model: Module from ids `[documents, tokens]` to next-token logits `[documents, tokens, vocabulary]`; changed
            in place and left in evaluation mode.
        train: Token ids for training, documents end to end.
        held_out: Token ids of other documents, for the held-out loss.
        tokens: Number of training tokens, repeats counted.
        window: Number of tokens in a row.
        batch_size: Rows in a step, over all processes.
        rows_at_once: Rows in memory at once, in each process; gradients of a step's parts are added up.
        peak_rate: Highest learning rate, after the warm-up.
        weight_decay: Weight decay of matrices; biases, gains and decay rates are left alone.
        clip: Largest norm of a gradient.
        precision: `bfloat16` runs matrix products in it (autocast); weights and sums stay float32.
        schedule: `cosine`, a fall of the learning rate from the warm-up to the end, or `constant`, a fall in the last
            fifth alone. Up to there runs of all budgets are one: a checkpoint of before the fall serves them all.
        seed: Seed of the windows drawn.
        checkpoint: File that is written every `checkpoint_every` steps and at the end. A run goes on from a file that
            is there already; on a CPU, with as many threads as before, to the same bits as if it had never stopped.
        checkpoint_every: Number of steps between checkpoints.
        stable: File that is written when a `constant` rate begins to fall: a copy of it is the `checkpoint` from which
            a run with more `tokens` goes on.
        record: Entries kept in the checkpoint beside the run's own numbers.
        note: Function called after each step with its number, from 1, and its mean loss.
        among: The processes of the run.
        progress: Whether a bar shows the loss, tokens a second and the time left.
        words: Text beside the bar.

    Returns:
        Parameters, training tokens and held-out loss.

    Raises:
        UserError: The text is shorter than a window, a number is out of range, the checkpoint is damaged or of another
            run, or the loss is no longer finite.

    Reference:
        Loshchilov and Hutter (2019), Decoupled Weight Decay Regularization, arXiv 1711.05101; the settings are those
        of nanoGPT but for the rate.
    """
    among = TrainingProcesses() if among is None else among
    budget = Budget(tokens, window, batch_size, peak_rate, weight_decay, clip, seed, precision, schedule)
    share, remainder = divmod(batch_size, among.number)
    if remainder:
        raise UserError(f"`batch_size` must be a multiple of the {among.number} processes, got {batch_size}.")
    rows_at_once = share if rows_at_once is None else rows_at_once
    check_whole("rows_at_once", rows_at_once, 1, "pass 1 or more")
    check_whole("checkpoint_every", checkpoint_every, 1, "pass 1 or more")
    for name, text in (("train", train), ("held_out", held_out)):
        check_whole(f"len({name})", len(text), window + 1, "pass more text or a smaller window")
    kept = {"train": digest_of(train), **(record or {}), "module": structure(model)}
    optimizer = make_optimizer(model, budget)
    first, before = (0, 0.0) if checkpoint is None else resume(checkpoint, model, optimizer, budget, kept)
    begun = time.perf_counter()
    shared = among.wrap(model)
    device = next(model.parameters()).device
    watch = Watch(budget, checkpoint)
    model.train()
    every = window * batch_size
    with progress_bar(
        words=words, shown=progress and among.is_first, total=budget.steps * every, initial=first * every, unit="token"
    ) as bar:
        for step in range(first, budget.steps):
            for group in optimizer.param_groups:
                group["lr"] = budget.rate(step)
            mine = budget.begins(step, len(train))[among.rank :: among.number]
            loss = gradients(shared, train, mine, rows_at_once, budget, device)
            loss = float(among.total(loss)) / among.number
            norm = nn.utils.clip_grad_norm_(model.parameters(), clip, foreach=True)
            watch.check(step, loss, float(norm), model)
            optimizer.step()
            done = step + 1
            if note is not None:
                note(done, loss)
            bar.update(window * batch_size)
            if step % SHOWN_EVERY == 0:
                bar.set_postfix_str(f"{loss:.2f} nats a token")
            seconds = before + time.perf_counter() - begun
            now = budget.record(done) | kept
            if stable is not None and among.is_first and done == budget.decay_begins:
                save_checkpoint(stable, model, optimizer, done, now, seconds)
            if checkpoint is not None and among.is_first and (done % checkpoint_every == 0 or done == budget.steps):
                save_checkpoint(checkpoint, model, optimizer, done, now, seconds)
    model.eval()
    count = sum(parameter.numel() for parameter in model.parameters())
    held_out_nats = held_out_loss(model, held_out, window, rows_at_once, device)
    return Training(count, budget.steps * window * batch_size, held_out_nats)


def make_optimizer(model: nn.Module, budget: Budget) -> torch.optim.Optimizer:
    """AdamW; only matrices decay."""
    matrices = [parameter for parameter in model.parameters() if parameter.dim() >= 2]
    others = [parameter for parameter in model.parameters() if parameter.dim() < 2]
    groups = [{"params": matrices, "weight_decay": budget.weight_decay}, {"params": others, "weight_decay": 0.0}]
    fused = {parameter.device.type for parameter in model.parameters()} <= {"cpu", "cuda"}
    return torch.optim.AdamW(groups, lr=budget.peak_rate, betas=(0.9, 0.95), fused=fused)


def digest_of(tokens: Integer[ndarray, "tokens"]) -> str:
    """SHA-256 of token ids as 64-bit integers, whatever holds them, a piece at a time."""
    total = hashlib.sha256()
    for first in range(0, len(tokens), 2**20):
        total.update(np.ascontiguousarray(tokens[first : first + 2**20], dtype="<i8"))
    return total.hexdigest()


def resume(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer, budget: Budget, kept: dict[str, Any]
) -> tuple[int, float]:
    """The step to go on from and the seconds spent so far: those of the checkpoint, once it is restored, or zeros.

    Raises:
        UserError: The checkpoint is of a run with another value of anything on record.
    """
    if not Path(path).exists():
        return 0, 0.0
    found = load_checkpoint(path)
    # A checkpoint without a number of tokens is from before a decay: it serves every budget that decays later.
    record = vars(budget) | kept
    if "tokens" not in found.record and "tokens" not in budget.record(found.step):
        del record["tokens"]
    if found.record.get("model") == record.get("model"):
        found.check(model)
    for name, new, old in differences(json.loads(json.dumps(record)), found.record):
        told = "more" if name == "tokens" and old is None else repr(old)
        raise UserError(
            f"`{name}` is {new!r}, and the checkpoint {Path(path).name!r} is of a run with {told}: "
            f"{WAYS_OUT.get(name, 'pass that, or another folder')}."
        )
    found.restore(model, optimizer)
    return found.step, found.seconds


def differences(new: dict[str, Any], old: dict[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Name and both values of each entry that differs, within entries that are dictionaries too."""
    for name in [*new, *(name for name in old if name not in new)]:
        values = new.get(name), old.get(name)
        if isinstance(values[0], dict) and isinstance(values[1], dict):
            yield from differences(*values)
        elif values[0] != values[1]:
            yield name, *values


def gradients(
    model: nn.Module,
    text: Integer[ndarray, "tokens"],
    begins: Integer[ndarray, "rows"],
    rows_at_once: int,
    budget: Budget,
    device: torch.device,
) -> torch.Tensor:
    """Leave the gradient of the mean loss over the rows in the parameters; the loss comes back."""
    model.zero_grad()
    total = torch.zeros((), device=device)
    for part, synchronised in parts(begins, rows_at_once):
        # Processes talk once a step, at its last part.
        quiet = nullcontext() if synchronised or not hasattr(model, "no_sync") else model.no_sync()
        with quiet, torch.autocast(device.type, torch.bfloat16, enabled=budget.precision == "bfloat16"):
            loss = next_token_loss(model, rows_of(text, part, budget.window, device)) * (len(part) / len(begins))
            loss.backward()
        total += loss.detach()
    return total


def parts(begins: Integer[ndarray, "rows"], rows_at_once: int) -> Iterator[tuple[Integer[ndarray, "rows"], bool]]:
    """A step's rows in parts, and whether each is the last."""
    for first in range(0, len(begins), rows_at_once):
        yield begins[first : first + rows_at_once], first + rows_at_once >= len(begins)


class Watch:
    """Stops a run whose loss is no longer finite, before the step that would spoil the weights."""

    def __init__(self, budget: Budget, checkpoint: str | Path | None) -> None:
        self.budget, self.checkpoint = budget, checkpoint
        self.lowest, self.last = math.inf, math.inf

    def check(self, step: int, loss: float, norm: float, model: nn.Module) -> None:
        """Raise `UserError` with the step, the last good checkpoint and the likely cause."""
        if math.isfinite(loss) and math.isfinite(norm):
            self.lowest, self.last = min(self.lowest, loss), loss
            return
        what = f"the loss is {loss}" if not math.isfinite(loss) else f"the gradient is {norm}"
        if self.checkpoint is not None and Path(self.checkpoint).exists():
            saved = load_checkpoint(self.checkpoint).step
            kept = f"the last good checkpoint is {Path(self.checkpoint).name} (step {saved})"
        else:
            kept = "there is no checkpoint yet"
        raise UserError(f"training stopped at step {step + 1}: {what}; {kept}; likely cause: {self.cause(model)}.")

    def cause(self, model: nn.Module) -> str:
        """The first sign of trouble, and what to do about it."""
        rate = self.budget.peak_rate
        if self.last > self.lowest + RISE_NATS:
            return (
                f"the loss had risen from {self.lowest:.2f} to {self.last:.2f} nats, so `peak_rate` = {rate} is too "
                "high: lower it"
            )
        bad = [name for name, weight in model.named_parameters() if not torch.isfinite(weight).all()]
        if bad:
            return f"the weights {bad[0]!r} are not finite: start from weights that are, or lower `peak_rate` = {rate}"
        if self.budget.precision == "bfloat16":
            return f"overflow in bfloat16, or `peak_rate` = {rate} too high: train in float32, or lower it"
        return f"`peak_rate` = {rate} too high: lower it"


def rows_of(text: Integer[ndarray, "tokens"], begins: ndarray, window: int, device: torch.device) -> torch.Tensor:
    """Windows of `window + 1` tokens."""
    return torch.from_numpy(text[begins[:, None] + np.arange(window + 1)].astype(np.int64)).to(device)


def next_token_loss(model: Callable[[torch.Tensor], torch.Tensor], rows: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each next token, nats."""
    return mean_cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten())


@torch.no_grad()
def held_out_loss(
    model: nn.Module, text: Integer[ndarray, "tokens"], window: int, batch_size: int, device: torch.device
) -> float:
    """Mean loss over windows laid end to end."""
    begins = np.arange(0, len(text) - window, window)
    parts = [begins[first : first + batch_size] for first in range(0, len(begins), batch_size)]
    losses = [float(next_token_loss(model, rows_of(text, part, window, device))) * len(part) for part in parts]
    return sum(losses) / len(begins)
