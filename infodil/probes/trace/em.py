"""The fit of an exponential trace whose code nobody told, from states and the tokens at a lag that nobody told."""

__all__ = ["fit_trace", "named", "settled", "unlabelled"]

from collections.abc import Iterator

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from infodil.probes.trace.initialisation import MOST_LAG, by_clusters, by_means
from infodil.probes.trace.model import TraceModel, likelihood

STAGES = ((1024, 2, 6), (2048, 4, 3), (4096, 3, 1))
"""Rows, rounds, and how many of the models go on that are likeliest then; the true one may be slow to show itself."""

UNLABELLED = ((1024, 3), (2048, 3))
"""Rows and rounds of the fit to states alone, before more tokens are named."""

CLEAR = 100.0
"""Standard deviations of chance by which the means of the types differ where they alone are a safe beginning."""

KEEP = 32
"""Sequences kept for each state while a model is fitted."""

KEEP_MORE = 8 * KEEP
"""The same where tokens are read, so that none is all too sure."""

MOST_ROUNDS = 20
BETTER = 2e-3
"""Nats a state by which it must be explained better for another round, or for one more named token."""

ROWS, JUDGED = 2**13, 2**12
"""States that the last rounds look at; states on which labels are held against what is read without them."""

LITTLE = 1e-4
"""Expected score (Brier's, less what shares have) of a token that is as good as not read."""

SURE = 4.0
"""Standard errors by which names must tell more of new labels than their shares do."""


def fit_trace(
    states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"], classes: int, seed: int
) -> list[TraceModel]:
    r"""The traces that may explain states together with their tokens at a lag that nobody told; none if there is none.

    *By the means*: the mean states of the types are their vectors, faded: :math:`E[h \mid x_k] - E[h] = q^k e(x_k)`.
    They have a share :math:`q^{2k} (1 - q^2)` of the variance of all tokens together, which leaves at most two decays
    for each lag. Every such pair is a beginning; some rounds of expectation and maximisation, in which the label is
    known, show which of them explains the states, and it is fitted on more rows. Where its tokens tell the labels
    better at another lag than the one that was begun with, or by other names, a second model has these.

    *By the states alone*, where the means are lost in their own error, or nearly: what is known is nothing but that
    there are so many types, and the labels only name them and the lag.

    Which of the models reads more is for held-out rows to say.

    Args:
        states: Training rows, white: their covariance is the identity.
        labels: Their classes.
        classes: How many.
        seed: Which rows are looked at.

    Reference:
        Dempster, Laird and Rubin (1977), Maximum likelihood from incomplete data via the EM algorithm; Salakhutdinov
        and Roweis (2003), Adaptive overrelaxed bound optimization methods, for the longer steps.
    """
    if classes < 2 or not states.shape[1]:
        return []
    order = torch.randperm(len(states), generator=torch.Generator().manual_seed(seed))
    models, differ = by_means(states.double(), labels, classes)
    states, labels = states[order[:ROWS]], labels[order[:ROWS]]
    found = likeliest(models, states, labels)
    free = found[:1]
    some = states[:JUDGED], labels[:JUDGED]
    if differ < CLEAR:
        free = [settled(model, some[0], None) for model in found] + unlabelled(some[0], classes, seed)
        free.sort(key=lambda model: -likelihood(model.search(some[0], KEEP)[1]))
    names = named(free[0], *some) if free else None
    if names and (differ < CLEAR or names != (free[0].lag, list(range(classes)))):
        begun = free[0].asked(names[0]).renamed(names[1], torch.bincount(labels, minlength=classes))
        found += [begun, settled(begun, states, labels)]
    return found


def likeliest(
    models: list[TraceModel], states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]
) -> list[TraceModel]:
    """The one of the models that explains states and labels best when it is fitted; none of none."""
    for rows, rounds, best in STAGES:
        some = states[:rows], labels[:rows]
        models = [improved(model, *some, rounds) for model in models]
        models = [model for model in models if bool(model.code.isfinite().all())]
        if len(models) > best:
            depth = max(model.depth for model in models)
            alike = [model.deepened(depth if best == 1 else model.depth) for model in models]
            likely = [likelihood(model.search(some[0], KEEP, some[1])[1]) for model in alike]
            models = [models[place] for place in np.argsort(-np.array(likely), kind="stable")[:best]]
    return [settled(model, states, labels) for model in models]


def unlabelled(states: Float[Tensor, "rows dim"], classes: int, seed: int) -> list[TraceModel]:
    """A trace of so many types, fitted to states alone; none where one Gaussian explains the states as well.

    Its types have no names, and it is asked for the newest token. As well means: but for what so many numbers gain by
    being fitted (Schwarz 1978).
    """
    model = by_clusters(states.double(), classes, seed)
    for rows, rounds in UNLABELLED:
        some = states[:rows]
        model = improved(model, some, None, rounds)
    alone = -0.5 * float((some - some.mean(0)).square().sum(1).mean())
    gained = 0.5 * model.code.numel() * np.log(len(some)) / len(some)
    return [settled(model, states, None)] if likelihood(model.search(some, KEEP)[1]) > alone + gained else []


def improved(
    model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"] | None, rounds: int
) -> TraceModel:
    """The model after some rounds."""
    for _ in range(rounds):
        model = model.improved(states, labels, model.search(states, KEEP, labels))
    return model


def settled(model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"] | None) -> TraceModel:
    """The model with one more token named at a time, and fitted anew, for as long as states are explained better."""
    behind, deeper = model.search(states, KEEP, labels), True
    for _ in range(MOST_ROUNDS):
        if deeper:
            trial = improved(model.deepened(model.depth + 1), states, labels, 2)
        else:
            trial = model.improved(states, labels, behind)
        found = trial.search(states, KEEP, labels)
        if likelihood(found[1]) > likelihood(behind[1]) + BETTER:
            model, behind = trial, found
        elif not deeper:
            break
        else:
            deeper = False  # deep enough: from here on it is only fitted
    return model


def read_at(model: TraceModel, states: Float[Tensor, "rows dim"], lags: int) -> Iterator[Float[Tensor, "rows classes"]]:
    """Probability of each type at lag 0, 1, and so on, each time with all older tokens as noise."""
    for found, score in model.deepened(lags).searches(states, KEEP_MORE):
        yield model.of_types(found[..., -1], score)


def told(read: Float[Tensor, "rows classes"], labels: Int[Tensor, "rows"]) -> Float[Tensor, "rows"]:
    """What a probability of each type tells of the labels, by Brier's score (1950).

    With some sequences dropped, what is read is too sure of itself, and that costs a bounded price there.
    """
    return 2.0 * read.gather(1, labels[:, None]).squeeze(1) - read.square().sum(1)


def named(
    model: TraceModel, states: Float[Tensor, "rows dim"], labels: Int[Tensor, "rows"]
) -> tuple[int, list[int]] | None:
    """The lag of the labels and, for each label, the type of the model it is a name of; none if none is told.

    Types are read without a look at the labels. The names are chosen on half of the rows (Kuhn 1955, the assignment
    problem), the lag on the other half.
    """
    classes, half = len(model.code), len(labels) // 2
    share = torch.bincount(labels, minlength=classes) / len(labels)
    best, found = 0.0, None
    for lag, read in enumerate(read_at(model, states, MOST_LAG + 1)):
        if float(read.square().sum(1).mean() - share.square().sum()) < LITTLE:
            break  # nor are older tokens read
        table = torch.zeros(classes, classes).index_add_(0, labels[:half], read[:half] - read[:half].mean(0))
        order = linear_sum_assignment(table.numpy(), maximize=True)[1].tolist()
        gain = told(read[half:][:, order], labels[half:]) - told(share.expand(len(labels) - half, -1), labels[half:])
        if float(gain.mean()) > max(best, SURE * float(gain.std()) / len(gain) ** 0.5):
            best, found = float(gain.mean()), (lag, order)
    return found
