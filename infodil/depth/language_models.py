"""Streams and messages of the language models of `infodil.lm`, as an encoder."""

__all__ = ["LanguageModelStreams"]

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.encoders import Encoder
from infodil.lm import LanguageModel


class LanguageModelStreams(Encoder):
    """The stream of a language model after each block and, where it is no plain sum, what each block wrote.

    Args:
        model: Language model.
    """

    costly = False

    def __init__(self, model: LanguageModel) -> None:
        self.module, self.vocabulary, self.tokenizer = model.eval(), model.vocabulary, model.tokenizer
        self.longest, self.name = model.longest, f"{model.config.family} with {model.config.accumulation} over depth"
        parts = ("",) if model.config.accumulation == "sum" else (".message", "")
        blocks = range(1, model.config.layers + 1)
        self.sites = ("embedding", *(f"layer.{block}{part}" for block in blocks for part in parts))

    @torch.no_grad()
    def encode(self, tokens: Int[Tensor, "documents tokens"]) -> dict[str, Float[Tensor, "documents tokens dim"]]:
        """The streams and messages."""
        found: dict[str, Tensor] = {}
        self.module.streams(tokens, found)
        return {site: found[site.replace("layer.", "block.")] for site in self.sites}

    def kind_of_site(self, site: str) -> str:
        """The embedding, or a stream."""
        return "embedding" if site == "embedding" else "residual"

    def randomised(self, seed: int) -> "LanguageModelStreams":
        """The same model with random weights."""
        return LanguageModelStreams(self.module.randomised(seed))
