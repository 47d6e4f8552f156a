"""The measurement: encoder, stream of states, accumulators, estimates, report."""

__all__ = ["measure"]

from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch

from infodil.corpus import Tokens
from infodil.encoders import Encoder
from infodil.fingerprint import code_version
from infodil.ladder import (
    FittedLadder,
    LagTask,
    MeasuredSites,
    StateStream,
    TextClusters,
    count_labels,
    fit_ladder,
    fit_preprocessing,
    make_labels,
    open_store,
    stream_data,
)
from infodil.measure.config import MeasurementConfig
from infodil.measure.contexts import add_context
from infodil.measure.controls import learning_curves
from infodil.measure.intervals import estimate
from infodil.measure.kind_rows import make_kind_rows
from infodil.measure.memory import check_memory
from infodil.measure.provenance import provenance, warn, warn_of_memory, warn_of_parts
from infodil.measure.report_rows import make_rows, summarise_sites
from infodil.measure.size import site_sizes, size_columns
from infodil.measure.test_pass import read_test_split
from infodil.measure.text_view import make_text_view
from infodil.measure.token_kinds import make_kinds
from infodil.measure.upper_bounds import bound_sites, whole_state, with_upper_bounds
from infodil.measure.whole_past import whole_past
from infodil.report import RecoverabilityReport


@torch.no_grad()
def measure(
    sites: MeasuredSites,
    name: str,
    tokens: Tokens,
    config: MeasurementConfig,
    device: torch.device,
    progress: bool,
    cache_dir: str | Path | None,
) -> RecoverabilityReport:
    """Fit on the training split, select on the calibration split, report the test split.

    Args:
        sites: Encoder and the sites to measure.
        name: What the report calls the model.
        tokens: The corpus, split by document.
        config: Everything else that figures depend on.
        device: Device of the probes.
        progress: Whether to show bars.
        cache_dir: Folder for states that outlive the run.
    """
    task = make_task(sites, tokens, config, device)
    check_memory(sites, tokens, task, config, device)
    task = add_context(task, config.context, tokens, config.seed, progress)
    kinds = make_kinds(config.by, tokens, task.counts["train"][0])
    with open_states(sites, tokens, config, cache_dir) as store:
        streams = open_streams(sites, tokens, config, device, progress, store, keep_all=cache_dir is not None)
        clusters = {split: TextClusters.of(part, tokens.few_documents) for split, part in tokens.splits.items()}
        clusters["test"] = TextClusters.of(tokens.splits["test"], tokens.few_documents, fewest=2)
        data = stream_data(
            streams["train"], streams["calibration"], task, clusters["calibration"], config.follows_learning
        )
        ladder = fit_ladder(data, config.probes, confidence=config.confidence)
        sums = read_test_split(streams["test"], task, ladder, clusters["test"], kinds)
        estimates = estimate(
            sums.whole, clusters["test"], ladder, data.calibration.better_context, len(task.classes.of_type),
            config.confidence, config.seed,
        )  # fmt: skip
        bounds = bound_sites(
            data, streams["train"].preprocessing, task, clusters["calibration"],
            independent=tokens.independent, confidence=config.confidence, seed=config.seed,
        )  # fmt: skip
        shown, lines = make_text_view(streams["test"], task, ladder)
    rows = make_rows(estimates, ladder, config.lags, task.counts["train"].sum(1).tolist())
    kind_rows = [] if config.by is None else make_kind_rows(sums, kinds, estimates, rows, ladder, task.counts["train"])
    rows = with_upper_bounds(rows, bounds, task, tokens.independent)
    kind_of = {site: sites.encoder.kind_of_site(site) for site in sites.dims}
    summary = summarise_sites(estimates, ladder, config.lags)
    past = whole_past(sums.deep, estimates, ladder, tokens.independent)
    sizes = site_sizes(sites, data)
    curves = learning_curves(ladder, config.lags)
    return RecoverabilityReport(
        rows=tuple(
            {
                **row,
                "kind_of_site": kind_of[row["site"]],
                **sketch_columns(sites, row["site"]),
                **size_columns(sizes[row["site"]], row["value_bits"]),
            }
            for row in rows
        ),
        summary=tuple(
            {
                **row,
                **past[row["site"]],
                "kind_of_site": kind_of[row["site"]],
                **sketch_columns(sites, row["site"]),
                **size_columns(sizes[row["site"]], past[row["site"]]["whole_past_bits"]),
                **whole_state(bounds[row["site"]]),
            }
            for row in summary
        ),
        model=describe_model(name, sites, streams["train"]),
        corpus=describe_corpus(tokens, task),
        config=describe_config(config, tokens, ladder),
        provenance=provenance(device, config.seed) | {"resampled": estimates.resampled},
        warnings=(
            *warn(rows, tokens, estimates.resampled, ladder.probes),
            *warn_of_memory(sites.encoder, kind_of),
            *warn_of_parts(sites, config.batch_size, tokens.max_length),
            *([] if cache_dir is None else why_not_kept(sites.encoder)),
        ),
        text_view={"tokens": tokens.token_texts(shown), "lags": list(config.lags), "sites": lines},
        controls={"learning": curves} if curves else None,
        probe_order=tuple(config.probes.available),
        kind_rows=tuple({**row, "kind_of_site": kind_of[row["site"]]} for row in kind_rows),
    )


def make_task(sites: MeasuredSites, tokens: Tokens, config: MeasurementConfig, device: torch.device) -> LagTask:
    """Labels of every split, the classes that probes tell apart, and the model of the context."""
    generator = np.random.default_rng([config.seed, 0x1A6])
    labels = make_labels(tokens, config.lags, generator)
    vocabulary = tokens.vocabulary
    if tokens.tokenizer is None:
        vocabulary = max(vocabulary, sites.encoder.vocabulary)
    counts = count_labels(tokens, labels, vocabulary)
    return LagTask.fit(tokens, labels, counts, dim=sum(sites.dims.values()), device=device, generator=generator)


def open_states(
    sites: MeasuredSites, tokens: Tokens, config: MeasurementConfig, cache_dir: str | Path | None
) -> AbstractContextManager[Path | None]:
    """The folder for the states of a costly encoder, named by all that the states depend on."""
    key = sites.encoder.fingerprint() if cache_dir is not None else None
    if key is not None:
        key += f"{code_version()} {tokens.sha256} {config.to_dict()} {tokens.max_length} {tokens.pack} {tokens.splits}"
    number_bytes = 8 if config.precision == "float64" else 4
    needed = tokens.total * sum(sites.dims.values()) * number_bytes * (1 + (sites.control is not None))
    return open_store(cache_dir, key, needed, sites.encoder.costly)


def why_not_kept(encoder: Encoder) -> list[str]:
    """A sentence on states that no cache keeps, where there is a reason."""
    name = encoder.name or type(encoder).__name__
    if not encoder.costly:
        return [f"`cache_dir` was not used: states of {name} are made as fast as they are read."]
    if encoder.fingerprint() is None:
        return [
            f"`cache_dir` was not used: what decides the states of {name} cannot be known, and they might be another "
            "model's; give it a method fingerprint() that returns a string."
        ]
    return []


def open_streams(
    sites: MeasuredSites,
    tokens: Tokens,
    config: MeasurementConfig,
    device: torch.device,
    progress: bool,
    store: Path | None,
    keep_all: bool,
) -> dict[str, StateStream]:
    """A stream of states of each split, observed alike: quantizers and standardizers are fitted to the first batch.

    Only training states are read more than once; the others are kept on disk for a resumed run alone.
    """
    options = {"batch_size": config.batch_size, "device": device, "seed": config.seed}
    splits = tokens.position_splits() if sites.encoder.reads_positions else tokens.splits
    preprocessing = fit_preprocessing(sites, splits["train"], precision=config.precision, store=store, **options)
    return {
        split: StateStream(
            sites=sites,
            split=part,
            preprocessing=preprocessing,
            name=split,
            progress=progress,
            store=store if split == "train" or keep_all else None,
            **options,
        )
        for split, part in splits.items()
    }


def sketch_columns(sites: MeasuredSites, site: str) -> dict[str, int | None]:
    """Numbers in a state of a site, and those of its sketch; None where it is read whole."""
    sketched = sites.encoder.sketched
    return {"dim": sketched.get(site, sites.dims[site]), "sketch_dims": sites.dims[site] if site in sketched else None}


def describe_model(name: str, sites: MeasuredSites, train: StateStream) -> dict[str, object]:
    """Name, vocabulary, and dims and typical error of a number at each site."""
    return {
        "name": name,
        "vocabulary": sites.encoder.vocabulary,
        "sites": sites.dims,
        "errors": {site: train.preprocessing[site].error for site in sites.dims},
        "route": sites.encoder.route,
        "sketches": {
            site: {"dim": dim, "sketch_dims": sites.dims[site], "seed": sites.encoder.seed}
            for site, dim in sites.encoder.sketched.items()
        }
        or None,
    }


def describe_corpus(tokens: Tokens, task: LagTask) -> dict[str, object]:
    """Origin of the corpus, and what is modelled of it."""
    return tokens.provenance() | {
        "types_modelled": task.classes.modelled,
        "tokens_modelled_share": task.modelled_share,
        "context_models": {name: context.description for name, context in task.contexts.items()},
    }


def describe_config(config: MeasurementConfig, tokens: Tokens, ladder: FittedLadder) -> dict[str, object]:
    """The configuration, and the probes that `auto` fitted."""
    plain = config.to_dict() | {"max_length": tokens.max_length, "pack": tokens.pack}
    return plain | ({"fitted_probes": list(ladder.probes)} if config.probes.requested is None else {})
