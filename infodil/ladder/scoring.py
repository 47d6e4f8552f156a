"""The prediction of a fitted probe for some rows: log-probability of the true token, and its rank."""

__all__ = ["RowScores", "control_log_probs", "log_probs", "score_rows"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jaxtyping import Float, Int
from torch import Tensor

from infodil.ladder.fit import FittedProbe
from infodil.probes import ClassMap, log_predictive, mix_with_prior, predictive_logits


@dataclass(frozen=True, eq=False)
class RowScores:
    """Predictions for some rows of one target."""

    log_prob: Float[Tensor, "rows"]
    """Log-probability of the true class, or of the true type by a probe that names types, nats."""
    given_context: dict[str, Float[Tensor, "rows"]]
    """Log-probability of the true class given state and context, by context model."""
    greater: Float[Tensor, "rows"]
    """Number of types that are likelier than the true one."""
    equal: Float[Tensor, "rows"]
    """Number of types that are as likely, the true one included."""

    def hits(self, guesses: int) -> Float[Tensor, "rows"]:
        """Chance that the true type is among so many guesses; types that are as likely share those that remain."""
        return ((guesses - self.greater) / self.equal).clamp(0.0, 1.0)


def score_rows(
    fitted: FittedProbe,
    prepared: Any,
    target: int,
    types: Int[Tensor, "rows"],
    classes: ClassMap,
    contexts: Mapping[str, Float[Tensor, "rows classes"]] | None = None,
) -> RowScores:
    """Scores of some rows at one lag.

    Args:
        fitted: The probe.
        prepared: `fit.prepare(states)` of the rows.
        target: Number of the lag among the targets, from 1.
        types: The true types.
        classes: What the probe tells apart.
        contexts: Log-probability of each class given the tokens after the hidden one, by context model.

    Returns:
        Log-probabilities and ranks of the true types.
    """
    fit, smoothing, label = fitted.fit, fitted.smoothings[target], classes.of_type[types]
    scores, temperature, prior = fit.scores(prepared, target), fit.temperatures[target], classes.class_log_prior
    relative = scores - scores.amax(1, keepdim=True) if contexts else scores
    beside = {
        name: log_predictive(context, relative, fitted.given_context[target][name], smoothing, label)
        for name, context in (contexts or {}).items()
    }
    if fitted.probe.names_types:
        log, greater, equal = fit.answer(prepared, target, types)
        log = mix_with_prior(log, classes.log_prior[types], smoothing) if temperature else log
    else:
        log = log_predictive(prior, scores, temperature, smoothing, label)
        greater, equal = classes.ranks(predictive_logits(prior, scores, temperature), types)
    return RowScores(log, beside, greater, equal)


def log_probs(
    fitted: FittedProbe, prepared: Any, target: int, types: Int[Tensor, "rows"], classes: ClassMap
) -> Float[Tensor, "rows"]:
    """Log-probability of the true class under a probe, nats, float64."""
    scores, smoothing = fitted.fit.scores(prepared, target), fitted.smoothings[target]
    prior, label = classes.class_log_prior, classes.of_type[types]
    return log_predictive(prior, scores, fitted.fit.temperatures[target], smoothing, label)


def control_log_probs(
    fitted: FittedProbe, prepared: Any, types: Int[Tensor, "rows"], classes: ClassMap
) -> Float[Tensor, "rows"]:
    """Log-probability of the token of a shuffled document; the prior's by a probe that names types.

    Args:
        fitted: The probe.
        prepared: `fit.prepare(states)` of the rows.
        types: The true types.
        classes: What the probe tells apart.

    Returns:
        Nats, one a row.
    """
    if fitted.probe.names_types:
        return classes.log_prior[types]
    return log_probs(fitted, prepared, 0, types, classes)
