"""Users' own encoders: objects with `vocabulary` and `encode`, completed to the whole contract."""

__all__ = ["CustomEncoder", "as_encoder"]

from typing import Any

from torch import Tensor, nn

from infodil.encoder import Encoder, EncodesTokens, random_copy


class CustomEncoder(Encoder):
    """A user's object, with the defaults of `Encoder` for all that it does not define.

    This is the one place where an encoder is asked what it has; everything behind it reads declared members.

    Args:
        inner: Object with `vocabulary` and `encode`, and any other member of `Encoder`.
    """

    def __init__(self, inner: EncodesTokens) -> None:
        self.inner = inner
        self.vocabulary = inner.vocabulary
        self.sites = self.member("sites")
        self.tokenizer = self.member("tokenizer")
        self.longest = self.member("longest")
        self.costly = self.member("costly", default=Encoder.costly)
        self.name = str(self.member("name") or type(inner).__name__)
        self.module = inner if isinstance(inner, nn.Module) else self.member("module")

    def member(self, name: str, default: Any = None) -> Any:
        """What the user's object has under a name of the contract."""
        return getattr(self.inner, name, default)

    def encode(self, tokens: Tensor) -> Any:
        """What the user's object gives for states; `check_states` says whether it is."""
        return self.inner.encode(tokens)

    def kind_of_site(self, site: str) -> str:
        """Kind of a site by the user's object, else `module`."""
        kind = self.member("kind_of_site")
        return super().kind_of_site(site) if kind is None else kind(site)

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """Token vectors and weights by the user's object, else None."""
        superposition = self.member("superposition")
        return None if superposition is None else superposition(site)

    def randomised(self, seed: int) -> Encoder | None:
        """Random weights by the user's own method, else by drawing those of a torch module anew."""
        randomised = self.member("randomised")
        if randomised is not None:
            other = randomised(seed)
        else:
            other = random_copy(self.inner, seed) if isinstance(self.inner, nn.Module) else None
        return None if other is None else as_encoder(other)

    def fingerprint(self) -> str | None:
        """Hash by the user's own method, else of the torch module behind the states; None where there is neither."""
        own = self.member("fingerprint")
        return super().fingerprint() if own is None else own()


def as_encoder(model: EncodesTokens) -> Encoder:
    """The encoder itself, or a user's object completed to one.

    Args:
        model: Encoder, or object with `vocabulary` and `encode`.

    Returns:
        An encoder with every member of `Encoder`.

    Example:
        >>> import torch
        >>> class Mine:
        ...     vocabulary = 7
        ...
        ...     def encode(self, tokens):
        ...         return {"parity": (tokens % 2)[..., None].float()}
        >>> encoder = as_encoder(Mine())
        >>> encoder.name, encoder.longest, encoder.superposition("parity")
        ('Mine', None, None)
    """
    return model if isinstance(model, Encoder) else CustomEncoder(model)
