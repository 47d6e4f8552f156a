"""How do `infodil.mi.estimate` and the estimators of other packages compare on the same cases?

Six families of known answers: pairs of numbers, labels (with labels or vectors), few columns, many columns, columns
with ties and atoms (`analyses.columns`), and rows that depend on each other; each case on a few seeds of its own.
Beside infodil stand scikit-learn, npeet-plus, ennemi and infomeasure with their own defaults. They are told which
columns are discrete (whole numbers, and single columns of at most twenty values); infodil is told nothing. What a
package does not take, such as several columns, counts as refused; where infomeasure has no estimator, for labels and
vectors, it reads the labels as numbers. Seconds are CPU seconds of one thread, after one call that is not counted.

It could refute that infodil errs least in every family, that no case with ties is off by more than .06 bits, that its
intervals hold the truth, and that it costs little more. About seven minutes on one idle core. The other packages come
with `pip install 'infodil[peers]'`.

    python -m analyses.estimators_beside_peers
"""

import importlib.util
import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch

from analyses.cells import Study, options_parser
from analyses.columns import COLUMNS
from infodil import sources
from infodil.checks import UserError
from infodil.estimate import BITS_PER_NAT
from infodil.mi import estimate

MODULES = {"ennemi": "ennemi", "infomeasure": "infomeasure", "npeet-plus": "npeet_plus"}
FEW_VALUES = 20
"""Values up to which the other packages are told that a column is discrete."""
MISSED_BITS = 0.06


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    seeds: int = 3
    samples: int = 2000
    every: int = 1
    """Of the cases of a family, one in so many is run."""


SMOKE = Config(seeds=1, samples=200, every=20)


class Refused(Exception):
    """A case that a package does not take."""


def benchmark(*tasks):
    return {task: lambda rows, seed, task=task: sources.beyond_normal(task, rows, seed=seed) for task in tasks}


def normal(correlation):
    return lambda rows, seed: sources.normal_pair(correlation, samples=rows, seed=seed)


def columns(kind):
    def draw(rows, seed):
        x, y = kind.draw(rows, np.random.default_rng(seed))
        return sources.Pair(x, y, np.arange(rows), kind.truth_bits)

    return draw


def noisy_labels(labels, sigma):
    places = torch.arange(float(labels))[:, None]
    return lambda rows, seed: sources.gaussian_codebook(places, sigma, samples=rows, seed=seed)


def codebook(types, dim, sigma):
    places = torch.randn(types, dim, generator=torch.Generator().manual_seed(types))
    return lambda rows, seed: sources.gaussian_codebook(places, sigma, samples=rows, seed=seed)


def flip(odds):
    return lambda rows, seed: sources.discrete_channel([[1 - odds, odds], [odds, 1 - odds]], samples=rows, seed=seed)


def copied(vocabulary, share):
    return lambda rows, seed: sources.copied_pair(vocabulary, share, rows, seed=seed)


def drifting(correlation, persistence, dim=1):
    return lambda rows, seed: sources.autoregressive_pair(
        correlation, persistence, dim=dim, documents=rows // 50, tokens=50, seed=seed
    )


def unequal(correlation):
    """Half of the rows are one slow series, the others are series of twenty rows."""

    def draw(rows, seed):
        one = sources.autoregressive_pair(correlation, 0.9, documents=1, tokens=rows // 2, seed=2 * seed)
        many = sources.autoregressive_pair(correlation, 0.9, documents=rows // 40, tokens=20, seed=2 * seed + 1)
        groups = torch.cat([one.groups, 1 + many.groups])
        return sources.Pair(torch.cat([one.x, many.x]), torch.cat([one.y, many.y]), groups, one.truth_bits)

    return draw


def ten_times(rows, seed):
    """Every row ten times, shuffled, and labels that know nothing of the numbers."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(rows) % (rows // 10)
    labels, numbers = generator.integers(0, 4, rows // 10), generator.standard_normal((rows // 10, 1))
    return sources.Pair(labels[order], numbers[order], order, 0.0)


def slow_tokens(rows, seed):
    return sources.unrelated_series(4, 0.9, documents=rows // 50, tokens=50, dim=1, seed=seed)


FAMILIES = {
    "pairs of numbers": {
        **{f"normal, correlation {rho:g}": normal(rho) for rho in (0.0, 0.3, 0.6, 0.9, 0.99)},
        **benchmark(*(task for task in sources.BEYOND_NORMAL if "1x1" in task or "additive" in task)),
    },
    "labels": {
        "labels: fair coins, one in ten flipped": flip(0.1),
        "labels: fair coins, flipped at .45": flip(0.45),
        "labels: independent Zipf(5)": copied(5, 0.0),
        "labels: half copied Zipf(50)": copied(50, 0.5),
        "labels: independent Zipf(200)": copied(200, 0.0),
        "labels: copies of Zipf(200)": copied(200, 1.0),
        "label and number: two, noise .5": noisy_labels(2, 0.5),
        "label and number: two, noise 2": noisy_labels(2, 2.0),
        "label and number: ten, noise .7": noisy_labels(10, 0.7),
        "label and number: uniform steps": lambda rows, seed: sources.uniform_steps(5, rows, seed=seed),
        "count and rate: zeros in excess": lambda rows, seed: sources.zero_inflated_poisson(0.15, rows, seed=seed),
        "label and 4 columns: 8 types": codebook(8, 4, 0.7),
        "label and 16 columns: 30 types": codebook(30, 16, 1.5),
    },
    "few columns": {
        **benchmark(
            *(task for task in sources.BEYOND_NORMAL if any(dims in task for dims in ("2x1", "2x2", "3x3"))),
        ),
    },
    "many columns": {
        **benchmark(*(task for task in sources.BEYOND_NORMAL if any(dims in task for dims in ("5x5", "25x25")))),
        "independent normal 5x5": lambda rows, seed: sources.normal_pair(np.eye(10), 5, rows, seed=seed),
        "independent normal 25x25": lambda rows, seed: sources.normal_pair(np.eye(50), 25, rows, seed=seed),
    },
    "ties and atoms": {name: columns(kind) for name, kind in COLUMNS.items()},
    "rows that depend": {
        "drifting normal, correlation 0": drifting(0.0, 0.9),
        "drifting normal, correlation .75": drifting(0.75, 0.9),
        "drifting normal 3x3, correlation .5": drifting(0.5, 0.8, 3),
        "unequal series, correlation 0": unequal(0.0),
        "unequal series, correlation .75": unequal(0.75),
        "slow tokens and a slow number, unrelated": slow_tokens,
        "every row ten times, unrelated": ten_times,
    },
}


def single_column(values, package):
    if values.ndim == 2 and values.shape[1] > 1:
        raise Refused(f"{package} takes one column a side")
    return values.reshape(-1)


def told_discrete(values):
    return values.ndim == 1 and (values.dtype.kind in "iub" or len(np.unique(values)) <= FEW_VALUES)


def by_scikit_learn(x, y, seed):
    from sklearn.feature_selection import mutual_info_classif, mutual_info_regression
    from sklearn.metrics import mutual_info_score

    x, y = single_column(x, "scikit-learn"), single_column(y, "scikit-learn")
    if told_discrete(x) and told_discrete(y):
        return mutual_info_score(x, y) * BITS_PER_NAT
    if told_discrete(x) or told_discrete(y):
        labels, numbers = (x, y) if told_discrete(x) else (y, x)
        codes = np.unique(labels, return_inverse=True)[1]
        return mutual_info_classif(numbers[:, None], codes, random_state=seed)[0] * BITS_PER_NAT
    return mutual_info_regression(x[:, None], y, random_state=seed)[0] * BITS_PER_NAT


def by_npeet_plus(x, y, seed):
    import npeet_plus

    np.random.seed(seed)  # noqa: NPY002 - its noise is drawn from numpy's global generator
    if told_discrete(x) and told_discrete(y):
        return npeet_plus.midd(x, y)
    if told_discrete(x) or told_discrete(y):
        labels, numbers = (x, y) if told_discrete(x) else (y, x)
        return npeet_plus.micd(numbers.reshape(len(numbers), -1), labels[:, None])
    return npeet_plus.mi(x.reshape(len(x), -1), y.reshape(len(y), -1))


def by_ennemi(x, y, seed):
    import ennemi

    x, y = single_column(x, "ennemi"), single_column(y, "ennemi")
    kinds = {"discrete_x": told_discrete(x), "discrete_y": told_discrete(y)}
    return float(ennemi.estimate_mi(y, x, max_threads=1, **kinds).item()) * BITS_PER_NAT


def by_infomeasure(x, y, seed):
    import infomeasure

    if told_discrete(x) and told_discrete(y):
        x, y = (np.unique(part, return_inverse=True)[1] for part in (x, y))
        return infomeasure.mutual_information(x, y, approach="chao_shen", base=2)
    np.random.seed(seed)  # noqa: NPY002 - its noise is drawn from numpy's global generator
    return infomeasure.mutual_information(x.astype(float), y.astype(float), approach="ksg", base=2)


PEERS = {
    "scikit-learn": by_scikit_learn,
    "npeet-plus": by_npeet_plus,
    "ennemi": by_ennemi,
    "infomeasure": by_infomeasure,
}


def plain_array(values):
    """One column of vectors as the other packages like it: without a second axis."""
    values = np.asarray(values)
    return values[:, 0] if values.ndim == 2 and values.shape[1] == 1 else values


def ask(package, pair, seed):
    """What a package says of a pair, and what it took: a row of one seed."""
    row = {"truth": pair.truth_bits}
    begin = time.process_time()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            if package == "infodil":
                groups = None if len(np.unique(pair.groups)) == len(pair) else pair.groups
                bits = estimate(pair.x, pair.y, groups=groups, seed=seed)
                row |= {"value": bits.value_bits, "method": bits.method, "kind": bits.kind}
                row |= {"low": bits.low_bits, "high": bits.high_bits, "warned": bool(bits.warnings)}
            else:
                row["value"] = float(PEERS[package](plain_array(pair.x), plain_array(pair.y), seed))
                row["warned"] = bool(caught)
        except Refused as refusal:
            row["refused"] = str(refusal)
        except Exception as error:  # whatever another package does not take, it says in its own way
            row["refused"] = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}"[:120]
    row["seconds"] = time.process_time() - begin
    return row


def compare(cell, config):
    """A row a package: one case over all seeds."""
    family, case = cell
    first = 1000 * list(FAMILIES[family]).index(case)  # margins change nothing: cases of one sample would count twice
    draws = [FAMILIES[family][case](config.samples, first + seed) for seed in range(config.seeds)]
    rows = []
    for package in ("infodil", *(name for name in PEERS if is_installed(name))):
        ask(package, FAMILIES["pairs of numbers"]["normal, correlation 0"](100, 0), 0)  # imports and compiles
        asked = [ask(package, pair, seed) for seed, pair in enumerate(draws)]
        rows.append({"family": family, "case": case, "package": package, **config_of(config)} | summary(asked))
    return rows


def config_of(config):
    return {"samples": config.samples, "seeds": config.seeds}


def summary(asked):
    """Error, coverage, warnings, refusals and time of one package on all seeds of one case."""
    answered = [row for row in asked if np.isfinite(row.get("value", np.nan))]
    row = {"truth_bits": np.mean([each["truth"] for each in asked]), "answered": len(answered)}
    errors = np.array([each["value"] - each["truth"] for each in answered])
    if answered:
        row |= {"value_bits": np.mean([each["value"] for each in answered]), "bias_bits": errors.mean()}
        row |= {"error_bits": np.abs(errors).mean(), "worst_bits": np.abs(errors).max()}
        row["warned"] = np.mean([each["warned"] for each in answered])
    if answered and "low" in answered[0]:
        row["within"] = np.mean([each["low"] <= each["truth"] <= each["high"] for each in answered])
        row["certified"] = np.mean([each["low"] <= each["truth"] for each in answered])
        methods, kinds = ([each[name] for each in answered] for name in ("method", "kind"))
        row["method"], row["kind"] = (max(sorted(set(each)), key=each.count) for each in (methods, kinds))
    row["seconds"] = np.mean([each["seconds"] for each in asked])
    refusals = [each["refused"] for each in asked if "refused" in each]
    return row | ({"refused": refusals[0]} if refusals else {})


def is_installed(package):
    return package not in MODULES or importlib.util.find_spec(MODULES[package]) is not None


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--seeds", type=int, help="seeds of each case")
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    config = replace(config, seeds=options.seeds or config.seeds)
    absent = [name for name in MODULES if not is_installed(name)]
    if absent:
        sentence = f"{' and '.join(absent)} must be installed to be compared with: pip install 'infodil[peers]'."
        if not options.smoke:
            raise UserError(sentence)
        print(sentence)
    cells = [(family, case) for family, cases in FAMILIES.items() for case in list(cases)[:: config.every]]
    with Study(__file__, options) as study:
        finished = study.run(compare, cells, config)
        study.write("estimators_beside_peers", finished.rows, config, finished)
    summarise(finished.rows)


def summarise(rows):
    """Print, for each family and package, the mean error on the cases that it answered and on those all answered."""
    for family in FAMILIES:
        part = [row for row in rows if row["family"] == family]
        packages = list(dict.fromkeys(row["package"] for row in part))
        answered = {
            name: {row["case"]: row for row in part if row["package"] == name and row["answered"]} for name in packages
        }
        ours = answered["infodil"]
        for name in packages:
            found = answered[name]
            if not found:
                print(f"{family:18s} {name:13s} takes no case")
                continue
            error = np.mean([row["error_bits"] for row in found.values()])
            beside = np.mean([ours[case]["error_bits"] for case in found if case in ours])
            missed = sum(row["error_bits"] > MISSED_BITS for row in found.values())
            seconds = sum(row["seconds"] for row in found.values())
            print(
                f"{family:18s} {name:13s} {len(found):3d} cases, error {error:.4f} (infodil there {beside:.4f}), "
                f"{missed} off by more than {MISSED_BITS}, {seconds:.2f} s"
            )
        within = np.mean([row["within"] for row in ours.values()])
        certified = np.mean([row["certified"] for row in ours.values()])
        print(
            f"{family:18s} infodil: {within:.3f} of intervals hold the truth, {certified:.3f} of low ends are below it"
        )


if __name__ == "__main__":
    main()
