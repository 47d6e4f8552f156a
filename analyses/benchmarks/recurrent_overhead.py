"""What does a recurrent state at every position cost, beside a pass of the model alone?

A tiny model with random weights of every recurrent family of transformers; the time of a bare forward pass, and of
reading every layer's recurrent state at every position by the family's route, interleaved in one run. It could refute
"at the price of a pass". Four minutes of one core.

    python -m analyses.benchmarks.recurrent_overhead
"""

import statistics
import sys
import time
from dataclasses import dataclass

import torch

from analyses.cells import Study, options_parser
from analyses.engine import ROOT
from infodil.encoders import load_encoder

MODELS = ROOT / "tests" / "tiny_models.py"
"""Configurations of tiny models, one a family: those that the states are tested with."""

sys.path.insert(0, str(MODELS.parent))
from tiny_models import RECURRENT, tiny_model  # noqa: E402


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    families: tuple[str, ...] = tuple(RECURRENT)
    documents: int = 8
    tokens: int = 64
    repeats: int = 5
    seed: int = 0


SMOKE = Config(families=("Mamba", "Qwen3_5"), documents=2, tokens=8, repeats=1)


def seconds(call):
    """Processor time of one call: other work of the machine does not count."""
    begin = time.process_time()
    call()
    return time.process_time() - begin


@torch.no_grad()
def measure(family, config):
    """A row: medians over repeats of the pass, of the states, and of their ratio."""
    model = tiny_model(family, config.seed)
    encoder = load_encoder(model, sites="layer.*.recurrent")
    generator = torch.Generator().manual_seed(config.seed)
    tokens = torch.randint(encoder.vocabulary, (config.documents, config.tokens), generator=generator)

    def forward():
        model.base_model(input_ids=tokens, use_cache=False)

    def read():
        encoder.encode(tokens)

    forward(), read()
    taken = [(seconds(forward), seconds(read)) for _ in range(config.repeats)]
    states = encoder.encode(tokens)
    row = {
        "cell": family,
        "family": encoder.states.family,
        "route": encoder.route,
        "layers": len(states),
        "numbers_a_layer": max(state.shape[2] for state in states.values()),
        "pass_seconds": statistics.median(one for one, _ in taken),
        "states_seconds": statistics.median(two for _, two in taken),
        "ratio": statistics.median(two / one for one, two in taken),
    }
    print(row, flush=True)
    return [row]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, config.families, config, inputs={MODELS.name: MODELS})
        study.write("benchmark_recurrent_overhead", finished.rows, config, finished)


if __name__ == "__main__":
    main()
