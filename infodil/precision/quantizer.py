"""The quantizer of one site: it rounds the states, or adds noise, and knows how large the error is."""

import hashlib
import math
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from infodil.checks import UserError
from infodil.precision.formats import FORMATS, check_floating, check_precision, decibels_of, round_to, spacing_of, widen

__all__ = ["Quantizer", "noise_generator"]

INT8_LARGEST = 127
"""Largest number of steps that int8 holds either way of zero."""

INT8_HEADROOM = 1.25
"""Range of int8 as a multiple of the largest magnitude met.

One saturated number costs more than all numbers rounded a little coarser. A quarter more range is 0.3 of the 8 bits; a
Gaussian channel whose largest of 1,000 numbers was met then saturates about once in 300,000.
"""

FLOAT8_HEADROOM = 2.0
"""Range of float8 as a multiple of the largest magnitude met.

A float keeps its relative error in every binade, so headroom costs only the numbers nearest to zero.
"""


def noise_generator(seed: int, *place: int | str) -> torch.Generator:
    """Generator of the noise at one place: the same for the same seed and place, in any order of visits.

    Args:
        seed: Seed of the whole run.
        place: Whatever names the place, such as a site and where a document starts in the corpus.

    Returns:
        A generator on the CPU.

    Example:
        >>> first, again = (torch.randn(1, generator=noise_generator(0, "layer.1", 4096)) for _ in range(2))
        >>> bool(first == again)
        True
    """
    digest = hashlib.sha256(repr((seed, *place)).encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:4], "big"))  # torch's CPU generator takes 32 bits


@dataclass(frozen=True)
class Quantizer:
    """Quantizer of the states of one site at a stated precision, fitted to the first of them.

    - Floats are rounded to nearest, ties to even. What is too large saturates at the largest finite number.
    - float8 has one scale for the site, a power of two so that scaling itself rounds nothing: the largest magnitude
      met, doubled for headroom, fits the format. That is the per-tensor scaling and the saturation of Micikevicius et
      al. (2022, FP8 formats for deep learning, arXiv 2209.05433), with the `margin` of 1 of NVIDIA Transformer Engine.
    - int8 has one step for each channel: 127 steps are the largest magnitude met there and a quarter more. Symmetric,
      -127 to 127, as in Wu et al. (2020, Integer quantization for deep learning inference, arXiv 2004.09602). A channel
      that was zero throughout gets the largest step of the site.
    - `snr=<number>dB` adds Gaussian noise of one sigma for the whole site: its power is the variance of the states
      over rows, averaged over dims, divided by `10 ** (dB / 10)`.

    Example:
        >>> states = torch.tensor([[1.0, -2.0], [1.01, 0.5]])
        >>> Quantizer.of("bfloat16", states).quantize(states)[1].tolist()
        [1.0078125, 0.5]
    """

    name: str
    unit: Float[Tensor, "dim"]
    """What 1 stands for in each dim: the step of int8, the scale of float8, the sigma of noise; else it is 1."""

    @classmethod
    def of(cls, name: str, states: Float[Tensor, "rows dim"]) -> "Quantizer":
        """Quantizer fitted to some first states; the more rows, the less saturates later.

        Args:
            name: Precision, one of `PRECISIONS` or `snr=<number>dB`.
            states: First states of the site, all finite.

        Returns:
            The quantizer.

        Raises:
            UserError: The precision is unknown, or the states are empty, not floating, not `[rows, dim]` or not finite.
        """
        check_precision(name)
        check_floating(states)
        if states.dim() != 2 or states.numel() == 0:
            raise UserError(f"`states` must be [rows, dim] and not empty, got shape {list(states.shape)}: pass some.")
        wide = widen(states).cpu()
        if not wide.isfinite().all():
            raise UserError("`states` must be finite, got inf or nan: mend the encoder that made them.")
        peak, unit = wide.abs().amax(0), torch.ones(wide.shape[1], dtype=torch.float64)
        decibels = decibels_of(name)
        if decibels is not None:
            unit *= math.sqrt(float(wide.var(0, correction=0).mean())) * 10 ** (-decibels / 20)
        elif name == "int8":
            peak = torch.where(peak > 0, peak, peak.max() if peak.any() else 1.0)
            # Kept where 127 steps do not overflow float32 and one step is a normal number; rounded to float32, so that
            # float32 and float64 states meet the same steps.
            unit = (peak * INT8_HEADROOM).clamp(1e-35, 0.999 * FORMATS["float32"].largest) / INT8_LARGEST
            unit = unit.float().double()
        elif name.startswith("float8") and peak.any():
            largest = FORMATS[name].largest
            _, exponent = math.frexp(FLOAT8_HEADROOM * float(peak.max()) / largest)
            unit *= 2.0 ** min(max(exponent, -126), 128 - math.frexp(largest)[1])
        return cls(name, unit if states.device.type == "mps" else unit.to(states.device))

    def quantize(
        self, states: Float[Tensor, "*batch dim"], generator: torch.Generator | None = None
    ) -> Float[Tensor, "*batch dim"]:
        """The states as seen at this precision.

        Args:
            states: Any floating dtype; float64 is rounded once, not by way of float32.
            generator: Generator of the noise, such as `noise_generator` gives; it draws a number for each element, on
                its own device.

        Returns:
            float32 that holds the rounded numbers; float64 only where the precision and `states` both are.

        Raises:
            UserError: The states have another dim or are not floating, or noise is to be added and there is no
                generator.
        """
        self._check(states)
        if self.name == "float64":
            return states if states.dtype == torch.float64 else states.float()
        wide = states if states.dtype == torch.float64 else states.float()
        unit = self.unit.to(wide.dtype).to(wide.device)
        if self.name == "int8":
            return ((wide / unit).round().clamp(-INT8_LARGEST, INT8_LARGEST) * unit).float()
        if self.name in FORMATS:
            return round_to(wide / unit, FORMATS[self.name]) * unit.float()
        if generator is None:
            raise UserError(
                f"`generator` must be a torch.Generator for precision {self.name!r}, got None: "
                "pass noise_generator(seed, site, position)."
            )
        noise = torch.randn(wide.shape, generator=generator, device=generator.device)
        return round_to(wide + unit * noise.to(wide.device), FORMATS["float32"])

    def errors(self, states: Float[Tensor, "*batch dim"]) -> Float[Tensor, "*batch dim"]:
        r"""Root-mean-square error of each observed number, as modelled, in the unit of the states; float64.

        .. math:: \Delta(h) / \sqrt{12}, \qquad \Delta(h) = 2^{\max(\lfloor \log_2 |h| \rfloor,\, e_{min}) - (p - 1)}

        for a float of p significant bits and least exponent e_min (scaled by the site's scale in float8), the step of
        int8 in place of its spacing, sigma for noise (with the float32 it is returned in); where a number saturates,
        what is cut off is added in quadrature. Exact zeros and numbers below half the least spacing err by less than
        this. For float32 and float64 it is the last rounding only: states that were computed in that format carry the
        roundings of their sums as well, which no one can tell from the numbers.

        Args:
            states: Exact or quantised states: the spacing is the same, but for those rounded up to a power of two.

        Returns:
            An error for each number.
        """
        self._check(states)
        wide = widen(states)
        unit = self.unit.to(wide.device)
        if self.name == "int8":
            spacing, limit = unit.expand_as(wide), INT8_LARGEST * unit
        elif self.name in FORMATS:
            spacing, limit = spacing_of(wide / unit, FORMATS[self.name]) * unit, FORMATS[self.name].largest * unit
        else:
            return torch.hypot(unit, spacing_of(wide, FORMATS["float32"]) / math.sqrt(12))
        return torch.hypot(spacing / math.sqrt(12), (wide.abs() - limit).clamp(min=0))

    def sigma(self, states: Float[Tensor, "rows dim"]) -> Float[Tensor, "dim"]:
        """Root mean square of `errors` over the rows, one for each dim: the observation as additive noise; float64.

        Args:
            states: Exact or quantised states.

        Returns:
            An error for each dim, in the unit of the states.
        """
        return self.errors(states).square().mean(0).sqrt()

    def _check(self, states: Tensor) -> None:
        check_floating(states)
        if states.dim() == 0 or states.shape[-1] != len(self.unit):
            raise UserError(
                f"`states` must have {len(self.unit)} dims as those the quantizer was made from, got shape "
                f"{list(states.shape)}: make one Quantizer for each site."
            )
