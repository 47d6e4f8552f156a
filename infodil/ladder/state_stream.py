"""A stream of states: one split encoded batch by batch, checked, observed at a precision, never held whole."""

__all__ = ["Chunk", "StateStream", "control_of", "is_control", "open_store"]

import hashlib
import math
import shutil
import tempfile
import weakref
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor
from tqdm.auto import tqdm

from infodil.corpus import Batch, Split
from infodil.encoders import Encoder, check_states
from infodil.precision import PRECISIONS, Quantizer, noise_generator
from infodil.probes import Standardizer

CONTROL = "random weights of "
"""Before the name of a site: the same site of the encoder with random weights."""

SUMMED = {"float64": 3.0, "float32": 3.0}
"""How much more a state errs than its last rounding says, where it was summed in the format it is kept in.

Measured on traces: 2.6 times in float32, against the same sums in float64. Narrower formats are summed in a wider one
and rounded once.
"""


@dataclass(frozen=True)
class Chunk:
    """The states of some positions of a split."""

    states: dict[str, Float[Tensor, "rows dim"]]
    index: Int[ndarray, "rows"]
    """Where each position's token stands in `Split.tokens`."""
    position: Int[ndarray, "rows"]
    """How many tokens of its sequence come before it."""


@dataclass
class StateStream:
    """Goes over one split as often as asked; states that are dear to make are kept on disk if there is a store.

    States come as they are observed. All splits share the observers (`quantizers`, `errors`), which are made from the
    first states that any of them meets.
    """

    encoder: Encoder
    split: Split
    batch_size: int
    device: torch.device
    precision: str
    name: str
    progress: bool
    seed: int = 0
    control: Encoder | None = None
    """The encoder with random weights, read in the same passes; its sites are named by `control_of`."""
    store: Path | None = None
    standardizers: dict[str, Standardizer] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    control_dims: dict[str, int] = field(default_factory=dict)
    quantizers: dict[str, Quantizer] = field(default_factory=dict)
    errors: dict[str, float] = field(default_factory=dict)
    """Root mean square error of a number of the observed states of each site."""

    def chunks(
        self, words: str, generator: torch.Generator | None = None, wanted: Collection[str] | None = None
    ) -> Iterator[Chunk]:
        """Every position of the split once.

        Args:
            words: Stand beside the progress bar.
            generator: Of the order of the batches.
            wanted: Sites, controls among them; all by default.
        """
        batches = self.split.batches(self.batch_size, generator=generator)
        total = self.split.number_of_batches(self.batch_size)
        for batch in tqdm(batches, words, total, leave=False, disable=not self.progress, unit="batch"):
            columns = torch.arange(batch.tokens.shape[1])
            real = columns < batch.lengths[:, None]
            index = (batch.starts[:, None] + columns)[real].numpy()
            position = columns.expand_as(real)[real].numpy()
            states = {site: self.placed(state) for site, state in self.quantized(batch, real, wanted).items()}
            yield Chunk(states, index, position)

    def placed(self, states: Tensor) -> Tensor:
        """The states where they are read; Metal has no float64."""
        return (states.float() if self.device.type == "mps" else states).to(self.device)

    def view(self, site: str, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
        """States as a reader wants them: as observed, or in the site's frame."""
        return states if raw else self.standardizers[site].apply(states.float())

    @torch.no_grad()
    def quantized(self, batch: Batch, real: Tensor, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
        """The states of a batch at the stated precision, from the store or from the encoders."""
        path = self.store / f"{self.name}-{int(batch.starts[0])}-{len(batch.starts)}" if self.store else None
        if path and path.exists():
            self.load_quantizers()
            states = load_states(path, wanted)
            self.dims |= {site: state.shape[1] for site, state in states.items() if not is_control(site)}
            return states
        # What is stored is stored for every later pass: all of it.
        states = self.encoded(batch.tokens, None if path else wanted)
        states = {site: state[real.to(state.device)] for site, state in states.items()}
        self.fit_quantizers(states)
        states = {site: self.quantize(site, state, batch.starts, batch.lengths) for site, state in states.items()}
        if path:
            save_states(path, states)
        return states if wanted is None else {site: states[site] for site in states if site in wanted}

    def encoded(self, tokens: Tensor, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
        """The states of the chosen sites `[documents, tokens, dim]`, and those of their controls where wanted."""
        states = self.encoder.encode(tokens)
        check_states(states, tuple(tokens.shape), self.dims)
        if self.control is None or not (wanted is None or any(map(is_control, wanted))):
            return states
        random = self.control.encode(tokens)
        control = {control_of(site): random[site] for site in states if site in random}
        check_states(control, tuple(tokens.shape), self.control_dims)
        return states | control

    def fit_quantizers(self, states: Mapping[str, Float[Tensor, "rows dim"]]) -> None:
        """Make an observer of each site from the first states, as they were encoded."""
        if self.quantizers:
            return
        for site, state in states.items():
            self.quantizers[site] = Quantizer.of(self.precision, state)
            self.errors[site] = typical_error(self.quantizers[site], state)
        if self.store:
            known = {site: torch.tensor(self.errors[site], dtype=torch.float64)[None] for site in states}
            known = {site: torch.cat([error, self.quantizers[site].unit]) for site, error in known.items()}
            save_states(self.store / "quantizers", known)

    def load_quantizers(self) -> None:
        """Where a run that was killed is taken up, its observers are."""
        if not self.quantizers:
            for site, known in load_states(self.store / "quantizers").items():
                self.errors[site], self.quantizers[site] = float(known[0]), Quantizer(self.precision, known[1:])

    def quantize(
        self, site: str, states: Float[Tensor, "rows dim"], starts: Int[Tensor, "sequences"], lengths: Tensor
    ) -> Float[Tensor, "rows dim"]:
        """The states of whole sequences, laid end to end, at the stated precision.

        Noise depends on the seed, the site, the split and where the sequence starts, and on nothing else: every pass in
        any order meets the same. A site and its control meet the same noise.
        """
        observer = self.quantizers[site]
        if self.precision in PRECISIONS:
            return observer.quantize(states)
        place = site.removeprefix(CONTROL)
        parts = zip(starts.tolist(), states.split(lengths.tolist()), strict=True)
        return torch.cat(
            [observer.quantize(part, noise_generator(self.seed, place, self.name, start)) for start, part in parts]
        )


def control_of(site: str) -> str:
    """The name of the same site of the encoder with random weights."""
    return CONTROL + site


def is_control(site: str) -> bool:
    """Whether this is a site of the encoder with random weights."""
    return site.startswith(CONTROL)


def typical_error(observer: Quantizer, states: Float[Tensor, "rows dim"]) -> float:
    """Root mean square error of a number of the observed states: of the observation, and of the numbers themselves."""
    native = str(states.dtype).removeprefix("torch.")
    own = SUMMED.get(native, 1.0) * root_mean_square(Quantizer.of(native, states).sigma(states))
    if observer.name == native:
        return own
    return math.hypot(own, root_mean_square(observer.sigma(states)))


def root_mean_square(errors: Float[Tensor, "dim"]) -> float:
    """Over the dims."""
    return float(errors.square().mean().sqrt())


def save_states(path: Path, states: Mapping[str, Tensor]) -> None:
    """One folder of plain arrays, renamed into place when it is whole."""
    partial = path.with_name(path.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    for number, (site, state) in enumerate(states.items()):
        np.save(partial / f"{number}.npy", state.cpu().numpy(), allow_pickle=False)
        (partial / f"{number}.txt").write_text(site, encoding="utf-8")
    shutil.rmtree(path, ignore_errors=True)
    partial.rename(path)


def load_states(path: Path, wanted: Collection[str] | None = None) -> dict[str, Tensor]:
    """What `save_states` wrote, or some of it."""
    numbers = sorted(int(name.stem) for name in path.glob("*.txt"))
    sites = {(path / f"{number}.txt").read_text(encoding="utf-8"): number for number in numbers}
    return {
        site: torch.from_numpy(np.load(path / f"{number}.npy", allow_pickle=False))
        for site, number in sites.items()
        if wanted is None or site in wanted
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
