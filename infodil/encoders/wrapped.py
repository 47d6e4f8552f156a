"""An encoder that hands on what another one says of itself."""

__all__ = ["WrappedEncoder"]

from torch import Tensor

from infodil.encoder import Encoder


class WrappedEncoder(Encoder):
    """Another encoder behind the same contract: a subclass changes what `encode` gives, and says what else changes.

    Args:
        encoder: Encoder behind.
    """

    def __init__(self, encoder: Encoder) -> None:
        self.encoder = encoder
        self.vocabulary, self.tokenizer, self.longest = encoder.vocabulary, encoder.tokenizer, encoder.longest
        self.sites, self.memory_sites, self.route = encoder.sites, encoder.memory_sites, encoder.route
        self.costly, self.reads_positions, self.module = encoder.costly, encoder.reads_positions, encoder.module
        self.name = encoder.name or type(encoder).__name__

    def kind_of_site(self, site: str) -> str:
        """Kind of a site by the encoder behind."""
        return self.encoder.kind_of_site(site)

    def superposition(self, site: str) -> tuple[Tensor, Tensor] | None:
        """Token vectors and weights by the encoder behind."""
        return self.encoder.superposition(site)

    def randomised(self, seed: int) -> Encoder | None:
        """The encoder behind with random weights: all sites that it then has."""
        return self.encoder.randomised(seed)

    def fingerprint(self) -> str | None:
        """Hash of the encoder behind."""
        return self.encoder.fingerprint()
