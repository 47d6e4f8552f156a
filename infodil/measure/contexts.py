"""The context models of a measurement: the n-gram, and beside it a backward language model or the user's function."""

__all__ = ["BackwardLM", "ContextChoice", "add_context", "check_context", "describe_context"]

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_one_of, check_whole
from infodil.corpus import Tokens
from infodil.ladder import LagTask, positions
from infodil.lm import GRULanguageModel, train_language_model
from infodil.probes import ClassMap, ContextFunction, ContextModel, fit_temperature

CONTEXTS = ("ngram", "lm")
"""Context models that have a name."""


@dataclass(frozen=True)
class BackwardLM:
    """Options of a recurrent language model that reads the text from its end and predicts the token before."""

    dim: int = 128
    """Width of token vectors and state: at 2,048 types, half of the work is the output."""
    epochs: int = 3
    """Passes over the training split: held-out loss rises from about the fifth on at 300,000 tokens."""
    most_tokens: int = 4_000_000
    """Training tokens at most, repeats counted: about five minutes on one core."""
    window: int = 64
    """Tokens in a row, in training and in use: of a longer context the nearest are read."""
    batch_size: int = 8
    """Windows in a step: small, so that a small corpus has steps enough."""

    def __post_init__(self) -> None:
        for name in ("dim", "epochs", "most_tokens", "batch_size"):
            check_whole(name, getattr(self, name), 1, "pass 1 or more")
        check_whole("window", self.window, 2, "a token needs one after it")


ContextChoice = str | BackwardLM | Callable[[Tensor], Tensor]


def check_context(context: object) -> ContextChoice:
    """A name of `CONTEXTS`, options of a backward language model, or a function.

    Raises:
        UserError: It is anything else.
    """
    if isinstance(context, str):
        check_one_of("context", context, CONTEXTS)
        return BackwardLM() if context == "lm" else context
    if not isinstance(context, BackwardLM) and not callable(context):
        raise UserError(
            f"`context` must be 'ngram', 'lm', a BackwardLM or a function, got {type(context).__name__}: pass 'lm'."
        )
    return context


def add_context(task: LagTask, choice: ContextChoice, tokens: Tokens, seed: int, progress: bool) -> LagTask:
    """The task with a second context model beside its n-gram, where one is asked for.

    Args:
        task: Labels and classes of the measurement.
        choice: What `check_context` gave.
        tokens: The corpus; the model is trained on its training split.
        seed: Seed of weights and windows.
        progress: Whether to show bars.
    """
    if choice == "ngram":
        return task
    if not isinstance(choice, BackwardLM):
        return replace(task, contexts={**task.contexts, "own": ContextFunction(choice, task.classes)})
    model = BackwardLanguageModel(choice, task.classes, seed)
    model.fit(tokens.splits["train"].tokens, tokens.splits["calibration"].tokens, seed, progress)
    model.calibrate(task)
    return replace(task, contexts={**task.contexts, model.name: model})


class BackwardLanguageModel(ContextModel):
    r"""A GRU over the classes of the tokens after a hidden one, read from the state's position backward.

    .. math:: q(c \mid x_{t-k+1}, \dots, x_t) \propto p(c) \left(\frac{p_\theta(c \mid \cdot)}{p(c)}\right)^{\tau_k}

    The temperature of each lag is chosen on the calibration rows; where the following tokens say nothing it is zero,
    and the prediction is the prior.

    Args:
        options: Width, window and training.
        classes: What probes tell apart.
        seed: Seed of the weights.
    """

    name = "lm"

    def __init__(self, options: BackwardLM, classes: ClassMap, seed: int) -> None:
        self.options, self.classes = options, classes
        device = classes.of_type.device
        self.model = GRULanguageModel(classes.number, options.dim, seed=seed, device=device)
        self.trained_tokens, self.temperatures = 0, dict[int, float]()

    @property
    def description(self) -> str:
        """Size and training of the model."""
        return (
            f"backward GRU of {self.options.dim} numbers, trained on {self.trained_tokens:,} tokens of the training "
            f"split, up to {self.options.window} following tokens at a time"
        )

    def fit(self, train: Int[ndarray, "tokens"], held_out: Int[ndarray, "held"], seed: int, progress: bool) -> None:
        """Train on the tokens of a split from their end to their beginning."""
        of_type = self.classes.of_type.cpu().numpy()
        backward = [np.ascontiguousarray(of_type[part][::-1]) for part in (train, held_out)]
        window = min(self.options.window, *(len(part) - 1 for part in backward))
        with torch.enable_grad():
            training = train_language_model(
                self.model, *backward, window=window, seed=seed, batch_size=self.options.batch_size,
                tokens=min(self.options.epochs * len(train), self.options.most_tokens),
                progress=progress, words="training the context model",
            )  # fmt: skip
        self.trained_tokens = training.tokens

    def calibrate(self, task: LagTask) -> None:
        """Choose the temperature of each lag on the calibration rows."""
        rows = task.calibration_rows
        place = positions(task.labels["calibration"].split)[rows]
        labels = task.class_labels("calibration", rows, place)
        begun = self.begin(task.labels["calibration"].newest(rows))
        for target, lag in enumerate(task.lags, start=1):
            known = np.flatnonzero(place >= lag)
            scores = (
                self.evidence(begun, known, lag)
                if lag
                else torch.zeros(len(known), self.classes.number, dtype=torch.float32)
            )
            label = labels[target, torch.from_numpy(known).to(labels.device)]
            self.temperatures[lag] = fit_temperature(self.classes.class_log_prior, scores.to(label.device), label)[0]

    @torch.no_grad()
    def begin(self, newest: Int[ndarray, "rows tokens"]) -> tuple[Tensor, Tensor]:
        """The classes of the newest tokens, and the model's state after each, read backward."""
        symbols = self.classes.of_type[torch.from_numpy(newest).to(self.classes.of_type.device)]
        return symbols, self.model.states(symbols[:, : self.options.window])

    def predict(
        self, begun: tuple[Tensor, Tensor], rows: Int[ndarray, "some"], lag: int
    ) -> Float[Tensor, "some classes"]:
        """Log-probability of each class at a lag; the prior where its temperature is zero."""
        prior, temperature = self.classes.class_log_prior, self.temperatures[lag]
        if not temperature:
            return prior.expand(len(rows), -1)
        return (prior + temperature * self.evidence(begun, rows, lag)).log_softmax(1)

    @torch.no_grad()
    def evidence(self, begun: tuple[Tensor, Tensor], rows: ndarray, lag: int) -> Float[Tensor, "some classes"]:
        """Log-probability of each class by the model, less that of the prior, nats."""
        symbols, states = begun
        chosen = torch.from_numpy(rows).to(symbols.device)
        if lag <= self.options.window:
            state = states[chosen, lag - 1]
        else:
            state = self.model.states(symbols[chosen, lag - self.options.window : lag])[:, -1]
        logits = torch.nn.functional.linear(state, self.model.embedding.weight, self.model.bias)
        return logits.log_softmax(1) - self.classes.class_log_prior


def describe_context(choice: ContextChoice) -> Any:
    """The choice as plain values."""
    if isinstance(choice, BackwardLM):
        return {"lm": vars(choice)}
    return choice if isinstance(choice, str) else getattr(choice, "__name__", type(choice).__name__)
