"""The contract of a context model: what the tokens after a hidden one give away about it, without any state."""

__all__ = ["ContextFunction", "ContextModel"]

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError
from infodil.probes.class_map import ClassMap


class ContextModel(ABC):
    """A distribution of a token's class given the tokens that follow it, up to the state's own position."""

    name: str
    """Name in the columns of a report."""

    @property
    @abstractmethod
    def description(self) -> str:
        """What the model is, for the record of a report."""

    @abstractmethod
    def begin(self, newest: Int[ndarray, "rows tokens"]) -> Any:
        """What all lags share of some rows.

        Args:
            newest: Types of the newest tokens of each row, the state's own first; what lies before the beginning of a
                document is arbitrary and never asked for.
        """

    @abstractmethod
    def predict(self, begun: Any, rows: Int[ndarray, "some"], lag: int) -> Float[Tensor, "some classes"]:
        """Log-probability of each class of the token at a lag, nats.

        Args:
            begun: What `begin` gave.
            rows: Rows that have so many tokens behind them.
            lag: Number of steps back, which is the number of tokens that follow the hidden one.
        """


class ContextFunction(ContextModel):
    """A function of the caller's own.

    Args:
        function: Function from the ids of the tokens that follow a hidden one, `[rows, tokens]` in the order of the
            text, to the log-probability of each type of the token before them, `[rows, vocabulary]`, nats.
        classes: What probes tell apart.
    """

    name = "own"

    def __init__(self, function: Callable[[Tensor], Tensor], classes: ClassMap) -> None:
        self.function, self.classes = function, classes

    @property
    def description(self) -> str:
        """The name of the function."""
        return f"the caller's own: {getattr(self.function, '__name__', type(self.function).__name__)}"

    def begin(self, newest: Int[ndarray, "rows tokens"]) -> Int[ndarray, "rows tokens"]:
        """The tokens themselves."""
        return newest

    @torch.no_grad()
    def predict(self, begun: Int[ndarray, "rows tokens"], rows: Int[ndarray, "some"], lag: int) -> Tensor:
        """What the function says of the rows; with no token after the hidden one, the prior."""
        if not lag:
            return self.classes.class_log_prior.expand(len(rows), -1)
        following = torch.from_numpy(begun[rows, :lag][:, ::-1].copy())
        log = torch.as_tensor(self.function(following))
        types = len(self.classes.of_type)
        if log.shape != (len(rows), types) or not torch.isfinite(log).all():
            raise UserError(
                f"`context` gave {tuple(log.shape)} for {len(rows)} rows and {types} types, or numbers that are not "
                "finite: return one log-probability a row and type."
            )
        log = log.to(self.classes.of_type.device).double().log_softmax(1)
        summed = torch.zeros(len(rows), self.classes.number, dtype=log.dtype, device=log.device)
        return summed.index_add_(1, self.classes.of_type, log.exp()).clamp(min=1e-30).log().float()
