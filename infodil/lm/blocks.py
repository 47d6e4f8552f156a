"""A block of any family but the traces': something that mixes tokens, then a feed-forward layer."""

__all__ = ["MixingBlock"]

from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor, nn

from infodil.lm.config import LanguageModelConfig
from infodil.lm.feed_forward import FeedForward


class MixingBlock(nn.Module):
    """A mixer of tokens, then a feed-forward layer that reads what it left, each normalised before: GPT-2's layout.

    Args:
        config: Configuration of the model.
        mixer: Made from it; called with the normalised stream and the dictionary that its states are put into.

    Reference:
        Radford et al. (2019), Language Models are Unsupervised Multitask Learners.
    """

    def __init__(self, config: LanguageModelConfig, mixer: Callable[[LanguageModelConfig], nn.Module]) -> None:
        super().__init__()
        self.before_mixer = nn.LayerNorm(config.dim)
        self.mixer = mixer(config)
        self.sites = self.mixer.sites
        self.before_feed_forward = nn.LayerNorm(config.dim)
        self.feed_forward = FeedForward(config.dim, config.feed_forward, activation=config.activation)

    def forward(
        self,
        stream: Float[Tensor, "documents tokens dim"],
        vectors: Float[Tensor, "documents tokens dim"],
        keep: dict[str, Tensor] | None,
    ) -> Float[Tensor, "documents tokens dim"]:
        """What the block writes to the stream; its own states are put into `keep`, if it is there."""
        mixed = self.mixer(self.before_mixer(stream), keep)
        return mixed + self.feed_forward(self.before_feed_forward(stream + mixed))
