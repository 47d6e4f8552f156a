"""A lower bound on the information between tokens and states: cross-fitted probes, certified on rows not seen."""

__all__ = ["choose_probe", "lower_bound", "pool_rare"]

from typing import Any, SupportsIndex

import numpy as np
import torch
from jaxtyping import Float, Int
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_confidence, check_one_of, check_seed
from infodil.estimate import Estimate
from infodil.ladder.arguments import check_groups, check_states, check_tokens
from infodil.ladder.certify import certify
from infodil.ladder.cross_fit import cross_fit
from infodil.ladder.folds import HeldOut, hold_out
from infodil.probes import AUTO, Probe, ProbeChoice, choose_probes
from infodil.statistics import copied_rows

FEWEST_COPIES = 0.001
"""Share of the tested rows up to which copies change nothing: single-precision numbers may agree by chance."""

FEWEST_OUTSIDE = (8, 4, 2)
"""Types seen less often than this outside the fold that they are commonest in are pooled: the first of these numbers
that leaves at least half of the rows with a type of their own, or else the last."""


def lower_bound(
    tokens: Any,
    states: Any,
    *,
    probe: str | Probe = AUTO,
    groups: Any = None,
    seed: SupportsIndex = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""A lower bound on the mutual information of a token and its state, by cross-fitted probes.

    .. math:: I(X; H) \ge I(c(X); H) \ge H(c(X)) + E \log_2 q(c(X) \mid H)

    for any function c of the token and any probe q (Barber and Agakov 2003). Each of five folds is predicted by probes
    that were trained on most of the others and selected on the rest, so that every row is tested once. Whether a costly
    probe is fitted in a fold was tried on a part of another fold. H is the plug-in
    entropy of the tested tokens, whose bias is downward. The interval rests on groups, or blocks of one series, of any
    sizes; it reaches from the low end of this bound to the high end of the one with the cross-entropy of the trained
    prior in place of the plug-in entropy, which is no smaller than the entropy.

    c names all types but the rare ones, which count as one: what cannot be learned about them must not be charged to
    the state. It depends on the counts of the tokens alone, never on the states.

    Args:
        tokens: Integer ids, `[samples]`.
        states: Floating-point states, `[samples, dim]`, or `[samples]` for one dim.
        probe: The strongest probe that is fitted: a name of `infodil.probes.PROBES`, a probe with options such as
            `infodil.probes.MLP(width=256)`, or `auto` for all that apply. In each fold the probe of least cross-entropy
            on the calibration rows predicts. `auto` leaves out a probe that takes long (the perceptron, where there are
            some thousand types), and `warnings` says so.
        groups: The document of each row, `[samples]`: rows of one document are held out together, and the interval
            rests on documents, however unequal. Without it, rows are taken as one series where neighbours are
            correlated, and as independent draws where they are not; `warnings` says which.
        seed: Seed of everything random. The same seed gives the same answer.
        confidence: Confidence level of the interval.

    Returns:
        A lower bound in bits. Nothing is clipped: it may be below zero, which says no more than "at least nothing".

    Raises:
        UserError: Tokens that are not whole numbers or of one type only, states that are not finite, lengths that
            differ, fewer than 100 samples or 10 groups, or an unknown probe.

    Reference:
        Barber and Agakov (2003), The IM algorithm, equation 3; Chernozhukov et al. (2018), Double/debiased machine
        learning, definition 3.2, for cross-fitting.

    Example:
        >>> tokens = torch.arange(4).repeat(500)
        >>> bits = lower_bound(tokens, torch.eye(4)[tokens])  # the token itself
        >>> round(bits.value_bits, 2), bits.kind
        (2.0, 'lower bound')
    """
    choice = choose_probe(probe)
    seed = check_seed(seed)
    check_confidence(confidence)
    tokens = check_tokens(tokens)
    states = check_states(states, len(tokens))
    group = check_groups(groups, len(tokens))
    held = hold_out(tokens, states, group, seed)
    warnings = warn_of_copies(tokens, states, held)
    tokens = pool_rare(tokens, held)
    with torch.no_grad():
        pilots = held.pilots() if choice.requested is None else []
        predicted = cross_fit(tokens, states, held.folds(), choice, seed, pilots)
    return certify(predicted, held, confidence, warnings)


def warn_of_copies(tokens: Int[ndarray, "rows"], states: Float[Tensor, "rows dim"], held: HeldOut) -> tuple[str, ...]:
    """A sentence where tested rows have exact copies among those that they are predicted from: a probe remembers them.

    Args:
        tokens: Type ids from zero on.
        states: State of each row.
        held: Rows that are held out together.

    Returns:
        One sentence, or none.
    """
    copies = copied_rows(tokens, states.numpy())
    number = 0 if copies is None else held.across(copies)
    if number <= FEWEST_COPIES * len(tokens):
        return ()
    return (
        f"{number} of {len(tokens)} tested rows have an exact copy, token and state, among the rows that they are "
        "predicted from: pass each once, or copies in one group of `groups`, unless states repeat by themselves.",
    )


def choose_probe(probe: str | Probe) -> ProbeChoice:
    """The strongest probe to fit to states that nothing else is known of, or `auto`.

    Args:
        probe: A name, a probe with options, or `auto`.

    Returns:
        The probe among all that there are.

    Raises:
        UserError: An unknown name, or a probe that needs to know how the states were made.
    """
    if isinstance(probe, str):
        check_one_of("probe", probe, [*choose_probes(AUTO).trained, AUTO])
    choice = choose_probes(probe, "probe")
    if choice.requested and choice.requested[0] not in choice.trained:
        raise UserError(
            f"`probe` cannot be {choice.requested[0]!r}, which needs to know how the states were made: "
            f"pass one of {', '.join(choice.trained)}."
        )
    return choice


def pool_rare(tokens: Int[ndarray, "rows"], held: HeldOut) -> Int[ndarray, "rows"]:
    """Class ids from zero on: one for each type, and one for all that are too rare outside some fold.

    Args:
        tokens: Type ids from zero on.
        held: Fold of each row.

    Returns:
        A class for each row.

    Raises:
        UserError: All types are too rare.
    """
    fold = held.fold[held.cluster]
    counts = np.zeros((int(fold.max()) + 1, int(tokens.max()) + 1), dtype=np.int64)
    np.add.at(counts, (fold, tokens), 1)
    outside = counts.sum(0) - counts.max(0)
    for fewest in FEWEST_OUTSIDE:
        rare = outside < fewest
        if 2 * counts[:, ~rare].sum() >= len(tokens):
            break
    classes = np.where(rare, int((~rare).sum()), np.cumsum(~rare) - 1)
    if classes.max() == 0:
        raise UserError(
            f"`tokens` has {len(rare)} types, none seen {fewest} times outside the part of the rows that has "
            "most of it: pass more samples, or groups=np.arange(samples) where rows are independent but sorted."
        )
    return classes[tokens]
