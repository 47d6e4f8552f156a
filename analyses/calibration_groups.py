"""Do intervals over groups hold the truth as often as they say, whatever the sizes of groups and what they share?

Groups of equal and of very unequal sizes, without an effect of the group (rows are independent) and with one (rows of a
group share a draw). `mean` is the interval routine itself, on sums with a known mean, ten thousand draws a cell; the
other calls are what a user types. For `mi.lower_bound` the truth is what the fitted probes score on fresh groups, their
usable information; for `recoverability` it is the entropy of the tokens. Coverage above 97% is the price of an effect
that could be there and cannot be seen: beside one group of nearly all rows an effect of a twentieth of the variance is
below what the others show, and widens the error eightfold. `guess` is the share of results that say that they rest on
little. One table for calls in closed form, one for calls that fit something. It could refute that intervals cover as
often as they say whatever the sizes. Six minutes on one core, one of them for the first table.

    python -m analyses.calibration_groups
    python -m analyses.calibration_groups --tables calibration_groups
"""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch

from analyses.cells import Study, options_parser
from infodil import mi, recoverability
from infodil.checks import UserError
from infodil.entropy import entropy
from infodil.estimate import BITS_PER_NAT, Estimate
from infodil.ladder import choose_probe, cross_fit, hold_out
from infodil.sources import discrete_channel
from infodil.statistics import Clusters, cluster_deviations, cluster_quantile, equal_clusters


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    seeds: int = 200
    fitted_seeds: int = 40
    """Of calls that fit probes."""
    draws: int = 10_000
    """Of the interval routine."""
    confidence: float = 0.95
    effect: float = 0.1
    """Share of the variance that is between groups, where there is an effect."""
    fresh_groups: int = 200_000
    """Groups that tell what fitted probes score: so many that their own chance is below a tenth of an interval."""
    kinds: tuple[str, ...] = ()
    """All if none is named."""


SMOKE = Config(seeds=3, fitted_seeds=2, draws=200, fresh_groups=200, kinds=("twelve equal", "one of 95%"))

KINDS = {
    "five equal": [400] * 5,
    "twelve equal": [160] * 12,
    "hundred equal": [20] * 100,
    "one of 95%": [1900] + [1] * 100,
    "halving": [1000 // 2**power for power in range(10)],
    "log-normal": np.exp(np.random.default_rng(0).normal(3, 1, 60)).astype(int).clip(1).tolist(),
}


def draw_groups(sizes, rng, effect):
    """The group of each row, a normal number shared within groups and one of each row, of variance 1 together."""
    group = np.repeat(np.arange(len(sizes)), sizes)
    shared = rng.standard_normal(len(sizes))[group]
    return group, math.sqrt(effect) * shared, math.sqrt(1 - effect) * rng.standard_normal(len(group))


def mixed_uniform(shared, own):
    """Uniform numbers of which those of a group are alike, by the normal distribution function."""
    return torch.special.ndtr(torch.from_numpy(shared + own)).numpy()


def ask_entropy(sizes, rng, effect, config):
    law = np.array([0.4, 0.3, 0.2, 0.1])
    group, shared, own = draw_groups(sizes, rng, effect)
    labels = np.searchsorted(np.cumsum(law), mixed_uniform(shared, own)).clip(max=3)
    return entropy(labels, groups=group, confidence=config.confidence), float(-law @ np.log2(law))


def ask_discrete(sizes, rng, effect, config):
    group, shared, own = draw_groups(sizes, rng, effect)
    x = rng.integers(0, 2, len(group))
    y = x ^ (mixed_uniform(shared, own) < 0.2)
    found = mi.discrete_information(x, y, groups=group, confidence=config.confidence)
    return found, discrete_channel([[0.8, 0.2], [0.2, 0.8]], samples=2).truth_bits


def ask_estimate(sizes, rng, effect, config):
    """Normal numbers whose correlation is the same within and between groups."""
    group, shared, own = draw_groups(sizes, rng, effect)
    _, other_shared, other_own = draw_groups(sizes, rng, effect)
    x, y = shared + own, 0.6 * (shared + own) + 0.8 * (other_shared + other_own)
    return mi.estimate(x, y, groups=group, confidence=config.confidence), -0.5 * math.log2(1 - 0.36)


def binary_rows(sizes, rng, effect):
    """A fair bit and its noisy sign in two dims, whose noise is partly that of the group."""
    group, shared, own = draw_groups(sizes, rng, effect)
    tokens = rng.integers(0, 2, len(group))
    return group, tokens, np.stack([(2.0 * tokens - 1.0) + shared + own, rng.standard_normal(len(group))], 1)


def ask_lower_bound(sizes, rng, effect, config):
    """Usable bits: the gain over the prior on held-out rows, and that of the same fits on fresh groups."""
    group, tokens, states = binary_rows(sizes, rng, effect)
    _, fresh_tokens, fresh_states = binary_rows([1] * config.fresh_groups, rng, effect)
    found = mi.lower_bound(tokens, states, groups=group, probe="gaussian", confidence=config.confidence)
    rows = len(tokens)
    fresh = np.arange(rows, rows + len(fresh_tokens))
    all_tokens = np.concatenate([tokens, fresh_tokens])
    all_states = torch.from_numpy(np.concatenate([states, fresh_states]))
    held = hold_out(tokens, all_states[:rows], np.unique(group, return_inverse=True)[1], 0)
    truth = 0.0
    with torch.no_grad():
        for train, calibration, test in held.folds():
            fold = (train, calibration, fresh)
            scored = cross_fit(all_tokens, all_states, [fold], choose_probe("gaussian"), 0)
            truth += len(test) / rows * float(scored.gain.mean()) * BITS_PER_NAT
    return found, truth


def ask_recoverability(sizes, rng, effect, config):
    """Bits at lag 0 of recorded states: the entropy of the tokens, whose interval rests on the test documents."""
    group, shared, own = draw_groups(sizes, rng, effect)
    labels = (mixed_uniform(shared, own) < 0.3).astype(int)
    documents = [labels[group == each] for each in range(len(sizes))]
    states = {"state": [rng.standard_normal((len(each), 1)) for each in documents]}
    report = recoverability(
        states, documents, lags=[0], probes="prior", controls=False, progress=False, confidence=config.confidence
    )
    (row,) = report.rows
    ends = (row["ceiling_bits"], row["ceiling_low_bits"], row["ceiling_high_bits"])
    said = tuple(text for text in report.warnings if "Intervals rest on" in text)
    return Estimate(*ends, config.confidence, warnings=said), float(-0.3 * np.log2(0.3) - 0.7 * np.log2(0.7))


CALLS = {
    "entropy": ask_entropy,
    "mi.discrete_information": ask_discrete,
    "mi.estimate": ask_estimate,
    "mi.lower_bound": ask_lower_bound,
    "recoverability": ask_recoverability,
}
FITTED = ("mi.estimate", "mi.lower_bound", "recoverability")
TABLES = {
    "calibration_groups": ("mean", *(call for call in CALLS if call not in FITTED)),
    "calibration_groups_fitted": FITTED,
}


def calibrate(cell, config):
    """One row: one call for one kind of groups, without or with an effect, over all seeds."""
    call, kind, effect = cell
    sizes = np.array(KINDS[kind])
    head = {"call": call, "groups": kind, "number": len(sizes), "worth": equal_clusters(sizes), "effect": effect}
    if call == "mean":
        return [head | cover_means(sizes, effect, config)]
    results = []
    for seed in range(config.fitted_seeds if call in FITTED else config.seeds):
        try:
            results.append(CALLS[call](sizes, np.random.default_rng([seed, 0xCA1]), effect, config))
        except UserError as error:
            return [head | {"seeds": 0, "refused": str(error)}]
    value, low, high = (
        np.array([getattr(found, end) for found, _ in results]) for end in ("value_bits", "low_bits", "high_bits")
    )
    truth = np.array([truth for _, truth in results])
    guess = [any("guess" in text or "rest on" in text for text in found.warnings) for found, _ in results]
    return [head | share_of(value, low, high, truth) | {"guess": np.mean(guess), "refused": ""}]


def cover_means(sizes, effect, config):
    """The interval routine on normal sums: nothing but the sizes of groups and what they share."""
    rng = np.random.default_rng(0)
    between = effect / (1 - effect)
    sums = rng.standard_normal((config.draws, len(sizes))) * np.sqrt(sizes + between * sizes**2)
    value = sums.sum(1) / sizes.sum()
    errors = np.linalg.norm(cluster_deviations(sums, np.broadcast_to(sizes, sums.shape)), axis=1)
    reach = cluster_quantile(sizes, config.confidence) * errors
    said = Clusters(np.repeat(np.arange(len(sizes)), sizes), dependent=True).warnings
    found = share_of(value, value - reach, value + reach, np.zeros(config.draws))
    return found | {"guess": float(bool(said)), "refused": ""}


def share_of(value, low, high, truth):
    """Coverage and width of some intervals."""
    return {
        "seeds": len(value),
        "bias_bits": (value - truth).mean(),
        "spread_bits": (value - truth).std(ddof=1),
        "coverage": ((low <= truth) & (truth <= high)).mean(),
        "above_interval": (truth > high).mean(),
        "below_interval": (truth < low).mean(),
        "width_bits": (high - low).mean(),
    }


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds of each cell")
    parser.add_argument("--tables", nargs="+", default=list(TABLES), choices=list(TABLES))
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=options.seeds or config.seeds)
    kinds = config.kinds or tuple(KINDS)
    with Study(__file__, options) as study:
        for table in options.tables:
            cells = [
                (call, kind, effect) for call in TABLES[table] for kind in kinds for effect in (0.0, config.effect)
            ]
            finished = study.run(calibrate, cells, config)
            study.write(table, finished.rows, config, finished)
            summarise(finished.rows, config)


def summarise(rows, config):
    """Print the cells whose intervals miss the truth more often than chance allows."""
    for row in rows:
        misses = row["seeds"] * (1 - config.confidence)
        short = row["seeds"] and 1 - row["coverage"] > (misses + 3 * math.sqrt(misses)) / row["seeds"]
        print(f"{row['call']:24} {row['groups']:20} {row['effect']:4} ", end="")
        print(row["refused"] or f"{row['coverage']:.3f}  {row['width_bits']:.3f} bits{'  SHORT' * bool(short)}")


if __name__ == "__main__":
    main()
