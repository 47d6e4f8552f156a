"""How long `infodil.traces.ema_bank` takes, in units of copying its input.

A scan must at least read its input and write one output per scale, so the time of `x.clone()` is the unit: the budget
is 2 per scale. The runs are interleaved, and each is divided by the copy just before it: a machine that is busy for a
while slows both. `python -m analyses.benchmarks.ema_scan [--device cuda]`
"""

import os
import statistics
import time
from dataclasses import dataclass, replace

import torch

from analyses.cells import Study, options_parser
from infodil.traces import ema_bank


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    cases: tuple[tuple[tuple[int, int, int], int], ...] = (
        ((4, 4096, 768), 1), ((4, 4096, 768), 3), ((4, 4096, 768), 8), ((256, 64, 768), 3), ((1, 65_536, 128), 3),
    )  # fmt: skip
    """Shapes of the input and numbers of scales; the budget is of the first shape."""
    alphas: tuple[float, ...] = (0.5, 0.1, 0.02, 0.005, 0.3, 0.05, 0.01, 0.002)
    rounds: int = 40
    device: str = "cpu"


SMOKE = Config(cases=(((2, 16, 8), 2),), rounds=4)


def loop_over_tokens(x, alphas):
    """What one would write first."""
    alpha = torch.tensor(alphas, device=x.device).unsqueeze(-1)
    states = x.new_empty(*x.shape[:2], len(alphas), x.shape[2])
    state = x.new_zeros(x.shape[0], len(alphas), x.shape[2])
    for t in range(x.shape[1]):
        state = (1 - alpha) * state + alpha * x[:, t].unsqueeze(1)
        states[:, t] = state
    return states


def seconds(function, device):
    """Time of one call; what it made is freed after the clock stops."""
    start = time.perf_counter()
    made = function()
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    elapsed = time.perf_counter() - start
    del made
    return elapsed


def measure(cell, config):
    """One row for the scan and one for the loop, each in copies per scale."""
    shape, scales = cell
    torch.manual_seed(0)
    x = torch.randn(*shape, device=config.device)
    alphas = config.alphas[:scales]
    runs = {"copy": x.clone, "ema_bank": lambda: ema_bank(x, alphas), "loop": lambda: loop_over_tokens(x, alphas)}
    # Threads that wait for a core which someone else holds wait for milliseconds: on a busy machine this measures the
    # neighbours. So the load goes on record: the threads of this script alone make it about `torch.get_num_threads()`.
    load = os.getloadavg()[0]
    for function in (runs["copy"], runs["ema_bank"]):
        for _ in range(3):
            seconds(function, config.device)
    rows = []
    # The loop is slow and steady: a few rounds are enough for its quartiles.
    for method, times in [("ema_bank", config.rounds), ("loop", max(3, config.rounds // 10))]:
        pairs = [(seconds(runs["copy"], config.device), seconds(runs[method], config.device)) for _ in range(times)]
        low, middle, high = statistics.quantiles([run / copy / scales for copy, run in pairs])
        rows.append(
            {
                "method": method,
                **dict(zip(["documents", "tokens", "dim"], shape, strict=True)),
                "scales": scales,
                "copies_per_scale": round(middle, 3),
                "copies_per_scale_low_quartile": round(low, 3),
                "copies_per_scale_high_quartile": round(high, 3),
                "run_milliseconds": round(1e3 * statistics.median(run for _, run in pairs), 3),
                "copy_milliseconds": round(1e3 * statistics.median(copy for copy, _ in pairs), 3),
                "rounds": times,
                "load_average_before": round(load, 2),
                "load_average_after": round(os.getloadavg()[0], 2),
            }
        )
    for row in rows:
        row["loop_over_method"] = round(rows[1]["run_milliseconds"] / row["run_milliseconds"], 2)
    return rows


def main(arguments=None):
    parser = options_parser(__doc__)
    parser.add_argument("--device", default="cpu")
    options = parser.parse_args(arguments)
    config = replace(SMOKE if options.smoke else Config(), device=options.device)
    kind = torch.device(config.device).type
    with Study(__file__, options) as study:
        threads = torch.get_num_threads()
        finished = study.run(measure, config.cases, config, threads=threads, device=config.device)
        name = "benchmark_ema_scan" if kind == "cpu" else f"benchmark_ema_scan_{kind}"
        study.write(name, finished.rows, config, finished)
    for row in finished.rows:
        shape = (row["documents"], row["tokens"], row["dim"])
        low, high = row["copies_per_scale_low_quartile"], row["copies_per_scale_high_quartile"]
        print(
            f"{row['method']:>8} {shape!s:>16} x {row['scales']} scales: {row['copies_per_scale']:.2f} "
            f"[{low:.2f}, {high:.2f}] copies a scale, {row['run_milliseconds']:.1f} ms; "
            f"the loop takes {row['loop_over_method']:.1f} times as long"
        )


if __name__ == "__main__":
    main()
