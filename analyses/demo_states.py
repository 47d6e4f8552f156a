"""What do six states hold of the same text: traces, a GRU and attention, trained and not?

The rows of `infodil demo`, kept for the figure. It could refute that training or gates alone make a state remember
more. Three minutes on 2 cores.

    python -m analyses.demo_states
"""

import argparse

from analyses.provenance import write_results
from infodil.cli.demo import demo


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    report = demo(seed=options.seed)
    print(report)
    config = {"config": report.config, "model": report.model, "corpus": report.corpus}
    write_results("demo_states", [dict(row) for row in report.rows], config | {"seed": options.seed})


if __name__ == "__main__":
    main()
