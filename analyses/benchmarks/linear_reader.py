"""Is training the linear reader one big matrix product, and how much faster is it than one fit a lag and site?

The job: 16 lags x 8 sites, 768 dims, 8,192 classes, 200,000 positions. (a) On one site with all its lags (the sites
share nothing, each costs the same) the reader takes real optimiser steps; the products' flops over the seconds, against
the best float32 product of the same machine in the same run (`--device cuda`: bfloat16). (b) The peer is scikit-learn's
LogisticRegression, one fit for each lag and site: fits of a small cell are timed and *scaled* to 128 fits by rows x
classes, for 128 fits of 8,192 classes would take months. (c) On that small cell both really finish, and their held-out
losses are compared, three seeds. It could refute that training is bound by the products, and that speed costs loss.
About five minutes.

    python -m analyses.benchmarks.linear_reader
"""

import argparse
import time
import warnings
from dataclasses import asdict, dataclass

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from analyses.provenance import write_results
from infodil.encoders import TraceEncoder
from infodil.measure.states import Frame
from infodil.probes import LADDER, Calibration, Setting, cross_entropy_nats, make_classes
from infodil.probes.linear import LinearReader
from infodil.sources import iid


@dataclass
class Config:
    """Every number that matters."""

    lags: int = 16
    sites: int = 8
    dim: int = 768
    types: int = 8192
    positions: int = 200_000
    timed_rows: int = 8192
    peak_sizes: tuple[int, ...] = (1024, 2048, 4096)
    small_types: int = 200
    small_positions: int = 12_000
    alpha: float = 0.5
    lag: int = 1
    seeds: tuple[int, ...] = (0, 1, 2)
    device: str = "cpu"
    threads: int = 2


def clock(device):
    """Seconds, once everything asked of the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter()


def peak_flops(config, device, dtype):
    """The best rate of a square product over a few sizes."""
    best = 0.0
    for size in config.peak_sizes:
        a, b = (torch.randn(size, size, device=device).to(dtype) for _ in range(2))
        for _ in range(4):
            begin = clock(device)
            a @ b
            best = max(best, 2.0 * size**3 / (clock(device) - begin))
    return best


def train_rate(config, device):
    """Flops a second of the products of real steps, over rows and heads of one site; seconds a row and head."""
    counts = torch.full((config.types,), 1000)
    classes = make_classes(counts, counts, most=config.types)
    for name in ("of_type", "log_prior", "class_log_prior", "pool"):
        object.__setattr__(classes, name, getattr(classes, name).to(device))
    setting = Setting(config.dim, config.lags, classes, config.positions, device, 0)
    reader = LinearReader(setting)
    generator = torch.Generator().manual_seed(0)
    states = torch.randn(config.timed_rows, config.dim, generator=generator).to(device)
    labels = torch.randint(config.types, (config.lags, config.timed_rows), generator=generator).to(device)
    reader.update(states, labels)  # warm
    seconds = []
    for _ in range(2):
        begin = clock(device)
        reader.update(states, labels)
        seconds.append(clock(device) - begin)
    heads_rows = config.timed_rows * config.lags
    # Logits and the gradient of the weights: two products of 2 dim classes each; there is no gradient by the states.
    return 4.0 * config.dim * config.types * heads_rows / min(seconds), min(seconds) / heads_rows, reader.passes


def small_cell(config, seed):
    """States and labels in three splits, documents apart."""
    tokens = 200 + config.lag
    source = iid(
        config.small_types, documents=config.small_positions // 200, tokens=tokens, distribution="zipf", seed=seed
    )
    states = TraceEncoder(config.small_types, (config.alpha,), dim=config.dim, seed=seed).encode(source.tokens)["ema"]
    states, labels = states[:, config.lag :].flatten(0, 1), source.tokens[:, : -config.lag].flatten()
    test, held = config.small_positions // 5, config.small_positions * 3 // 10
    parts = {"train": slice(held, None), "cal": slice(test, held), "test": slice(0, test)}
    return {name: (states[part], labels[part]) for name, part in parts.items()}


def ours(splits, config):
    """Seconds and held-out loss in nats of the linear reader from its Gaussian start, over all types."""
    begin = time.perf_counter()
    (x, y), (xc, yc), (xt, yt) = splits["train"], splits["cal"], splits["test"]
    frame = Frame.of(x[:2048])
    classes = make_classes(*(torch.bincount(labels, minlength=config.small_types) for labels in (y, yc)))
    setting = Setting(config.dim, 1, classes, len(x), torch.device("cpu"), 0)
    calibration = Calibration(frame.apply(xc), classes.of_type[yc][None])
    reader = None
    for probe in ("gaussian", "linear"):
        reader = LADDER[probe](setting, reader)
        for _ in range(reader.passes):
            reader.update(frame.apply(x), classes.of_type[y][None])
            reader.end_pass(calibration)
    scores = reader.scores(reader.prepare(frame.apply(xt)), 0)
    loss = cross_entropy_nats(classes.class_log_prior + reader.temperatures[0] * scores, classes.of_type[yt])
    return time.perf_counter() - begin, loss - float(classes.log_within(yt).mean())


def logistic(splits):
    """The same of scikit-learn's, with its defaults; a type it never saw has the probability of half a row."""
    begin = time.perf_counter()
    x, y = (part.numpy() for part in splits["train"])
    scaler = StandardScaler().fit(x)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # 100 iterations do not converge; more would only be slower
        model = LogisticRegression().fit(scaler.transform(x), y)
    seconds = time.perf_counter() - begin
    states, labels = (part.numpy() for part in splits["test"])
    answers = model.predict_log_proba(scaler.transform(states))
    column = np.searchsorted(model.classes_, labels).clip(max=len(model.classes_) - 1)
    known = model.classes_[column] == labels
    return seconds, -np.where(known, answers[np.arange(len(labels)), column], np.log(0.5 / len(y))).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--types", type=int, default=8192)
    parser.add_argument("--positions", type=int, default=200_000)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    config = Config(**vars(options))
    torch.set_num_threads(config.threads)
    device = torch.device(config.device)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    rows = []
    for seed in config.seeds:
        # Before and after: a busy minute then falls on both.
        peak = peak_flops(config, device, dtype)
        rate, seconds, passes = train_rate(config, device)
        peak = max(peak, peak_flops(config, device, dtype))
        splits = small_cell(config, seed)
        ours(splits, config)
        small_seconds, loss = ours(splits, config)
        peer_seconds, peer_loss = logistic(splits)
        train_rows = len(splits["train"][1])
        heads = config.lags * config.sites
        scale = config.positions / train_rows * config.types / config.small_types
        job = seconds * heads * config.positions * passes
        rows.append(
            {
                "seed": seed,
                "peak_gflops": peak / 1e9,
                "training_gflops": rate / 1e9,
                "share_of_peak": rate / peak,
                "passes": passes,
                "job_seconds_extrapolated": job,
                "logistic_seconds_a_fit": peer_seconds,
                "logistic_job_seconds_scaled": peer_seconds * scale * heads,
                "ratio_scaled": peer_seconds * scale * heads / job,
                "small_ratio": peer_seconds / small_seconds,
                "linear_loss_nats": loss,
                "logistic_loss_nats": float(peer_loss),
            }
        )
        print(rows[-1], flush=True)
    write_results("benchmark_linear_reader", rows, asdict(config), config.device)


if __name__ == "__main__":
    main()
