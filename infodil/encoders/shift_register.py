"""A shift register: the state is the vectors of the last few tokens, and every lag is known in closed form."""

__all__ = ["ShiftRegisterEncoder"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import check_whole
from infodil.encoder import Encoder
from infodil.encoders.trace import random_embedding
from infodil.fingerprint import fingerprint


class ShiftRegisterEncoder(Encoder):
    """The vectors of the last `window` tokens side by side, zeros before the document begins.

    The state holds every lag below `window` exactly and, for independent tokens, nothing of any other lag.

    Args:
        vocabulary: Number of token types.
        window: Number of tokens held.
        dim: Length of a token vector.
        seed: Seed of the random token vectors.
        device: Device of the states.

    Example:
        >>> encoder = ShiftRegisterEncoder(vocabulary=5, window=2, dim=3)
        >>> encoder.encode(torch.tensor([[4, 1, 2]]))["shift_register"].shape
        torch.Size([1, 3, 6])
    """

    costly = False
    sites = ("shift_register",)

    def __init__(
        self,
        vocabulary: int,
        window: int = 4,
        dim: int = 16,
        *,
        seed: int = 0,
        device: str | torch.device | None = None,
    ) -> None:
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_whole("window", window, 1, "pass how many tokens are held")
        check_whole("dim", dim, 1, "pass the length of a token vector")
        self.vocabulary = vocabulary
        self.window = window
        self.embedding = random_embedding(vocabulary, dim, seed).to(device)

    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The last `window` token vectors at each position, newest first."""
        vectors = self.embedding[tokens.to(self.embedding.device)]
        padded = torch.nn.functional.pad(vectors, (0, 0, self.window - 1, 0))
        windows = padded.unfold(1, self.window, 1)  # [documents, tokens, dim, window], oldest first
        return {self.sites[0]: windows.flip(3).transpose(2, 3).flatten(2)}

    def kind_of_site(self, site: str) -> str:
        """The memory of a recurrence that shifts its state by one token a step."""
        return "recurrent"

    def fingerprint(self) -> str:
        """Hash of window and token vectors."""
        return fingerprint(self.embedding, self.window)
