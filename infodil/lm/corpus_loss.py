"""The loss of a trained language model on any corpus, with its interval over documents."""

__all__ = ["CorpusLoss", "score_corpus"]

import math
from dataclasses import dataclass

import numpy as np

from infodil.checks import UserError, check_confidence, check_seed
from infodil.corpus import Corpus, token_bytes
from infodil.lm.model import LanguageModel
from infodil.lm.scoring import score_text
from infodil.statistics import REPLICATES, bootstrap_interval, bootstrap_weights


@dataclass(frozen=True)
class CorpusLoss:
    """The loss of a language model on a corpus.

    Attributes:
        loss_nats: Mean loss of a token, nats.
        low_nats: Low end of its interval over documents.
        high_nats: High end of its interval over documents.
        confidence: Confidence level of the interval.
        bits_per_byte: Loss in bits for each byte of UTF-8; None where the tokenizer does not spell its symbols.
        documents: Number of documents that have a token to predict.
        tokens: Number of predicted tokens.
    """

    loss_nats: float
    low_nats: float
    high_nats: float
    confidence: float
    bits_per_byte: float | None
    documents: int
    tokens: int

    @property
    def perplexity(self) -> float:
        """The exponential of the loss."""
        return math.exp(self.loss_nats)

    def __str__(self) -> str:
        size = "" if self.bits_per_byte is None else f", {self.bits_per_byte:.3f} bits a byte"
        ends = f"[{math.exp(self.low_nats):.1f}, {math.exp(self.high_nats):.1f}]"
        return (
            f"{self.loss_nats:.3f} nats a token [{self.low_nats:.3f}, {self.high_nats:.3f}], perplexity "
            f"{self.perplexity:.1f} {ends}{size}\n{self.tokens:,} tokens of {self.documents:,} documents, "
            f"{self.confidence:.0%} intervals by document"
        )


def score_corpus(
    model: LanguageModel,
    corpus: Corpus,
    *,
    max_tokens: int | None = None,
    confidence: float = 0.95,
    seed: int = 0,
    progress: bool = False,
) -> CorpusLoss:
    r"""The loss of a language model on all documents of a corpus, :math:`\sum_d \ell_d / \sum_d n_d`.

    Args:
        model: The model, with the tokenizer that it was trained with.
        corpus: Text, read by its own tokenizer or else the model's, or token ids.
        max_tokens: The largest number of tokens to read from the corpus.
        confidence: Confidence level of the interval, which resamples documents.
        seed: Seed of the resampling.
        progress: Whether a progress bar is drawn.

    Returns:
        The loss with its interval, and what follows from it.

    Raises:
        UserError: Where the model has no tokenizer for a text, or fewer than two documents can be scored.
    """
    check_confidence(confidence)
    check_seed(seed)
    if corpus.kind == "text" and corpus.tokenizer is None and model.tokenizer is None:
        raise UserError(f"`tokenizer` must be named for the text {corpus.name!r}, as the model has none: pass 'bytes'.")
    tokenizer = None if corpus.tokenizer is not None else model.tokenizer
    with corpus.tokenize(tokenizer, max_tokens=max_tokens, seed=seed, progress=progress) as tokens:
        if tokens.vocabulary > model.vocabulary:
            raise UserError(
                f"`corpus` {corpus.name!r} has {tokens.vocabulary} types and the model {model.vocabulary}: "
                "pass the tokenizer that the model was trained with."
            )
        sizes = None if tokens.tokenizer is None else token_bytes(tokens.tokenizer)
        losses = [
            score_text(model, split, window=model.config.context, bytes_of=sizes, progress=progress)
            for split in tokens.splits.values()
        ]
    nats, counts = (np.concatenate([getattr(loss, name) for loss in losses]) for name in ("nats", "tokens"))
    scored = counts > 0
    nats, counts = nats[scored], counts[scored]
    if len(nats) < 2:
        raise UserError(f"`corpus` {corpus.name!r} has one document with a token to predict: an interval needs two.")
    weights = bootstrap_weights(len(nats), REPLICATES, seed)
    low, high = bootstrap_interval((weights @ nats) / (weights @ counts), len(nats), confidence)
    loss = float(nats.sum() / counts.sum())
    in_bytes = None if sizes is None else float(sum(part.bytes.sum() for part in losses))
    return CorpusLoss(
        loss_nats=loss, low_nats=float(low), high_nats=float(high), confidence=confidence,
        bits_per_byte=None if in_bytes is None else float(nats.sum()) / math.log(2.0) / in_bytes,
        documents=len(nats), tokens=int(counts.sum()),
    )  # fmt: skip
