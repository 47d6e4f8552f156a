"""What do six states hold of the same text: traces, a GRU and attention, trained and not?

The rows of `infodil demo`, kept for the figure. It could refute that training or gates alone make a state remember
more. Three minutes on 2 cores.

    python -m analyses.demo_states
"""

from dataclasses import asdict, dataclass

import torch

from analyses.cells import Study, options_parser
from infodil.demonstration import CORPUS_TOKENS, LAGS, TRAINING_TOKENS, demo


@dataclass(frozen=True)
class Config:
    """Every number that matters."""

    corpus_tokens: int = CORPUS_TOKENS
    training_tokens: int = TRAINING_TOKENS
    lags: tuple[int, ...] = LAGS
    seeds: tuple[int, ...] = (0,)


SMOKE = Config(corpus_tokens=6000, training_tokens=1000, lags=(0, 2))


def measure(seed, config):
    """The report of one seed, and what it says of the run."""
    report = demo(
        seed=seed,
        progress=False,
        corpus_tokens=config.corpus_tokens,
        training_tokens=config.training_tokens,
        lags=config.lags,
    )
    print(report)
    about = {"config": report.config, "model": report.model, "corpus": report.corpus}
    return [{"rows": [{"seed": seed, **row} for row in report.rows], "about": about}]


def main(arguments=None):
    options = options_parser(__doc__).parse_args(arguments)
    config = SMOKE if options.smoke else Config()
    with Study(__file__, options) as study:
        finished = study.run(measure, config.seeds, config, threads=torch.get_num_threads())
        rows = [row for cell in finished.rows for row in cell["rows"]]
        record = {"study": asdict(config), "reports": [cell["about"] for cell in finished.rows]}
        study.write("demo_states", rows, record, finished)


if __name__ == "__main__":
    main()
