"""The certified lower bound of cross-fitted predictions: its value, its interval, and what it rests on."""

__all__ = ["certify"]

from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder.cross_fit import CrossFit
from infodil.ladder.folds import HeldOut

FEWEST_BLOCKS = 20
"""An interval from fewer groups, or blocks of a series, says little: the result warns of it."""

HELD_OUT_AS = {
    "rows": "Rows were held out one by one, for neighbouring rows are not correlated: pass `groups` if rows of one "
    "document depend on each other.",
    "series": "Neighbouring rows are correlated, so the rows were taken as one series and held out in long stretches: "
    "pass `groups` with the document of each row, or np.arange(samples) if the rows are independent draws.",
}


def certify(predicted: CrossFit, held: HeldOut, confidence: float, warnings: tuple[str, ...] = ()) -> Estimate:
    """The lower bound of cross-fitted predictions, its interval wide enough for the unknown entropy.

    Log-probabilities have a long lower tail: the low end allows for it (`Clusters.skewed_quantiles`).

    Args:
        predicted: Pointwise terms of every row.
        held: Clusters that were held out together.
        confidence: Confidence level of the interval.
        warnings: What is known to be wrong with the rows.

    Returns:
        A lower bound in bits.
    """
    certified, gain = predicted.certified_nats, predicted.gain
    clusters = held.select(predicted.rows).clusters(gain, predicted.log_share)
    warnings += (HELD_OUT_AS[held.kind],) if held.kind in HELD_OUT_AS else ()
    warnings += clusters.warnings
    if clusters.number < FEWEST_BLOCKS and not clusters.warnings:
        what = "groups" if held.kind == "groups" else "blocks of about ten correlation times"
        warnings += (f"The interval rests on {clusters.number} {what}: few.",)
    warnings += tuple(
        f"{name} was left out, for it takes long: pass probe='{name}' for it." for name in predicted.left_out
    )
    value = float(certified.mean())
    low = value - clusters.skewed_quantiles(certified, confidence)[0] * clusters.standard_error(certified)
    high = float(gain.mean()) + clusters.skewed_quantiles(gain, confidence)[1] * clusters.standard_error(gain)
    return Estimate(
        value_bits=value * BITS_PER_NAT,
        low_bits=low * BITS_PER_NAT,
        high_bits=max(value, high) * BITS_PER_NAT,
        confidence=confidence,
        kind="lower bound",
        samples=len(certified),
        method=" and ".join(predicted.probes) + ", cross-fitted",
        warnings=warnings,
    )
