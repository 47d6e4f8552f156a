"""The observation of one site: states at the stated precision, then shifted and scaled to about one."""

__all__ = [
    "NoisePlace",
    "SitePreprocessing",
    "load_preprocessing",
    "on_device",
    "save_preprocessing",
    "typical_error",
    "view_states",
    "widest",
]

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from infodil.ladder.sites import site_of
from infodil.ladder.state_store import load_states, save_states
from infodil.precision import PRECISIONS, Quantizer, noise_generator
from infodil.probes import Standardizer

ACCUMULATED_ERROR = {"float64": 3.0, "float32": 3.0}
"""Ratio of the error of a sum to that of its last rounding, for states summed in the format they are kept in.

Measured on traces: 2.6 in float32, against the same sums in float64. Narrower formats are summed in a wider one and
rounded once.
"""


@dataclass(frozen=True)
class NoisePlace:
    """The place of a batch of sequences, which the noise of a precision depends on, and on nothing else but the seed.

    Every pass, in any order, meets the same noise.
    """

    seed: int
    split: str
    starts: Int[Tensor, "sequences"]
    lengths: Int[Tensor, "sequences"]


@dataclass(frozen=True, eq=False)
class SitePreprocessing:
    """Quantizer and standardizer of one site, fitted to its first states and fixed from then on."""

    site: str
    """Name of the site; a random-weights control has the name of its site, so that both meet the same noise."""
    quantizer: Quantizer
    error: float
    """Root mean square error of a number of the observed states."""
    standardizer: Standardizer

    @classmethod
    def fit(
        cls,
        site: str,
        states: Float[Tensor, "rows dim"],
        precision: str,
        place: NoisePlace,
        device: torch.device,
    ) -> "SitePreprocessing":
        """Fit the quantizer to states as they were encoded, and the standardizer to the same states as observed.

        Args:
            site: Name that the noise is drawn for.
            states: First states of the site.
            precision: Precision at which states are observed.
            place: Place of these states in the corpus.
            device: Device on which probes read the states.
        """
        quantizer = Quantizer.of(precision, states)
        observed = on_device(quantize(quantizer, site, states, place), device)
        return cls(site, quantizer, typical_error(quantizer, states), Standardizer.of(widest(observed)))

    def quantize(self, states: Float[Tensor, "rows dim"], place: NoisePlace) -> Float[Tensor, "rows dim"]:
        """The states of whole sequences, end to end, at the stated precision."""
        return quantize(self.quantizer, self.site, states, place)


def quantize(
    quantizer: Quantizer, site: str, states: Float[Tensor, "rows dim"], place: NoisePlace
) -> Float[Tensor, "rows dim"]:
    """Round the states, or add the noise of each sequence."""
    if quantizer.name in PRECISIONS:
        return quantizer.quantize(states)
    sequences = zip(place.starts.tolist(), states.split(place.lengths.tolist()), strict=True)
    return torch.cat(
        [
            quantizer.quantize(sequence, noise_generator(place.seed, site, place.split, start))
            for start, sequence in sequences
        ]
    )


def view_states(standardizer: Standardizer, states: Float[Tensor, "rows dim"], raw: bool) -> Float[Tensor, "rows dim"]:
    """States as a probe takes them: as observed (`raw`), or standardized, in float32."""
    return states if raw else standardizer.apply(widest(states)).float()


def widest(states: Float[Tensor, "*shape"]) -> Float[Tensor, "*shape"]:
    """float64 states as they are, others in float32: the difference to a large mean is taken before rounding."""
    return states if states.dtype == torch.float64 else states.float()


def on_device(states: Tensor, device: torch.device) -> Tensor:
    """The states on the device of the probes; Metal has no float64."""
    return (states.float() if device.type == "mps" else states).to(device)


def typical_error(quantizer: Quantizer, states: Float[Tensor, "rows dim"]) -> float:
    """Root mean square error of a number of the observed states: that of the precision and that of the encoder."""
    native = str(states.dtype).removeprefix("torch.")
    encoder_error = ACCUMULATED_ERROR.get(native, 1.0) * root_mean_square(Quantizer.of(native, states).sigma(states))
    if quantizer.name == native:
        return encoder_error
    return math.hypot(encoder_error, root_mean_square(quantizer.sigma(states)))


def root_mean_square(errors: Float[Tensor, "dim"]) -> float:
    """Root of the mean square over dims."""
    return float(errors.square().mean().sqrt())


def save_preprocessing(path: Path, sites: Mapping[str, SitePreprocessing]) -> None:
    """Write what was fitted, so that a resumed run observes states alike."""
    arrays = {}
    for name, site in sites.items():
        arrays |= {
            f"error:{name}": torch.tensor([site.error], dtype=torch.float64),
            f"unit:{name}": site.quantizer.unit,
            f"shift:{name}": site.standardizer.shift,
            f"scale:{name}": site.standardizer.scale,
        }
    save_states(path, arrays)


def load_preprocessing(path: Path, precision: str, device: torch.device) -> dict[str, SitePreprocessing] | None:
    """What `save_preprocessing` wrote; None where there is nothing or it is damaged."""
    arrays = load_states(path)
    if arrays is None:
        return None
    sites: dict[str, dict[str, Tensor]] = {}
    for key, array in arrays.items():
        part, _, name = key.partition(":")
        sites.setdefault(name, {})[part] = array
    return {
        name: SitePreprocessing(
            site_of(name),
            Quantizer(precision, parts["unit"]),
            float(parts["error"][0]),
            Standardizer(parts["shift"].to(device), parts["scale"].to(device)),
        )
        for name, parts in sites.items()
    }
