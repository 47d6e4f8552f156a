"""How many tokens a second does a language model train on, beside a loop as nanoGPT writes it?

The loop is `tests/nanogpt.py`: GPT-2's layout with plain attention, torch's own cross-entropy and AdamW, in single
precision. Families have equal parameters, about a million, bytes as tokens, windows of 128 and one core. Each pair is
timed in turns, a few steps at a time, and the fastest turn of each counts: a machine that others use slows both.

About three minutes of one core.

    python -m analyses.benchmarks.lm_loop
"""

import importlib.util
import time
from dataclasses import asdict, dataclass

import numpy as np

from analyses.cells import Study, options_parser
from analyses.engine import ROOT
from infodil.lm import LanguageModel, named_config, train_language_model

TWIN = "tests/nanogpt.py"


@dataclass(frozen=True)
class Task:
    """One family at one precision."""

    family: str
    precision: str
    trace_input: str = "stream"


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    tasks: tuple[Task, ...] = tuple(
        Task(family, precision)
        for family in ("spen", "gated_ema", "attention", "lstm", "gated_linear")
        for precision in ("float32", "bfloat16")
    )
    size: str = "1m"
    vocabulary: int = 256
    window: int = 128
    batch_size: int = 16
    steps: int = 3
    turns: int = 4


SMOKE = Config(tasks=(Task("spen", "float32"),), size="0.3m", batch_size=1, steps=1, turns=1)


def read_twin():
    """The module with the other loop."""
    spec = importlib.util.spec_from_file_location("nanogpt", ROOT / TWIN)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measure(cell, config):
    """Tokens a second of processor time of both loops."""
    task, twin = Task(**cell), read_twin()
    options = {"vocabulary": config.vocabulary, "context": config.window}
    model = LanguageModel(named_config(task.family, config.size, trace_input=task.trace_input, **options))
    shape = model.config
    other = twin.NanoGPT(config.vocabulary, shape.dim, shape.layers, shape.heads, config.window)
    ids = np.random.default_rng(0).integers(0, config.vocabulary, 100_000)
    tokens = config.steps * config.batch_size * config.window
    budget = {"tokens": tokens, "window": config.window, "batch_size": config.batch_size, "peak_rate": 1e-3}
    held_out = ids[: config.window + 1]

    def ours():
        train_language_model(model, ids, held_out, precision=task.precision, progress=False, **budget)

    def theirs():
        twin.train_nanogpt(other, ids, held_out, **budget)

    seconds = {ours: [], theirs: []}
    for turn in range(config.turns + 1):
        for loop, spent in seconds.items():
            begin = time.process_time()
            loop()
            if turn:  # the first one warms up
                spent.append(time.process_time() - begin)
    speeds = [tokens / min(spent) for spent in seconds.values()]
    parameters = sum(weight.numel() for weight in model.parameters())
    return [
        cell
        | {"parameters": parameters, "loop_parameters": sum(weight.numel() for weight in other.parameters())}
        | {"tokens_per_second": speeds[0], "loop_tokens_per_second": speeds[1], "ratio": speeds[0] / speeds[1]}
    ]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, [asdict(task) for task in config.tasks], config, inputs={TWIN: ROOT / TWIN})
        study.write("benchmark_lm_loop", finished.rows, config, finished)


if __name__ == "__main__":
    main()
