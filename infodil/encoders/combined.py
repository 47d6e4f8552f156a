"""Several encoders read as one, so that all are measured in the same pass on the same documents."""

__all__ = ["CombinedEncoder"]

from collections.abc import Collection, Mapping

from jaxtyping import Float, Int
from torch import Tensor

from infodil.checks import UserError, check_not_empty
from infodil.encoder import Encoder, EncodesTokens
from infodil.encoders.custom import as_encoder


class CombinedEncoder(Encoder):
    """The states of several encoders under their names: `name` for an encoder of one site, else `name/site`.

    Args:
        encoders: Name to encoder; all share one vocabulary.

    Raises:
        UserError: No encoders, or vocabularies that differ.

    Example:
        >>> from infodil.encoders import load_encoder
        >>> slow, fast = (load_encoder("ema", vocabulary=9, alpha=alpha) for alpha in (0.02, 0.5))
        >>> CombinedEncoder({"slow": slow, "fast": fast}).sites
        ('slow', 'fast')
    """

    def __init__(self, encoders: Mapping[str, EncodesTokens]) -> None:
        check_not_empty("encoders", encoders, "pass a dictionary of names and encoders")
        sizes = {name: encoder.vocabulary for name, encoder in encoders.items()}
        if len(set(sizes.values())) > 1:
            raise UserError(f"`encoders` must share one vocabulary, got {sizes}: tokenise for all of them alike.")
        self.encoders = {name: as_encoder(encoder) for name, encoder in encoders.items()}
        members = self.encoders.values()
        self.vocabulary = next(iter(sizes.values()))
        self.costly = any(encoder.costly for encoder in members)
        self.longest = min((encoder.longest for encoder in members if encoder.longest is not None), default=None)
        if all(encoder.sites for encoder in members):
            self.sites = tuple(self.parts())

    def parts(self) -> dict[str, tuple[Encoder, str]]:
        """Site to its encoder and its name there, for the encoders whose sites are known."""
        return {
            label(name, site, encoder.sites): (encoder, site)
            for name, encoder in self.encoders.items()
            for site in encoder.sites or ()
        }

    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The states of every encoder."""
        combined = {}
        for name, encoder in self.encoders.items():
            states = encoder.encode(tokens)
            combined |= {label(name, site, states): state for site, state in states.items()}
        return combined

    def kind_of_site(self, site: str) -> str:
        """Kind of a site by its own encoder."""
        parts = self.parts()
        return parts[site][0].kind_of_site(parts[site][1]) if site in parts else super().kind_of_site(site)

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """Token vectors and weights by the site's own encoder."""
        parts = self.parts()
        return parts[site][0].superposition(parts[site][1]) if site in parts else None

    def randomised(self, seed: int) -> "CombinedEncoder | None":
        """The encoders that have weights, with random ones; None if none has."""
        copies = {name: encoder.randomised(seed) for name, encoder in self.encoders.items()}
        copies = {name: copy for name, copy in copies.items() if copy is not None}
        return CombinedEncoder(copies) if copies else None

    def fingerprint(self) -> str | None:
        """The fingerprints of all, or None if one has none."""
        prints = {name: encoder.fingerprint() for name, encoder in self.encoders.items()}
        return None if None in prints.values() else repr(prints)


def label(name: str, site: str, sites: Collection[str]) -> str:
    """A site's name among several encoders."""
    return name if len(sites) == 1 else f"{name}/{site}"
