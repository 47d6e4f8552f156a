"""The whole past: what a state holds of all measured tokens together."""

__all__ = ["whole_past"]

import numpy as np

from infodil.ladder import FittedLadder
from infodil.measure.accumulators import EntrySums
from infodil.measure.intervals import ReportEstimates


def whole_past(
    deep: EntrySums, estimates: ReportEstimates, ladder: FittedLadder, independent: bool
) -> dict[str, dict[str, float | str]]:
    r"""For each site what its state holds of the tokens at all lags together, by the selected probe of each lag.

    .. math:: I(X_{t-K}, \dots, X_t; H_t) = \sum_k I(X_{t-k}; H_t \mid X_{t-k+1}, \dots, X_t)

    For independent tokens each term is at least :math:`I(X_{t-k}; H_t)`, so that the sum of the lower bounds is a lower
    bound itself. For others each term is estimated by the bits beyond the better context model, and the sum is an
    estimate: what a context model misses counts as memory. All terms are means over the same states, those with every
    lag behind them, and the interval is that of the sum within each document.

    Args:
        deep: Sums over the positions that have every lag behind them.
        estimates: Figures of the whole report, whose blocks and quantiles are used again.
        ladder: Fitted probes.
        independent: Whether the tokens were declared to be.

    Returns:
        Columns of the summary, by site.

    Reference:
        Cover and Thomas (2006), Elements of Information Theory, theorem 2.5.2.
    """
    deep = estimates.grouped(deep)
    entries, targets = ladder.entries(), np.arange(1, estimates.certified.value.shape[1])
    lower = estimates.spans.gains(deep, "plug_in") if independent else estimates.beyond(deep)
    upper = estimates.spans.gains(deep, "prior") if independent else lower
    found = {}
    for site in ladder.fitted:
        place = np.array([entries.index((site, probe)) for probe in ladder.best(site)[1:]]), targets
        smoothing = estimates.smoothing[place].sum() if independent else 0.0
        total = lower.total(place)
        found[site] = {
            "whole_past_bits": float(total.value),
            "whole_past_low_bits": float(total.low),
            "whole_past_high_bits": float(upper.total(place).high + smoothing),
            "whole_past_kind": "lower bound" if independent else "estimate",
            "whole_past_samples": int(deep.whole["count"][-1].sum()),
        }
    return found
