"""Is the closed-form Gaussian probe a hundred times faster than logistic regression, and no worse?

Both read the token at one lag from the same states with the same splits (300 classes, 384 dims, 16,000 positions), end
to end: fitting, every choice on the calibration rows, and log-probabilities of the test rows. The peer is
scikit-learn's LogisticRegression with its defaults (lbfgs, C=1, 100 iterations) on standardised states, and once more
with its C chosen on the same calibration rows. It could refute that a probe worth reporting needs iterations. About
five minutes.

    python -m analyses.benchmarks.gaussian_probe
"""

import statistics
import time
import warnings
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from analyses.cells import Study, options_parser
from infodil.encoders import TraceEncoder
from infodil.probes import PROBES, Calibration, ProbeSpec, cross_entropy_nats, fit_class_map
from infodil.probes.standardizer import Standardizer
from infodil.sources import iid


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    types: int = 300
    dim: int = 384
    positions: int = 16_000
    calibration: int = 1_600
    test: int = 3_200
    alpha: float = 0.5
    lag: int = 1
    seeds: tuple[int, ...] = (0, 1, 2)
    repeats: int = 5
    strengths: tuple[float, ...] = (0.001, 0.01)


SMOKE = Config(types=20, dim=8, positions=1200, calibration=200, test=200, seeds=(0,), repeats=1, strengths=(0.01,))


def make_cell(config, alpha, seed):
    """States and labels in three splits, documents apart."""
    source = iid(config.types, documents=config.positions // 200, tokens=201, distribution="zipf", seed=seed)
    states = TraceEncoder(config.types, (alpha,), dim=config.dim, seed=seed).encode(source.tokens)["ema"]
    states = states[:, config.lag :].flatten(0, 1)
    labels = source.tokens[:, : -config.lag].flatten()
    test = slice(0, config.test)
    calibration = slice(config.test, config.test + config.calibration)
    train = slice(config.test + config.calibration, config.positions)
    return {name: (states[part], labels[part]) for name, part in dict(train=train, cal=calibration, test=test).items()}


def ours(splits, config):
    """Seconds and held-out cross-entropy in nats of the closed-form probe, over all types."""
    begin = time.perf_counter()
    (x, y), (xc, yc), (xt, yt) = splits["train"], splits["cal"], splits["test"]
    standardizer = Standardizer.of(x[:2048])
    counts = [torch.bincount(labels, minlength=config.types) for labels in (y, yc)]
    classes = fit_class_map(*counts)
    fit = PROBES["gaussian"].start_fit(ProbeSpec(config.dim, 1, classes, len(x), torch.device("cpu"), 0), None)
    fit.update(standardizer.apply(x), classes.of_type[y][None])
    fit.end_pass(Calibration(standardizer.apply(xc), classes.of_type[yc][None]))
    logits = classes.class_log_prior + fit.temperatures[0] * fit.scores(standardizer.apply(xt), 0)
    loss = cross_entropy_nats(logits, classes.of_type[yt]) - float(classes.log_within(yt).mean())
    return time.perf_counter() - begin, loss


def logistic(splits, config, strength=1.0):
    """The same of scikit-learn's; a type it never saw has the probability of one half of one row."""
    begin = time.perf_counter()
    x, y = (part.numpy() for part in splits["train"])
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that 100 iterations did not converge is known and kept: more would be slower
        model = LogisticRegression(C=strength).fit(scaler.transform(x), y)
    floor = np.log(0.5 / len(y))
    loss = {}
    for name in ("cal", "test"):
        states, labels = (part.numpy() for part in splits[name])
        answers = model.predict_log_proba(scaler.transform(states))
        column = np.searchsorted(model.classes_, labels).clip(max=len(model.classes_) - 1)
        known = model.classes_[column] == labels
        loss[name] = -np.where(known, answers[np.arange(len(labels)), column], floor).mean()
    return time.perf_counter() - begin, loss


def measure(seed, config):
    """One row: seconds and losses of both, and of the peer with its C tuned."""
    splits = make_cell(config, config.alpha, seed)
    ours(splits, config)  # warm: the first call loads libraries
    # Before and after the peer: a busy minute then falls on both.
    mine = [ours(splits, config) for _ in range(config.repeats)]
    peer, peer_loss = logistic(splits, config)
    mine += [ours(splits, config) for _ in range(config.repeats)]
    seconds, loss = statistics.median(second for second, _ in mine), mine[0][1]
    tuned = [logistic(splits, config, strength) for strength in config.strengths]
    best = min(tuned, key=lambda trial: trial[1]["cal"])
    row = {
        "seed": seed,
        "gaussian_seconds": seconds,
        "logistic_seconds": peer,
        "ratio": peer / seconds,
        "gaussian_loss_nats": loss,
        "logistic_loss_nats": float(peer_loss["test"]),
        "tuned_logistic_seconds": sum(trial[0] for trial in tuned),
        "tuned_logistic_loss_nats": float(best[1]["test"]),
    }
    print(row, flush=True)
    return [row]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, config.seeds, config, threads=torch.get_num_threads())
        study.write("benchmark_gaussian_probe", finished.rows, config, finished)


if __name__ == "__main__":
    main()
