"""The public question, from a model and a corpus to a report."""

__all__ = ["recoverability"]

import dataclasses
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterable, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from torch import nn

from infodil.checks import UserError, check_between, check_not_empty, check_one_of, check_whole
from infodil.corpus import Corpus, Tokens, load_corpus
from infodil.encoders import BUILT_IN, Encoder, choose_sites, fingerprint, load_encoder, self_test
from infodil.measure.evaluation import Units, read_passage, read_test_split
from infodil.measure.fitting import fit_context, fit_readers, pick_calibration
from infodil.measure.states import PRECISIONS, StateStream, open_store
from infodil.measure.summary import make_rows
from infodil.measure.targets import Targets
from infodil.probes import LADDER, make_classes
from infodil.report import RecoverabilityReport

FEWEST_TEST_TOKENS = 32

FEWEST_SAMPLES = 1000
"""Below this many test positions a warning says that the figures are rough."""


def recoverability(
    model: object,
    corpus: object,
    *,
    lags: Iterable[int] | int = range(17),
    sites: str | int | Iterable[str | int] | None = None,
    probes: str | Iterable[str] = ("prior", "gaussian", "linear"),
    precision: str = "float32",
    max_tokens: int | None = 500_000,
    batch_size: int = 16,
    device: str | torch.device | None = None,
    dtype: torch.dtype | str | None = None,
    seed: int = 0,
    confidence: float = 0.95,
    progress: bool = True,
    cache_dir: str | Path | None = None,
    **options: object,
) -> RecoverabilityReport:
    r"""How many bits about the token `lag` steps back does each state hold, for these readers?

    Each value is a lower bound on :math:`I(X_{t-k}; H_t)` at the stated precision: the plug-in entropy of the held-out
    tokens less the held-out cross-entropy of a reader (Barber and Agakov 2003; usable information, Xu et al. 2020).
    Types seen fewer than five times in training count as one there: for any function c of a token
    :math:`I(X; H) \ge I(c(X); H)`, and what cannot be learned about rare types must not be charged to the state.
    Beside it stand the ceiling :math:`H(X)`, the bits beyond what the tokens after it give away (Hewitt et al. 2021),
    and the same figure for shuffled documents. Training, calibration and test splits share no document, every choice
    is made on the calibration split, and intervals resample documents, or blocks of one long text.

    Memory does not grow with the corpus: states are read once, batch by batch, for each rung of the ladder.

    Args:
        model: A built-in name, an `Encoder`, a `torch.nn.Module` (with `sites`), or a Hugging Face id or folder.
        corpus: A `Corpus`, or whatever `load_corpus` takes: a built-in name, a file or folder, a dataset id, a dataset,
            a list of texts or of token arrays. Text is tokenised by the corpus's tokenizer, else by the model's, else
            by a byte-pair tokenizer of 4,096 types learned from the text.
        lags: How many steps back; positions with fewer predecessors in their sequence are left out for that lag, and
            `samples` in the report is what remains.
        sites: Which states, by name, shell pattern or number; all that the model offers by default (for a Hugging
            Face model the embedding, the middle and the last layer).
        probes: Which rungs of the ladder to report: `prior`, `gaussian`, `linear`.
        precision: What states are rounded to before they are read: `float64`, `float32`, `float16`, `bfloat16`.
        max_tokens: Read at most so many tokens of the corpus, from its beginning; None for all.
        batch_size: Sequences of full length in a batch.
        device: Where states are read, and where a model loaded here runs; a module passed in stays where it is.
        dtype: Of the weights of a model loaded here.
        seed: Of everything random. The same seed on the same machine gives the same report.
        confidence: Of the intervals, each for itself.
        progress: Show bars.
        options: Of a model made here from its name, as in `load_encoder` (`alpha=0.5`, `dim=64`, ...).
        cache_dir: Keep the states of costly models there; a run that was killed takes up where it stopped.

    Raises:
        UserError: What was passed cannot be measured; the message names the argument, the value and the way out.

    Example:
        >>> tokens = torch.randint(8, (60, 40), generator=torch.Generator().manual_seed(0))
        >>> report = recoverability("shift_register", tokens, lags=[0, 3, 4], progress=False)
        >>> [round(report.estimate("shift_register", lag).value_bits) for lag in (0, 3, 4)]
        [3, 3, 0]
    """
    lags = check_lags(lags)
    probes = check_probes(probes)
    check_one_of("precision", precision, PRECISIONS)
    check_whole("batch_size", batch_size, 1, "pass 1 or more")
    check_whole("seed", seed, 0, "pass 0 or more")
    check_between("confidence", confidence, 0.5, 0.9999)
    device, dtype = check_device(device), check_dtype(dtype)
    corpus = open_corpus(corpus)
    check_cache(cache_dir)
    late = isinstance(model, str) and model in BUILT_IN  # its vocabulary is the corpus's
    encoder = None if late else load_encoder(model, sites=sites, seed=seed, device=device, dtype=dtype, **options)
    with tokenize(corpus, encoder, max_tokens, seed, progress) as tokens:
        if encoder is None:
            encoder = load_encoder(model, vocabulary=tokens.vocabulary, seed=seed, device=device, **options)
        check_fit(encoder, tokens)
        config = {
            "lags": list(lags),
            "sites": [sites] if isinstance(sites, str | int) else None if sites is None else list(sites),
            "probes": list(probes),
            "precision": precision,
            "max_tokens": max_tokens,
            "batch_size": batch_size,
            "seed": seed,
            "confidence": confidence,
            "max_length": tokens.max_length,
            "pack": tokens.pack,
            "options": options,
        }
        # A model wrapped or loaded here gives the chosen sites only; those of an encoder are chosen among all it gives.
        chosen = sites if late or encoder is model else None
        return measure(encoder, describe(model, encoder), tokens, chosen, config, device, progress, cache_dir)


@torch.no_grad()
def measure(
    encoder: Encoder,
    name: str,
    tokens: Tokens,
    sites: str | int | Iterable[str | int] | None,
    config: dict,
    device: torch.device,
    progress: bool,
    cache_dir: str | Path | None,
) -> RecoverabilityReport:
    """Fit on the training split, choose on the calibration split, report the test split."""
    lags, probes, seed = tuple(config["lags"]), config["probes"], config["seed"]
    offered = self_test(encoder)
    dims = {site: offered[site] for site in choose_sites(sites, list(offered))}
    generator = np.random.default_rng([seed, 0x1A6])
    targets = {split: Targets.of(tokens.splits[split], lags, generator) for split in ("train", "calibration", "test")}
    vocabulary = max(tokens.vocabulary, encoder.vocabulary) if tokens.tokenizer is None else tokens.vocabulary
    counts = {split: target.counts(vocabulary) for split, target in targets.items()}
    check_counts(counts, lags, tokens)
    classes = make_classes(torch.from_numpy(counts["train"][0]), torch.from_numpy(counts["calibration"][0]))
    classes = dataclasses.replace(
        classes, **{field.name: getattr(classes, field.name).to(device) for field in dataclasses.fields(classes)}
    )
    wanted = pick_calibration(targets["calibration"], generator)
    context = fit_context(classes, targets["train"], targets["calibration"], wanted)

    streams = {
        split: StateStream(
            encoder=encoder,
            split=tokens.splits[split],
            sites=sites,
            batch_size=config["batch_size"],
            device=device,
            precision=config["precision"],
            name=split,
            progress=progress,
            dims=dims,
        )
        for split in targets
    }
    key = fingerprint(encoder) if cache_dir is not None else None
    if key is not None:
        key += f"{tokens.sha256} {config} {tokens.splits}"
    needed = tokens.total * sum(dims.values()) * 4
    store = open_store(streams["train"], cache_dir, key, needed, getattr(encoder, "costly", True))
    for split, stream in streams.items():
        if split == "train" or key is not None:  # the others are read once: kept only for a run to resume
            stream.store = store

    fitted = fit_readers(
        streams["train"], streams["calibration"], targets["train"], targets["calibration"], wanted,
        classes, context, probes, seed,
    )  # fmt: skip
    streams["test"].frames = streams["train"].frames
    units = Units.of(tokens.splits["test"], tokens.few_documents)
    sums = read_test_split(streams["test"], targets["test"], units, fitted, probes, classes, context, counts["test"])
    train_samples = counts["train"].sum(1).tolist()
    rows, summary, resampled = make_rows(sums, units, fitted, probes, lags, train_samples, config["confidence"], seed)
    summary = [{**row, "dim": dims[row["site"]]} for row in summary]
    chosen = {site: strongest(readers, probes) for site, readers in fitted.items()}
    passage, shown = read_passage(streams["test"], targets["test"], fitted, chosen, classes)
    modelled = float(counts["train"][0][classes.of_type.cpu().numpy() < classes.modelled].sum() / train_samples[0])
    return RecoverabilityReport(
        rows=tuple(rows),
        summary=tuple(summary),
        model={"name": name, "vocabulary": encoder.vocabulary, "sites": dims},
        corpus=tokens.provenance()
        | {"types_modelled": classes.modelled, "tokens_modelled_share": modelled}
        | {"context_reader": f"backward n-gram with back-off, up to {max(context.used)} following tokens"},
        config=config,
        provenance=provenance(device, seed) | {"resampled": resampled},
        warnings=tuple(warn(rows, tokens, resampled, probes)),
        passage={"tokens": tokens.token_texts(passage), "lags": list(lags), "sites": shown},
    )


def strongest(readers: dict, probes: Sequence[str]) -> str:
    """The probe with the least calibration cross-entropy over all lags: the one the text view shows."""
    return min(probes, key=lambda probe: sum(readers[probe].calibration_nats[1:]))


def tokenize(corpus: Corpus, encoder: Encoder | None, max_tokens: int | None, seed: int, progress: bool) -> Tokens:
    """Tokens of the corpus for this encoder."""
    tokenizer = corpus.tokenizer
    if corpus.kind == "text" and tokenizer is None:
        tokenizer = "bpe" if encoder is None else getattr(encoder, "tokenizer", None)
        if tokenizer is None:
            raise UserError(
                f"`corpus` {corpus.name!r} is text and the model has no tokenizer: "
                "pass load_corpus(..., tokenizer=...) or token ids."
            )
    if corpus.kind == "tokens" and corpus.vocabulary is None and encoder is not None:
        corpus = dataclasses.replace(corpus, vocabulary=encoder.vocabulary)
    return corpus.tokenize(tokenizer, max_tokens=max_tokens, seed=seed, progress=progress)


def open_corpus(corpus: object) -> Corpus:
    """`load_corpus`, its complaints in the words of this call."""
    try:
        return load_corpus(corpus)
    except UserError as error:
        raise UserError(str(error).replace("`source`", "`corpus`")) from None


def check_cache(cache_dir: str | Path | None) -> None:
    """Refuse a file where a folder is needed, before anything is read."""
    if cache_dir is not None and Path(cache_dir).exists() and not Path(cache_dir).is_dir():
        raise UserError(f"`cache_dir` {Path(cache_dir).name!r} is a file: pass a folder.")


def check_lags(lags: Iterable[int] | int) -> tuple[int, ...]:
    """Distinct whole numbers of at least zero, ascending."""
    lags = [lags] if isinstance(lags, int) else list(lags)
    check_not_empty("lags", lags, "pass at least one, such as lags=range(17)")
    lags = [int(lag) if isinstance(lag, np.integer) else lag for lag in lags]
    for lag in lags:
        check_whole("lags", lag, 0, "a state is asked for tokens it has seen")
    return tuple(sorted(set(lags)))


def check_probes(probes: str | Iterable[str]) -> tuple[str, ...]:
    """Known rungs, weakest first."""
    probes = [probes] if isinstance(probes, str) else list(probes)
    check_not_empty("probes", probes, f"pass some of {', '.join(LADDER)}")
    for probe in probes:
        check_one_of("probes", probe, LADDER)
    return tuple(probe for probe in LADDER if probe in probes)


def check_device(device: str | torch.device | None) -> torch.device:
    """The device, if it is there."""
    try:
        chosen = torch.device(device or "cpu")
        torch.empty(0, device=chosen)
    except (RuntimeError, AssertionError):
        raise UserError(f"`device` {str(device)!r} is not there: pass 'cpu' or one that torch can see.") from None
    return chosen


def check_dtype(dtype: torch.dtype | str | None) -> torch.dtype | None:
    """A floating-point torch dtype, or its name."""
    chosen = getattr(torch, dtype, None) if isinstance(dtype, str) else dtype
    if chosen is None and dtype is None:
        return None
    if not isinstance(chosen, torch.dtype) or not chosen.is_floating_point:
        raise UserError(f"`dtype` must be a floating-point torch dtype or its name, got {dtype!r}: try 'bfloat16'.")
    return chosen


def check_fit(encoder: Encoder, tokens: Tokens) -> None:
    """The encoder can read these tokens, and the sequences are long enough for the lags."""
    longest = getattr(encoder, "longest", None)
    if longest is not None and longest < tokens.max_length:
        needed = max(int(split.lengths.max()) for split in tokens.splits.values())
        if needed > longest:
            raise UserError(
                f"`corpus` has sequences of {needed} tokens, but the model reads at most {longest}: "
                f"pass load_corpus(..., max_length={longest})."
            )
    if tokens.tokenizer is not None and tokens.vocabulary > encoder.vocabulary:
        largest = max(int(split.tokens.max()) for split in tokens.splits.values())
        if largest >= encoder.vocabulary:
            raise UserError(
                f"`corpus` has the token id {largest}, but the model's vocabulary has {encoder.vocabulary}: "
                "tokenise with the model's own tokenizer."
            )


def check_counts(counts: dict[str, np.ndarray], lags: Sequence[int], tokens: Tokens) -> None:
    """Every lag occurs in every split, and there is something to tell apart."""
    for split, count in counts.items():
        seen = count.sum(1)
        for target, lag in enumerate(lags, start=1):
            if seen[target] < 2:
                longest = int(tokens.splits[split].lengths.max())
                raise UserError(
                    f"`lags` has {lag}, which is never observed: the longest {split} sequence has {longest} tokens; "
                    "pass smaller lags, longer documents, a larger max_length or pack=True."
                )
    held_out = int(counts["test"][0].sum())
    if held_out < FEWEST_TEST_TOKENS:
        raise UserError(f"`corpus` leaves {held_out} test tokens, too few for an interval: pass more text.")
    kinds = int((counts["train"][0] > 0).sum())
    if kinds < 2:
        raise UserError(f"`corpus` has {kinds} distinct training token: a probe needs at least two classes.")


def describe(model: object, encoder: Encoder) -> str:
    """What the report calls the model; a local folder by its last name only."""
    if isinstance(model, str | Path):
        return Path(model).name if Path(model).exists() else str(model)
    inner = model if isinstance(model, nn.Module) else encoder
    return str(getattr(inner, "name", None) or type(inner).__name__)


def warn(rows: Sequence[dict], tokens: Tokens, resampled: dict, probes: Sequence[str]) -> list[str]:
    """Sentences that a reader of the figures should know."""
    said = list(tokens.warnings)
    few = min(row["samples"] for row in rows)
    if few < FEWEST_SAMPLES:
        lag = min((row for row in rows if row["samples"] == few), key=lambda row: row["lag"])["lag"]
        said.append(f"Lag {lag} rests on {few} test positions only: pass more text.")
    if resampled["units"] < 30:
        said.append(f"Intervals rest on {resampled['units']} {resampled['of']}: pass more text for reliable ones.")
    by_place: dict[tuple, dict[str, dict]] = {}
    for row in rows:
        by_place.setdefault((row["site"], row["lag"]), {})[row["probe"]] = row
    fell = [
        (site, lag, weak, strong)
        for (site, lag), ladder in by_place.items()
        for weak, strong in pairwise(probes)
        if ladder[strong]["high_bits"] < ladder[weak]["value_bits"]
    ]
    if fell:
        site, lag, weak, strong = fell[0]
        said.append(
            f"The {strong} reader fell below the {weak} one beyond its interval in {len(fell)} places "
            f"(first at {site}, lag {lag}): its fit failed there, trust the {weak} figure."
        )
    return said


def provenance(device: torch.device, seed: int) -> dict:
    """Versions, device, seed, and the commit of the working tree infodil runs from, if it is one."""
    packages = ("infodil", "torch", "numpy", "scipy", "transformers", "tokenizers", "datasets")
    versions = {"python": platform.python_version()}
    for package in packages:
        try:
            versions[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    described = (
        torch.cuda.get_device_name(device) if device.type == "cuda" else platform.processor() or platform.machine()
    )
    return {
        "seed": seed,
        "versions": versions,
        "device": f"{device.type}: {described}",
        "threads": torch.get_num_threads(),
        "commit": commit(),
    }


def commit() -> str | None:
    """The commit of infodil's own checkout; None where it is installed from a package."""
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None
    found = subprocess.run(["git", "rev-parse", "HEAD"], cwd=root, capture_output=True, text=True, check=False)
    return found.stdout.strip() or None
