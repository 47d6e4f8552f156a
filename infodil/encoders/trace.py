"""Exponential moving averages of token vectors: one decay, or several side by side."""

__all__ = ["TraceEncoder", "random_embedding"]

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError, check_not_empty, check_whole
from infodil.encoder import Encoder
from infodil.fingerprint import fingerprint
from infodil.traces import ema_bank, weights

LEAST_SHARE = 1e-12
"""Weight of all deeper lags together, as a share of the newest token's, below which a superposition leaves them out."""
SUPERPOSITION_LAGS = 4096
"""Most lags of a superposition."""


def random_embedding(vocabulary: int, dim: int, seed: int = 0) -> Float[Tensor, "vocabulary dim"]:
    """Independent directions of unit length, one for each type.

    Args:
        vocabulary: Number of types.
        dim: Length of a vector.
        seed: Seed of the directions.

    Returns:
        Unit vectors, one a row.
    """
    generator = torch.Generator().manual_seed(seed)
    embedding = torch.randn(vocabulary, dim, generator=generator, dtype=torch.float32)
    return embedding / embedding.norm(dim=1, keepdim=True)


def number_of_lags(alpha: float) -> int:
    """Least n with `(1 - alpha) ** n <= LEAST_SHARE * alpha`: deeper lags are negligible beside the newest token."""
    if alpha == 1.0:
        return 1
    return min(SUPERPOSITION_LAGS, math.ceil((math.log(LEAST_SHARE) + math.log(alpha)) / math.log1p(-alpha)))


class TraceEncoder(Encoder):
    r"""Exponential moving averages of the token vectors: one, or several side by side (`scales x dim` numbers).

    :math:`h_t = (1 - \alpha) h_{t-1} + \alpha e_{x_t}` for each decay rate :math:`\alpha`, from a state of zero.

    Args:
        vocabulary: Number of token types.
        alphas: Decay rate of each trace, in (0, 1].
        dim: Length of a token vector.
        embedding: Token vectors `[vocabulary, dim]`; random unit vectors by default.
        seed: Seed of the random vectors.
        device: Device of the states.
        name: Name of the site; `ema` or `ema_bank` by default.

    Reference:
        Singh (2026), EMA Is Not All You Need, arXiv 2604.08556; Zhang et al. (2015), FOFE, arXiv 1505.01504.

    Example:
        >>> encoder = TraceEncoder(vocabulary=10, alphas=[0.5, 0.1], dim=4)
        >>> encoder.encode(torch.tensor([[1, 2, 3]]))["ema_bank"].shape
        torch.Size([1, 3, 8])
    """

    costly = False

    def __init__(
        self,
        vocabulary: int,
        alphas: Sequence[float] = (0.1,),
        dim: int = 128,
        *,
        embedding: Float[Tensor, "vocabulary dim"] | None = None,
        seed: int = 0,
        device: str | torch.device | None = None,
        name: str | None = None,
    ) -> None:
        check_whole("vocabulary", vocabulary, 2, "a token must tell something")
        check_not_empty("alphas", alphas, "pass at least one decay rate, such as (0.5, 0.1, 0.02)")
        if embedding is None:
            check_whole("dim", dim, 1, "pass the length of a token vector")
            embedding = random_embedding(vocabulary, dim, seed)
        if embedding.dim() != 2 or len(embedding) != vocabulary:
            raise UserError(
                f"`embedding` must have one row for each of the {vocabulary} types, got shape "
                f"{tuple(embedding.shape)}: pass [vocabulary, dim]."
            )
        self.vocabulary = vocabulary
        self.alphas = tuple(float(alpha) for alpha in alphas)
        self.embedding = embedding.to(device) if device is not None else embedding
        self.sites = (name or ("ema" if len(self.alphas) == 1 else "ema_bank"),)
        ema_bank(self.embedding[:1], self.alphas)  # a decay out of range is refused here, not at the first document

    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The traces of each document."""
        vectors = self.embedding[tokens.to(self.embedding.device)]
        return {self.sites[0]: ema_bank(vectors, self.alphas).flatten(2)}

    def kind_of_site(self, site: str) -> str:
        """A trace."""
        return "trace"

    def superposition(self, site: str) -> tuple[Float[Tensor, "vocabulary dim"], Float[Tensor, "scales tokens"]] | None:
        """The token vectors and the weight of each lag in each trace (float64).

        Lags whose weights together are below 1e-12 of the newest token's, or beyond 4,096, are left out.
        """
        if site not in self.sites:
            return None
        tokens = max(number_of_lags(alpha) for alpha in self.alphas)
        return self.embedding, torch.stack([weights(alpha, tokens) for alpha in self.alphas])

    def fingerprint(self) -> str:
        """Hash of decay rates, site and token vectors."""
        return fingerprint(self.embedding, self.alphas, self.sites)
