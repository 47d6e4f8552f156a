"""Which writes of a real model's blocks survive in its residual stream, by depth: one pass, streaming moments."""

__all__ = ["survival"]

import re
from collections.abc import Iterable
from pathlib import Path

import torch

from infodil.checks import UserError, check_confidence, check_not_empty, check_seed, check_whole
from infodil.corpus import Corpus, load_corpus
from infodil.depth.language_models import LanguageModelStreams
from infodil.depth.pairs import pair_rows
from infodil.depth.recording import RecordingOptions, record
from infodil.depth.report import DepthReport, provenance
from infodil.depth.writes import Layout
from infodil.encoders import Encoder, load_encoder
from infodil.lm import LanguageModel
from infodil.precision import check_precision

STREAM_SITES, MIXER_SITES = ("embedding", "layer.*"), ("layer.*.mixer",)
CONTROL_SEED_OFFSET = 0x5EED
"""Added to the seed, so that a model made here with random weights is not compared with itself."""

RANDOM_COLUMNS = {"bits": "value_bits", "r2": "r2", "retained": "retained"}
"""Figures that stand beside those of the model."""

LONGEST_SEQUENCE = 512
"""Tokens of a sequence where the corpus does not say and the model reads as many."""


def survival(
    model: object,
    corpus: object,
    *,
    max_tokens: int | None = 100_000,
    codes: Iterable[int] = (8, 8),
    lags: Iterable[int] = (0, 1, 2, 4),
    depths: Iterable[int] | None = None,
    sketch_dims: int = 64,
    held_out_rows: int = 4096,
    precision: str = "float32",
    batch_size: int = 8,
    device: str | torch.device | None = None,
    dtype: torch.dtype | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    controls: bool = True,
    progress: bool = False,
    **options: object,
) -> DepthReport:
    r"""What the residual stream of a language model still holds of each earlier write, by depth.

    Each block adds two writes to the stream, that of its token mixer and that of its feed-forward part. For every write
    and every depth at or after it the report has, from one pass over the corpus:

    - `value_bits`: bits about the write as a discrete message, its label under a product quantiser (Jegou et al. 2011)
      whose codebooks come from other documents; read by linear discriminant analysis on held-out documents, a lower
      bound. `entropy_bits` is the entropy of the label. The rows `token`, `previous token`, `token 2 back`, ... have
      token identity in place of a write, with the rarer types as one class.
    - `r2`: share of the write's variance that a linear map of the stream predicts on held-out documents; `r2_low` and
      `r2_high` are the ends of its interval.
    - `gaussian_bits`: :math:`\tfrac12 \log_2 \det \Sigma_w / \det \Sigma_{w \mid h}` of the write's sketch, with the
      rounding of the stream at `precision` as noise.
    - `norm_share`: variance of the write over that of the stream.
    - `retained`: the write's coefficient in the stream, :math:`\mathrm{Cov}(w, h_L - h_{before}) / \mathrm{Var}(w)`: 1
      as written, 0 where later writes have erased it. A write that is diluted keeps its coefficient. The interval
      `retained_low` to `retained_high` is a jackknife over groups of documents.
    - `random_bits`, `random_r2` and `random_retained`: the same of the model with random weights.

    The models of `infodil.lm` have one write a block. Where their stream accumulates by another rule than a sum,
    neither `norm_share` nor `retained` are defined, and the messages themselves are the writes.

    Args:
        model: A Hugging Face id, folder or model, a `LanguageModel` of `infodil.lm`, or an encoder with sites
            `embedding` and `layer.N`.
        corpus: Anything that `infodil.load_corpus` takes, or a `Corpus`.
        max_tokens: Tokens of the corpus that are read at most; None for all.
        codes: Centres of each sub-vector of the product quantiser; the label has their product of classes.
        lags: Distances back of the tokens whose identity is a message; 0 is the current token.
        depths: Depths at which the stream is read, in blocks; None for all.
        sketch_dims: Dimensions of the random projection of writes for `r2` and `gaussian_bits`; exact where writes have
            no more.
        held_out_rows: Positions of held-out documents that are kept in memory.
        precision: Precision whose rounding error is the noise of `gaussian_bits`.
        batch_size: Sequences of full length in a batch.
        device: Device on which the model runs.
        dtype: Type of the weights of a model that is loaded here.
        seed: The same seed gives the same report.
        confidence: Confidence level of each pointwise interval, by document.
        controls: Whether to measure random weights too, which reads the corpus twice.
        progress: Whether to show a progress bar.
        options: Further arguments of `infodil.load_encoder`.

    Returns:
        The report; one row a write and depth, depth 0 being the embedding.

    Raises:
        UserError: The model has no blocks, or an argument is malformed or out of range.
    """
    codes, lags = tuple(codes), tuple(lags)
    check_not_empty("codes", codes, "pass the centres of each sub-vector, such as codes=(8, 8)")
    for number in codes:
        check_whole("codes", number, 2, "pass two centres or more")
    for lag in lags:
        check_whole("lags", lag, 0, "pass distances back, such as lags=(0, 1)")
    depths = None if depths is None else tuple(depths)
    check_whole("sketch_dims", sketch_dims, 1, "pass the dimensions of the sketch")
    check_whole("held_out_rows", held_out_rows, 100, "pass enough positions for an interval")
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    check_precision(precision)
    check_seed(seed)
    check_confidence(confidence)
    recorded = RecordingOptions(codes, lags, sketch_dims, held_out_rows, batch_size, seed, progress)
    encoder = open_encoder(model, device=device, dtype=dtype, **options)
    read = read_depths(depths, Layout.of(encoder).blocks)
    if not isinstance(corpus, Corpus):
        longest = encoder.longest or LONGEST_SEQUENCE
        corpus = load_corpus(corpus, max_length=min(LONGEST_SEQUENCE, longest))
    with corpus.tokenize(encoder.tokenizer, max_tokens=max_tokens, seed=seed, progress=progress) as tokens:
        recording = record(encoder, tokens, recorded)
        rows = pair_rows(recording, read, precision, confidence)
        random = encoder.randomised(seed + CONTROL_SEED_OFFSET) if controls else None
        if random is not None:
            rows = beside(rows, pair_rows(record(random, tokens, recorded), read, precision, confidence))
        described = tokens.provenance()
    config = {
        "max_tokens": max_tokens, "codes": list(codes), "lags": list(lags), "depths": list(read),
        "sketch_dims": recording.sketch_dims, "held_out_rows": len(recording.held_out.documents),
        "precision": precision, "batch_size": batch_size, "seed": seed, "confidence": confidence,
        "controls": random is not None,
    }  # fmt: skip
    name = Path(model).name if isinstance(model, str | Path) and Path(model).exists() else encoder.name
    return DepthReport("survival", rows, config, name, described, tokens.warnings, provenance(seed))


def read_depths(depths: tuple[int, ...] | None, blocks: int) -> tuple[int, ...]:
    """The depths at which the stream of so many blocks is read.

    Args:
        depths: What a caller passes; None for all.
        blocks: Number of blocks of the model.

    Raises:
        UserError: There are none, or one is no depth of the model.
    """
    if depths is None:
        return tuple(range(blocks + 1))
    check_not_empty("depths", depths, "pass at least one, such as the number of blocks")
    for depth in depths:
        check_whole("depths", depth, 0, "pass depths in blocks; 0 is the embedding")
        if depth > blocks:
            raise UserError(f"`depths` must be at most the {blocks} blocks of the model, got {depth}: pass less.")
    return tuple(sorted(set(depths)))


def beside(rows: list[dict], random: list[dict]) -> list[dict]:
    """Rows of a model with the figures of random weights beside them, by the name of the write and the depth."""
    found = {(row["written"], row["read"]): row for row in random}
    return [
        row
        | {
            f"random_{short}": found.get((row["written"], row["read"]), {}).get(name)
            for short, name in RANDOM_COLUMNS.items()
            if name in row
        }
        for row in rows
    ]


def open_encoder(model: object, **options: object) -> Encoder:
    """The encoder of a model at its residual stream and, where they have sites, its token mixers.

    Args:
        model: A Hugging Face id, folder or model, a language model, or an encoder.
        options: Arguments of `load_encoder`.

    Returns:
        An encoder with the sites `embedding`, `layer.N` and `layer.N.mixer` that the model has.

    Raises:
        UserError: The model cannot be loaded, or has no blocks.
    """
    if isinstance(model, LanguageModel):
        return LanguageModelStreams(model.to(options["device"]) if options.get("device") is not None else model)
    if isinstance(model, Encoder):
        sites = [site for site in model.sites if re.fullmatch(r"embedding|layer\.\d+(\.mixer)?", site)]
        return load_encoder(model, sites=sites or None, **options)
    try:
        return load_encoder(model, sites=(*STREAM_SITES, *MIXER_SITES), **options)
    except UserError as error:
        if MIXER_SITES[0] not in str(error):
            raise
    return load_encoder(model, sites=STREAM_SITES, **options)
