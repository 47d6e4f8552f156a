"""The question of a user: from a model and a corpus to a report."""

__all__ = ["recoverability"]

import dataclasses
import inspect
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import SupportsIndex

import numpy as np
import torch

from infodil.checks import UserError
from infodil.corpus import Corpus, Tokens
from infodil.encoders import ENCODERS, Encoder, RecordedStates, check_model_options, load_encoder
from infodil.ladder import MeasuredSites
from infodil.measure.arguments import (
    check_cache,
    check_device,
    check_dtype,
    check_fit,
    check_lags,
    check_numbers,
    check_sites,
    open_corpus,
)
from infodil.measure.config import MeasurementConfig
from infodil.measure.contexts import ContextChoice, check_context
from infodil.measure.controls import random_encoder
from infodil.measure.measurement import measure
from infodil.measure.provenance import describe
from infodil.measure.token_kinds import check_kinds
from infodil.probes import Probe, choose_probes
from infodil.processes import current
from infodil.report import RecoverabilityReport


def recoverability(
    model: object,
    corpus: object,
    *,
    lags: Iterable[SupportsIndex] | SupportsIndex = range(17),
    sites: str | int | Iterable[str | int] | None = None,
    probes: str | Probe | Iterable[str | Probe] = ("prior", "gaussian", "linear"),
    precision: str = "float32",
    max_tokens: int | None = 500_000,
    batch_size: int = 16,
    device: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    progress: bool = True,
    cache_dir: str | Path | None = None,
    controls: bool = True,
    by: str | Mapping[int | str, str] | None = None,
    sketch_dims: int | None = 4096,
    context: ContextChoice = "ngram",
    **options: object,
) -> RecoverabilityReport:
    r"""A lower bound on the bits that each state holds about the token `lag` steps back, for each probe.

    .. math:: \hat I = H(c(X_{t-k})) + E \log_2 q(c(X_{t-k}) \mid H_t) \le I(X_{t-k}; H_t)

    at the stated precision: the plug-in entropy of the held-out tokens less the held-out cross-entropy of a probe q
    (Barber and Agakov 2003; usable information, Xu et al. 2020). The function c pools types seen fewer than five times
    in training, for what cannot be learned about rare types must not be charged to the state. Each row has the ceiling
    :math:`H(X)` and the bits beyond what the tokens after it give away (Hewitt et al. 2021). Training, calibration and
    test splits share no document, every choice is made on the calibration split, and intervals rest on documents of any
    length, or on blocks of one long text.

    The ladder of probes, weakest first: `prior`, which does not use the state; `gaussian`, closed form; `linear`
    softmax; `mlp`; `neighbours`, for states of at most 8 dims and 32 types; `trace`, a fitted model of an exponential
    trace, for at most 16 dims and 32 types; and, where the encoder describes its states as sums of token vectors
    (`superposition`), `pursuit` and `exact`, the posterior by enumeration for few types. Where a weaker probe predicts
    the calibration rows better, its prediction is used for the stronger one: `selected_probe` in the rows says whose.

    Every row has controls. `shuffled_bits` is what the same probes, trained alike, read of tokens of other documents;
    `selectivity_bits` is the value less that (Hewitt and Liang 2019, whose control task gives each type a random label:
    where the task is the token's own identity, that is the task itself with its types renamed, so the random labels
    here are those of whole shuffled documents). `random_weights_bits` is what the Gaussian probe reads from the same
    encoder with its weights drawn anew. Rows of the Gaussian probe have the length of its online code (Voita and Titov
    2020) and the bits `extrapolated` to ever more training rows; `report.controls` has the curves.

    Each value is below `upper_bits`, and `width_bits` is the difference. The upper bound is the least of those that
    hold for any probe (`infodil.bounds`), and `upper_by` names it: the entropy of the token; the budget of the whole
    state; the number of states of a format; and, for a superposition, the genie bound, which is for independent tokens
    and so is used only if the corpus declares them (a source of `infodil.sources.iid`, or
    `load_corpus(..., independent=True)`). For them, where types are few and the noise is Gaussian, a genie who reveals
    fewer tokens gives a better bound (`posterior`); for other tokens `genie_bits` bounds what the state tells beyond
    all other tokens. Rounding enters as uniform noise of one step of each number's last rounding: exact for dithered
    rounding, a model otherwise (`upper_assumes`). A width may be negative by no more than the intervals allow: both
    sides are measured.

    Memory does not grow with the corpus: states are read batch by batch, in a pass or more for each probe.

    Args:
        model: A built-in name, an `Encoder`, a `torch.nn.Module` (with `sites`), a Hugging Face id or folder, or states
            that were recorded elsewhere: a dictionary from site to `[documents, tokens, dim]`, or to a list of
            `[tokens, dim]`, one for each document of a corpus of token ids.
        corpus: A `Corpus`, or whatever `load_corpus` takes: a built-in name, a file or folder, a dataset id, a dataset,
            a list of texts or of token arrays, a source of tokens. Text is tokenised by the corpus's tokenizer, else by
            the model's, else by a byte-pair tokenizer of 4,096 types learned from the text.
        lags: Numbers of steps back. Positions with fewer predecessors in their sequence are left out for a lag, and
            `samples` in the report is what remains.
        sites: Sites by name, shell pattern or number. All that the model offers by default (for a Hugging Face model
            the embedding, the middle and the last layer; with a recurrent state, the embedding and the stream, mixer
            and state of the first, middle and last recurrent layer).
        probes: Probes to report, by name or with options (`infodil.probes`), or `auto`: probes are added until one
            gains nothing, its gain in calibration cross-entropy over the best weaker probe, summed over lags, not being
            above zero by its interval. `linear`, of one family with `gaussian`, does not end the search, and probes
            that know the superposition are always tried. A probe that applies to some sites only has rows for those.
        precision: Precision that states are observed at: `float64`, `float32`, `float16`, `bfloat16`, `float8_e4m3`,
            `float8_e5m2` (one scale a site), `int8` (one step a channel), or Gaussian noise of some signal-to-noise
            ratio, such as `snr=20dB`; see `infodil.precision.Quantizer`.
        max_tokens: Number of tokens of the corpus to read, from its beginning. None for all.
        batch_size: Most sequences of full length that are encoded at once; figures do not depend on it.
        device: Device of the probes, and of a model loaded here; a module passed in stays where it is.
        dtype: Floating-point type of the weights of a model loaded here.
        seed: Seed of everything random. The same seed on the same machine gives the same report.
        confidence: Confidence level of each pointwise interval.
        progress: Whether to show bars.
        options: Options of a model made from its name, as in `load_encoder` (`alpha=0.5`, `dim=64`, ...).
        cache_dir: Folder to keep the states of costly models in; a run that was killed resumes from there.
        controls: Whether to measure random weights and learning curves too, which encodes a model twice.
        by: Kinds of hidden token that every row is split by as well: `frequency` (bands of the rank in the training
            split), `surface` (number, capitalised word, function word, other word, word piece, punctuation, other), or
            a mapping from type (id or text) to a name of your own. The split rows (`report.kind_rows`, and
            `report.to_frame()` with the column `token_kind`) average to the whole row, weighted by `samples`.
        sketch_dims: Sites with more numbers than this are read through a seeded count sketch of so many, which may lose
            bits and adds none (`infodil.encoders.CountSketch`); precision and upper bounds are then those of the
            sketch. None to read all states whole.
        context: Model of what the tokens after a hidden one give away: `ngram`, a backward n-gram; `lm`, beside it a
            language model that is trained backward on the training split (options: `infodil.measure.BackwardLM`); or,
            beside it, a function from ids `[rows, tokens]`, in the order of the text, to the log-probability of each
            type of the token before them. Rows show both, and take the better one on the calibration split.

    Returns:
        A report with a row for each site, lag and probe.

    Raises:
        UserError: Something cannot be measured; the message names the argument, the value and the way out.

    Reference:
        Barber and Agakov (2003), The IM algorithm; Xu et al. (2020), A theory of usable information under computational
        constraints; Hewitt and Liang (2019), Designing and interpreting probes with control tasks; Hewitt et al.
        (2021), Conditional probing; Voita and Titov (2020), Information-theoretic probing with minimum description
        length.

    Example:
        >>> tokens = torch.randint(8, (60, 40), generator=torch.Generator().manual_seed(0))
        >>> report = recoverability("shift_register", tokens, lags=[0, 3, 4], progress=False)
        >>> [round(report.estimate("shift_register", lag).value_bits) for lag in (0, 3, 4)]
        [3, 3, 0]
    """
    config = MeasurementConfig(
        lags=check_lags(lags),
        sites=check_sites(sites),
        probes=choose_probes(probes),
        precision=precision,
        max_tokens=max_tokens,
        batch_size=batch_size,
        seed=seed,
        confidence=confidence,
        controls=bool(controls),
        by=check_kinds(by),
        sketch_dims=sketch_dims,
        context=check_context(context),
        options=options,
    )
    check_numbers(precision, batch_size, seed, confidence, sketch_dims)
    check_model_options(model, options, inspect.signature(recoverability).parameters)
    check_cache(cache_dir)
    device, dtype = check_device(device), check_dtype(dtype)
    progress = progress and current().is_first
    corpus = open_corpus(corpus)
    built_in = isinstance(model, str) and model in ENCODERS  # its vocabulary is that of the corpus
    if isinstance(model, Mapping):
        model = recorded_states(model, corpus, sites)
        sites = None
    encoder = None if built_in else load_encoder(model, sites=sites, seed=seed, device=device, dtype=dtype, **options)
    with tokenize(corpus, encoder, max_tokens, seed, progress) as tokens:
        if encoder is None:
            encoder = load_encoder(
                model, vocabulary=tokens.vocabulary, sites=sites, seed=seed, device=device, **options
            )
        check_fit(encoder, tokens)
        longest = max(int(split.lengths.max()) for split in tokens.splits.values())
        control = random_encoder(encoder, seed) if controls else None
        measured = MeasuredSites.of(encoder, control, longest, sketch_dims, seed)
        return measure(measured, describe(model, encoder), tokens, config, device, progress, cache_dir)


def recorded_states(
    states: Mapping[str, object], corpus: Corpus, sites: str | int | Iterable[str | int] | None
) -> RecordedStates:
    """Recorded states as an encoder, beside the token ids that they were recorded for."""
    if corpus.kind != "tokens":
        raise UserError(
            f"`corpus` {corpus.name!r} is text, and recorded states stand beside token ids: pass those that the model "
            "read, as a list of id arrays or a 2-D array."
        )
    lengths, largest = [], 0
    for document in corpus.documents():
        ids = np.asarray(document)
        lengths.append(len(ids))
        largest = max(largest, int(ids.max(initial=0)))
    return RecordedStates(states, lengths, corpus.vocabulary or 1 + largest, sites)


def tokenize(corpus: Corpus, encoder: Encoder | None, max_tokens: int | None, seed: int, progress: bool) -> Tokens:
    """Tokens of the corpus for this encoder."""
    tokenizer = corpus.tokenizer
    if corpus.kind == "text" and tokenizer is None:
        tokenizer = "bpe" if encoder is None else encoder.tokenizer
        if tokenizer is None:
            raise UserError(
                f"`corpus` {corpus.name!r} is text and the model has no tokenizer: "
                "pass load_corpus(..., tokenizer=...) or token ids."
            )
    if corpus.kind == "tokens" and corpus.vocabulary is None and encoder is not None:
        corpus = dataclasses.replace(corpus, vocabulary=encoder.vocabulary)
    return corpus.tokenize(tokenizer, max_tokens=max_tokens, seed=seed, progress=progress)
