"""The public question, from a model and a corpus to a report."""

__all__ = ["recoverability"]

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch

from infodil.checks import UserError
from infodil.corpus import Corpus, Tokens
from infodil.encoders import ENCODERS, Encoder, load_encoder, self_test
from infodil.ladder.fit import LadderFitter, fit_context, pick_calibration
from infodil.ladder.labels import LagLabels, positions
from infodil.ladder.state_stream import StateStream, open_store
from infodil.ladder.stream_select import fit_ladder
from infodil.measure.accumulators import Units
from infodil.measure.arguments import (
    check_cache,
    check_counts,
    check_device,
    check_dtype,
    check_fit,
    check_lags,
    check_numbers,
    open_corpus,
)
from infodil.measure.controls import learning_curves, random_encoder
from infodil.measure.evaluation import read_test_split
from infodil.measure.provenance import describe, provenance, warn
from infodil.measure.report_rows import make_rows
from infodil.measure.text_view import make_text_view
from infodil.measure.upper_bounds import bound_sites, whole_state, with_upper_bounds
from infodil.probes import Probe, ProbeChoice, choose_probes, control_probe, fit_class_map, most_classes
from infodil.report import RecoverabilityReport


def recoverability(
    model: object,
    corpus: object,
    *,
    lags: Iterable[int] | int = range(17),
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
    **options: object,
) -> RecoverabilityReport:
    r"""How many bits about the token `lag` steps back does each state hold, for these readers?

    Each value is a lower bound on :math:`I(X_{t-k}; H_t)` at the stated precision: the plug-in entropy of the held-out
    tokens less the held-out cross-entropy of a reader (Barber and Agakov 2003; usable information, Xu et al. 2020).
    Types seen fewer than five times in training count as one there: for any function c of a token
    :math:`I(X; H) \ge I(c(X); H)`, and what cannot be learned about rare types must not be charged to the state.
    Beside it stand the ceiling :math:`H(X)` and the bits beyond what the tokens after it give away (Hewitt et al.
    2021). Training, calibration and test splits share no document, every choice is made on the calibration split, and
    intervals resample documents, or blocks of one long text.

    The rungs of the ladder, weakest first: `prior`, which does not look at the state; `gaussian`, closed form; `linear`
    softmax; `mlp`; `neighbours`, for states of at most 8 dims and 32 types; `trace`, a fitted model of an exponential
    trace, for at most 16 dims and 32 types; and, where the encoder says how its states sum token vectors
    (`superposition`), `pursuit` and `exact`, the posterior by enumeration for few types. Where a weaker rung does
    better on the calibration rows, it answers for the stronger one: `selected_probe` in the rows says who did.

    Controls stand in every row. `shuffled_bits` is what the same readers, trained alike, read of tokens of other
    documents; `selectivity_bits` is the value less that (Hewitt and Liang 2019, whose control task gives each type a
    random label: where the task is the token's own identity, that is the task itself with its types renamed, so the
    random labels here are those of whole shuffled documents). `random_weights_bits` is what the Gaussian reader reads
    from the same encoder with its weights drawn anew. Rows of the Gaussian reader have the length of its online code
    (Voita and Titov 2020) and the bits `extrapolated` to ever more training rows; `report.controls` has the curves.

    Each value stands below `upper_bits`, and `width_bits` is what is left open between the two. The upper bound is the
    least of those that hold for any reader (`infodil.bounds`), and `upper_by` says which: the entropy of the token; the
    budget of the whole state; the number of states of a format; and, where the encoder says how its states sum token
    vectors, the genie's bound, which is for independent tokens and so is used only if the corpus declares them (a
    source of `infodil.sources.iid`, or `load_corpus(..., independent=True)`). For them, where types are few and the
    noise is Gaussian, a genie who keeps some tokens to himself bounds better (`posterior`); for other tokens
    `genie_bits` bounds what the state tells beyond all other tokens. Rounding enters as uniform noise of one step of
    each number's last rounding: exact for dithered rounding, a model otherwise (`upper_assumes`). A width may be
    negative by no more than the intervals allow: both sides are measured.

    Memory does not grow with the corpus: states are read once, batch by batch, for each rung of the ladder.

    Args:
        model: A built-in name, an `Encoder`, a `torch.nn.Module` (with `sites`), or a Hugging Face id or folder.
        corpus: A `Corpus`, or whatever `load_corpus` takes: a built-in name, a file or folder, a dataset id, a dataset,
            a list of texts or of token arrays, a source of tokens. Text is tokenised by the corpus's tokenizer, else by
            the model's, else by a byte-pair tokenizer of 4,096 types learned from the text.
        lags: How many steps back; positions with fewer predecessors in their sequence are left out for that lag, and
            `samples` in the report is what remains.
        sites: Which states, by name, shell pattern or number; all that the model offers by default (for a Hugging
            Face model the embedding, the middle and the last layer).
        probes: Which rungs of the ladder to report, or `auto`: climb until a rung adds nothing, its gain in calibration
            cross-entropy over the best weaker rung, summed over lags, not being above zero by its interval. `linear` is
            of one family with `gaussian` and does not end the climb; rungs that know the code are always tried. A rung
            that applies to some of the sites only has rows for those.
        precision: What states are observed at before they are read: `float64`, `float32`, `float16`, `bfloat16`,
            `float8_e4m3`, `float8_e5m2` (one scale a site), `int8` (one step a channel), or Gaussian noise of some
            signal-to-noise ratio, such as `snr=20dB`; see `infodil.precision.Quantizer`.
        max_tokens: Read at most so many tokens of the corpus, from its beginning; None for all.
        batch_size: Sequences of full length in a batch.
        device: Where states are read, and where a model loaded here runs; a module passed in stays where it is.
        dtype: Of the weights of a model loaded here.
        seed: Of everything random. The same seed on the same machine gives the same report.
        confidence: Of the intervals, each for itself.
        progress: Show bars.
        options: Of a model made here from its name, as in `load_encoder` (`alpha=0.5`, `dim=64`, ...).
        cache_dir: Keep the states of costly models there; a run that was killed takes up where it stopped.
        controls: Measure random weights and learning curves, too; a model with weights is then encoded twice.

    Raises:
        UserError: What was passed cannot be measured; the message names the argument, the value and the way out.

    Example:
        >>> tokens = torch.randint(8, (60, 40), generator=torch.Generator().manual_seed(0))
        >>> report = recoverability("shift_register", tokens, lags=[0, 3, 4], progress=False)
        >>> [round(report.estimate("shift_register", lag).value_bits) for lag in (0, 3, 4)]
        [3, 3, 0]
    """
    lags = check_lags(lags)
    choice = choose_probes(probes)
    check_numbers(precision, batch_size, seed, confidence)
    device, dtype = check_device(device), check_dtype(dtype)
    corpus = open_corpus(corpus)
    check_cache(cache_dir)
    late = isinstance(model, str) and model in ENCODERS  # its vocabulary is the corpus's
    encoder = None if late else load_encoder(model, sites=sites, seed=seed, device=device, dtype=dtype, **options)
    with tokenize(corpus, encoder, max_tokens, seed, progress) as tokens:
        if encoder is None:
            encoder = load_encoder(
                model, vocabulary=tokens.vocabulary, sites=sites, seed=seed, device=device, **options
            )
        check_fit(encoder, tokens)
        config = {
            "lags": list(lags),
            "sites": [sites] if isinstance(sites, str | int) else None if sites is None else list(sites),
            **choice.record(),
            "precision": precision,
            "max_tokens": max_tokens,
            "batch_size": batch_size,
            "seed": seed,
            "confidence": confidence,
            "controls": bool(controls),
            "max_length": tokens.max_length,
            "pack": tokens.pack,
            "options": options,
        }
        return measure(encoder, describe(model, encoder), tokens, choice, config, device, progress, cache_dir)


@torch.no_grad()
def measure(
    encoder: Encoder,
    name: str,
    tokens: Tokens,
    choice: ProbeChoice,
    config: dict,
    device: torch.device,
    progress: bool,
    cache_dir: str | Path | None,
) -> RecoverabilityReport:
    """Fit on the training split, choose on the calibration split, report the test split."""
    lags, seed = tuple(config["lags"]), config["seed"]
    dims = self_test(encoder)
    generator = np.random.default_rng([seed, 0x1A6])
    targets = {split: LagLabels.of(tokens.splits[split], lags, generator) for split in ("train", "calibration", "test")}
    vocabulary = max(tokens.vocabulary, encoder.vocabulary) if tokens.tokenizer is None else tokens.vocabulary
    counts = {split: target.counts(vocabulary) for split, target in targets.items()}
    check_counts(counts, lags, tokens)
    classes = fit_class_map(
        torch.from_numpy(counts["train"][0]),
        torch.from_numpy(counts["calibration"][0]),
        most=most_classes(1 + len(lags), sum(dims.values())),
    )
    classes = dataclasses.replace(
        classes, **{field.name: getattr(classes, field.name).to(device) for field in dataclasses.fields(classes)}
    )
    wanted = pick_calibration(targets["calibration"], generator)
    context = fit_context(classes, targets["train"], targets["calibration"], wanted)

    random = random_encoder(encoder, seed) if config["controls"] else None
    shared: dict[str, dict] = {"standardizers": {}, "quantizers": {}, "errors": {}, "control_dims": {}}
    streams = {
        split: StateStream(
            encoder=encoder,
            split=tokens.splits[split],
            batch_size=config["batch_size"],
            device=device,
            precision=config["precision"],
            name=split,
            progress=progress,
            seed=seed,
            control=random,
            dims=dims,
            **shared,
        )
        for split in targets
    }
    key = encoder.fingerprint() if cache_dir is not None else None
    if key is not None:
        key += f"{tokens.sha256} {config} {tokens.splits}"
    needed = tokens.total * sum(dims.values()) * (8 if config["precision"] == "float64" else 4) * (1 + bool(random))
    store = open_store(streams["train"], cache_dir, key, needed, encoder.costly)
    for split, stream in streams.items():
        if split == "train" or key is not None:  # the others are read once: kept only for a run to resume
            stream.store = store

    fitting = LadderFitter(
        streams["train"], streams["calibration"], targets["train"], targets["calibration"], wanted,
        classes, context, seed, choice.available, config["controls"] and choice.wants(control_probe()),
    )  # fmt: skip
    held_out = Units.of(tokens.splits["calibration"], tokens.few_documents)
    climbed = fit_ladder(fitting, choice, held_out.index(wanted), held_out.documents, config["confidence"])
    units = Units.of(tokens.splits["test"], tokens.few_documents)
    sums, whole = read_test_split(streams["test"], targets["test"], units, climbed, classes, context, counts["test"])
    train_samples = counts["train"].sum(1).tolist()
    rows, summary, resampled = make_rows(sums, whole, units, climbed, lags, train_samples, config["confidence"], seed)
    above = bound_sites(
        fitting, counts["test"][0], held_out.index(wanted), positions(tokens.splits["test"]) + 1, lags,
        tokens.independent, config["confidence"], seed,
    )  # fmt: skip
    rows = with_upper_bounds(rows, above, lags, counts["test"][0], tokens.independent)
    summary = [{**row, "dim": dims[row["site"]], **whole_state(above[row["site"]])} for row in summary]
    passage, shown = make_text_view(streams["test"], targets["test"], climbed, classes)
    modelled = float(counts["train"][0][classes.of_type.cpu().numpy() < classes.modelled].sum() / train_samples[0])
    curves = learning_curves(climbed, lags)
    return RecoverabilityReport(
        rows=tuple(rows),
        summary=tuple(summary),
        model={
            "name": name,
            "vocabulary": encoder.vocabulary,
            "sites": dims,
            # Root mean square error of a number at each site: what the precision means there.
            "errors": {site: streams["train"].errors[site] for site in dims},
        },
        corpus=tokens.provenance()
        | {"types_modelled": classes.modelled, "tokens_modelled_share": modelled}
        | {"context_reader": f"backward n-gram with back-off, up to {max(context.used)} following tokens"},
        config=config | ({"climbed": list(climbed.probes)} if choice.requested is None else {}),
        provenance=provenance(device, seed) | {"resampled": resampled},
        warnings=tuple(warn(rows, tokens, resampled, climbed.probes)),
        text_view={"tokens": tokens.token_texts(passage), "lags": list(lags), "sites": shown},
        controls={"learning": curves} if curves else None,
        probe_order=tuple(choice.available),
    )


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
