"""Several encoders read as one, so that all are measured in the same pass on the same documents."""

__all__ = ["CombinedEncoder"]

from collections.abc import Mapping

from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError, check_not_empty
from infodil.encoders.encoder import Encoder, fingerprint, superposition
from infodil.encoders.randomising import randomised


class CombinedEncoder:
    """Each encoder's states under its own name: `name` where it has one site, `name/site` where it has more.

    Example:
        >>> from infodil.encoders import load_encoder
        >>> slow, fast = (load_encoder("ema", vocabulary=9, alpha=alpha) for alpha in (0.02, 0.5))
        >>> CombinedEncoder({"slow": slow, "fast": fast}).sites
        ('slow', 'fast')
    """

    def __init__(self, encoders: Mapping[str, Encoder]) -> None:
        check_not_empty("encoders", encoders, "pass a dictionary of names and encoders")
        sizes = {name: encoder.vocabulary for name, encoder in encoders.items()}
        if len(set(sizes.values())) > 1:
            raise UserError(f"`encoders` must share one vocabulary, got {sizes}: tokenise for all of them alike.")
        self.encoders = dict(encoders)
        self.vocabulary = next(iter(sizes.values()))
        self.costly = any(getattr(encoder, "costly", True) for encoder in self.encoders.values())
        places = [encoder.longest for encoder in self.encoders.values() if getattr(encoder, "longest", None)]
        self.longest = min(places, default=None)
        known = {name: getattr(encoder, "sites", None) for name, encoder in self.encoders.items()}
        if all(known.values()):
            self.sites = tuple(label(name, site, sites) for name, sites in known.items() for site in sites)

    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The states of every encoder."""
        combined = {}
        for name, encoder in self.encoders.items():
            states = encoder.encode(tokens)
            combined |= {label(name, site, states): state for site, state in states.items()}
        return combined

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """What the encoder of this site says of it: token vectors and weights, or None."""
        for name, encoder in self.encoders.items():
            for inner in getattr(encoder, "sites", ()):
                if label(name, inner, encoder.sites) == site:
                    return superposition(encoder, inner)
        return None

    def randomised(self, seed: int) -> "CombinedEncoder | None":
        """Those of the encoders that have weights, with random ones; None if none has."""
        copies = {name: randomised(encoder, seed) for name, encoder in self.encoders.items()}
        copies = {name: copy for name, copy in copies.items() if copy is not None}
        return CombinedEncoder(copies) if copies else None

    def fingerprint(self) -> str | None:
        """The fingerprints of all, or None if one has none."""
        prints = {name: fingerprint(encoder) for name, encoder in self.encoders.items()}
        return None if None in prints.values() else repr(prints)


def label(name: str, site: str, sites: object) -> str:
    """A site's name among several encoders."""
    return name if len(sites) == 1 else f"{name}/{site}"
