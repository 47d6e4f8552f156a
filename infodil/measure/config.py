"""The configuration of a measurement: everything that its figures depend on besides model and corpus."""

__all__ = ["MeasurementConfig"]

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from infodil.measure.contexts import ContextChoice, describe_context
from infodil.probes import ProbeChoice, control_probe


@dataclass(frozen=True)
class MeasurementConfig:
    """The checked arguments of `recoverability`."""

    lags: tuple[int, ...]
    sites: tuple[str | int, ...] | None
    """Names, patterns or numbers of sites; None for all that the model offers."""
    probes: ProbeChoice
    precision: str
    max_tokens: int | None
    batch_size: int
    seed: int
    confidence: float
    controls: bool
    by: str | Mapping[int | str, str] | None
    """Kinds of hidden token that rows are split by, by name or as a mapping from type to a name; None for none."""
    sketch_dims: int | None
    """Numbers of the sketch of wider states; None for all states whole."""
    context: ContextChoice
    """What predicts tokens without the state: the n-gram alone, or a second model beside it."""
    options: Mapping[str, object]
    """Options of a model made from its name."""

    @property
    def follows_learning(self) -> bool:
        """Whether learning curves are measured: among the controls, where the probe that tells its own is reported."""
        return self.controls and self.probes.wants(control_probe())

    def to_dict(self) -> dict[str, Any]:
        """Plain values, as a report keeps them."""
        plain = {field.name: getattr(self, field.name) for field in fields(self)}
        return plain | {
            "lags": list(self.lags),
            "sites": None if self.sites is None else list(self.sites),
            **self.probes.record(),
            "by": {str(key): name for key, name in self.by.items()} if isinstance(self.by, Mapping) else self.by,
            "context": describe_context(self.context),
            "options": dict(self.options),
        }
