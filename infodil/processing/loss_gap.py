"""Decomposition of a gap in loss: the fit of the head, the family of the head, or information missing in the states."""

__all__ = ["GapDecomposition", "decompose_gap"]

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Float
from numpy import ndarray
from torch import Tensor, nn

from infodil.checks import UserError, check_confidence, check_whole, write_whole
from infodil.corpus import Split, Tokens, load_corpus
from infodil.encoder import Encoder, EncodesTokens
from infodil.encoders import as_encoder, load_encoder
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.lm import RunText, TextLoss, next_token_windows, score_text
from infodil.processing.frozen_heads import HIDDEN, StateProbe, keep_better
from infodil.processing.pages import gap_page
from infodil.processing.paired_losses import ratio_replicates
from infodil.report import SavedResult
from infodil.statistics import MOST_CLUSTERS, bootstrap_interval

if TYPE_CHECKING:
    import matplotlib.axes
    import pandas


@runtime_checkable
class HasVocabulary(Protocol):
    """A language model that says how many types it knows."""

    vocabulary: int


TERMS = {
    "gap": "loss of the model less that of the reference",
    "underfit": "the same family of heads, refitted on the frozen states, does better",
    "held": "held, but not usable by this family: a stronger probe of the same states does better",
    "lost": "at most lost in the states: no probe tried recovers it",
}


@dataclasses.dataclass(frozen=True)
class GapDecomposition(SavedResult):
    """The three terms of a gap, bits a token; they add up to it."""

    gap: Estimate
    underfit: Estimate
    held: Estimate
    lost: Estimate
    """An upper bound on what the states have lost of what the reference uses."""
    lost_at_least: Estimate
    """A certified lower bound on the same; zero where no bound on the states was given."""
    losses: dict[str, TextLoss] = dataclasses.field(repr=False)
    """Of `model`, `refitted`, `stronger` and `reference`, by test document."""
    sites: tuple[str, ...]
    """Names of the states that were read, at one position each."""
    documents: int
    tokens: int
    warnings: tuple[str, ...] = ()

    @property
    def losses_nats(self) -> dict[str, float]:
        """Loss of each model and probe, nats a token on the test documents."""
        return {name: loss.loss_nats for name, loss in self.losses.items()}

    def rows(self) -> list[dict[str, Any]]:
        """One row a term, tidy."""
        return [
            {
                "term": name,
                "meaning": meaning,
                "value_bits": estimate.value_bits,
                "low_bits": estimate.low_bits,
                "high_bits": estimate.high_bits,
                "value_nats": estimate.value_bits / BITS_PER_NAT,
                "kind": estimate.kind,
            }
            for name, meaning, estimate in (
                *((name, TERMS[name], getattr(self, name)) for name in TERMS),
                ("lost_at_least", "certified lower bound on what is lost", self.lost_at_least),
            )
        ]

    def to_frame(self) -> "pandas.DataFrame":
        """The rows as a pandas frame."""
        import pandas as pd

        return pd.DataFrame(self.rows())

    def plot(self, ax: "matplotlib.axes.Axes | None" = None) -> "matplotlib.axes.Axes":
        """The terms as bars with intervals.

        Args:
            ax: Axes to draw into; by default those of a new figure, which shows itself in a notebook.

        Returns:
            The axes.
        """
        from infodil.plots import term_bars

        return term_bars(self.to_frame(), ax=ax)

    def to_html(self, path: str | Path, *, lead: str = "a model against a reference") -> Path:
        """Write the terms as one page that opens without a network.

        Args:
            path: The file.
            lead: What was compared.
        """
        return write_whole(path, gap_page(self, lead))

    def __str__(self) -> str:
        lines = [
            f"Gap in loss on {self.tokens:,} tokens of {self.documents:,} documents, bits a token "
            f"({self.gap.confidence:.0%} intervals by document)"
        ]
        for row in self.rows():
            name = "  " * (row["term"] != "gap") + row["term"].replace("_", " ")
            side = "" if row["kind"] == "estimate" else f" ({row['kind']})"
            numbers = f"{row['value_bits']:7.3f} [{row['low_bits']:.3f}, {row['high_bits']:.3f}]"
            lines.append(f"{name:16}{numbers:26}{row['meaning']}{side}")
        losses = ", ".join(f"{name} {nats:.3f}" for name, nats in self.losses_nats.items())
        return "\n".join([*lines, f"losses in nats a token: {losses}", f"states read: {', '.join(self.sites)}"])


def decompose_gap(
    model: Any,
    reference: Any,
    text: Any,
    *,
    encoder: EncodesTokens | None = None,
    sites: str | int | Iterable[str | int] | None = None,
    tokens: int = 200_000,
    window: int = 128,
    batch_size: int = 8,
    peak_rate: float | int = 1e-3,
    hidden: int = HIDDEN,
    bound: Estimate | None = None,
    confidence: float | int = 0.95,
    seed: int = 0,
    progress: bool = True,
) -> GapDecomposition:
    r"""Three parts of `loss(model) - loss(reference)`, by what fails to use the information in the model's states.

    .. math:: L_m - L_r = (L_m - L_f) + (L_f - L_s) + (L_s - L_r)

    with :math:`L_f` the loss of the model's own logits plus a linear correction of its last state (the softmax head's
    family, refitted on frozen states) and :math:`L_s` that plus a perceptron of all states at the same position. Both
    begin as the model itself and move only as far as they do better on the calibration text. The last term bounds from
    above what the states have lost: a probe stronger still could only lower :math:`L_s`. A probe of past states is
    another matter: their history can hold what one of them does not.

    Args:
        model: Function from ids to next-token logits (a tensor, or an object with `.logits`).
        reference: Another such function of the same vocabulary.
        text: `Tokens`, a `RunText`, or anything `load_corpus` takes, tokenised by the model's tokenizer. Probes are
            trained on its training documents, chosen on calibration, compared on test.
        encoder: Encoder of the model's states; by default the model itself, or `load_encoder(model, sites=sites)`.
        sites: Which states to read; by default all that there are. The last should be what the model's head reads.
        tokens: Training tokens of each probe.
        window: Most tokens read by model, reference and probes.
        batch_size: Rows in a step.
        peak_rate: Highest learning rate of the probes; a fifth of it is tried too.
        hidden: Units of the stronger probe.
        bound: Upper bound on the bits a state holds of the next token, such as `infodil.bounds` gives at a stated
            precision. What the reference says beyond it is certainly lost.
        confidence: Confidence level of each interval.
        seed: Seed of probes, windows and resampling.
        progress: Whether bars are shown.

    Returns:
        The three terms with intervals.

    Raises:
        UserError: Vocabularies differ, there are no states, or fewer than two test documents.

    Reference:
        Xu et al. (2020), arXiv 2002.10689, for information usable by a family; Hewitt and Liang (2019) for frozen
        states read by stronger families. The split is ours.
    """
    for name, value in (("tokens", tokens), ("window", window), ("batch_size", batch_size), ("hidden", hidden)):
        check_whole(name, value, 1, "pass 1 or more")
    check_confidence(confidence)
    own, other = logits_of(model), logits_of(reference)
    encoder = load_encoder(model if encoder is None else encoder, sites=sites)
    if not isinstance(text, Tokens | RunText):
        speaker = as_encoder(model) if isinstance(model, EncodesTokens) else encoder
        text = load_corpus(text).tokenize(speaker.tokenizer)
    splits = text.splits
    width = check_types("model", model, own, text.vocabulary)
    check_types("reference", reference, other, text.vocabulary)
    chosen, dims = read_sites(encoder)
    device = device_of(model)

    def score(one: Callable[[Tensor], Tensor], split: Split, words: str) -> TextLoss:
        return score_text(one, split, window=window, device=device, progress=progress, words=words)

    def choose(one: nn.Module) -> TextLoss:
        return score(one, splits["calibration"], "calibration")

    options = {"tokens": tokens, "window": window, "batch_size": batch_size, "peak_rate": peak_rate, "seed": seed,
               "weight_decay": 0.0, "progress": progress}  # fmt: skip
    train = splits["train"].tokens
    refitted = StateProbe(own, encoder, chosen, dims, width).to(device)
    keep_better(refitted, choose, train, words="refitting", **options)
    stronger = StateProbe(own, encoder, chosen, dims, width, hidden=hidden, seed=seed).to(device)
    stronger.linear.load_state_dict(refitted.linear.state_dict())
    keep_better(stronger, choose, train, words="reading", **options)
    speakers = {"model": own, "refitted": refitted, "stronger": stronger, "reference": other}
    losses = {name: score(one, splits["test"], f"scoring {name}") for name, one in speakers.items()}
    return split_gap(losses, chosen, bound, entropy_nats(splits["test"]), confidence, seed)


def split_gap(
    losses: dict[str, TextLoss],
    sites: tuple[str, ...],
    bound: Estimate | None,
    entropy: float,
    confidence: float,
    seed: int,
) -> GapDecomposition:
    """The terms from the four losses, each interval from the same resamplings of documents."""
    counts = losses["model"].tokens
    if len(counts) < 2:
        raise UserError("`text` has one test document: pass two or more, for an interval.")
    units = min(len(counts), MOST_CLUSTERS)

    def term(nats: Float[ndarray, "documents"], kind: str, method: str, shift: float = 0.0) -> Estimate:
        low, high = bootstrap_interval(ratio_replicates(nats, counts, seed), units, confidence)
        values = (float(value) + shift for value in (nats.sum() / counts.sum(), low, high))
        bits = (value * BITS_PER_NAT for value in values)
        return Estimate(*bits, confidence, kind, int(counts.sum()), method)

    nats = {name: loss.nats for name, loss in losses.items()}
    method = "paired losses"
    certified = Estimate(0.0, 0.0, 0.0, confidence, "lower bound", int(counts.sum()), "no bound given")
    warnings: tuple[str, ...] = ()
    if bound is not None:
        # No probe's loss is below the entropy less what the state holds.
        floor = term(-nats["reference"], "lower bound", bound.method, entropy - bound.high_bits / BITS_PER_NAT)
        if floor.value_bits > 0:
            certified = floor
        else:
            warnings = ("The bound on the states is above what the reference uses, so no loss is certified.",)
    return GapDecomposition(
        gap=term(nats["model"] - nats["reference"], "estimate", method),
        underfit=term(nats["model"] - nats["refitted"], "estimate", method),
        held=term(nats["refitted"] - nats["stronger"], "estimate", method),
        lost=term(nats["stronger"] - nats["reference"], "upper bound", method),
        lost_at_least=certified,
        losses=losses,
        sites=sites,
        documents=len(counts),
        tokens=int(counts.sum()),
        warnings=warnings,
    )


def check_types(name: str, model: Any, logits: Callable[[Tensor], Tensor], vocabulary: int) -> int:
    """The width of a model's logits; `UserError` where its ids are not those of the text."""
    width = logits(torch.zeros(1, 2, dtype=torch.long)).shape[2]
    known = model.vocabulary if isinstance(model, HasVocabulary) else vocabulary
    if known != vocabulary or width < vocabulary:  # wider logits are padded: no id of the text is missing
        had = known if known != vocabulary else width
        raise UserError(f"`{name}` has {had} types and `text` {vocabulary}: tokenise for both models alike.")
    return width


def logits_of(model: Any) -> Callable[[Tensor], Tensor]:
    """Ids to logits, in evaluation mode and without a gradient."""
    if not callable(model):
        raise UserError(
            f"`model` must give next-token logits for ids, got {type(model).__name__}: pass a torch module."
        )
    if isinstance(model, nn.Module):
        model.eval()

    device = device_of(model)

    @torch.no_grad()
    def logits(tokens: Tensor) -> Tensor:
        found = model(tokens.to(device))
        found = getattr(found, "logits", found)
        if not isinstance(found, Tensor) or found.dim() != 3 or tuple(found.shape[:2]) != tuple(tokens.shape):
            got = tuple(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UserError(
                f"`model` must give logits [documents, tokens, vocabulary] for ids {tuple(tokens.shape)}, got {got}."
            )
        return found.to(tokens.device)

    return logits


def read_sites(encoder: Encoder) -> tuple[tuple[str, ...], list[int]]:
    """Names and widths of an encoder's states."""
    states = encoder.encode(torch.zeros(1, 2, dtype=torch.long))
    return tuple(states), [state.shape[2] for state in states.values()]


def device_of(model: Any) -> torch.device:
    """Where a model is."""
    parameter = next(model.parameters(), None) if isinstance(model, nn.Module) else None
    return torch.device("cpu") if parameter is None else parameter.device


def entropy_nats(split: Split) -> float:
    """Plug-in entropy of the predicted tokens: biased low, so that a bound that rests on it errs to the safe side."""
    counts = np.zeros(0)
    for rows, _ in next_token_windows(split, 512, 64):
        more = np.bincount(rows[:, 1:][rows[:, 1:] >= 0].numpy(), minlength=len(counts)).astype(float)
        more[: len(counts)] += counts
        counts = more
    shares = counts[counts > 0] / counts.sum()
    return float(-(shares * np.log(shares)).sum())
