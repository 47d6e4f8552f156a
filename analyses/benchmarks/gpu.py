"""Does a GPU give the same report, is it waited for no more than is needed, and how near its peak do the probes run?

* `same`: reports of the CPU and of the GPU on the same tokens; the largest difference of any figure in bits. It could
  refute that a device changes nothing but rounding: the Gaussian probe is in float32 and float64 everywhere, the
  trained ones multiply in bfloat16 on a GPU.
* `waits`: how often the host waits for the GPU, for documents that come few and many to a batch, and in the training
  loop of softmax heads. It could refute that the loop never waits, and that a batch makes it wait a few times only.
* `linear`, `mlp`: the probes at 50,000 classes and a million positions, in a share of the best bfloat16 matrix products
  of the same run. The flops are those of the products that are made: 4 x dim x classes a row and lag for the linear
  probe, 6 x width x classes + 2 x dim x classes and the hidden layer for the perceptron.
* `report`: `recoverability` of a language model, whole, in bare forward passes over the same text. With `--model`.
* `train`: tokens a second of the pair of language models of 10M parameters, in bfloat16.

Ten minutes of one GPU. A run that was ended goes on with the cells that are missing.

    python -m analyses.benchmarks.gpu
    python -m analyses.benchmarks.gpu --model FOLDER      # a Hugging Face model, such as SmolLM2-135M
"""

import contextlib
import functools
import sys
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import infodil
from analyses.benchmarks.linear_probe import gemm_peak, make_rows, now, on
from analyses.cells import Study, options_parser
from infodil.encoders import TraceEncoder, load_encoder
from infodil.ladder.state_stream import CHUNK_SEQUENCES
from infodil.lm import LanguageModel, named_config, train_language_model
from infodil.probes import PROBES, Calibration, ProbeSpec, fit_class_map
from infodil.probes.neural.softmax import SoftmaxHeads
from infodil.sources import iid, markov

FIGURES = ("value_bits", "low_bits", "high_bits", "beyond_context_bits", "shuffled_bits")
"""What must not depend on the device; weights of the random control are drawn on it and differ."""


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    device: str = "cuda"
    seed: int = 0
    probes: tuple[str, ...] = ("gaussian", "linear", "mlp")
    same_vocabulary: int = 50
    same_documents: int = 600
    same_dim: int = 48
    same_lags: tuple[int, ...] = (0, 1, 4)
    float32_tolerance_bits: float = 2e-3
    """For the closed form: temperatures and shrinkages are searched to about as much."""
    bfloat16_tolerance_bits: float = 2e-2
    """For trained probes: products keep 8 bits, and training carries their rounding on."""
    document_tokens: int = 64
    types: int = 50_000
    dim: int = 768
    lags: int = 16
    positions: int = 1_000_000
    calibration: int = 4096
    alpha: float = 0.1
    peak_sizes: tuple[int, ...] = (4096, 8192, 16384)
    peak_repeats: int = 5
    report_tokens: int = 200_000
    report_length: int = 512
    report_lags: tuple[int, ...] = tuple(range(17))
    families: tuple[str, ...] = ("spen", "attention")
    size: str = "10m"
    train_vocabulary: int = 8192
    train_window: int = 256
    train_batch: int = 128
    train_steps: int = 60
    warm_steps: int = 10


SMOKE = Config(
    device="cpu", probes=("gaussian",), same_vocabulary=6, same_documents=40, same_dim=6, same_lags=(0, 1),
    document_tokens=16, types=24, dim=8, lags=2, positions=1500, calibration=200, peak_sizes=(64,), peak_repeats=1,
    report_tokens=2000, report_length=64, report_lags=(0, 1), families=("attention",), size="0.3m",
    train_vocabulary=20, train_window=16, train_batch=2, train_steps=2, warm_steps=1,
)  # fmt: skip


def same_reports(config, *_):
    """The largest difference of a figure between the report of the CPU and that of the device, by probe."""
    reports = [small_report(config, device, config.document_tokens, config.probes) for device in ("cpu", config.device)]
    rows = []
    for name in config.probes:
        near, far = ([row for row in report.rows if row["probe"] == name] for report in reports)
        difference = max(abs(a[each] - b[each]) for a, b in zip(near, far, strict=True) for each in FIGURES)
        limit = config.float32_tolerance_bits if name == "gaussian" else config.bfloat16_tolerance_bits
        rows.append({"probe": name, "difference_bits": difference, "tolerance_bits": limit})
        rows[-1]["holds"] = difference < limit
    return rows


def small_corpus(config, length):
    """Tokens of a Markov chain, at most so many of a document at a time."""
    sizes = {"vocabulary": config.same_vocabulary, "documents": config.same_documents, "tokens": config.document_tokens}
    return infodil.load_corpus(markov(**sizes, seed=config.seed).tokens, max_length=length)


def small_report(config, device, length, probes):
    """The report of a trace of those tokens."""
    encoder = TraceEncoder(config.same_vocabulary, (0.4,), dim=config.same_dim, seed=config.seed)
    return infodil.recoverability(
        encoder, small_corpus(config, length), lags=config.same_lags, probes=probes, device=device, seed=config.seed,
        controls=False, progress=False,
    )  # fmt: skip


@contextlib.contextmanager
def counted_waits(device):
    """A list that has, at the end, one entry for each time that the host waited for a GPU."""
    found = []
    if device.type != "cuda":
        yield found
        return
    before = torch.cuda.get_sync_debug_mode()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield found
        finally:
            torch.cuda.set_sync_debug_mode(before)
    found += [each for each in caught if "synchroniz" in str(each.message)]


def waits(config, *_):
    """Waits of one measurement of the Gaussian probe in many and in few batches, and of the training loop."""
    device, found, batches = torch.device(config.device), {}, {}
    for name, length in (("many", config.document_tokens), ("few", 8 * config.document_tokens)):
        with counted_waits(device) as found[name]:
            small_report(config, device, length, ("gaussian",))
        with small_corpus(config, length).tokenize(seed=config.seed) as tokens:
            batches[name] = sum(split.number_of_batches(CHUNK_SEQUENCES) for split in tokens.splits.values())
    heads = SoftmaxHeads(config.lags, config.same_dim, config.same_vocabulary, device)
    inputs = torch.randn(256, config.same_dim).to(device)
    labels = torch.randint(config.same_vocabulary, (config.lags, 256)).to(device)
    with counted_waits(device) as loop:
        for _ in range(3):
            heads.compute_gradient(inputs, labels)
            heads.step(0.1)
    row = {f"waits_in_{name}_batches": len(found[name]) for name in found}
    more = batches["many"] - batches["few"]
    row |= {"more_batches": more, "waits_a_batch": (len(found["many"]) - len(found["few"])) / more}
    return [row | {"waits_of_the_training_loop": len(loop)}]


def probe_job(name, config, *_):
    """One probe at full size: seconds of its passes, flops of the products it makes, and the share of the peak."""
    device = torch.device(config.device)
    rows = config.positions + config.calibration
    states, types = make_rows(config.types, config.dim, config.lags, config.alpha, rows, config.seed, device)
    source = iid(config.types, documents=1, tokens=config.positions, distribution="zipf", seed=config.seed + 1)
    counts = torch.bincount(source.tokens.flatten(), minlength=config.types)
    classes = on(device, fit_class_map(counts, counts, fewest=1, most=config.types))
    labels = classes.of_type[types]
    spec = ProbeSpec(config.dim, config.lags, classes, config.positions, device, config.seed)
    held_out = Calibration(states[config.positions :], labels[:, config.positions :])
    pieces = [slice(first, first + 8192) for first in range(0, config.positions, 8192)]  # as a stream gives rows
    base = PROBES["gaussian"].start_fit(spec)
    begin = now(device)
    for some in pieces:
        base.update(states[some], labels[:, some])
    base.end_pass(held_out)
    gaussian_seconds = now(device) - begin

    peaks = [gemm_peak(config, device)]
    fit = PROBES[name].start_fit(spec, base)
    passes, seconds = fit.passes, 0.0
    for _ in range(passes):
        begin = now(device)
        for some in pieces:
            fit.update(states[some], labels[:, some])
        seconds += now(device) - begin
        fit.end_pass(held_out)
    peaks.append(gemm_peak(config, device))
    width = PROBES["mlp"].width
    products = {
        "linear": 4 * config.dim * classes.number * config.lags,
        "mlp": (6 * width + 2 * config.dim) * classes.number * config.lags + 6 * config.dim * width,
    }
    flops = passes * config.positions * products[name]
    return [
        {
            "probe": name,
            "classes": classes.number,
            "positions": config.positions,
            "passes": passes,
            "seconds": seconds,
            "gaussian_seconds": gaussian_seconds,
            "tera_flops_a_second": flops / seconds / 1e12,
            "peak_tera_flops_a_second": max(peaks) / 1e12,
            "share_of_peak": flops / seconds / max(peaks),
        }
    ]


@torch.no_grad()
def report_job(config, model):
    """A whole report in bare forward passes of the same model over the same text."""
    device = torch.device(config.device)
    if model is None:  # small: a model that is built in
        corpus = small_corpus(config, config.report_length)
        encoder = load_encoder("gru", vocabulary=config.same_vocabulary, dim=config.same_dim, device=device)
    else:
        corpus = infodil.load_corpus("sample", max_length=config.report_length)
        encoder = load_encoder(str(model), device=device)
    with corpus.tokenize(encoder.tokenizer, max_tokens=config.report_tokens, seed=config.seed) as tokens:
        batches = [batch.tokens for split in tokens.splits.values() for batch in split.batches(CHUNK_SEQUENCES)]
    encoder.module(batches[0].to(device))  # the first pass makes ready
    begin = now(device)
    for batch in batches:
        encoder.module(batch.to(device))
    bare = now(device) - begin
    begin = now(device)
    report = infodil.recoverability(
        encoder, corpus, lags=config.report_lags, probes=("gaussian", "linear"), device=device, seed=config.seed,
        max_tokens=config.report_tokens, progress=False,
    )  # fmt: skip
    whole = now(device) - begin
    return [
        {
            "tokens": sum(int(batch.numel()) for batch in batches),
            "sites": len({row["site"] for row in report.rows}),
            "lags": len(config.report_lags),
            "bare_seconds": bare,
            "seconds": whole,
            "ratio": whole / bare,
        }
    ]


def train_job(family, config, *_):
    """Tokens a second of one family of language models."""
    device = torch.device(config.device)
    options = {"vocabulary": config.train_vocabulary, "context": config.train_window}
    trained = LanguageModel(named_config(family, config.size, **options), device=device)
    ids = np.random.default_rng(config.seed).integers(0, config.train_vocabulary, 1_000_000)
    every = config.train_batch * config.train_window
    moments = []

    def note(step, _):
        if step in (config.warm_steps, config.train_steps):
            moments.append(now(device))

    train_language_model(
        trained, ids, ids[: config.train_window + 1], tokens=every * config.train_steps, window=config.train_window,
        batch_size=config.train_batch, precision="bfloat16", progress=False, note=note,
    )  # fmt: skip
    speed = every * (config.train_steps - config.warm_steps) / (moments[-1] - moments[0])
    return [{"family": family, "size": config.size, "tokens_per_second": speed}]


JOBS = {
    "same": same_reports,
    "waits": waits,
    "linear": functools.partial(probe_job, "linear"),
    "mlp": functools.partial(probe_job, "mlp"),
    "report": report_job,
}


def measure(cell, config, model=None):
    """The rows of one part, with the name of the device and the time that the part took."""
    begin = time.perf_counter()
    job = JOBS[cell] if cell in JOBS else functools.partial(train_job, cell)
    rows = job(config, model)
    device = torch.cuda.get_device_name() if config.device == "cuda" else "CPU"
    print(rows, f"{time.perf_counter() - begin:.1f} s", flush=True)
    return [{"part": cell if cell in JOBS else "train", "device": device} | row for row in rows]


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--model", type=Path, help="folder of a Hugging Face model whose whole report is timed")
    options = parser.parse_args(arguments)
    if not options.smoke and not torch.cuda.is_available():
        sys.exit("This benchmark needs a GPU, and torch finds none: run it on a machine that has one, or with --smoke.")
    config = SMOKE if options.smoke else Config()
    parts_wanted = [name for name in JOBS if name != "report" or options.model or options.smoke]
    files = sorted(options.model.iterdir()) if options.model else []
    inputs = {f"data/{options.model.name}/{file.name}": file for file in files if file.is_file()}
    with Study(__file__, options) as study:
        finished = study.run(
            functools.partial(measure, model=options.model), [*parts_wanted, *config.families], config, inputs=inputs,
            device=config.device,
        )  # fmt: skip
        study.write("benchmark_gpu", finished.rows, config, finished)


if __name__ == "__main__":
    main()
