"""Token to state: what the best reader of the ladder gets out of a state, certified on rows it has not seen."""

__all__ = ["Read", "blocks", "certify", "choose_probe", "cross_fit", "lower_bound", "mean_intervals", "pool_rare"]

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int, Shaped
from numpy import ndarray
from torch import Tensor

from infodil.checks import UserError, check_confidence, check_one_of, check_seed
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder.arguments import FEWEST_GROUPS, check_states, check_tokens
from infodil.ladder.folds import HeldOut, hold_out
from infodil.ladder.select import fit_ladder
from infodil.probes import AUTO, Probe, ProbeChoice, choose_probes
from infodil.statistics import bootstrap_interval, bootstrap_weights, correlation_length, merge_cells, number_groups

FEWEST_OUTSIDE = (8, 4, 2)
"""A type seen less often than this outside the fold that it is commonest in counts as one with the others like it.

The first number that leaves at least half of the rows with a type of their own, or else the last."""

FEWEST_BLOCKS = 20
"""An interval from fewer blocks of a series says little: the result warns of it."""

REPLICATES = 2000

HOW = {
    "rows": "Rows were held out one by one, for neighbouring rows are not correlated: pass `groups` if rows of one "
    "document depend on each other.",
    "series": "Neighbouring rows are correlated, so the rows were taken as one series and held out in long stretches: "
    "pass `groups` with the document of each row, or np.arange(samples) if the rows are independent draws.",
}


def lower_bound(
    tokens: Shaped[ndarray, "*shape"] | Shaped[Tensor, "*shape"],
    states: Shaped[ndarray, "*shape_of_states"] | Shaped[Tensor, "*shape_of_states"],
    *,
    probe: str | Probe = AUTO,
    groups: Shaped[ndarray, "*shape_of_groups"] | Shaped[Tensor, "*shape_of_groups"] | None = None,
    seed: int = 0,
    confidence: float = 0.95,
) -> Estimate:
    r"""How many bits about a token its state holds at the least: what readers get out of it on rows they have not seen.

    .. math:: I(X; H) \ge I(c(X); H) \ge H(c(X)) + E \log_2 q(c(X) \mid H)

    for any function c of the token and any reader q (Barber and Agakov 2003). Cross-fitted: each of five folds is read
    by readers that were trained on most of the others and chosen on the rest, so that every row is tested once. H is
    the plug-in entropy of the tested tokens, which is too low rather than too high. The interval resamples groups, or
    blocks of one series; it reaches from the low end of this figure to the high end of the one with the cross-entropy
    of the trained prior in place of the plug-in entropy, which is no smaller than the entropy.

    c names all types but the rare ones, which count as one: what cannot be learned about them must not be charged to
    the state. It depends on the counts of the tokens alone, never on the states.

    Args:
        tokens: Integer ids, `[samples]`.
        states: Floating-point states, `[samples, dim]`, or `[samples]` for one dim.
        probe: A name of `infodil.probes.PROBES`, a probe with options such as `infodil.probes.MLP(width=256)`, or
            `auto`: in each fold the probe of least cross-entropy on the calibration rows; one that takes long (the
            perceptron, where there are some thousand types) is left out, and `warnings` says so.
        groups: The document of each row, `[samples]`: rows of one document are held out together and resampled
            together. Without it, rows are taken as one series where neighbours are correlated, and as independent
            draws where they are not; `warnings` says which.
        seed: The same seed gives the same answer.
        confidence: Of the interval.

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
    check_seed(seed)
    check_confidence(confidence)
    tokens = check_tokens(tokens)
    states = check_states(states, len(tokens))
    group = None if groups is None else number_groups(groups, len(tokens), FEWEST_GROUPS)
    held = hold_out(tokens, states, group, seed)
    tokens = pool_rare(tokens, held)
    with torch.no_grad():
        read = cross_fit(tokens, states, held, choice, seed)
    return certify(read, held, confidence, seed)


def choose_probe(probe: str | Probe) -> ProbeChoice:
    """The strongest probe, or all; raise `UserError` unless it needs nothing but states."""
    if isinstance(probe, str):
        check_one_of("probe", probe, [*choose_probes(AUTO).trained, AUTO])
    choice = choose_probes(probe, "probe")
    if choice.requested and choice.requested[0] not in choice.trained:
        raise UserError(
            f"`probe` cannot be {choice.requested[0]!r}, which needs to know how the states were made: "
            f"pass one of {', '.join(choice.trained)}."
        )
    return choice


@dataclass(frozen=True)
class Read:
    """Pointwise terms of every row, nats."""

    gain: Float[ndarray, "rows"]
    """Log-probability of the row's token, read by a reader that has not seen the row, beyond the trained prior's."""
    log_prior: Float[ndarray, "rows"]
    log_share: Float[ndarray, "rows"]
    """Log of the share of the row's type among all tokens: minus the plug-in entropy, in the mean."""
    probes: tuple[str, ...]
    """The probes that were selected in some fold, weakest first."""
    left_out: tuple[str, ...]
    """Rungs that would have taken long."""


def cross_fit(
    tokens: Int[ndarray, "rows"], states: Float[Tensor, "rows dim"], held: HeldOut, choice: ProbeChoice, seed: int
) -> Read:
    """Each fold read by readers that the others made."""
    gain, log_prior = np.zeros(len(tokens)), np.zeros(len(tokens))
    answered: dict[str, None] = {}
    left_out: dict[str, None] = {}
    for train, calibration, test in held.parts():
        answer = fit_ladder(tokens, states, (train, calibration, test), choice, seed)
        gain[test], log_prior[test] = answer.gain, answer.log_prior
        answered[answer.probe] = None
        left_out |= dict.fromkeys(answer.left_out)
    counts, answers = np.bincount(tokens), tuple(name for name in choice.available if name in answered)
    return Read(gain, log_prior, np.log(counts[tokens] / len(tokens)), answers, tuple(left_out))


def certify(read: Read, held: HeldOut, confidence: float, seed: int) -> Estimate:
    """The certified figure, and an interval that holds what is not known about the entropy."""
    certified = read.gain + read.log_prior - read.log_share
    unit = blocks(held, read.gain, read.log_share)
    (low, _), (_, high) = mean_intervals(unit, confidence, seed, certified, read.gain)
    warnings, number = (HOW[held.kind],) if held.kind in HOW else (), int(unit.max()) + 1
    if number < FEWEST_BLOCKS:
        what = "groups" if held.kind == "groups" else "blocks of about ten correlation times"
        warnings += (f"The interval rests on {number} {what}: few.",)
    warnings += tuple(f"{rung} was left out, for it takes long: pass probe='{rung}' for it." for rung in read.left_out)
    return Estimate(
        value_bits=float(certified.mean()) * BITS_PER_NAT,
        low_bits=low,
        high_bits=high,
        confidence=confidence,
        kind="lower bound",
        samples=len(certified),
        method=" and ".join(read.probes) + ", cross-fitted",
        warnings=warnings,
    )


def blocks(held: HeldOut, *terms: Float[ndarray, "rows"]) -> Int[ndarray, "rows"]:
    """What each row is resampled with: its group, or its block of about ten correlation times of the terms."""
    unit = held.resampled()
    if held.kind != "series":
        return unit
    cells = np.bincount(unit).astype(float)
    columns = np.stack([np.bincount(unit, each) / cells for each in terms], 1)
    return merge_cells(len(cells), correlation_length(columns))[unit]


def mean_intervals(
    unit: Int[ndarray, "rows"], confidence: float, seed: int, *terms: Float[ndarray, "rows"]
) -> list[tuple[float, float]]:
    """The interval of the mean of each of some terms in nats, in bits, by resampling units."""
    number = int(unit.max()) + 1
    weights = bootstrap_weights(number, REPLICATES, seed)
    counts = weights @ np.bincount(unit, minlength=number)
    drawn = [weights @ np.bincount(unit, each, minlength=number) / counts for each in terms]
    ends = [bootstrap_interval(each, number, confidence) for each in drawn]
    return [(float(low) * BITS_PER_NAT, float(high) * BITS_PER_NAT) for low, high in ends]


def pool_rare(tokens: Int[ndarray, "rows"], held: HeldOut) -> Int[ndarray, "rows"]:
    """Class ids from zero on: one for each type, and one for all that are too rare outside some fold."""
    fold = held.fold[held.unit]
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
