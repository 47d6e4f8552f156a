"""Predictors from frozen states: next-token models whose only trained part comes after the states of another model."""

__all__ = ["StateProbe", "TracePredictor", "keep_better"]

import copy
import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from infodil.checks import UserError, check_whole
from infodil.encoders import Encoder
from infodil.ladder import best_of
from infodil.lm import LanguageModel, TextLoss, make_predictor, train_language_model

HIDDEN = 512
"""Hidden units of the stronger predictor."""

RATE_RATIO = 0.2
"""Ratio of the second learning rate of the candidates to the first."""

SHARES = (1.0, 0.5, 0.25)
"""Shares of the way from the first to the trained weights at which the candidates lie."""


class StateProbe(nn.Module):
    """Correction of a model's own logits from its frozen states.

    The correction is linear in the last state (`hidden=0`: the family of softmax heads, refitted) or that and a
    multilayer perceptron of all of them. It begins at zero, so that each predictor contains the model itself, and the
    stronger one the weaker. Every state is at one position: nothing is read of earlier ones.

    Args:
        logits: The model's own logits, as a function of token ids.
        encoder: Encoder that gives the model's states.
        sites: Sites of the states; the last is the one that the model's head reads.
        dims: Width of the states of each site.
        vocabulary: Number of types of token.
        hidden: Units of the perceptron; without any there is none.
        seed: Seed of its weights.
    """

    def __init__(
        self,
        logits: Callable[[Tensor], Tensor],
        encoder: Encoder,
        sites: Sequence[str],
        dims: Sequence[int],
        vocabulary: int,
        *,
        hidden: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        # In a tuple, so that torch does not see parameters in them: they stay as they are.
        self.frozen = (logits, encoder)
        self.sites = tuple(sites)
        self.norms = nn.ModuleList(nn.LayerNorm(dim, elementwise_affine=False) for dim in dims)
        self.linear = nn.Linear(dims[-1], vocabulary)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)
        self.perceptron = None
        if hidden:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(seed)
                self.perceptron = nn.Sequential(nn.Linear(sum(dims), hidden), nn.GELU(), nn.Linear(hidden, vocabulary))
            nn.init.zeros_(self.perceptron[2].weight)
            nn.init.zeros_(self.perceptron[2].bias)

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits."""
        logits, encoder = self.frozen
        device = self.linear.weight.device
        with torch.no_grad():
            own = logits(tokens).to(device).float()
            states = encoder.encode(tokens)
            normed = [norm(states[site].to(device).float()) for site, norm in zip(self.sites, self.norms, strict=True)]
        corrected = own + self.linear(normed[-1])
        return corrected if self.perceptron is None else corrected + self.perceptron(torch.cat(normed, 2))


class TracePredictor(nn.Module):
    """Predictor of the next token from the frozen traces of one block of a trained model.

    Traces, the newest token included -> predictor -> mix of the scales -> logits by a matrix that begins as the
    model's output vectors. Only what follows the traces is trained.

    Args:
        model: Language model of the family `spen` or `gated_ema`.
        predictor: Kind of predictor, one of `PREDICTORS`.
        layer: Block whose traces are used, from 1. Those of the first are sums of token vectors alone, whatever the
            predictors are.
        seed: Seed of the weights.
    """

    def __init__(self, model: LanguageModel, predictor: str, *, layer: int = 1, seed: int = 0) -> None:
        super().__init__()
        check_whole("layer", layer, 1, "pass 1 for the first block")
        if f"block.{layer}.traces" not in model.sites:
            raise UserError(f"`layer` {layer} of this {model.config.family!r} has no traces: pass a model with them.")
        config = dataclasses.replace(model.config, predictor=predictor)
        front = copy.deepcopy(model).eval()
        front.blocks = front.blocks[:layer]
        self.frozen = (front,)  # in a tuple: not trained
        self.layer, self.scales = layer, len(config.alphas)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.predictor = make_predictor(config)
            self.mix = nn.Linear(self.scales * config.dim, config.dim)
            self.norm = nn.LayerNorm(config.dim)
            self.out = nn.Linear(config.dim, config.vocabulary, bias=False)
        with torch.no_grad():
            self.out.weight.copy_(model.output_vectors)
        self.to(model.embedding.weight.device)

    def forward(self, tokens: Int[Tensor, "documents tokens"]) -> Float[Tensor, "documents tokens vocabulary"]:
        """Next-token logits."""
        (front,) = self.frozen
        with torch.no_grad():
            keep: dict[str, Tensor] = {}
            front.streams(tokens, keep)
            below = keep["embedding" if self.layer == 1 else f"block.{self.layer - 1}"]
            vectors = front.blocks[-1].reads(below)
            traces = keep[f"block.{self.layer}.traces"].unflatten(2, (self.scales, -1))
        return self.out(self.norm(self.mix(self.predictor(traces, vectors).flatten(2))))


def keep_better(head: nn.Module, score: Callable[[nn.Module], TextLoss], train: np.ndarray, **options: Any) -> None:
    """Train a head, and leave it at the weights that the selection rule of the ladder chooses on calibration text.

    Candidates are the weights a share of the way from the start to the end of training, at two learning rates: few
    tokens train a large output matrix to much noise beside what it should learn, and part of the way has more of the
    latter. The head stays as it was where no candidate gains more than chance explains (`infodil.ladder.best_of`).

    Args:
        head: Module to train, in place.
        score: Losses of the calibration text by document.
        train: Token ids of the training text.
        options: Options of `train_language_model`; `peak_rate` is the higher of the two rates.

    Reference:
        Wortsman et al. (2022), Robust fine-tuning of zero-shot models, arXiv 2109.01903, for weights between the two.
    """
    start = copy.deepcopy(head.state_dict())
    before = score(head).nats
    few = train[: 2 * options["window"] + 1]  # the loss at the end of training is not used
    peak_rate = options.pop("peak_rate")
    candidates, gains = [], []
    for rate in (peak_rate, RATE_RATIO * peak_rate):
        head.load_state_dict(start)
        train_language_model(head, train, few, peak_rate=rate, **options)
        end = copy.deepcopy(head.state_dict())
        for share in SHARES:
            candidates.append({name: torch.lerp(start[name], end[name], share) for name in start})
            head.load_state_dict(candidates[-1])
            gains.append(before - score(head).nats)
    best = best_of(gains)
    head.load_state_dict(start if best is None else candidates[best])
