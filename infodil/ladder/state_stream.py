"""A stream of the states of one split: encoded batch by batch, observed at a precision, never held as a whole."""

__all__ = ["Chunk", "StateStream", "fit_preprocessing"]

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

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
from infodil.processes import current
from infodil.progress import progress_bar

CHUNK_SEQUENCES = 16
"""Sequences of full length whose states come together: what probes learn from at once, whatever is encoded at once."""


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
    """Most sequences of full length that are encoded at once; which states come together does not depend on it."""
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
        total = self.split.number_of_batches(CHUNK_SEQUENCES)
        with progress_bar(words=message, shown=self.progress, total=total, unit="batch") as bar:
            for batches in self.together(self.split.batches(CHUNK_SEQUENCES, generator=generator)):
                for batch, observed in zip(batches, self.observed(batches, wanted), strict=True):
                    bar.update()
                    states = {site: on_device(state, self.device) for site, state in observed.items()}
                    yield Chunk(states, *places(batch))

    def together(self, batches: Iterator[Batch]) -> Iterator[list[Batch]]:
        """Batches that are encoded at once: as many as `batch_size` allows, and one at least."""
        held: list[Batch] = []
        for batch in batches:
            if held and sum(each.tokens.numel() for each in (*held, batch)) > self.batch_size * self.split.max_length:
                yield held
                held = []
            held.append(batch)
        if held:
            yield held

    def view(self, site: str, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
        """States as a probe takes them: as observed (`raw`), or standardized."""
        return view_states(self.preprocessing[site].standardizer, states, raw)

    def observed(
        self, batches: Sequence[Batch], wanted: Collection[str] | None = None
    ) -> Iterator[dict[str, Float[Tensor, "rows dim"]]]:
        """The states of some batches at the stated precision, from the store or from the encoders."""
        kept = [load_states(path, wanted) if (path := self.place(batch)) else None for batch in batches]
        # Processes encode together: what one of them lacks all of them make anew.
        known = current().all([states is not None for states in kept])
        kept = [states if everywhere else None for states, everywhere in zip(kept, known, strict=True)]
        missing = [batch for batch, states in zip(batches, kept, strict=True) if states is None]
        # What is stored serves every later pass: all sites are.
        room = self.batch_size * self.split.max_length
        encoded = iter(encode_rows(self.sites, missing, room, None if self.store else wanted))
        for batch, stored in zip(batches, kept, strict=True):
            if stored is not None:
                yield stored
                continue
            place = NoisePlace(self.seed, self.name, batch.starts, batch.lengths)
            states = {site: self.preprocessing[site].quantize(state, place) for site, state in next(encoded).items()}
            if self.store and current().keeps_files:
                save_states(self.place(batch), states)
            yield states if wanted is None else {site: states[site] for site in states if site in wanted}

    def place(self, batch: Batch) -> Path | None:
        """Folder of the states of a batch; None where none are kept."""
        return self.store / f"{self.name}-{int(batch.starts[0])}-{len(batch.starts)}" if self.store else None

    def sequence(self, number: int) -> dict[str, Float[Tensor, "rows dim"]]:
        """The states of one sequence of the split, observed as in every pass."""
        start, length = int(self.split.starts[number]), int(self.split.lengths[number])
        tokens = torch.from_numpy(self.split.tokens[start : start + length].astype(np.int64))
        place = NoisePlace(self.seed, self.name, torch.tensor([start]), torch.tensor([length]))
        encoded = self.sites.encode(tokens[None], list(self.sites.dims))
        observed = {site: self.preprocessing[site].quantize(state[0], place) for site, state in encoded.items()}
        return {site: on_device(state, self.device) for site, state in observed.items()}


def places(batch: Batch) -> tuple[Int[ndarray, "rows"], Int[ndarray, "rows"]]:
    """Where each token of a batch stands in the split, and how many tokens of its sequence come before it."""
    columns = torch.arange(batch.tokens.shape[1])
    real = columns < batch.lengths[:, None]
    return (batch.starts[:, None] + columns)[real].numpy(), columns.expand_as(real)[real].numpy()


def encode_rows(
    sites: MeasuredSites, batches: Sequence[Batch], room: int, wanted: Collection[str] | None = None
) -> list[dict[str, Float[Tensor, "rows dim"]]]:
    """States of the tokens of each batch as they were encoded, without those of padding.

    Each of several processes encodes some of the sequences, and all of them are given the states of all.

    Args:
        sites: What is encoded.
        batches: Sequences, longest first within each batch.
        room: Most tokens that are encoded at once, padding included; one sequence at least.
        wanted: Sites, controls among them; all by default.
    """
    rows = [(row[:length], int(length)) for b in batches for row, length in zip(b.tokens, b.lengths, strict=True)]
    encoded = current().gather_states(
        [length for _, length in rows], lambda part: encode_sequences(sites, rows[part], room, wanted)
    )
    found, first = [], 0
    for batch in batches:
        of_batch = encoded[first : first + len(batch.lengths)]
        found.append({site: torch.cat([states[site] for states in of_batch]) for site in of_batch[0]})
        first += len(batch.lengths)
    return found


def encode_sequences(
    sites: MeasuredSites, rows: Sequence[tuple[Int[Tensor, "_"], int]], room: int, wanted: Collection[str] | None
) -> list[dict[str, Float[Tensor, "_ _"]]]:
    """States of each sequence, as many at once as there is room for."""
    encoded: list[dict[str, Tensor]] = []
    while len(encoded) < len(rows):
        longest, count = 0, 0
        for _, length in rows[len(encoded) :]:
            longest = max(longest, length)
            if count and longest * (count + 1) > room:
                break
            count += 1
        some = rows[len(encoded) : len(encoded) + count]
        states = sites.encode(pad_sequence([row for row, _ in some], batch_first=True), wanted)
        encoded += [
            {site: state[number, :length] for site, state in states.items()} for number, (_, length) in enumerate(some)
        ]
    return encoded


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
        batch_size: Most sequences of full length that are encoded at once.
        device: Device on which probes read the states.
        seed: Seed of added noise.
        store: Folder of an earlier run that is resumed, or of this one.
        name: Name of the split.

    Returns:
        What was fitted, by site, controls among them.
    """
    path = store / "preprocessing" if store else None
    kept = load_preprocessing(path, precision, device) if path else None
    if current().all([kept is not None])[0]:
        return kept
    batch = next(split.batches(CHUNK_SEQUENCES))
    place = NoisePlace(seed, name, batch.starts, batch.lengths)
    fitted = {
        site: SitePreprocessing.fit(site_of(site), states, precision, place, device)
        for site, states in encode_rows(sites, [batch], batch_size * split.max_length)[0].items()
    }
    if path and current().keeps_files:
        save_preprocessing(path, fitted)
    return fitted
