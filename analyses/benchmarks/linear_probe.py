"""Does the linear probe run at the rate of the matrix products it makes, and how far ahead of scikit-learn is that?

The target job is 16 lags x 8 sites of 768 dims, 8,192 types, 200,000 positions: 128 logistic regressions. It could
refute that all lags trained together are bound by matrix products, and that this costs accuracy.

* `peak`: the best rate of square matrix products in this run (float32 on a CPU, bfloat16 on a GPU), in three places.
* `loop`: one site of the target job, all its lags, sixteen optimiser steps of the probe itself, whitening and
  shuffling included. The flops are those of the matrix products that are made, 4 x dim x classes for each row and lag
  (logits and gradient of the weights); the share is of `peak`.
* `job`: the target job. Ours is the measured closed-form start, the loop and the choice on the calibration rows, scaled
  to all rows and sites. The peer is scikit-learn's LogisticRegression (lbfgs) at that dim with a few iterations on a
  few rows, scaled linearly to its default of 100 iterations (it uses them up on the small job), all rows, all classes
  and 128 fits.
* `small`: a job on which both really finish, same rows, same classes, three seeds: seconds and held-out cross-entropy.
  The peer runs with its defaults, and once more until it converges with C chosen on our calibration rows.

About eight minutes on two cores.

    python -m analyses.benchmarks.linear_probe
    python -m analyses.benchmarks.linear_probe --device cuda --types 50000 --positions 1000000
"""

import time
import warnings
from dataclasses import dataclass, replace

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression

from analyses.cells import Study, options_parser
from infodil.encoders import TraceEncoder
from infodil.probes import PROBES, Calibration, ProbeSpec, cross_entropy_nats, fit_class_map
from infodil.probes.neural.softmax import product_dtype
from infodil.probes.standardizer import Standardizer
from infodil.sources import iid

DEFAULT_ITERATIONS = 100
"""Of scikit-learn's LogisticRegression."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    device: str = "cpu"
    types: int = 8192
    dim: int = 768
    sites: int = 8
    lags: int = 16
    positions: int = 200_000
    calibration: int = 4096
    alpha: float = 0.1
    steps: int = 16
    warm_steps: int = 2
    peak_sizes: tuple[int, ...] = (1024, 2048, 4096)
    peak_repeats: int = 5
    peer_logits: int = 80_000_000
    peer_iterations: int = 5
    small_types: int = 256
    small_dim: int = 128
    small_lags: int = 2
    small_positions: int = 12_000
    small_alpha: float = 0.3
    seeds: tuple[int, ...] = (0, 1, 2)
    strengths: tuple[float, ...] = (0.01, 0.03, 0.1)


SMOKE = Config(
    types=64, dim=16, sites=2, lags=2, positions=4000, calibration=256, steps=2, warm_steps=1, peak_sizes=(64,),
    peak_repeats=1, peer_logits=60_000, peer_iterations=2, small_types=16, small_dim=8, small_positions=1000,
    seeds=(0,), strengths=(0.03,),
)  # fmt: skip


def now(device):
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def gemm_peak(config, device):
    """The best matrix-product rate of this machine at this moment, flops a second."""
    best = 0.0
    for size in config.peak_sizes:
        a, b = (torch.randn(size, size, device=device).to(product_dtype(device)) for _ in range(2))
        room = torch.empty_like(a)
        torch.mm(a, b, out=room)
        for _ in range(config.peak_repeats):
            begin = now(device)
            torch.mm(a, b, out=room)
            best = max(best, 2 * size**3 / (now(device) - begin))
    return best


def make_rows(types, dim, lags, alpha, rows, seed, device):
    """Standardized states of a trace, and the types at the lags 0 to `lags - 1`."""
    source = iid(types, documents=-(-rows // 200), tokens=200 + lags, distribution="zipf", seed=seed)
    states = TraceEncoder(types, (alpha,), dim=dim, seed=seed).encode(source.tokens)["ema"]
    states = states[:, lags:].flatten(0, 1)[:rows].to(device)
    labels = torch.stack([source.tokens[:, lags - lag : 200 + lags - lag].flatten()[:rows] for lag in range(lags)])
    return Standardizer.of(states[:2048]).apply(states), labels.to(device)


def on(device, classes):
    return replace(classes, **{name: value.to(device) for name, value in vars(classes).items()})


def target_job(config, device):
    """One site of the target job on a few of its rows; seconds of each part, scaled to all rows."""
    step_rows = (
        PROBES["linear"]
        .start_fit(plan(config, fit_class_map(*[torch.ones(9, dtype=torch.long)] * 2), device), None)
        .step_rows
    )
    rows = (config.steps + config.warm_steps) * step_rows
    states, labels = make_rows(
        config.types, config.dim, config.lags, config.alpha, rows + config.calibration, 0, device
    )
    tokens = iid(config.types, documents=1, tokens=config.positions, distribution="zipf", seed=1).tokens.flatten()
    counts = torch.bincount(tokens, minlength=config.types)
    classes = on(device, fit_class_map(counts, counts, fewest=1, most=config.types))
    labels = classes.of_type[labels]
    calibration = Calibration(states[rows:], labels[:, rows:])
    seconds = {}

    gaussian = PROBES["gaussian"].start_fit(plan(config, classes, device), None)
    begin = now(device)
    gaussian.update(states[:rows], labels[:, :rows])
    seconds["gaussian_pass"] = (now(device) - begin) * config.positions / rows
    begin = now(device)
    gaussian.end_pass(calibration)
    seconds["gaussian_choice"] = now(device) - begin

    linear = PROBES["linear"].start_fit(plan(config, classes, device), gaussian)
    passes, warm = linear.passes, config.warm_steps * step_rows
    linear.update(states[:warm], labels[:, :warm])
    begin = now(device)
    for some in torch.arange(warm, rows, device=device).split(4 * step_rows):
        linear.update(states[some], labels[:, some])
    loop = now(device) - begin
    flops = 4 * config.dim * classes.number * config.lags * (rows - warm)
    seconds["linear_passes"] = loop * passes * config.positions / (rows - warm)
    begin = now(device)
    for _ in range(passes):
        linear.end_pass(calibration)
    seconds["linear_choice"] = now(device) - begin
    steps = {"steps": config.steps, "step_rows": step_rows, "classes": classes.number, "loop_seconds": loop}
    return flops / loop, steps, seconds


def plan(config, classes, device):
    return ProbeSpec(config.dim, config.lags, classes, config.positions, device, seed=0)


def peer_job(config):
    """Seconds of one of scikit-learn's fits on the target job, scaled from a few rows and iterations."""
    rows = config.peer_logits // config.types
    states, labels = make_rows(config.types, config.dim, 1, config.alpha, rows, 0, torch.device("cpu"))
    seconds, model = fit_logistic(states.numpy(), labels[0].numpy(), max_iter=config.peer_iterations)
    scale = config.positions / rows * DEFAULT_ITERATIONS / int(model.n_iter_.max()) * config.types / len(model.classes_)
    measured = {
        "peer_rows": rows,
        "peer_classes": len(model.classes_),
        "peer_iterations": int(model.n_iter_.max()),
        "peer_measured_seconds": seconds,
    }
    return seconds * scale, measured


def fit_logistic(states, labels, **options):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that it did not converge is known and kept: more would be slower
        model = LogisticRegression(**options).fit(states, labels)
    return time.perf_counter() - begin, model


def small_job(config, seed):
    """Seconds and mean held-out cross-entropy over all lags, ours and the peer's, on the same rows and classes."""
    held = config.small_positions // 5
    rows = config.small_positions + 2 * held
    states, types = make_rows(
        config.small_types, config.small_dim, config.small_lags, config.small_alpha, rows, seed, torch.device("cpu")
    )
    train, chosen = slice(0, config.small_positions), slice(config.small_positions, config.small_positions + held)
    test = slice(config.small_positions + held, rows)
    counts = [torch.bincount(types[0, part], minlength=config.small_types) for part in (train, chosen)]
    classes = fit_class_map(*counts)
    labels = classes.of_type[types]
    row = {"part": "small", "seed": seed, "classes": classes.number}

    begin, weaker = time.perf_counter(), None
    for name in ("gaussian", "linear"):
        plan = ProbeSpec(
            config.small_dim, config.small_lags, classes, config.small_positions, torch.device("cpu"), seed
        )
        fit = PROBES[name].start_fit(plan, weaker)
        for _ in range(fit.passes):
            for some in torch.arange(config.small_positions).split(4000):
                fit.update(states[some], labels[:, some])
            fit.end_pass(Calibration(states[chosen], labels[:, chosen]))
        weaker = fit
        losses = [
            cross_entropy_nats(
                classes.class_log_prior + fit.temperatures[lag] * fit.scores(states[test], lag), labels[lag, test]
            )
            for lag in range(config.small_lags)
        ]
        row |= {f"{name}_seconds": time.perf_counter() - begin, f"{name}_loss_nats": float(np.mean(losses))}

    trials = {"peer": [{}], "tuned_peer": [{"C": strength, "max_iter": 3000} for strength in config.strengths]}
    for name, options in trials.items():
        total, losses, iterations = 0.0, [], []
        for label in labels.numpy():
            losses_by_option = []
            for option in options:
                seconds, model = fit_logistic(states[train].numpy(), label[train], **option)
                total += seconds
                iterations.append(int(model.n_iter_.max()))
                losses_by_option.append(
                    [peer_loss(model, states[part].numpy(), label[part]) for part in (chosen, test)]
                )
            losses.append(min(losses_by_option)[1])
        row |= {f"{name}_seconds": total, f"{name}_loss_nats": float(np.mean(losses))}
        row[f"{name}_iterations"] = max(iterations)
    return row | {"ratio": row["peer_seconds"] / row["linear_seconds"]}


def peer_loss(model, states, labels):
    answers = model.predict_log_proba(states)
    column = np.searchsorted(model.classes_, labels)
    return -float(answers[np.arange(len(labels)), column].mean())


@torch.no_grad()
def measure(part, config):
    """Rows of the target job, or of the small job with one seed."""
    if part != "target":
        rows = [small_job(config, part)]
    else:
        device = torch.device(config.device)
        peaks = [gemm_peak(config, device)]
        achieved, steps, seconds = target_job(config, device)
        peaks.append(gemm_peak(config, device))
        one_fit, measured = peer_job(config)
        peaks.append(gemm_peak(config, device))
        fits = config.sites * config.lags
        ours = config.sites * sum(seconds.values())
        rows = [{"part": "peak", "gflops": peak / 1e9} for peak in peaks]
        rows.append({"part": "loop", "gflops": achieved / 1e9, "share_of_peak": achieved / max(peaks), **steps})
        rows.append(
            {
                "part": "job",
                "fits": fits,
                **{f"{name}_seconds": value for name, value in seconds.items()},
                "linear_seconds": ours,
                "peer_seconds": fits * one_fit,
                "ratio": fits * one_fit / ours,
                **measured,
            }
        )
    for row in rows:
        print(row, flush=True)
    return rows


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--types", type=int, help="types of the target job")
    parser.add_argument("--positions", type=int, help="positions of the target job")
    options = parser.parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    given = {"types": options.types, "positions": options.positions}
    config = replace(config, device=options.device, **{name: value for name, value in given.items() if value})
    if config.device != "cpu":
        config = replace(config, peak_sizes=(4096, 8192, 16384))
    with Study(__file__, options) as study:
        threads = torch.get_num_threads()
        finished = study.run(measure, ("target", *config.seeds), config, threads=threads, device=config.device)
        name = "benchmark_linear_probe" + ("" if config.device == "cpu" else "_cuda")
        study.write(name, finished.rows, config, finished)


if __name__ == "__main__":
    main()
