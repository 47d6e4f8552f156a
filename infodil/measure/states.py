"""A stream of states: one split encoded batch by batch, checked, observed at a precision, never held whole."""

__all__ = ["PRECISIONS", "Chunk", "Frame", "StateStream", "open_store"]

import hashlib
import shutil
import tempfile
import weakref
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.corpus import Batch, Split
from infodil.encoders import Encoder, check_states, choose_sites

PRECISIONS = {
    "float64": torch.float64,
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
}
"""What a state is rounded to before anyone reads it. Readers compute in float32 whatever the precision."""


@dataclass(frozen=True)
class Chunk:
    """The states of some positions of a split."""

    states: dict[str, Float[Tensor, "rows dim"]]
    index: Int[ndarray, "rows"]
    """Where each position's token stands in `Split.tokens`."""
    position: Int[ndarray, "rows"]
    """How many tokens of its sequence come before it."""


@dataclass(frozen=True)
class Frame:
    """A fixed shift and scale for each dim, so that float32 sums neither cancel nor overflow."""

    shift: Float[Tensor, "dim"]
    scale: Float[Tensor, "dim"]

    @classmethod
    def of(cls, states: Float[Tensor, "rows dim"]) -> "Frame":
        """Mean and standard deviation of some states; an invertible map, so it changes no information."""
        spread = states.std(0, correction=0)
        largest = float(spread.max())
        return cls(states.mean(0), spread.clamp(min=1e-5 * largest) if largest > 0 else torch.ones_like(spread))

    def apply(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "rows dim"]:
        """The states in this frame."""
        return (states - self.shift) * self.scale.reciprocal()


@dataclass
class StateStream:
    """Goes over one split as often as asked; states that are dear to make are kept on disk if there is a store."""

    encoder: Encoder
    split: Split
    sites: object
    batch_size: int
    device: torch.device
    precision: str
    name: str
    progress: bool
    store: Path | None = None
    frames: dict[str, Frame] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)

    def chunks(self, words: str, generator: torch.Generator | None = None) -> Iterator[Chunk]:
        """Every position of the split once; `words` stand beside the progress bar."""
        batches = self.split.batches(self.batch_size, generator=generator)
        total = self.split.number_of_batches(self.batch_size)
        for batch in tqdm(batches, words, total, leave=False, disable=not self.progress, unit="batch"):
            columns = torch.arange(batch.tokens.shape[1])
            real = columns < batch.lengths[:, None]
            index = (batch.starts[:, None] + columns)[real].numpy()
            position = columns.expand_as(real)[real].numpy()
            states = {site: state.to(self.device) for site, state in self.observed(batch, real).items()}
            yield Chunk(states, index, position)

    def view(self, site: str, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
        """States as a reader wants them: as observed, or in the site's frame."""
        return states if raw else self.frames[site].apply(states.float())

    @torch.no_grad()
    def observed(self, batch: Batch, real: Tensor) -> dict[str, Tensor]:
        """The states of a batch at the stated precision, from the store or from the encoder."""
        path = self.store / f"{self.name}-{int(batch.starts[0])}-{len(batch.starts)}" if self.store else None
        if path and path.exists():
            states = load_states(path)
            self.dims |= {site: state.shape[1] for site, state in states.items()}
            return states
        encoded = self.encoder.encode(batch.tokens)
        chosen = {site: encoded[site] for site in choose_sites(self.sites, list(encoded))}
        check_states(chosen, tuple(batch.tokens.shape), self.dims)
        states = {site: self.observe(state[real.to(state.device)]) for site, state in chosen.items()}
        if path:
            save_states(path, states)
        return states

    def observe(self, states: Tensor) -> Tensor:
        """The states rounded to the stated precision."""
        return states.to(PRECISIONS[self.precision]).float()


def save_states(path: Path, states: dict[str, Tensor]) -> None:
    """One folder of plain arrays, renamed into place when it is whole."""
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, (site, state) in enumerate(states.items()):
        np.save(partial / f"{number}.npy", state.cpu().numpy(), allow_pickle=False)
        (partial / f"{number}.txt").write_text(site, encoding="utf-8")
    partial.rename(path)


def load_states(path: Path) -> dict[str, Tensor]:
    """What `save_states` wrote."""
    numbers = sorted(int(name.stem) for name in path.glob("*.txt"))
    return {
        (path / f"{number}.txt").read_text(encoding="utf-8"): torch.from_numpy(
            np.load(path / f"{number}.npy", allow_pickle=False)
        )
        for number in numbers
    }


def open_store(
    owner: object, cache_dir: str | Path | None, key: str | None, needed_bytes: int, costly: bool
) -> Path | None:
    """Where the states of a costly encoder are kept between passes.

    In `cache_dir` they stay, named by `key`, and a run that was killed takes up where it stopped; without it they go
    to a temporary folder that is removed with `owner`, if the disk has room to spare.
    """
    if not costly:
        return None
    if cache_dir is not None and key is not None:
        store = Path(cache_dir) / hashlib.sha256(key.encode()).hexdigest()[:24]
        store.mkdir(parents=True, exist_ok=True)
        return store
    temporary = Path(tempfile.gettempdir())
    if needed_bytes > shutil.disk_usage(temporary).free // 2:
        return None
    store = Path(tempfile.mkdtemp(prefix="infodil-states-"))
    weakref.finalize(owner, shutil.rmtree, store, ignore_errors=True)
    return store
