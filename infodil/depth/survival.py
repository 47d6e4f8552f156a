"""Which writes of a real model's blocks survive in its residual stream, by depth: one pass, streaming moments."""

__all__ = ["survival"]

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_confidence, check_not_empty, check_seed, check_whole
from infodil.corpus import Corpus, Split, Tokens, load_corpus
from infodil.depth.moments import Moments
from infodil.depth.pairs import TOKEN_MESSAGES, pair_rows
from infodil.depth.product_quantizer import ProductQuantizer
from infodil.depth.report import DepthReport, provenance
from infodil.depth.writes import BlockWrites, Layout, split_writes
from infodil.encoders import Encoder, load_encoder
from infodil.precision import check_precision
from infodil.progress import progress_bar

STREAM_SITES, MIXER_SITES = ("embedding", "layer.*"), ("layer.*.mixer",)
LEAST_POWER = 1e-9
"""Power of a write, as a share of the mean of all, below which it is the rounding of a difference."""

LONGEST_SEQUENCE = 512
"""Tokens of a sequence where the corpus does not say and the model reads as many."""


def survival(
    model: object,
    corpus: object,
    *,
    max_tokens: int | None = 100_000,
    codes: tuple[int, ...] = (8, 8),
    sketch_dims: int = 64,
    held_out_rows: int = 4096,
    precision: str = "float32",
    batch_size: int = 8,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    progress: bool = False,
    **options: object,
) -> DepthReport:
    r"""What the residual stream of a language model still holds of each earlier write, by depth.

    Each block adds two writes to the stream, that of its token mixer and that of its feed-forward part. For every write
    and every depth at or after it the report has, from one pass over the corpus:

    - `value_bits`: bits about the write as a discrete message, its label under a product quantiser whose codebook comes
      from other documents; read by linear discriminant analysis on held-out documents, a lower bound. `entropy_bits`
      is the entropy of the label. The rows `token` and `previous token` have token identity in place of a write, with
      the rarer types as one class.
    - `r2`: share of the write's variance that a linear map of the stream predicts on held-out documents.
    - `gaussian_bits`: :math:`\tfrac12 \log_2 \det \Sigma_w / \det \Sigma_{w \mid h}` of the write's sketch, with the
      rounding of the stream at `precision` as noise.
    - `norm_share`: variance of the write over that of the stream.
    - `retained`: the write's coefficient in the stream, :math:`\mathrm{Cov}(w, h_L - h_{before}) / \mathrm{Var}(w)`: 1
      as written, 0 where later writes have erased it. A write that is diluted keeps its coefficient.

    Args:
        model: A Hugging Face id, folder or model, or an encoder with sites `embedding` and `layer.N`.
        corpus: Anything that `infodil.load_corpus` takes, or a `Corpus`.
        max_tokens: Tokens of the corpus that are read at most; None for all.
        codes: Centres of each part of the product quantiser; the label has their product of classes.
        sketch_dims: Dimensions of the random projection of writes for `r2` and `gaussian_bits`; exact where writes have
            no more.
        held_out_rows: Positions of held-out documents that are kept in memory.
        precision: Precision whose rounding error is the noise of `gaussian_bits`.
        batch_size: Sequences of full length in a batch.
        device: Device on which the model runs.
        dtype: Type of the weights of a model that is loaded here.
        seed: The same seed gives the same report.
        confidence: Confidence level of each pointwise interval, by document.
        progress: Whether to show a progress bar.
        options: Further arguments of `infodil.load_encoder`.

    Returns:
        The report; one row a write and depth, depth 0 being the embedding.

    Raises:
        UserError: The model has no blocks, or an argument is malformed or out of range.
    """
    check_not_empty("codes", codes, "pass the centres of each part, such as codes=(8, 8)")
    for number in codes:
        check_whole("codes", number, 2, "pass two centres or more")
    check_whole("sketch_dims", sketch_dims, 1, "pass the dimensions of the sketch")
    check_whole("held_out_rows", held_out_rows, 100, "pass enough positions for an interval")
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    check_precision(precision)
    check_seed(seed)
    check_confidence(confidence)
    encoder = open_encoder(model, device=device, dtype=dtype, **options)
    layout = Layout.of(encoder)
    if not isinstance(corpus, Corpus):
        longest = encoder.longest or LONGEST_SEQUENCE
        corpus = load_corpus(corpus, max_length=min(LONGEST_SEQUENCE, longest))
    with corpus.tokenize(encoder.tokenizer, max_tokens=max_tokens, seed=seed, progress=progress) as tokens:
        recorder = Recorder(encoder, layout, tokens, codes, sketch_dims, held_out_rows, batch_size, seed, progress)
        recorder.run()
        described = tokens.provenance()
    rows = pair_rows(
        recorder.written, layout.blocks + 1, recorder.moments, recorder.held_out.joined(), precision, confidence
    )
    config = {
        "max_tokens": max_tokens, "codes": list(codes), "sketch_dims": recorder.projection.shape[1],
        "held_out_rows": recorder.held_out.rows, "precision": precision, "batch_size": batch_size, "seed": seed,
        "confidence": confidence,
    }  # fmt: skip
    name = Path(model).name if isinstance(model, str | Path) and Path(model).exists() else encoder.name
    return DepthReport("survival", rows, config, name, described, tokens.warnings, provenance(seed))


def open_encoder(model: object, **options: object) -> Encoder:
    """The encoder of a model at its residual stream and, where they have sites, its token mixers.

    Args:
        model: A Hugging Face id, folder or model, or an encoder.
        options: Arguments of `load_encoder`.

    Returns:
        An encoder with the sites `embedding`, `layer.N` and `layer.N.mixer` that the model has.

    Raises:
        UserError: The model cannot be loaded, or has no blocks.
    """
    if isinstance(model, Encoder):
        sites = [site for site in model.sites if re.fullmatch(r"embedding|layer\.\d+(\.mixer)?", site)]
        return load_encoder(model, sites=sites or None, **options)
    try:
        return load_encoder(model, sites=(*STREAM_SITES, *MIXER_SITES), **options)
    except UserError as error:
        if MIXER_SITES[0] not in str(error):
            raise
    return load_encoder(model, sites=STREAM_SITES, **options)


@dataclass
class HeldOut:
    """Streams, sketches and labels at some positions of held-out documents."""

    streams: list[Tensor] = field(default_factory=list)
    sketches: list[Tensor] = field(default_factory=list)
    labels: list[Tensor] = field(default_factory=list)
    documents: list[Tensor] = field(default_factory=list)

    @property
    def rows(self) -> int:
        """Number of positions."""
        return sum(len(part) for part in self.documents)

    def joined(self) -> tuple[Tensor, Tensor, Tensor, ndarray]:
        """Streams `[depths, rows, dim]`, sketches `[writes, rows, sketch]`, labels `[messages, rows]`, documents."""
        streams, sketches, labels = (torch.cat(part, 1) for part in (self.streams, self.sketches, self.labels))
        return streams, sketches, labels, torch.cat(self.documents).numpy()


class Recorder:
    """One pass over a corpus: codebooks from calibration documents, moments of training ones, rows of test ones.

    Args:
        encoder: The model.
        layout: Its blocks.
        tokens: The corpus in three splits, disjoint by document.
        codes: Centres of each part of the product quantisers.
        sketch_dims: Dimensions of the random projection of writes.
        held_out_rows: Positions of test documents that are kept.
        batch_size: Sequences of full length in a batch.
        seed: Seed of the projection and of k-means.
        progress: Whether to show a progress bar.
    """

    def __init__(
        self,
        encoder: Encoder,
        layout: Layout,
        tokens: Tokens,
        codes: tuple[int, ...],
        sketch_dims: int,
        held_out_rows: int,
        batch_size: int,
        seed: int,
        progress: bool,
    ) -> None:
        self.encoder, self.layout, self.tokens, self.codes = encoder, layout, tokens, codes
        self.sketch_dims, self.held_out_rows, self.batch_size = sketch_dims, held_out_rows, batch_size
        self.seed, self.progress = seed, progress
        self.classes = int(np.prod(codes))
        self.held_out = HeldOut()
        self.kept = torch.arange(len(layout.written))
        self.written = layout.written
        counts = np.bincount(tokens.splits["train"].tokens, minlength=tokens.vocabulary)
        commonest = np.argsort(-counts, kind="stable")[: self.classes - 1]
        self.class_of_type = torch.full((tokens.vocabulary,), self.classes - 1)
        self.class_of_type[torch.from_numpy(commonest)] = torch.arange(len(commonest))

    def run(self) -> None:
        """The pass."""
        samples = [
            states.writes for _, states, _ in self.batches(self.tokens.splits["calibration"], self.held_out_rows)
        ]
        if not samples:
            raise UserError("`corpus` leaves no calibration documents of two tokens: pass more text.")
        vectors = torch.cat(samples, 1)
        # A block without a feed-forward part leaves the rounding of a difference as its write.
        power = vectors.square().mean((1, 2))
        self.kept = torch.nonzero(power > LEAST_POWER * power.mean()).squeeze(1)
        self.written = [self.layout.written[number] for number in self.kept.tolist()]
        vectors = vectors[self.kept]
        writes, _, dim = vectors.shape
        self.quantizers = [ProductQuantizer.fit(each, self.codes, self.seed) for each in vectors]
        generator = torch.Generator().manual_seed(self.seed)
        self.projection = torch.eye(dim)
        if self.sketch_dims < dim:
            axes = torch.linalg.qr(torch.randn(dim, self.sketch_dims, generator=generator)).Q
            self.projection = axes
        messages = writes + len(TOKEN_MESSAGES)
        depths = self.layout.blocks + 1
        self.moments = Moments.empty(depths, writes, dim, self.projection.shape[1], messages, self.classes)
        for labels, states, _ in self.batches(self.tokens.splits["train"], None):
            self.moments.update(states, states.writes @ self.projection, self.messages(states, labels))
        for labels, states, documents in self.batches(self.tokens.splits["test"], self.held_out_rows):
            self.held_out.streams.append(states.streams)
            self.held_out.sketches.append(states.writes @ self.projection)
            self.held_out.labels.append(self.messages(states, labels))
            self.held_out.documents.append(documents)

    def messages(self, states: BlockWrites, labels: Int[Tensor, "tokens rows"]) -> Int[Tensor, "messages rows"]:
        """The class of each write, and of the current and the previous token."""
        of_writes = [quantizer.labels(each) for quantizer, each in zip(self.quantizers, states.writes, strict=True)]
        return torch.stack([*of_writes, *labels])

    @torch.no_grad()
    def batches(
        self, split: Split, max_rows: int | None
    ) -> Iterator[tuple[Int[Tensor, "tokens rows"], BlockWrites, Int[Tensor, "rows"]]]:
        """Token classes, streams and writes, and documents of the positions that have a previous token.

        Args:
            split: The documents.
            max_rows: Number of positions after which evenly spaced ones are taken; None for all.
        """
        stride = 1 if max_rows is None else max(1, len(split.tokens) // max_rows)
        number = split.number_of_batches(self.batch_size)
        batches = split.batches(self.batch_size)
        for batch in progress_bar(batches, "reading streams", shown=self.progress, total=number, unit="batch"):
            place = torch.arange(batch.tokens.shape[1])
            rows = (
                (place >= 1) & (place < batch.lengths[:, None]) & (place % stride == stride - 1 if stride > 1 else True)
            )
            if not rows.any():
                continue
            states = {site: each.cpu() for site, each in self.encoder.encode(batch.tokens).items()}
            previous = batch.tokens.roll(1, 1)
            labels = torch.stack([self.class_of_type[batch.tokens[rows]], self.class_of_type[previous[rows]]])
            documents = batch.document[:, None].expand_as(rows)[rows]
            yield labels, split_writes(states, self.layout, rows).select(self.kept), documents
