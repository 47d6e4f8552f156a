"""Fit of an exponential trace with unknown embedding, decay and target lag, from states and the tokens at that lag."""

__all__ = ["TraceOptions", "fit_trace", "fit_unlabelled", "match_labels"]

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from infodil.probes.trace.em import EM, em_rounds, fit_depth
from infodil.probes.trace.initialisation import Initialisation, by_clusters, by_means
from infodil.probes.trace.model import TraceModel, mean_log_likelihood


@dataclass(frozen=True)
class TraceOptions:
    """Options of the fit of a trace."""

    initialisation: Initialisation = Initialisation()
    em: EM = EM()
    stages: tuple[tuple[int, int, int], ...] = ((1024, 2, 6), (2048, 4, 3), (4096, 3, 1))
    """Rows, EM rounds, and the number of likeliest models kept, of each stage; the true one may lead only late."""
    unlabelled_stages: tuple[tuple[int, int], ...] = ((1024, 3), (2048, 3))
    """Rows and EM rounds of each stage of the fit to states alone."""
    clear_deviations: float = 100.0
    """Standard deviations of chance between the class means from which the means alone are a safe start."""
    max_rows: int = 2**13
    """Rows of the last stage."""
    matched_rows: int = 2**12
    """Rows on which labels are compared with the types of a model fitted without them."""
    decoding_beams: int = 256
    """Sequences kept where types are decoded: dropped ones make the posterior too sure."""
    min_score: float = 1e-4
    """Mean Brier score above that of the prior below which a token counts as not decoded, and older ones neither."""
    match_errors: float = 4.0
    """Standard errors by which decoded types must score above the prior on new labels."""


def fit_trace(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int, seed: int, options: TraceOptions
) -> list[TraceModel]:
    r"""Traces that may explain states together with their tokens at an unknown lag; an empty list where none does.

    *By the class means.* They are the token vectors, faded: :math:`E[h \mid x_k] - E[h] = q^k e(x_k)`. The token has a
    share :math:`q^{2k} (1 - q^2)` of the variance of all tokens, which leaves at most two decays for each lag. Every
    such pair is a start; some EM rounds with known labels show which of them explains the states, and it is fitted on
    more rows. Where its types tell the labels better at another lag than its own, or in another order, a second model
    has these.

    *By the states alone*, where the class means are lost in their own error, or nearly: only the number of types is
    known, and the labels are matched to types and lag afterwards.

    The choice among the models is left to held-out rows.

    Args:
        states: Training rows, white: their covariance is the identity.
        labels: Class of the token of each row.
        classes: Number of classes.
        seed: The same seed selects the same rows.
        options: Options of the fit.

    Reference:
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm.
    """
    if classes < 2 or not states.shape[1]:
        return []
    order = torch.randperm(len(states), generator=torch.Generator().manual_seed(seed))
    starts, deviations = by_means(states.double(), labels, classes, options.initialisation)
    states, labels = states[order[: options.max_rows]], labels[order[: options.max_rows]]
    models = likeliest(starts, states, labels, options)
    free = models[:1]
    matched = states[: options.matched_rows], labels[: options.matched_rows]
    if deviations < options.clear_deviations:
        free = [fit_depth(model, matched[0], None, options.em) for model in models]
        free += fit_unlabelled(matched[0], classes, seed, options)
        free.sort(key=lambda model: -mean_log_likelihood(model.search(matched[0], options.em.keep)))
    match = match_labels(free[0], *matched, options) if free else None
    if match and (deviations < options.clear_deviations or match != (free[0].lag, list(range(classes)))):
        lag, order = match
        second = free[0].at_lag(lag).relabelled(order, torch.bincount(labels, minlength=classes))
        models += [second, fit_depth(second, states, labels, options.em)]
    return models


def likeliest(
    models: list[TraceModel], states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], options: TraceOptions
) -> list[TraceModel]:
    """The model that explains states and labels best after some EM rounds, fitted to the end; empty where all fail."""
    for rows, rounds, kept in options.stages:
        part = states[:rows], labels[:rows]
        models = [em_rounds(model, *part, rounds, options.em) for model in models]
        models = [model for model in models if bool(model.embedding.isfinite().all())]
        if len(models) > kept:
            depth = max(model.depth for model in models)
            # The last comparison is at one depth: a deeper model is likelier for that alone.
            compared = [model.with_depth(depth if kept == 1 else model.depth) for model in models]
            beams = [model.search(part[0], options.em.keep, part[1]) for model in compared]
            order = np.argsort([-mean_log_likelihood(beam) for beam in beams], kind="stable")
            models = [models[place] for place in order[:kept]]
    return [fit_depth(model, states, labels, options.em) for model in models]


def fit_unlabelled(
    states: Float[Tensor, "rows dim"], classes: int, seed: int, options: TraceOptions
) -> list[TraceModel]:
    """A trace fitted to states alone, for its newest token; empty where one Gaussian explains the states as well.

    The comparison charges the trace for its parameters by Schwarz's criterion (1978).
    """
    model = by_clusters(states.double(), classes, seed, options.initialisation)
    for rows, rounds in options.unlabelled_stages:
        part = states[:rows]
        model = em_rounds(model, part, None, rounds, options.em)
    gaussian = -0.5 * float((part - part.mean(0)).square().sum(1).mean())
    penalty = 0.5 * model.embedding.numel() * np.log(len(part)) / len(part)
    likelier = mean_log_likelihood(model.search(part, options.em.keep)) > gaussian + penalty
    return [fit_depth(model, states, None, options.em)] if likelier else []


def decode_lags(
    model: TraceModel, states: Float[Tensor, "rows dim"], lags: int, keep: int
) -> Iterator[Float[Tensor, "rows classes"]]:
    """Posterior of the type at lag 0, 1, and so on, each with all older tokens as noise."""
    for lag, beam in enumerate(model.with_depth(lags).beams(states, keep)):
        yield model.marginal(beam, lag)


def brier_score(posterior: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]) -> Float[Tensor, "rows"]:
    """Brier's score (1950) of a posterior, larger is better: bounded, as beams that dropped sequences are too sure."""
    return 2.0 * posterior.gather(1, labels[:, None]).squeeze(1) - posterior.square().sum(1)


def match_labels(
    model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], options: TraceOptions
) -> tuple[int, list[int]] | None:
    """The lag of the labels, and for each label the type of the model that it names; None where nothing matches.

    Types are decoded without the labels. Names are assigned on half of the rows (Kuhn 1955, the assignment problem),
    the lag is chosen on the other half.
    """
    classes, half = len(model.embedding), len(labels) // 2
    share = torch.bincount(labels, minlength=classes) / len(labels)
    prior_score = brier_score(share.expand(len(labels) - half, -1), labels[half:])
    best, match = 0.0, None
    lags = options.initialisation.max_lag + 1
    for lag, posterior in enumerate(decode_lags(model, states, lags, options.decoding_beams)):
        if float(posterior.square().sum(1).mean() - share.square().sum()) < options.min_score:
            break  # nor can older tokens be decoded
        table = torch.zeros(classes, classes)
        table.index_add_(0, labels[:half], posterior[:half] - posterior[:half].mean(0))
        order = linear_sum_assignment(table.numpy(), maximize=True)[1].tolist()
        gain = brier_score(posterior[half:][:, order], labels[half:]) - prior_score
        if float(gain.mean()) > max(best, options.match_errors * float(gain.std()) / len(gain) ** 0.5):
            best, match = float(gain.mean()), (lag, order)
    return match
