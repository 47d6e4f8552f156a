"""A stream of the states of one split: encoded batch by batch, observed at a precision, never held as a whole."""

__all__ = ["Chunk", "StateStream", "fit_preprocessing"]

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.corpus import Batch, Split
from infodil.ladder.preprocessing import (
    NoisePlace,
    SitePreprocessing,
    load_preprocessing,
    on_device,
    save_preprocessing,
    view_states,
)
from infodil.ladder.sites import MeasuredSites, site_of
from infodil.ladder.state_store import load_states, save_states


@dataclass(frozen=True, eq=False)
class Chunk:
    """The states of some positions of a split."""

    states: dict[str, Float[Tensor, "rows dim"]]
    index: Int[ndarray, "rows"]
    """Place of each position's token in `Split.tokens`."""
    position: Int[ndarray, "rows"]
    """Number of tokens of the same sequence before each."""


@dataclass(frozen=True, eq=False)
class StateStream:
    """The states of one split at the stated precision, in as many passes as wanted."""

    sites: MeasuredSites
    split: Split
    preprocessing: Mapping[str, SitePreprocessing]
    """By site, controls among them."""
    name: str
    """Name of the split."""
    batch_size: int
    device: torch.device
    seed: int = 0
    progress: bool = False
    store: Path | None = None
    """Folder that states are kept in; None to encode them anew in every pass."""

    def chunks(
        self, message: str, generator: torch.Generator | None = None, wanted: Collection[str] | None = None
    ) -> Iterator[Chunk]:
        """Every position of the split once.

        Args:
            message: Words beside the progress bar.
            generator: Source of a random order of the batches; without it they come in the order of the text.
            wanted: Sites, controls among them; all by default.
        """
        batches = self.split.batches(self.batch_size, generator=generator)
        total = self.split.number_of_batches(self.batch_size)
        for batch in tqdm(batches, message, total, leave=False, disable=not self.progress, unit="batch"):
            real, index, position = places(batch)
            observed = self.observed(batch, real, wanted)
            yield Chunk({site: on_device(state, self.device) for site, state in observed.items()}, index, position)

    def view(self, site: str, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
        """States as a probe takes them: as observed (`raw`), or standardized."""
        return view_states(self.preprocessing[site].standardizer, states, raw)

    def observed(
        self, batch: Batch, real: Bool[Tensor, "documents tokens"], wanted: Collection[str] | None = None
    ) -> dict[str, Float[Tensor, "rows dim"]]:
        """The states of a batch at the stated precision, from the store or from the encoders."""
        path = self.store / f"{self.name}-{int(batch.starts[0])}-{len(batch.starts)}" if self.store else None
        kept = load_states(path, wanted) if path else None
        if kept is not None:
            return kept
        # What is stored serves every later pass: all sites are.
        states = encode_rows(self.sites, batch, real, None if path else wanted)
        place = NoisePlace(self.seed, self.name, batch.starts, batch.lengths)
        states = {site: self.preprocessing[site].quantize(state, place) for site, state in states.items()}
        if path:
            save_states(path, states)
        return states if wanted is None else {site: states[site] for site in states if site in wanted}

    def sequence(self, number: int) -> dict[str, Float[Tensor, "rows dim"]]:
        """The states of one sequence of the split, observed as in every pass."""
        start, length = int(self.split.starts[number]), int(self.split.lengths[number])
        tokens = torch.from_numpy(self.split.tokens[start : start + length].astype(np.int64))
        place = NoisePlace(self.seed, self.name, torch.tensor([start]), torch.tensor([length]))
        encoded = self.sites.encode(tokens[None], list(self.sites.dims))
        observed = {site: self.preprocessing[site].quantize(state[0], place) for site, state in encoded.items()}
        return {site: on_device(state, self.device) for site, state in observed.items()}


def places(batch: Batch) -> tuple[Bool[Tensor, "documents tokens"], Int[ndarray, "rows"], Int[ndarray, "rows"]]:
    """Which entries of a batch are tokens, where each stands in the split, and how many tokens come before it."""
    columns = torch.arange(batch.tokens.shape[1])
    real = columns < batch.lengths[:, None]
    return real, (batch.starts[:, None] + columns)[real].numpy(), columns.expand_as(real)[real].numpy()


def encode_rows(
    sites: MeasuredSites, batch: Batch, real: Bool[Tensor, "documents tokens"], wanted: Collection[str] | None = None
) -> dict[str, Float[Tensor, "rows dim"]]:
    """States of the tokens of a batch as they were encoded, without those of padding."""
    return {site: state[real.to(state.device)] for site, state in sites.encode(batch.tokens, wanted).items()}


def fit_preprocessing(
    sites: MeasuredSites,
    split: Split,
    *,
    precision: str,
    batch_size: int,
    device: torch.device,
    seed: int = 0,
    store: Path | None = None,
    name: str = "train",
) -> dict[str, SitePreprocessing]:
    """Quantizer and standardizer of each site, fitted to the first batch of a split or taken from the store.

    Args:
        sites: What is encoded.
        split: Text whose first batch is encoded.
        precision: Precision at which states are observed.
        batch_size: Sequences of full length in a batch.
        device: Device on which probes read the states.
        seed: Seed of added noise.
        store: Folder of an earlier run that is resumed, or of this one.
        name: Name of the split.

    Returns:
        What was fitted, by site, controls among them.
    """
    path = store / "preprocessing" if store else None
    kept = load_preprocessing(path, precision, device) if path else None
    if kept is not None:
        return kept
    batch = next(split.batches(batch_size))
    real, _, _ = places(batch)
    place = NoisePlace(seed, name, batch.starts, batch.lengths)
    fitted = {
        site: SitePreprocessing.fit(site_of(site), states, precision, place, device)
        for site, states in encode_rows(sites, batch, real).items()
    }
    if path:
        save_preprocessing(path, fitted)
    return fitted
